/* Every edit of a painting is a pure function from state to state of core.js, no DOM. */

const FvdmEdits = (() => {
  const {
    MAX, clamp, lerp, rint, smoothstep, sameLevels, levelAt, column, isFrozen, keyframeOn, resample,
  } = FvdmCore;

  // ── Painting ───────────────────────────────────────────────────────────────────────────────

  /** A copy with these levels. Windows that no longer cover what goes down are dropped: the
      server then plans windows anew. */
  function withLevels(state, levels) {
    const next = { ...state, levels };
    if (state.windows && !windowsCover(next)) next.windows = null;
    return next;
  }

  const updatedBy = new WeakMap(); // windows, which are never changed, → which cells they update

  function windowsCover({ frames, rows, levels, windows }) {
    if (!updatedBy.has(windows)) {
      const cells = new Uint8Array((rows - 1) * frames);
      windows.forEach((step, m) => {
        for (const { updates } of step) for (const f of updates) cells[m * frames + f] = 1;
      });
      updatedBy.set(windows, cells);
    }
    const updated = updatedBy.get(windows);
    for (let k = 0; k < updated.length; k++) {
      if (!updated[k] && levels[k + frames] < levels[k]) return false;
    }
    return true;
  }

  /** A brush stroke in progress. Cells remember the strongest touch, so going over a place twice
      within a stroke changes nothing.

      brush: { level, width, height, soft }: frames, steps, 0 (hard) … 1.
      target: the levels to paint towards, or null for brush.level (the eraser gives the base).
      guarded: frames that the stroke leaves alone. */
  class Stroke {
    constructor(state, brush, { target = null, guarded = [] } = {}) {
      this.state = state;
      this.brush = brush;
      this.target = target;
      this.guarded = new Set(guarded);
      this.levels = state.levels.slice();
      this.mask = new Float32Array(state.levels.length);
      this.at = null;
      this.touchedGuarded = false;
      this.changed = false;
    }

    /** Draws to (x, y) in cells, from the last point if there is one. */
    to(x, y) {
      const from = this.at ?? { x, y };
      const span = Math.max(Math.abs(x - from.x), Math.abs(y - from.y));
      const count = Math.max(1, Math.ceil(span * 2));
      for (let k = this.at ? 1 : 0; k <= count; k++) {
        this.stamp(lerp(from.x, x, k / count), lerp(from.y, y, k / count));
        if (span === 0) break;
      }
      this.at = { x, y };
      return this;
    }

    stamp(x, y) {
      const { frames, rows } = this.state;
      const { level, width, height, soft } = this.brush;
      const cx = Math.round(x - width / 2) + width / 2; // snapped, so that width 1 is one cell
      const cy = Math.round(y - height / 2) + height / 2;
      const reachX = (width / 2) * (1 + soft);
      const reachY = (height / 2) * (1 + soft);
      const weight = (distance) => soft > 0
        ? smoothstep((1 + soft - distance) / (2 * soft)) : Number(distance < 1);
      const top = clamp(Math.floor(cy - reachY), 0, rows);
      const bottom = clamp(Math.ceil(cy + reachY), 0, rows);
      const left = clamp(Math.floor(cx - reachX), 0, frames);
      const right = clamp(Math.ceil(cx + reachX), 0, frames);
      for (let r = top; r < bottom; r++) {
        const wy = weight(Math.abs(r + 0.5 - cy) / (height / 2));
        if (!wy) continue;
        for (let f = left; f < right; f++) {
          if (this.guarded.has(f)) { this.touchedGuarded = true; continue; }
          const w = wy * weight(Math.abs(f + 0.5 - cx) / (width / 2));
          const k = r * frames + f;
          if (w <= this.mask[k]) continue;
          this.mask[k] = w;
          const goal = this.target ? this.target[k] : level;
          const painted = rint(lerp(this.state.levels[k], goal, w));
          this.changed ||= painted !== this.levels[k];
          this.levels[k] = painted;
        }
      }
    }

    result() { return this.changed ? withLevels(this.state, this.levels) : this.state; }
  }

  /** The state with other levels, or itself where they are no others: that is no edit. */
  function unlessSame(state, levels) {
    const next = withLevels(state, levels);
    return sameLevels(state, next) ? state : next;
  }

  /** The rectangle of two corner cells, inclusive, within the canvas: { f0, r0, f1, r1 }. */
  function rectangle(state, a, b) {
    const inF = (f) => clamp(f, 0, state.frames - 1);
    const inR = (r) => clamp(r, 0, state.rows - 1);
    return {
      f0: inF(Math.min(a.f, b.f)), f1: inF(Math.max(a.f, b.f)),
      r0: inR(Math.min(a.r, b.r)), r1: inR(Math.max(a.r, b.r)),
    };
  }

  /** Sets each cell of `rect` to level(frame, row), but for guarded frames. */
  function fill(state, rect, level, guarded = []) {
    const skip = new Set(guarded);
    const levels = state.levels.slice();
    for (let r = rect.r0; r <= rect.r1; r++) {
      for (let f = rect.f0; f <= rect.f1; f++) {
        if (!skip.has(f)) levels[r * state.frames + f] = clamp(rint(level(f, r)), 0, MAX);
      }
    }
    return unlessSame(state, levels);
  }

  /** Even levels from cell a (level `from`) to cell b (level `to`). A drag along one axis is
      widened across it by the brush. */
  function ramp(state, a, b, { from, to, width = 1, height = 1, guarded = [] }) {
    const df = b.f - a.f;
    const dr = b.r - a.r;
    const wide = (from1, size) => [from1 - Math.floor((size - 1) / 2), from1 + Math.ceil((size - 1) / 2)];
    const [f0, f1] = df ? [a.f, b.f] : wide(a.f, width);
    const [r0, r1] = dr ? [a.r, b.r] : wide(a.r, height);
    const rect = rectangle(state, { f: f0, r: r0 }, { f: f1, r: r1 });
    const axes = (df ? 1 : 0) + (dr ? 1 : 0);
    const along = (f, r) => axes
      ? ((df ? (f - a.f) / df : 0) + (dr ? (r - a.r) / dr : 0)) / axes : 1;
    return fill(state, rect, (f, r) => lerp(from, to, clamp(along(f, r), 0, 1)), guarded);
  }

  // ── Columns ────────────────────────────────────────────────────────────────────────────────

  /** Freezes columns at 0 (they are kept), or gives them back what they held before, else the
      base, else an even way down. */
  function freeze(state, frames, on, by = "person") {
    const levels = state.levels.slice();
    const thawed = { ...state.thawed };
    for (const f of frames) {
      if (isFrozen(state, f) === on) continue;
      const before = column(state, f);
      let after = before.map(() => 0);
      if (on) {
        thawed[f] = { levels: before, by };
      } else {
        const base = column(state, f, state.base);
        const known = thawed[f]?.levels;
        if (known?.length === state.rows && known.some((v) => v > 0)) after = known;
        else if (base.some((v) => v > 0)) after = base;
        else after = before.map((_, r) => rint(MAX * (1 - r / (state.rows - 1))));
        delete thawed[f];
      }
      after.forEach((v, r) => { levels[r * state.frames + f] = v; });
    }
    return { ...withLevels(state, levels), thawed };
  }

  /** Marks columns as starting from a copy of the nearest known frame, or unmarks them. */
  function hold(state, frames, on) {
    const sources = Array.from({ length: state.frames }, (_, f) =>
      state.sources?.[f] ?? (keyframeOn(state, f) ? "keyframe" : "noise"));
    for (const f of frames) sources[f] = on ? "hold" : keyframeOn(state, f) ? "keyframe" : "noise";
    return { ...state, sources };
  }

  // ── Keyframes ──────────────────────────────────────────────────────────────────────────────

  const sorted = (keyframes) => [...keyframes].sort((a, b) => a.frame - b.frame);

  function retold(state, keyframes) {
    const next = { ...state, keyframes: sorted(keyframes) };
    if (!state.sources) return next;
    next.sources = state.sources.map((source, f) =>
      source === "hold" ? source : keyframeOn(next, f) ? "keyframe" : "noise");
    return next;
  }

  /** Puts a picture on a frame. A frame that starts as pure noise would not see its picture, so
      it is frozen at the same time. */
  function setKeyframe(state, frame, file, fit = "crop") {
    const others = state.keyframes.filter((k) => k.frame !== frame);
    const next = retold(state, [...others, { frame, file, fit }]);
    return levelAt(next, frame, 0) === MAX ? freeze(next, [frame], true, "picture") : next;
  }

  /** Takes a picture off. A column that its picture froze, and that was not painted since, gets
      back what it held before. */
  function removeKeyframe(state, frame) {
    const next = retold(state, state.keyframes.filter((k) => k.frame !== frame));
    const before = state.thawed[frame];
    const untouched = column(state, frame).every((level, r) => level === softLevel(state, frame, r));
    if (before?.by !== "picture" || before.levels.length !== state.rows || !untouched) return next;
    const { [frame]: _, ...thawed } = state.thawed;
    return { ...withColumn(next, frame, before.levels), thawed };
  }

  function withColumn(state, frame, values) {
    const levels = state.levels.slice();
    values.forEach((level, r) => { levels[r * state.frames + frame] = level; });
    return withLevels(state, levels);
  }

  /** What row r holds where the column goes evenly from its first level to 0. */
  const softLevel = (state, frame, r) =>
    rint(levelAt(state, frame, 0) * (1 - r / (state.rows - 1)));

  /** How freely a picture is taken: 0 keeps it exactly (the column is frozen), 1 starts its frame
      from pure noise. Between, the column runs at softness · t. A frame without a picture stays. */
  function soften(state, frame, softness) {
    if (!keyframeOn(state, frame)) return state;
    const first = rint(MAX * clamp(softness, 0, 1));
    const values = Array.from({ length: state.rows }, (_, r) =>
      rint(first * (1 - r / (state.rows - 1))));
    const known = state.thawed[frame] ?? { levels: column(state, frame), by: "picture" };
    return { ...withColumn(state, frame, values), thawed: { ...state.thawed, [frame]: known } };
  }

  /** Moves a picture to another frame; a picture that is there comes back in exchange. */
  function moveKeyframe(state, from, to, copy = false) {
    const moved = keyframeOn(state, from);
    const other = keyframeOn(state, to);
    if (!moved || from === to) return state;
    /** Puts a picture on another frame, as freely taken as it was on `before`. */
    const place = (on, frame, { file, fit }, before) => {
      const placed = setKeyframe(on, frame, file, fit);
      const first = levelAt(state, before, 0);
      const soft = first > 0 && first < MAX
        && column(state, before).every((level, r) => level === softLevel(state, before, r));
      return soft && isFrozen(placed, frame) ? soften(placed, frame, first / MAX) : placed;
    };
    if (copy) return place(state, to, moved, from);
    const placed = place(removeKeyframe(state, from), to, moved, from);
    return other ? place(placed, from, other, to) : placed;
  }

  function setFit(state, frame, fit) {
    if ((keyframeOn(state, frame)?.fit ?? fit) === fit) return state;
    return {
      ...state,
      keyframes: state.keyframes.map((k) => (k.frame === frame ? { ...k, fit } : k)),
    };
  }

  /** The frames that `count` dropped pictures go to, from `frame` rightwards. */
  const slotsFor = (state, frame, count) =>
    Array.from({ length: Math.min(count, state.frames - frame) }, (_, k) => frame + k);

  // ── Blocks ─────────────────────────────────────────────────────────────────────────────────

  function copyBlock(state, rect, levels = state.levels) {
    const width = rect.f1 - rect.f0 + 1;
    const height = rect.r1 - rect.r0 + 1;
    const cells = new Uint16Array(width * height);
    for (let r = 0; r < height; r++) {
      const start = (rect.r0 + r) * state.frames + rect.f0;
      cells.set(levels.subarray(start, start + width), r * width);
    }
    return { width, height, cells };
  }

  /** The state with `block` at (f, r), clipped to the canvas, but for guarded frames. */
  function pasteBlock(state, block, f, r, guarded = []) {
    const skip = new Set(guarded);
    const levels = state.levels.slice();
    for (let y = 0; y < block.height; y++) {
      for (let x = 0; x < block.width; x++) {
        if (skip.has(f + x)) continue;
        const inside = f + x >= 0 && f + x < state.frames && r + y >= 0 && r + y < state.rows;
        if (inside) levels[(r + y) * state.frames + f + x] = block.cells[y * block.width + x];
      }
    }
    return unlessSame(state, levels);
  }

  const restore = (state, rect, guarded = []) =>
    fill(state, rect, (f, r) => state.base[r * state.frames + f], guarded);

  function mirrorBlock({ width, height, cells }, acrossSteps = false) {
    const mirrored = cells.map((_, k) => {
      const x = k % width;
      const y = (k - x) / width;
      return acrossSteps ? cells[(height - 1 - y) * width + x] : cells[y * width + width - 1 - x];
    });
    return { width, height, cells: mirrored };
  }

  const scaleBlock = ({ width, height, cells }, toWidth, toHeight) => ({
    width: toWidth, height: toHeight, cells: resample(cells, width, height, toWidth, toHeight),
  });

  return {
    withLevels, Stroke, rectangle, fill, ramp, freeze, hold, setKeyframe, removeKeyframe,
    moveKeyframe, setFit, soften, slotsFor, copyBlock, pasteBlock, restore, mirrorBlock, scaleBlock,
  };
})();

if (typeof module === "object") module.exports = FvdmEdits;
