/* Below the formula box: a picture of what the formula gives, or what is wrong with it, and a list
   of what may be written. Runs after colours.js of the editor, whose colours the picture shares. */
const root = element.querySelector(".piece");
const plain = (value) => (value ? JSON.parse(JSON.stringify(value)) : {});

function h(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

const canvas = h("canvas", "preview");
canvas.setAttribute("role", "img");
canvas.setAttribute("aria-label", "What the formula gives: frames from left to right, steps from top to bottom");
const words = h("p", "line");
words.setAttribute("role", "status");
const { variables = [], functions = [] } = plain(props.names);
const list = h("dl", "", ...variables.flatMap(([name, what]) => [h("dt", "", name), h("dd", "", what)]),
  h("dt", "", "+ − * / ** ( ) < <= > >= == !="), h("dd", "", "arithmetic and comparisons, which give 1 or 0"),
  h("dt", "", functions.join(" ")), h("dd", "", "functions; where(condition, yes, no), clip(value, low, high)"));
const help = h("details", "", h("summary", "", "What may I write?"), list);
root.replaceChildren(canvas, words, help);

function draw() {
  const { text = "", wrong = false, levels = null } = plain(props.value);
  words.textContent = text;
  words.className = `line ${wrong ? "wrong" : "right"}`;
  canvas.hidden = !levels;
  if (!levels) return;
  canvas.width = levels[0].length;
  canvas.height = levels.length;
  const image = new ImageData(canvas.width, canvas.height);
  FvdmColours.paintPixels(Uint16Array.from(levels.flat()), image.data);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

watch("value", draw);
draw();
