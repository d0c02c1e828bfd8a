/* One or two settings at several values each: which, how far their runs are, and their clips in
   step, in rows and columns. */
const { h } = FvdmDom;
const root = element.querySelector(".piece");
let settings = JSON.parse(JSON.stringify(props.settings)); // of the model that is loaded
const NONE = "";
const KEPT = "fvdm-sweep"; // in the tab's storage: what was swept, and is shown again
const PAUSE = 300; // milliseconds without typing, after which the cost is asked for
const MAX_LABEL = 60; // characters, as the server takes them

// ── Choosing ───────────────────────────────────────────────────────────────────────────────────

function axis(name, label, chosen, optional) {
  const values = h("input", { type: "text", class: "values", "aria-label": `Values of the ${label}`,
    maxlength: "16000", "data-testid": `sweep-${name}-values`, onInput: () => weigh(),
    onKeydown: (event) => { if (FvdmDom.isEnter(event)) start(); } });
  const select = h("select", { "aria-label": `Setting of the ${label}`, "data-testid": `sweep-${name}`,
    onChange: () => { propose(); weigh(); } });
  const describe = () => {
    const setting = settings.find((each) => each.name === select.value);
    values.hidden = !setting;
    values.title = setting?.hint ?? "";
    values.placeholder = setting?.placeholder ?? "";
    return setting;
  };
  const propose = () => { values.value = describe()?.usual ?? ""; };
  const choose = (asked) => {
    select.value = asked?.setting ?? NONE;
    propose();
    if (asked?.values !== undefined) values.value = asked.values;
  };
  /** Offers what the model has; what was chosen stays where it can. */
  const offer = () => {
    const was = select.value;
    select.replaceChildren(...(optional ? [h("option", { value: NONE }, "nothing else")] : []),
      ...settings.map((setting) => h("option", { value: setting.name }, setting.title)));
    const still = settings.some((setting) => setting.name === was) || (optional && was === NONE);
    select.value = still ? was : optional ? NONE : settings[0].name;
    if (still) describe(); // a label may be a prompt now
    else propose();
  };
  offer();
  choose(chosen);
  return { select, values, choose, offer,
    asked: () => (select.value === NONE ? null : { setting: select.value, values: values.value }) };
}

const columns = axis("columns", "columns", { setting: "cfg_scale" }, false);
const rows = axis("rows", "rows", null, true);
const button = h("button", { type: "button", class: "go", "data-testid": "sweep-go",
  onClick: () => (working() ? trigger("end", { id: props.value.id }) : start()) }, "Sweep");
const text = h("p", { class: "text", role: "status", "data-testid": "sweep-text" });
const cost = h("span", { class: "cost", "data-testid": "sweep-cost" });
const table = h("div", { class: "cells", role: "group", "aria-label": "Clips of the sweep" });
const inStep = new FvdmInStep.InStep("sweep", { says: (frame) => `Frame ${frame + 1}` });
const files = [["mp4", "MP4", "All clips in one film"], ["gif", "GIF", "All clips in one GIF"],
  ["png", "PNG", "All clips at the frame that is shown"]].map(([ending, words, title]) => h("a", {
  title, download: "", "data-testid": `sweep-${ending}`, onClick: ({ currentTarget }) => { currentTarget.href = addressOf(ending); },
}, words));
const controls = h("div", { class: "controls" }, inStep.button, h("div", { class: "track" }, inStep.scrubber), inStep.output,
    h("span", { class: "files" }, ...files));
const stage = h("div", { class: "stage", hidden: true }, table, controls);
root.setAttribute("role", "region");
root.setAttribute("aria-label", "Sweep settings");
root.append(
  h("div", { class: "choose", onPointerenter: () => weigh(), onFocusin: () => weigh() },
    h("h2", {}, "Sweep"), columns.select, columns.values,
    h("span", { class: "by" }, "×"), rows.select, rows.values, button, cost, text),
  stage,
);

const working = () => props.value?.status === "working";
const chosen = () => ({ columns: columns.asked(), rows: rows.asked() });

let soon = 0; // the timer

/** Asks what the chosen runs would cost, once nothing was typed for a while. */
function weigh() {
  clearTimeout(soon);
  soon = setTimeout(async () => {
    await window.fvdmPage?.allChanged();
    if (!working()) trigger("weigh", chosen());
  }, PAUSE);
}

async function start() {
  if (working()) return;
  text.textContent = "Looking at what is asked…";
  text.classList.remove("wrong");
  const asked = chosen();
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(asked));
  } catch {
    // without storage, a reload forgets it
  }
  touched = true;
  await window.fvdmPage?.allChanged();
  trigger("sweep", asked);
}

/** What was swept before a reload comes back, as far as its runs are there and the canvas is the
    same, once what was painted is there. */
