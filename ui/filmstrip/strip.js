/* The live strip: shows the tiles of the newest sheet under the editor's columns, keeps the sheets
   of a run by step, and goes back to any of them when the person scrubs. */

const FvdmStrip = (() => {
  const C = FvdmCore;
  const DECODED = 32; // sheets kept as pixels
  const LEAST_COLUMN = 26;

  const VIEWS = [["clean", "Predicted", "What the model expects every frame to become"],
    ["noisy", "Noisy", "Every frame as it is at this step, with its noise"]];

  function mount({ element, props, watch, trigger }) {
    const { h } = FvdmDom;
    window.fvdmStrip?.close(); // the one before, where the component is mounted again
    const closing = new AbortController();
    const { signal } = closing;
    const root = element.querySelector(".fvdm-strip");
    const reel = new FvdmReel.Reel();
    const decoded = new Map(); // sheet → image, oldest first
    let resting = null; // the step to return to when the pointer leaves the canvas
    const ui = { value: null, shown: null, wanted: null, column: 1, tiles: [], running: false,
      view: "clean", clean: null, told: "", mark: null };

    const row = h("div", { class: "tiles", role: "group", "aria-label": "Frames, live" });
    const scroller = h("div", { class: "strip-scroller", "data-testid": "strip-scroller" }, row);
    const caption = h("div", { class: "caption", "data-testid": "strip-caption" });
    const scrubber = h("input", { type: "range", min: "0", max: "1", step: "1", class: "scrubber",
      "aria-label": "Go through the denoising, step by step", "data-testid": "scrubber",
      onInput: () => goTo(Number(scrubber.value)) });
    const views = Object.fromEntries(VIEWS.map(([view, text, title]) => [view, h("button", {
      type: "button", class: "view", title, "data-testid": `view-${view}`, onClick: () => choose(view) }, text)]));
    const foot = h("div", { class: "foot" }, caption, scrubber,
      h("div", { class: "views", role: "group", "aria-label": "Frames" }, ...Object.values(views)));
    root.replaceChildren(scroller, foot);

    // ── Values from the server ─────────────────────────────────────────────────────────────

    function receive() {
      const value = props.value ? JSON.parse(JSON.stringify(props.value)) : null;
      if (value?.rows) return receiveRows(value);
      if (!value || !value.frames) return;
      const running = value.status === "running" || value.status === "queued";
      const known = value.job === reel.job && value.status === ui.value?.status
        && (!value.sheet || reel.latest?.status === value.status);
      if (known && !running) return; // it is over, and somebody may be at an earlier step of it
      ui.value = value;
      ui.running = running;
      if (value.job !== reel.job) resting = null;
      if (value.sheet) reel.add(value);
      else if (value.job !== reel.job) {
        reel.clear(value.job);
        forgetTiles(); // what another run left is not what this one begins with
      }
      ui.wanted = null;
      show(value.sheet ? value : reel.latest);
      publish(value.step);
      if (ui.running) tellView();
      else if (ui.view !== (reel.latest?.view ?? ui.view)) goTo(value.step);
    }

    // ── Rows and views ─────────────────────────────────────────────────────────────────────

    /** The server makes previews of one view: of the chosen one, once it knows. */
    function tellView() {
      const { job } = ui.value;
      const before = ui.told.startsWith(`${job} `) ? ui.told : `${job} clean`;
      ui.told = `${job} ${ui.view}`;
      if (ui.told !== before) trigger("look", { job, view: ui.view, steps: [] });
    }

    function choose(view) {
      ui.view = view;
      if (ui.running) tellView();
      else if (ui.value) goTo(ui.wanted ?? ui.value.step);
      tell();
    }

    /** Asks for rows that the live strip left out. */
    function ask(step) {
      const { value } = ui;
      if (ui.running || !value || value.status === "failed") return;
      const steps = reel.wish(Math.round(step), ui.view, value);
      if (steps.length) trigger("look", { job: value.job, view: ui.view, steps });
    }

    function receiveRows(value) {
      if (!ui.value || value.job !== reel.job) return;
      const { job, frames, steps, status } = ui.value;
      reel.addRows(value, { job, frames, steps, status });
      if (!ui.running) goTo(ui.wanted ?? ui.value.step, false);
    }

    function publish(step) {
      const { status } = ui.value;
      const lies = ours() && status !== "idle" && (status !== "queued" || reel.size);
      dispatchEvent(new CustomEvent("fvdm:playhead", {
        detail: { step: lies ? step : null, running: Boolean(lies) && ui.running },
      }));
      tell();
    }

    function tell() {
      const { value } = ui;
      const step = ui.wanted ?? value.step;
      const at = `step ${step} of ${value.steps}`;
      const since = ours() ? "" : " · the canvas has changed since";
      const words = { done: at + since, stopped: `${at}, stopped${since}` };
      // The panel tells of a run that goes on, but not that its frames are not the canvas's.
      const live = reel.latest && !fits(value.frames) ? `This run has ${value.frames} frames`
        : reel.latest ? `as of step ${reel.latest.step}` : ""; // previews come slower than steps
      caption.textContent = words[value.status] ?? (ui.running ? live : "");
      scrubber.max = String(value.steps || 1);
      scrubber.value = String(step);
      scrubber.style.setProperty("--done", `${(100 * step) / (value.steps || 1)}%`);
      scrubber.disabled = ui.running;
      scrubber.setAttribute("aria-valuetext", `step ${step} of ${value.steps}`);
      foot.hidden = !(reel.size || ui.running) || stale(); // between two runs, too, one may be at it
      for (const [view, button] of Object.entries(views)) {
        button.setAttribute("aria-pressed", String(view === ui.view));
      }
      root.dataset.status = value.status;
    }

    // ── Going back ─────────────────────────────────────────────────────────────────────────

    /** Shows a step, or the nearest there is until the server has sent it. */
    function goTo(step, asking = true) {
      if (ui.running || !reel.size || stale()) return;
      const value = reel.nearest(step, ui.view) ?? reel.nearest(step, ui.view === "clean" ? "noisy" : "clean");
      ui.wanted = C.clamp(Math.round(step), 0, ui.value.steps);
      show(value);
      publish(ui.wanted);
      if (asking) ask(step);
    }

    /** Whether tiles of so many frames lie under their columns. */
    const fits = (frames) => (window.fvdmGeometry?.frames ?? frames) === frames;

    /** Whether the canvas holds the timeline of the strip's run. */
    const ours = () => (window.fvdmGeometry?.mark ?? ui.value.mark) === ui.value.mark;

    /** Whether the strip's run is over and had another number of frames than the canvas has now. */
    const stale = () => !ui.running && Boolean(ui.shown) && !fits(ui.shown.frames);

    addEventListener("fvdm:scrub", ({ detail: { step, passing } }) => {
      if (ui.running || !reel.size) return;
      if (step === null) {
        goTo(resting ?? ui.value.step);
        return;
      }
      if (!passing) resting = step;
      goTo(step);
    }, { signal });
    scrubber.addEventListener("change", () => { resting = Number(scrubber.value); });

    // ── Drawing ────────────────────────────────────────────────────────────────────────────

    async function show(value) {
      ui.shown = value;
      layout();
      if (!value?.sheet) return;
      const image = await decode(value.sheet);
      const newest = (value.view ?? "clean") === "clean" && (ui.clean?.value.job !== value.job || value.step >= ui.clean.value.step);
      if (image && newest) ui.clean = { value, image };
      if (image && ui.shown === value) requestAnimationFrame(() => draw(value, image));
    }

    async function decode(sheet) {
      if (decoded.has(sheet)) return decoded.get(sheet);
      const image = new Image();
      image.src = sheet;
      try {
        await image.decode();
      } catch {
        return null; // a later sheet will do
      }
      decoded.set(sheet, image);
      if (decoded.size > DECODED) decoded.delete(decoded.keys().next().value);
      return image;
    }

    function draw(value, image) {
      if (stale()) return forgetTiles();
      const [w, h2] = value.tile;
      ui.tiles.forEach(({ canvas, bar, node, text }, f) => {
        if (f >= value.frames) return;
        if (canvas.width !== w || canvas.height !== h2) Object.assign(canvas, { width: w, height: h2 });
        const x = (f % value.columns) * w;
        const y = Math.floor(f / value.columns) * h2;
        canvas.getContext("2d", { willReadFrequently: true }).drawImage(image, x, y, w, h2, 0, 0, w, h2);
        const level = value.levels?.[f] ?? 0;
        bar.style.transform = `scaleX(${reel.progress(f, level)})`;
        bar.style.background = FvdmColours.css(level);
        text.textContent = C.percent(level);
        node.setAttribute("aria-label", `Frame ${f + 1}, ${C.percent(level)} noise`);
        node.classList.add("drawn");
      });
      root.dataset.step = String(value.step);
      root.dataset.view = value.view ?? "clean";
    }

    /** Empties the tiles of a run that no longer fits the canvas. */
    function forgetTiles() {
      for (const [frame, { node, canvas, bar, text }] of ui.tiles.entries()) {
        node.setAttribute("aria-label", `Frame ${frame + 1}`);
        node.classList.remove("drawn");
        canvas.width = canvas.height = 1;
        bar.style.transform = "scaleX(0)";
        text.textContent = "";
      }
    }

    function layout() {
      const geometry = window.fvdmGeometry;
      const frames = geometry?.frames ?? ui.shown?.frames ?? ui.value?.frames ?? 16;
      const box = root.getBoundingClientRect();
      if (!box.width) return;
      const view = geometry?.view ?? box.width;
      const left = geometry ? geometry.left - box.left : 0;
      ui.column = geometry?.column ?? C.columnWidth(view, frames, LEAST_COLUMN);
      root.style.setProperty("--left", `${left}px`);
      root.style.setProperty("--view", `${view}px`);
      root.style.setProperty("--column", `${ui.column}px`);
      const [w, h2] = ui.shown?.tile ?? [1, 1];
      root.style.setProperty("--tile", `${C.clamp(ui.column - 3, 1, 128)}px`);
      root.classList.toggle("told", ui.column >= 36);
      root.style.setProperty("--aspect", `${w} / ${h2}`);
      row.style.width = `${ui.column * frames}px`;
      while (ui.tiles.length > frames) ui.tiles.pop().node.remove();
      while (ui.tiles.length < frames) addTile(ui.tiles.length);
      if (geometry && Math.abs(scroller.scrollLeft - geometry.scroll) > 0.5) scroller.scrollLeft = geometry.scroll;
    }

    function addTile(frame) {
      const canvas = h("canvas", { class: "picture", width: "1", height: "1", "data-testid": `tile-${frame}` });
      const bar = h("span", { class: "bar" });
      const text = h("span", { class: "level" });
      const node = h("div", { class: "tile", role: "img", "aria-label": `Frame ${frame + 1}`, draggable: "true",
        title: `Frame ${frame + 1}: drag it to a slot to use it as a keyframe`,
        onDragstart: (event) => {
          if (!node.classList.contains("drawn")) return event.preventDefault();
          event.dataTransfer.setData("text/uri-list", canvas.toDataURL("image/png"));
          event.dataTransfer.effectAllowed = "copy";
          event.dataTransfer.setDragImage(canvas, canvas.width / 2, canvas.height / 2);
        } },
      canvas, h("span", { class: "track" }, bar), text);
      ui.tiles.push({ node, canvas, bar, text });
      row.append(node);
    }

    // ── Together with the editor ───────────────────────────────────────────────────────────

    function follow() {
      const { mark, tiles: { length } } = ui;
      layout();
      ui.mark = window.fvdmGeometry?.mark;
      if (!ui.shown || (ui.tiles.length === length && ui.mark === mark)) return;
      if (stale()) forgetTiles();
      else if (ui.tiles.length !== length) show(ui.shown);
      publish(ui.wanted ?? ui.value.step);
    }

    addEventListener("fvdm:geometry", follow, { signal });
    addEventListener("fvdm:scroll", ({ detail }) => {
      if (detail.from !== "strip" && Math.abs(detail.left - scroller.scrollLeft) > 0.5) scroller.scrollLeft = detail.left;
    }, { signal });
    scroller.addEventListener("scroll", () => {
      dispatchEvent(new CustomEvent("fvdm:scroll", { detail: { left: scroller.scrollLeft, from: "strip" } }));
    });
    window.fvdmStrip = {
      close: () => closing.abort(),
      /** The frame as the newest prediction has it: { image, x, y, width, height }, or null. */
      clean: (frame) => {
        if (!ui.clean || !fits(ui.clean.value.frames) || frame >= ui.clean.value.frames) return null;
        const { value: { columns, tile: [width, height] }, image } = ui.clean;
        return { image, x: (frame % columns) * width, y: Math.floor(frame / columns) * height, width, height };
      },
    };
    new ResizeObserver(follow).observe(root);
    watch("value", receive);
    foot.hidden = true;
    layout();
    receive();
    root.dataset.ready = "true";
  }

  return { mount };
})();

FvdmStrip.mount({ element, props, watch, trigger });
