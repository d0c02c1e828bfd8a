/* Pointer, touch, keys, drops and the playhead: what the person does, told to the editor. */

const FvdmInput = (() => {
  const C = FvdmCore;
  const { TOOLS } = FvdmControls;
  const CORNER = 12; // pixels around a selection's lower right corner that scale it
  const MAC = /^(Mac|iP)/.test(navigator.platform); // where Control and a press open a menu
  const FAR = 5; // cells that an arrow key jumps with Control

  // ── Pointer ────────────────────────────────────────────────────────────────────────────────

  function attachPointer(editor) {
    const { canvas, scroller, tip } = editor;
    const pointers = new Map();

    function cellAt(event) {
      const box = canvas.getBoundingClientRect();
      const { frames, rows } = editor.state;
      const x = (event.clientX - box.left + scroller.scrollLeft) / editor.column;
      const y = ((event.clientY - box.top) / box.height) * rows;
      return { x, y, f: C.clamp(Math.floor(x), 0, frames - 1), r: C.clamp(Math.floor(y), 0, rows - 1) };
    }

    const pixel = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };

    function onCorner(cell) {
      const { selection, settings, column, view, state } = editor;
      return Boolean(selection && settings.tool === "select"
        && Math.abs(cell.x - selection.f1 - 1) * column < CORNER
        && Math.abs(cell.y - selection.r1 - 1) * (view.height / state.rows) < CORNER);
    }

    function beginCurve(event) {
      const { curves, state } = editor;
      const hit = curves.hit(state, editor.look(), ...pixel(event));
      if (hit.curve !== undefined) {
        curves.index = hit.curve;
        editor.layout();
      }
      if (hit.point !== undefined) editor.gesture = curves.drag(state, hit.point, editor.guarded());
      editor.redraw();
    }

    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return; // nor remembered: its end may go to a menu
      pointers.set(event.pointerId, event);
      if (pointers.size > 1) return editor.cancel(); // a second finger scrolls
      canvas.setPointerCapture(event.pointerId);
      canvas.focus({ preventScroll: true });
      editor.cursor = null;
      editor.root.classList.remove("keys");
      if (editor.mode === "curves") return beginCurve(event);
      const cell = cellAt(event);
      editor.begin(cell, {
        shift: event.shiftKey, copy: event.altKey || event.metaKey || (event.ctrlKey && !MAC),
        corner: onCorner(cell),
      });
      hover(event);
    });

    canvas.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (before && !(event.buttons & 1)) lift(event); // its end went elsewhere
      else if (before && pointers.size > 1) {
        scroller.scrollLeft -= (event.clientX - before.clientX) / pointers.size;
        window.scrollBy(0, -(event.clientY - before.clientY) / pointers.size);
        pointers.set(event.pointerId, event);
        return;
      } else if (before) draw(event);
      hover(event);
    });

    function draw(event) {
      // of a large timeline a preview takes a while, so none is made that nobody sees
      const path = editor.gesture?.path ? event.getCoalescedEvents?.() ?? [] : [];
      for (const point of path.length ? path : [event]) {
        if (editor.mode === "matrix") editor.gesture?.move(cellAt(point));
        else editor.gesture?.moveTo(editor.curves.frame(editor.state, editor.look()).level(pixel(point)[1]));
      }
    }

    function lift(event) {
      if (!pointers.delete(event.pointerId)) return; // of another pointer than those that draw
      if (["pointercancel", "lostpointercapture"].includes(event.type)) editor.cancel();
      else editor.finish();
      if (event.pointerType === "touch") leave();
    }
    canvas.addEventListener("pointerup", lift);
    canvas.addEventListener("pointercancel", lift);
    canvas.addEventListener("lostpointercapture", lift);
    canvas.addEventListener("pointerleave", () => { if (!editor.gesture) leave(); });
    canvas.addEventListener("contextmenu", (event) => {
      // a long press paints, and a menu would take the end of what is being painted
      if (editor.gesture || event.pointerType === "touch") event.preventDefault();
    });
    canvas.addEventListener("dblclick", (event) => {
      if (editor.mode !== "curves") return;
      const { point } = editor.curves.hit(editor.state, editor.look(), ...pixel(event));
      if (point !== undefined) editor.commit(editor.curves.remove(editor.state, point, editor.guarded()), "curve point");
    });

    function hover(event) {
      const { curves, mode, shown: state } = editor;
      editor.hover = mode === "matrix" ? cellAt(event) : null;
      const box = editor.stage.getBoundingClientRect();
      const at = { left: event.clientX - box.left, top: event.clientY - box.top };
      const touch = event.pointerType === "touch";
      if (mode === "matrix") {
        const { f, r } = editor.hover;
        canvas.style.cursor = onCorner(editor.hover) ? "nwse-resize" : "";
        tip.show({ ...editor.cell(f, r), text: editor.gesture?.overlay?.text }, at, box.width, touch);
        if (!editor.gesture) scrub(editor, r, true);
      } else {
        const k = curves.frame(state, editor.look()).k(pixel(event)[0]);
        const [f, r] = curves.over === "steps" ? [curves.index, k] : [k, curves.index];
        tip.show(editor.cell(f, r),
          at, box.width, touch);
        if (!editor.gesture && curves.over === "steps") scrub(editor, r, true);
      }
      editor.redraw();
    }

    function leave() {
      editor.hover = null;
      tip.hide();
      scrub(editor, null, true);
      editor.redraw();
    }
  }

  /** The tip beside the keyboard's cursor. */
  function showTip(editor) {
    const { cursor: { f, r }, shown, canvas, stage, scroller, column } = editor;
    const [box, outer] = [canvas.getBoundingClientRect(), stage.getBoundingClientRect()];
    const at = { left: box.left - outer.left + (f + 1) * column - scroller.scrollLeft,
      top: box.top - outer.top + ((r + 0.5) * box.height) / shown.rows };
    editor.tip.show(editor.cell(f, r), at, outer.width);
  }

  // ── Playhead ───────────────────────────────────────────────────────────────────────────────

  /** Asks the strip for the tiles of a row; null lets it rest where it was left. */
  function scrub(editor, row, passing = false) {
    const { running, step } = editor.playhead;
    if (running || (step === null && row !== null)) return;
    dispatchEvent(new CustomEvent("fvdm:scrub", { detail: { step: row, passing } }));
  }

  function attachPlayhead(editor) {
    const { axis } = editor;
    const rowAt = (event) => {
      const box = axis.getBoundingClientRect();
      const { rows } = editor.state;
      return C.clamp(Math.floor(((event.clientY - box.top) / box.height) * rows), 0, rows - 1);
    };
    axis.addEventListener("pointerdown", (event) => {
      axis.setPointerCapture(event.pointerId);
      scrub(editor, rowAt(event));
    });
    axis.addEventListener("pointermove", (event) => {
      if (axis.hasPointerCapture(event.pointerId)) scrub(editor, rowAt(event));
    });
    addEventListener("fvdm:playhead", ({ detail }) => {
      editor.playhead = detail;
      editor.redraw();
    }, { signal: editor.closing.signal });
  }

  // ── Keys ───────────────────────────────────────────────────────────────────────────────────

  const MOVES = {
    ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
    Home: [-Infinity, 0], End: [Infinity, 0], PageUp: [0, -10], PageDown: [0, 10],
  };

  const LEVEL_KEYS = { "[": -1, "]": 1, "-": -1, "+": 1, "=": 1 };

  function attachKeys(editor) {
    const { root, canvas } = editor;
    let spaceMoved = false;

    root.addEventListener("keydown", (event) => {
      if (event.target.matches("select, [popover] *")) return;
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      // AltGraph is how many keyboards write brackets; the browser reports it as Control and Alt.
      const command = (event.ctrlKey || event.metaKey) && !event.getModifierState("AltGraph");
      const onCanvas = event.target === canvas;
      const handled = command ? commandKey(key, event, onCanvas) : anyKey(key, event)
        || (onCanvas && (editor.mode === "curves" ? curveKey(key, event) : canvasKey(key, event)));
      if (!handled) return;
      event.preventDefault();
      event.stopPropagation();
    });

    // Undo and redo work wherever on the page the focus is, but for text that has an undo of its own.
    document.addEventListener("keydown", (event) => {
      const key = event.key?.toLowerCase(); // filling in a form by itself is a key without a name
      if (event.defaultPrevented || !(event.ctrlKey || event.metaKey) || !["z", "y"].includes(key)) return;
      const typing = "textarea, [contenteditable], input:not([type=range], [type=checkbox], [type=radio])";
      if (event.target.closest?.(`${typing}, [popover]`)) return;
      event.preventDefault();
      commandKey(key, event, false);
    }, { signal: editor.closing.signal });

    root.addEventListener("keyup", (event) => {
      if (event.key === "Tab") root.classList.add("keys");
    });
    canvas.addEventListener("keyup", (event) => {
      if (event.key === " " && editor.gesture && (spaceMoved || !sticky())) finishAtCursor();
    });

    // The key may be let go elsewhere, which the canvas is not told.
    canvas.addEventListener("blur", () => {
      if (!editor.gesture || !editor.cursor) return; // the pointer stays captured
      if (spaceMoved || !sticky()) finishAtCursor(); else editor.cancel();
    });

    // A tool that needs two corners waits for the second Space if the first was only tapped.
    const sticky = () => ["line", "ramp", "fill", "select"].includes(editor.settings.tool);

    function commandKey(key, event, onCanvas) {
      if (key === "z") editor.travel(event.shiftKey ? "redo" : "undo");
      else if (key === "y") editor.travel("redo");
      else if (key === "c" && editor.selection) editor.blockAction("copy");
      else if (key === "x" && editor.selection) editor.blockAction("cut");
      else if (key === "a" && onCanvas) {
        editor.choose("select");
        const { frames, rows } = editor.state;
        editor.selection = { f0: 0, r0: 0, f1: frames - 1, r1: rows - 1 };
        editor.redraw();
      } else return onCanvas && editor.mode === "matrix" && key in MOVES && moveCursor(key, event);
      return true;
    }

    function anyKey(key, event) {
      if (event.target.matches("input") && !(key in LEVEL_KEYS) && !/^[a-z]$/.test(key)) return false;
      const { settings } = editor;
      if (key === "Escape" && editor.selection && !editor.gesture) {
        editor.blockAction("close");
      } else if (key in LEVEL_KEYS) {
        const fine = event.altKey && !event.getModifierState("AltGraph");
        editor.setLevel(settings.level + LEVEL_KEYS[key] * (fine ? 10 : 50));
        editor.say(`Level ${C.percent(settings.level)}.`);
      } else if (/^[0-9]$/.test(key)) {
        editor.setLevel(Number(key) * 100);
        editor.say(`Level ${C.percent(settings.level)}.`);
      } else if (key === "n") {
        editor.setLevel(C.MAX);
        editor.say("Level 100 %.");
      } else if (key === "c" && !event.altKey) {
        editor.setMode(editor.mode === "curves" ? "matrix" : "curves");
      } else if (key === "m" && editor.selection) {
        editor.blockAction(event.shiftKey ? "flip" : "mirror");
      } else {
        const tool = TOOLS.find(([, , letter]) => letter.toLowerCase() === key);
        if (!tool || event.altKey) return false;
        editor.choose(tool[0]);
      }
      return true;
    }

    function canvasKey(key, event) {
      if (key in MOVES) return moveCursor(key, event);
      if (key === "Escape") {
        if (editor.gesture) editor.cancel(); else editor.blockAction("close");
        return true;
      }
      if (key === "Delete" || key === "Backspace") {
        if (editor.selection) editor.blockAction("erase");
        return true;
      }
      if (key !== " " && key !== "Enter") return false;
      if (event.repeat) return true;
      if (key === "Enter" && editor.selection && !editor.gesture) editor.blockAction("fill");
      else if (editor.gesture) finishAtCursor();
      else {
        spaceMoved = false;
        editor.cursor ??= cell(0, 0);
        editor.begin(editor.cursor, { shift: event.shiftKey });
        if (key === "Enter" && !sticky()) finishAtCursor();
      }
      return true;
    }

    const cell = (f, r) => ({ f, r, x: f + 0.5, y: r + 0.5 });

    function moveCursor(key, event) {
      const { state, scroller, column } = editor;
      const far = event.ctrlKey || event.metaKey ? FAR : 1;
      const [df, dr] = MOVES[key].map((d) => d * far);
      const from = editor.cursor ?? editor.hover ?? cell(0, 0);
      const f = C.clamp(editor.cursor ? from.f + df : from.f, 0, state.frames - 1);
      const r = C.clamp(editor.cursor ? from.r + dr : from.r, 0, state.rows - 1);
      editor.cursor = cell(f, r);
      editor.root.classList.add("keys");
      spaceMoved = true;
      editor.gesture?.move(editor.cursor);
      const left = f * column;
      if (left < scroller.scrollLeft) scroller.scrollLeft = left;
      if (left + column > scroller.scrollLeft + editor.viewWidth) scroller.scrollLeft = left + column - editor.viewWidth;
      tellCursor();
      editor.redraw();
      return true;
    }

    function tellCursor() {
      const { f, r } = editor.cursor;
      showTip(editor);
      const frozen = C.isFrozen(editor.shown, f) ? ", frozen" : "";
      editor.say(`Frame ${f + 1}, step ${r}: ${C.percent(C.levelAt(editor.shown, f, r))} noise${frozen}.`);
    }

    /** Ends what the keyboard draws, and says what the cell is now unless that has said something. */
    function finishAtCursor() {
      const said = editor.live.textContent;
      const note = editor.gesture?.note;
      editor.finish();
      if (editor.cursor && !note && editor.live.textContent === said) tellCursor();
    }

    /** Curves: left and right go through the points, up and down move one, Page keys change curve. */
    function curveKey(key, event) {
      if (key === "Escape" && editor.gesture) {
        editor.cancel();
        return true;
      }
      const { curves, state } = editor;
      const points = curves.pointsOf(state);
      const place = C.clamp(points.indexOf(curves.focus ?? points[0]), 0, points.length - 1);
      const values = FvdmCurves.curveOf(state, curves.over, curves.index);
      if (key === "ArrowLeft" || key === "ArrowRight") {
        curves.focus = points[C.clamp(place + (key === "ArrowRight" ? 1 : -1), 0, points.length - 1)];
      } else if (key === "ArrowUp" || key === "ArrowDown") {
        const k = points[place];
        const gesture = curves.drag(state, k, editor.guarded());
        gesture.moveTo(values[k] + (key === "ArrowUp" ? 1 : -1) * (event.shiftKey ? 50 : 10));
        editor.gesture = gesture;
        editor.finish();
        curves.focus = k;
        if (gesture.note) return true; // has been said
      } else if (key === "PageUp" || key === "PageDown") {
        curves.index = C.clamp(curves.index + (key === "PageDown" ? 1 : -1), 0, curves.count(state) - 1);
        curves.focus = 0;
        editor.layout();
      } else if (key === "Delete" || key === "Backspace") {
        editor.commit(curves.remove(state, points[place], editor.guarded()), "curve point");
      } else return false;
      editor.root.classList.add("keys");
      const k = curves.focus ?? points[place];
      const now = FvdmCurves.curveOf(editor.state, curves.over, curves.index);
      editor.say(curves.over === "steps" ? `Frame ${curves.index + 1}, step ${k}: ${C.percent(now[k])} noise.`
        : `Step ${curves.index}, frame ${k + 1}: ${C.percent(now[k])} noise.`);
      editor.redraw();
      return true;
    }
  }

  // ── Drops and paste ────────────────────────────────────────────────────────────────────────

  /** A picture may be dropped anywhere on its column, and pasted where the focus or pointer is. */
  function attachDrops(editor) {
    const { columns, slots, root } = editor;
    const frameAt = (event) => {
      const x = (event.clientX - columns.getBoundingClientRect().left) / editor.column;
      return C.clamp(Math.floor(x), 0, editor.state.frames - 1);
    };
    columns.addEventListener("dragover", (event) => slots.dragOver(event, frameAt(event)));
    columns.addEventListener("dragleave", (event) => {
      if (!columns.contains(event.relatedTarget)) slots.highlight(-1, 0);
    });
    columns.addEventListener("drop", (event) => slots.drop(event, frameAt(event)));
    // Firefox pastes at the last selected text, wherever the focus is.
    document.addEventListener("paste", (event) => {
      if (!root.contains(document.activeElement)) return;
      const files = event.clipboardData?.files ?? [];
      if (files.length) {
        const focused = slots.slots.findIndex(({ button }) => button === document.activeElement);
        const empty = slots.slots.findIndex((_, f) => !C.keyframeOn(editor.state, f));
        const frame = focused >= 0 ? focused : editor.cursor?.f ?? editor.hover?.f ?? Math.max(0, empty);
        slots.take(event.clipboardData, frame);
      } else if (editor.block) editor.pasteBlock();
      else return;
      event.preventDefault();
    }, { signal: editor.closing.signal });
  }

  // ── Scrolling, together with the strip ─────────────────────────────────────────────────────

  function attachScroll(editor) {
    const { scroller } = editor;
    scroller.addEventListener("scroll", () => {
      dispatchEvent(new CustomEvent("fvdm:scroll", { detail: { left: scroller.scrollLeft, from: "editor" } }));
      editor.redraw();
    });
    addEventListener("fvdm:scroll", ({ detail }) => {
      const moved = Math.abs(detail.left - scroller.scrollLeft) > 0.5;
      if (detail.from !== "editor" && moved) scroller.scrollLeft = detail.left;
    }, { signal: editor.closing.signal });
  }

  /** Other parts of the page speak through the editor's line of text, and mend frames. */
  function attachSaying(editor) {
    addEventListener("fvdm:known", ({ detail }) => editor.markKnown(detail.steps),
      { signal: editor.closing.signal });
    addEventListener("fvdm:mend", ({ detail: { what, frames } }) => {
      editor.change((now) => FvdmPictures.mend(now, what, frames), "mended frames");
      editor.say(`${C.frameNames(frames)} mended. Control Z takes it back.`);
    }, { signal: editor.closing.signal });
    addEventListener("fvdm:say", ({ detail: { text, error } }) => editor.say(text, error),
      { signal: editor.closing.signal });
  }

  function attach(editor) {
    attachSaying(editor);
    attachPointer(editor);
    attachPlayhead(editor);
    attachKeys(editor);
    attachDrops(editor);
    attachScroll(editor);
    editor.canvas.addEventListener("focus", () => editor.redraw());
    editor.canvas.addEventListener("blur", () => { editor.tip.hide(); editor.redraw(); });
    new ResizeObserver(() => editor.layout()).observe(editor.root);
    addEventListener("resize", () => editor.layout(), { signal: editor.closing.signal });
  }

  return { attach };
})();
