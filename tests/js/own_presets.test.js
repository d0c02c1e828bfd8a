/* The person's own presets and the file of a timeline: run with `node --test tests/js`. */

const test = require("node:test");
const assert = require("node:assert/strict");
const path = require("node:path");
const O = require(path.join(__dirname, "../../ui/pieces/own_presets.js"));

const value = (frames = 4, rows = 3) => ({
  version: 1, keyframes: [{ frame: 0, file: { path: "/secret/a.png" } }], preset: null, formula: "",
  levels: Array.from({ length: rows }, (_, r) =>
    Array.from({ length: frames }, (_, f) => (f ? 1000 - r : 0))),
});

test("a timeline keeps levels, windows, sources and prior, and leaves pictures behind", () => {
  const step = [{ frames: [0, 1, 2, 3], updates: [1, 2, 3] }];
  const timeline = O.encode({ ...value(), windows: [step, step], sources: ["keyframe", "noise", "noise", "hold"],
    prior: "mixed", prior_alpha: 0.5, seen: { 0: 40 } }, "Mine");
  assert.deepEqual(timeline, {
    version: 1, title: "Mine", levels: [[0, 1000, 1000, 1000], [0, 999, 999, 999], [0, 998, 998, 998]],
    windows: [step, 1], sources: ["keyframe", "noise", "noise", "hold"], prior: "mixed", prior_alpha: 0.5, seen: { 0: 40 },
  });
  assert.ok(!JSON.stringify(O.encode(value())).includes("secret"));
  assert.deepEqual(Object.keys(O.encode({ ...value(), windows: null, sources: null, prior: "independent", prior_alpha: 1, seen: {} })),
    ["version", "levels"]);
});

test("levels come back from runs cell by cell, whatever the size", () => {
  for (const [frames, rows] of [[1, 2], [7, 9], [64, 5]]) {
    const painted = value(frames, rows);
    painted.levels[1][frames - 1] = 123;
    assert.deepEqual(O.matrix(O.encode(painted)), painted.levels);
  }
  assert.ok(JSON.stringify(O.encode(value(64, 200))).length < 200 * 64);
});

test("what is no matrix of levels is none", () => {
  for (const levels of [null, [], [[1]], [[1], [1, 2]], [[1], [1001]], [[1], [-1]], [[1], [0.5]], [["1"], [0]],
    [[[1, 0]], [[1, 1]]], [[[1, 2000]], [[1, 2000]]], [[[5, 1, 1]], [1]], { length: 2 }]) {
    assert.equal(O.matrix({ levels }), null, JSON.stringify(levels));
  }
  assert.equal(O.matrix(null), null);
});

test("a picture has the corners of the matrix and is small", () => {
  const timeline = O.encode(value(100, 50));
  const small = O.picture(timeline, 14);
  assert.deepEqual([small.length, small[0].length], [14, 14]);
  assert.deepEqual([small[0][0], small[0][13], small[13][13]], [0, 1000, 951]);
  assert.deepEqual(O.picture(O.encode(value(1, 2)), 14).length, 2);
});

test("a saved list survives the browser; a name is taken once", () => {
  const timeline = O.encode(value());
  let { list } = O.save([], "  A   b ", timeline);
  ({ list } = O.save(list, "B", timeline));
  ({ list } = O.save(list, "A b", O.encode(value(5))));
  assert.deepEqual(list.map((p) => p.name), ["A b", "B"]);
  assert.deepEqual(O.load(O.store(list)), list);
  assert.equal(O.matrix(list[0].timeline)[0].length, 5);
  assert.match(O.save(list, "   ", timeline).error, /name/);
});

test("renaming and deleting", () => {
  const timeline = O.encode(value());
  let { list } = O.save(O.save([], "a", timeline).list, "b", timeline);
  assert.match(O.rename(list, "a", "b").error, /taken/);
  assert.deepEqual(O.rename(list, "a", "b").list, list);
  ({ list } = O.rename(list, "a", "c"));
  assert.deepEqual(list.map((p) => p.name), ["c", "b"]);
  assert.deepEqual(O.remove(list, "c").map((p) => p.name), ["b"]);
  assert.equal(O.suggestion(list, "c"), "c 2");
  assert.equal(O.suggestion(list, ""), "My timeline");
});

test("bad data in the browser is ignored, the good beside it kept", () => {
  const good = { name: "good", timeline: O.encode(value()) };
  for (const text of [null, "", "{", "null", "7", "[]", '{"version":2,"presets":[]}', '{"version":1,"presets":{}}']) {
    assert.deepEqual(O.load(text), []);
  }
  const bad = [null, 7, {}, { name: 5, timeline: good.timeline }, { name: "x" }, { name: "x", timeline: { levels: [[1], [2000]] } },
    { name: " ", timeline: good.timeline }, good, { ...good }];
  assert.deepEqual(O.load(JSON.stringify({ version: 1, presets: bad })), [good]);
  const many = Array.from({ length: 500 }, (_, k) => ({ ...good, name: `n${k}` }));
  assert.equal(O.load(O.store(many)).length, O.MOST);
});

test("the list is limited in number and in size, and says what to do", () => {
  const timeline = O.encode(value());
  let list = Array.from({ length: O.MOST }, (_, k) => ({ name: `n${k}`, timeline }));
  assert.match(O.save(list, "one more", timeline).error, /delete one/);
  assert.equal(O.save(list, "n3", timeline).error, "");
  const noisy = { version: 1, levels: Array.from({ length: 400 }, (_, r) =>
    Array.from({ length: 1000 }, (_, f) => (r * 7919 + f * 104729) % 1001)) };
  const full = O.save([], "large", noisy);
  assert.match(full.error, /no room/);
  assert.deepEqual(full.list, []);
});

test("a file's name holds nothing but letters, digits and dashes", () => {
  assert.equal(O.fileName("../A b/ü", O.encode(value(4, 3))), "a-b-4x2.json");
  assert.equal(O.fileName("", O.encode(value(4, 3))), "timeline-4x2.json");
});
