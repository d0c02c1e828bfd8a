/* The strip's memory of a run: run with `node --test tests/js`. */

const test = require("node:test");
const assert = require("node:assert/strict");
const path = require("node:path");
const { Reel, MOST, MOST_CHARACTERS, LEAST, AT_ONCE } = require(path.join(__dirname, "../../ui/filmstrip/reel.js"));

const sheet = (step, job = "a") => ({ job, step, sheet: `sheet ${step}` });

test("the nearest step is found, whatever order the sheets came in", () => {
  const reel = new Reel();
  for (const step of [20, 0, 10]) reel.add(sheet(step));
  assert.deepEqual([0, 4, 6, 14, 99].map((step) => reel.nearest(step).step), [0, 0, 10, 10, 20]);
  assert.equal(reel.latest.step, 10);
});

test("another run starts afresh", () => {
  const reel = new Reel();
  reel.add(sheet(1));
  reel.add(sheet(0, "b"));
  assert.equal(reel.size, 1);
  assert.equal(reel.nearest(1).job, "b");
});

test("an empty reel has nothing to show", () => {
  assert.equal(new Reel().nearest(3), null);
  assert.equal(new Reel().latest, null);
});

test("a very long run is thinned out but keeps its first and last steps", () => {
  const reel = new Reel();
  for (let step = 0; step <= 4000; step++) reel.add(sheet(step));
  assert.ok(reel.size <= MOST);
  assert.equal(reel.nearest(0).step, 0);
  assert.equal(reel.nearest(4000).step, 4000);
  for (let step = 0; step <= 4000; step += 100) assert.ok(Math.abs(reel.nearest(step).step - step) <= 16);
});

test("large sheets are thinned out by their size, and a few are always kept", () => {
  const reel = new Reel();
  const large = (step, size) => ({ ...sheet(step), sheet: "x".repeat(size) });
  for (let step = 0; step <= 100; step++) reel.add(large(step, MOST_CHARACTERS / 20));
  assert.equal(reel.size, 20);
  for (let again = 0; again < 50; again++) reel.add(large(100, MOST_CHARACTERS / 20)); // the same place
  assert.equal(reel.size, 20);
  assert.deepEqual([0, 100].map((step) => reel.nearest(step).step), [0, 100]);
  for (let step = 101; step <= 130; step++) reel.add(large(step, MOST_CHARACTERS));
  assert.equal(reel.size, LEAST);
  assert.deepEqual([0, 130].map((step) => reel.nearest(step).step), [0, 130]);
});

test("each view has its own sheets, and they are thinned out together", () => {
  const reel = new Reel();
  reel.add(sheet(3));
  reel.add({ ...sheet(5), view: "noisy" });
  assert.equal(reel.nearest(5, "clean").step, 3);
  assert.equal(reel.nearest(0, "noisy").step, 5);
  for (let step = 0; step <= 1000; step++) reel.add({ ...sheet(step), view: step % 2 ? "clean" : "noisy" });
  assert.ok(reel.size <= MOST && reel.nearest(500, "clean").view === "clean");
});

test("rows that were left out are wished for once, the nearest first", () => {
  const reel = new Reel();
  for (const step of [0, 10, 20]) reel.add(sheet(step));
  const size = { frames: 16, steps: 20 };
  assert.deepEqual(reel.wish(10, "clean", size), []);
  const rows = reel.wish(12, "clean", size);
  assert.equal(rows.length, AT_ONCE);
  assert.deepEqual(rows.slice(0, 5), [12, 13, 11, 14, 15]);
  assert.deepEqual(reel.wish(12, "clean", size), []); // asked already
  assert.equal(reel.wish(12, "noisy", size)[0], 12);
  assert.equal(reel.wish(5, "clean", { frames: 500, steps: 20 }).length, 1);
  assert.deepEqual(reel.wish(25, "clean", size), []); // no such row
  reel.addRows({ job: "a", rows: [{ ...sheet(12), view: "clean", levels: [5] }] }, { frames: 16 });
  assert.deepEqual([reel.nearest(12).step, reel.nearest(12).frames, reel.latest.step], [12, 16, 20]);
  reel.addRows({ job: "other", rows: [{ step: 13, view: "clean" }] }, {});
  assert.equal(reel.has(13, "clean"), false);
});

test("a frame's progress goes from its own first level to clean", () => {
  const reel = new Reel();
  assert.equal(reel.progress(0, 500), 0.5); // the start is not known
  reel.add({ ...sheet(0), levels: [1000, 600, 0] });
  reel.add({ ...sheet(9), levels: [700, 300, 0] });
  assert.deepEqual([0, 1, 2].map((f) => reel.progress(f, reel.latest.levels[f]).toFixed(2)), ["0.30", "0.50", "1.00"]);
  assert.equal(reel.progress(1, 900), 0); // noised again
});
