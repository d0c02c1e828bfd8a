/* Lines of text, each with a class for its kind; one may say how many steps are `known`. */
const root = element.querySelector(".piece");

function draw() {
  const lines = Array.isArray(props.value) ? props.value : [];
  const mending = root.contains(document.activeElement); // the button goes with what it mended
  root.replaceChildren(...lines.map(({ kind, text, mend, frames }) => {
    const line = document.createElement(kind === "mend" ? "button" : "p");
    line.className = `line ${kind}`;
    line.textContent = text;
    if (kind === "mend") {
      line.type = "button";
      line.tabIndex = 0; // else Safari does not focus it where it is pressed
      line.addEventListener("click", () =>
        dispatchEvent(new CustomEvent("fvdm:mend", { detail: { what: mend, frames: [...frames] } })));
    }
    return line;
  }));
  const steps = lines.find(({ known }) => known !== undefined)?.known ?? 0;
  dispatchEvent(new CustomEvent("fvdm:known", { detail: { steps } }));
  root.setAttribute("aria-live", "polite");
  if (mending) (root.querySelector("button") ?? document.querySelector("#editor canvas"))?.focus({ preventScroll: true });
}

watch("value", draw);
draw();
