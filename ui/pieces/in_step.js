/* Sheets of tiles that play in step on canvases: one clock, one scrubber, one button. */
const FvdmInStep = (() => {
  class InStep {
    /** name: what the test ids begin with. says(frame) → what is said of a frame. moved(frame): told
        when another frame is shown. */
    constructor(name, { says, moved = () => {} }) {
      const { h } = FvdmDom;
      Object.assign(this, { says, moved, clock: null, pictures: [], drawn: -1, began: 0 });
      this.scrubber = h("input", { type: "range", min: "0", step: "1", "aria-label": "Frame",
        "data-testid": `${name}-scrubber`, onInput: () => this.seek(Number(this.scrubber.value)) });
      this.button = h("button", { type: "button", class: "play", "data-testid": `${name}-play`,
        onClick: () => this.toggle() });
      this.output = h("output", { "data-testid": `${name}-says` });
    }

    /** Starts afresh, without pictures, with a clip of so many frames. */
    begin(frames, fps) {
      this.pictures = [];
      this.clock = new FvdmPlayer.Clock(frames, fps);
      this.drawn = -1;
      this.scrubber.max = String(frames - 1);
      if (!matchMedia("(prefers-reduced-motion: reduce)").matches) this.clock.play(performance.now());
      this.paint();
      const began = ++this.began;
      let seen = false; // on the page: when it is no longer, the clock ends
      const tick = () => {
        if (began !== this.began || (seen && !this.button.isConnected)) return;
        seen = this.button.isConnected;
        if (this.clock.playing) this.paint();
        requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
    }

    /** Plays nothing until it begins again. */
    end() { this.began += 1; }

    /** Draws a sheet on a canvas from now on, once it is decoded; false where another clip has begun
        meanwhile. `name` is what the picture is of. */
    async add(canvas, part, name) {
      const { began } = this;
      const image = new Image();
      image.src = part.sheet;
      await image.decode();
      if (began !== this.began) return false;
      const picture = { canvas, part, image, name };
      this.pictures.push(picture);
      this.draw(picture);
      return true;
    }

    toggle() {
      if (this.clock.playing) this.clock.pause(performance.now());
      else this.clock.play(performance.now());
      this.paint();
    }

    seek(frame) {
      this.clock.seek(frame);
      this.paint();
    }

    /** All pictures at the same frame. */
    paint() {
      this.button.textContent = this.clock.playing ? "Pause" : "Play";
      const frame = this.clock.at(performance.now());
      if (frame === this.drawn) return;
      this.drawn = frame;
      this.pictures.forEach((picture) => this.draw(picture));
      const words = this.says(frame);
      this.output.textContent = words;
      this.scrubber.value = String(frame);
      this.scrubber.setAttribute("aria-valuetext", words);
      this.moved(frame);
    }

    draw({ canvas, part, image, name }) {
      const { x, y, width, height } = FvdmPlayer.tileAt(part, this.drawn);
      canvas.getContext("2d", { willReadFrequently: true })
        .drawImage(image, x, y, width, height, 0, 0, width, height);
      canvas.setAttribute("aria-label", `${name}, frame ${this.drawn + 1}`);
    }
  }

  return { InStep };
})();
