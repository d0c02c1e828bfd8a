/* The editor's logic without a page: run with `node --test tests/js`. */

const test = require("node:test");
const assert = require("node:assert/strict");
const path = require("node:path");

const UI = path.join(__dirname, "../../ui");
const C = require(path.join(UI, "timeline_editor/core.js"));
globalThis.FvdmCore = C; // the scripts share one scope in the page
const E = globalThis.FvdmEdits = require(path.join(UI, "timeline_editor/edits.js"));
const G = require(path.join(UI, "timeline_editor/gestures.js"));
const FvdmColours = globalThis.FvdmColours = require(path.join(UI, "timeline_editor/colours.js"));
const FvdmUndo = require(path.join(UI, "timeline_editor/undo.js"));
const FvdmCurves = require(path.join(UI, "timeline_editor/curves.js"));
const { Curves } = FvdmCurves;

const OPTIONS = { level: 600, width: 1, height: 1, soft: 0, guarded: [] };
const cell = (f, r) => ({ f, r, x: f + 0.5, y: r + 0.5 });
const grid = (state) => C.toValue(state).levels;
const changed = (a, b) => [...a.levels.keys()].filter((k) => a.levels[k] !== b.levels[k])
  .map((k) => [k % a.frames, Math.floor(k / a.frames)]);
const file = (name) => ({ path: name, url: `/${name}`, orig_name: name, meta: { _type: "gradio.FileData" } });

test("a column says which frames of the clip it is", () => {
  assert.deepEqual([0, 1, 2].map((f) => C.inClip(f, 1)), ["", "", ""]);
  assert.deepEqual([0, 1, 2].map((f) => C.inClip(f, 4)),
    ["frame 1 of the clip", "frames 2–5 of the clip", "frames 6–9 of the clip"]);
});

test("a value survives the round trip, field by field", () => {
  const value = {
    version: 1, levels: [[1000, 0], [500, 0], [0, 0]],
    windows: [[{ frames: [0, 1], updates: [0] }], [{ frames: [0, 1], updates: [0] }]],
    sources: ["noise", "keyframe"], preset: { name: "ramp", params: { rate: 0.2 } }, formula: "t", steps_before: 30,
    keyframes: [{ frame: 1, file: file("b.png"), fit: "contain" }],
  };
  assert.deepEqual(C.toValue(C.fromValue(value)), value);
});

test("a painting has the mark that the server gives it, and another one another", () => {
  const state = C.fromValue({ levels: [[1000, 0], [500, 3], [0, 700]] });
  assert.equal(C.markOf(state), 1035844552); // tests/ui/test_canvas_value.py has the same
  assert.notEqual(C.markOf(C.standard(2, 15)), C.markOf(C.standard(15, 2)));
  assert.notEqual(C.markOf(E.freeze(state, [0], true)), C.markOf(state));
  const pictures = [{ frame: 1, file: file("ü.png") }, { frame: 0, file: file("a.png"), fit: "contain" }];
  assert.equal(C.markOf(C.fromValue({ levels: [[0, 0], [0, 0]], keyframes: pictures })), 1123627402);
  assert.equal(C.readingMark(state), "1035844552 independent");
  const other = { levels: [[1000, 0], [500, 3], [0, 700]], sources: ["noise", "hold"], prior: "mixed" };
  assert.equal(C.readingMark(C.fromValue(other)), "1035844552 mixed noise hold");
});

test("a hard brush of one cell paints the cell under the pointer and no other", () => {
  const state = C.standard(8, 10);
  for (const [x, y] of [[3.01, 4.01], [3.5, 4.5], [3.99, 4.99]]) {
    const after = new E.Stroke(state, { ...OPTIONS, level: 77 }).to(x, y).result();
    assert.deepEqual(changed(state, after), [[3, 4]]);
    assert.equal(C.levelAt(after, 3, 4), 77);
  }
});

test("a brush of w × h frames and steps covers w · h cells, and is cut off at the edges", () => {
  const state = C.fromValue({ levels: Array.from({ length: 20 }, () => new Array(20).fill(500)) });
  for (const [width, height] of [[1, 1], [2, 3], [5, 4], [8, 9]]) {
    const brush = { ...OPTIONS, level: 0, width, height };
    assert.equal(changed(state, new E.Stroke(state, brush).to(10.3, 10.3).result()).length, width * height);
  }
  const corner = new E.Stroke(state, { ...OPTIONS, level: 0, width: 4, height: 4 }).to(0, 0).result();
  assert.equal(changed(state, corner).length, 4);
});

