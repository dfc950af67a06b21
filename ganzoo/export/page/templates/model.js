/* The model: its files, run by onnxruntime-web, and the latents that they are fed.

   Rows of numbers lie in one Float32Array, one row a sample: latents z, or of a model with styles w+, the styles of
   all layers one after the other. */

const MOST_VALUES = 2 ** 21; // of samples that are made at once
const runtimes = {};

async function loadRuntime(device) {
  if (!runtimes[device]) {
    const runtime = await import(`./runtime/ort.${device}.js`);
    const core = new URL(`runtime/ort.${device}.core`, document.baseURI).href;
    runtime.env.wasm.wasmPaths = { mjs: core + ".js", wasm: core + ".wasm" };
    runtime.env.wasm.numThreads = crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;
    runtime.env.logLevel = "error";
    runtimes[device] = runtime;
  }
  return runtimes[device];
}

async function fetched(name, version) {
  const answer = await fetch(`model/${name}?${encodeURIComponent(version)}`);
  if (!answer.ok) throw new Error(`model/${name} cannot be had: ${answer.status}`);
  return answer;
}

const product = (shape) => shape.reduce((all, one) => all * one, 1);

class Model {
  static async open(device, version) {
    const model = new Model();
    model.facts = await (await fetched("facts.json", version)).json();
    model.device = device;
    model.runtime = await loadRuntime(device);
    model.sessions = {};
    for (const name of model.facts.files) {
      if (!name.endsWith(".onnx")) continue;
      const bytes = new Uint8Array(await (await fetched(name, model.facts.version)).arrayBuffer());
      const options = { executionProviders: [device], logSeverityLevel: 3 };
      model.sessions[name] = await model.runtime.InferenceSession.create(bytes, options);
    }
    if (model.facts.latent) await model.prepareLatents();
    return model;
  }

  async close() {
    for (const session of Object.values(this.sessions)) await session.release();
  }

  get styled() { return this.facts.kind === "styles"; }

  async prepareLatents() {
    const latent = this.facts.latent;
    if (latent.drawn) {
      this.drawn = new Float32Array(await (await fetched("latents.bin", this.facts.version)).arrayBuffer());
      return;
    }
    const own = this.draw(0, latent.check.length / product(latent.shape));
    this.exact = own.every((value, i) => Math.abs(value - latent.check[i]) < 1e-4);
  }

  // latents z of a seed, as torch draws `count` of them at once
  draw(seed, count) {
    const latent = this.facts.latent, size = product(latent.shape), told = latent.distribution;
    if (this.drawn) {
      const first = seed * count;
      const row = (i) => ((first + i) % latent.drawn) * size;
      const values = new Float32Array(count * size);
      for (let i = 0; i < count; i++) values.set(this.drawn.subarray(row(i), row(i) + size), i * size);
      return values;
    }
    if (told.name === "uniform") return uniform(seed, count * size).map((u) => told.low + (told.high - told.low) * u);
    return normal(seed, count * size).map((z) => told.mean + told.deviation * z);
  }

  // What a file makes of its inputs, {name: [shape of one row, values]}; in parts, so that memory lasts.
  async run(name, inputs, count, width) {
    const session = this.sessions[name], most = Math.max(1, Math.floor(MOST_VALUES / width));
    let made = null;
    for (let start = 0; start < count; start += most) {
      const rows = Math.min(most, count - start), feeds = {};
      for (const [input, [shape, values]] of Object.entries(inputs)) feeds[input] = this.tensor(shape, values, start, rows);
      const output = (await session.run(feeds))[session.outputNames[0]];
      const values = await output.getData();
      made = made || new Float32Array(count * (values.length / rows));
      made.set(values, start * (values.length / rows));
      output.dispose();
    }
    return made;
  }

  tensor(shape, values, start, rows) {
    const Tensor = this.runtime.Tensor;
    if (shape === null) return new Tensor("float32", Float32Array.of(values), []); // one number for all rows
    const size = product(shape), part = values.slice(start * size, (start + rows) * size);
    const type = values instanceof BigInt64Array ? "int64" : "float32";
    return new Tensor(type, part, [rows, ...shape]);
  }

