/* The clock of pictures that play in step, and what is said of a frame. No DOM. */

const FvdmPlayer = (() => {
  /** Plays `frames` at `fps` in a loop; times are in milliseconds and come from outside. */
  class Clock {
    constructor(frames, fps) {
      Object.assign(this, { frames, fps, playing: false, frame: 0, began: 0 });
    }

    play(now) {
      this.playing = true;
      this.began = now - (this.frame * 1000) / this.fps; // go on from the frame that is shown
    }

    pause(now) {
      this.frame = this.at(now);
      this.playing = false;
    }

    /** Rests on a frame. */
    seek(frame) {
      this.playing = false;
      this.frame = Math.max(0, Math.min(this.frames - 1, Math.round(frame)));
    }

    /** The frame at a time. */
    at(now) {
      if (!this.playing) return this.frame;
      const passed = Math.floor(((now - this.began) * this.fps) / 1000 + 1e-6);
      return ((passed % this.frames) + this.frames) % this.frames;
    }
  }

  /** The place of a frame in a sheet of tiles. */
  function tileAt({ columns, tile: [width, height] }, frame) {
    return { x: (frame % columns) * width, y: Math.floor(frame / columns) * height, width, height };
  }

  function says(frame, mean) {
    const apart = mean[frame];
    const words = apart === 0 ? "identical" : `mean difference ${apart.toFixed(1)} of 255`;
    return `Frame ${frame + 1} of ${mean.length}: ${words}`;
  }

  return { Clock, tileAt, says };
})();

if (typeof module === "object") module.exports = FvdmPlayer; // for node --test
