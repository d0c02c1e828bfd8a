/* What a level looks like: its colour and grain on the canvas, and how much signal and noise a frame
   has at it. Runs after core.js; no DOM. */

const FvdmColours = (() => {
  const { MAX, clamp, lerp } = FvdmCore;

  // Deep blue (clean), teal, pale warm yellow (noise): lightness rises all the way, so the order
  // shows without hue. Mixed in OKLab, where equal steps look equal.
  const STOPS = [
    [0, [22, 44, 120]], [0.25, [27, 98, 166]], [0.5, [44, 154, 172]],
    [0.75, [146, 205, 165]], [1, [255, 240, 190]],
  ];

  const toLinear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const toGamma = (c) => (c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055);

  function toOklab(rgb) {
    const [r, g, b] = rgb.map((c) => toLinear(c / 255));
    const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
    const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
    const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
    return [
      0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
      1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
      0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
    ];
  }

  function fromOklab([L, a, b]) {
    const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
    const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
    const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
    return [
      4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
      -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
      -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
    ].map((c) => Math.round(255 * clamp(toGamma(clamp(c, 0, 1)), 0, 1)));
  }

  /** One colour per level, [r, g, b] each. */
  const PALETTE = Array.from({ length: MAX + 1 }, (_, level) => {
    const t = level / MAX;
    const k = Math.max(1, STOPS.findIndex(([at]) => at >= t));
    const [[t0, low], [t1, high]] = [STOPS[k - 1], STOPS[k]];
    const from = toOklab(low);
    const to = toOklab(high);
    return fromOklab(from.map((c, j) => lerp(c, to[j], (t - t0) / (t1 - t0))));
  });

  const css = (level) => `rgb(${PALETTE[clamp(Math.round(level), 0, MAX)].join(" ")})`;

  /** The matrix as pixels, one per cell, into `out` (RGBA). */
  function paintPixels(levels, out) {
    for (let k = 0; k < levels.length; k++) {
      const [r, g, b] = PALETTE[levels[k]];
      out[4 * k] = r;
      out[4 * k + 1] = g;
      out[4 * k + 2] = b;
      out[4 * k + 3] = 255;
    }
  }

  /** How strongly each level shows as grain (0 … 255): a cue beside colour. */
  const GRAIN = Uint8Array.from({ length: MAX + 1 }, (_, level) => 255 * (level / MAX) ** 1.5);

  /** [signal, noise] of a level, from a table of such pairs at even distances. Before there is a
      model's, those of the paper's continuous schedule, β from 0.1 to 20:
      ᾱ(t) = exp(−0.1 t − 19.9 t² / 2). */
  function signalNoise(level, table = null) {
    const t = level / MAX;
    if (table) {
      const place = t * (table.length - 1);
      const below = Math.min(table.length - 2, Math.floor(place));
      return table[below].map((value, k) => lerp(value, table[below + 1][k], place - below));
    }
    const alphaBar = Math.exp(-0.1 * t - 0.5 * 19.9 * t * t);
    return [Math.sqrt(alphaBar), Math.sqrt(1 - alphaBar)];
  }

  return { PALETTE, css, paintPixels, GRAIN, signalNoise };
})();

if (typeof module === "object") module.exports = FvdmColours; // for node --test