test("a fast stroke leaves no holes", () => {
  const state = C.standard(64, 200);
  const after = new E.Stroke(state, { ...OPTIONS, level: 1 }).to(0.5, 0.5).to(63.5, 199.5).result();
  const rows = new Set(changed(state, after).map(([, r]) => r));
  const frames = new Set(changed(state, after).map(([f]) => f));
  assert.equal(frames.size, 64);
  assert.ok(rows.size >= 200); // of 201; a cell may hold level 1 already
});

test("a soft brush falls off from its centre and going over twice changes nothing", () => {
  const state = C.fromValue({ levels: Array.from({ length: 21 }, () => new Array(21).fill(1000)) });
  const brush = { ...OPTIONS, level: 0, width: 9, height: 9, soft: 1 };
  const once = new E.Stroke(state, brush).to(10.5, 10.5).result();
  const along = Array.from({ length: 10 }, (_, k) => C.levelAt(once, 10 + k, 10));
  assert.equal(along[0], 0);
  for (let k = 1; k < along.length; k++) assert.ok(along[k] >= along[k - 1]);
  assert.ok(along.some((level) => level > 0 && level < 1000));
  const twice = new E.Stroke(state, brush).to(10.5, 10.5).to(10.5, 10.5).result();
  assert.deepEqual(grid(twice), grid(once));
});

test("guarded frames stay, and the gesture says why nothing happened", () => {
  const state = E.freeze(C.standard(4, 6), [1], true);
  const gesture = G.start.brush(state, cell(1, 2), { ...OPTIONS, guarded: [1] });
  assert.equal(gesture.result, state);
  assert.match(gesture.note, /protected/);
  const across = G.start.brush(state, cell(0, 2), { ...OPTIONS, level: 5, guarded: [1] });
  across.move(cell(3, 2));
  assert.deepEqual(changed(state, across.result), [[0, 2], [2, 2], [3, 2]]);
  assert.equal(across.note, "");
});

test("the eraser brings back the base, cell by cell", () => {
  const state = C.standard(6, 8);
  const painted = E.fill(state, { f0: 0, r0: 0, f1: 5, r1: 8 }, () => 123);
  const gesture = G.start.erase(painted, cell(2, 3), OPTIONS);
  gesture.move(cell(2, 5));
  for (const r of [3, 4, 5]) assert.equal(C.levelAt(gesture.result, 2, r), C.levelAt(state, 2, r));
  assert.equal(C.levelAt(gesture.result, 3, 4), 123);
});

test("a line goes from its first to its last point only", () => {
  const state = C.standard(8, 8);
  const gesture = G.start.line(state, cell(0, 4), { ...OPTIONS, level: 1 });
  gesture.move(cell(7, 0));
  gesture.move(cell(7, 4));
  assert.deepEqual(changed(state, gesture.result), Array.from({ length: 8 }, (_, f) => [f, 4]));
});

test("a ramp is even and ends at the chosen level, along frames, along steps and across", () => {
  const state = C.fromValue({ levels: Array.from({ length: 11 }, () => new Array(11).fill(1000)) });
  const down = E.ramp(state, cell(4, 0), cell(4, 10), { from: 1000, to: 0 });
  assert.deepEqual(C.column(down, 4), Array.from({ length: 11 }, (_, r) => 1000 - 100 * r));
  assert.equal(changed(state, down).every(([f]) => f === 4), true);
  const along = E.ramp(state, cell(10, 3), cell(0, 3), { from: 0, to: 1000 });
  assert.deepEqual(grid(along)[3], Array.from({ length: 11 }, (_, f) => 1000 - 100 * f));
  const plane = E.ramp(state, cell(0, 0), cell(10, 10), { from: 0, to: 1000 });
  assert.equal(C.levelAt(plane, 5, 5), 500);
  assert.equal(C.levelAt(plane, 10, 10), 1000);
  const wide = E.ramp(state, cell(4, 0), cell(4, 10), { from: 1000, to: 0, width: 3 });
  assert.deepEqual([...new Set(changed(state, wide).map(([f]) => f))].sort(), [3, 4, 5]);
});

test("fill paints the rectangle between two corners, whichever comes first", () => {
  const state = C.standard(9, 9);
  const gesture = G.start.fill(state, cell(6, 7), { ...OPTIONS, level: 5 });
  gesture.move(cell(3, 5));
  const cells = changed(state, gesture.result);
  assert.equal(cells.length, 4 * 3);
  assert.ok(cells.every(([f, r]) => f >= 3 && f <= 6 && r >= 5 && r <= 7));
});

