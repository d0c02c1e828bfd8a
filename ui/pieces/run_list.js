/* The session's runs: the one that goes on, those that wait, in order, and those that are over, the
   newest first. */
const { h, icon } = FvdmDom;
const root = element.querySelector(".piece");
const DRAG = "application/x-fvdm-run"; // so that a run is dropped on runs only
const rows = new Map(); // job → its row
const closing = new AbortController(); // ends what listens outside the component
window.fvdmRuns?.abort(); // the one before, where the component is mounted again
window.fvdmRuns = closing;
let value = { runs: [] };
let editing = null; // the run whose painting was put on the canvas to be changed
let dragged = null;

const heading = h("h2", {}, "Runs");
const list = h("ol", { "aria-label": "Runs of this visit: as they come, then as they ended, newest first" });
const said = h("p", { class: "said", "aria-live": "polite" });
const older = h("p", { class: "older" }, "Older runs are under History.");
root.append(heading, list, older, said);
root.hidden = true;

const goesOn = (status) => status === "queued" || status === "running";
const waiting = () => value.runs.filter((run) => run.status === "queued");
const placeOf = (job) => waiting().findIndex((run) => run.job === job);

function state(run) {
  if (run.status === "queued") return run.ahead ? `${run.ahead} before it` : "starts now";
  if (run.status === "running" && run.stopping) return "stopping…";
  if (run.status === "running") return `step ${run.step} of ${run.steps}`;
  if (run.status === "done") return "done";
  return run.message;
}

function act(action, job, place = 0) {
  trigger("act", { action, job, place });
}

function move(job, place) {
  const last = waiting().length - 1;
  const now = placeOf(job);
  const next = Math.max(0, Math.min(last, place));
  if (now < 0 || next === now) return;
  act("move", job, next);
  said.textContent = `Moved to place ${next + 1} of ${last + 1}.`;
}

// ── A row ──────────────────────────────────────────────────────────────────────────────────────

function makeRow(job) {
  const row = { job, node: null, parts: {}, buttons: {}, picture: "" };
  const { parts, buttons } = row;
  const button = (name, sign, words, onClick) => {
    buttons[name] = h("button", { type: "button", class: `do do-${name}`, title: words,
      "data-testid": `run-${name}`, onClick }, sign);
    return buttons[name];
  };
  parts.thumb = h("span", { class: "thumb" });
  parts.title = h("span", { class: "title" });
  parts.settings = h("span", { class: "settings" });
  parts.show = h("button", { type: "button", class: "show", "data-testid": "run-show",
    onClick: () => {
      dispatchEvent(new CustomEvent("fvdm:show-run", { detail: { job } }));
      act("show", job);
    }, onKeydown: (event) => {
      const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (by && event.altKey) move(job, placeOf(job) + by);
      else if (event.key === "Delete") act("remove", job);
      else return;
      event.preventDefault();
    } }, parts.thumb, h("span", { class: "words" }, parts.title, parts.settings));
  parts.state = h("span", { class: "state" });
  parts.actions = h("span", { class: "actions" },
    button("up", icon("up"), "Earlier", () => move(job, placeOf(job) - 1)),
    button("down", icon("down"), "Later", () => move(job, placeOf(job) + 1)),
    button("edit", icon("brush"), "", () => edit(job)),
    button("compare", icon("compare"), "",
      () => dispatchEvent(new CustomEvent("fvdm:compare", { detail: { job } }))),
    button("clone", icon("copy"), "Queue it once more", () => act("clone", job)),
    button("remove", icon("close"), "", () => act("remove", job)));
  parts.changing = h("span", { class: "changing" }, h("span", {}, "On the canvas"),
    button("update", "Update", "Put the canvas and settings in the place of this queued run",
      () => renew(job)),
    button("keep", "Keep", "Leave this queued run as it is", () => { editing = null; draw(); }));
  row.node = h("li", { class: "run", "data-testid": "run",
    onDragstart: (event) => {
      dragged = job;
      event.dataTransfer.setData(DRAG, job);
      event.dataTransfer.effectAllowed = "move";
    },
    onDragend: () => { dragged = null; row.node.classList.remove("over"); },
    onDragover: (event) => {
      if (!dragged || dragged === job || placeOf(job) < 0) return;
      event.preventDefault();
      row.node.classList.add("over");
    },
    onDragleave: () => row.node.classList.remove("over"),
    onDrop: (event) => {
      row.node.classList.remove("over");
      if (!dragged || placeOf(job) < 0) return;
      event.preventDefault();
      event.stopPropagation(); // the canvas takes drops of pictures anywhere
      move(dragged, placeOf(job));
    } }, parts.show, h("div", { class: "line" }, parts.state, parts.changing, parts.actions));
  return row;
}

