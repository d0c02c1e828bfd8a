/* Lines of text, each with a class for its kind. */
const root = element.querySelector(".piece");

function draw() {
  const lines = Array.isArray(props.value) ? props.value : [];
  root.replaceChildren(...lines.map(({ kind, text, mend, frames }) => {
    const line = document.createElement(kind === "mend" ? "button" : "p");
    line.className = `line ${kind}`;
    line.textContent = text;
    if (kind === "mend") {
      line.type = "button";
      line.addEventListener("click", () =>
        dispatchEvent(new CustomEvent("fvdm:mend", { detail: { what: mend, frames: [...frames] } })));
    }
    return line;
  }));
  root.setAttribute("aria-live", "polite");
}

watch("value", draw);
draw();