async function showAgain() {
  const kept = JSON.parse(sessionStorage.getItem(KEPT));
  const known = (axis) => settings.some(({ name }) => name === axis?.setting);
  if (known(kept?.columns)) columns.choose(kept.columns);
  if (known(kept?.rows)) rows.choose(kept.rows);
  if (!known(kept?.columns) || !window.fvdmPage) return;
  await window.fvdmPage.arrived();
  await window.fvdmPage.allChanged();
  if (!touched && !props.value?.status) trigger("again", { ...kept, again: true });
}

let touched = false;
showAgain().catch(() => {}); // nothing, or no storage: what is proposed stays

// ── Showing ────────────────────────────────────────────────────────────────────────────────────

let begun = null; // the cells of the sweep that is shown
let last = null; // its value: one that failed has none of these

/** Lays out rows and columns, whose clips are not there yet. */
function layOut(value) {
  const named = value.rows.some(Boolean);
  const cells = value.cells.map((_, place) => {
    const words = [value.rows[Math.floor(place / value.columns.length)], value.columns[place % value.columns.length]];
    const canvas = h("canvas", { width: 1, height: 1, role: "img", "aria-label": words.filter(Boolean).join(", ") });
    const note = h("span", { class: "note" });
    const below = h("span", { class: "below" });
    const node = h("button", { type: "button", class: "cell", "data-testid": `sweep-cell-${place}`,
      disabled: true,
      onClick: () => dispatchEvent(new CustomEvent("fvdm:open-run", { detail: { job: node.dataset.job } })) },
    h("span", { class: "picture" }, canvas, note), below);
    return { node, canvas, note, below, words: words.filter(Boolean).join(", "), shown: false };
  });
  const head = (name) => h("span", { class: "head" }, name);
  const lines = value.rows.flatMap((row, k) => [...(named ? [head(row)] : []),
    ...cells.slice(k * value.columns.length, (k + 1) * value.columns.length).map(({ node }) => node)]);
  table.replaceChildren(...(named ? [head("")] : []), ...value.columns.map(head), ...lines);
  table.style.setProperty("--columns", String(value.columns.length));
  table.classList.toggle("named", named);
  stage.hidden = false;
  controls.hidden = true; // until there is a clip
  inStep.end();
  dispatchEvent(new CustomEvent("fvdm:follow"));
  return { cells, playing: false };
}

function fill({ cells }, value, place, part) {
  const cell = cells[place];
  if (cell.shown) return;
  cell.shown = true;
  const [width, height] = part.tile;
  Object.assign(cell.canvas, { width, height });
  if (!begun.playing) inStep.begin(part.frames, part.fps);
  begun.playing = true;
  controls.hidden = false;
  cell.below.replaceChildren(...[FvdmDom.figures(part)].filter(Boolean));
  inStep.add(cell.canvas, { columns: part.columns, tile: [width, height], sheet: part.sheet }, cell.words);
}

/** Where the clips that are there lie as one file. */
function addressOf(ending) {
  const { address, cells, columns: across, rows: down, sheets } = last;
  const query = new URLSearchParams();
  cells.forEach(({ job, whole }, place) => query.append("job", whole && sheets[place] ? job : ""));
  across.forEach((name) => query.append("column", name.slice(0, MAX_LABEL)));
  down.forEach((name) => query.append("row", name.slice(0, MAX_LABEL)));
  if (ending === "png") query.append("frame", String(Math.max(0, inStep.drawn)));
  return `${window.gradio_config?.root ?? ""}/${address}/grid.${ending}?${query}`;
}

function receive() {
  const { value } = props;
  if (!value?.status) return;
  root.dataset.status = value.status;
  text.textContent = value.text;
  text.classList.toggle("wrong", value.status === "failed");
  cost.hidden = working();
  if (value.status === "done" && last?.status === "working") weigh(); // they are there now
  button.textContent = working() ? "Stop" : "Sweep";
  if (value.status === "failed") return;
  if (last?.id !== value.id) begun = null;
  last = value;
  begun ??= layOut({ rows: [...value.rows], columns: [...value.columns], cells: [...value.cells] });
  begun.cells.forEach(({ node, note }, place) => {
    const { job, text: words, wrong } = value.cells[place];
    node.dataset.job = job;
    node.disabled = !value.sheets[place];
    node.title = value.sheets[place] ? "Show this run" : words;
    note.textContent = words;
    note.classList.toggle("wrong", wrong);
  });
  for (const link of files) link.href = addressOf(link.dataset.testid.slice(6)); // to copy, too
  for (const [place, part] of Object.entries(value.sheets)) fill(begun, value, Number(place), part);
}

watch("value", receive);
watch("cost", () => { cost.textContent = props.cost; });
watch("settings", () => {
  settings = JSON.parse(JSON.stringify(props.settings));
  columns.offer();
  rows.offer();
  if (cost.textContent) weigh(); // it was of another model
  cost.textContent = "";
});
receive();