test("freezing keeps a column at 0; unfreezing gives back exactly what it held", () => {
  const state = E.fill(C.standard(5, 10), { f0: 2, r0: 3, f1: 2, r1: 6 }, () => 321);
  const frozen = E.freeze(state, [2], true);
  assert.ok(C.isFrozen(frozen, 2) && !C.isFrozen(frozen, 1));
  assert.deepEqual(grid(E.freeze(frozen, [2], false)), grid(state));
});

test("unfreezing a column that a preset froze gives an even way down", () => {
  const state = C.fromValue({ levels: Array.from({ length: 5 }, () => [0, 0]) });
  assert.deepEqual(C.column(E.freeze(state, [0], false), 0), [1000, 750, 500, 250, 0]);
});

test("freezing by dragging follows the first column", () => {
  const state = E.freeze(C.standard(6, 4), [2], true);
  const gesture = G.start.freeze(state, cell(1, 0));
  gesture.move(cell(2, 3));
  gesture.move(cell(3, 3));
  assert.deepEqual(C.frozenFrames(gesture.result), [1, 2, 3]);
  const back = G.start.freeze(gesture.result, cell(2, 0));
  back.move(cell(3, 0));
  assert.deepEqual(C.frozenFrames(back.result), [1]);
});

test("hold marks sources and leaves levels alone", () => {
  const state = E.setKeyframe(C.standard(4, 4), 0, file("a.png"));
  const held = E.hold(state, [2], true);
  assert.deepEqual(held.sources, ["keyframe", "noise", "hold", "noise"]);
  assert.equal(held.levels, state.levels);
  assert.deepEqual(E.hold(held, [2], false).sources, ["keyframe", "noise", "noise", "noise"]);
});

test("a picture on a frame of pure noise freezes it; taking it off frees the frame", () => {
  const state = C.standard(4, 10);
  const placed = E.setKeyframe(state, 2, file("a.png"));
  assert.ok(C.isFrozen(placed, 2));
  assert.deepEqual(grid(E.removeKeyframe(placed, 2)), grid(state));
});

test("a picture on a frame that starts below noise leaves its levels", () => {
  const state = E.fill(C.standard(4, 10), { f0: 2, r0: 0, f1: 2, r1: 10 }, () => 300);
  assert.equal(E.setKeyframe(state, 2, file("a.png")).levels, state.levels);
});

test("a column that the person froze stays frozen when its picture goes", () => {
  const frozen = E.freeze(C.standard(4, 4), [1], true);
  assert.ok(C.isFrozen(E.removeKeyframe(E.setKeyframe(frozen, 1, file("a.png")), 1), 1));
});

test("softness runs a picture's column at a share of t, and goes with the picture", () => {
  const state = C.standard(4, 10);
  const placed = E.setKeyframe(state, 2, file("a.png"));
  const soft = E.soften(placed, 2, 0.2);
  assert.deepEqual(C.column(soft, 2), Array.from({ length: 11 }, (_, r) => 200 - 20 * r));
  assert.deepEqual(grid(E.removeKeyframe(soft, 2)), grid(state));
  assert.deepEqual(grid(E.soften(soft, 2, 0)), grid(placed));
  const painted = E.fill(soft, { f0: 2, r0: 4, f1: 2, r1: 4 }, () => 700);
  assert.equal(E.removeKeyframe(painted, 2).levels, painted.levels);
});

test("what is asked for of a picture that is gone changes nothing", () => {
  const state = E.setKeyframe(C.standard(16, 4), 3, file("a"));
  for (const frame of [2, 16, 20]) {
    assert.equal(E.soften(state, frame, 0.5), state);
    assert.equal(E.setFit(state, frame, "contain"), state);
  }
  assert.notEqual(E.soften(state, 3, 0.5), state);
  assert.notEqual(E.setFit(state, 3, "contain"), state);
});

test("pictures move, swap and copy between slots", () => {
  const state = E.setKeyframe(E.setKeyframe(C.standard(4, 4), 0, file("a"), "contain"), 3, file("b"));
  const names = (s) => Object.fromEntries(s.keyframes.map((k) => [k.frame, `${k.file.path} ${k.fit}`]));
  assert.deepEqual(names(E.moveKeyframe(state, 0, 1)), { 1: "a contain", 3: "b crop" });
  assert.deepEqual(names(E.moveKeyframe(state, 0, 3)), { 0: "b crop", 3: "a contain" });
  assert.deepEqual(names(E.moveKeyframe(state, 0, 2, true)), { 0: "a contain", 2: "a contain", 3: "b crop" });
});

