/* Building the page without markup: elements, icons, and what the theme says. */

const FvdmDom = (() => {
  const SVG = "http://www.w3.org/2000/svg";

  /** An element with attributes, listeners (onName) and children; strings become text. */
  function h(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    // Safari gives the focus only to those pressed buttons and sliders that have a place of their own
    if (tag === "button" || tag === "input") node.tabIndex = 0;
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2).toLowerCase(), value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null));
    return node;
  }

  // Paths on a 20 × 20 grid, drawn with a round 1.5 px stroke.
  const ICONS = {
    brush: "M12.5 3.5l4 4-7 7-4.5.5.5-4.5zM10.5 5.5l4 4",
    line: "M4 16L16 4M3 17h2v-2M17 3h-2v2",
    ramp: "M3 16L17 5v11z",
    fill: "M4 5h12v10H4zM4 9l5-4M4 14l11-9M8 15l8-7M13 15l3-3",
    erase: "M8 16l-4.500-4.500 7.500-7.500 5 5-7 7zM8 16h9M7 8l5 5",
    freeze: "M10 3v14M4 6.500l12 7M16 6.500l-12 7M8.300 4.300L10 6l1.700-1.700M8.300 15.700L10 14l1.700 1.700",
    hold: "M4 4v12M4 10h11M11.500 6.500L15 10l-3.500 3.500",
    select: "M4 7V4h3M10 4h1M14 4h2v3M16 10v1M16 14v2h-2M10 16H9M7 16H4v-3M4 10V9",
    undo: "M7 4L3.500 7.500 7 11M3.500 7.500H12a4 4 0 0 1 0 8H8",
    redo: "M13 4l3.500 3.500L13 11M16.500 7.500H8a4 4 0 0 0 0 8h4",
    plus: "M10 5v10M5 10h10",
    close: "M6 6l8 8M14 6l-8 8",
    up: "M10 16V4M5 9l5-5 5 5",
    down: "M10 4v12M5 11l5 5 5-5",
    compare: "M3 5h6v10H3zM11 5h6v10h-6z",
    copy: "M7 7h9v9H7zM4 13V4h9",
    paste: "M5 5h10v12H5zM8 5V3h4v2M8 10h4M8 13h4",
    mirror: "M10 3v14M7.500 6L3 14h4.500zM12.500 6l4.500 8h-4.500z",
    flip: "M3 10h14M6 7.500L14 3v4.500zM6 12.500l8 4.500v-4.500z",
    curve: "M3 4c5 0 5 12 14 12M3 4h.01M17 16h.01",
    matrix: "M4 4h12v12H4zM8 4v12M12 4v12",
    fit: "M3 10h14M6 7l-3 3 3 3M14 7l3 3-3 3",
    shield: "M10 3l6 2v5c0 4-3 6-6 7-3-1-6-3-6-7V5z",
  };

  function icon(name) {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 20 20");
    svg.setAttribute("aria-hidden", "true");
    svg.classList.add("icon");
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", ICONS[name]);
    svg.append(path);
    return svg;
  }

  /** What was measured of a clip, in a line; null where nothing was. */
  function figures({ motion, seam }) {
    if (typeof motion !== "number") return null;
    const words = [`moves ${motion.toFixed(1)}`];
    if (typeof seam === "number") words.push(`seam ${seam.toFixed(2)}×`);
    return h("span", { class: "figures", title:
      "Moves: the mean change from a frame to the next, of 255. Seam: the change beside kept frames "
      + "÷ that elsewhere; 1 shows none." }, words.join(" · "));
  }

  /** Calls back now and, until `signal` ends it, whenever the page turns light or dark. */
  function onTheme(callback, signal) {
    const observer = new MutationObserver(callback);
    signal.addEventListener("abort", () => observer.disconnect());
    observer.observe(document.body, { attributes: true, attributeFilter: ["class"] });
    observer.observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", callback, { signal });
    callback();
  }

  /** Puts an open menu under `anchor`, or above it where there is no room. */
  function placeMenu(menu, anchor) {
    const at = anchor.getBoundingClientRect();
    const width = document.documentElement.clientWidth; // without the page's scrollbar
    const left = at.left + at.width / 2 - menu.offsetWidth / 2;
    const below = at.bottom + 6 + menu.offsetHeight < innerHeight;
    menu.style.left = `${Math.max(8, Math.min(left, width - menu.offsetWidth - 8))}px`;
    menu.style.top = `${Math.max(8, below ? at.bottom + 6 : at.top - menu.offsetHeight - 6)}px`;
  }

  /** Whether a key enters what was typed: not where it ends the writing of a character, which
      Safari tells by the code alone, nor with Control, which is Generate. */
  const isEnter = ({ key, keyCode, ctrlKey, metaKey, isComposing }) =>
    key === "Enter" && !ctrlKey && !metaKey && !isComposing && keyCode !== 229;

  return { h, icon, figures, onTheme, placeMenu, isEnter };
})();

if (typeof module === "object") module.exports = FvdmDom; // for node --test
