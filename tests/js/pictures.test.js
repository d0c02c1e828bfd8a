/* Pictures and their frames without a page: run with `node --test tests/js`. */

const test = require("node:test");
const assert = require("node:assert/strict");
const path = require("node:path");

const EDITOR = path.join(__dirname, "../../ui/timeline_editor");
const C = require(path.join(EDITOR, "core.js"));
globalThis.FvdmCore = C; // the scripts share one scope in the page
const E = globalThis.FvdmEdits = require(path.join(EDITOR, "edits.js"));
const P = require(path.join(EDITOR, "pictures.js"));
const file = (name) => ({ path: name, url: `/${name}`, orig_name: name, meta: { _type: "gradio.FileData" } });

test("what is wrong with a frame is known where it is", () => {
  const rows = [[0, 500, 1000, 1000, 0], [0, 200, 500, 700, 0], [0, 0, 0, 30, 0]];
  const state = C.fromValue({ levels: rows, sources: ["keyframe", "noise", "noise", "noise", "hold"],
    keyframes: [{ frame: 0, file: file("a"), fit: "crop" }, { frame: 2, file: file("b"), fit: "crop" }] });
  const found = P.troubles(state);
  assert.equal(found[0], "");
  assert.equal(found[1], "needs a picture");
  assert.equal(found[2], ""); // the held frame 5 starts from it
  assert.equal(found[3], "ends noisy");
  assert.match(P.troubles({ ...state, sources: null })[2], /no effect/);
  assert.equal(P.troubles({ ...state, keyframes: [] })[4], "needs a picture somewhere");
});

test("one edit mends frames: pictures are kept, frames made from noise, or brought down", () => {
  const state = C.fromValue({ levels: [[1000, 0, 900], [700, 0, 650], [400, 0, 300]], keyframes: [] });
  assert.deepEqual(C.column(P.mend(state, "keep", [0, 9]), 0), [0, 0, 0]);
  assert.deepEqual(C.column(P.mend(state, "noise", [1]), 1), [1000, 500, 0]);
  assert.deepEqual(C.column(P.mend(state, "clean", [2]), 2), [900, 500, 0]);
  assert.deepEqual(C.column(E.freeze(P.mend(state, "keep", [0]), [0], false), 0), [1000, 700, 400]);
});

test("a frame made from noise, freed or taken freely moves as a preset's do, halves included", () => {
  const state = C.fromValue({ levels: Array.from({ length: 17 }, () => [0, 0]), keyframes: [] });
  const preset = [1000, 938, 875, 812, 750, 688, 625, 562, 500, 438, 375, 312, 250, 188, 125, 62, 0];
  for (const mended of [P.mend(state, "noise", [0]), E.freeze(state, [0], false),
    E.soften(E.setKeyframe(state, 0, { path: "a" }), 0, 1),
    C.standard(1, 16), E.ramp(state, { f: 0, r: 0 }, { f: 0, r: 16 }, { from: 1000, to: 0 })]) {
    assert.deepEqual(C.column(mended, 0), preset); // as Timeline.preset("standard", steps=16) has it
  }
});

test("frames without a picture hold the nearest one", () => {
  const state = C.fromValue({ levels: [[0, 1000, 0], [0, 500, 0], [0, 0, 0]],
    keyframes: [{ frame: 0, file: file("a"), fit: "crop" }] });
  const held = P.mend(state, "hold", [2, 9]);
  assert.deepEqual(held.sources, ["keyframe", "noise", "hold"]);
  assert.deepEqual([...held.levels], [...state.levels]);
  assert.deepEqual(P.troubles(held), ["", "", ""]);
});

test("pictures that have no effect go in one edit", () => {
  const pictures = [0, 1, 2].map((frame) => ({ frame, file: file(`${frame}`), fit: "crop" }));
  const state = C.fromValue({ levels: [[0, 1000, 1000], [0, 0, 0]], keyframes: pictures });
  const without = P.mend(state, "remove", [1, 2]);
  assert.deepEqual(without.keyframes.map(({ frame }) => frame), [0]);
  assert.deepEqual([...without.levels], [...state.levels]);
});

