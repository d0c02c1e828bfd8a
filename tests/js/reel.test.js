/* The strip's memory of a run: run with `node --test tests/js`. */

const test = require("node:test");
const assert = require("node:assert/strict");
const path = require("node:path");
const { Reel, MOST } = require(path.join(__dirname, "../../ui/filmstrip/reel.js"));

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
