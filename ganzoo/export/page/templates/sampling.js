/* A page of a model with latents: controls, what they ask for, and the samples that come of it. */

const element = (id) => document.getElementById(id);
const number = (id, otherwise = 0) => (element(id) ? Number(element(id).value) : otherwise);

// What the controls ask for; `share` is how far a walk is on its way to the next seed.
function wishes() {
  return {
    seed: Math.min(2 ** 32 - 1, Math.max(0, Math.floor(number("seed")) || 0)),
    count: number("count"),
    label: element("label") ? element("label").value : "",
    truncation: number("truncation", 1),
    layers: element("layers") ? element("layers").value : "",
    other: number("other"),
    strengths: [...document.querySelectorAll(".direction")].map((one) => Number(one.value)),
  };
}

function labelsOf(wish, classes) {
  return Array.from({ length: wish.count }, (_, i) => (!classes ? 0 : wish.label === "" ? i % classes : Number(wish.label)));
}

class Sampling {
  constructor() {
    this.shown = null; // the last samples, with the rows and wishes that they are of
    this.share = 0;
    this.busy = false;
    this.again = false;
  }

  async open(model) {
    this.model = model;
    this.kept = {};
    tellSeeds(model);
    await this.refresh();
  }

  // Draw what the controls ask for, now or after what is being drawn.
  async refresh() {
    if (this.busy) { this.again = true; return; }
    this.busy = true;
    try {
      do {
        this.again = false;
        await this.show();
      } while (this.again);
      element("save").disabled = element("keep").disabled = false;
    } catch (error) {
      say(`That did not work: ${error.message}`);
    } finally {
      this.busy = false;
    }
  }

  async show() {
    const { model } = this, wish = wishes(), began = performance.now();
    const labels = labelsOf(wish, model.facts.classes);
    let rows = await this.rowsOf(wish.seed, wish, labels);
    if (this.share) rows = model.between(rows, await this.rowsOf(wish.seed + 1, wish, labels), this.share);
    if (wish.layers !== "") {
      const other = await this.rowsOf(wish.other, wish, labels);
      rows = model.mixed(rows, other, layersOf(wish.layers, model.facts.style[0]));
    }
    rows = model.moved(rows, wish.strengths);
    const values = await model.samples(rows, labels, wish.truncation);
    this.shown = { wish, labels, rows, values, share: this.share };
    this.paint();
    tellCommand(model, wish, this.share);
    this.milliseconds = performance.now() - began;
    const much = `${wish.count} sample${wish.count === 1 ? "" : "s"}`;
    const by = model.device === "webgpu" ? "WebGPU" : "WebAssembly";
    if (!this.walking) say(`${much} in ${Math.round(this.milliseconds)} ms by ${by}.`);
  }

  // Rows of a seed; those that were last asked for are kept, for a walk asks often.
  async rowsOf(seed, wish, labels) {
    const key = JSON.stringify([seed, labels, wish.truncation]);
    if (!this.kept[key]) {
      if (Object.keys(this.kept).length > 4) this.kept = {};
      this.kept[key] = await this.model.rows(seed, labels, wish.truncation);
    }
    return this.kept[key];
  }

  paint() {
    const { sample, class_names: names, classes } = this.model.facts, { values, labels } = this.shown;
    if (sample.shape.length !== 3) {
      const [canvas] = canvases(1, () => `${labels.length} samples as a plot`);
      plot(canvas, values, product(sample.shape));
      return;
    }
    const size = product(sample.shape);
    const title = (i) => `Sample ${i + 1}` + (classes ? `, ${names[labels[i]] || `class ${labels[i]}`}` : "");
    canvases(labels.length, title).forEach((canvas, i) => paint(canvas, pixels(values, i * size, sample)));
  }

  saved() {
    const all = [...document.querySelectorAll("#samples canvas")];
    return this.model.facts.sample.shape.length === 3 ? sheetOf(all) : all[0];
  }

  // the latents of what is shown, for `ganzoo sample --latents`
  keep() {
    const { rows, labels } = this.shown, facts = this.model.facts;
    const [space, shape] = this.model.styled ? ["w+", facts.style] : ["z", facts.latent.shape];
    download(latentsFile(space, shape, rows, labels), "latents.safetensors");
  }

  async walk() {
    this.walking = !this.walking;
    const button = element("walk");
    button.setAttribute("aria-pressed", String(this.walking));
    button.textContent = this.walking ? "Stop" : "Walk";
    let before = performance.now();
    while (this.walking) {
      const now = await new Promise(requestAnimationFrame);
      this.share += ((now - before) / 2000) * number("pace");
      before = now;
      if (this.share >= 1) {
        this.share = 0;
        element("seed").value = wishes().seed + 1;
      }
      await this.refresh();
    }
  }

  // Go to a seed itself.
  to(seed) {
    this.share = 0;
    element("seed").value = Math.min(2 ** 32 - 1, Math.max(0, seed));
    return this.refresh();
  }

  listen() {
    const drawn = ["seed", "count", "label", "truncation", "layers", "other"];
    drawn.forEach((id) => element(id)?.addEventListener("input", () => {
      if (id === "seed") this.share = 0;
      this.refresh();
    }));
    document.querySelectorAll("#controls input[type=range]").forEach((one) => one.addEventListener("input", () => {
      const output = document.querySelector(`output[for="${one.id}"]`);
      if (output) output.textContent = one.value;
      if (one.classList.contains("direction")) this.refresh();
    }));
    element("random").addEventListener("click", () => this.to(crypto.getRandomValues(new Uint32Array(1))[0]));
    element("walk")?.addEventListener("click", () => this.walk());
    element("keep").addEventListener("click", () => this.keep());
    element("straighten")?.addEventListener("click", () => {
      document.querySelectorAll(".direction").forEach((one) => {
        one.value = 0;
        document.querySelector(`output[for="${one.id}"]`).textContent = "0";
      });
      this.refresh();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.shown && this.paint());
  }

  key(key) {
    const seed = wishes().seed;
    const ways = { ArrowLeft: () => this.to(seed - 1), ArrowRight: () => this.to(seed + 1) };
    ways.r = () => element("random").click();
    ways[" "] = () => element("walk")?.click();
    return ways[key];
  }
}

// how a seed of this page relates to one of torch's
function tellSeeds(model) {
  const drawn = model.facts.latent.drawn;
  const told = model.exact ? "A seed draws the numbers that torch draws of it on a CPU."
    : drawn ? `This model draws latents in a way of its own: seeds count through ${drawn} that torch drew of seed 0.`
    : "Seeds are this page's own: torch draws other numbers of them.";
  element("seeds").textContent = told + (model.facts.random ? " It adds noise of its own to each sample." : "");
}

const quoted = (text) => (/^[\w./@%+=:,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

// The command that makes the same samples: of a seed, or of the latents that are saved.
function tellCommand({ facts, exact }, wish, share) {
  const plain = exact && !share && wish.layers === "" && wish.strengths.every((one) => one === 0);
  const words = ["ganzoo", "sample", quoted(facts.name)];
  if (plain) words.push("-n", wish.count, "--seed", wish.seed);
  else words.push("--latents", "latents.safetensors");
  if (plain && wish.label !== "") words.push("--label", quoted(facts.class_names[wish.label] || wish.label));
  if ((plain || facts.kind !== "styles") && wish.truncation < 1) words.push("--truncation", wish.truncation);
  element("command").textContent = words.join(" ");
}