test("a picture is taken as freely where it is moved or copied to", () => {
  const soft = E.soften(E.setKeyframe(C.standard(4, 10), 0, file("a")), 0, 0.5);
  const moved = E.moveKeyframe(soft, 0, 2);
  assert.deepEqual(C.column(moved, 2), Array.from({ length: 11 }, (_, r) => 500 - 50 * r));
  assert.deepEqual(C.column(moved, 0), C.column(C.standard(4, 10), 0));
  assert.deepEqual(C.column(E.moveKeyframe(soft, 0, 2, true), 2), C.column(soft, 0));
  const exact = E.moveKeyframe(E.setKeyframe(C.standard(4, 10), 0, file("a")), 0, 2);
  assert.ok(C.isFrozen(exact, 2));
});

test("several pictures take the frames from the slot on, no further than the last", () => {
  const state = C.standard(4, 4);
  assert.deepEqual(E.slotsFor(state, 1, 2), [1, 2]);
  assert.deepEqual(E.slotsFor(state, 2, 9), [2, 3]);
});

test("a moved block leaves the preset behind it; a copied one leaves itself", () => {
  const base = C.standard(8, 8);
  const state = E.fill(base, { f0: 1, r0: 1, f1: 2, r1: 2 }, () => 42);
  const selection = { f0: 1, r0: 1, f1: 2, r1: 2 };
  const move = G.start.select(state, cell(1, 1), { selection, copy: false });
  move.move(cell(4, 5));
  assert.deepEqual(move.selection, { f0: 4, r0: 5, f1: 5, r1: 6 });
  assert.equal(C.levelAt(move.result, 1, 1), C.levelAt(base, 1, 1));
  assert.equal(C.levelAt(move.result, 5, 6), 42);
  const copy = G.start.select(state, cell(1, 1), { selection, copy: true });
  copy.move(cell(4, 5));
  assert.equal(C.levelAt(copy.result, 1, 1), 42);
});

test("a block that is pulled by its corner is scaled to it, over the preset", () => {
  const base = C.standard(8, 8);
  const selection = { f0: 1, r0: 1, f1: 2, r1: 2 };
  const state = E.pasteBlock(base, { width: 2, height: 2, cells: Uint16Array.of(10, 20, 30, 40) }, 1, 1);
  const pulled = (f, r, guarded = []) => {
    const gesture = G.scale(state, cell(2, 2), { selection, guarded });
    gesture.move(cell(f, r));
    return gesture;
  };
  const large = pulled(4, 3);
  assert.deepEqual(large.selection, { f0: 1, r0: 1, f1: 4, r1: 3 });
  assert.deepEqual(changed(base, large.result), [1, 2, 3].flatMap((r) => [1, 2, 3, 4].map((f) => [f, r])));
  const corners = [[1, 1], [4, 1], [1, 3], [4, 3]].map(([f, r]) => C.levelAt(large.result, f, r));
  assert.deepEqual(corners, [10, 20, 30, 40]);
  for (const [f, r] of [[1, 2], [2, 1]]) {
    large.move(cell(f, r));
    assert.deepEqual(changed(base, large.result), [[1, 1], [f, r]]);
  }
  large.move(cell(2, 2));
  assert.equal(large.result, state);
  assert.deepEqual(pulled(0, 0).selection, { f0: 1, r0: 1, f1: 1, r1: 1 });
  assert.deepEqual(pulled(9, 9).selection, { f0: 1, r0: 1, f1: 7, r1: 8 });
  const beside = G.scale(state, cell(3, 3), { selection, guarded: [] });
  assert.deepEqual(beside.selection, selection);
  for (const [f, r, f1, r1] of [[3, 5, 2, 4], [4, 3, 3, 2], [2, 3, 1, 2], [1, 1, 1, 1], [7, 8, 7, 8]]) {
    beside.move(cell(f, r));
    assert.deepEqual(beside.selection, { ...selection, f1, r1 });
  }
  const past = pulled(4, 3, [2, 3]).result;
  for (const f of [2, 3]) assert.deepEqual(C.column(past, f), C.column(state, f));
  assert.equal(C.levelAt(past, 4, 3), 40);
});