  // rows of latents, or of styles, of a seed
  async rows(seed, labels, truncation) {
    const latents = this.draw(seed, labels.length);
    if (!this.styled) return latents;
    const inputs = this.inputs(latents, labels, truncation);
    return this.run("style.onnx", inputs, labels.length, product(this.facts.style));
  }

  inputs(latents, labels, truncation) {
    const given = {
      latent: [this.facts.latent.shape, latents],
      label: [[], BigInt64Array.from(labels, BigInt)],
      truncation: [null, truncation],
    };
    return Object.fromEntries(this.facts.inputs.map((name) => [name, given[name]]));
  }

  // samples of rows, one after the other
  async samples(rows, labels, truncation) {
    const inputs = this.styled ? { style: [this.facts.style, rows] } : this.inputs(rows, labels, truncation);
    return this.run("sample.onnx", inputs, labels.length, product(this.facts.sample.shape));
  }

  async translated(number, picture) {
    const one = this.facts.translations[number];
    return this.run(one.file, { source: [one.reads.shape, picture] }, 1, product(one.makes.shape));
  }

  // Rows moved along directions by so many standard deviations; of styles, those of all layers.
  moved(rows, strengths) {
    const directions = this.facts.directions.filter((_, i) => strengths[i]);
    const chosen = strengths.filter((one) => one);
    if (!chosen.length) return rows;
    const step = new Float32Array(directions[0].length);
    directions.forEach((direction, k) => direction.forEach((value, i) => { step[i] += chosen[k] * value; }));
    return rows.map((value, i) => value + step[i % step.length]);
  }

  // Styles of the first rows, but for some layers, whose styles are those of the second.
  mixed(first, second, layers) {
    const [count, size] = this.facts.style, chosen = new Set(layers);
    return first.map((value, i) => (chosen.has(Math.floor(i / size) % count) ? second[i] : value));
  }

  // Rows between two: styles on straight lines, latents on great circles.
  between(first, second, share) {
    if (this.styled) return first.map((value, i) => value + (second[i] - value) * share);
    const size = product(this.facts.latent.shape), made = new Float32Array(first.length);
    for (let start = 0; start < first.length; start += size) {
      const a = first.subarray(start, start + size), b = second.subarray(start, start + size);
      made.set(onCircle(a, b, share), start);
    }
    return made;
  }
}

function onCircle(a, b, share) {
  const dot = (x, y) => x.reduce((sum, value, i) => sum + value * y[i], 0);
  const cosine = dot(a, b) / Math.max(Math.sqrt(dot(a, a) * dot(b, b)), 1e-12);
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
  if (a.length < 3 || Math.sin(angle) < 1e-4) return a.map((value, i) => value + (b[i] - value) * share);
  const left = Math.sin((1 - share) * angle) / Math.sin(angle), right = Math.sin(share * angle) / Math.sin(angle);
  return a.map((value, i) => left * value + right * b[i]);
}

// The layers of "coarse", "middle" or "fine", a third each, or of one number.
function layersOf(text, count) {
  const third = Math.max(1, Math.floor(count / 3));
  const bounds = { coarse: [0, third], middle: [third, 2 * third], fine: [2 * third, count] }[text];
  const [first, last] = bounds || [Number(text), Number(text) + 1];
  return Array.from({ length: last - first }, (_, i) => first + i);
}

// A .safetensors file of rows and their classes, as `ganzoo sample --latents` reads it.
function latentsFile(space, shape, rows, labels) {
  const count = labels.length, bytes = rows.byteLength;
  const header = JSON.stringify({
    [space]: { dtype: "F32", shape: [count, ...shape], data_offsets: [0, bytes] },
    label: { dtype: "I64", shape: [count], data_offsets: [bytes, bytes + 8 * count] },
  });
  const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
  const length = BigUint64Array.of(BigInt(padded.length));
  return new Blob([length, padded, rows, BigInt64Array.from(labels, BigInt)]);
}
