/* The header's line about the model, and the panel under it: what is loaded, and what else may be.

   The server tells nobody when the model changes, so the page looks: often while one is on its way,
   seldom otherwise. A page that sees another model than the one it fits asks to be fitted to it. */
const { h, placeMenu } = FvdmDom;
const root = element.querySelector(".piece");
const SOON = 600; // ms between looks while a model is on its way
const SELDOM = 15_000;
let value = null;
let fits = null; // what the page fits: the number of the model, 0 for none, and the frames it saw
let mine = null; // the model that was chosen here
let timer = 0;

const name = h("span", { class: "name" });
const button = h("button", { type: "button", id: "model-name", "aria-haspopup": "dialog",
  "aria-expanded": "false", title: "About the model, and other models", onClick: () => open() },
name, h("span", { "aria-hidden": "true" }, "▾"));
const said = h("p", { class: "said", role: "status" });
const facts = h("dl", {});
const notice = h("p", { class: "notice" });
const list = h("ul", { "aria-label": "Models" });
const heading = h("h2", {}, "Models");
const hint = h("p", { class: "hint" });
const menu = h("div", { class: "model-menu", popover: "auto", role: "dialog", "aria-label": "Model", tabindex: -1 },
  facts, notice, heading, list, hint);
menu.addEventListener("toggle", (event) => {
  button.setAttribute("aria-expanded", String(event.newState === "open"));
});
root.append(button, said, menu);

function open() {
  if (!value) return;
  trigger("look", { version: -1 }); // files may have come or gone
  menu.showPopover();
  placeMenu(menu, button);
  menu.focus(); // and not a model, which a key that is still down would choose
}

function choose(key) {
  mine = key;
  trigger("choose", { key });
}

function entry({ key, title, about, here, coming, again }) {
  const state = coming ? "loading…" : again ? "load again" : here ? "loaded" : "";
  return h("li", {}, h("button", { type: "button", "data-testid": "model", "data-key": key,
    "aria-current": String(here), disabled: (here && !again) || value.coming, onClick: () => choose(key) },
  h("span", { class: "title" }, title), h("span", { class: "about" }, about),
  h("span", { class: "state" }, state)));
}

function draw() {
  name.textContent = value ? value.text : "The model is loading…";
  root.toggleAttribute("data-busy", !value || value.coming);
  if (!value) return;
  said.textContent = value.said;
  facts.replaceChildren(...value.facts.flatMap(([term, text]) => [h("dt", {}, term), h("dd", {}, text)]));
  notice.textContent = value.notice;
  hint.textContent = value.hint;
  heading.hidden = list.hidden = !value.entries.length;
  const focus = menu.contains(document.activeElement) && document.activeElement.dataset.key;
  list.replaceChildren(...value.entries.map(entry));
  if (focus) (list.querySelector(`[data-key="${CSS.escape(focus)}"]:enabled`) ?? menu).focus();
}

function look() {
  clearTimeout(timer);
  if (value && !document.hidden) trigger("look", { version: value.version });
  const soon = value?.coming;
  if (soon || value?.entries.length) timer = setTimeout(look, soon ? SOON : SELDOM);
}

/** Asks for what the page has to be for its model, with what was restored or placed just before. */
async function fit(had) {
  await window.fvdmPage?.allChanged();
  trigger("follow", had);
}

function receive() {
  if (!props.value) return draw();
  value = JSON.parse(JSON.stringify(props.value));
  draw();
  const { loads, window: frames, visit } = value;
  if (visit) fits = { loads: 0, ...visit };
  fits ??= { loads, window: frames }; // built anew
  // one that is there is fitted although another is on its way: that one is followed as the second
  if (fits.loads !== loads && (!value.coming || !fits.loads)) {
    const here = value.entries.some((entry) => entry.here && entry.key === mine); // or it was refused
    const welcome = Boolean(fits.welcome); // which is of the shipped model
    fit({ window: fits.window, resample: here || welcome, first: !fits.loads, welcome });
    fits = { loads, window: frames };
  }
  if (!value.coming) mine = null;
  clearTimeout(timer);
  if (value.coming || value.entries.length) timer = setTimeout(look, value.coming ? SOON : SELDOM);
}

window.fvdmModels?.abort(); // gradio may build the component anew
const closing = new AbortController();
window.fvdmModels = closing;
closing.signal.addEventListener("abort", () => clearTimeout(timer));
document.addEventListener("visibilitychange", () => document.hidden || look(), { signal: closing.signal });
watch("value", receive);
receive();