test("mirroring twice gives the block back; scaling keeps corners", () => {
  const state = C.fromValue({ levels: [[1, 2, 3], [4, 5, 6]] });
  const block = E.copyBlock(state, { f0: 0, r0: 0, f1: 2, r1: 1 });
  assert.deepEqual([...E.mirrorBlock(block).cells], [3, 2, 1, 6, 5, 4]);
  assert.deepEqual([...E.mirrorBlock(block, true).cells], [4, 5, 6, 1, 2, 3]);
  assert.deepEqual([...E.mirrorBlock(E.mirrorBlock(block)).cells], [...block.cells]);
  const large = E.scaleBlock(block, 6, 7);
  assert.deepEqual([large.cells[0], large.cells[5], large.cells[36], large.cells[41]], [1, 3, 4, 6]);
});

test("resampling to the same size is the identity and keeps frozen columns frozen", () => {
  const state = E.freeze(C.standard(16, 30), [0, 15], true);
  assert.deepEqual(C.resample(state.levels, 16, 31, 16, 31), state.levels);
  const larger = C.resample(state.levels, 16, 31, 40, 101);
  for (let r = 0; r < 101; r++) assert.equal(larger[r * 40] + larger[r * 40 + 39], 0);
});

test("undo and redo walk 100 edits, and a new edit forgets what was undone", () => {
  let state = C.standard(4, 4);
  const history = new FvdmUndo.History(state);
  for (let k = 1; k <= 130; k++) {
    state = E.fill(state, { f0: 0, r0: 0, f1: 0, r1: 0 }, () => k);
    history.push(state, `edit ${k}`);
  }
  let steps = 0;
  while (history.undo()) steps++;
  assert.equal(steps, 100);
  assert.equal(C.levelAt(history.state, 0, 0), 30);
  assert.equal(history.redo(), "edit 31");
  history.push(C.standard(4, 4), "other");
  assert.equal(history.redo(), null);
  assert.equal(history.undo(), "other");
  assert.equal(C.levelAt(history.state, 0, 0), 31);
});

test("what goes on with a change takes its place in the history", () => {
  const start = C.standard(4, 4);
  const at = (level) => E.fill(start, { f0: 0, r0: 0, f1: 0, r1: 0 }, () => level);
  const history = new FvdmUndo.History(start);
  history.push(at(10), "change");
  for (const level of [20, 30]) history.replace(at(level));
  assert.equal(C.levelAt(history.state, 0, 0), 30);
  assert.equal(history.undo(), "change");
  assert.equal(history.state, start);
});

test("blocks leave protected frames alone", () => {
  const state = E.freeze(C.standard(4, 4), [1], true);
  const all = { f0: 0, r0: 0, f1: 3, r1: 4 };
  const block = { width: 4, height: 5, cells: new Uint16Array(20).fill(7) };
  const pasted = E.pasteBlock(state, block, 0, 0, [1]);
  const restored = E.restore(E.fill(state, all, () => 9, [1]), all, [1]);
  for (let r = 0; r < 5; r++) {
    assert.deepEqual([0, 1, 2, 3].map((f) => C.levelAt(pasted, f, r)), [7, 0, 7, 7]);
    assert.equal(C.levelAt(restored, 1, r), 0);
    assert.equal(C.levelAt(restored, 0, r), state.levels[r * 4]);
  }
});

test("a picture that the server put on a frame is taken off as one of the person's own", () => {
  const before = C.standard(4, 4);
  const levels = Array.from({ length: 5 }, (_, r) =>
    Array.from({ length: 4 }, (_, f) => (f ? C.levelAt(before, f, r) : 0)));
  const keyframes = [{ frame: 0, fit: "crop", file: { path: "a.png" } }];
  const placed = C.fromServer(before, { levels, keyframes });
  assert.deepEqual(C.frozenFrames(placed), [0]);
  assert.equal(placed.base, before.base);
  const freed = E.removeKeyframe(placed, 0);
  assert.deepEqual(freed.levels, before.levels);
  // but levels that came with the picture are the person's wish
  levels[2][3] = 7;
  const other = C.fromServer(before, { levels, keyframes });
  assert.deepEqual(C.frozenFrames(E.removeKeyframe(other, 0)), [0]);
});

test("a picture that was taken freely and is exact again can be freed", () => {
  const placed = E.setKeyframe(C.fromValue({ levels: [[0, 1000], [0, 500], [0, 0]] }), 0, file("a"));
  const exact = E.soften(E.soften(placed, 0, 0.5), 0, 0);
  assert.ok(C.isFrozen(exact, 0));
  assert.deepEqual(C.column(E.freeze(exact, [0], false), 0), [1000, 500, 0]);
});

