/* The editor on the page: builds the elements, turns pointer and keys into gestures, and keeps
   canvas, slots and server in step. Runs once per component, with gradio's element, props,
   trigger, upload and watch. */

const FvdmEditor = (() => {
  const C = FvdmCore;
  const G = FvdmGestures;
  const { h, icon, onTheme } = FvdmDom;

  const TOOLS = [
    ["brush", "Brush", "B", "Paint the chosen level. Shift draws a straight line."],
    ["line", "Line", "L", "Drag a straight line of the chosen level."],
    ["ramp", "Ramp", "G", "Drag from a cell: levels go evenly from its level to the chosen one."],
    ["fill", "Fill block", "R", "Drag a block of the chosen level."],
    ["freeze", "Freeze", "F", "Click or drag over columns: frozen frames stay as they are."],
    ["hold", "Hold", "H", "Click or drag over columns: they start as a copy of the nearest known frame."],
    ["erase", "Eraser", "E", "Bring back the levels of the preset."],
    ["select", "Select", "S", "Drag a block, then move it, copy it (Ctrl-C), paste it (Ctrl-V) or scale its corner."],
  ];
  const NARROW = 620; // below this width the tools lie above the canvas
  const LEAST_COLUMN = 26;
  const LEAST_COLUMN_TOUCH = 34;

  function mount({ element, props, trigger, upload, watch }) {
    const root = element.querySelector(".fvdm-editor");
    const ui = {
      tool: "brush", level: 600, width: 1, height: 2, soft: 0, guard: true,
      fitAll: false, hover: null, cursor: null, anchor: null, gesture: null, selection: null,
      clipboard: null, playhead: null, running: false, column: 1, view: 1, accent: "#f97316",
    };
    const initial = props.value?.levels?.length ? C.fromValue(plain(props.value)) : C.standard(16, 30);
    let history = new C.History(initial);
    const state = () => history.state;

    // ── Elements ───────────────────────────────────────────────────────────────────────────

    const canvas = h("canvas", {
      class: "canvas", "data-testid": "timeline-canvas", tabindex: "0", role: "application",
      "aria-roledescription": "noise level canvas", "aria-describedby": "fvdm-editor-help",
    });
    const view = new FvdmView.View(canvas);
    const live = h("div", { class: "visually-hidden", role: "status", "aria-live": "polite", "data-testid": "editor-live" });
    const status = h("div", { class: "status", "data-testid": "editor-status" });
    const tip = h("div", { class: "tip", "aria-hidden": "true", "data-testid": "level-tip" });
    const help = h("p", { class: "visually-hidden", id: "fvdm-editor-help" },
      "Frames run from left to right, steps from top to bottom. Arrow keys move the cursor, Space " +
      "applies the tool, letters choose tools, brackets change the level, Control Z takes back.");
    const slots = new FvdmSlots.Slots({ upload, state, commit, say });
    const axis = h("div", { class: "axis", "data-testid": "step-axis" });
    const handle = h("div", { class: "playhead-handle", "data-testid": "playhead" });
    const columns = h("div", { class: "columns" }, slots.row, slots.headRow,
      h("div", { class: "canvas-holder" }, canvas));
    const scroller = h("div", { class: "scroller", "data-testid": "editor-scroller" }, columns);
    const fitButton = h("button", { type: "button", class: "fit", "aria-pressed": "false",
      title: "Show all frames at once", "aria-label": "Show all frames at once",
      onClick: () => { ui.fitAll = !ui.fitAll; layout(); } }, icon("fit"));
    const stage = h("div", { class: "stage" },
      h("div", { class: "stage-head" }, status),
      h("div", { class: "axis-column" }, h("div", { class: "axis-corner" }, fitButton), axis),
      scroller, tip);

    const toolButtons = new Map(TOOLS.map(([name, title, key, hint]) => [name, h("button", {
      type: "button", class: "tool", role: "radio", "data-testid": `tool-${name}`,
      "aria-label": `${title} (${key})`, title: `${title} (${key}): ${hint}`,
      onClick: () => choose(name),
    }, icon(name))]));
    const undoButton = h("button", { type: "button", class: "tool", "data-testid": "undo",
      "aria-label": "Undo (Ctrl Z)", onClick: () => undo() }, icon("undo"));
    const redoButton = h("button", { type: "button", class: "tool", "data-testid": "redo",
      "aria-label": "Redo (Ctrl Shift Z)", onClick: () => redo() }, icon("redo"));
    const levelSlider = h("input", { type: "range", min: "0", max: "1000", step: "10", class: "level",
      "aria-label": "Noise level", "data-testid": "level", onInput: () => setLevel(Number(levelSlider.value)) });
    const levelText = h("output", { class: "level-text", "data-testid": "level-text" });
    const levelWord = h("span", { class: "level-word" });
    const swatch = (level) => {
      const button = h("button", { type: "button", class: "swatch", "aria-label": `Level ${C.percent(level)}`,
        onClick: () => setLevel(level) }, String(level / 10));
      button.style.setProperty("--swatch", C.css(level));
      return button;
    };
    const guardButton = h("button", { type: "button", class: "tool", "data-testid": "guard",
      "aria-label": "Protect frozen frames", title: "Protect frozen frames from brush, line, ramp and fill",
      onClick: () => { ui.guard = !ui.guard; sync(); } }, icon("shield"));
    const size = (name, label, least, most) => {
      const input = h("input", { type: "range", min: least, max: most, "data-testid": `brush-${name}`,
        "aria-label": label, onInput: () => { ui[name] = Number(input.value) / (name === "soft" ? 100 : 1); sync(); } });
      const text = h("output");
      return { input, text, node: h("label", { class: "size", title: label }, h("span", {}, label), input, text) };
    };
    const sizes = {
      width: size("width", "Frames", 1, 8), height: size("height", "Steps", 1, 12), soft: size("soft", "Soft", 0, 100),
    };
    const rail = h("div", { class: "rail", role: "toolbar", "aria-label": "Painting tools", "aria-orientation": "vertical" },
      h("div", { class: "tools", role: "radiogroup", "aria-label": "Tool" }, ...toolButtons.values()),
      h("div", { class: "tools" }, undoButton, redoButton, guardButton),
      h("div", { class: "divider" }),
      h("div", { class: "level-box" },
        h("div", { class: "level-track" }, levelSlider),
        h("div", { class: "level-head" }, levelText, levelWord),
        h("div", { class: "swatches" }, ...[1000, 750, 500, 250, 0].map(swatch))),
      h("div", { class: "sizes" }, ...Object.values(sizes).map(({ node }) => node)));

    axis.append(handle);
    root.replaceChildren(rail, stage, help, live, slots.chooser, slots.menu);

    // ── State, history, server ─────────────────────────────────────────────────────────────

    function commit(next, label) {
      if (!history.push(next, label)) return redraw();
      send();
      sync();
    }

    function send() {
      props.value = structuredClone(C.toValue(state()));
      trigger("edited");
    }

    function undo() { travel("undo", "Undone"); }
    function redo() { travel("redo", "Redone"); }

    function travel(way, word) {
      const label = history[way]();
      if (label === null) return say(way === "undo" ? "Nothing to undo." : "Nothing to redo.");
      say(`${word}: ${label}.`);
      send();
      sync();
    }

    function fromServer() {
      const value = plain(props.value);
      if (!value?.levels?.length || JSON.stringify(value) === JSON.stringify(C.toValue(state()))) return;
      ui.gesture = null;
      ui.selection = null;
      history.push(C.fromServer(state(), value), "change from the panel");
      sync();
    }

    function say(text, isError = false) {
      live.textContent = text;
      status.textContent = text;
      status.classList.toggle("error", isError);
    }

    // ── Layout ─────────────────────────────────────────────────────────────────────────────

    function layout() {
      const width = root.clientWidth;
      if (!width) return;
      root.classList.toggle("narrow", width < NARROW);
      const touch = matchMedia("(pointer: coarse)").matches;
      ui.view = scroller.clientWidth;
      const least = ui.fitAll ? 2 : touch ? LEAST_COLUMN_TOUCH : LEAST_COLUMN;
      ui.column = C.columnWidth(ui.view, state().frames, least);
      const slot = C.clamp(ui.column, 26, 76);
      const height = Math.round(C.clamp(state().rows * 12, 250, width < NARROW ? 300 : 372));
      root.style.setProperty("--column", `${ui.column}px`);
      root.style.setProperty("--slot", `${slot}px`);
      root.style.setProperty("--canvas", `${height}px`);
      columns.style.width = `${ui.column * state().frames}px`;
      view.resize(ui.view, height);
      fitButton.hidden = state().frames * (touch ? LEAST_COLUMN_TOUCH : LEAST_COLUMN) <= ui.view;
      fitButton.setAttribute("aria-pressed", String(ui.fitAll));
      labelAxis(height);
      slots.render(state(), ui.column);
      publish();
      redraw();
    }

    function labelAxis(height) {
      const { rows } = state();
      const steps = rows - 1;
      const every = [1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000].find((n) => (n / rows) * height >= 26) ?? rows;
      const marks = [];
      for (let r = 0; r <= steps; r += every) if (r === steps || steps - r >= every * 0.6) marks.push(r);
      if (marks.at(-1) !== steps) marks.push(steps);
      axis.replaceChildren(handle, ...marks.map((r) => {
        const mark = h("span", { class: "mark" }, String(r));
        mark.style.top = `${((r + 0.5) / rows) * 100}%`;
        return mark;
      }));
    }

    /** Tells the strip where the columns are. */
    function publish() {
      const { left } = scroller.getBoundingClientRect();
      const detail = { left, view: ui.view, column: ui.column, frames: state().frames, scroll: scroller.scrollLeft };
      window.fvdmGeometry = detail;
      dispatchEvent(new CustomEvent("fvdm:geometry", { detail }));
    }

    /** Brings every element in line with the state. */
    function sync() {
      const { rows, frames } = state();
      for (const [name, button] of toolButtons) {
        button.setAttribute("aria-checked", String(name === ui.tool));
        button.tabIndex = name === ui.tool ? 0 : -1;
      }
      guardButton.setAttribute("aria-pressed", String(ui.guard));
      undoButton.disabled = !history.canUndo;
      redoButton.disabled = !history.canRedo;
      setLevel(ui.level);
      sizes.width.input.max = String(Math.min(frames, 16));
      sizes.height.input.max = String(Math.min(rows, Math.max(12, Math.round(rows / 4))));
      ui.width = Math.min(ui.width, frames);
      ui.height = Math.min(ui.height, rows);
      for (const [name, { input, text }] of Object.entries(sizes)) {
        const value = name === "soft" ? Math.round(ui.soft * 100) : ui[name];
        input.value = String(value);
        text.textContent = name === "soft" ? `${value} %` : String(value);
      }
      canvas.setAttribute("aria-label", `Timeline: ${frames} frames, ${rows - 1} steps`);
      layout();
    }

    // ── Drawing ────────────────────────────────────────────────────────────────────────────

    let drawing = false;
    function redraw() {
      if (drawing) return;
      drawing = true;
      requestAnimationFrame(() => { drawing = false; draw(); });
    }

    function draw() {
      const { gesture } = ui;
      const shown = gesture?.preview ?? state();
      view.draw(shown, {
        column: ui.column, scroll: scroller.scrollLeft, theme: { accent: ui.accent },
        playhead: ui.playhead === null ? null : ui.playhead * ((shown.rows - 1) / ui.playSteps),
        running: ui.running, overlay: gesture?.overlay,
        selection: ui.tool === "select" ? gesture?.overlay?.selection ?? ui.selection : null,
        cursor: ui.cursor && document.activeElement === canvas ? ui.cursor : null,
        brush: brushBox(shown), mutable: Boolean(gesture),
      });
      window.fvdmEditor.lastDrawMs = view.lastDrawMs;
      placeHandle(shown);
    }

    function brushBox({ frames, rows }) {
      const at = ui.hover;
      if (!at || ui.gesture?.overlay || ui.tool === "select") return null;
      if (ui.tool === "freeze" || ui.tool === "hold") return { f0: at.f, f1: at.f, r0: 0, r1: rows - 1 };
      if (ui.tool === "fill") return { f0: at.f, f1: at.f, r0: at.r, r1: at.r };
      const f0 = Math.round(at.x - ui.width / 2);
      const r0 = Math.round(at.y - ui.height / 2);
      return { f0: Math.max(0, f0), f1: Math.min(frames, f0 + ui.width) - 1,
        r0: Math.max(0, r0), r1: Math.min(rows, r0 + ui.height) - 1 };
    }

    function placeHandle({ rows }) {
      handle.hidden = ui.playhead === null;
      if (ui.playhead === null) return;
      const row = ui.playhead * ((rows - 1) / ui.playSteps);
      handle.style.top = `${((row + 0.5) / rows) * 100}%`;
      handle.classList.toggle("running", ui.running);
    }

    // ── Pointer ────────────────────────────────────────────────────────────────────────────

    const pointers = new Map();

    function cellAt(event) {
      const box = canvas.getBoundingClientRect();
      const { frames, rows } = state();
      const x = (event.clientX - box.left + scroller.scrollLeft) / ui.column;
      const y = ((event.clientY - box.top) / box.height) * rows;
      return { x, y, f: C.clamp(Math.floor(x), 0, frames - 1), r: C.clamp(Math.floor(y), 0, rows - 1) };
    }

    function options(event) {
      return {
        level: ui.level, width: ui.width, height: ui.height, soft: ui.soft,
        guarded: ui.guard ? C.frozenFrames(state()) : [], line: ui.tool === "brush" && event.shiftKey,
        selection: ui.selection, copy: event.altKey || event.ctrlKey || event.metaKey,
      };
    }

    function begin(cell, event) {
      const corner = ui.selection && ui.tool === "select"
        && Math.abs(cell.x - ui.selection.f1 - 1) * ui.column < 12
        && Math.abs(cell.y - ui.selection.r1 - 1) * (view.height / state().rows) < 12;
      ui.gesture = corner ? G.scale(state(), cell, options(event))
        : G.start[ui.tool](state(), cell, options(event));
    }

    function finish() {
      const { gesture } = ui;
      ui.gesture = null;
      if (!gesture) return;
      if (gesture.selection) ui.selection = gesture.selection;
      const { result, note, label } = gesture;
      if (result !== state()) commit(result, label); else redraw();
      if (note) say(note);
    }

    function cancel() {
      ui.gesture = null;
      redraw();
    }

    canvas.addEventListener("pointerdown", (event) => {
      pointers.set(event.pointerId, event);
      canvas.setPointerCapture(event.pointerId);
      if (pointers.size > 1) return cancel(); // a second finger scrolls
      if (event.button !== 0) return;
      canvas.focus({ preventScroll: true });
      ui.cursor = null;
      begin(cellAt(event), event);
      hover(event);
    });

    canvas.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (pointers.size > 1 && before) {
        scroller.scrollLeft -= (event.clientX - before.clientX) / pointers.size;
        window.scrollBy(0, -(event.clientY - before.clientY) / pointers.size);
        pointers.set(event.pointerId, event);
        return;
      }
      if (ui.gesture) {
        const path = event.getCoalescedEvents?.() ?? [];
        for (const point of path.length ? path : [event]) ui.gesture.move(cellAt(point));
      }
      hover(event);
    });

    const lift = (event) => {
      pointers.delete(event.pointerId);
      if (event.type === "pointercancel") cancel(); else finish();
      if (event.pointerType === "touch") leave();
    };
    canvas.addEventListener("pointerup", lift);
    canvas.addEventListener("pointercancel", lift);
    canvas.addEventListener("pointerleave", () => { if (!ui.gesture) leave(); });
    canvas.addEventListener("contextmenu", (event) => { if (event.pointerType === "touch") event.preventDefault(); });

    function hover(event) {
      ui.hover = cellAt(event);
      showTip(event);
      scrub(ui.gesture ? null : ui.hover.r, true);
      redraw();
    }

    function leave() {
      ui.hover = null;
      tip.classList.remove("shown");
      scrub(null, true);
      redraw();
    }

    function showTip(event) {
      const { f, r } = ui.hover;
      const shown = ui.gesture?.preview ?? state();
      const text = ui.gesture?.overlay?.text;
      const level = C.levelAt(shown, f, r);
      tip.replaceChildren(h("b", {}, text ?? C.percent(level)),
        h("span", {}, `frame ${f + 1} · step ${r}`));
      tip.style.setProperty("--tip-color", C.css(level));
      const box = stage.getBoundingClientRect();
      const left = event.clientX - box.left + 16;
      const flip = left + 132 > box.width;
      tip.style.transform = `translate(${flip ? left - 156 : left}px, ${event.clientY - box.top - (event.pointerType === "touch" ? 64 : 18)}px)`;
      tip.classList.add("shown");
    }

    // ── Playhead ───────────────────────────────────────────────────────────────────────────

    /** Asks the strip for the tiles of a row; null lets it show the latest ones again. */
    function scrub(row, passing = false) {
      if (ui.running || ui.playSteps === undefined) return;
      const step = row === null ? null : (row * ui.playSteps) / (state().rows - 1);
      dispatchEvent(new CustomEvent("fvdm:scrub", { detail: { step, passing } }));
    }

    const axisRow = (event) => {
      const box = axis.getBoundingClientRect();
      return C.clamp(Math.floor(((event.clientY - box.top) / box.height) * state().rows), 0, state().rows - 1);
    };
    axis.addEventListener("pointerdown", (event) => {
      axis.setPointerCapture(event.pointerId);
      scrub(axisRow(event));
    });
    axis.addEventListener("pointermove", (event) => {
      if (axis.hasPointerCapture(event.pointerId)) scrub(axisRow(event));
    });

    addEventListener("fvdm:playhead", ({ detail }) => {
      ui.playhead = detail.step;
      ui.playSteps = Math.max(1, detail.steps || 1);
      ui.running = Boolean(detail.running);
      redraw();
    });

    // ── Keys and choices ───────────────────────────────────────────────────────────────────

    function choose(tool) {
      ui.tool = tool;
      root.dataset.tool = tool;
      const [, title, , hint] = TOOLS.find(([name]) => name === tool);
      say(`${title}: ${hint}`);
      sync();
    }

    function setLevel(level) {
      ui.level = C.clamp(Math.round(level), 0, C.MAX);
      levelSlider.value = String(ui.level);
      levelText.textContent = C.percent(ui.level);
      levelWord.textContent = ui.level === 0 ? "clean" : ui.level === C.MAX ? "pure noise" : "noise";
      root.style.setProperty("--level-color", C.css(ui.level));
    }

    root.addEventListener("keydown", (event) => {
      if (event.target.matches("input:not([type=range]), textarea, select")) return;
      const command = event.ctrlKey || event.metaKey;
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      const done = command ? commandKey(key, event) : plainKey(key, event);
      if (done) {
        event.preventDefault();
        event.stopPropagation();
      }
    });

    function commandKey(key, event) {
      if (key === "z") { event.shiftKey ? redo() : undo(); return true; }
      if (key === "y") { redo(); return true; }
      return false;
    }

    function plainKey(key, event) {
      if (key === "[" || key === "]") {
        setLevel(ui.level + (key === "]" ? 1 : -1) * (event.altKey ? 10 : 50));
        say(`Level ${C.percent(ui.level)}.`);
        return true;
      }
      const tool = TOOLS.find(([, , letter]) => letter.toLowerCase() === key);
      if (tool && !event.altKey) { choose(tool[0]); return true; }
      return false;
    }

    // ── Start ──────────────────────────────────────────────────────────────────────────────

    scroller.addEventListener("scroll", () => {
      dispatchEvent(new CustomEvent("fvdm:scroll", { detail: { left: scroller.scrollLeft, from: "editor" } }));
      redraw();
    });
    addEventListener("fvdm:scroll", ({ detail }) => {
      if (detail.from !== "editor" && Math.abs(detail.left - scroller.scrollLeft) > 0.5) scroller.scrollLeft = detail.left;
    });
    canvas.addEventListener("focus", redraw);
    canvas.addEventListener("blur", redraw);
    window.fvdmEditor = { lastDrawMs: 0, get value() { return C.toValue(state()); }, get geometry() { return window.fvdmGeometry; } };
    onTheme(() => {
      ui.accent = getComputedStyle(root).getPropertyValue("--color-accent").trim() || ui.accent;
      redraw();
    });
    new ResizeObserver(layout).observe(root);
    addEventListener("resize", layout);
    watch("value", fromServer);
    root.dataset.tool = ui.tool;
    root.style.setProperty("--map", Array.from({ length: 11 }, (_, k) => C.css(k * 100)).join(","));
    ui.height = Math.max(1, Math.round(state().rows / 14));
    sync();
    root.dataset.ready = "true";
  }

  /** A copy without gradio's proxies. */
  const plain = (value) => (value ? JSON.parse(JSON.stringify(value)) : null);

  return { mount };
})();

FvdmEditor.mount({ element, props, trigger, upload, watch });
