/* What the page keeps and waits for: run with `node --test tests/js`. */

const test = require("node:test");
const assert = require("node:assert/strict");
const path = require("node:path");
const P = require(path.join(__dirname, "../../ui/page.js"));

function painting(frames, rows, level, windows = null) {
  const levels = Array.from({ length: rows }, (_, r) =>
    Array.from({ length: frames }, (_, f) => level(f, r)));
  return { version: 1, levels, windows, keyframes: [] };
}

const even = (f, r) => Math.max(0, 1000 - r - (f > 700 ? 7 : 0));
const uneven = (f, r) => Math.max(0, 1000 - 7 * ((f + r) % 100));

/** As image-to-video has them: of 16 frames, in every step the same. */
const windowed = (frames, rows) => Array.from({ length: rows - 1 }, () =>
  Array.from({ length: Math.ceil(frames / 8) }, (_, k) => {
    const seen = Array.from({ length: 16 }, (_, j) => Math.min(frames - 1, 8 * k + j));
    return { frames: seen, updates: seen.slice(4) };
  }));

for (const [frames, rows, level] of [[3, 4, even], [1024, 900, even], [4, 30_000, even], [300, 900, uneven]]) {
  test(`a painting of ${frames} × ${rows} comes back as it was`, () => {
    const editor = painting(frames, rows, level);
    const text = P.pack(editor, [1, null]);
    assert.deepEqual(P.unpack(JSON.parse(text)), { editor, settings: [1, null] });
    assert.ok(text.length <= JSON.stringify({ editor, settings: [1, null] }).length);
  });
}

test("windows of many steps are counted, and those that differ stay", () => {
  const editor = painting(1024, 100, even, windowed(1024, 100));
  editor.windows[50] = [{ frames: [0], updates: [0] }];
  const text = P.pack(editor, []);
  assert.ok(text.length < 300_000, String(text.length));
  assert.deepEqual(P.unpack(JSON.parse(text)).editor, editor);
});

test("what is too large for a browser is not kept in part", () => {
  assert.equal(P.pack(painting(1000, 990, uneven), []), null);
});

test("pictures come back without what gradio refuses a visit over", () => {
  const editor = painting(2, 2, even);
  const file = { path: "/a.png", url: "http://here/a.png", meta: { _type: "gradio.FileData" }, size: 3 };
  editor.keyframes = [{ frame: 0, fit: "crop", file }];
  const [back] = P.unpack(JSON.parse(P.pack(editor, []))).editor.keyframes;
  assert.deepEqual(back, { frame: 0, fit: "crop", file: { path: "/a.png", size: 3 } });
});

test("what a browser kept and is none is handed on", () => {
  for (const kept of [null, undefined, {}, { editor: 3 }, { editor: { levels: "x" } }]) {
    assert.equal(P.unpack(kept), kept);
  }
});

test("whoever waits for changes waits for all of them, and their followers", async () => {
  await P.allChanged(); // none: at once
  assert.deepEqual(P.changing(1, 2), [1, 2]);
  let done = false;
  const waited = P.allChanged().then(() => { done = true; });
  setTimeout(() => { P.changed(); P.changing(); }, 40); // one follows another
  setTimeout(() => { assert.ok(!done); P.changed(); }, 200);
  await waited;
  assert.ok(done);
  P.changed(); // one too many is none
  await P.allChanged();
});

test("pictures on their way are waited for, longer than a change, and not when they fail", async (t) => {
  let now = Date.now();
  t.mock.method(Date, "now", () => now);
  let arrive;
  let there = false;
  const picture = P.bringing(() => new Promise((resolve) => { arrive = resolve; }));
  const waited = P.allChanged().then(() => { there = true; });
  const soon = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
  await soon(50);
  now += 60_000;
  await soon(50);
  assert.ok(!there);
  P.changing(); // it is painted, which is a change
  arrive("a.png");
  assert.equal(await picture, "a.png");
  await soon(100);
  assert.ok(!there);
  P.changed();
  await waited;

  const lost = P.bringing(async () => { throw new Error("away"); });
  await assert.rejects(lost, /away/);
  await P.allChanged();
  P.bringing(() => new Promise((resolve) => { arrive = resolve; }));
  const given = P.allChanged();
  now += 600_000;
  await given; // though it has neither arrived nor failed
  arrive();
});