test("a picture is fitted as the server fits it", () => {
  const crop = P.fitted(200, 100, 64, 64, "crop");
  assert.deepEqual(crop, { from: { x: 0.25, y: 0, w: 0.5, h: 1 }, to: { x: 0, y: 0, w: 1, h: 1 } });
  assert.deepEqual(P.fitted(200, 100, 64, 64, "contain").to, { x: 0, y: 0.25, w: 1, h: 0.5 });
  assert.deepEqual(P.fitted(90, 160, 64, 64, "contain").to, { x: 0.21875, y: 0, w: 0.5625, h: 1 });
  assert.equal(P.cutOff(200, 100, 64, 64, "crop"), "50 % of its width is cut off");
  assert.equal(P.cutOff(100, 200, 128, 64, "crop"), "75 % of its height is cut off");
  assert.equal(P.cutOff(64, 64, 128, 128, "crop"), "all of it is used");
  assert.equal(P.cutOff(200, 100, 64, 64, "contain"), "black above and below it");
  assert.equal(P.cutOff(100, 200, 64, 64, "stretch"), "made 2.00 times wider");
});

test("a dropped video fills what waits for pictures: a clip's end before what goes on, its start after", () => {
  const state = (kept) => C.fromValue({ levels: [0, 1].map((r) =>
    Array.from({ length: 12 }, (_, f) => (kept.includes(f) ? 0 : 1000 - 1000 * r))) });
  assert.deepEqual(P.partFor(state([]), 3), { count: 9, end: false });
  assert.deepEqual(P.partFor(state([0, 1, 2, 3]), 0), { count: 4, end: true }); // continue
  const transition = state([0, 1, 2, 9, 10, 11]);
  assert.deepEqual(P.partFor(transition, 0), { count: 3, end: true });
  assert.deepEqual(P.partFor(transition, 9), { count: 3, end: false });
  const all = Array.from({ length: 12 }, (_, f) => f);
  assert.deepEqual(P.partFor(state(all), 0), { count: 12, end: false }); // edit
});

test("the frames of a video lie a step apart, and those that move have all frames of it", () => {
  const near = (got, wanted) => assert.deepEqual(got.map((own) => own.map((t) => Math.round(t * 1e6) / 1e6)), wanted);
  const stills = { first: 3, each: 1, step: 0.5, duration: 3 };
  near(P.times({ ...stills, from: 1, most: 9 }), [[1], [1.5], [2], [2.5]]);
  near(P.times({ ...stills, from: 1, most: 2 }), [[1], [1.5]]);
  const moving = { each: 2, step: 0.25, duration: 3 };
  near(P.times({ ...moving, first: 0, from: 1, most: 3 }), [[1], [1.25, 1.5], [1.75, 2]]);
  near(P.times({ ...moving, first: 4, from: 1, most: 3 }), [[1, 1.25], [1.5, 1.75], [2, 2.25]]);
  near(P.times({ ...moving, first: 4, from: 2.6, most: 3 }), [[2.6, 2.85]]); // no second whole one
  near(P.times({ ...moving, first: 4, from: 2.9, most: 3 }), [[2.9]]);
});

test("what is filled up to the end of a video is as many pictures as were asked for", () => {
  for (const each of [1, 2, 3, 4, 8]) for (const step of [1 / 30, 1 / 8, 4 / 15, 8 / 30, 0.5]) {
    for (const first of [0, 1, 5]) for (const count of [1, 2, 7]) {
      const about = { first, each, step, duration: 30 };
      const from = P.beginning({ ...about, count });
      const times = P.times({ ...about, from, most: count });
      assert.equal(times.length, count);
      assert.ok(times.flat().every((time) => time < 30));
      assert.ok(times.flat().at(-1) > 30 - 0.05);
      assert.equal(P.times({ ...about, from, most: 99 }).length, count);
    }
  }
  assert.equal(P.beginning({ first: 1, each: 4, step: 0.25, duration: 2, count: 9 }), 0);
});
