/* Pictures of samples: pixels on canvases, plots of values, sheets that are saved. */

const GAP = 2, TILE = 56; // as in ganzoo's own sheets: smaller pictures are enlarged by a whole factor

// One sample (C, H, W) in [low, high] as pixels: gray, RGB or RGBA; of other numbers of channels, the first as gray.
function pixels(values, start, sample) {
  const [channels, height, width] = sample.shape, area = height * width;
  const image = new ImageData(width, height), scale = 255 / (sample.high - sample.low);
  const plane = (channel) => start + area * channel;
  const places = channels === 3 || channels === 4 ? [plane(0), plane(1), plane(2)] : [plane(0), plane(0), plane(0)];
  for (let i = 0; i < area; i++) {
    places.forEach((place, c) => { image.data[4 * i + c] = Math.round((values[place + i] - sample.low) * scale); });
    image.data[4 * i + 3] = channels === 4 ? Math.round((values[plane(3) + i] - sample.low) * scale) : 255;
  }
  return image;
}

function paint(canvas, image) {
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function enlargedTo(canvas, source, least) {
  const factor = Math.max(1, Math.ceil(least / Math.max(source.width, source.height)));
  canvas.width = source.width * factor;
  canvas.height = source.height * factor;
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
}

// All canvases in rows, as near to a square as their number allows.
function sheetOf(canvases, columns = Math.ceil(Math.sqrt(canvases.length))) {
  const sheet = document.createElement("canvas"), { width, height } = canvases[0];
  const factor = Math.max(1, Math.ceil(TILE / width));
  const across = width * factor + GAP, down = height * factor + GAP;
  sheet.width = columns * across + GAP;
  sheet.height = Math.ceil(canvases.length / columns) * down + GAP;
  const context = sheet.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, sheet.width, sheet.height);
  context.imageSmoothingEnabled = false;
  canvases.forEach((one, i) => {
    const left = GAP + (i % columns) * across, top = GAP + Math.floor(i / columns) * down;
    context.drawImage(one, left, top, across - GAP, down - GAP);
  });
  return sheet;
}

// A picture's middle, of the proportions of a sample, resized to it: values (C, H, W) in its range.
function asSample(bitmap, sample) {
  const [channels, height, width] = sample.shape;
  const scale = Math.max(width / bitmap.width, height / bitmap.height);
  let source = bitmap, left = (bitmap.width - width / scale) / 2, top = (bitmap.height - height / scale) / 2;
  let across = width / scale, down = height / scale;
  while (across > 2 * width && down > 2 * height) { // by halves, lest pixels in between are skipped
    const half = new OffscreenCanvas(Math.ceil(across / 2), Math.ceil(down / 2));
    half.getContext("2d").drawImage(source, left, top, across, down, 0, 0, half.width, half.height);
    [source, left, top, across, down] = [half, 0, 0, half.width, half.height];
  }
  const canvas = new OffscreenCanvas(width, height), context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(source, left, top, across, down, 0, 0, width, height);
  const bytes = context.getImageData(0, 0, width, height).data, area = width * height;
  const values = new Float32Array(channels * area), range = (sample.high - sample.low) / 255;
  for (let i = 0; i < area; i++) {
    const [red, green, blue] = bytes.subarray(4 * i, 4 * i + 3);
    const gray = Math.floor((red * 19595 + green * 38470 + blue * 7471 + 32768) / 65536); // as ITU-R 601 weighs them
    for (let c = 0; c < channels; c++) {
      const byte = channels === 1 ? gray : channels === 4 && c === 3 ? bytes[4 * i + 3] : bytes[4 * i + c];
      values[c * area + i] = byte * range + sample.low;
    }
  }
  return values;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Samples of values: a histogram of the first one, or a scatter of the first two.
function plot(canvas, values, size) {
  const count = values.length / size, side = 560, edge = 40;
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d");
  const span = (offset) => {
    const sorted = Float32Array.from({ length: count }, (_, i) => values[i * size + offset]).sort();
    const at = (share) => sorted[Math.min(count - 1, Math.floor(share * count))];
    const margin = 0.1 * (at(0.999) - at(0.001)) + 1e-3;
    return [at(0.001) - margin, at(0.999) + margin];
  };
  const place = ([low, high], value) => edge + ((value - low) / (high - low)) * (side - 2 * edge);
  context.fillStyle = colour("--line-1");
  const x = span(0);
  let y = [0, 1];
  if (size === 1) {
    const bins = new Array(60).fill(0);
    for (const value of values) {
      const bin = Math.floor(((value - x[0]) / (x[1] - x[0])) * bins.length);
      if (bin >= 0 && bin < bins.length) bins[bin]++;
    }
    y = [0, (Math.max(...bins) / count) * bins.length / (x[1] - x[0])];
    const across = (side - 2 * edge) / bins.length;
    bins.forEach((one, i) => {
      const height = (one / Math.max(...bins)) * (side - 2 * edge);
      context.fillRect(edge + i * across, side - edge - height, across - 1, height);
    });
  } else {
    y = span(1);
    context.globalAlpha = 0.6;
    for (let i = 0; i < count; i++) context.fillRect(place(x, values[i * size]) - 1.5, side - place(y, values[i * size + 1]) - 1.5, 3, 3);
    context.globalAlpha = 1;
  }
  axes(context, side, edge, x, y);
}

function axes(context, side, edge, x, y) {
  context.strokeStyle = context.fillStyle = colour("--ink-2");
  context.font = "13px sans-serif";
  context.strokeRect(edge, edge, side - 2 * edge, side - 2 * edge);
  const told = (value) => Number(value.toPrecision(3)).toString();
  context.textAlign = "left";
  context.fillText(told(x[0]), edge, side - edge + 16);
  context.fillText(told(y[1]), edge, edge - 6);
  context.fillText(told(y[0]), 2, side - edge);
  context.textAlign = "right";
  context.fillText(told(x[1]), side - edge, side - edge + 16);
}
