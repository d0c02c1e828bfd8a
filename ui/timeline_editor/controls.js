/* The controls around the canvas: tools, undo, level, brush size; and the actions on a selected
   block. They show the editor's settings and call its actions. */

const FvdmControls = (() => {
  const C = FvdmCore;
  const { h, icon } = FvdmDom;

  // name, title, key, what it does
  const TOOLS = [
    ["brush", "Brush", "B", "paint the chosen level; hold Shift for a straight line"],
    ["line", "Line", "L", "drag a straight line of the chosen level"],
    ["ramp", "Ramp", "G", "drag: levels go evenly from where you start to the chosen level"],
    ["fill", "Fill", "R", "drag a block of the chosen level"],
    ["freeze", "Freeze", "F", "click or drag over columns: frozen frames stay as they are"],
    ["hold", "Hold", "H", "click or drag over columns: they start as a copy of the nearest known frame"],
    ["erase", "Eraser", "E", "bring back the levels of the preset"],
    ["select", "Select", "S", "drag a block, then move it, copy it, mirror it or pull its corner"],
  ];

  const BLOCK_ACTIONS = [
    ["copy", "Copy (Ctrl C)"], ["paste", "Paste (Ctrl V)"], ["mirror", "Mirror frames (M)"],
    ["flip", "Mirror steps (Shift M)"], ["fill", "Fill with the level (Enter)"],
    ["erase", "Back to the preset (Delete)"], ["close", "Deselect (Escape)"],
  ];

  /** A button with an icon. */
  const tool = (name, label, attributes) => h("button", {
    type: "button", class: "tool", "aria-label": label, title: label, ...attributes,
  }, icon(name));

  class Controls {
    /** actions: choose(tool), setLevel(level), set(name, value), undo(), redo(), block(action). */
    constructor(actions) {
      this.tools = new Map(TOOLS.map(([name, title, key, hint]) => [name, tool(name, `${title} (${key})`, {
        role: "radio", "data-testid": `tool-${name}`, title: `${title} (${key}): ${hint}`,
        onClick: () => actions.choose(name),
      })]));
      const radios = h("div", { class: "radios", role: "radiogroup", "aria-label": "Tool",
        onKeydown: (event) => this.arrow(event, actions) }, ...this.tools.values());
      this.undo = tool("undo", "Undo (Ctrl Z)", { "data-testid": "undo", onClick: actions.undo });
      this.redo = tool("redo", "Redo (Ctrl Shift Z)", { "data-testid": "redo", onClick: actions.redo });
      this.guard = tool("shield", "Protect frozen frames", {
        "data-testid": "guard", onClick: () => actions.set("guard", this.guard.getAttribute("aria-pressed") !== "true"),
      });
      this.level = h("input", {
        type: "range", min: "0", max: String(C.MAX), step: "10", class: "level", "aria-label": "Noise level",
        "data-testid": "level", onInput: () => actions.setLevel(Number(this.level.value)),
      });
      this.levelText = h("output", { class: "level-text", "data-testid": "level-text" });
      this.levelWord = h("span", { class: "level-word" });
      const swatch = (level) => {
        const button = h("button", { type: "button", class: "swatch", "aria-label": `Level ${C.percent(level)}`,
          onClick: () => actions.setLevel(level) }, String(level / 10));
        button.style.setProperty("--swatch", FvdmColours.css(level));
        return button;
      };
      this.sizes = Object.fromEntries([
        ["width", "Width", "Brush width in frames", 1], ["height", "Height", "Brush height in steps", 1],
        ["soft", "Soft", "Softness of the brush's edge in per cent", 0],
      ].map(([name, short, long, least]) => {
        const input = h("input", { type: "range", min: least, max: 100, "aria-label": long,
          "data-testid": `brush-${name}`,
          onInput: () => actions.set(name, Number(input.value) / (name === "soft" ? 100 : 1)) });
        const text = h("output");
        return [name, { input, text, node: h("label", { class: "size", title: long }, h("span", {}, short), input, text) }];
      }));
      this.node = h("div", { class: "rail", role: "toolbar", "aria-label": "Painting" },
        h("div", { class: "tools" }, radios, this.guard),
        h("div", { class: "tools two" }, this.undo, this.redo),
        h("div", { class: "divider" }),
        h("div", { class: "level-box" },
          h("div", { class: "level-track" }, this.level),
          h("div", { class: "level-head" }, this.levelText, this.levelWord),
          h("div", { class: "swatches" }, ...[1000, 750, 500, 250, 0].map(swatch))),
        h("div", { class: "sizes" }, ...Object.values(this.sizes).map(({ node }) => node)));
      this.blockBar = h("div", { class: "block-bar", role: "toolbar", "aria-label": "Selected block", "data-testid": "block-bar" },
        ...BLOCK_ACTIONS.map(([name, label]) => tool(name, label, {
          "data-testid": `block-${name}`, onClick: () => actions.block(name) })));
      this.blockBar.hidden = true;
    }

    /** Arrow keys go through the tools, as in any group of radio buttons. */
    arrow(event, actions) {
      const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!move) return;
      const names = [...this.tools.keys()];
      const at = names.findIndex((name) => this.tools.get(name) === document.activeElement);
      const next = names[(at + move + names.length) % names.length];
      this.tools.get(next).focus();
      actions.choose(next);
      event.preventDefault();
      event.stopPropagation();
    }

    render(settings, state, history) {
      for (const [name, button] of this.tools) {
        button.setAttribute("aria-checked", String(name === settings.tool));
        button.tabIndex = name === settings.tool ? 0 : -1;
      }
      this.guard.setAttribute("aria-pressed", String(settings.guard));
      // one that is really disabled loses the focus; pressed, these say that there is nothing
      this.undo.setAttribute("aria-disabled", String(!history.canUndo));
      this.redo.setAttribute("aria-disabled", String(!history.canRedo));
      this.sizes.width.input.max = String(Math.min(state.frames, 16));
      this.sizes.height.input.max = String(Math.min(state.rows, Math.max(12, Math.round(state.rows / 4))));
      for (const [name, { input, text }] of Object.entries(this.sizes)) {
        const value = name === "soft" ? Math.round(settings.soft * 100) : settings[name];
        input.value = String(value);
        text.textContent = name === "soft" ? `${value} %` : String(value);
      }
      this.renderLevel(settings.level);
    }

    renderLevel(level) {
      this.level.value = String(level);
      this.level.setAttribute("aria-valuetext", C.percent(level));
      this.levelText.textContent = C.percent(level);
      this.levelWord.textContent = level === 0 ? "clean" : level === C.MAX ? "pure noise" : "noise";
      this.level.style.setProperty("--level-color", FvdmColours.css(level));
    }

    /** Shows the block's actions above `box` ({ left, top } in the stage), or hides them. */
    placeBlockBar(box, width) {
      this.blockBar.hidden = !box;
      if (!box) return;
      const left = C.clamp(box.left, 0, Math.max(0, width - this.blockBar.offsetWidth));
      this.blockBar.style.transform = `translate(${left}px, ${Math.max(0, box.top - 44)}px)`;
    }
  }

  return { Controls, TOOLS };
})();
