/* The sheets of one run, kept by step so that the person can go back to any of them. No DOM. */

const FvdmReel = (() => {
  const MOST = 400; // sheets

  class Reel {
    constructor() { this.clear(""); }

    get size() { return this.sheets.size; }

    clear(job) {
      this.job = job;
      this.sheets = new Map(); // step → the strip's value with its sheet
      this.latest = null;
    }

    /** Keeps a value that carries a sheet. A value of another run starts afresh. */
    add(value) {
      if (value.job !== this.job) this.clear(value.job);
      this.sheets.set(value.step, value);
      this.latest = value;
      if (this.sheets.size > MOST) this.thin();
    }

    /** Drops the sheet that is missed least: the one between the closest neighbours. */
    thin() {
      const steps = [...this.sheets.keys()].sort((a, b) => a - b);
      let least = 1;
      for (let k = 2; k < steps.length - 1; k++) {
        if (steps[k + 1] - steps[k - 1] < steps[least + 1] - steps[least - 1]) least = k;
      }
      this.sheets.delete(steps[least]);
    }

    /** The kept value nearest to a step, or null. */
    nearest(step) {
      let best = null;
      for (const value of this.sheets.values()) {
        if (!best || Math.abs(value.step - step) < Math.abs(best.step - step)) best = value;
      }
      return best;
    }
  }

  return { Reel, MOST };
})();

if (typeof module === "object") module.exports = FvdmReel;
