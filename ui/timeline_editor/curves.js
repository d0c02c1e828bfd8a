/* The same matrix as curves: a frame over steps, or a step over frames, with points to drag. */

const FvdmCurves = (() => {
  const C = FvdmCore;
  const E = FvdmEdits;
  const PAD = 12; // pixels above 100 % and below 0 %
  const NEAR = 14; // pixels within which a point or curve is meant

  const EASINGS = {
    linear: (t) => t,
    smooth: C.smoothstep,
    "ease in": (t) => t * t,
    "ease out": (t) => t * (2 - t),
    hold: (t) => (t < 1 ? 0 : 1),
  };

  /** The indices of `values` that keep its shape within `tolerance` levels, both ends included
      (Ramer, Douglas and Peucker, measured along the level axis). */
  function anchors(values, tolerance = 6) {
    const kept = new Set([0, values.length - 1]);
    const spans = [[0, values.length - 1]];
    while (spans.length) {
      const [a, b] = spans.pop();
      let worst = tolerance;
      let at = -1;
      for (let k = a + 1; k < b; k++) {
        const off = Math.abs(values[k] - C.lerp(values[a], values[b], (k - a) / (b - a)));
        if (off > worst) [worst, at] = [off, k];
      }
      if (at < 0) continue;
      kept.add(at);
      spans.push([a, at], [at, b]);
    }
    return [...kept].sort((a, b) => a - b);
  }

  /** `values` with point `at` at `level`, eased from its neighbours `left` and `right` (null at
      an end). The rest stays. */
  function bend(values, at, level, left, right, easing = "linear") {
    const out = [...values];
    const ease = EASINGS[easing];
    out[at] = C.rint(C.clamp(level, 0, C.MAX));
    const between = (a, b) => {
      for (let k = a + 1; k < b; k++) {
        out[k] = C.rint(C.lerp(out[a], out[b], ease((k - a) / (b - a))));
      }
    };
    if (left !== null) between(left, at);
    if (right !== null) between(at, right);
    return out;
  }

  /** One curve of the matrix: a frame over steps, or a step over frames. */
  const curveOf = (state, over, index) => over === "steps" ? C.column(state, index)
    : Array.from(state.levels.subarray(index * state.frames, (index + 1) * state.frames));

  function withCurve(state, over, index, values, guarded = []) {
    const skip = new Set(guarded);
    const levels = state.levels.slice();
    values.forEach((level, k) => {
      const [f, r] = over === "steps" ? [index, k] : [k, index];
      if (!skip.has(f)) levels[r * state.frames + f] = level;
    });
    return E.withLevels(state, levels);
  }

  class Curves {
    constructor() {
      this.over = "steps"; // or "frames"
      this.index = 0; // the frame or step that is edited
      this.easing = "linear";
      this.focus = null; // the point that the arrow keys move
      this.points = null; // { over, index, levels, at: indices }
    }

    count(state) { return this.over === "steps" ? state.frames : state.rows; }
    length(state) { return this.over === "steps" ? state.rows : state.frames; }

    /** Places between values and pixels for what is shown. */
    frame(state, { column, scroll, width, height }) {
      const last = Math.max(1, this.length(state) - 1);
      const x = this.over === "steps"
        ? (k) => PAD + (k / last) * (width - 2 * PAD)
        : (k) => (k + 0.5) * column - scroll;
      const k = this.over === "steps"
        ? (px) => ((px - PAD) / (width - 2 * PAD)) * last
        : (px) => (px + scroll) / column - 0.5;
      const y = (level) => PAD + (1 - level / C.MAX) * (height - 2 * PAD);
      const level = (py) => C.MAX * (1 - (py - PAD) / (height - 2 * PAD));
      return { x, y, level, k: (px) => C.clamp(Math.round(k(px)), 0, last) };
    }

    /** The points of the edited curve: those that were dragged, as long as nothing else changed. */
    pointsOf(state) {
      const { over, points } = this;
      this.index = C.clamp(this.index, 0, this.count(state) - 1);
      const fresh = points && points.over === over && points.index === this.index
        && points.levels === state.levels;
      if (!fresh) {
        const at = anchors(curveOf(state, over, this.index));
        this.points = { over, index: this.index, levels: state.levels, at };
      }
      return this.points.at;
    }

    remember(state, at) {
      this.points = { over: this.over, index: this.index, levels: state.levels, at };
    }

    draw(g, state, look) {
      const place = this.frame(state, look);
      const { width, height, theme } = look;
      g.clearRect(0, 0, width, height);
      g.fillStyle = theme.raised;
      g.fillRect(0, 0, width, height);
      g.strokeStyle = theme.line;
      g.lineWidth = 1;
      for (let level = 0; level <= C.MAX; level += 250) {
        g.beginPath();
        g.moveTo(0, Math.round(place.y(level)) + 0.5);
        g.lineTo(width, Math.round(place.y(level)) + 0.5);
        g.stroke();
      }
      const trace = (values) => {
        g.beginPath();
        values.forEach((level, k) => g[k ? "lineTo" : "moveTo"](place.x(k), place.y(level)));
        g.stroke();
      };
      const count = this.count(state);
      const every = Math.max(1, Math.floor(count / 128)); // enough to see, quick to draw
      g.lineJoin = "round";
      g.globalAlpha = C.clamp(14 / count, 0.12, 0.5);
      g.lineWidth = 1.5;
      for (let c = 0; c < count; c += every) {
        if (c === this.index) continue;
        g.strokeStyle = FvdmColours.css(150 + (700 * c) / Math.max(1, count - 1));
        trace(curveOf(state, this.over, c));
      }
      g.globalAlpha = 1;
      if (look.playhead !== null && this.over === "steps") {
        g.strokeStyle = theme.ink;
        g.lineWidth = 1.5;
        const x = place.x(look.playhead);
        g.beginPath();
        g.moveTo(x, 0);
        g.lineTo(x, height);
        g.stroke();
      }
      const points = this.pointsOf(state);
      const values = curveOf(state, this.over, this.index);
      g.strokeStyle = theme.accent;
      g.lineWidth = 2.5;
      trace(values);
      for (const k of points) {
        g.beginPath();
        g.arc(place.x(k), place.y(values[k]), 5.5, 0, 7);
        g.fillStyle = k === this.focus && look.keys ? theme.accent : theme.surface;
        g.fill();
        g.lineWidth = 2;
        g.stroke();
      }
    }

    /** What a press at (px, py) means: { point } of the edited curve, { curve } to edit, or {}. */
    hit(state, look, px, py) {
      const place = this.frame(state, look);
      const values = curveOf(state, this.over, this.index);
      const off = (k) => Math.hypot(place.x(k) - px, place.y(values[k]) - py);
      const [point] = this.pointsOf(state).filter((k) => off(k) < NEAR).sort((a, b) => off(a) - off(b));
      if (point !== undefined) return { point };
      const k = place.k(px);
      if (Math.abs(place.y(values[k]) - py) < NEAR) return { point: k };
      let best = NEAR;
      let curve;
      for (let c = 0; c < this.count(state); c++) {
        const far = Math.abs(place.y(curveOf(state, this.over, c)[k]) - py);
        if (far < best) [best, curve] = [far, c];
      }
      return curve === undefined ? {} : { curve };
    }

    /** Drags point k of the edited curve; one that is not there yet is made. */
    drag(state, k, guarded) {
      const at = [...new Set([...this.pointsOf(state), k])].sort((a, b) => a - b);
      const place = at.indexOf(k);
      const values = curveOf(state, this.over, this.index);
      const blocked = this.over === "steps" && guarded.includes(this.index);
      const gesture = {
        label: "curve", preview: state, overlay: null,
        note: blocked ? "Frozen frames are protected. Click a snowflake to free its frame." : "",
        moveTo: (level) => {
          if (blocked) return;
          const bent = bend(values, k, level, at[place - 1] ?? null, at[place + 1] ?? null, this.easing);
          gesture.preview = withCurve(state, this.over, this.index, bent, guarded);
          this.remember(gesture.preview, at);
          gesture.overlay = { text: `${C.percent(bent[k])} noise` };
        },
        get result() { return gesture.preview; },
      };
      return gesture;
    }

    /** The state without point k of the edited curve: its neighbours are joined. */
    remove(state, k, guarded) {
      const points = this.pointsOf(state);
      const place = points.indexOf(k);
      if (place <= 0 || place === points.length - 1) return state;
      const [left, right] = [points[place - 1], points[place + 1]];
      const values = curveOf(state, this.over, this.index);
      const joined = bend(values, right, values[right], left, null, this.easing);
      const next = withCurve(state, this.over, this.index, joined, guarded);
      this.remember(next, points.filter((point) => point !== k));
      return next;
    }
  }

  return { Curves, EASINGS, anchors, bend, curveOf };
})();

if (typeof module === "object") module.exports = FvdmCurves;
