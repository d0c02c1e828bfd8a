/* Draws a timeline on a canvas: one pixel per cell, scaled up without smoothing, grain and
   overlays on top. The canvas shows the part of the timeline that is scrolled into view. */

const FvdmView = (() => {
  const C = FvdmCore;
  const GRAIN_SIZE = 192;

  /** Noise that looks like noise: dark and light specks, transparent between. */
  function grainTile() {
    const tile = new OffscreenCanvas(GRAIN_SIZE, GRAIN_SIZE);
    const context = tile.getContext("2d");
    const image = context.createImageData(GRAIN_SIZE, GRAIN_SIZE);
    let seed = 1; // the same grain on every visit
    const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
    for (let k = 0; k < image.data.length; k += 4) {
      const value = (random() + random() + random() - 1.5) / 1.5; // about normal, −1 … 1
      const shade = value > 0 ? [255, 255, 255] : [58, 74, 96];
      image.data.set([...shade, Math.abs(value) * (value > 0 ? 150 : 130)], k);
    }
    context.putImageData(image, 0, 0);
    return tile;
  }

  class View {
    constructor(canvas) {
      this.canvas = canvas;
      this.context = canvas.getContext("2d");
      this.cells = new OffscreenCanvas(1, 1);
      this.veil = new OffscreenCanvas(1, 1); // one pixel of grain strength per cell
      this.scratch = new OffscreenCanvas(1, 1);
      this.tile = grainTile();
      this.width = this.height = 1;
      this.ratio = 1;
      this.painted = null;
    }

    resize(width, height) {
      const ratio = Math.min(window.devicePixelRatio || 1, 2);
      if (width === this.width && height === this.height && ratio === this.ratio) return;
      Object.assign(this, { width, height, ratio });
      for (const canvas of [this.canvas, this.scratch]) {
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
      }
      this.canvas.style.width = `${width}px`;
      this.canvas.style.height = `${height}px`;
    }

    /** Lets `paint` draw on the canvas in CSS pixels. */
    with(paint) {
      this.context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
      paint(this.context);
    }

    /** Puts the levels into the two small bitmaps, unless they are there already. */
    paintCells({ frames, rows, levels }, mutable) {
      if (levels === this.painted && !mutable) return;
      this.painted = mutable ? null : levels;
      if (this.cells.width !== frames || this.cells.height !== rows) {
        for (const small of [this.cells, this.veil]) {
          small.width = frames;
          small.height = rows;
        }
        this.pixels = new ImageData(frames, rows);
        this.veilPixels = new ImageData(frames, rows);
      }
      FvdmColours.paintPixels(levels, this.pixels.data);
      this.cells.getContext("2d").putImageData(this.pixels, 0, 0);
      const alpha = this.veilPixels.data;
      for (let k = 0; k < levels.length; k++) alpha[4 * k + 3] = FvdmColours.GRAIN[levels[k]];
      this.veil.getContext("2d").putImageData(this.veilPixels, 0, 0);
    }

    /** Draws `state`. look: { column, scroll, theme, playhead, running, hover, cursor, overlay,
        brush, mutable }: sizes in CSS pixels, places in cells. */
    draw(state, look) {
      const { context: g, width, height, ratio } = this;
      const { column, scroll } = look;
      const rowHeight = height / state.rows;
      this.paintCells(state, look.mutable);
      g.setTransform(ratio, 0, 0, ratio, 0, 0);
      g.clearRect(0, 0, width, height);
      g.imageSmoothingEnabled = false;
      const total = column * state.frames;
      g.drawImage(this.cells, -scroll, 0, total, height);
      this.drawGrain(g, scroll, total);
      this.drawGrid(g, state, look, rowHeight);
      this.drawOverlays(g, state, look, rowHeight);
    }

    drawGrain(g, scroll, total) {
      const s = this.scratch.getContext("2d");
      s.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
      s.globalCompositeOperation = "copy";
      s.imageSmoothingEnabled = false;
      s.drawImage(this.veil, -scroll, 0, total, this.height);
      s.setTransform(1, 0, 0, 1, 0, 0);
      s.globalCompositeOperation = "source-in";
      this.pattern ??= s.createPattern(this.tile, "repeat");
      s.fillStyle = this.pattern;
      s.fillRect(0, 0, this.scratch.width, this.scratch.height);
      g.drawImage(this.scratch, 0, 0, this.width, this.height);
    }

    drawGrid(g, state, { column, scroll, theme }, rowHeight) {
      if (rowHeight >= 7) {
        g.fillStyle = "rgb(255 255 255 / 0.07)";
        for (let r = 1; r < state.rows; r++) g.fillRect(0, r * rowHeight - 0.5, this.width, 1);
      }
      const gap = column >= 24 ? 3 : column >= 12 ? 2 : column >= 6 ? 1 : 0;
      const first = Math.max(0, Math.floor(scroll / column));
      const last = Math.min(state.frames - 1, Math.ceil((scroll + this.width) / column));
      for (let f = first; f <= last; f++) {
        const x = f * column - scroll;
        if (gap) g.clearRect(x + column - gap / 2, 0, gap, this.height);
        if (gap && f === 0) g.clearRect(x, 0, gap / 2, this.height);
        if (C.isFrozen(state, f)) this.drawIce(g, x + gap / 2, column - gap);
      }
    }

    /** Thin diagonal lines on a frozen column: it reads as locked without its colour. */
    drawIce(g, x, width) {
      g.save();
      g.beginPath();
      g.rect(x, 0, width, this.height);
      g.clip();
      g.fillStyle = FvdmColours.css(0);
      g.fillRect(x, 0, width, this.height);
      g.strokeStyle = "rgb(190 220 255 / 0.17)";
      g.lineWidth = 1;
      g.beginPath();
      for (let y = -width; y < this.height; y += 9) {
        g.moveTo(x, y + width);
        g.lineTo(x + width, y);
      }
      g.stroke();
      g.restore();
    }

    /** Light behind the playhead while it moves. */
    drawTrail(g, y) {
      const length = Math.min(y, 64);
      const glow = g.createLinearGradient(0, y - length, 0, y);
      glow.addColorStop(0, "rgb(255 255 255 / 0)");
      glow.addColorStop(1, "rgb(255 255 255 / 0.24)");
      g.fillStyle = glow;
      g.fillRect(0, y - length, this.width, length);
    }

    drawOverlays(g, state, look, rowHeight) {
      const { column, scroll, theme, overlay } = look;
      const box = ({ f0, r0, f1, r1 }) => [
        f0 * column - scroll, r0 * rowHeight,
        (f1 - f0 + 1) * column, (r1 - r0 + 1) * rowHeight,
      ];
      // A dark line under a light one shows on every colour of the map.
      const outline = (trace, { dash = [], width = 1.5, color = "#fff" } = {}) => {
        g.setLineDash([]);
        g.lineWidth = width + 2;
        g.strokeStyle = "rgb(8 16 40 / 0.7)";
        trace();
        g.setLineDash(dash);
        g.lineWidth = width;
        g.strokeStyle = color;
        trace();
        g.setLineDash([]);
      };
      const rectangle = (rect, style) => {
        const [x, y, w, h] = box(rect);
        outline(() => g.strokeRect(x + 1, y + 1, w - 2, h - 2), style);
      };

      if (look.playhead !== null) {
        const y = C.clamp((look.playhead + 0.5) * rowHeight, 1.5, this.height - 1.5);
        if (look.running) this.drawTrail(g, y);
        outline(() => { g.beginPath(); g.moveTo(0, y); g.lineTo(this.width, y); g.stroke(); },
          { color: look.running ? theme.accent : "#fff" });
      }
      for (const window of look.windows ?? []) {
        const [x, y, w, h] = box({ f0: Math.min(...window.frames), f1: Math.max(...window.frames),
          r0: look.windowRow, r1: look.windowRow + 1 });
        const tall = Math.max(h, 14);
        outline(() => g.strokeRect(x + 1, y + (h - tall) / 2, w - 2, tall), { dash: [3, 3] });
      }
      if (look.brush) rectangle(look.brush, { width: 1.25 });
      if (overlay?.rect) rectangle(overlay.rect);
      if (overlay?.arrow) {
        const [a, b] = overlay.arrow.map(({ f, r }) =>
          [(f + 0.5) * column - scroll, (r + 0.5) * rowHeight]);
        outline(() => { g.beginPath(); g.moveTo(...a); g.lineTo(...b); g.stroke(); });
        for (const [x, y] of [a, b]) {
          outline(() => { g.beginPath(); g.arc(x, y, 4, 0, 7); g.stroke(); });
        }
      }
      if (look.selection) {
        rectangle(look.selection, { dash: [5, 4] });
        const [x, y, w, h] = box(look.selection);
        g.fillStyle = "#fff";
        g.strokeStyle = "rgb(8 16 40 / 0.8)";
        g.lineWidth = 1;
        g.beginPath();
        g.rect(x + w - 6, y + h - 6, 9, 9);
        g.fill();
        g.stroke();
      }
      if (look.cursor) {
        const { f, r } = look.cursor;
        rectangle({ f0: f, f1: f, r0: r, r1: r }, { width: 2, color: theme.accent });
      }
    }
  }

  return { View };
})();
