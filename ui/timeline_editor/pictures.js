/* Pictures and the frames they lie on: what is wrong with a frame and how it is mended, which part
   of a video is meant, how a picture is cut. Pure functions of a state of core.js, no DOM. */

const FvdmPictures = (() => {
  const { MAX, rint, levelAt, keyframeOn, isHeld } = FvdmCore;
  const { freeze, hold, removeKeyframe, withLevels } = FvdmEdits;

  // ── What is wrong, and mending it ──────────────────────────────────────────────────────────

  /** What is wrong with each frame, "" where nothing is: said where it is, beside the server's
      sentence about the whole. */
  function troubles(state) {
    const { frames, rows, keyframes } = state;
    const start = (f) => levelAt(state, f, 0);
    const used = new Set(); // pictures that a frame starts from
    const found = new Array(frames).fill("");
    for (let f = 0; f < frames; f++) {
      if (start(f) === MAX) continue;
      if (keyframeOn(state, f)) used.add(f);
      else if (isHeld(state, f) && keyframes.length) used.add(nearestPicture(state, f));
      else found[f] = isHeld(state, f) ? "needs a picture somewhere" : "needs a picture";
    }
    for (let f = 0; f < frames; f++) {
      if (levelAt(state, f, rows - 1) > 0) found[f] ||= "ends noisy";
    }
    for (const { frame } of keyframes) {
      if (frame < frames && !used.has(frame)) found[frame] = "its picture has no effect, as it starts from noise";
    }
    return found;
  }

  /** The frame of the nearest picture, the earlier one on a tie. */
  const nearestPicture = (state, frame) => state.keyframes.reduce((best, { frame: k }) =>
    (best === null || Math.abs(k - frame) < Math.abs(best - frame) ? k : best), null);

  /** Mends frames in one edit. "keep": their pictures are kept; "remove": their pictures go;
      "noise": they are made from noise; "hold": they start from the nearest picture; "clean": their
      way down is shifted so that it ends at 0. */
  function mend(state, what, frames) {
    const inside = frames.filter((f) => f < state.frames);
    if (what === "keep") return freeze(state, inside, true, "picture");
    if (what === "remove") return inside.reduce(removeKeyframe, state);
    if (what === "hold") return hold(state, inside, true);
    const levels = state.levels.slice();
    const last = state.rows - 1;
    for (const f of inside) {
      const end = levelAt(state, f, last);
      for (let r = 0; r <= last; r++) {
        const k = r * state.frames + f;
        levels[k] = what === "noise" ? rint(MAX * (1 - r / last))
          : Math.max(0, rint(levels[k] - (end * r) / last));
      }
    }
    return withLevels(state, levels);
  }

  // ── Videos ─────────────────────────────────────────────────────────────────────────────────

  /** The part of a video that a drop on `frame` means: how many frames, and whether they are its
      end. Frames that wait for pictures are filled as far as they go together; where frames that
      are made come after them and none before, the clip goes on, so its end is what counts. */
  function partFor(state, frame) {
    const given = (f) => f < state.frames && levelAt(state, f, 0) < MAX;
    if (!given(frame)) return { count: state.frames - frame, end: false };
    let last = frame;
    while (given(last + 1)) last += 1;
    const begins = Array.from({ length: frame }, (_, f) => f).every(given);
    return { count: last - frame + 1, end: begins && last < state.frames - 1 };
  }

  /** The times in a video, in seconds, of the frames of each picture that it gives from a time on,
      `step` apart, for the columns from `first` on, of which each but the very first stands for
      `each` frames. There are as many pictures as the video has whole, `most` at the most, or a
      single frame. */
  function times({ first, each, step, from, duration, most }) {
    const alone = first === 0 ? 1 : 0;
    const there = Math.floor((duration - from - 0.02) / step) + 1;
    const whole = alone + Math.floor((there - alone) / each);
    if (whole < 1 || most < 1) return [[from]];
    const frames = (k) => (k < alone ? [0] : Array.from({ length: each }, (_, n) => alone + (k - alone) * each + n));
    return Array.from({ length: Math.min(whole, most) }, (_, k) => frames(k).map((frame) => from + frame * step));
  }

  /** Where `times` has to begin for the last `count` pictures of a video. */
  function beginning({ first, each, step, duration, count }) {
    const alone = first === 0 ? 1 : 0;
    return Math.max(0, duration - 0.04 - (alone + (count - alone) * each - 1) * step);
  }

  // ── How a picture is cut ───────────────────────────────────────────────────────────────────

  /** How a picture of w × h pixels comes into a frame of W × H: the part of it that is kept, and
      where in the frame it lies; all four of each as shares of 1. As fvdm_core.pictures does it. */
  function fitted(w, h, W, H, fit) {
    const all = { x: 0, y: 0, w: 1, h: 1 };
    const centred = (wide, high) => ({ x: (1 - wide) / 2, y: (1 - high) / 2, w: wide, h: high });
    if (fit === "stretch") return { from: all, to: all };
    const [across, down] = [w / W, h / H];
    if (fit === "crop") {
      const scale = Math.min(across, down);
      return { from: centred(scale / across, scale / down), to: all };
    }
    const scale = Math.max(across, down);
    return { from: all, to: centred(across / scale, down / scale) };
  }

  /** What fitting does to a picture, in words. */
  function cutOff(w, h, W, H, fit) {
    const { from, to } = fitted(w, h, W, H, fit);
    const share = (x) => `${Math.round(100 * (1 - x))} %`;
    if (from.w < 0.995) return `${share(from.w)} of its width is cut off`;
    if (from.h < 0.995) return `${share(from.h)} of its height is cut off`;
    if (to.h < 0.995) return "black above and below it";
    if (to.w < 0.995) return "black beside it";
    const stretch = (w / W) / (h / H);
    if (stretch > 1.005) return `made ${stretch.toFixed(2)} times narrower`;
    return stretch < 0.995 ? `made ${(1 / stretch).toFixed(2)} times wider` : "all of it is used";
  }

  return { troubles, mend, partFor, times, beginning, fitted, cutOff };
})();

if (typeof module === "object") module.exports = FvdmPictures; // for node --test
