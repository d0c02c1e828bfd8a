/* The finished clip, looping, with links to its files. */
const root = element.querySelector(".piece");
let shown = null;

function link(file, label, name, title) {
  const anchor = document.createElement("a");
  anchor.href = file.url;
  anchor.download = name;
  anchor.textContent = label;
  anchor.title = title;
  anchor.id = `download-${label.toLowerCase()}`;
  return anchor;
}

function draw() {
  const clip = props.value;
  const url = clip?.video?.url ?? null;
  if ((url === shown || !url) && root.childElementCount) return; // during a run the last one stays
  shown = url;
  if (!url) {
    const empty = document.createElement("div");
    empty.className = "empty";
    empty.textContent = "Your clip will play here.";
    root.replaceChildren(empty);
    return;
  }
  const video = document.createElement("video");
  Object.assign(video, {
    src: url, loop: true, autoplay: true, muted: true, playsInline: true, id: "clip",
  });
  video.setAttribute("aria-label", "The generated clip");
  video.title = "Click to pause or play";
  video.addEventListener("click", () => (video.paused ? video.play() : video.pause()));
  const bar = document.createElement("div");
  bar.className = "bar";
  const caption = document.createElement("span");
  caption.textContent = clip.caption;
  bar.append(
    caption,
    link(clip.video, "MP4", "clip.mp4", "Download the clip as H.264 video"),
    link(clip.gif, "GIF", "clip.gif", "Download the clip as an animated GIF"),
    link(clip.recipe, "Recipe", "recipe.json", "Download what repeats this clip exactly"),
  );
  root.replaceChildren(video, bar);
}

watch("value", draw);
draw();
