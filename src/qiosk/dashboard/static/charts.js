// What charts have in common: colours, axes and numbers; they are drawn again after live updates, at other widths and in
// other colours.
"use strict";

const charts = (() => {
  const HEIGHT = 320;
  const FONT = "12px system-ui, sans-serif";

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const digits = (value, most) => (value == null ? "–" : value.toLocaleString("en", { maximumSignificantDigits: most }));

  const axis = (more) => ({
    stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 },
    values: (_chart, values) => values.map((value) => (value == null ? null : digits(value, 6))),
    font: FONT, labelFont: FONT, ...more,
  });

  // An axis at a side, with room for its longest number.
  const upright = (more) => axis({
    size: (_chart, values) => 16 + 7 * Math.max(5, ...(values ?? []).map((value) => value?.length ?? 0)), ...more,
  });

  // The places 1, 2, … 9 of each decade on a logarithmic axis; where there are hardly any, places at equal distances.
  function decades(_chart, _axis, low, high) {
    const places = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
      for (let digit = 1; digit <= 9; digit++) places.push(Number(`${digit}e${power}`));
    }
    const inside = places.filter((place) => place >= low && place <= high);
    const between = () => [0, 1, 2, 3, 4].map((step) => Number((low + ((high - low) * step) / 4).toPrecision(3)));
    return inside.length > 2 ? inside : [...new Set(between())].filter((place) => place >= low && place <= high);
  }

  // Of these places, those that get a label.
  function labelled(_chart, places) {
    const wanted = places.length > 25 ? ["1"] : places.length > 9 ? ["1", "2", "5"] : null;
    return places.map((place) => (!wanted || wanted.includes(place.toExponential()[0]) ? place : null));
  }

  // The axis and the scale of times or counts.
  const across = (label, isLog) => axis({ label, ...(isLog ? { splits: decades, filter: labelled } : {}) });
  const lengthwise = (isLog) => ({
    time: false, distr: isLog ? 3 : 1, range: (_chart, low, high) => (low < high ? [low, high] : [low, low + 1]),
  });

  const line = (label, scale, stroke, more) => ({
    label, scale, stroke, width: 2, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false },
    value: (_chart, value) => digits(value, 8), ...more,
  });

  // Draw in the element #chart what `read` finds: data, options, and in `points` how many points there are. `shape` tells
  // charts apart that need other options. A live update may bring the element later.
  function keep(read) {
    let place = null;
    let chart = null;
    let shape = null;
    let isLoading = false;
    let isLate = false;

    function show(found) {
      if (chart && shape === found.shape) {
        chart.setData(found.data);
      } else {
        chart?.destroy();
        place.replaceChildren();
        chart = new uPlot({ width: place.clientWidth, height: HEIGHT, ...found.options() }, found.data, place);
        shape = found.shape;
      }
      place.dataset.points = String(found.points);
    }

    async function load() {
      const found = document.getElementById("chart");
      if (!found) return;
      if (isLoading) {
        isLate = true;
        return;
      }
      if (found !== place) {
        place = found;
        chart = null;
        new ResizeObserver(resize).observe(place);
      }
      isLoading = true;
      try {
        const content = await read(place, Math.min(4000, Math.max(100, place.clientWidth)));
        if (content) show(content);
      } finally {
        isLoading = false;
      }
      if (isLate) {
        isLate = false;
        load();
      }
    }

    function resize() {
      if (chart && place.clientWidth) chart.setSize({ width: place.clientWidth, height: HEIGHT });
    }

    load();
    document.addEventListener("htmx:afterSwap", load);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      shape = null;
      load();
    });
  }

  return { colour, digits, upright, line, across, lengthwise, keep };
})();
