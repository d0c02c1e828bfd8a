/* The painted timeline as plain data, no DOM: a state, the value that travels, and what is read of
   them. Its edits are in edits.js.

   A state is { frames, rows, levels, base, windows, sources, preset, formula, extra, keyframes,
   thawed }; extra holds what the page hands on without looking: the noise prior, seen levels, steps.
   levels is a Uint16Array of rows × frames cells, row by row: 0 is clean, 1000 is noise. Row 0 is
   the start, row rows − 1 the end. base holds the levels that the eraser brings back. thawed
   remembers what a column held before it was frozen. Frames and rows count from 0. */

const FvdmCore = (() => {
  const MAX = 1000;

  const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
  const lerp = (a, b, t) => a + (b - a) * t;
  const smoothstep = (t) => { const x = clamp(t, 0, 1); return x * x * (3 - 2 * x); };

  /** To the nearest whole number, a half to the even one, as the server rounds: frames that move
      together stay together, whoever made them. */
  function rint(x) {
    const up = Math.round(x);
    return up - x === 0.5 && up % 2 ? up - 1 : up;
  }

  /** A level in words; what is only nearly clean or nearly noise is not called so. */
  function percent(level) {
    const whole = rint(level / (MAX / 100));
    if (whole === 0 && level > 0) return "<1 %";
    return whole === 100 && level < MAX ? ">99 %" : `${whole} %`;
  }

  // ── The value that travels between page and server ─────────────────────────────────────────

  const EXTRA = ["prior", "prior_alpha", "seen", "steps_before"];

  function fromValue(value) {
    const rows = value.levels.length;
    const frames = value.levels[0].length;
    const levels = new Uint16Array(rows * frames);
    value.levels.forEach((row, r) => levels.set(row, r * frames));
    return {
      frames, rows, levels, base: levels,
      windows: value.windows ?? null,
      sources: value.sources ?? null,
      preset: value.preset ?? null,
      formula: value.formula ?? "",
      extra: Object.fromEntries(EXTRA.filter((name) => name in value).map((name) => [name, value[name]])),
      keyframes: [...(value.keyframes ?? [])].sort((a, b) => a.frame - b.frame),
      thawed: {},
    };
  }

  function toValue(state) {
    const { frames, rows, levels, windows, sources, preset, formula, keyframes } = state;
    const grid = Array.from({ length: rows }, (_, r) =>
      Array.from(levels.subarray(r * frames, (r + 1) * frames)));
    return { version: 1, levels: grid, windows, sources, preset, formula, ...extraOf(state), keyframes };
  }

  /** What is handed on. A frame that was painted moves, and then is seen as it is. */
  function extraOf(state) {
    const { extra } = state;
    if (!extra.seen) return extra;
    const still = ([f]) => column(state, Number(f)).every((level, _, all) => level === all[0]);
    return { ...extra, seen: Object.fromEntries(Object.entries(extra.seen).filter(still)) };
  }

  /** The state after the server sent `value`: the eraser now returns to what the server sent,
      except when it only resampled what was painted; then it returns to the resampled preset. */
  function fromServer(previous, value) {
    const next = fromValue(value);
    if (!previous) return next;
    const resized = next.frames !== previous.frames || next.rows !== previous.rows;
    const painted = previous.levels.some((level, k) => level !== previous.base[k]);
    const samePreset = next.formula === previous.formula
      && JSON.stringify(next.preset) === JSON.stringify(previous.preset);
    if (resized && samePreset && painted) {
      const { frames, rows, base } = previous;
      next.base = resample(base, frames, rows, next.frames, next.rows, columnsFor(previous, next.frames));
      if (next.frames === previous.frames) next.thawed = resampledColumns(previous.thawed, next.rows);
    } else if (samePreset && sameLevels(previous, next)) {
      next.base = previous.base;
      next.thawed = previous.thawed;
    } else if (!resized && !next.preset && !next.formula) {
      thawable(previous, next);
    }
    return next;
  }

  const resampledColumns = (thawed, rows) => Object.fromEntries(Object.entries(thawed).map(
    ([f, { levels, by }]) => [f, { levels: [...resample(levels, 1, levels.length, 1, rows)], by }]));

  /** Where the server has done no more than put pictures on frames, which froze them, taking one
      off gives its frame back what it held, and the eraser what the preset was. */
  function thawable(previous, next) {
    const changed = Array.from({ length: next.frames }, (_, f) => f).filter((f) =>
      column(next, f).some((level, r) => level !== levelAt(previous, f, r)));
    const placed = (f) => isFrozen(next, f) && keyframeOn(next, f) && !keyframeOn(previous, f);
    if (!changed.every(placed)) return;
    next.base = previous.base;
    next.thawed = { ...previous.thawed };
    for (const f of changed) next.thawed[f] = { levels: column(previous, f), by: "picture" };
  }

  function standard(frames, steps) {
    const levels = Array.from({ length: steps + 1 }, (_, r) =>
      new Array(frames).fill(rint(MAX * (1 - r / steps))));
    return fromValue({ levels });
  }

  /** Whether a value says what the state says; how it is written (null fields, order) is no matter. */
  function says(state, value) {
    const other = fromValue(value);
    const told = ({ windows, sources, preset, formula, extra, keyframes }) => JSON.stringify([
      windows?.map((step) => step.map((w) => [w.frames, w.updates])) ?? null, sources,
      preset && [preset.name, preset.params], formula,
      extra.prior ?? "independent", extra.prior_alpha ?? 1, Object.entries(extra.seen ?? {}),
      keyframes.map((k) => [k.frame, k.fit, k.file.path]),
    ]);
    return sameLevels(state, other) && told(state) === told(other);
  }

  const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
    for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
    return n;
  });
  /** Of the bytes of some arrays, one behind the other. */
  function crc32(...parts) {
    let crc = ~0;
    for (const part of parts) {
      const bytes = new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
      for (let k = 0; k < bytes.length; k++) crc = (crc >>> 8) ^ CRC[(crc ^ bytes[k]) & 255];
    }
    return ~crc >>> 0;
  }

  const marks = new WeakMap(); // a state is never changed

  /** CRC-32 of size, levels and pictures, as the server computes it for what a run was made of. */
  function markOf(state) {
    if (!marks.has(state)) {
      const { frames, rows, levels, keyframes } = state;
      const pictures = keyframes.map((k) => `${k.frame} ${k.fit ?? "crop"} ${k.file.path}\n`).join("");
      marks.set(state, crc32(Uint16Array.of(frames, rows), levels, new TextEncoder().encode(pictures)));
    }
    return marks.get(state);
  }

  function sameLevels(a, b) {
    if (a.frames !== b.frames || a.rows !== b.rows) return false;
    for (let k = 0; k < a.levels.length; k++) if (a.levels[k] !== b.levels[k]) return false;
    return true;
  }

  // ── Reading ────────────────────────────────────────────────────────────────────────────────

  /** `markOf`, and what the panel says beside of a painting; as `EditorValue.reading_mark`. */
  const readingMark = (state) =>
    [markOf(state), state.extra.prior ?? "independent", ...(state.sources ?? [])].join(" ");

  const levelAt = (state, frame, row) => state.levels[row * state.frames + frame];

  const column = (state, frame, levels = state.levels) =>
    Array.from({ length: state.rows }, (_, r) => levels[r * state.frames + frame]);

  function isFrozen(state, frame) {
    for (let k = frame; k < state.levels.length; k += state.frames) if (state.levels[k]) return false;
    return true;
  }

  const frozenFrames = (state) =>
    Array.from({ length: state.frames }, (_, f) => f).filter((f) => isFrozen(state, f));

  const keyframeOn = (state, frame) => state.keyframes.find((k) => k.frame === frame) ?? null;
  const isHeld = (state, frame) => state.sources?.[frame] === "hold";

  /** What a frame does over the whole timeline, in a few words. */
  function frameSummary(state, frame) {
    if (isFrozen(state, frame)) return keyframeOn(state, frame) ? "kept as its picture" : "frozen";
    const first = levelAt(state, frame, 0);
    const last = levelAt(state, frame, state.rows - 1);
    if (last > 0) return `ends at ${percent(last)} noise`;
    return first === MAX ? "made from noise" : `starts at ${percent(first)} noise`;
  }

  /** Which frames of the clip a column is, where each but the first stands for several; else "". */
  function inClip(frame, perColumn) {
    if (perColumn === 1) return "";
    return frame ? `frames ${(frame - 1) * perColumn + 2}–${frame * perColumn + 1} of the clip`
      : "frame 1 of the clip";
  }

  /** "Frame 3", "Frames 1 and 16", "Frames 1–8, 10 and 12–16", for frames that count from 0; of
      many runs the rest is a number. As fvdm_core/limits.py names them. */
  function frameNames(frames) {
    const LISTED = 5;
    const runs = [];
    for (const f of [...frames].sort((a, b) => a - b)) {
      const last = runs.at(-1);
      if (last && f === last[1] + 1) last[1] = f; else runs.push([f, f]);
    }
    const names = runs.slice(0, LISTED).flatMap(([a, b]) => (b - a > 1 ? [`${a + 1}–${b + 1}`]
      : a === b ? [`${a + 1}`] : [`${a + 1}`, `${b + 1}`]));
    const rest = runs.slice(LISTED).reduce((sum, [a, b]) => sum + b - a + 1, 0);
    if (rest) names.push(`${rest} more`);
    const listed = names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names.join("");
    return `Frame${frames.length > 1 ? "s" : ""} ${listed}`;
  }

  // ── Another size ─────────────────────────────────────────────────────────────────────────────

  /** Cells at another size: of each new frame the column it takes, by itself the nearest; linear
      over steps. */
  function resample(cells, frames, rows, toFrames, toRows, columns = nearest(frames, toFrames)) {
    const out = new Uint16Array(toFrames * toRows);
    for (let r = 0; r < toRows; r++) {
      const y = toRows > 1 ? (r * (rows - 1)) / (toRows - 1) : 0;
      const y0 = Math.max(0, Math.min(rows - 2, Math.floor(y)));
      const y1 = Math.min(rows - 1, y0 + 1);
      const share = y - y0;
      for (let f = 0; f < toFrames; f++) {
        const x = columns[f];
        out[r * toFrames + f] = rint(
          (1 - share) * cells[y0 * frames + x] + share * cells[y1 * frames + x]);
      }
    }
    return out;
  }

  /** `count` even places from 0 to `last`. */
  const evenly = (last, count) => Array.from({ length: count }, (_, k) =>
    (k && k === count - 1 ? last : k * (last / Math.max(1, count - 1))));

  const nearest = (frames, toFrames) => evenly(frames - 1, toFrames).map(rint);

  /** Which of the state's columns each of `toFrames` new ones takes, as Timeline.resampled has it:
      columns that stand for pictures go to their new places and are not repeated. */
  function columnsFor(state, toFrames) {
    const { frames } = state;
    const stands = (f) => column(state, f).every((level, _, all) => level === all[0]);
    const isPicture = (f) => levelAt(state, f, 0) < MAX && !(isHeld(state, f) && !stands(f));
    const all = Array.from({ length: frames }, (_, f) => f);
    const [pictures, others] = [all.filter(isPicture), all.filter((f) => !isPicture(f))];
    if (!others.length) return nearest(frames, toFrames);
    const places = evenly(frames - 1, toFrames).map((x) => others.reduce((best, f) =>
      (Math.abs(x - f) < Math.abs(x - best) ? f : best)));
    const scale = (toFrames - 1) / Math.max(1, frames - 1);
    for (const f of pictures) places[rint(f * scale)] = f;
    return places;
  }

  // ── Geometry ───────────────────────────────────────────────────────────────────────────────

  /** The width of a column: as wide as the view allows, never below `least` (then it scrolls). */
  function columnWidth(viewWidth, frames, least) {
    return Math.max(least, viewWidth / frames);
  }

  return {
    MAX, clamp, lerp, rint, smoothstep, percent, fromValue, toValue, fromServer, says, standard,
    crc32, markOf, readingMark, sameLevels, levelAt, column, isFrozen, frozenFrames, keyframeOn,
    isHeld, frameSummary, inClip, frameNames, resample, columnWidth,
  };
})();

if (typeof module === "object") module.exports = FvdmCore; // for node --test
