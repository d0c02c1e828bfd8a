/* A timeline's matrix as a small picture. Runs after colours.js of the editor, whose colours it has. */

/** Gives a canvas a pixel per cell; `levels` is a list of rows. */
function paintMatrix(canvas, levels) {
  canvas.width = levels[0].length;
  canvas.height = levels.length;
  const image = new ImageData(canvas.width, canvas.height);
  FvdmColours.paintPixels(Uint16Array.from(levels.flat()), image.data);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

const matrixPicture = (levels) => paintMatrix(FvdmDom.h("canvas", { "aria-hidden": "true" }), levels);
