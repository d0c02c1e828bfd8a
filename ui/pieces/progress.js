/* How far a run is: a bar and a line of text. Screen readers are told when it begins and ends, and
   now and then between; the line itself changes several times a second. */
const TOLD_EVERY = 10000; // ms
const STAYS = 10000;
const root = element.querySelector(".piece");
const bar = document.createElement("div");
const text = document.createElement("p");
bar.className = "bar";
bar.append(document.createElement("i"));
bar.setAttribute("role", "progressbar");
bar.setAttribute("aria-label", "The run");
const told = document.createElement("span");
told.className = "visually-hidden";
told.setAttribute("role", "status");
root.append(text, bar, told);
let toldAt = 0;
let toldStatus = "";
let staying = 0;

function draw() {
  const { fraction = 0, text: words = "", status = "idle" } = props.value ?? {};
  const going = ["running", "queued"];
  if (going.includes(status)) delete root.dataset.ended;
  else if (going.includes(root.dataset.status)) stay();
  root.dataset.status = status;
  text.textContent = words;
  bar.setAttribute("aria-valuenow", String(Math.round(100 * Math.max(0, Math.min(1, fraction)))));
  if (status !== toldStatus || performance.now() - toldAt > TOLD_EVERY) {
    told.textContent = words;
    toldStatus = status;
    toldAt = performance.now();
  }
  bar.firstChild.style.width = `${Math.max(0, Math.min(1, fraction)) * 100}%`;
}

/** On a small screen the words lie over the page for a while after the end (studio.css). */
function stay() {
  root.dataset.ended = "";
  clearTimeout(staying);
  staying = setTimeout(() => { delete root.dataset.ended; }, STAYS);
}

root.addEventListener("click", () => {
  if ("ended" in root.dataset) document.getElementById("clip-view")?.scrollIntoView({ block: "center", behavior: "smooth" });
});

watch("value", draw);
draw();
