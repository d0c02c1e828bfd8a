/* Presets as small pictures of their matrix; below them, the parameters of the chosen one.
   Runs after dom.js of the editor and matrix.js. */
const { h } = FvdmDom;
const root = element.querySelector(".piece");
const closing = new AbortController(); // ends what listens outside the component
window.fvdmPicker?.abort(); // the one before, where the component is mounted again
window.fvdmPicker = closing;
const plain = (value) => (value ? JSON.parse(JSON.stringify(value)) : {});
let params = {};
let drawnForm = null;
let changedAt = -Infinity; // when a parameter was last moved here
let held = false; // whether the pointer is down on one: it would be gone from under it
const LATE = 1500; // ms in which answers may be about an earlier place of a control
let passed = null; // the last answer that was passed over, which may be a refusal's
let looking = 0; // the timer that looks at it again

const tiles = new Map();
const groups = new Map();
for (const preset of JSON.parse(props.presets)) {
  const tile = h("button", {
    type: "button", class: "tile", role: "radio", id: `preset-${preset.name}`,
    title: `${preset.title}: ${preset.summary}`, onClick: () => pick(preset.name),
  }, matrixPicture(preset.levels), h("span", {}, preset.title));
  tiles.set(preset.name, tile);
  if (!groups.has(preset.group)) {
    groups.set(preset.group, h("div", { class: "tiles" }));
  }
  groups.get(preset.group).append(tile);
}
const parameters = h("div", { class: "parameters" });
const radios = h("div", { class: "radios", role: "radiogroup", "aria-label": "Preset" },
  ...[...groups].map(([name, tilesOfGroup]) =>
    h("div", { class: "group" }, h("span", { class: "group-name" }, name), tilesOfGroup)));
const row = h("div", { class: "groups" }, radios);
radios.addEventListener("keydown", (event) => {
  const names = [...tiles.keys()];
  const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const at = names.findIndex((name) => tiles.get(name) === document.activeElement);
  if (!move || at < 0) return;
  event.preventDefault();
  const next = names[(at + move + names.length) % names.length];
  tiles.get(next).focus();
  pick(next);
});
root.replaceChildren(h("div", { class: "picker-top" }, row), parameters);

// ── The parameters ─────────────────────────────────────────────────────────────────────────────

/** [0, 2, 3, 4] ⇄ "1, 3–5": people count frames from 1. */
function framesToText(frames) {
  const runs = [];
  for (const f of [...frames].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last && f === last[1] + 1) last[1] = f; else runs.push([f, f]);
  }
  return runs.map(([a, b]) => (a === b ? `${a + 1}` : `${a + 1}–${b + 1}`)).join(", ");
}

function textToFrames(text, count) {
  const frames = new Set();
  for (const part of text.replace(/\s*[–-]\s*/g, "-").split(/[,;\s]+/).filter(Boolean)) {
    const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part);
    if (!match) return null;
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    if (first < 1 || last < first || last > count) return null;
    for (let f = first; f <= last; f++) frames.add(f - 1);
  }
  return [...frames].sort((a, b) => a - b);
}

function changed(name, value) {
  params[name] = value;
  changedAt = performance.now();
  props.value = { ...plain(props.value), params: { ...params } };
  trigger("tune");
}

function slider(field, value, onChange) {
  const digits = field.step >= 1 ? 0 : 2;
  const shown = h("output", {}, Number(value).toFixed(digits));
  const input = h("input", {
    type: "range", min: field.minimum, max: field.maximum, step: field.step, value,
    "aria-label": field.title,
    onInput: () => {
      shown.textContent = Number(input.value).toFixed(digits);
      onChange(Number(input.value));
    },
  });
  return [input, shown];
}

