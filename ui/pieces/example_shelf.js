/* Example pictures: drag one onto a slot, or click it. */
const root = element.querySelector(".piece");

function draw() {
  const examples = props.value?.examples ?? [];
  root.replaceChildren(...examples.map(({ name, file }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.draggable = true;
    button.title = `${name}: drag onto a slot, or click to use it`;
    const picture = document.createElement("img");
    picture.src = file.url;
    picture.alt = name;
    picture.draggable = false;
    button.append(picture);
    button.addEventListener("click", async () => {
      await window.fvdmPage?.allChanged(); // two in a row go to two frames
      trigger("choose", { name });
    });
    button.addEventListener("dragstart", (event) => {
      event.dataTransfer.setData("text/uri-list", new URL(file.url, location.href).href);
      event.dataTransfer.effectAllowed = "copy";
      event.dataTransfer.setDragImage(picture, 24, 24);
    });
    return button;
  }));
}

watch("value", draw);
draw();