test("the page knows which place of a preset's slider was asked for last", () => {
  assert.deepEqual(P.tuning({ name: "ramp", params: { rise: 3 } }, "painting"), [{ name: "ramp", params: { rise: 3 } }, "painting"]);
  assert.deepEqual(P.tuned, { rise: 3 });
  P.changed();
});

test("of several that wait, the first goes first, whenever each came", async () => {
  P.changing();
  const order = [];
  let going = 0;
  const waiters = [0, 7, 33, 41, 58].map((after, k) => new Promise((done) => {
    setTimeout(async () => {
      await P.allChanged();
      order.push(k);
      assert.equal(going, 0); // nobody else's change is under way
      setTimeout(() => { going += 1; P.changing(); }, 20); // what was waited for, a little later
      setTimeout(() => { going -= 1; P.changed(); done(); }, 150);
    }, after);
  }));
  setTimeout(() => P.changed(), 90);
  await Promise.all(waiters);
  assert.deepEqual(order, [0, 1, 2, 3, 4]);
});

/** A page of these elements, whose storage is what `stored` gives. */
function pageOf(t, stored, elements = {}) {
  const classes = new Set();
  const toggle = (name, on = !classes.has(name)) => { classes[on ? "add" : "delete"](name); return on; };
  const given = { document: { value: { body: { classList: { toggle } }, addEventListener() {},
    getElementById: (id) => elements[id] ?? null } } };
  for (const name of ["localStorage", "sessionStorage"]) given[name] = { get: stored };
  for (const [name, property] of Object.entries(given)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { configurable: true, ...property });
    t.after(() => (before ? Object.defineProperty(globalThis, name, before) : delete globalThis[name]));
  }
  return classes;
}

test("a page without storage begins, and turns dark and light", (t) => {
  const classes = pageOf(t, () => { throw new Error("SecurityError"); });
  P.begin();
  P.toggleTheme();
  assert.ok(classes.has("dark"));
});

test("where a painting is to come back the page rests until it has come, and never for ever", (t) => {
  const inert = [];
  const desk = { toggleAttribute: (name, on) => inert.push(on), setAttribute() {} };
  const later = t.mock.method(globalThis, "setTimeout", () => 0);
  pageOf(t, () => ({ getItem: () => null }), { desk });
  P.begin(); // a first visit
  assert.deepEqual(inert, []);
  pageOf(t, () => ({ getItem: (key) => (key === "fvdm-painting" ? "{}" : null) }), { desk });
  P.begin();
  assert.deepEqual(inert, [true]);
  const [ends, after] = later.mock.calls.at(-1).arguments;
  assert.ok(after <= 20_000);
  ends();
  assert.deepEqual(inert, [true, false]);
  P.begin(); // it has come before the page began
  assert.deepEqual(inert, [true, false]);
});

test("what is typed while the server is away is kept, and no longer once all is kept", (t) => {
  const stored = new Map();
  pageOf(t, () => ({ getItem: (key) => stored.get(key) ?? null, setItem: (key, text) => stored.set(key, text) }));
  const listens = {};
  document.addEventListener = (name, listener) => { listens[name] = listener; };
  const box = (id, type, more) => ({ type, closest: (selector) => selector === `#${id}`,
    checkValidity: () => true, ...more });
  const settings = () => P.unpack(JSON.parse(stored.get("fvdm-painting"))).settings;
  P.begin();
  listens.input({ target: box("prompt", "textarea", { value: "waves" }) });
  listens.visibilitychange();
  assert.equal(stored.size, 0); // there is no painting yet
  P.keep(painting(3, 4, even), "", 7, 1.5, "ddim", 1, 8, false);
  listens.input({ target: box("prompt", "textarea", { value: "a cat" }) });
  listens.input({ target: box("guidance", "range", { value: "3", valueAsNumber: 3 }) });
  listens.input({ target: box("exact", "checkbox", { checked: true }) });
  listens.input({ target: box("label", "text", { value: "sk" }) }); // of a list; nothing is chosen
  listens.input({ target: box("seed", "number", { value: "", valueAsNumber: NaN }) }); // begun anew
  const outside = { value: "99", valueAsNumber: 99, checkValidity: () => false };
  listens.input({ target: box("fps", "number", outside) });
  assert.equal(settings()[0], "");
  listens.visibilitychange();
  assert.deepEqual(settings(), ["a cat", 7, 3, "ddim", 1, 8, true]);
  P.keep(painting(3, 4, even), "waves", 8, 1.5, "ddim", 1, 8, false);
  listens.visibilitychange();
  assert.deepEqual(settings(), ["waves", 8, 1.5, "ddim", 1, 8, false]);
});

