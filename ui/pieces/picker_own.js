/* The picker's other groups: example timelines, and the person's own presets, which this browser
   keeps; and a timeline as a file, out and in. Runs after own_presets.js and preset_picker.js. */

const CELLS = 14; // of a picture
let own = [];

const say = (text, error = false) =>
  dispatchEvent(new CustomEvent("fvdm:say", { detail: { text, error } }));

/** Asks the server to put a timeline in place of the painting. */
const bring = (what) => trigger("bring", what);

const titleNow = () => tiles.get(plain(props.value).name)?.querySelector("span").textContent ?? "";

// ── What the browser keeps ─────────────────────────────────────────────────────────────────────

function recall() {
  try {
    own = FvdmOwn.load(localStorage.getItem(FvdmOwn.KEY));
  } catch {
    own = []; // a browser may forbid it
  }
}

/** Keeps { list, error } and says what came of it. */
function keep({ list, error }, done) {
  if (!error) {
    try {
      localStorage.setItem(FvdmOwn.KEY, FvdmOwn.store(list));
    } catch {
      error = "This browser has no room for it, or keeps nothing: export it as a file.";
    }
  }
  if (error) return say(error, true);
  own = list;
  drawOwn();
  say(done);
  return true;
}

// ── Groups ─────────────────────────────────────────────────────────────────────────────────────

const group = (name, label) => {
  const line = h("div", { class: "tiles", role: "group", "aria-label": label });
  const node = h("div", { class: "group" }, h("span", { class: "group-name" }, name), line);
  line.addEventListener("keydown", (event) => {
    const buttons = [...line.querySelectorAll(".tile")];
    const at = buttons.indexOf(document.activeElement);
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move || at < 0) return;
    event.preventDefault();
    event.stopPropagation();
    const next = buttons[(at + move + buttons.length) % buttons.length];
    for (const button of buttons) button.tabIndex = button === next ? 0 : -1;
    next.focus();
  });
  return { node, line };
};

function tile(name, title, levels, first, onClick) {
  return h("button", { type: "button", class: "tile", title, tabindex: first ? "0" : "-1", onClick },
    matrixPicture(levels), h("span", {}, name));
}

const examples = group("examples", "Example timelines");
JSON.parse(props.timelines).forEach?.(({ name, title, about, levels }, k) => {
  const button = tile(title, `${title}: ${about}`, levels, k === 0, () => bring({ kind: "example", name }));
  button.id = `example-${name}`;
  examples.line.append(button);
});
const mine = group("yours", "Your presets");
row.prepend(mine.node);
if (examples.line.childElementCount) row.append(examples.node);

function drawOwn() {
  mine.node.hidden = !own.length;
  mine.line.replaceChildren(...own.map(({ name, timeline }, k) => {
    const button = tile(name, `${name}: click to use it, at the present frames and steps`,
      FvdmOwn.picture(timeline, CELLS), k === 0,
      () => bring({ kind: "own", name, text: JSON.stringify(timeline) }));
    button.dataset.own = name;
    button.addEventListener("keydown", (event) => {
      if (event.key === "F2") open(button, name);
      if (event.key === "Delete") { open(button, name); discard.focus(); }
    });
    const more = h("button", { type: "button", class: "more", "aria-label": `Rename or delete ${name}`,
      title: "Rename or delete", onClick: () => open(button, name) }, "⋯");
    return h("div", { class: "own" }, button, more);
  }));
}

// ── Saving, renaming, deleting ─────────────────────────────────────────────────────────────────

const field = h("input", { type: "text", maxlength: FvdmOwn.NAME_LENGTH, "aria-label": "Name of the preset",
  id: "own-name", onKeydown: (event) => { if (FvdmDom.isEnter(event)) commit(); } });
const confirm = h("button", { type: "button", class: "primary", id: "own-save", onClick: () => commit() });
const discard = h("button", { type: "button", id: "own-delete", onClick: () => forget() }, "Delete");
const menu = h("div", { class: "own-menu", popover: "auto", role: "dialog", "aria-label": "Preset" },
  field, h("div", { class: "own-actions" }, discard, confirm));
let editing = null; // the name that is changed; null: a new preset

function open(anchor, name) {
  editing = name;
  field.value = name ?? FvdmOwn.suggestion(own, titleNow());
  confirm.textContent = name === null ? "Save" : "Rename";
  discard.hidden = name === null;
  discard.textContent = "Delete";
  menu.showPopover();
  const at = anchor.getBoundingClientRect();
  menu.style.left = `${Math.max(8, Math.min(at.left, document.documentElement.clientWidth - menu.offsetWidth - 8))}px`;
  menu.style.top = `${at.bottom + 4}px`;
  field.select();
}

function commit() {
  const name = field.value;
  const value = window.fvdmEditor?.value;
  const kept = editing !== null ? keep(FvdmOwn.rename(own, editing, name), "Renamed.")
    : value && keep(FvdmOwn.save(own, name, FvdmOwn.encode(value)),
      "Kept in this browser, with your presets on the left.");
  if (kept) menu.hidePopover();
}

/** Deletes at the second press: it cannot be taken back. */
function forget() {
  if (discard.textContent === "Delete") {
    discard.textContent = "Really delete";
  } else if (keep({ list: FvdmOwn.remove(own, editing), error: "" }, `“${editing}” is deleted.`)) {
    menu.hidePopover();
    (mine.line.querySelector(".tile") ?? saveButton).focus();
  }
}

// ── Files ──────────────────────────────────────────────────────────────────────────────────────

const MIME = "application/json";

function exportFile() {
  const value = window.fvdmEditor?.value;
  if (!value) return;
  const title = titleNow();
  const timeline = FvdmOwn.encode(value, title);
  const url = URL.createObjectURL(new Blob([`${JSON.stringify(timeline)}\n`], { type: MIME }));
  const link = h("a", { href: url, download: FvdmOwn.fileName(title, timeline) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

async function importFile(file) {
  if (!file) return;
  let start = "";
  try {
    start = await file.slice(0, 300).text();
  } catch {
    return say(`${file.name} cannot be read: drop a file, not a folder.`, true);
  }
  if (start.includes("fvdm-studio-recipe")) {
    return dispatchEvent(new CustomEvent("fvdm:recipe-file", { detail: { file } })); // for the history
  }
  if (file.size > FvdmOwn.CAPS.file) {
    return say(`${file.name} has ${(file.size / 1e6).toFixed(1)} MB: a timeline has at most 2 MB.`, true);
  }
  bring({ kind: "file", name: file.name, text: await file.text() });
}

const chooser = h("input", { type: "file", accept: `.json,${MIME}`, hidden: true, id: "timeline-file",
  onChange: () => { importFile(chooser.files[0]); chooser.value = ""; } });
const action = (id, text, title, onClick) => h("button", { type: "button", id, title, onClick }, text);
const saveButton = action("own-new", "Save…", "Keep the painting in this browser, as a preset of yours", () => open(saveButton, null));
const actions = h("div", { class: "own-bar", role: "group", "aria-label": "This timeline" }, saveButton,
  action("timeline-import", "Import…", "A timeline from a JSON file; you can also drop one on the canvas", () => chooser.click()),
  action("timeline-export", "Export", "The timeline as a JSON file, without its pictures", exportFile));
row.before(actions);
root.append(chooser, menu);

addEventListener("fvdm:timeline-file", ({ detail }) => importFile(detail.file), { signal: closing.signal });
addEventListener("storage", (event) => { // another tab
  if (event.key === FvdmOwn.KEY) { recall(); drawOwn(); }
}, { signal: closing.signal });
recall();
drawOwn();
