/* The sheets of one run, kept by view and step so that the person can go back to any of them.
   A view is "clean" (the predicted frames) or "noisy" (the state as it is). No DOM. */

const FvdmReel = (() => {
  const MOST = 400; // sheets
  const MOST_CHARACTERS = 64_000_000; // of all sheets, which are data URLs
  const LEAST = 8; // sheets, however large
  const AT_ONCE = 8; // rows asked for together
  const FRAMES_AT_ONCE = 192;

  class Reel {
    constructor() { this.clear(""); }

    get size() { return this.sheets.size; }

    clear(job) {
      this.job = job;
      this.sheets = new Map(); // view and step → the strip's value with its sheet
      this.characters = 0;
      this.asked = new Set(); // rows that the server was asked for
      this.latest = null;
      this.start = null; // the levels of row 0
    }

    /** Keeps a value that carries a sheet. A value of another run starts afresh. */
    add(value) {
      if (value.job !== this.job) this.clear(value.job);
      this.put(value);
      this.latest = value;
    }

    /** Keeps rows that were asked for; `about` has what a row leaves out: job, frames, steps. */
    addRows({ job, rows }, about) {
      if (job !== this.job) return;
      for (const row of rows) this.put({ ...about, ...row });
    }

    put(value) {
      const view = value.view ?? "clean";
      const key = `${view} ${value.step}`;
      this.drop(key);
      this.sheets.set(key, { ...value, view });
      this.characters += value.sheet.length;
      if (value.step === 0) this.start = value.levels;
      while (this.sheets.size > LEAST && (this.sheets.size > MOST || this.characters > MOST_CHARACTERS)) this.thin();
    }

    drop(key) {
      this.characters -= this.sheets.get(key)?.sheet.length ?? 0;
      this.sheets.delete(key);
    }

    steps(view) {
      return [...this.sheets.values()].filter((value) => value.view === view)
        .map((value) => value.step).sort((a, b) => a - b);
    }

    /** Drops the sheet that is missed least: the one between the closest neighbours. */
    thin() {
      const [view, steps] = ["clean", "noisy"].map((name) => [name, this.steps(name)])
        .sort((a, b) => b[1].length - a[1].length)[0];
      let least = 1;
      for (let k = 2; k < steps.length - 1; k++) {
        if (steps[k + 1] - steps[k - 1] < steps[least + 1] - steps[least - 1]) least = k;
      }
      this.drop(`${view} ${steps[least]}`);
      this.asked.delete(`${view} ${steps[least]}`);
    }

    has(step, view) { return this.sheets.has(`${view} ${step}`); }

    /** The kept value nearest to a step, or null. */
    nearest(step, view = "clean") {
      let best = null;
      for (const value of this.sheets.values()) {
        if (value.view !== view) continue;
        if (!best || Math.abs(value.step - step) < Math.abs(best.step - step)) best = value;
      }
      return best;
    }

    /** The rows to ask the server for when the person is at `step`: those that are not here and
        were not asked for, the nearest first; none while this one is here. They count as asked. */
    wish(step, view, { frames, steps }) {
      const missing = (row) => row >= 0 && row <= steps && !this.has(row, view) && !this.asked.has(`${view} ${row}`);
      if (!missing(step)) return [];
      const most = Math.max(1, Math.min(AT_ONCE, Math.floor(FRAMES_AT_ONCE / frames)));
      const rows = [];
      for (let far = 0; far <= steps && rows.length < most; far++) {
        for (const row of far ? [step + far, step - far] : [step]) {
          if (missing(row) && rows.length < most) rows.push(row);
        }
      }
      for (const row of rows) this.asked.add(`${view} ${row}`);
      return rows;
    }

    /** How far a frame is on its own way, 0 … 1, from the level that it had at the start. */
    progress(frame, level) {
      const start = this.start?.[frame] ?? 1000;
      return start ? Math.max(0, Math.min(1, 1 - level / start)) : 1;
    }
  }

  return { Reel, MOST, MOST_CHARACTERS, LEAST, AT_ONCE };
})();

if (typeof module === "object") module.exports = FvdmReel;
