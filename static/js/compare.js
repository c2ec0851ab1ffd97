// Two runs in one plot a metric: their numbers are fetched and drawn as series of their own.

import { fetchJson } from "./connection.js";

const host = document.querySelector("[data-compare]");
if (host) await draw();

async function draw() {
  const { PlotBoard } = await import(host.dataset.plotModule);
  const board = new PlotBoard(host, {
    step: host.dataset.labelStep,
    table: host.dataset.labelTable,
    stage: (stage) => host.getAttribute(`data-label-stage-${stage}`) ?? stage,
  });
  const runs = [
    [host.dataset.a, host.dataset.nameA],
    [host.dataset.b, host.dataset.nameB],
  ];
  await Promise.all(runs.map(async ([address, run]) => {
    const metrics = await fetchJson(address);
    if (metrics) board.add(metrics.map((metric) => ({ ...metric, series: `${metric.name} · ${run}` })));
  }));
}
