/* Two timelines side by side: which two, how far their runs are, and then their clips in step with
   the difference beside them. */
const { h } = FvdmDom;
const root = element.querySelector(".piece");
const plain = (value) => (value ? JSON.parse(JSON.stringify(value)) : null);
const SIDES = ["a", "b"];
const SHOWN = "fvdm-compared"; // in the tab's storage: the two runs that are shown
const closing = new AbortController(); // ends what listens outside the component
window.fvdmCompare?.abort(); // the one before, where the component is mounted again
window.fvdmCompare = closing;
let runs = [];
let older = []; // runs of the history that were asked for
const again = shownBefore(); // shown once more when the session is known
let shownRuns = "";
let asked = false; // the list of runs was told that there may be new ones
let touched = false; // whether the person has chosen or compared: then nothing is chosen for them
let means = [];
let showing = 0; // counts results

// ── Choosing ───────────────────────────────────────────────────────────────────────────────────

const selects = Object.fromEntries(SIDES.map((side) => [side, h("select", {
  "aria-label": `Timeline ${side.toUpperCase()}`, "data-testid": `compare-${side}`,
  onChange: () => { touched = true; },
})]));
const button = h("button", { type: "button", class: "go", "data-testid": "compare-go", onClick: start },
  "Compare");
const text = h("p", { class: "text", role: "status", "data-testid": "compare-text" });
const stage = h("div", { class: "stage", hidden: true });
root.setAttribute("role", "region");
root.setAttribute("aria-label", "Compare two timelines");
root.append(
  h("div", { class: "choose" }, h("h2", {}, "Compare"), h("span", { class: "side" }, "A"), selects.a,
    h("span", { class: "side" }, "B"), selects.b, button, text),
  stage,
);

/** What the runs are called; those that would be called the same also by the time of day. */
function names() {
  const text = (run) => [run.title, run.settings, run.status === "stopped" ? "stopped" : ""].filter(Boolean).join(" · ");
  const texts = runs.map(text);
  return texts.map((own, k) => (texts.filter((other) => other === own).length < 2 ? own
    : `${own} · ${new Date(1000 * runs[k].asked).toLocaleTimeString()}`));
}

function options() {
  const named = names();
  const option = (kind, name, words) => h("option", { value: `${kind}:${name}` }, words);
  const group = (label, children) => (children.length ? h("optgroup", { label }, ...children) : null);
  return [
    option("canvas", "", "The canvas"),
    group("Runs", runs.map((run, k) => option("run", run.job, named[k]))),
    group("Earlier runs", older.filter(({ job }) => !runs.some((run) => run.job === job)).map((run) => option("run", run.job, run.title))),
    group("Presets, at the canvas' size", JSON.parse(props.presets).map(({ name, title }) =>
      option("preset", name, title))),
  ].filter(Boolean);
}

function offer() {
  for (const side of SIDES) {
    const before = selects[side].value;
    selects[side].replaceChildren(...options());
    const kept = [...selects[side].options].some((option) => option.value === before);
    selects[side].value = kept ? before : side === "a" ? "canvas:" : firstOther();
  }
}

function firstOther() {
  return runs.length ? `run:${runs.at(-1).job}` : "preset:standard";
}

function chosen(side) {
  const [kind, ...name] = selects[side].value.split(":");
  return { kind, name: name.join(":") };
}

async function start() {
  if (props.value?.status === "working") return;
  asked = false;
  touched = true;
  text.textContent = "Looking for both…";
  text.classList.remove("wrong");
  await window.fvdmPage?.allChanged();
  trigger("compare", { a: chosen("a"), b: chosen("b") });
}

/** Puts a run among the choices, also one that only the history has. */
function offerRun({ job, title }) {
  if (![...runs, ...older].some((run) => run.job === job)) older.push({ job, title: title ?? "Before" });
  offer();
}

/** What was shown before a reload. */
function shownBefore() {
  try {
    return JSON.parse(sessionStorage.getItem(SHOWN));
  } catch {
    return null; // nothing, or no storage
  }
}

function showAgain(sides) {
  touched = true;
  for (const side of sides) offerRun(side);
  sides.forEach(({ job }, k) => { selects[SIDES[k]].value = `run:${job}`; });
  asked = true; // nothing new runs for it
  trigger("again", { a: chosen("a"), b: chosen("b"), again: true });
}