test("a frame knows after a change of steps what it held before its picture", () => {
  const placed = E.setKeyframe(C.standard(4, 4), 2, file("a"));
  const levels = Array.from({ length: 9 }, (_, r) =>
    Array.from({ length: 4 }, (_, f) => (f === 2 ? 0 : 1000 - 125 * r)));
  const resized = C.fromServer(placed, { levels, keyframes: placed.keyframes });
  assert.ok(C.isFrozen(resized, 2));
  assert.deepEqual(C.column(E.removeKeyframe(resized, 2), 2), levels.map((row) => row[0]));
});

test("an edit that changes nothing is no step of the history", () => {
  const history = new FvdmUndo.History(C.standard(4, 4));
  assert.equal(history.push(history.state, "nothing"), false);
  assert.equal(history.canUndo, false);
});

test("windows stay while they cover what moves, and go when they do not", () => {
  const windows = Array.from({ length: 2 }, () => [{ frames: [0, 1], updates: [1] }]);
  const state = C.fromValue({ levels: [[0, 1000], [0, 500], [0, 0]], windows });
  const inside = E.fill(state, { f0: 1, r0: 1, f1: 1, r1: 1 }, () => 400);
  assert.equal(inside.windows, windows);
  assert.equal(E.freeze(state, [0], false).windows, null);
  // noise that is put back needs no network: the server, too, asks for no window there
  const rising = E.fill(state, { f0: 1, r0: 2, f1: 1, r1: 2 }, () => 900);
  assert.equal(rising.windows, windows);
  const raised = E.fill(state, { f0: 0, r0: 1, f1: 0, r1: 2 }, () => 10);
  assert.equal(raised.windows, windows);
});

test("windows are read once, however often an edit asks whether they cover it", () => {
  let reads = 0;
  const step = { frames: [0, 1], get updates() { reads += 1; return [0, 1]; } };
  const state = { ...C.standard(2, 3), windows: [[step], [step], [step]] };
  const gesture = G.start.fill(state, cell(0, 0), OPTIONS);
  const once = reads;
  for (const r of [1, 2]) gesture.move(cell(1, r));
  assert.ok(once > 0);
  assert.equal(reads, once);
});

test("only what is drawn freehand asks for every place on the way", () => {
  const state = C.standard(4, 6);
  const path = (tool, more) => Boolean(G.start[tool](state, cell(1, 1), { ...OPTIONS, ...more }).path);
  for (const tool of ["brush", "erase", "freeze", "hold"]) assert.ok(path(tool), tool);
  for (const tool of ["line", "ramp", "fill", "select"]) assert.ok(!path(tool), tool);
  assert.ok(!path("brush", { line: true }));
});

test("a server value resets the eraser, but a resampled painting keeps its preset below it", () => {
  const preset = { name: "standard", params: {} };
  const before = C.fromServer(null, { levels: grid(C.standard(4, 4)), preset });
  const painted = E.fill(before, { f0: 0, r0: 0, f1: 3, r1: 4 }, () => 10);
  const resized = C.fromServer(painted, { levels: new Array(9).fill(new Array(4).fill(10)), preset });
  assert.deepEqual([...resized.base.subarray(0, 4)], [1000, 1000, 1000, 1000]);
  const other = C.fromServer(painted, { levels: new Array(5).fill(new Array(4).fill(7)), preset: null });
  assert.equal(other.base, other.levels);
});

test("after a change of frames the eraser brings back the columns that the server took", () => {
  const preset = { name: "image-to-video", params: {} };
  const before = C.fromServer(null, { levels: [[0, 1000, 1000], [0, 500, 425], [0, 0, 0]], preset });
  const painted = E.fill(before, { f0: 2, r0: 1, f1: 2, r1: 1 }, () => 7);
  const resampled = new Array(5).fill(new Array(6).fill(7)); // whatever it is
  const { base } = C.fromServer(painted, { levels: resampled, preset });
  // as Timeline(levels).resampled(6, 4) has it: the kept picture is not repeated
  assert.deepEqual(grid({ ...before, frames: 6, rows: 5, levels: base }), [
    [0, 1000, 1000, 1000, 1000, 1000], [0, 750, 750, 750, 712, 712],
    [0, 500, 500, 500, 425, 425], [0, 250, 250, 250, 212, 212], [0, 0, 0, 0, 0, 0]]);
});

