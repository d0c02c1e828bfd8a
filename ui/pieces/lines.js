/* Lines of text, each with a class for its kind. */
const root = element.querySelector(".piece");

function draw() {
  const lines = Array.isArray(props.value) ? props.value : [];
  root.replaceChildren(...lines.map(({ kind, text }) => {
    const line = document.createElement("p");
    line.className = `line ${kind}`;
    line.textContent = text;
    return line;
  }));
  root.setAttribute("aria-live", "polite");
}

watch("value", draw);
draw();
