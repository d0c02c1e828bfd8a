/* A dropped video becomes pictures on frames: the person chooses where it starts and how far apart
   they lie; the browser decodes it, so that only pictures are sent. */

const FvdmClip = (() => {
  const { h, placeMenu } = FvdmDom;
  const { once, seek, findEnd } = FvdmSeek;
  const LARGEST = 512; // pixels of the longer side of a picture that is taken, or what the model makes

  const isVideo = (file) => file.type.startsWith("video/");

  class Clip {
    /** io: { state(), fill(frame, files), bringing(work), say(text, isError), pictureSize(), moving(),
        pace() }, the last three as the editor has them; `bringing` counts work at whose end there
        are pictures. */
    constructor(io) {
      this.io = io;
      this.menu = h("div", { class: "menu", popover: "auto", role: "dialog", "aria-label": "Pictures from a video",
        "data-testid": "clip-menu", onToggle: () => this.toggled() });
    }

    async open(file, frame, anchor) {
      if (this.menu.matches(":popover-open")) this.menu.hidePopover();
      this.close();
      this.url = URL.createObjectURL(file);
      const video = this.video = h("video", { preload: "auto", playsinline: true });
      video.muted = true;
      video.src = this.url;
      try {
        await once(video, "loadeddata");
        if (video.duration === Infinity) await findEnd(video);
      } catch (error) {
        if (video !== this.video) return;
        return this.io.say(`${file.name} could not be opened: ${error.message}. Try MP4 or WebM.`, true);
      }
      if (video !== this.video) return; // another one was dropped meanwhile
      this.file = file;
      this.first = frame;
      this.build();
      this.menu.showPopover();
      placeMenu(this.menu, anchor);
      this.from.focus();
    }

    /** The event comes late: by then another video may be on its way, which the menu does not hold. */
    toggled() {
      if (!this.menu.matches(":popover-open") && this.menu.contains(this.video)) this.close();
    }

    close() {
      if (this.url) URL.revokeObjectURL(this.url);
      this.url = this.video = null;
    }

    build() {
      const { duration } = this.video;
      const slider = (label, testid, attributes, show) => {
        const text = h("output");
        const input = h("input", { type: "range", "aria-label": label, "data-testid": testid, ...attributes,
          onInput: () => { text.textContent = show(Number(input.value)); this.plan(); } });
        text.textContent = show(Number(input.value));
        return [input, h("label", { class: "size" }, h("span", {}, label), input, text)];
      };
      const [from, fromRow] = slider("From", "clip-from",
        { min: 0, max: Math.max(0, duration - 0.04), step: 0.01, value: 0 }, (s) => `${s.toFixed(2)} s`);
      const usual = this.io.pace() / this.io.moving(); // seconds between frames
      const [pace, paceRow] = slider("Every", "clip-pace",
        { min: usual / 4, max: Math.max(1, usual, Math.min(4, duration / 2)), step: usual / 4, value: usual },
        (s) => `${s.toFixed(2)} s`);
      const room = this.io.state().frames - this.first;
      const part = FvdmPictures.partFor(this.io.state(), this.first);
      const [count, countRow] = slider("Frames", "clip-count",
        { min: 1, max: room, step: 1, value: part.count }, (n) => String(n));
      Object.assign(this, { from, pace, count });
      if (part.end) { // the last pictures of the video, up to its end
        from.value = String(FvdmPictures.beginning({ first: this.first, each: this.io.moving(),
          step: Number(pace.value), duration, count: part.count }));
        fromRow.querySelector("output").textContent = `${Number(from.value).toFixed(2)} s`;
      }
      this.action = h("button", { type: "button", class: "menu-action", "data-testid": "clip-fill",
        onClick: () => this.io.bringing(() => this.take()) });
      this.menu.replaceChildren(
        h("div", { class: "menu-picture" }, this.video, h("span", {}, this.file.name)),
        h("div", { class: "sizes" }, fromRow, paceRow, countRow), this.action);
      this.plan();
    }

    /** Of each picture's frames. */
    times() {
      return FvdmPictures.times({ first: this.first, each: this.io.moving(), step: Number(this.pace.value),
        from: Number(this.from.value), duration: this.video.duration,
        most: Math.min(Number(this.count.value), this.io.state().frames - this.first) });
    }

    plan() {
      const count = this.times().length;
      this.video.currentTime = Number(this.from.value);
      this.action.textContent = count > 1
        ? `Fill frames ${this.first + 1}–${this.first + count}` : `Fill frame ${this.first + 1}`;
    }

    async take() {
      const { video, file, first } = this;
      const times = this.times();
      // each would move the video away under the pictures
      for (const control of [this.from, this.pace, this.count, this.action]) control.disabled = true;
      const closed = () => video !== this.video;
      this.io.say(`Taking ${times.length} pictures from ${file.name}…`);
      const largest = Math.max(LARGEST, ...this.io.pictureSize());
      const scale = Math.min(1, largest / Math.max(video.videoWidth, video.videoHeight));
      const canvas = new OffscreenCanvas(Math.max(1, Math.round(video.videoWidth * scale)),
        Math.max(1, Math.round(video.videoHeight * scale)));
      const pen = canvas.getContext("2d", { willReadFrequently: this.io.moving() > 1 });
      const pictures = [];
      let at = 0;
      const show = async (time) => {
        at = time;
        if (Math.abs(video.currentTime - time) > 1e-4 || video.seeking) await seek(video, time);
        pen.drawImage(video, 0, 0, canvas.width, canvas.height);
      };
      const picture = async (own) => {
        const frames = [];
        for (const time of own) {
          await show(time);
          if (own.length > 1) frames.push(pen.getImageData(0, 0, canvas.width, canvas.height).data);
        }
        return frames.length ? FvdmApng.apng(canvas.width, canvas.height, frames)
          : canvas.convertToBlob({ type: "image/png" });
      };
      try {
        for (const own of times) {
          const made = await picture(own);
          if (closed()) break;
          pictures.push(new File([made], `${file.name} ${at.toFixed(2)} s.png`, { type: "image/png" }));
        }
      } catch (error) {
        if (!closed()) this.io.say(`${file.name} could not be read at ${at.toFixed(2)} s: ${error.message}.`, true);
      }
      if (closed()) return this.io.say("No pictures were taken.");
      this.menu.hidePopover();
      if (pictures.length) await this.io.fill(first, pictures);
    }
  }

  return { Clip, isVideo };
})();
