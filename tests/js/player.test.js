/* The clock of the comparison, and where its pictures lie. */
const test = require("node:test");
const assert = require("node:assert/strict");
const { Clock, tileAt, says } = require("../../ui/pieces/player.js");

test("it plays in a loop at its pace", () => {
  const clock = new Clock(4, 8);
  clock.play(1000);
  const frames = [0, 124, 125, 250, 375, 499, 500, 1000, 1125].map((ms) => clock.at(1000 + ms));
  assert.deepEqual(frames, [0, 0, 1, 2, 3, 3, 0, 0, 1]);
});

test("a pause keeps the frame, and playing goes on from it", () => {
  const clock = new Clock(10, 10);
  clock.play(0);
  clock.pause(350);
  assert.equal(clock.at(99999), 3);
  clock.play(50000);
  assert.equal(clock.at(50000), 3);
  assert.equal(clock.at(50100), 4);
});

test("seeking rests on a frame that is there", () => {
  const clock = new Clock(5, 8);
  clock.play(0);
  clock.seek(3);
  assert.equal(clock.playing, false);
  assert.equal(clock.at(10000), 3);
  clock.seek(99);
  assert.equal(clock.at(0), 4);
  clock.seek(-2);
  assert.equal(clock.at(0), 0);
});

test("a tile lies in its row and column", () => {
  assert.deepEqual(tileAt({ columns: 4, tile: [64, 32] }, 6), { x: 128, y: 32, width: 64, height: 32 });
});

test("a frame is said with its number, and identical frames as such", () => {
  assert.equal(says(1, [0, 12.345]), "Frame 2 of 2: mean difference 12.3 of 255");
  assert.equal(says(0, [0, 12.345]), "Frame 1 of 2: identical");
});
