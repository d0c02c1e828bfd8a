/* Undo and redo: the last states of a painting, each a state of core.js. No DOM. */

const FvdmUndo = (() => {
  const UNDO_DEPTH = 100;
  const UNDO_CELLS = 24_000_000; // 48 MB of history at most, whatever the size of the timeline

  /** The last 100 states with what led to them. States share whatever an edit left alone. */
  class History {
    constructor(state) { this.past = [{ state, label: "" }]; this.future = []; }

    get state() { return this.past.at(-1).state; }
    get canUndo() { return this.past.length > 1; }
    get canRedo() { return this.future.length > 0; }

    push(state, label) {
      if (state === this.state) return false;
      this.past.push({ state, label });
      this.future = [];
      const cells = () => this.past.reduce((sum, { state: s }, k) =>
        sum + (s.levels === this.past[k - 1]?.state.levels ? 0 : s.levels.length), 0);
      while (this.past.length > UNDO_DEPTH + 1) this.past.shift();
      while (this.past.length > 2 && cells() > UNDO_CELLS) this.past.shift();
      return true;
    }

    /** Puts a state in the place of the newest one, as what goes on with the same change. */
    replace(state) { this.past.push({ ...this.past.pop(), state }); }

    /** Steps back; returns what was undone, or null. */
    undo() {
      if (!this.canUndo) return null;
      this.future.push(this.past.pop());
      return this.future.at(-1).label;
    }

    redo() {
      if (!this.canRedo) return null;
      this.past.push(this.future.pop());
      return this.past.at(-1).label;
    }
  }

  return { History };
})();

if (typeof module === "object") module.exports = FvdmUndo; // for node --test
