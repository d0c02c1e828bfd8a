/* Puts the editor into the page. gradio runs this once per component, after the files above, with
   its element, props, trigger, upload and watch. */

const plain = (value) => (value ? JSON.parse(JSON.stringify(value)) : null); // without proxies

window.fvdmEditor?.close(); // the one before, where the component is mounted again

const editor = new FvdmEditor.Editor(element.querySelector(".fvdm-editor"), {
  value: plain(props.value),
  upload,
  pictureSize: () => plain(props.picture_size) ?? [1, 1],
  mixing: () => plain(props.mixing),
  moving: () => props.moving,
  pace: () => props.pace,
  perColumn: () => props.per_column,
  send: (value) => {
    props.value = structuredClone(value); // gradio sees new objects only
    trigger("edited");
    setTimeout(() => window.fvdmPage?.painted(value));
  },
});

/* For the next mount, for tests and for benchmarks. */
window.fvdmEditor = {
  close: () => editor.closing.abort(),
  ask: (asked) => { editor.asked = asked ? editor.state : null; },
  say: (text, isError) => editor.say(text, isError),
  reread: () => trigger("reread"),
  /** For how many frames of a clip each column but the first stands. */
  get perColumn() { return props.per_column; },
  lastDrawMs: 0,
  /** Of what is painted, and null while it changes. */
  get mark() { return editor.gesture ? null : FvdmCore.readingMark(editor.state); },
  get value() { return FvdmCore.toValue(editor.state); },
  get geometry() { return window.fvdmGeometry; },
};

FvdmInput.attach(editor);
watch("value", () => editor.receive(plain(props.value)));
watch("per_column", () => editor.sync());
editor.sync();
editor.root.dataset.ready = "true";
