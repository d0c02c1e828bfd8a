/* How far a run is: a bar and a line of text. */
const root = element.querySelector(".piece");
const bar = document.createElement("div");
const text = document.createElement("p");
bar.className = "bar";
bar.append(document.createElement("i"));
text.setAttribute("role", "status");
root.append(text, bar);

function draw() {
  const { fraction = 0, text: words = "", status = "idle" } = props.value ?? {};
  root.dataset.status = status;
  text.textContent = words;
  bar.firstChild.style.width = `${Math.max(0, Math.min(1, fraction)) * 100}%`;
}

watch("value", draw);
draw();
