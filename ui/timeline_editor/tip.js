/* What lies under the pointer: its level, and how the frame would look at it. */

const FvdmTip = (() => {
  const C = FvdmCore;
  const { h } = FvdmDom;
  const SIZE = 56;
  const NOISE = 0.6; // of the range from black to white: pure noise, without clipping most of it

  /** Normal numbers, the same on every visit (Box–Muller over a small generator). */
  function normals(count) {
    let seed = 7;
    const uniform = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
    return Float32Array.from({ length: count }, () =>
      Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
  }

  /** A small landscape, for frames of which nothing is known yet. */
  function landscape(g) {
    const sky = g.createLinearGradient(0, 0, 0, SIZE);
    sky.addColorStop(0, "#4a7bbd");
    sky.addColorStop(1, "#f6c99a");
    g.fillStyle = sky;
    g.fillRect(0, 0, SIZE, SIZE);
    g.fillStyle = "#fff3cf";
    g.beginPath();
    g.arc(SIZE * 0.68, SIZE * 0.42, SIZE * 0.12, 0, 7);
    g.fill();
    g.fillStyle = "#2e5d4b";
    g.beginPath();
    g.ellipse(SIZE * 0.3, SIZE * 1.1, SIZE * 0.62, SIZE * 0.46, 0, 0, 7);
    g.fill();
    g.fillStyle = "#3f7a55";
    g.beginPath();
    g.ellipse(SIZE * 0.9, SIZE * 1.15, SIZE * 0.5, SIZE * 0.4, 0, 0, 7);
    g.fill();
  }

  class Tip {
    /** pictureOf(frame) gives { image, from, to } of the frame, or null: the part of the image that
        is shown, in pixels, and where in the frame it lies, as shares of 1. mixing() gives the
        model's [signal, noise] of evenly spaced levels, or null. */
    constructor(pictureOf, mixing) {
      this.mixing = mixing;
      this.pictureOf = pictureOf;
      this.canvas = h("canvas", { width: SIZE, height: SIZE });
      this.level = h("b");
      this.place = h("span");
      this.clip = h("span");
      this.node = h("div", { class: "tip", "aria-hidden": "true", "data-testid": "level-tip" },
        this.canvas, h("div", {}, this.level, this.place, this.clip));
      this.eps = normals(SIZE * SIZE * 3);
    }

    /** at: { left, top } in the stage; bounds: its width. */
    show({ level, text, place, clip, frame }, at, width, touch = false) {
      this.level.textContent = text ?? `${C.percent(level)} noise`;
      this.place.textContent = place;
      this.clip.textContent = clip;
      this.drawNoisy(frame, level);
      const flipped = at.left + 214 > width;
      const left = touch ? C.clamp(at.left - 90, 0, width - 196) : flipped ? at.left - 210 : at.left + 18;
      this.node.style.transform = `translate(${left}px, ${at.top - (touch ? 116 : 34)}px)`; // above a finger
      this.node.classList.add("shown");
    }

    hide() { this.node.classList.remove("shown"); }

    drawNoisy(frame, level) {
      const g = this.canvas.getContext("2d", { willReadFrequently: true });
      const picture = this.pictureOf(frame);
      try {
        if (picture) {
          const { image, from, to } = picture;
          g.fillStyle = "#000"; // beside a picture that is contained
          g.fillRect(0, 0, SIZE, SIZE);
          g.drawImage(image, from.x, from.y, from.w, from.h, to.x * SIZE, to.y * SIZE, to.w * SIZE, to.h * SIZE);
        } else landscape(g);
      } catch {
        landscape(g); // a picture that is still loading
      }
      const image = g.getImageData(0, 0, SIZE, SIZE);
      const [signal, noise] = FvdmColours.signalNoise(level, this.mixing());
      for (let k = 0, e = 0; k < image.data.length; k += 4) {
        for (let c = 0; c < 3; c++, e++) {
          const x = image.data[k + c] / 127.5 - 1;
          image.data[k + c] = 127.5 * (1 + signal * x + NOISE * noise * this.eps[e]);
        }
      }
      g.putImageData(image, 0, 0);
    }
  }

  return { Tip };
})();
