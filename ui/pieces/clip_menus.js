/* What a clip's two menus hold: ways to go on from it, and more ways to save it. */

const FvdmClipMenus = (() => {
  const { h, placeMenu } = FvdmDom;
  const LENGTHS = [32, 64, 128]; // offered first; any up to LONGEST may be written
  const LONGEST = 1024;
  const WAYS = { extend: "by windows", diagonal: "on the diagonal", hierarchical: "coarse to fine" };
  const COPIED_MS = 2500;

  /** A button that opens `menu` under itself, as `fit` makes it. */
  function opener(text, id, title, menu, fit = () => {}) {
    const button = h("button", { type: "button", id, title, "aria-haspopup": "dialog" }, text);
    button.addEventListener("click", () => {
      fit();
      menu.showPopover();
      placeMenu(menu, button);
      menu.querySelector("input").focus();
    });
    return button;
  }

  const menuOf = (name, ...children) =>
    h("div", { class: "clip-menu", popover: "auto", role: "dialog", "aria-label": name }, ...children);

  function select(label, id, options, value) {
    const node = h("select", { id, "aria-label": label },
      ...options.map(([key, text]) => h("option", { value: key }, text)));
    node.value = value;
    return node;
  }

  function number(label, id, value, max, min = 1) {
    return h("input", { type: "number", id, "aria-label": label, min, max, step: 1, value });
  }

  /** Whole number of a box, or null, with the box marked, where it holds none. */
  function whole(box) {
    const good = box.validity.valid && box.value !== "";
    box.setAttribute("aria-invalid", String(!good));
    return good ? Number(box.value) : null;
  }

  /** How many last columns to continue from, and how to make the clip longer.
      act: (event, details), which tells the server. */
  function goOn(clip, act) {
    const tail = number("", "clip-tail", "", 1);
    tail.placeholder = "auto"; // empty, the server says what suits the model, whose window it knows
    const menu = menuOf("Go on from this clip");
    const done = (event, details) => {
      menu.hidePopover();
      act(event, details);
    };
    const frames = number("", "extend-frames", "", LONGEST);
    const way = select("Order", "extend-way", Object.entries(WAYS), "extend");
    const extend = h("button", { type: "button", id: "extend-clip",
      title: "The whole clip is kept, and goes on to this length",
      onClick: () => {
        const count = whole(frames);
        if (count === null) frames.reportValidity();
        else done("extend", { frames: count, way: way.value });
      } }, "Extend");
    const longest = h("p", {});
    const row = (box) => {
      const parts = { box, words: h("span", {}), all: h("output", {}) };
      return { ...parts, node: h("label", {}, parts.words, box, parts.all) };
    };
    const [from, to] = [row(tail), row(frames)];
    menu.append(from.node, to.node, way, extend, longest);
    let each = 0; // frames of a column, for which the menu is

    /** Makes the menu for the columns that the present model has of the clip. */
    function fit() {
      const now = window.fvdmEditor?.perColumn ?? 1;
      const what = now > 1 ? "columns" : "frames";
      const columns = Math.ceil(clip.frames / now);
      if (each !== now) {
        tail.value = ""; // it counted others
        frames.value = LENGTHS.find((n) => n > columns) ?? Math.min(LONGEST, 2 * columns);
      }
      each = now;
      tail.max = columns;
      frames.min = columns + 1;
      from.words.textContent = `Last ${what} to continue from`;
      to.words.textContent = `Extend to ${what}`;
      tail.setAttribute("aria-label", `Last ${what}`);
      frames.setAttribute("aria-label", now > 1 ? "Columns" : "Frames");
      for (const node of [to.node, way, extend]) node.hidden = columns >= LONGEST;
      longest.hidden = columns < LONGEST;
      longest.textContent = `A clip of ${LONGEST} ${what} is the longest.`;
      tell();
    }

    /** Says of how many frames a clip is that has so many columns, of which the first is one. */
    function tell() {
      for (const { box, all } of [from, to]) {
        const known = each > 1 && box.value !== "" && box.validity.valid;
        all.textContent = known ? `= ${(Number(box.value) - 1) * each + 1} frames` : "";
      }
    }
    menu.addEventListener("input", tell);
    fit();
    return {
      menu, fit,
      /** Continues at once, or shows the box that is wrong. */
      go(button) {
        fit();
        const auto = tail.value === "" && tail.validity.valid;
        const count = auto ? null : whole(tail);
        if (auto || count !== null) return done("continue", auto ? {} : { tail: count });
        menu.showPopover();
        placeMenu(menu, button);
        tail.focus();
      },
    };
  }

  /** Frames per second, WebM, the frame now shown, and the run as Python.
      link: (text, file, name, title, id) makes a link to a file of the run. */
  function save(clip, base, link, frameNow) {
    const fps = number("Frames per second", "save-fps", clip.fps, 60);
    const webm = link("WebM", "clip.webm", `${clip.name}.webm`, "Download the clip as VP9 video", "download-webm");
    const frame = link("This frame", "frame/0.png", "frame.png", "Download the frame now shown", "download-frame");
    frame.addEventListener("click", () => {
      const index = frameNow();
      frame.href = `${base}/frame/${index}.png`;
      frame.download = `${clip.name}-${String(index + 1).padStart(4, "0")}.png`;
    });
    async function program() {
      const answer = await fetch(`${base}/run.py`);
      if (!answer.ok) throw new Error(await answer.text());
      return answer.text();
    }
    const python = h("button", { type: "button", id: "copy-python",
      title: "Code that makes this clip with fvdm_core; its pictures are in the PNG download",
      onClick: async () => {
        let said = "Copied";
        try {
          const code = program();
          await Promise.all([code, copy(code)]); // the first says best what went wrong
        } catch (error) {
          said = `Not copied: ${error.message}`;
        }
        python.textContent = said;
        setTimeout(() => { python.textContent = "Copy as Python"; }, COPIED_MS);
      } }, "Copy as Python");
    const menu = menuOf("Save this clip", h("label", {}, "Frames per second", fps),
      h("div", { class: "row" }, webm, frame), python);
    return { menu, fps, webm, rate: () => whole(fps) };
  }

  /** Puts text that is on its way on the clipboard. Once it is there Safari no longer counts it as
      the person's doing, so the clipboard is given the promise. */
  async function copy(coming) {
    if (navigator.clipboard && window.ClipboardItem) {
      const text = coming.then((words) => new Blob([words], { type: "text/plain" }));
      return navigator.clipboard.write([new ClipboardItem({ "text/plain": text })]);
    }
    const text = await coming;
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    // and where the page has no secure address
    const box = h("textarea", { class: "visually-hidden" });
    box.value = text;
    document.body.append(box);
    box.select();
    const copied = document.execCommand("copy");
    box.remove();
    if (!copied) throw new Error("this browser does not allow it");
  }

  return { goOn, save, opener };
})();
