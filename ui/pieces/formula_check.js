/* Below the formula box: a picture of what the formula gives, or what is wrong with it, and a list
   of what may be written. Runs after dom.js of the editor and matrix.js. */
const { h } = FvdmDom;
const root = element.querySelector(".piece");
const plain = (value) => (value ? JSON.parse(JSON.stringify(value)) : {});

const canvas = h("canvas", { class: "preview", role: "img",
  "aria-label": "What the formula gives: frames from left to right, steps from top to bottom" });
const words = h("p", { class: "line", role: "status" });
const { variables = [], functions = [] } = plain(props.names);
const known = [
  ...variables,
  ["+ − * / ** ( ) < <= > >= == !=", "arithmetic and comparisons, which give 1 or 0"],
  [functions.join(" "), "functions; where(condition, yes, no), clip(value, low, high)"],
];
const list = h("dl", {}, ...known.flatMap(([name, what]) => [h("dt", {}, name), h("dd", {}, what)]));
root.replaceChildren(canvas, words, h("details", {}, h("summary", {}, "What may I write?"), list));

function draw() {
  const { text = "", wrong = false, levels = null } = plain(props.value);
  words.textContent = text;
  words.className = `line ${wrong ? "wrong" : "right"}`;
  canvas.hidden = !levels;
  if (levels) paintMatrix(canvas, levels);
}

watch("value", draw);
draw();
