/* When a frame of a video may be taken: run with `node --test tests/js`. */

const test = require("node:test");
const assert = require("node:assert/strict");
const path = require("node:path");
const { seek } = require(path.join(__dirname, "../../ui/timeline_editor/seek.js"));

/** A video of 8 frames per second, whose frames can be drawn `late` ms after "seeked". */
class Video extends EventTarget {
  constructor(late) { super(); Object.assign(this, { late, seeking: false, drawn: null, waiting: new Map() }); }

  set currentTime(time) {
    this.seeking = true;
    setTimeout(() => this.dispatchEvent(new Event("seeked")), 1); // of the place before
    setTimeout(() => { this.seeking = false; this.dispatchEvent(new Event("seeked")); }, 5);
    setTimeout(() => {
      this.drawn = Math.floor(time * 8) / 8;
      const waiting = [...this.waiting.values()];
      this.waiting.clear();
      for (const look of waiting) look(0, { mediaTime: this.drawn });
    }, 5 + this.late);
  }

  requestVideoFrameCallback(look) { this.waiting.set(this.waiting.size + 1, look); return this.waiting.size; }
  cancelVideoFrameCallback(handle) { this.waiting.delete(handle); }
}

test("a place is reached when its frame can be drawn, and not when an event says so", async () => {
  const video = new Video(15);
  for (const time of [0.06, 0.31, 0.43, 0.56, 0.94]) {
    await seek(video, time);
    assert.equal(video.drawn, Math.floor(time * 8) / 8);
    assert.equal(video.seeking, false);
  }
  assert.equal(video.waiting.size, 0);
});

test("two places in one frame, and a browser that does not say what it draws, are not waited for", async () => {
  const video = new Video(0);
  await seek(video, 0.01);
  const begun = Date.now();
  await seek(video, 0.02);
  assert.ok(Date.now() - begun < 5000 && video.waiting.size === 0);
  const silent = new Video(0);
  silent.requestVideoFrameCallback = undefined;
  await seek(silent, 0.5);
  assert.equal(silent.seeking, false);
});
