/* What each tool does between pointer down and up: a gesture previews a state, no DOM.

   start(state, cell, options) → { move(cell), preview, overlay, label, note, path }. A cell is
   { x, y, f, r }: a place in cells and the frame and row that it lies in. options is
   { level, width, height, soft, guarded, line }. preview is what the person sees and what is
   committed on release; overlay is what is drawn over it; note says why nothing changed; path is
   whether all places on the way matter, not only the last. */

const FvdmGestures = (() => {
  const C = FvdmCore;
  const E = FvdmEdits;
  const PROTECTED = "Frozen frames are protected. Click a snowflake to free its frame.";

  function stroke(state, cell, options, { target = null, label }) {
    let line = new E.Stroke(state, options, { target, guarded: options.guarded });
    const gesture = {
      label,
      overlay: null,
      path: !options.line,
      get preview() { return { ...state, levels: line.levels }; },
      get result() { return line.result(); },
      get note() {
        return line.touchedGuarded && !line.changed
          ? PROTECTED : "";
      },
      move(next) {
        if (options.line) {
          line = new E.Stroke(state, options, { target, guarded: options.guarded });
          line.to(cell.x, cell.y);
        }
        line.to(next.x, next.y);
      },
    };
    gesture.move(cell);
    return gesture;
  }

  /** A gesture that is computed afresh from its first and its latest cell. guarded: frames that it
      leaves alone, and where it meets these only, it says so; `always`: of a mere press, too. */
  function between(state, cell, compute, label, guarded = [], always = false) {
    const gesture = { label, note: "" };
    gesture.move = (next) => {
      Object.assign(gesture, compute(cell, next));
      const { f0, f1 } = gesture.selection ?? E.rectangle(state, cell, next);
      const passed = Array.from({ length: f1 - f0 + 1 }, (_, k) => f0 + k);
      const none = gesture.preview === state && passed.every((f) => guarded.includes(f));
      gesture.note = none && (always || !same(cell, next)) ? PROTECTED : "";
    };
    Object.defineProperty(gesture, "result", { get: () => gesture.preview });
    gesture.move(cell);
    return gesture;
  }

  /** Columns that the pointer passes; the first decides whether they are switched on or off. */
  function columns(state, cell, { isOn, apply, label }) {
    const on = !isOn(state, cell.f);
    const frames = new Set();
    const gesture = {
      label: label(on), note: "", overlay: null, path: true, preview: state,
      move(next) {
        frames.add(next.f);
        gesture.preview = apply(state, [...frames], on);
      },
      get result() { return gesture.preview; },
    };
    gesture.move(cell);
    return gesture;
  }

  const same = (a, b) => a.f === b.f && a.r === b.r;

  const start = {
    brush: (state, cell, o) => stroke(state, cell, o, { label: "brush stroke" }),
    line: (state, cell, o) => stroke(state, cell, { ...o, line: true }, { label: "line" }),
    erase: (state, cell, o) =>
      stroke(state, cell, o, { target: state.base, label: "eraser stroke" }),

    ramp(state, cell, o) {
      const from = C.levelAt(state, cell.f, cell.r);
      return between(state, cell, (a, b) => ({
        preview: same(a, b) ? state : E.ramp(state, a, b, { ...o, from, to: o.level }),
        overlay: { arrow: [a, b], text: `${C.percent(from)} → ${C.percent(o.level)}` },
      }), "ramp", o.guarded);
    },

    fill: (state, cell, o) => between(state, cell, (a, b) => {
      const rect = E.rectangle(state, a, b);
      return { preview: E.fill(state, rect, () => o.level, o.guarded), overlay: { rect } };
    }, "filled block", o.guarded, true),

    freeze: (state, cell) => columns(state, cell, {
      isOn: C.isFrozen, apply: E.freeze, label: (on) => (on ? "freeze" : "unfreeze"),
    }),

    hold: (state, cell) => columns(state, cell, {
      isOn: C.isHeld, apply: E.hold, label: (on) => (on ? "hold" : "no hold"),
    }),
  };

  /** Draws a selection, or drags the one that the pointer went down in. copy leaves the cells
      where they were. The gesture's selection is where it ends up. */
  function select(state, cell, { selection, copy, guarded }) {
    const within = selection && cell.f >= selection.f0 && cell.f <= selection.f1
      && cell.r >= selection.r0 && cell.r <= selection.r1;
    if (!within) {
      return between(state, cell, (a, b) => {
        const rect = E.rectangle(state, a, b);
        return { preview: state, selection: rect, overlay: { selection: rect } };
      }, "selection");
    }
    const block = E.copyBlock(state, selection);
    return between(state, cell, (a, b) => {
      const df = C.clamp(b.f - a.f, -selection.f0, state.frames - 1 - selection.f1);
      const dr = C.clamp(b.r - a.r, -selection.r0, state.rows - 1 - selection.r1);
      const rect = shift(selection, df, dr);
      const ground = copy ? state : E.restore(state, selection, guarded);
      const preview = df || dr ? E.pasteBlock(ground, block, rect.f0, rect.r0, guarded) : state;
      return { preview, selection: rect, overlay: { selection: rect } };
    }, copy ? "copied block" : "moved block", guarded);
  }

  /** Drags the lower right corner of the selection: the block grows or shrinks by what the pointer
      goes, as the press may lie beside the corner's cell; its first cell and the canvas's last are
      reached all the same. */
  function scale(state, cell, { selection, guarded }) {
    const block = E.copyBlock(state, selection);
    const dragged = (end, from, to, first, last) => (to !== from && (to <= first || to >= last)
      ? C.clamp(to, first, last) : C.clamp(end + to - from, first, last));
    return between(state, cell, (a, b) => {
      const rect = {
        ...selection,
        f1: dragged(selection.f1, a.f, b.f, selection.f0, state.frames - 1),
        r1: dragged(selection.r1, a.r, b.r, selection.r0, state.rows - 1),
      };
      const width = rect.f1 - rect.f0 + 1;
      const height = rect.r1 - rect.r0 + 1;
      const changed = width !== block.width || height !== block.height;
      const ground = changed ? E.restore(state, selection, guarded) : state;
      const scaled = () => E.scaleBlock(block, width, height);
      const preview = changed ? E.pasteBlock(ground, scaled(), rect.f0, rect.r0, guarded) : state;
      return { preview, selection: rect, overlay: { selection: rect } };
    }, "scaled block");
  }

  const shift = ({ f0, f1, r0, r1 }, df, dr) =>
    ({ f0: f0 + df, f1: f1 + df, r0: r0 + dr, r1: r1 + dr });

  return { start: { ...start, select }, scale, shift, PROTECTED };
})();

if (typeof module === "object") module.exports = FvdmGestures;
