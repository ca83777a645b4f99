// The chart of a job's convergence: costs, sweeps and the bound as steps over time, fetched again after live updates.
"use strict";

(() => {
  const HEIGHT = 320;
  let place = null;
  let chart = null;
  let isLoading = false;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const digits = (value, most) => (value == null ? "–" : value.toLocaleString("en", { maximumSignificantDigits: most }));

  // The places 1, 2, … 9 of each decade on a logarithmic axis; where there are hardly any, places at equal distances.
  function decades(_chart, _axis, low, high) {
    const places = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
      for (let digit = 1; digit <= 9; digit++) places.push(Number(`${digit}e${power}`));
    }
    const inside = places.filter((place) => place >= low && place <= high);
    return inside.length > 2 ? inside : [0, 1, 2, 3, 4].map((step) => low + ((high - low) * step) / 4);
  }

  // Of these places, those that get a label.
  function labelled(_chart, places) {
    const wanted = places.length > 25 ? ["1"] : places.length > 9 ? ["1", "2", "5"] : null;
    return places.map((place) => (!wanted || wanted.includes(place.toExponential()[0]) ? place : null));
  }

  function options(curves) {
    const isLog = new URL(place.dataset.curves, window.location).searchParams.get("time") === "log";
    const showsBound = place.dataset.bound ? place.dataset.bound === "show" : curves.isBoundNear;
    const steps = uPlot.paths.stepped({ align: 1 });
    const line = (label, scale, name, more = {}) => ({
      label, scale, stroke: colour(name), width: 2, paths: steps, points: { show: false },
      value: (_chart, value) => digits(value, 8), ...more,
    });
    const font = "12px system-ui, sans-serif";
    const axis = (more) => ({
      stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 },
      values: (_chart, values) => values.map((value) => (value == null ? null : digits(value, 6))),
      font, labelFont: font, ...more,
    });
    return {
      width: place.clientWidth, height: HEIGHT,
      scales: { x: { time: false, distr: isLog ? 3 : 1, range: (_chart, low, high) => (low < high ? [low, high] : [low, low + 1]) }, sweeps: { range: (_chart, _low, high) => [0, high || 1] } },
      axes: [
        axis({ label: "Time [s]", ...(isLog ? { splits: decades, filter: labelled } : {}) }),
        axis({ scale: "cost", label: "Best cost", size: 72 }),
        axis({ scale: "sweeps", label: "Sweeps", side: 1, grid: { show: false }, size: 72 }),
      ],
      series: [
        { label: "Time [s]", value: (_chart, value) => digits(value, 4) },
        line("Best cost", "cost", "--series-1"),
        line("Bound", "cost", "--series-2", { dash: [6, 4], show: showsBound }),
        line("Sweeps", "sweeps", "--series-7", { width: 1, paths: uPlot.paths.linear(), spanGaps: true }),
      ],
    };
  }

  function draw(curves) {
    const data = [curves.seconds, curves.costs, curves.bounds, curves.sweeps];
    if (chart) {
      chart.setData(data);
    } else {
      place.replaceChildren();
      chart = new uPlot(options(curves), data, place);
    }
    place.dataset.points = String(curves.points);
  }

  async function load() {
    const found = document.getElementById("chart"); // a live update brings it when there is a first solution
    if (!found || isLoading) return;
    if (found !== place) {
      place = found;
      chart = null;
      new ResizeObserver(resize).observe(place);
    }
    isLoading = true;
    try {
      const url = new URL(place.dataset.curves, window.location);
      url.searchParams.set("points", String(Math.min(4000, Math.max(100, place.clientWidth))));
      const response = await fetch(url);
      if (response.ok) draw(await response.json());
    } finally {
      isLoading = false;
    }
  }

  function resize() {
    if (chart && place.clientWidth) chart.setSize({ width: place.clientWidth, height: HEIGHT });
  }

  load();
  document.addEventListener("htmx:afterSwap", load);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    chart?.destroy();
    chart = null;
    load();
  });
})();
