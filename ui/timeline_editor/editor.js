/* The editor: settings, history and elements, and how they follow each other. What the person does
   arrives from input.js; what the server does arrives through `receive`. */

const FvdmEditor = (() => {
  const C = FvdmCore;
  const E = FvdmEdits;
  const G = FvdmGestures;
  const { h, icon, onTheme } = FvdmDom;
  const { Controls, TOOLS } = FvdmControls;

  const NARROW = 620; // pixels; below this the tools lie above the canvas
  const LEAST_COLUMN = { mouse: 26, touch: 34, all: 0.25 }; // pixels; below this the columns scroll
  const TUNING_MS = 1500; // between two values of one slider
  const ROW = 12; // pixels of a step, as far as the height allows
  const AXIS_STEPS = [1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000];
  const HELP = "Frames run from left to right, steps from top to bottom. Arrow keys move the cursor. "
    + "Space or Enter applies the tool; hold Space and move to drag. Letters choose tools, brackets "
    + "change the level, digits set it, Control Z takes back.";

  const OVERTAKEN = "The timeline changed while you painted. Undo brings your stroke back.";

  class Editor {
    /** io: { value, send(value), upload(file), pictureSize() → [w, h] of the model's frames,
        mixing() → its [signal, noise] of evenly spaced levels, or null, moving() → of how many
        frames the picture of a column but the first may be, pace() → seconds for each column,
        perColumn() → for how many frames of the clip each but the first stands }. */
    constructor(root, io) {
      this.root = root;
      this.closing = new AbortController(); // ends what listens outside the component
      this.io = io;
      this.settings = { tool: "brush", level: 600, width: 1, height: 1, soft: 0, guard: true };
      this.mode = "matrix"; // or "curves"
      this.fitAll = false;
      this.hover = null; // the cell under the pointer
      this.cursor = null; // the cell that the arrow keys move
      this.gesture = null;
      this.asked = null; // the state that a change under way is made of
      this.held = []; // edits that wait for the end of a gesture
      this.selection = null;
      this.block = null; // what was copied
      this.playhead = { step: null, running: false }; // of a run of this very timeline
      this.column = 1;
      this.viewWidth = 1;
      const levels = io.value?.levels?.length;
      this.history = new FvdmUndo.History(levels ? C.fromValue(io.value) : C.standard(16, 30));
      this.settings.height = Math.max(1, Math.round(this.state.rows / 14));
      this.build();
      onTheme(() => this.readTheme(), this.closing.signal);
    }

    get state() { return this.history.state; }
    get shown() { return this.gesture?.preview ?? this.state; }

    // ── Elements ───────────────────────────────────────────────────────────────────────────

    build() {
      this.controls = new Controls({
        choose: (name) => this.choose(name), setLevel: (level) => this.setLevel(level),
        set: (name, value) => { this.settings[name] = value; this.sync(); },
        undo: () => this.travel("undo"), redo: () => this.travel("redo"),
        block: (action) => this.blockAction(action),
      });
      this.canvas = h("canvas", {
        class: "canvas", "data-testid": "timeline-canvas", tabindex: "0", role: "application",
        "aria-roledescription": "noise level canvas", "aria-describedby": "fvdm-editor-help",
      });
      this.view = new FvdmView.View(this.canvas);
      this.curves = new FvdmCurves.Curves();
      this.slots = new FvdmSlots.Slots({
        upload: this.io.upload, pictureSize: this.io.pictureSize, moving: this.io.moving, pace: this.io.pace,
        perColumn: this.io.perColumn,
        state: () => this.state,
        change: (edit, label) => this.change(edit, label), say: (...words) => this.say(...words),
        editCurve: (frame) => this.editCurve(frame),
      });
      this.tip = new FvdmTip.Tip((frame) => this.pictureOf(frame), this.io.mixing);
      this.live = h("div", { class: "visually-hidden", role: "status", "aria-live": "polite", "data-testid": "editor-live" });
      this.status = h("div", { class: "status", "data-testid": "editor-status" });
      this.axis = h("div", { class: "axis", "data-testid": "step-axis" });
      this.known = h("div", { class: "known", "data-testid": "known-steps", hidden: true });
      this.handle = h("div", { class: "playhead-handle", "data-testid": "playhead" });
      this.columns = h("div", { class: "columns" }, this.slots.row, this.slots.headRow,
        h("div", { class: "canvas-holder" }, this.canvas));
      this.scroller = h("div", { class: "scroller", "data-testid": "editor-scroller" }, this.columns);
      this.fitButton = h("button", { type: "button", class: "fit", "aria-pressed": "false", "data-testid": "fit-all",
        title: "Show all frames at once", "aria-label": "Show all frames at once",
        onClick: () => { this.fitAll = !this.fitAll; this.layout(); } }, icon("fit"));
      this.corner = h("span", { class: "axis-word" });
      this.stage = h("div", { class: "stage" },
        h("div", { class: "stage-head" }, this.buildViews()),
        h("div", { class: "axis-column" }, h("div", { class: "axis-corner" }, this.fitButton, this.corner), this.axis),
        this.scroller, this.controls.blockBar, this.status, this.tip.node);
      this.root.style.setProperty("--map", Array.from({ length: 11 }, (_, k) => FvdmColours.css(k * 100)).join(","));
      this.root.replaceChildren(this.controls.node, this.stage,
        h("p", { class: "visually-hidden", id: "fvdm-editor-help" }, HELP),
        this.live, this.slots.chooser, this.slots.menu, this.slots.clip.menu);
    }

    /** Matrix or curves, and how curves run and bend. */
    buildViews() {
      const choice = (label, testid, options, onChange) => h("select", {
        class: "choice", "aria-label": label, "data-testid": testid,
        onChange: ({ target }) => { onChange(target.value); this.sync(); },
      }, ...options.map(([value, text]) => h("option", { value }, text)));
      this.curveOver = choice("Curves", "curve-over",
        [["steps", "a frame over steps"], ["frames", "a step over frames"]],
        (over) => { this.curves.over = over; this.curves.index = 0; this.pickCurve(); });
      this.curveEasing = choice("Easing", "curve-easing",
        Object.keys(FvdmCurves.EASINGS).map((name) => [name, name]), (name) => { this.curves.easing = name; });
      this.modes = Object.fromEntries([["matrix", "Matrix"], ["curves", "Curves"]].map(([mode, text]) =>
        [mode, h("button", { type: "button", class: "mode", "data-testid": `mode-${mode}`,
          onClick: () => this.setMode(mode) }, text)]));
      return h("div", { class: "views" }, this.curveOver, this.curveEasing,
        h("div", { class: "modes", role: "group", "aria-label": "View" }, ...Object.values(this.modes)));
    }

    setMode(mode) {
      this.mode = mode;
      this.cancel();
      this.selection = null;
      this.tip.hide();
      if (mode === "curves") {
        this.pickCurve();
        this.say("Curves: drag a point; press on the curve to make one; double-click takes it away.");
      }
      this.sync();
    }

    /** Edits the first curve that may move, if the one chosen is frozen. */
    pickCurve() {
      const { curves, state } = this;
      if (curves.over !== "steps" || !C.isFrozen(state, Math.min(curves.index, state.frames - 1))) return;
      const free = Array.from({ length: state.frames }, (_, f) => f).find((f) => !C.isFrozen(state, f));
      curves.index = free ?? 0;
    }

    /** Goes over to the curve of a frame; false where no frame's curve is edited now. */
    editCurve(frame) {
      if (this.mode !== "curves" || this.curves.over !== "steps") return false;
      this.curves.index = frame;
      this.say(`The curve of frame ${frame + 1}.`);
      this.layout();
      return true;
    }

    // ── Edits, history, server ─────────────────────────────────────────────────────────────

    /** Makes `edit` of the newest state; a gesture, which has an older one, is let end first. */
    change(edit, label) {
      if (this.gesture) this.held.push([edit, label]);
      else this.commit(edit(this.state), label);
    }

    /** Makes the edits that waited for a gesture. */
    catchUp() {
      for (const [edit, label] of this.held.splice(0)) this.commit(edit(this.state), label);
    }

    commit(next, label) {
      if (!this.history.push(next, label)) return this.redraw();
      this.send();
      this.sync();
    }

    send() { this.io.send(C.toValue(this.state)); }

    travel(way) {
      if (this.gesture) { // it alone is taken back
        if (way === "undo") { this.say(`Undone: ${this.gesture.label}.`); this.cancel(); }
        return;
      }
      const label = this.history[way]();
      if (label === null) return this.say(`Nothing to ${way}.`);
      this.keepInside();
      this.say(`${way === "undo" ? "Undone" : "Done again"}: ${label}.`);
      this.send();
      this.sync();
    }

    /** A new value from the server: it can be undone like any edit. */
    receive(value) {
      this.late = null;
      if (!value?.levels?.length || C.says(this.state, value)) return;
      if (this.gesture) { this.late = value; return; } // what is being painted is not taken away
      this.selection = null;
      this.hover = null;
      this.tip.hide();
      const next = C.fromServer(this.state, value);
      const overtaken = this.asked && this.asked !== this.state;
      const last = this.received;
      // every place of a preset's slider comes as a value; together they are one change
      const files = ({ keyframes }) => keyframes.map(({ file }) => file.path).join("\n");
      const goesOn = last?.preset && last.preset === value.preset?.name && last.state === this.state
        && files(next) === files(this.state) && performance.now() - last.at < TUNING_MS;
      if (goesOn) this.history.replace(next); else this.history.push(next, "change of the whole timeline");
      this.received = { preset: value.preset?.name, at: performance.now(), state: this.state };
      this.keepInside();
      this.settings.height = C.clamp(this.settings.height, 1, this.state.rows);
      this.sync();
      if (this.asked) this.asked = this.state;
      if (overtaken) this.say(OVERTAKEN);
    }

    /** Says a sentence: to screen readers, and over the canvas for a moment. */
    say(text, isError = false) {
      this.live.textContent = text;
      this.status.textContent = text;
      this.status.classList.toggle("error", isError);
      this.status.classList.add("shown");
      clearTimeout(this.fading);
      this.fading = setTimeout(() => this.status.classList.remove("shown"), isError ? 9000 : 3500);
    }

    choose(tool) {
      this.settings.tool = tool;
      if (tool !== "select") this.selection = null;
      if (this.mode === "curves") this.setMode("matrix");
      const [, title, , hint] = TOOLS.find(([name]) => name === tool);
      this.say(`${title}: ${hint}.`);
      this.sync();
    }

    setLevel(level) {
      this.settings.level = C.clamp(Math.round(level), 0, C.MAX);
      this.controls.renderLevel(this.settings.level);
    }

    guarded() { return this.settings.guard ? C.frozenFrames(this.state) : []; }

    // ── Gestures and blocks ────────────────────────────────────────────────────────────────

    /** Starts what the tool does at `cell`. keys: { shift, copy }. */
    begin(cell, keys = {}) {
      const { tool } = this.settings;
      const options = { ...this.settings, guarded: this.guarded(), selection: this.selection,
        copy: keys.copy, line: tool === "brush" && keys.shift };
      this.gesture = keys.corner ? G.scale(this.state, cell, options)
        : G.start[tool](this.state, cell, options);
      this.redraw();
    }

    finish() {
      const { gesture, late } = this;
      this.gesture = null;
      if (!gesture) return;
      if (late) this.finishLate(gesture, late);
      else {
        if (gesture.selection) this.selection = gesture.selection;
        if (gesture.result !== this.state) this.commit(gesture.result, gesture.label);
        else this.redraw();
        if (gesture.note) this.say(gesture.note);
      }
      this.catchUp();
    }

    /** Ends a gesture during which the timeline was changed from elsewhere: that stays, and what
        was painted is one undo away. */
    finishLate(gesture, value) {
      const painted = this.history.push(gesture.result, gesture.label);
      this.receive(value);
      if (painted) this.say(OVERTAKEN);
    }

    cancel() {
      this.gesture = null;
      this.redraw();
      if (this.late) this.receive(this.late);
      this.catchUp();
    }

    /** After a change of size: no block or cursor lies outside. */
    keepInside() {
      const { selection: s, cursor, state } = this;
      if (s && (s.f1 >= state.frames || s.r1 >= state.rows)) this.selection = null;
      if (cursor) {
        const f = C.clamp(cursor.f, 0, state.frames - 1);
        const r = C.clamp(cursor.r, 0, state.rows - 1);
        if (f !== cursor.f || r !== cursor.r) this.cursor = { ...cursor, f, r, x: f + 0.5, y: r + 0.5 };
      }
    }

    blockAction(action) {
      const { state, selection } = this;
      if (action === "close") this.selection = null;
      else if (action === "paste") return this.pasteBlock();
      else if (selection) {
        const block = E.copyBlock(state, selection);
        const guarded = this.guarded();
        const put = (other, label) => this.commitBlock(
          E.pasteBlock(state, other, selection.f0, selection.r0, guarded), selection, label);
        if (action === "copy" || action === "cut") {
          this.block = block;
          this.say(`Copied ${block.width} × ${block.height} cells. Control V pastes them.`);
        }
        if (action === "cut" || action === "erase") {
          this.commitBlock(E.restore(state, selection, guarded), selection, "erased block");
        }
        if (action === "mirror") put(E.mirrorBlock(block), "mirrored block");
        if (action === "flip") put(E.mirrorBlock(block, true), "mirrored block");
        if (action === "fill") {
          const filled = E.fill(state, selection, () => this.settings.level, guarded);
          this.commitBlock(filled, selection, "filled block");
        }
      }
      this.redraw();
    }

    /** Commits what was done to a block, and says why where all of it is protected. */
    commitBlock(next, { f0, f1 }, label) {
      const guarded = this.guarded();
      const all = Array.from({ length: f1 - f0 + 1 }, (_, k) => f0 + k).every((f) => guarded.includes(f));
      if (all) this.say(G.PROTECTED);
      else this.commit(next, label);
    }

    /** Pastes at the cursor or pointer, else beside what was copied. */
    pasteBlock() {
      const { state, block } = this;
      if (!block) return this.say("Nothing is copied yet: select a block and press Control C.");
      const at = this.cursor ?? this.hover
        ?? (this.selection ? { f: this.selection.f1 + 1, r: this.selection.r0 } : { f: 0, r: 0 });
      const f = C.clamp(at.f, 0, Math.max(0, state.frames - block.width));
      const r = C.clamp(at.r, 0, Math.max(0, state.rows - block.height));
      this.settings.tool = "select";
      this.selection = E.rectangle(state, { f, r }, { f: f + block.width - 1, r: r + block.height - 1 });
      const pasted = E.pasteBlock(state, block, f, r, this.guarded());
      this.commitBlock(pasted, this.selection, "pasted block");
      this.sync();
    }

    // ── Layout ─────────────────────────────────────────────────────────────────────────────

    layout() {
      const width = this.root.clientWidth;
      if (!width) return; // in a tab that is not shown
      const { state } = this;
      const narrow = width < NARROW;
      this.root.classList.toggle("narrow", narrow);
      this.viewWidth = this.scroller.clientWidth;
      const comfortable = matchMedia("(pointer: coarse)").matches ? LEAST_COLUMN.touch : LEAST_COLUMN.mouse;
      const tooMany = state.frames * comfortable > this.viewWidth;
      this.column = C.columnWidth(this.viewWidth, state.frames, this.fitAll ? LEAST_COLUMN.all : comfortable);
      const height = Math.round(C.clamp(state.rows * ROW, 250, narrow ? 300 : 372));
      const set = (name, pixels) => this.root.style.setProperty(name, `${pixels}px`);
      set("--column", this.column);
      set("--slot", C.clamp(this.column, 26, 72));
      set("--canvas", height);
      this.columns.style.width = `${this.column * state.frames}px`;
      this.view.resize(this.viewWidth, height);
      this.fitButton.hidden = !tooMany;
      this.fitButton.setAttribute("aria-pressed", String(this.fitAll));
      this.labelAxis(height);
      const current = this.mode === "curves" && this.curves.over === "steps" ? this.curves.index : -1;
      this.slots.render(state, this.column, current);
      this.publish();
      this.redraw();
    }

    labelAxis(height) {
      const steps = this.state.rows - 1;
      const levels = this.mode === "curves";
      const every = AXIS_STEPS.find((n) => (n / (steps + 1)) * height >= 26) ?? steps;
      const marks = levels ? [100, 75, 50, 25, 0]
        : Array.from({ length: Math.floor(steps / every) + 1 }, (_, k) => k * every)
          .filter((step) => step === 0 || steps - step >= every * 0.6).concat(steps);
      const place = (mark) => levels ? 1 - (12 + (mark / 100) * (height - 24)) / height
        : (mark + 0.5) / (steps + 1);
      this.corner.textContent = !this.fitButton.hidden ? "" : levels ? "%" : "step";
      this.axis.replaceChildren(this.known, this.handle, ...marks.map((mark) => {
        const node = h("span", { class: "mark" }, String(mark));
        node.style.top = `${100 * place(mark)}%`;
        return node;
      }));
    }

    /** Marks the steps that a run need not take again, from the first on. */
    markKnown(steps) {
      const { rows } = this.state;
      this.known.hidden = !steps || steps >= rows;
      this.known.style.height = `${(100 * (steps + 1)) / rows}%`;
      this.known.title = steps === 1 ? "Step 1 is known from a run before"
        : `Steps 1 to ${steps} are known from a run before`;
    }

    /** Tells the strip where the columns are, and of which timeline. */
    publish() {
      const detail = {
        left: this.scroller.getBoundingClientRect().left, view: this.viewWidth,
        column: this.column, frames: this.state.frames,
        mark: C.markOf(this.state), scroll: this.scroller.scrollLeft,
      };
      window.fvdmGeometry = detail;
      dispatchEvent(new CustomEvent("fvdm:geometry", { detail }));
    }

    /** Brings every element in line with state and settings. */
    sync() {
      const { state, settings, mode } = this;
      settings.width = Math.min(settings.width, state.frames);
      settings.height = Math.min(settings.height, state.rows);
      this.root.dataset.tool = settings.tool;
      this.root.dataset.mode = mode;
      this.controls.render(settings, state, this.history);
      for (const [name, button] of Object.entries(this.modes)) {
        button.setAttribute("aria-pressed", String(name === mode));
      }
      this.curveOver.hidden = this.curveEasing.hidden = mode !== "curves";
      this.canvas.setAttribute("aria-label", `Timeline: ${state.frames} frames, ${state.rows - 1} steps`);
      this.layout();
    }

    readTheme() {
      const styles = getComputedStyle(this.root);
      const read = (name, otherwise) => styles.getPropertyValue(name).trim() || otherwise;
      this.theme = {
        accent: read("--color-accent", "#f97316"), line: read("--border-color-primary", "#dfe3ea"),
        raised: read("--background-fill-secondary", "#f6f7f9"), ink: read("--body-text-color", "#1f2937"),
        surface: read("--background-fill-primary", "#ffffff"),
      };
      this.redraw();
    }

    // ── Drawing ────────────────────────────────────────────────────────────────────────────

    redraw() {
      if (this.waiting) return;
      this.waiting = requestAnimationFrame(() => { this.waiting = null; this.draw(); });
    }

    /** The step whose windows are outlined: that under the pointer, else that of a run. */
    windowRow() {
      if (this.gesture) return null;
      const row = this.hover ? this.hover.r : this.playhead.running ? this.playhead.step : null;
      return row === null ? null : Math.min(row, this.state.rows - 2);
    }

    look() {
      const row = this.windowRow();
      return {
        column: this.column, scroll: this.scroller.scrollLeft, theme: this.theme,
        width: this.view.width, height: this.view.height,
        playhead: this.playhead.step, running: this.playhead.running,
        overlay: this.gesture?.overlay, selection: this.gesture?.overlay?.selection ?? this.selection,
        cursor: this.cursor && document.activeElement === this.canvas ? this.cursor : null,
        brush: this.brushBox(), mutable: Boolean(this.gesture),
        keys: this.root.classList.contains("keys"),
        windows: row === null ? null : this.state.windows?.[row], windowRow: row,
      };
    }

    draw() {
      const began = performance.now();
      const look = this.look();
      if (this.mode === "curves") this.view.with((g) => this.curves.draw(g, this.shown, look));
      else this.view.draw(this.shown, look);
      window.fvdmEditor.lastDrawMs = performance.now() - began;
      const { playhead } = look;
      this.handle.hidden = playhead === null || this.mode === "curves";
      this.handle.style.top = `${((playhead + 0.5) / this.shown.rows) * 100}%`;
      this.handle.classList.toggle("running", look.running);
      const box = this.blockBox(look.selection);
      const focused = this.controls.blockBar.contains(document.activeElement);
      if (!box && focused) this.canvas.focus({ preventScroll: true }); // the bar is about to go
      this.controls.placeBlockBar(box, this.stage.clientWidth);
    }

    /** Where the block's actions go, or null while there is none or it is being moved. */
    blockBox(selection) {
      if (!selection || this.gesture || this.mode === "curves") return null;
      const row = this.view.height / this.state.rows;
      return {
        left: this.scroller.offsetLeft + selection.f0 * this.column - this.scroller.scrollLeft,
        top: this.scroller.offsetTop + this.canvas.parentElement.offsetTop + selection.r0 * row,
      };
    }

    brushBox() {
      const { hover: at, settings } = this;
      const { frames, rows } = this.state;
      if (!at || this.gesture?.overlay || settings.tool === "select") return null;
      if (settings.tool === "freeze" || settings.tool === "hold") return { f0: at.f, f1: at.f, r0: 0, r1: rows - 1 };
      if (settings.tool === "fill") return { f0: at.f, f1: at.f, r0: at.r, r1: at.r };
      const f0 = Math.round(at.x - settings.width / 2);
      const r0 = Math.round(at.y - settings.height / 2);
      return { f0: Math.max(0, f0), f1: Math.min(frames, f0 + settings.width) - 1,
        r0: Math.max(0, r0), r1: Math.min(rows, r0 + settings.height) - 1 };
    }

    /** What the tip says of a cell. */
    cell(f, r) {
      return {
        frame: f, level: C.levelAt(this.shown, f, r), place: `frame ${f + 1} · step ${r}`,
        clip: C.inClip(f, this.io.perColumn()),
      };
    }

    /** What is known of a frame, for the tip: its own picture as it is fitted, else what the newest
        run predicts for it. */
    pictureOf(frame) {
      const keyframe = C.keyframeOn(this.state, frame);
      const slot = this.slots.slots[frame]?.picture;
      if (keyframe && slot?.complete && slot.naturalWidth) {
        const [w, h] = [slot.naturalWidth, slot.naturalHeight];
        const { from, to } = FvdmPictures.fitted(w, h, ...this.io.pictureSize(), keyframe.fit);
        return { image: slot, from: { x: from.x * w, y: from.y * h, w: from.w * w, h: from.h * h }, to };
      }
      const clean = window.fvdmStrip?.clean(frame);
      return clean && { image: clean.image, to: { x: 0, y: 0, w: 1, h: 1 },
        from: { x: clean.x, y: clean.y, w: clean.width, h: clean.height } };
    }
  }

  return { Editor };
})();
