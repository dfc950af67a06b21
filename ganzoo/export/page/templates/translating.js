/* A page of a model that translates: pictures dropped onto it, beside what becomes of them. */

class Translating {
  constructor() {
    this.pictures = []; // bitmaps, the last one first
    this.shown = [];
  }

  async open(model) {
    this.model = model;
    say(this.pictures.length ? "" : "Drop a picture to begin.");
    await this.refresh();
  }

  async refresh() {
    if (!this.pictures.length) return;
    const chosen = number("direction"), { reads, makes } = this.model.facts.translations[chosen];
    const began = performance.now();
    this.shown = [];
    for (const bitmap of this.pictures) {
      const source = asSample(bitmap, reads);
      this.shown.push({ source, made: await this.model.translated(chosen, source) });
    }
    const all = canvases(2 * this.shown.length, (i) => `${i % 2 ? "Translation" : "Picture"} ${Math.floor(i / 2) + 1}`);
    this.shown.forEach(({ source, made }, i) => {
      paint(all[2 * i], pixels(source, 0, reads));
      paint(all[2 * i + 1], pixels(made, 0, makes));
    });
    element("save").disabled = false;
    say(`Translated in ${Math.round(performance.now() - began)} ms by ${this.model.device === "webgpu" ? "WebGPU" : "WebAssembly"}.`);
  }

  async take(files) {
    const found = [];
    for (const file of files) {
      try {
        found.push(await createImageBitmap(file));
      } catch {
        say(`${file.name} is no picture that this browser can read.`);
      }
    }
    if (!found.length) return;
    this.pictures = [...found, ...this.pictures].slice(0, 8);
    await this.refresh();
  }

  saved() { return sheetOf([...document.querySelectorAll("#samples canvas")], 2); }

  listen() {
    element("samples").classList.add("pairs");
    element("file").addEventListener("change", (event) => this.take(event.target.files));
    element("direction")?.addEventListener("change", () => this.refresh());
    document.addEventListener("paste", (event) => this.take(event.clipboardData.files));
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      document.body.classList.add("over");
    });
    document.addEventListener("dragleave", () => document.body.classList.remove("over"));
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("over");
      this.take(event.dataTransfer.files);
    });
  }

  key() { return undefined; }
}
