/* Frames of a clip as one animated PNG: the picture of a column that stands for several frames. */

const FvdmApng = (() => {
  const C = FvdmCore;
  const SIGNATURE = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);

  /** Numbers of 4 bytes, the first byte the highest. */
  const words = (...numbers) => Uint8Array.from(numbers.flatMap((n) => [n >>> 24, n >>> 16, n >>> 8, n]));

  function joined(...parts) {
    const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) { all.set(part, at); at += part.length; }
    return all;
  }

  function chunk(type, ...parts) {
    const named = joined(new TextEncoder().encode(type), ...parts);
    return joined(words(named.length - 4), named, words(C.crc32(named)));
  }

  /** RGBA → the rows of a PNG in RGB, each value less the one to its left. */
  function filtered(pixels, width, height) {
    const rows = new Uint8Array(height * (1 + 3 * width));
    let to = 0;
    for (let y = 0; y < height; y++) {
      rows[to++] = 1; // "sub"
      for (let x = 0; x < width; x++) {
        const from = 4 * (y * width + x);
        for (let c = 0; c < 3; c++) rows[to++] = pixels[from + c] - (x ? pixels[from + c - 4] : 0);
      }
    }
    return rows;
  }

  async function deflated(bytes) {
    const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  /** The bytes of an animated PNG; frames: opaque RGBA, each 4 · width · height bytes. */
  async function apng(width, height, frames) {
    const parts = [SIGNATURE,
      chunk("IHDR", words(width, height), Uint8Array.of(8, 2, 0, 0, 0)), // 8 bits, RGB
      chunk("acTL", words(frames.length, 0))]; // again and again
    let sequence = 0;
    for (const pixels of frames) {
      parts.push(chunk("fcTL", words(sequence++, width, height, 0, 0), Uint8Array.of(0, 1, 0, 8, 0, 0))); // 1/8 s
      const data = await deflated(filtered(pixels, width, height));
      parts.push(sequence === 1 ? chunk("IDAT", data) : chunk("fdAT", words(sequence++), data));
    }
    return joined(...parts, chunk("IEND"));
  }

  return { apng };
})();

if (typeof module !== "undefined") module.exports = FvdmApng;
