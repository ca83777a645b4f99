// The best costs of several jobs as steps over time or sweeps. Each job is an element [data-trace] of the page's key, whose
// line has the colour and the dashes.
"use strict";

(() => {
  const ended = new Map(); // curves of jobs that change no more

  async function curvesOf(job, points) {
    const key = `${job.dataset.trace} ${points}`;
    if (ended.has(key)) return ended.get(key);
    const url = new URL(job.dataset.trace, window.location);
    url.searchParams.set("points", String(points));
    const response = await fetch(url);
    if (!response.ok) return null; // it was deleted: the next update of the page says so
    const curves = await response.json();
    if ("ended" in job.dataset) ended.set(key, curves);
    return curves;
  }

  // Costs by place on the axis. A logarithmic axis of sweeps begins with 1.
  function stepsOf(curves, bySweeps, isLog) {
    const steps = new Map();
    curves?.costs.forEach((cost, row) => {
      const place = bySweeps ? curves.sweeps[row] : curves.seconds[row];
      if (cost != null && place != null) steps.set(isLog && bySweeps ? Math.max(1, place) : place, cost);
    });
    return steps;
  }

  // One column of places for all jobs, and a column of costs for each, from its first place to its last one.
  function aligned(all) {
    const places = [...new Set(all.flatMap((steps) => [...steps.keys()]))].sort((one, other) => one - other);
    const columns = all.map((steps) => {
      const last = Math.max(...steps.keys());
      let cost = null;
      return places.map((place) => {
        cost = steps.get(place) ?? cost;
        return place <= last ? cost : null;
      });
    });
    return [places, ...columns];
  }

  function styleOf(job) {
    const style = getComputedStyle(job.querySelector("svg.line"));
    const dash = style.strokeDasharray === "none" ? [] : style.strokeDasharray.split(",").map(parseFloat);
    return { stroke: style.stroke, dash };
  }

  charts.keep(async (place, points) => {
    const jobs = [...document.querySelectorAll("[data-trace]")];
    const bySweeps = place.dataset.axis === "sweeps";
    const isLog = place.dataset.scale === "log";
    const curves = await Promise.all(jobs.map((job) => curvesOf(job, points)));
    const { across, upright, line, digits } = charts;
    const label = bySweeps ? "Sweeps" : "Time [s]";
    return {
      data: aligned(curves.map((each) => stepsOf(each, bySweeps, isLog))),
      points: curves.reduce((sum, each) => sum + (each?.points ?? 0), 0),
      shape: jobs.map((job) => job.id).join(" "),
      options: () => ({
        scales: { x: charts.lengthwise(isLog) },
        axes: [across(label, isLog), upright({ scale: "cost", label: "Best cost" })],
        series: [
          { label, value: (_chart, value) => digits(value, 4) },
          ...jobs.map((job) => {
            const { stroke, dash } = styleOf(job);
            return line(job.dataset.label, "cost", stroke, { dash });
          }),
        ],
      }),
    };
  });
})();
