/* The finished clip, looping, with links to its files and ways to go on from it. */
const { h } = FvdmDom;
const root = element.querySelector(".piece");
let shown = null;
const closing = new AbortController(); // ends what listens outside the component
window.fvdmClipView?.abort(); // the one before, where the component is mounted again
window.fvdmClipView = closing;
const before = h("p", { class: "before", role: "status" }, "The clip before, until the next one is done.");
before.hidden = true;
addEventListener("fvdm:runs", ({ detail: { runs, shown: job } }) => {
  const run = runs.find((each) => each.job === job);
  before.hidden = !["queued", "running"].includes(run?.status);
}, { signal: closing.signal });

function draw() {
  const clip = props.value ? JSON.parse(JSON.stringify(props.value)) : null;
  const url = clip?.video?.url ?? null;
  if ((url === shown || !url) && root.childElementCount) return; // during a run the last one stays
  shown = url;
  if (!url) {
    root.replaceChildren(h("div", { class: "empty" }, "Your clip will play here."));
    return;
  }
  const base = `${window.gradio_config?.root ?? ""}/${clip.address}`;
  const video = h("video", {
    src: url, loop: true, playsinline: true, id: "clip", tabindex: 0,
    autoplay: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    "aria-label": "The generated clip", title: "Click or Space to pause or play; arrow keys go frame by frame",
    onClick: () => turn(),
  });
  video.muted = true;
  // Firefox has no H.264 on some systems: there the server's WebM plays.
  video.addEventListener("error", () => { video.src = `${base}/clip.webm`; }, { once: true });
  const turn = () => (video.paused ? video.play() : video.pause());
  const frameNow = () =>
    Math.min(clip.frames - 1, Math.max(0, Math.floor(video.currentTime * clip.fps + 1e-3)));
  video.addEventListener("keydown", (event) => {
    if (event.key === " ") {
      event.preventDefault();
      return turn();
    }
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    video.pause();
    video.currentTime = ((frameNow() + step + clip.frames) % clip.frames + 0.5) / clip.fps;
  });

  /** A loop's last frame is its first: only one of them is shown. */
  function wrap() {
    if (!video.isConnected) return;
    const over = video.currentTime >= (clip.frames - 1) / clip.fps;
    if (over && !video.paused && !video.seeking) video.currentTime = 0;
    requestAnimationFrame(wrap);
  }

  const link = (text, file, name, title, id) =>
    h("a", { href: `${base}/${file}`, download: name, title, id }, text);
  const act = async (event, details) => {
    await window.fvdmPage?.allChanged(); // the canvas as it will be
    const sent = { job: clip.job, ...details };
    if (event === "continue") trigger("continue_clip", sent);
    else if (event === "extend") trigger("extend_clip", sent);
    else trigger("use_frame", sent);
    document.getElementById("editor")?.scrollIntoView({ block: "nearest", behavior: "smooth" });
  };
  const on = FvdmClipMenus.goOn(clip, act);
  const more = FvdmClipMenus.save(clip, base, link, frameNow);
  const goOn = h("button", { type: "button", id: "continue-clip",
    title: "The last frames of this clip begin the next one", onClick: () => on.go(goOn) }, "Continue");
  const use = h("button", { type: "button", id: "use-frame", draggable: "true",
    title: "Put the frame now shown on a slot; or drag it to one",
    onClick: () => { video.pause(); act("frame", { frame: frameNow() }); },
    onDragstart: (event) => {
      const picture = new URL(`${base}/frame/${frameNow()}.png`, location.href).href;
      event.dataTransfer.setData("text/uri-list", picture);
      event.dataTransfer.effectAllowed = "copy";
    } }, "Use this frame");

  const mp4 = link("MP4", "clip.mp4", `${clip.name}.mp4`, "Download the clip as H.264 video", "download-mp4");
  const gif = link("GIF", "clip.gif", `${clip.name}.gif`, "Download the clip as an animated GIF", "download-gif");
  more.fps.addEventListener("change", () => {
    const rate = more.rate();
    if (rate === null) return;
    video.playbackRate = Math.min(16, Math.max(0.0625, rate / clip.fps));
    for (const [anchor, file] of [[mp4, "clip.mp4"], [gif, "clip.gif"], [more.webm, "clip.webm"]]) {
      anchor.href = `${base}/${file}?fps=${rate}`;
    }
  });
  root.replaceChildren(
    video, before,
    h("div", { class: "bar acts" }, goOn,
      FvdmClipMenus.opener("▾", "continue-more", "How far back to begin, or a longer clip", on.menu, on.fit), use),
    h("div", { class: "bar" }, mp4, gif,
      link("PNG zip", "frames.zip", `${clip.name}.zip`, "Download every frame as PNG, with pictures, recipe and program", "download-png"),
      link("Recipe", "recipe.json", `${clip.name}.json`, "Download what repeats this clip exactly", "download-recipe"),
      FvdmClipMenus.opener("More", "save-more", "Other speeds and kinds of files", more.menu)),
    ...[FvdmDom.figures(clip)].filter(Boolean),
    on.menu, more.menu,
  );
  if (clip.loops) requestAnimationFrame(wrap);
  window.fvdmClip = { job: clip.job };
  dispatchEvent(new CustomEvent("fvdm:clip", { detail: { job: clip.job } }));
}

watch("value", draw);
draw();
