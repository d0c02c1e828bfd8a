/* A timeline's matrix as a small picture. Runs after colours.js of the editor, whose colours it has. */

/** A canvas with a pixel per cell; `levels` is a list of rows. */
function matrixPicture(levels) {
  const canvas = document.createElement("canvas");
  canvas.width = levels[0].length;
  canvas.height = levels.length;
  canvas.setAttribute("aria-hidden", "true");
  const image = new ImageData(canvas.width, canvas.height);
  FvdmColours.paintPixels(Uint16Array.from(levels.flat()), image.data);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
