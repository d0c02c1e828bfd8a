/* The runs of this session, newest first: open, restore, delete; and files dropped to be restored. */
const { h } = FvdmDom;
const TILE = 72; // pixels, as the thumbnails are made
const PAGE = 40; // runs more with each "more"
const SURE_MS = 4000; // in which a second click deletes
const ACCEPTED = ".json,.mp4,.webm,.gif,.png";

window.fvdmHistory?.close(); // the one before, where the component is mounted again
const closing = new AbortController();
const { signal } = closing;
window.fvdmHistory = { close: () => closing.abort() };

const root = element.querySelector(".piece");
let chosen = window.fvdmClip?.job ?? null;
let pinned = false; // the person chose it here
let sure = null; // the timer of a deletion that was clicked once

const chooser = h("input", { type: "file", accept: ACCEPTED, hidden: true, id: "restore-file",
  onChange: () => { if (chooser.files.length) restoreFile(chooser.files[0]); } });
const open = h("button", { type: "button", id: "restore-open",
  title: "A recipe, or an MP4, WebM, GIF or PNG made here; or drop it on the page",
  onClick: () => chooser.click() }, "Restore a file…");
const noSeed = h("input", { type: "checkbox", id: "restore-no-seed" });
const status = h("span", { class: "status", role: "status" });
const strip = h("div", { class: "runs", role: "group", "aria-label": "Runs, newest first" });
const detail = h("div", { class: "detail" });
root.replaceChildren(
  h("div", { class: "head" }, h("h2", {}, "History"), open,
    h("label", {}, noSeed, "all but the seed"), status, chooser),
  strip, detail,
);

const runs = () => props.value?.runs ?? [];
const addressOf = (run, file) => `${window.gradio_config?.root ?? ""}/${run.address}/${file}`;

function thumbnail(run) {
  const when = run.made ? new Date(1000 * run.made).toLocaleString() : "";
  const button = h("button", { type: "button", class: "run", "data-job": run.job,
    "aria-label": `${run.name}, ${when}${run.stopped ? ", stopped early" : ""}. ${run.says}`, title: [run.name, when, run.says].filter(Boolean).join("\n"),
    onClick: () => {
      pinned = true;
      choose(run.job);
      trigger("open_run", { job: run.job });
    } });
  if (!run.thumb) {
    button.append(h("span", {}, run.name));
    return button;
  }
  const picture = h("img", { alt: "", loading: "lazy", decoding: "async", draggable: "false", src: addressOf(run, "thumb.jpg") });
  const tiles = () => Math.max(1, Math.round(picture.naturalWidth / TILE));
  const show = (tile) => { picture.style.transform = `translateX(${(-100 * tile) / tiles()}%)`; };
  const rest = () => show(Math.floor(tiles() / 2));
  picture.addEventListener("load", rest);
  button.addEventListener("pointermove", (event) => {
    const box = button.getBoundingClientRect();
    show(Math.min(tiles() - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * tiles()))));
  });
  button.addEventListener("pointerleave", rest);
  button.append(picture);
  if (run.stopped) button.append(h("span", { class: "badge", "aria-hidden": "true" }, "stopped"));
  return button;
}

/** Does what builds elements anew, and leaves the focus on what has taken the place of its. */
function keepingFocus(build) {
  const { id, dataset } = document.activeElement ?? {};
  const inside = root.contains(document.activeElement);
  const place = [...strip.children].indexOf(document.activeElement);
  build();
  if (!inside || root.contains(document.activeElement)) return;
  const same = id ? document.getElementById(id) : strip.querySelector(`[data-job="${CSS.escape(dataset.job ?? "")}"]`);
  (same ?? strip.children[place] ?? strip.querySelector(".run") ?? open).focus({ preventScroll: true });
}

const draw = () => keepingFocus(() => {
  const kept = new Map([...strip.children].map((node) => [node.dataset.job, node]));
  const nodes = runs().map((run) => kept.get(run.job) ?? thumbnail(run));
  const total = props.value?.total ?? 0;
  if (total > nodes.length) {
    nodes.push(h("button", { type: "button", class: "run more",
      onClick: () => trigger("more_runs", { count: runs().length + PAGE }) }, `${total - nodes.length} more`));
  }
  strip.replaceChildren(...nodes);
  strip.hidden = !nodes.length;
  status.textContent = nodes.length ? "" : "What you generate is kept here.";
  choose(chosen);
});