function framesBox(frames, count, onChange) {
  const wrong = h("span", { class: "wrong", role: "alert" });
  const box = h("input", {
    type: "text", class: "frames-box", value: framesToText(frames), maxlength: "120",
    "aria-label": "Frames", placeholder: "none", title: "Frames, such as 1, 5–8",
    onChange: () => {
      const parsed = textToFrames(box.value, count);
      wrong.textContent = parsed ? "" : `“${box.value}”: write frames from 1 to ${count}, such as 1, 5–8`;
      if (parsed) onChange(frames = parsed);
      else box.value = framesToText(frames); // what the canvas has is what is shown
    },
  });
  return [box, wrong];
}

function control(field, count) {
  const value = params[field.name] ?? field.default;
  if (field.kind === "frames") {
    return framesBox(value ?? [], count, (frames) => changed(field.name, frames));
  }
  if (field.kind === "frame-values") {
    let frames = Object.keys(value ?? {}).map(Number);
    let number = Object.values(value ?? {})[0] ?? field.minimum;
    const send = () => changed(field.name, Object.fromEntries(frames.map((f) => [f, number])));
    return [
      ...slider(field, number, (next) => { number = next; send(); }),
      h("span", { class: "on" }, "frames"),
      ...framesBox(frames, count, (next) => { frames = next; send(); }),
    ];
  }
  return slider(field, value, (next) => changed(field.name, next));
}

function draw() {
  const value = plain(props.value);
  for (const [name, tile] of tiles) {
    const chosen = name === value.name;
    tile.setAttribute("aria-checked", String(chosen));
    tile.tabIndex = chosen || (!tiles.has(value.name) && name === [...tiles.keys()][0]) ? 0 : -1;
  }
  const form = JSON.stringify([value.name, value.form, value.frames]);
  // While somebody is at these controls, late answers to earlier places of them are passed over.
  const late = performance.now() - changedAt < LATE;
  const busy = held || (late && parameters.contains(document.activeElement));
  passed = null;
  if (form === drawnForm && busy) {
    // and not left in what is sent next: gradio reads it when the answer under way has come
    if (!isSame(value.params)) {
      props.value = { ...value, params: { ...params } };
      passed = value;
      lookAgain();
    }
    return;
  }
  const controls = () => [...parameters.querySelectorAll("input")];
  const focused = form === drawnForm ? controls().indexOf(document.activeElement) : -1;
  params = { ...value.params };
  drawnForm = form;
  parameters.replaceChildren(...(value.form ?? []).map((field) =>
    h("div", { class: "parameter", role: "group", "aria-label": field.title },
      h("span", { class: "name" }, field.title), ...control(field, value.frames))));
  controls()[focused]?.focus();
}

const isSame = (others) => JSON.stringify(others) === JSON.stringify(params);

/** Once nobody is at the controls and nothing is under way, they show what the canvas has: the
    answer that was passed over last says it, as of a refused place no other one comes. But the last
    place was not even asked for where that before it was refused: gradio then drops what waits. */
function lookAgain() {
  clearTimeout(looking);
  looking = setTimeout(async () => {
    await window.fvdmPage?.allChanged();
    if (!passed) return;
    if (held || performance.now() - changedAt < LATE) return lookAgain();
    if (window.fvdmPage && !isSame(window.fvdmPage.tuned)) return trigger("tune");
    props.value = passed;
    draw();
  }, LATE);
}

async function pick(name) {
  props.value = { name, params: {} };
  draw();
  await window.fvdmPage?.allChanged(); // with the pictures that are on their way
  props.value = { name, params: {} }; // which an answer to them may have moved
  trigger("pick");
}

parameters.addEventListener("pointerdown", () => { held = true; });
for (const end of ["pointerup", "pointercancel"]) {
  addEventListener(end, () => { held = false; }, { capture: true, signal: closing.signal });
}
addEventListener("keydown", (event) => { // what undo brings back is no late answer
  if ((event.ctrlKey || event.metaKey) && /^[zy]$/i.test(event.key)) changedAt = -Infinity;
}, { capture: true, signal: closing.signal });
closing.signal.addEventListener("abort", () => clearTimeout(looking));
watch("value", draw);
draw();