test("what is typed into the prompt is not written over by what came back of it", () => {
  assert.equal(P.prompted("a", true), "a");
  assert.equal(P.prompted("a cat", true), "a cat");
  assert.equal(P.labelled("a", "a cat w"), "a cat w"); // the first word comes back late
  assert.equal(P.prompted("a cat w", true), "a cat w");
  assert.equal(P.labelled("a cat w", "a cat w"), "a cat w");
  assert.equal(P.labelled("waves", "a cat w"), "waves"); // of a run that was restored
  assert.equal(P.labelled("a", "waves"), "a"); // and of another, typed long ago
  assert.equal(P.labelled(null, "a"), "");
  assert.deepEqual(P.prompted("", false), { __type__: "update" }); // of a model with labels
});

test("the prompt of a run that is restored again is shown again", () => {
  const restored = (label, typed) => { // the box fires when it is given another text, too
    const shown = P.labelled(label, typed);
    if (shown !== typed) assert.equal(P.prompted(shown, true), label);
    return shown;
  };
  assert.equal(restored("waves", ""), "waves");
  assert.equal(restored("a cat", "waves"), "a cat");
  assert.equal(restored("waves", "a cat"), "waves");
  assert.equal(P.prompted("waves at", true), "waves at");
  assert.equal(P.labelled("waves at", "waves at night"), "waves at night"); // typing goes on
});

test("an answer about an older painting changes no box, and the painting is read once more", (t) => {
  global.document = { activeElement: { closest: () => null } };
  const reread = t.mock.fn(() => P.reading());
  global.fvdmEditor = { mark: "2", reread, ask() {} };
  t.after(() => { delete global.document; delete global.fvdmEditor; });
  const frames = (mark, count) => {
    const boxes = P.settle({ frames: count, steps: 3, formula: "", prior: "", mark }, 1, 3, "");
    P.changed();
    return boxes[0];
  };
  const unchanged = { __type__: "update" };
  P.reading();
  P.reading(); // of the new one, which is answered first
  assert.equal(frames("2", 5), 5);
  assert.deepEqual(frames("1", 16), unchanged);
  assert.equal(reread.mock.callCount(), 1);
  assert.equal(frames("2", 5), 5);
  P.reading();
  P.reading();
  global.fvdmEditor.mark = "3";
  assert.deepEqual(frames("2", 5), unchanged);
  assert.equal(reread.mock.callCount(), 1); // the other one is still under way
  assert.equal(frames("3", 6), 6);
  assert.equal(reread.mock.callCount(), 1);
  P.reading();
  global.fvdmEditor.mark = "4";
  assert.deepEqual(frames("3", 6), unchanged);
  assert.equal(reread.mock.callCount(), 2);
  assert.equal(frames("3", 6), 6); // once more would not help again
  assert.equal(reread.mock.callCount(), 2);
  P.reading();
  global.fvdmEditor.mark = null; // it is being painted
  assert.equal(frames("4", 7), 7);
});

test("a formula that is typed stays until the painting gets another one", (t) => {
  global.document = { activeElement: { closest: () => null } }; // on the button that was pressed
  t.after(() => { delete global.document; });
  const settled = (formula, typed) =>
    P.settle({ frames: 4, steps: 3, formula, prior: "independent" }, 4, 3, typed)[2];
  assert.equal(settled("", "t*t"), "t*t"); // before the page has settled for the first time
  assert.equal(settled("", "t*t"), "t*t");
  assert.equal(settled("t*t*t", "t*t"), "t*t*t");
  assert.equal(settled("t*t*t", "i"), "i");
  assert.equal(settled("", "i"), "");
});
