/* The two rows above the canvas: a slot for a picture and a freezing head for every frame. */

const FvdmSlots = (() => {
  const C = FvdmCore;
  const E = FvdmEdits;
  const { h, icon, placeMenu } = FvdmDom;
  const MOVE = "application/x-fvdm-keyframe";
  const ACCEPTED = "image/png,image/jpeg,image/webp,image/gif,image/bmp,image/avif,video/*";
  const FITS = { crop: "Crop", contain: "Contain", stretch: "Stretch" };
  const CSS_FIT = { crop: "cover", contain: "contain", stretch: "fill" };

  const isTimeline = (file) => file.type === "application/json" || /\.json$/i.test(file.name);
  const isPicture = (file) => file.type.startsWith("image/") && file.type !== "image/svg+xml";
  // the server reads TIFF too, which browsers cannot
  const isShownHere = (file) => /^image\/(png|jpeg|webp|gif|bmp)$/.test(file.type);
  // of whoever wants the painting with the pictures that are on their way
  const bringing = (work) => window.fvdmPage?.bringing(work) ?? work();
  const sourceOf = ({ url, path }) => url ?? `${window.gradio_config?.root ?? ""}/gradio_api/file=${path}`;

  /** Pictures in a drop or paste: files, or a picture of this page that was dragged. */
  async function picturesIn(transfer) {
    const files = [...transfer.files].filter(isPicture);
    if (files.length) return files;
    const address = transfer.getData("text/uri-list").split("\n")[0].trim();
    if (!address) return [];
    const url = new URL(address, location.href);
    const ours = url.origin === location.origin || ["data:", "blob:"].includes(url.protocol);
    if (!ours) throw new Error("Pictures from other sites: save the picture, then drop the file.");
    const response = await fetch(url);
    if (!response.ok) throw new Error(`This picture could not be read (${response.status}).`);
    const blob = await response.blob();
    const name = url.protocol === "data:" ? "frame.png" : url.pathname.split("/").pop() || "picture";
    const file = new File([blob], decodeURIComponent(name), { type: blob.type });
    return isPicture(file) ? [file] : [];
  }

  class Slots {
    /** io: { upload(file), state(), change(edit, label), say(text, isError), pictureSize(), moving(),
        pace(), perColumn() }, the last four as the editor has them; an edit makes a state of a state. */
    constructor(io) {
      this.io = io;
      this.slots = [];
      this.heads = [];
      this.stop = 0; // the frame where Tab stops
      this.uploading = new Map(); // frame → object URL shown meanwhile
      this.row = h("div", { class: "slots", role: "group", "aria-label": "Keyframe pictures" });
      this.headRow = h("div", { class: "heads", role: "group", "aria-label": "Frames" });
      this.chooser = h("input", {
        type: "file", accept: ACCEPTED, multiple: true, hidden: true,
        "data-testid": "keyframe-input", onChange: () => this.chosen(),
      });
      this.menu = h("div", { class: "menu", popover: "auto", role: "dialog", "aria-label": "Picture", "data-testid": "slot-menu" });
      this.clip = new FvdmClip.Clip({
        state: io.state, fill: (...what) => this.fill(...what), say: io.say, bringing,
        pictureSize: io.pictureSize, moving: io.moving, pace: io.pace,
      });
      this.target = 0;
      this.about = null; // the frame and path of the picture that the menu is about
    }

    /** current: the frame whose curve is edited, or −1 where none is. */
    render(state, column, current = -1) {
      while (this.slots.length > state.frames) { this.slots.pop().node.remove(); this.heads.pop().node.remove(); }
      while (this.slots.length < state.frames) this.add(this.slots.length);
      const density = column >= 38 ? "wide" : column >= 20 ? "medium" : "thin";
      this.row.dataset.density = this.headRow.dataset.density = density;
      const every = column >= 20 ? 1 : column >= 11 ? 2 : Math.ceil(22 / column / 4) * 4;
      this.stopAt(Math.min(this.stop, state.frames - 1));
      this.closeStaleMenu(state);
      const troubles = FvdmPictures.troubles(state);
      for (let f = 0; f < state.frames; f++) {
        this.renderSlot(state, f);
        this.renderHead(state, f, every, current, troubles[f]);
      }
    }

    add(frame) {
      const picture = h("img", { alt: "", draggable: "false" });
      const button = h("button", {
        type: "button", class: "slot-button", "data-testid": `slot-${frame}`,
        onClick: () => this.open(frame), onFocus: () => this.stopAt(frame),
        onKeydown: (event) => this.slotKey(event, frame),
      }, icon("plus"), picture);
      const remove = h("button", {
        type: "button", class: "slot-remove", "data-testid": `slot-remove-${frame}`, tabindex: "-1",
        "aria-label": `Remove the picture of frame ${frame + 1}`, onClick: () => this.remove(frame),
      }, icon("close"));
      const node = h("div", {
        class: "slot", onDragstart: (event) => this.dragStart(event, frame),
      }, button, remove);
      this.slots.push({ node, button, picture });
      this.row.append(node);

      const number = h("span", { class: "number" }, String(frame + 1));
      const head = h("button", {
        type: "button", class: "head", "data-testid": `head-${frame}`,
        onClick: ({ shiftKey }) => this.pressHead(frame, shiftKey), onFocus: () => this.stopAt(frame),
        onKeydown: (event) => this.step(event, (at) => this.heads[at]?.node, frame),
      }, number, icon("freeze"), icon("hold"));
      this.heads.push({ node: head, number });
      this.headRow.append(head);
    }

    renderSlot(state, frame) {
      const { node, button, picture } = this.slots[frame];
      const keyframe = C.keyframeOn(state, frame);
      const waiting = this.uploading.get(frame);
      const source = waiting ?? (keyframe ? sourceOf(keyframe.file) : "");
      const label = keyframe
        ? `Frame ${frame + 1}: ${keyframe.file.orig_name ?? "picture"}, ${keyframe.fit}. Press Enter to change it.`
        : `Frame ${frame + 1}: no picture. Drop one here, or press Enter to choose.`;
      const signature = `${source}|${keyframe?.fit}|${label}|${Boolean(waiting)}`;
      if (node.signature === signature) return;
      node.signature = signature;
      node.classList.toggle("filled", Boolean(source));
      node.classList.toggle("waiting", Boolean(waiting));
      node.draggable = Boolean(keyframe);
      button.setAttribute("aria-label", label);
      button.title = label;
      if (source) picture.src = source; else picture.removeAttribute("src");
      picture.style.objectFit = CSS_FIT[keyframe?.fit ?? "crop"];
    }

    renderHead(state, frame, every, edited, trouble) {
      const { node, number } = this.heads[frame];
      const [current, curves] = [frame === edited, edited >= 0];
      const frozen = C.isFrozen(state, frame);
      const held = C.isHeld(state, frame);
      const summary = [C.frameSummary(state, frame), trouble].filter(Boolean).join("; ");
      const shown = every === 1 || frame === 0 || (frame + 1) % every === 0;
      const clip = C.inClip(frame, this.io.perColumn());
      const name = `Frame ${frame + 1}${clip && ` (${clip})`}`;
      const signature = `${name}|${frozen}|${held}|${summary}|${shown}|${current}|${curves}`;
      if (node.signature === signature) return;
      node.signature = signature;
      node.setAttribute("aria-pressed", String(frozen));
      node.setAttribute("aria-label", `${name}, ${summary}${held ? ", held" : ""}. Freeze`);
      node.title = `${name}: ${summary}${held && C.levelAt(state, frame, 0) < C.MAX ? ", starts from a copy of the nearest known frame" : ""}. ${curves ? "Click for its curve; with Shift" : "Click"} to ${frozen ? "unfreeze" : "freeze"}.`;
      node.classList.toggle("frozen", frozen);
      node.classList.toggle("held", held);
      node.classList.toggle("current", current);
      node.classList.toggle("trouble", Boolean(trouble));
      number.hidden = !shown;
    }

    /** Freezes the frame; among curves it chooses the frame's curve, and freezes it with Shift. */
    pressHead(frame, shift) {
      if (shift || !this.io.editCurve(frame)) this.toggleFrozen(frame);
    }

    toggleFrozen(frame) {
      const state = this.io.state();
      const on = !C.isFrozen(state, frame);
      this.io.change((now) => E.freeze(now, [frame], on), on ? "freeze" : "unfreeze");
      this.io.say(on ? `Frame ${frame + 1} is frozen: it stays as it is.`
        : `Frame ${frame + 1} is free: it is generated.`);
    }

    // ── Pictures in and out ──────────────────────────────────────────────────────────────────

    open(frame) {
      if (C.keyframeOn(this.io.state(), frame)) this.openMenu(frame);
      else this.choose(frame);
    }

    choose(frame) {
      this.target = frame;
      this.chooser.value = "";
      this.chooser.click();
    }

    chosen() { this.takeFiles(this.target, [...this.chooser.files]); }

    /** Pictures go to their frames at once; of a video the person first chooses a part. */
    async takeFiles(frame, files) {
      const timeline = files.find(isTimeline);
      if (timeline) return dispatchEvent(new CustomEvent("fvdm:timeline-file", { detail: { file: timeline } }));
      const video = files.find(FvdmClip.isVideo);
      if (video) await this.clip.open(video, frame, this.slots[frame].node);
      else await this.fill(frame, files);
    }

    remove(frame) {
      if (!C.keyframeOn(this.io.state(), frame)) return;
      this.io.change((now) => E.removeKeyframe(now, frame), "removed picture");
      this.io.say(`The picture of frame ${frame + 1} is removed.`);
    }

    /** Uploads pictures and puts them on `frame` and the frames after it, in one undoable edit. */
    fill(frame, files) { return bringing(() => this.bring(frame, files)); }

    async bring(frame, files) {
      const pictures = files.filter(isPicture);
      if (!pictures.length) {
        if (files.length) this.io.say(`${files[0].name} is not a picture. Drop a PNG, JPEG, WebP or GIF, a video, or a timeline (JSON).`, true);
        return;
      }
      for (const picture of pictures.filter(isShownHere)) {
        try {
          (await createImageBitmap(picture)).close();
        } catch {
          return this.io.say(`${picture.name} is not a picture, or it is damaged. Nothing was changed.`, true);
        }
      }
      const frames = E.slotsFor(this.io.state(), frame, pictures.length);
      const shown = frames.map((_, k) => URL.createObjectURL(pictures[k]));
      frames.forEach((f, k) => this.uploading.set(f, shown[k]));
      this.refresh();
      const settled = await Promise.allSettled(frames.map((_, k) => this.send(pictures[k])));
      const newest = frames.map((f, k) => this.uploading.get(f) === shown[k]); // else another came
      frames.forEach((f, k) => {
        URL.revokeObjectURL(shown[k]);
        if (newest[k]) this.uploading.delete(f);
      });
      const arrived = frames.map((f, k) => [f, settled[k].value])
        .filter((_, k) => settled[k].status === "fulfilled" && newest[k]);
      const place = (now) => arrived.filter(([f]) => f < now.frames).reduce((on, [f, file]) =>
        E.setKeyframe(on, f, file, C.keyframeOn(on, f)?.fit ?? "crop"), now);
      const state = this.io.state();
      const done = arrived.map(([f]) => f).filter((f) => f < state.frames);
      if (done.length) this.io.change(place, done.length > 1 ? "pictures" : "picture");
      this.refresh();
      const failed = settled.find(({ status }) => status === "rejected");
      if (failed) this.io.say(`The upload failed: ${failed.reason?.message ?? failed.reason}`, true);
      else if (pictures.length > frames.length) {
        this.io.say(`${frames.length} of ${pictures.length} pictures fit; the timeline ends at frame ${state.frames}.`);
      } else if (done.length) {
        const names = C.frameNames(done);
        this.io.say(`${names} ${done.length > 1 ? "have their pictures" : "has its picture"}.`);
      }
    }

    async send(file) {
      const { path, url } = await this.io.upload(file);
      return {
        path, url, orig_name: file.name, size: file.size, mime_type: file.type,
        is_stream: false, meta: { _type: "gradio.FileData" },
      };
    }

    // ── Dragging and keys ────────────────────────────────────────────────────────────────────

    dragStart(event, frame) {
      event.dataTransfer.setData(MOVE, String(frame));
      event.dataTransfer.effectAllowed = "copyMove";
      const { picture } = this.slots[frame];
      event.dataTransfer.setDragImage(picture, picture.width / 2, picture.height / 2);
    }

    dragOver(event, frame) {
      event.preventDefault();
      const moving = event.dataTransfer.types.includes(MOVE);
      event.dataTransfer.dropEffect = moving && !event.ctrlKey && !event.altKey ? "move" : "copy";
      const count = [...event.dataTransfer.items].filter((i) => i.kind === "file").length;
      this.highlight(frame, Math.max(1, count));
    }

    highlight(frame, count) {
      this.slots.forEach(({ node }, f) =>
        node.classList.toggle("over", f >= frame && f < frame + count && frame >= 0));
    }

    async drop(event, frame) {
      event.preventDefault();
      this.highlight(-1, 0);
      const from = event.dataTransfer.getData(MOVE);
      if (from !== "") {
        const copy = event.ctrlKey || event.altKey;
        this.io.change((now) => E.moveKeyframe(now, Number(from), frame, copy), "moved picture");
        return;
      }
      await this.take(event.dataTransfer, frame);
    }

    /** Takes what was dropped or pasted at `frame`. */
    async take(transfer, frame) {
      const all = [...transfer.files];
      try {
        const pictures = await bringing(() => picturesIn(transfer));
        await this.takeFiles(frame, pictures.length ? pictures : all);
      } catch (error) {
        this.io.say(error.message, true);
      }
    }

    /** Tab stops once in the slots and once in the heads, at this frame; arrows go on from there. */
    stopAt(frame) {
      this.stop = frame;
      this.slots.forEach(({ button }, f) => { button.tabIndex = f === frame ? 0 : -1; });
      this.heads.forEach(({ node }, f) => { node.tabIndex = f === frame ? 0 : -1; });
    }

    /** Moves the focus along a row; whether the key was an arrow. */
    step(event, elementAt, frame) {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return false;
      elementAt(frame + by)?.focus();
      event.preventDefault();
      return true;
    }

    slotKey(event, frame) {
      if (this.step(event, (at) => this.slots[at]?.button, frame)) return;
      if (event.key === "Delete" || event.key === "Backspace") {
        this.remove(frame);
        event.preventDefault();
      }
    }

    openMenu(frame) {
      const keyframe = C.keyframeOn(this.io.state(), frame);
      const item = (text, action, checked = null) => h("button", {
        type: "button", role: checked === null ? null : "radio",
        "aria-checked": checked === null ? null : String(checked),
        onClick: () => { this.menu.hidePopover(); action(); },
      }, text);
      const unused = FvdmPictures.troubles(this.io.state())[frame].startsWith("its picture");
      this.menu.replaceChildren(...[
        h("div", { class: "menu-picture" }, this.framed(frame, keyframe),
          h("span", {}, keyframe.file.orig_name ?? `Picture of frame ${frame + 1}`)),
        unused ? h("p", { class: "menu-note" }, "This picture has no effect: its frame starts from noise.") : null,
        unused ? h("button", { type: "button", class: "menu-action", "data-testid": "slot-keep", onClick: () => {
          this.menu.hidePopover();
          this.io.change((now) => FvdmPictures.mend(now, "keep", [frame]), "kept picture");
        } }, "Keep this picture") : null,
        frame && this.io.moving() > 1 ? h("p", { class: "menu-note", "data-testid": "slot-moving" },
          `This is ${C.inClip(frame, this.io.perColumn())}: a video, or an animation of `
          + `${this.io.moving()} frames, gives each its picture.`) : null,
        h("div", { class: "menu-fits", role: "radiogroup", "aria-label": "Fit" },
          ...Object.entries(FITS).map(([fit, text]) => item(text, () =>
            this.io.change((now) => E.setFit(now, frame, fit), "fit"), keyframe.fit === fit))),
        this.softness(frame),
        item("Replace…", () => this.choose(frame)),
        item("Remove", () => this.remove(frame)),
      ].filter(Boolean));
      this.about = { frame, path: keyframe.file.path };
      this.menu.showPopover();
      placeMenu(this.menu, this.slots[frame].node);
      this.menu.querySelector("[aria-checked=true]").focus();
    }

    /** Where its picture has gone, to another frame say, the menu has nothing to be about. */
    closeStaleMenu(state) {
      if (!this.about || C.keyframeOn(state, this.about.frame)?.file.path === this.about.path) return;
      this.about = null;
      this.menu.hidePopover();
    }

    /** The whole picture with what is kept of it outlined, or where it lies in the frame. */
    framed(frame, { file, fit }) {
      const picture = h("img", { src: sourceOf(file), alt: "" });
      const outline = h("i", { class: "outline" });
      const words = h("span", { class: "cut", "data-testid": "slot-cut" });
      const box = h("div", { class: "framed", "data-fit": fit }, picture, outline);
      const place = () => {
        const [w, height] = [picture.naturalWidth, picture.naturalHeight];
        if (!w) return;
        const [W, H] = this.io.pictureSize();
        const { from, to } = FvdmPictures.fitted(w, height, W, H, fit);
        box.style.aspectRatio = fit === "crop" ? `${w} / ${height}` : `${W} / ${H}`;
        const at = fit === "crop" ? from : to;
        const node = fit === "crop" ? outline : picture;
        for (const [side, share] of Object.entries({ left: at.x, top: at.y, width: at.w, height: at.h })) {
          node.style[side] = `${100 * share}%`;
        }
        words.textContent = `${w} × ${height}: ${FvdmPictures.cutOff(w, height, W, H, fit)}`;
      };
      picture.addEventListener("load", place);
      if (picture.complete) place();
      return h("div", { class: "framing" }, box, words);
    }

    /** The slider from exact to free. */
    softness(frame) {
      const words = (soft) => soft === 0 ? "exact" : soft === 100 ? "free" : `${soft} %`;
      const now = Math.round(C.levelAt(this.io.state(), frame, 0) / (C.MAX / 100));
      const text = h("output", {}, words(now));
      const input = h("input", {
        type: "range", min: 0, max: 100, step: 5, value: now, "aria-label": "Softness", "data-testid": "slot-soft",
        title: "Exact keeps the picture as it is; softer lets its frame change",
        onInput: () => { text.textContent = words(Number(input.value)); },
        onChange: () => this.io.change(
          (now) => E.soften(now, frame, Number(input.value) / 100), "softness"),
      });
      return h("div", { class: "sizes" }, h("label", { class: "size" }, h("span", {}, "Softness"), input, text));
    }

    refresh() {
      const state = this.io.state();
      for (let f = 0; f < this.slots.length; f++) this.renderSlot(state, f);
    }
  }

  return { Slots };
})();