const edit = (job) => trigger("take_up", { job });

/** With what was asked for just before, such as a preset that is on its way. */
async function renew(job) {
  await window.fvdmPage?.allChanged();
  trigger("renew", { job });
}

function fill(row, run) {
  const { node, parts, buttons } = row;
  const place = placeOf(run.job);
  const queued = place >= 0;
  const running = run.status === "running";
  const changing = editing === run.job;
  node.dataset.job = run.job;
  node.dataset.status = run.status;
  node.classList.toggle("shown", run.job === value.shown);
  node.draggable = queued && !changing;
  node.style.setProperty("--fraction", String(run.step / Math.max(1, run.steps)));
  if (run.levels !== row.picture) {
    parts.thumb.replaceChildren(matrixPicture(JSON.parse(run.levels)));
    row.picture = run.levels;
  }
  parts.title.textContent = run.title;
  parts.settings.textContent = run.settings;
  parts.state.textContent = changing ? "" : state(run);
  parts.show.title = `${run.title}: ${run.settings}. ${run.details}. Click to watch it.`;
  parts.show.setAttribute("aria-current", String(run.job === value.shown));
  parts.changing.hidden = !changing;
  buttons.up.hidden = buttons.down.hidden = !queued || waiting().length < 2;
  buttons.up.disabled = place === 0;
  buttons.down.disabled = place === waiting().length - 1;
  buttons.compare.hidden = queued;
  parts.actions.hidden = changing;
  const name = (button, words) => {
    button.title = words;
    button.setAttribute("aria-label", `${words}: ${run.title}`);
  };
  name(buttons.up, "Earlier");
  name(buttons.down, "Later");
  name(buttons.compare, "Compare the canvas with it");
  name(buttons.clone, "Queue it once more");
  name(buttons.edit, queued ? "Change it on the canvas" : "Put it on the canvas");
  name(buttons.remove, running ? "Stop it" : queued ? "Remove it" : "Take it off the list");
}

// ── The list ───────────────────────────────────────────────────────────────────────────────────

function draw() {
  const focus = document.activeElement;
  const at = [...list.children].findIndex((node) => node.contains(focus));
  if (placeOf(editing) < 0) editing = null; // it has begun, or is gone
  const jobs = new Set(value.runs.map((run) => run.job));
  for (const [job, row] of rows) {
    if (jobs.has(job)) continue;
    row.node.remove();
    rows.delete(job);
  }
  const ended = value.runs.filter(({ status }) => !goesOn(status));
  const inOrder = [...value.runs.filter(({ status }) => goesOn(status)), ...ended.reverse()];
  inOrder.forEach((run, place) => {
    if (!rows.has(run.job)) rows.set(run.job, makeRow(run.job));
    const row = rows.get(run.job);
    fill(row, run);
    if (list.children[place] !== row.node) list.insertBefore(row.node, list.children[place] ?? null);
  });
  if (list.contains(focus) && document.activeElement !== focus) { // a moved element loses it
    (focus.disabled ? focus.closest(".run").querySelector(".show") : focus).focus();
  } else if (at >= 0 && !focus.isConnected) { // its row is gone: the one in its place, or the last
    [...list.querySelectorAll(".show")].slice(0, at + 1).at(-1)?.focus();
  }
  root.hidden = !value.runs.length;
  older.hidden = !value.full;
  dispatchEvent(new CustomEvent("fvdm:runs", { detail: { runs: value.runs, shown: value.shown } }));
}

function receive() {
  if (!props.value) return;
  const going = new Set(value.runs.filter(({ status }) => goesOn(status)).map(({ job }) => job));
  value = JSON.parse(JSON.stringify(props.value));
  if (value.runs.some(({ job, status }) => going.has(job) && !goesOn(status))) trigger("ended");
  if (value.taken) editing = value.taken; // its painting is on the canvas now
  if (value.renewed && value.renewed === editing) editing = null;
  draw();
  if (!value.followed) trigger("follow");
}

const outside = { signal: closing.signal };
addEventListener("fvdm:follow", () => trigger("follow"), outside); // another part queued a run
watch("value", receive);
receive();