test("the colours rise in lightness all the way, so that their order shows without hue", () => {
  const luminance = FvdmColours.PALETTE.map(([r, g, b]) => 0.2126 * (r / 255) ** 2.2 + 0.7152 * (g / 255) ** 2.2 + 0.0722 * (b / 255) ** 2.2);
  assert.equal(FvdmColours.PALETTE.length, 1001);
  for (let k = 20; k <= 1000; k += 20) assert.ok(luminance[k] > luminance[k - 20], `at ${k}`);
  assert.ok(luminance[1000] / luminance[0] > 10);
});

test("pixels are the palette's colours, cell by cell", () => {
  const out = new Uint8ClampedArray(8);
  FvdmColours.paintPixels(Uint16Array.of(0, 1000), out);
  assert.deepEqual([...out], [...FvdmColours.PALETTE[0], 255, ...FvdmColours.PALETTE[1000], 255]);
});

test("signal and noise are a point on the circle, from clean to noise", () => {
  for (const level of [0, 1, 250, 500, 999, 1000]) {
    const [signal, noise] = FvdmColours.signalNoise(level);
    assert.ok(Math.abs(signal ** 2 + noise ** 2 - 1) < 1e-12);
  }
  assert.equal(FvdmColours.signalNoise(0)[1], 0);
  assert.ok(FvdmColours.signalNoise(1000)[0] < 0.01);
  const flow = [[1, 0], [0.5, 0.5], [0, 1]]; // a model's own table, read between its points
  assert.deepEqual(FvdmColours.signalNoise(0, flow), [1, 0]);
  assert.deepEqual(FvdmColours.signalNoise(250, flow), [0.75, 0.25]);
  assert.deepEqual(FvdmColours.signalNoise(1000, flow), [0, 1]);
});

test("anchors redraw their curve within the tolerance, and a line needs two", () => {
  assert.deepEqual(FvdmCurves.anchors([1000, 750, 500, 250, 0]), [0, 4]);
  const wave = Array.from({ length: 101 }, (_, k) => Math.round(500 + 500 * Math.cos(k / 9)));
  const kept = FvdmCurves.anchors(wave, 8);
  kept.slice(1).forEach((b, i) => {
    const a = kept[i];
    for (let k = a; k <= b; k++) {
      const drawn = wave[a] + ((wave[b] - wave[a]) * (k - a)) / (b - a);
      assert.ok(Math.abs(drawn - wave[k]) <= 8);
    }
  });
  assert.ok(kept.length < 40);
});

test("bending moves one point and its two sides, no more", () => {
  const values = [1000, 800, 600, 400, 200, 0, 0];
  const bent = FvdmCurves.bend(values, 2, 100, 1, 4);
  assert.deepEqual(bent, [1000, 800, 100, 150, 200, 0, 0]);
  assert.equal(FvdmCurves.bend(values, 2, 4000, 1, 4)[2], 1000);
  for (const easing of Object.keys(FvdmCurves.EASINGS)) {
    const eased = FvdmCurves.bend(values, 0, 1000, null, 5, easing);
    assert.equal(eased[0], 1000);
    assert.equal(eased[5], 0);
  }
});

test("dragging a curve's point changes that frame alone and remembers the point", () => {
  const state = C.standard(4, 10);
  const curves = new Curves();
  curves.index = 2;
  const gesture = curves.drag(state, 5, []);
  gesture.moveTo(900);
  assert.equal(C.levelAt(gesture.result, 2, 5), 900);
  assert.ok(changed(state, gesture.result).every(([f]) => f === 2));
  assert.deepEqual(curves.pointsOf(gesture.result), [0, 5, 10]);
  assert.deepEqual(grid(curves.remove(gesture.result, 5, [])), grid(state));
});

test("a frozen frame's curve does not move, nor does a frozen frame in a step's curve", () => {
  const state = E.freeze(C.standard(4, 10), [2], true);
  const curves = new Curves();
  curves.index = 2;
  const own = curves.drag(state, 5, [2]);
  own.moveTo(900);
  assert.equal(own.result, state);
  assert.match(own.note, /protected/);
  curves.over = "frames";
  curves.index = 4;
  const across = curves.drag(state, 3, [2]);
  across.moveTo(0);
  assert.ok(C.isFrozen(across.result, 2));
  assert.equal(C.levelAt(across.result, 3, 4), 0);
});