const choose = (job) => keepingFocus(() => {
  chosen = job;
  clearTimeout(sure);
  sure = null;
  for (const node of strip.children) node.setAttribute("aria-pressed", String(node.dataset.job === job));
  const run = runs().find((other) => other.job === job);
  if (!run) return detail.replaceChildren();
  const restore = h("button", { type: "button", id: "restore-run",
    title: "Bring timeline, pictures and settings of this run back onto the page",
    onClick: () => {
      trigger("restore_run", { job, seed: !noSeed.checked });
      document.getElementById("editor")?.scrollIntoView({ block: "nearest", behavior: "smooth" });
    } }, "Restore");
  const remove = h("button", { type: "button", id: "remove-run", title: "Delete this run's files",
    onClick: () => {
      if (sure) {
        chosen = null;
        trigger("remove_run", { job });
        return;
      }
      remove.textContent = "Delete for good?";
      sure = setTimeout(() => choose(chosen), SURE_MS);
    } }, "Delete");
  const compare = h("button", { type: "button", id: "compare-run",
    title: "See this run beside what is on the canvas",
    onClick: () => dispatchEvent(new CustomEvent("fvdm:compare", { detail: { job, title: run.name } })) }, "Compare");
  detail.replaceChildren(restore, compare, remove,
    h("span", {}, `${run.name}${run.stopped ? ", stopped early" : ""}. ${run.says}`));
});

/** The run of the clip that is shown now is chosen too; but not in place of one that the person
    chose here, nor under a pointer or key that is about to press one of the buttons. */
function follow(job) {
  const there = runs().some((run) => run.job === chosen);
  if (there && (pinned || sure || detail.matches(":hover, :focus-within"))) return;
  pinned = false;
  choose(job);
}

// ── Files that carry a recipe ────────────────────────────────────────────────────────────────

async function restoreFile(file) {
  chooser.value = "";
  let start = "";
  try {
    start = await file.slice(0, 300).text();
  } catch {
    status.textContent = `${file.name} cannot be read: drop a file, not a folder.`;
    return;
  }
  if (start.includes('"levels"') && !start.includes("fvdm-studio-recipe")) {
    return dispatchEvent(new CustomEvent("fvdm:timeline-file", { detail: { file } })); // no recipe
  }
  status.textContent = `Reading ${file.name}…`;
  try {
    const { path } = await upload(file);
    status.textContent = "";
    trigger("restore_file", { path, seed: !noSeed.checked });
  } catch (error) {
    status.textContent = `${file.name} could not be sent: ${error?.message ?? error}`;
  }
}

/** Whether a drag brings files to a place where nobody else takes them. */
const ours = (event) => !event.defaultPrevented && event.dataTransfer?.types.includes("Files");

document.addEventListener("dragover", (event) => {
  root.classList.toggle("dropping", Boolean(ours(event)));
  if (!ours(event)) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "copy";
}, { signal });
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) root.classList.remove("dropping");
}, { signal });
document.addEventListener("drop", (event) => {
  root.classList.remove("dropping");
  if (!ours(event)) return;
  event.preventDefault();
  if (event.dataTransfer.files.length) restoreFile(event.dataTransfer.files[0]);
}, { signal });

addEventListener("fvdm:recipe-file", ({ detail: { file } }) => restoreFile(file), { signal });
/** The person shows a run elsewhere: it is chosen here too; its clip, which may be on the page
    already, tells nothing then. One that is not kept yet is chosen when its clip comes. */
function unpin(job) {
  pinned = false;
  if (runs().some((run) => run.job === job)) choose(job);
}

addEventListener("fvdm:open-run", ({ detail: { job } }) => {
  unpin(job);
  trigger("open_run", { job });
}, { signal });
addEventListener("fvdm:show-run", ({ detail: { job } }) => unpin(job), { signal });
addEventListener("fvdm:clip", ({ detail: { job } }) => follow(job), { signal });
watch("value", draw);
draw();
