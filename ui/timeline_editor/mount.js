/* Puts the editor into the page. gradio runs this once per component, after the files above, with
   its element, props, trigger, upload and watch. */

const plain = (value) => (value ? JSON.parse(JSON.stringify(value)) : null); // without proxies

const editor = new FvdmEditor.Editor(element.querySelector(".fvdm-editor"), {
  value: plain(props.value),
  upload,
  send: (value) => {
    props.value = structuredClone(value); // gradio sees new objects only
    trigger("edited");
  },
});

/* For tests and benchmarks. */
window.fvdmEditor = {
  lastDrawMs: 0,
  get value() { return FvdmCore.toValue(editor.state); },
  get geometry() { return window.fvdmGeometry; },
};

FvdmInput.attach(editor);
watch("value", () => editor.receive(plain(props.value)));
editor.sync();
editor.root.dataset.ready = "true";
