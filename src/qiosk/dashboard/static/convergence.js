// The chart of a job's convergence: costs, sweeps and the bound as steps over time, fetched again after live updates.
"use strict";

charts.keep(async (place, points) => {
  const url = new URL(place.dataset.curves, window.location);
  url.searchParams.set("points", String(points));
  const response = await fetch(url);
  if (!response.ok) return null;
  const curves = await response.json();
  const showsBound = place.dataset.bound ? place.dataset.bound === "show" : curves.isBoundNear;
  const isLog = url.searchParams.get("time") === "log";
  const { across, upright, line, colour, digits } = charts;
  return {
    data: [curves.seconds, curves.costs, curves.bounds, curves.sweeps],
    points: curves.points,
    shape: "one job",
    options: () => ({
      scales: {
        x: charts.lengthwise(isLog),
        sweeps: { range: (_chart, _low, high) => [0, high || 1] },
      },
      axes: [
        across("Time [s]", isLog),
        upright({ scale: "cost", label: "Best cost" }),
        upright({ scale: "sweeps", label: "Sweeps", side: 1, grid: { show: false } }),
      ],
      series: [
        { label: "Time [s]", value: (_chart, value) => digits(value, 4) },
        line("Best cost", "cost", colour("--series-1")),
        line("Bound", "cost", colour("--series-2"), { dash: [6, 4], show: showsBound }),
        line("Sweeps", "sweeps", colour("--series-7"), { width: 1, paths: uPlot.paths.linear(), spanGaps: true }),
      ],
    }),
  };
});
