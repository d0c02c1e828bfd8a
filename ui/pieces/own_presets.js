/* The person's own presets and the file of a timeline, as plain data: no DOM, no storage.

   A preset is { name, timeline }; timeline is what Timeline.from_json reads: levels as rows of
   levels or [level, count] runs, and windows, sources, prior and seen levels where there are any.
   What a browser kept is read with care: whatever is not right is left out. */

const FvdmOwn = (() => {
  const KEY = "fvdm-presets";
  const VERSION = 1;
  const MOST = 40; // presets
  const MOST_CHARACTERS = 1_500_000; // of all together; a browser keeps about 5 million
  const NAME_LENGTH = 40;
  const CAPS = { level: 1000, frames: 1024, rows: 4096, cells: 1_000_000, file: 2_000_000 };

  const { coded, counted } = typeof module === "object" ? require("../page.js") : window.fvdmPage;

  const whole = (x, low, high) => Number.isInteger(x) && x >= low && x <= high;

  // ── A timeline as JSON ─────────────────────────────────────────────────────────────────────

  /** What the editor's value says of the timeline; its pictures stay behind. */
  function encode(value, title = "") {
    const timeline = { version: VERSION };
    if (title) timeline.title = title;
    timeline.levels = value.levels.map(coded);
    if (value.windows) timeline.windows = counted(bare(value.windows));
    if (value.sources) timeline.sources = [...value.sources];
    if ((value.prior ?? "independent") !== "independent" || (value.prior_alpha ?? 1) !== 1) {
      timeline.prior = value.prior ?? "independent";
      timeline.prior_alpha = value.prior_alpha ?? 1;
    }
    if (Object.keys(value.seen ?? {}).length) timeline.seen = { ...value.seen };
    return timeline;
  }

  /** Each step's windows without what only the page knows of them. */
  const bare = (steps) => steps.map((step) =>
    step.map(({ frames, updates }) => ({ frames, updates })));

  function expandedRow(row) {
    if (!Array.isArray(row) || !row.length || row.length > CAPS.frames) return null;
    if (!Array.isArray(row[0])) return row.every((v) => whole(v, 0, CAPS.level)) ? row : null;
    const right = row.every((run) => Array.isArray(run) && run.length === 2
      && whole(run[0], 0, CAPS.level) && whole(run[1], 1, CAPS.frames));
    if (!right || row.reduce((sum, [, count]) => sum + count, 0) > CAPS.frames) return null;
    return row.flatMap(([level, count]) => new Array(count).fill(level));
  }

  /** The matrix of a timeline as rows of levels, or null where it is none. */
  function matrix(timeline) {
    const rows = timeline?.levels;
    if (!Array.isArray(rows) || !whole(rows.length, 2, CAPS.rows)) return null;
    const first = expandedRow(rows[0]);
    if (!first || first.length * rows.length > CAPS.cells) return null;
    const levels = rows.map(expandedRow);
    return levels.every((row) => row?.length === first.length) ? levels : null;
  }

  /** A picture of the matrix with `cells` frames and rows at most. */
  function picture(timeline, cells) {
    const levels = matrix(timeline);
    const pick = (count) => Array.from({ length: Math.min(cells, count) }, (_, k, all = Math.min(cells, count)) =>
      Math.round((k * (count - 1)) / Math.max(1, all - 1)));
    const columns = pick(levels[0].length);
    return pick(levels.length).map((r) => columns.map((f) => levels[r][f]));
  }

  // ── The list ───────────────────────────────────────────────────────────────────────────────

  const tidy = (name) => String(name).replace(/\s+/g, " ").trim().slice(0, NAME_LENGTH);

  /** What a browser kept under KEY, without what is not a preset. */
  function load(text) {
    let kept;
    try {
      kept = JSON.parse(text);
    } catch {
      return [];
    }
    if (kept?.version !== VERSION || !Array.isArray(kept.presets)) return [];
    const list = [];
    for (const preset of kept.presets) {
      const name = typeof preset?.name === "string" ? tidy(preset.name) : "";
      const taken = list.some((other) => other.name === name);
      if (name && !taken && list.length < MOST && matrix(preset.timeline)) {
        list.push({ name, timeline: preset.timeline });
      }
    }
    return list;
  }

  const store = (list) => JSON.stringify({ version: VERSION, presets: list });

  /** The list with a timeline under a name, in place of the one that has it; or an error. */
  function save(list, name, timeline) {
    const called = tidy(name);
    if (!called) return { list, error: "Give the preset a name." };
    const preset = { name: called, timeline };
    const at = list.findIndex((other) => other.name === called);
    const next = at < 0 ? [...list, preset] : list.with(at, preset);
    if (next.length > MOST) {
      return { list, error: `${MOST} presets are kept already: delete one first, or export this one.` };
    }
    if (store(next).length > MOST_CHARACTERS) {
      return { list, error: "There is no room for it beside your other presets: delete one first, or export this one." };
    }
    return { list: next, error: "" };
  }

  /** The list with another name for a preset; or an error. */
  function rename(list, name, to) {
    const called = tidy(to);
    if (!called) return { list, error: "Give the preset a name." };
    if (called !== name && list.some((other) => other.name === called)) {
      return { list, error: `“${called}” is taken: choose another name.` };
    }
    return { list: list.map((other) => (other.name === name ? { ...other, name: called } : other)), error: "" };
  }

  const remove = (list, name) => list.filter((other) => other.name !== name);

  /** A name to begin with: that of the preset below, numbered where it is taken. */
  function suggestion(list, title) {
    const base = tidy(title || "My timeline");
    const taken = (name) => list.some((other) => other.name === name);
    let name = base;
    for (let k = 2; taken(name); k++) name = `${base} ${k}`;
    return name;
  }

  /** The name of a file for a timeline: letters, digits and dashes. */
  const fileName = (title, timeline) => {
    const slug = title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "") || "timeline";
    const frames = matrix(timeline)[0].length;
    return `${slug}-${frames}x${timeline.levels.length - 1}.json`;
  };

  return { KEY, MOST, MOST_CHARACTERS, NAME_LENGTH, CAPS, encode, matrix, picture, load, store, save,
    rename, remove, suggestion, fileName };
})();

if (typeof module === "object") module.exports = FvdmOwn; // for node --test
