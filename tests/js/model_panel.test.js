/* What the header's model panel asks for as models come: the page to be fitted to which. */
const test = require("node:test");
const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");

const SCRIPT = fs.readFileSync(path.join(__dirname, "../../ui/pieces/model_panel.js"), "utf8");

/** The panel of a page whose changes are through when `settle` is called, and what it asks for. */
function panel(t) {
  const node = new Proxy({ dataset: {} }, {
    get: (of, name) => (name in of ? of[name] : () => node),
    set: () => true,
  });
  const asked = [];
  const props = { value: null };
  let receive;
  let settle;
  const settled = new Promise((resolve) => { settle = resolve; });
  t.mock.method(globalThis, "setTimeout", () => 0);
  const given = {
    element: node, props, FvdmDom: { h: () => node, placeMenu() {} },
    document: { activeElement: node, addEventListener() {} },
    trigger: (event, data) => { if (event === "follow") asked.push(data); },
    watch: (name, listener) => { receive = listener; },
    window: { fvdmPage: { allChanged: () => settled } },
  };
  new Function(...Object.keys(given), SCRIPT)(...Object.values(given));
  const tell = async (value) => {
    props.value = { facts: [], entries: [], coming: false, window: 16, ...value };
    receive();
    await new Promise(setImmediate);
  };
  return { asked, tell, settle };
}

const visit = { window: 16, welcome: false };

test("a visit is fitted to the model that is there, also while another is coming", async (t) => {
  const { asked, tell, settle } = panel(t);
  settle();
  await tell({ loads: 1, coming: true, visit });
  assert.deepEqual(asked.splice(0), [{ window: 16, resample: false, first: true, welcome: false }]);
  await tell({ loads: 1, coming: true });
  assert.deepEqual(asked, []);
  await tell({ loads: 2, window: 8 });
  assert.deepEqual(asked, [{ window: 16, resample: false, first: false, welcome: false }]);
});

test("there is nothing to fit while the first model is on its way", async (t) => {
  const { asked, tell, settle } = panel(t);
  settle();
  await tell({ loads: 0, coming: true, visit });
  assert.deepEqual(asked, []);
  await tell({ loads: 1 });
  assert.equal(asked.length, 1);
  assert.ok(asked[0].first);
});

test("a page that has gone over to a model waits until the next one is there", async (t) => {
  const { asked, tell, settle } = panel(t);
  settle();
  await tell({ loads: 1 }); // the component is built anew
  await tell({ loads: 2, coming: true });
  assert.deepEqual(asked, []);
  await tell({ loads: 2 });
  assert.equal(asked.length, 1);
});

test("fitting waits for the changes that are under way", async (t) => {
  const { asked, tell, settle } = panel(t);
  await tell({ loads: 1, visit });
  assert.deepEqual(asked, []);
  settle();
  await new Promise(setImmediate);
  assert.equal(asked.length, 1);
});
