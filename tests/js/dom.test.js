/* What the pieces of the page share, without a page: run with `node --test tests/js`. */

const test = require("node:test");
const assert = require("node:assert/strict");
const path = require("node:path");

const D = require(path.join(__dirname, "../../ui/timeline_editor/dom.js"));

test("Enter enters what was typed, unless it is Generate or ends the writing of a character", () => {
  assert.ok(D.isEnter({ key: "Enter", keyCode: 13 }));
  assert.ok(!D.isEnter({ key: "Enter", keyCode: 229 }));
  assert.ok(!D.isEnter({ key: "a" }));
  for (const other of ["ctrlKey", "metaKey", "isComposing"]) assert.ok(!D.isEnter({ key: "Enter", [other]: true }));
});
