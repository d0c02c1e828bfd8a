/* What the page itself keeps in the browser and waits for: gradio's events call it by name. It is in
   the head of the page, so that it is there before any of them. Its core knows no DOM (tests/js).

   A painting is kept as { editor, settings }: each row of levels as itself or as [level, count]
   runs, whichever is shorter, and of the steps' windows a number for as many steps as have the same
   again, as `Timeline.from_json` reads both. So what anybody paints by hand fits. */

const FvdmPage = (() => {
  const KEPT = "fvdm-painting";
  const MOST = 1_500_000; // characters; a browser keeps about 5 million of a page
  const PATIENCE = 10_000; // ms that a change is waited for
  const UPLOAD = 180_000; // ms that pictures on their way are waited for
  const LONGEST = 20_000; // ms that what was painted before is waited for
  const BEGINS = 100; // ms from an event to the script that counts it
  const UNCHANGED = { __type__: "update" };

  // ── The page begins ────────────────────────────────────────────────────────────────────────

  const THEME = "fvdm-theme";

  function begin() {
    let kept = null;
    try { kept = localStorage.getItem(THEME); } catch { /* no storage */ }
    if (kept) document.body.classList.toggle("dark", kept === "dark");
    const names = { dice: "Roll a new seed", theme: "Light or dark" };
    for (const [id, name] of Object.entries(names)) {
      const button = document.getElementById(id);
      button?.setAttribute("aria-label", name);
      button?.setAttribute("title", name);
    }
    document.getElementById("generate")?.setAttribute("title", "Ctrl+Enter");
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.repeat) return;
      event.preventDefault();
      if (!document.querySelector("#desk[inert]")) document.getElementById("generate")?.click();
    });
    document.addEventListener("input", ({ target }) => note(target));
    document.addEventListener("visibilitychange", keepTyped); // at a reload, too
    if (begun || !hasPainting()) return;
    rest(true); // what is shown is not what was painted, and would be replaced
    setTimeout(restored, LONGEST);
  }

  let begun = false; // what the visit begins with is on the page
  let arrive;
  const arrival = new Promise((resolve) => { arrive = resolve; });

  const rest = (on) => ["presets", "desk"].forEach((id) =>
    document.getElementById(id)?.toggleAttribute("inert", on));

  function hasPainting() {
    try {
      return Boolean(sessionStorage.getItem(KEPT) ?? localStorage.getItem(KEPT));
    } catch {
      return false; // no storage
    }
  }

  /** The painting of before has arrived, or there is none: the page is the person's. */
  function restored() {
    begun = true;
    rest(false);
    arrive();
  }

  /** Waits for what the visit begins with. */
  const arrived = () => arrival;

  function toggleTheme() {
    const dark = document.body.classList.toggle("dark");
    try {
      localStorage.setItem(THEME, dark ? "dark" : "light");
    } catch { /* no storage, or none left */ }
  }

  // ── A painting as text ─────────────────────────────────────────────────────────────────────

  function coded(row) {
    const runs = [];
    for (const level of row) {
      const last = runs.at(-1);
      if (last?.[0] === level) last[1] += 1; else runs.push([level, 1]);
    }
    return 3 * runs.length < row.length ? runs : row;
  }

  const decoded = (row) => (Array.isArray(row[0])
    ? row.flatMap(([level, count]) => Array(count).fill(level)) : row);

  /** Steps, of which those that say the same as the one before are only counted. */
  function counted(steps) {
    const out = [];
    let before = null;
    for (const step of steps) {
      const text = JSON.stringify(step);
      if (text !== before) out.push(step);
      else if (typeof out.at(-1) === "number") out[out.length - 1] += 1;
      else out.push(1);
      before = text;
    }
    return out;
  }

  const recounted = (steps) => steps.flatMap((step, k) =>
    (typeof step === "number" ? Array(step).fill(steps[k - 1]) : [step]));

  /** The painting and the settings as text, or null where a browser cannot keep as much. */
  function pack(editor, settings) {
    const { levels, windows } = editor;
    const small = { ...editor, levels: levels.map(coded), windows: windows && counted(windows) };
    const text = JSON.stringify({ editor: small, settings });
    return text.length > MOST ? null : text;
  }

  /** What `pack` was given. Gradio refuses the whole visit over one picture that lies elsewhere,
      after a move of the outputs say, if it is told that this is a file; untold, the picture alone
      is left out. */
  function unpack(kept) {
    if (!Array.isArray(kept?.editor?.levels)) return kept;
    const untold = ({ file: { meta, url, ...file }, ...keyframe }) => ({ ...keyframe, file });
    const editor = { ...kept.editor, levels: kept.editor.levels.map(decoded) };
    if (editor.windows) editor.windows = recounted(editor.windows);
    if (editor.keyframes) editor.keyframes = editor.keyframes.map(untold);
    return { ...kept, editor };
  }

  // ── What the browser keeps ─────────────────────────────────────────────────────────────────

  let tooLarge = false; // said already

  function keptText() {
    try {
      return sessionStorage.getItem(KEPT);
    } catch {
      return null; // no storage
    }
  }

  /** Keeps a painting for this tab; returns its text, or null where it is too large. */
  function keepHere(editor, settings) {
    const text = pack(editor, settings);
    if (text === null && !tooLarge) {
      window.fvdmEditor?.say("This timeline is too large for the browser to keep: a reload brings "
        + "back an earlier one. Export keeps it as a file.", true);
    }
    tooLarge = text === null;
    try {
      if (text !== null) sessionStorage.setItem(KEPT, text);
    } catch { /* no storage, or none left */ }
    return text;
  }

  /** The newest painting for the next visit, and each of the browser's tabs its own. */
  function keep(editor, ...settings) {
    typed.clear();
    const text = keepHere(editor, settings);
    return text === null ? UNCHANGED : JSON.parse(text);
  }

  /** Keeps a stroke at once: the server, which is told of it, may be away, and gradio then loads the
      page anew. */
  function painted(editor) {
    const settings = JSON.parse(keptText() ?? "null")?.settings ?? [];
    keepHere(editor, settings);
  }

  // Once gradio has noticed that the server is away it calls nothing, not even `keep`, and then loads
  // the page anew. So what is typed meanwhile is noted here: where its boxes lie among the settings.
  const BOXES = { prompt: 0, seed: 1, guidance: 2, eta: 4, fps: 5, exact: 6, "step-cache": 8,
    "temporal-scale": 10, "guidance-from": 11 };
  const typed = new Map(); // since the settings were kept: the place among them, and the value

  function note(box) {
    const id = Object.keys(BOXES).find((each) => box.closest?.(`#${each}`));
    if (!id) return;
    const number = ["number", "range"].includes(box.type);
    if (number && !(Number.isFinite(box.valueAsNumber) && box.checkValidity())) return; // half typed
    typed.set(BOXES[id], box.type === "checkbox" ? box.checked : number ? box.valueAsNumber : box.value);
  }

  function keepTyped() {
    const kept = typed.size ? JSON.parse(keptText() ?? "null") : null;
    if (!kept?.settings.length) return;
    for (const [place, value] of typed) kept.settings[place] = value;
    try {
      sessionStorage.setItem(KEPT, JSON.stringify(kept));
    } catch { /* none left */ }
  }

  const ofThisTab = (newest, session) => {
    const own = keptText();
    return [unpack(own ? JSON.parse(own) : newest), session];
  };

  // ── The boxes beside the painting ──────────────────────────────────────────────────────────

  /** What somebody is typing into stays: the answer was made of a painting from before. A formula
      that is not entered yet stays too, until the painting gets another one. */
  let said = ""; // the formula that the box was given last; at first it is empty
  let behind = false; // the last answer was of an older painting
  let reread = null; // the mark of the painting that was read once more, which would not help again

  function settle(panel, frames, steps, formula) {
    if (!panel) return Array(4).fill(UNCHANGED);
    const now = globalThis.fvdmEditor?.mark; // null while it is being painted
    behind = now != null && now !== panel.mark && now !== reread;
    if (behind) return Array(4).fill(UNCHANGED);
    const told = said;
    said = panel.formula;
    const typed = (id) => document.activeElement?.closest(id);
    return [
      typed("#frames") ? frames : panel.frames,
      { ...UNCHANGED, label: panel.steps_label, value: typed("#steps") ? steps : panel.steps },
      typed("#formula") || told === panel.formula ? formula : panel.formula,
      panel.prior,
    ];
  }

  // ── Changes under way ──────────────────────────────────────────────────────────────────────
  // A change of the painting, and of its boxes, is on its way from `changing` to `changed`. Whoever
  // wants the painting as it is after all of them waits first: for a moment without any, as one
  // change follows another; and not for ever, as an answer can be lost with its connection.

  let under = 0;
  const coming = new Set(); // pictures on their way, each with when it is no longer waited for

  /** Does `work`, at whose end the pictures that it brings are painted, and is waited for too. */
  async function bringing(work) {
    const own = { until: Date.now() + UPLOAD };
    coming.add(own);
    try {
      return await work();
    } finally {
      coming.delete(own);
    }
  }

  const isComing = () => [...coming].some(({ until }) => Date.now() < until);

  /** The boxes are brought in line with the painting, which stays. */
  function reading(...values) {
    under += 1;
    return values;
  }

  /** Of the painting; what is painted from now on is not in the answer, as the canvas is told. */
  function changing(...values) {
    globalThis.fvdmEditor?.ask(true);
    return reading(...values);
  }

  function changed() {
    under = Math.max(0, under - 1);
    if (!under && behind) { // of two readings at once the earlier was answered last: once more
      behind = false;
      reread = globalThis.fvdmEditor.mark;
      globalThis.fvdmEditor.reread();
    }
    setTimeout(() => { if (!under) globalThis.fvdmEditor?.ask(false); }, BEGINS);
  }

  const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
  let turn = Promise.resolve(); // of those that wait: in the order in which they came

  function allChanged() {
    const mine = turn.then(settled);
    turn = mine.then(() => pause(BEGINS)); // what it waited for is under way before the next looks
    return mine;
  }

  async function settled() {
    let until = Date.now() + PATIENCE;
    for (let rest = under || isComing() ? 3 : 0; rest > 0;) {
      await pause(20);
      if (isComing()) until = Date.now() + PATIENCE; // what is painted then is read once more
      else if (Date.now() > until) under = 0;
      rest = under || isComing() ? 3 : rest - 1;
    }
  }

  let tuned = null; // the parameters of the preset that were asked for last

  /** Of a preset's parameters, which move on while they are asked for. */
  function tuning(chosen, ...values) {
    tuned = chosen?.params;
    return changing(chosen, ...values);
  }

  /** Of what changes the painting whatever it was. */
  async function inPlace(...values) {
    await allChanged();
    return changing(...values);
  }

  // ── A prompt is a label ────────────────────────────────────────────────────────────────────

  // Two boxes have one value. What is typed into the prompt goes to the label and comes back as a
  // change of that, when more may have been typed: only what comes from elsewhere is written there.

  const sent = new Set();
  let last = null;

  /** The prompt has changed: what the label is now, where the box of the prompt is there at all. */
  function prompted(text, there) {
    if (!there) return UNCHANGED;
    sent.add(text);
    last = text;
    return text;
  }

  /** The label has changed: what the prompt is now, of which the box shows `typed`. */
  function labelled(label, typed) {
    const ours = sent.has(label ?? "");
    if (!ours || label === last) sent.clear(); // what was sent before has come back, or never will
    return ours ? typed : label ?? "";
  }

  return {
    begin, restored, arrived, toggleTheme, coded, counted, pack, unpack, keep, painted, ofThisTab,
    settle, bringing, reading, changing, changed, tuning, allChanged, inPlace,
    prompted, labelled,
    get tuned() { return tuned; },
  };
})();

if (typeof module === "object") module.exports = FvdmPage;
else window.fvdmPage = FvdmPage;