test("a level is told as the server tells it, and never as clean or noise where it is not", () => {
  const told = [[0, "0 %"], [1, "<1 %"], [5, "<1 %"], [6, "1 %"], [125, "12 %"], [135, "14 %"],
    [994, "99 %"], [995, ">99 %"], [999, ">99 %"], [1000, "100 %"]];
  for (const [level, words] of told) assert.equal(C.percent(level), words);
});

test("frames are named by ranges", () => {
  for (const [frames, name] of [[[2], "Frame 3"], [[0, 15], "Frames 1 and 16"], [[3, 1, 0, 2], "Frames 1–4"],
    [[0, 1, 2, 5, 7, 8, 9], "Frames 1–3, 6 and 8–10"], [[4, 5], "Frames 5 and 6"],
    [[0, 2, 4, 6, 8, 10, 11, 14], "Frames 1, 3, 5, 7, 9 and 3 more"]]) {
    assert.equal(C.frameNames(frames), name);
  }
});

test("what the page does not look at travels with the painting, seen levels while nobody paints there", () => {
  const value = { levels: [[0, 1000], [0, 500], [0, 0]], prior: "mixed", prior_alpha: 0.5, seen: { 0: 40 } };
  const state = C.fromValue(value);
  const out = C.toValue(state);
  assert.deepEqual([out.prior, out.prior_alpha, out.seen], ["mixed", 0.5, { 0: 40 }]);
  assert.ok(C.says(state, value) && !C.says(state, { ...value, prior: "independent" }));
  assert.ok(C.says(C.standard(2, 2), { ...C.toValue(C.standard(2, 2)), prior: "independent", prior_alpha: 1, seen: {} }));
  assert.deepEqual(C.toValue(E.fill(state, { f0: 0, f1: 0, r0: 1, r1: 1 }, () => 9)).seen, {});
});

test("of points that lie close together the nearest is meant", () => {
  const curves = new Curves();
  const state = E.fill(C.standard(4, 30), { f0: 0, r0: 0, f1: 0, r1: 30 }, (f, r) => (r % 2 ? 700 : 690));
  const look = { column: 80, scroll: 0, width: 330, height: 200 };
  const place = curves.frame(state, look);
  for (const k of curves.pointsOf(state)) {
    const found = curves.hit(state, look, place.x(k), place.y(C.levelAt(state, 0, k)));
    assert.deepEqual(found, { point: k });
  }
  assert.ok(curves.pointsOf(state).length > 20);
});

test("a fill or a paste that changes nothing is no edit, and neither is the fit that was chosen", () => {
  const state = C.standard(4, 6);
  const all = E.rectangle(state, { f: 0, r: 0 }, { f: 3, r: 6 });
  assert.equal(E.fill(state, all, () => 500, [0, 1, 2, 3]), state);
  assert.equal(E.pasteBlock(state, E.copyBlock(state, all), 0, 0), state);
  assert.notEqual(E.fill(state, all, () => 500), state);
  const pictured = E.setKeyframe(state, 1, { path: "a.png" }, "crop");
  assert.equal(E.setFit(pictured, 1, "crop"), pictured);
  assert.equal(E.setFit(pictured, 1, "stretch").keyframes[0].fit, "stretch");
});

test("a tool that meets only protected frames says so and changes nothing", () => {
  const state = E.freeze(C.standard(4, 6), [1, 2], true);
  const options = { level: 500, width: 1, height: 1, guarded: [1, 2], selection: null };
  const cell = (f, r) => ({ f, r, x: f + 0.5, y: r + 0.5 });
  for (const tool of ["fill", "ramp"]) {
    const gesture = G.start[tool](state, cell(1, 1), options);
    gesture.move(cell(2, 3));
    assert.equal(gesture.result, state);
    assert.match(gesture.note, /protected/);
    gesture.move(cell(3, 3));
    assert.notEqual(gesture.result, state);
    assert.equal(gesture.note, "");
  }
  const selection = E.rectangle(state, cell(1, 1), cell(2, 2));
  const moved = G.start.select(state, cell(1, 1), { ...options, selection });
  moved.move(cell(1, 3));
  assert.equal(moved.result, state);
  assert.match(moved.note, /protected/);
  const drawn = G.start.select(state, cell(1, 1), options);
  assert.equal(drawn.note, "");
  const wide = E.rectangle(state, cell(0, 1), cell(3, 2)); // of which two may be moved
  const pressed = G.start.select(state, cell(1, 1), { ...options, selection: wide });
  assert.equal(pressed.note, ""); // nothing was attempted
});