function keep(sides) {
  try {
    sessionStorage.setItem(SHOWN, JSON.stringify(sides));
  } catch {
    // without storage, a reload forgets it
  }
}

addEventListener("fvdm:runs", ({ detail }) => {
  const now = JSON.stringify(detail.runs.map((run) => [run.job, run.title, run.settings, run.status === "stopped"]));
  if (now === shownRuns) return;
  shownRuns = now;
  runs = detail.runs;
  offer();
  if (!touched) selects.b.value = firstOther();
  if (!touched && again?.length === 2) showAgain(again);
}, { signal: closing.signal });

addEventListener("fvdm:compare", ({ detail }) => {
  offerRun(detail);
  selects.a.value = "canvas:";
  selects.b.value = `run:${detail.job}`;
  touched = true;
  root.scrollIntoView({ block: "center" });
  button.focus();
}, { signal: closing.signal });

// ── Showing ────────────────────────────────────────────────────────────────────────────────────

function figure(name, part, ...caption) {
  const [width, height] = part.tile;
  const canvas = h("canvas", { width, height, role: "img", "data-testid": `compare-${name}` });
  canvas.style.aspectRatio = `${width} / ${height}`;
  const words = caption.map((node) => node.textContent).join(" ");
  return { node: h("figure", {}, canvas, h("figcaption", {}, ...caption)), add: () => inStep.add(canvas, part, words) };
}

function side(letter, part) {
  return figure(`picture-${letter}`, part, h("b", {}, letter.toUpperCase()),
    h("span", { class: "thumb" }, matrixPicture(part.levels)), h("span", {}, part.title));
}

function legend({ legend: colors, scale }) {
  const bar = h("i", { class: "ramp", "aria-hidden": "true" });
  bar.style.background = `linear-gradient(to right, ${colors.join(", ")})`;
  return h("span", { class: "legend", title: "The difference of each pixel, of 255" },
    h("span", {}, "0"), bar, h("span", {}, `${scale}${scale < 255 ? " or more" : ""}`));
}

const inStep = new FvdmInStep.InStep("compare", {
  says: (frame) => FvdmPlayer.says(frame, means),
  moved: (frame) => {
    [...bars.children].forEach((bar, index) => bar.classList.toggle("now", index === frame));
    stage.dataset.frame = String(frame);
  },
});
const bars = h("div", { class: "bars", "aria-hidden": "true", onClick: (event) => {
  const at = [...bars.children].indexOf(event.target.closest(".of"));
  if (at >= 0) inStep.seek(at);
} });

async function show(value) {
  const result = ++showing;
  means = value.difference.mean;
  const most = Math.max(...means, 1e-9);
  bars.replaceChildren(...means.map((mean, frame) => {
    const bar = h("i", {});
    bar.style.height = `${Math.max(2, (100 * mean) / most)}%`;
    return h("span", { class: "of", title: FvdmPlayer.says(frame, means) }, bar);
  }));
  const [a, b] = value.sides;
  const figures = [side("a", a), side("b", b),
    figure("difference", value.difference, h("b", {}, "|A − B|"), legend(value.difference))];
  inStep.begin(value.frames, value.fps);
  const added = await Promise.all(figures.map((each) => each.add()));
  if (!added.every(Boolean)) return; // another comparison was done meanwhile
  stage.replaceChildren(h("div", { class: "figures" }, ...figures.map(({ node }) => node)),
    h("div", { class: "controls" }, inStep.button, h("div", { class: "track" }, bars, inStep.scrubber), inStep.output));
  stage.hidden = false;
  root.dataset.ready = String(result);
}

function receive() {
  const value = plain(props.value);
  if (!value?.status) return;
  root.dataset.status = value.status;
  text.textContent = value.text;
  text.classList.toggle("wrong", value.status === "failed");
  // one that is really disabled loses the focus; pressed, this does nothing
  button.setAttribute("aria-disabled", String(value.status === "working"));
  if (value.status === "working" && !asked) {
    asked = true;
    dispatchEvent(new CustomEvent("fvdm:follow"));
  }
  if (value.status === "failed") keep(null);
  if (value.status !== "done") return;
  keep(value.jobs.map((job, k) => ({ job, title: value.sides[k].title })));
  show(value);
}

offer();
watch("value", receive);
receive();
