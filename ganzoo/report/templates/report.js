"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const slider = document.getElementById("slider");
  const picture = document.getElementById("frame");
  const position = document.getElementById("position");
  const play = document.getElementById("play");
  const charts = [...document.querySelectorAll(".chart")];
  const count = new Intl.NumberFormat("en");

  function shown(value) {
    const size = Math.abs(value);
    if (size !== 0 && (size >= 1e5 || size < 1e-3)) return value.toExponential(2);
    return String(Number(value.toPrecision(3)));
  }

  // the last value at or before a number of images, or the first one
  function valueAt(points, images) {
    let low = 0, high = points.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (points[middle][0] <= images) low = middle; else high = middle - 1;
    }
    return points.length ? points[low][1] : null;
  }

  function pointAt(chart, images) {
    const left = Number(chart.dataset.left), right = Number(chart.dataset.right), end = Number(chart.dataset.end);
    const cursor = chart.querySelector(".cursor");
    cursor.hidden = false;
    cursor.style.left = left + (right - left) * Math.min(Math.max(images / end, 0), 1) + "%";
    chart.querySelectorAll("[data-curve]").forEach((label) => {
      const value = valueAt(data.charts[chart.dataset.chart][label.dataset.curve], images);
      label.textContent = value === null ? "" : shown(value);
    });
  }

  function pointAll(images) { charts.forEach((chart) => pointAt(chart, images)); }

  function frameImages() {
    if (slider) return data.frames[slider.value].images;
    return charts.length ? Number(charts[0].dataset.end) : 0;
  }

  function show() {
    const frame = data.frames[slider.value];
    const text = count.format(frame.images) + " images";
    picture.src = frame.source;
    picture.alt = "Samples after " + text;
    position.textContent = text;
    slider.setAttribute("aria-valuetext", text);
    pointAll(frame.images);
  }

  function nearestFrame(images) {
    let best = 0;
    data.frames.forEach((frame, i) => {
      if (Math.abs(frame.images - images) < Math.abs(data.frames[best].images - images)) best = i;
    });
    return best;
  }

  let timer = null;
  function stop() {
    clearInterval(timer);
    timer = null;
    play.setAttribute("aria-pressed", "false");
    play.setAttribute("aria-label", "Play");
    play.firstElementChild.textContent = "▶";
  }
  function step() {
    slider.value = (Number(slider.value) + 1) % data.frames.length;
    show();
    if (Number(slider.value) === data.frames.length - 1) stop();
  }
  function toggle() {
    if (timer !== null) return stop();
    play.setAttribute("aria-pressed", "true");
    play.setAttribute("aria-label", "Pause");
    play.firstElementChild.textContent = "⏸";
    timer = setInterval(step, Math.max(120, Math.min(400, 8000 / data.frames.length)));
  }

  if (slider) {
    slider.addEventListener("input", () => { if (timer !== null) stop(); show(); });
    play.addEventListener("click", toggle);
    document.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || enlarged.open) return;
      const inside = event.target.closest && event.target.closest("button, summary, pre, a, input");
      if (event.defaultPrevented) return;
      if (event.key === " " && (!inside || inside === slider)) {
        event.preventDefault();
        toggle();
      } else if (!inside && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
        event.preventDefault();
        slider.value = Number(slider.value) + (event.key === "ArrowRight" ? 1 : -1);
        slider.dispatchEvent(new Event("input"));
      }
    });
  }

  document.querySelectorAll(".findings button").forEach((button) => {
    button.addEventListener("click", () => {
      const images = Number(button.dataset.images);
      if (slider) { slider.value = nearestFrame(images); slider.dispatchEvent(new Event("input")); }
      pointAll(images);
    });
  });

  charts.forEach((chart) => {
    const plot = chart.querySelector(".plot");
    const left = Number(chart.dataset.left), right = Number(chart.dataset.right), end = Number(chart.dataset.end);
    plot.addEventListener("pointermove", (event) => {
      const box = plot.getBoundingClientRect();
      const share = ((event.clientX - box.left) / box.width * 100 - left) / (right - left);
      pointAll(Math.min(Math.max(share, 0), 1) * end);
    });
    plot.addEventListener("pointerleave", () => pointAll(frameImages()));
  });
  pointAll(frameImages());

  const enlarged = document.getElementById("enlarged"), large = document.getElementById("large");
  document.querySelectorAll("main img").forEach((image) => {
    const open = () => {
      large.src = image.src;
      large.alt = image.alt;
      document.getElementById("large-title").textContent = image.alt;
      enlarged.showModal();
    };
    image.tabIndex = 0;
    image.setAttribute("role", "button");
    image.setAttribute("aria-haspopup", "dialog");
    image.addEventListener("click", open);
    image.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(); }
    });
  });
  [large, document.getElementById("close")].forEach((one) => one.addEventListener("click", () => enlarged.close()));

  const copy = document.getElementById("copy");
  copy.addEventListener("click", async () => {
    const command = document.getElementById("command");
    try {
      await navigator.clipboard.writeText(command.textContent);
      copy.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(command);
      copy.textContent = "Selected";
    }
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  });

  const version = document.body.dataset.live;
  if (version) {
    const badge = document.getElementById("live");
    try {
      const kept = JSON.parse(sessionStorage.getItem("position"));
      if (kept && slider && !kept.last) { slider.value = nearestFrame(kept.images); show(); }
    } catch { /* nothing was kept */ }
    const poll = async () => {
      try {
        const now = await (await fetch("version", { cache: "no-store" })).text();
        if (now !== version && timer === null) {
          if (slider) {
            const last = Number(slider.value) === data.frames.length - 1;
            sessionStorage.setItem("position", JSON.stringify({ images: frameImages(), last }));
          }
          location.reload();
          return;
        }
        setTimeout(poll, 3000);
      } catch {
        badge.textContent = "over";
        badge.classList.add("over");
      }
    };
    setTimeout(poll, 3000);
  }
})();
