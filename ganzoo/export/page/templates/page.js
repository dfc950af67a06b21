/* The whole page: it opens the model, shows canvases, enlarges and saves them, hears keys, and follows a training run. */

const live = document.body.dataset.live;
const page = element("file") ? new Translating() : new Sampling();
let model = null;

function say(text) { element("status").textContent = text; }

// As many canvases as are wanted, each in a button that enlarges it. title: of the one with a number.
function canvases(count, title) {
  const place = element("samples");
  while (place.children.length > count) place.lastElementChild.remove();
  while (place.children.length < count) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(document.createElement("canvas"));
    button.addEventListener("click", () => enlarge([...place.children].indexOf(button)));
    place.append(button);
  }
  place.style.setProperty("--columns", Math.ceil(Math.sqrt(count)));
  const all = [...place.children];
  all.forEach((button, i) => button.setAttribute("aria-label", title(i)));
  return all.map((button) => button.firstElementChild);
}

let enlarged = 0;

function enlarge(i) {
  const all = [...element("samples").children];
  enlarged = (i + all.length) % all.length;
  enlargedTo(element("large"), all[enlarged].firstElementChild, 512);
  element("large-title").textContent = all[enlarged].getAttribute("aria-label");
  if (!element("enlarged").open) element("enlarged").showModal();
}

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function save() {
  if (!element("save").disabled) page.saved().toBlob((blob) => download(blob, "samples.png"));
}

function hear(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const turned = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (element("enlarged").open) {
    if (turned) enlarge(enlarged + turned);
    return;
  }
  const field = event.target.closest?.("input, select, summary, pre, a");
  const inside = field && (turned || field.type !== "range"); // a slider means arrows only
  const act = event.key === "s" ? save : page.key(event.key);
  if (inside || !act || !model || (event.key === " " && event.target.closest?.("button"))) return;
  event.preventDefault();
  act();
}

// Another device computes from now on; if it cannot, the one before goes on.
async function compute(device, version = live || "") {
  const opened = await Model.open(device, version);
  const before = model;
  model = opened;
  await page.open(model);
  await before?.close();
}

async function change() {
  const wanted = element("device").value;
  say("Loading…");
  try {
    await compute(wanted);
  } catch (error) {
    element("device").value = model.device;
    say(`${wanted === "webgpu" ? "WebGPU" : "WebAssembly"} cannot run this model here: ${error.message}`);
  }
}

async function offerWebGPU() {
  if (document.body.dataset.webgpu === undefined || !navigator.gpu) return;
  if (!(await navigator.gpu.requestAdapter())) return;
  element("devices").hidden = false;
  if (page.milliseconds > 1000) { // so slow that the second download pays
    element("device").value = "webgpu";
    await change();
  }
}

// A run goes on: when the server has a newer model, it takes the place of this one, the controls stay as they are.
async function follow(version) {
  const badge = element("live");
  try {
    const now = await (await fetch("version", { cache: "no-store" })).text();
    if (now !== version) {
      await compute(model.device, now);
      element("facts").replaceChildren(...model.facts.about.map((fact) => {
        const span = document.createElement("span");
        span.textContent = fact;
        return span;
      }));
    }
    setTimeout(follow, 3000, now);
  } catch {
    badge.textContent = "over";
    badge.classList.add("over");
  }
}

async function start() {
  if (location.protocol === "file:") {
    say("A browser loads no model for a page that is opened as a file: run `python -m http.server` in this page's folder, or `ganzoo play`, and open the address that it shows.");
    return;
  }
  say("Loading the model…");
  page.listen();
  element("save").addEventListener("click", save);
  element("device").addEventListener("change", change);
  ["large", "close"].forEach((id) => element(id).addEventListener("click", () => element("enlarged").close()));
  document.addEventListener("keydown", hear);
  try {
    await compute("wasm");
  } catch (error) {
    say(`The model cannot be run here: ${error.message}`);
    return;
  }
  if (live) setTimeout(follow, 3000, live);
  await offerWebGPU();
}

start();
