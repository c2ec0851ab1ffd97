// The page of a run follows it live: stages, progress, curves, samples and log come as server-sent events.

import { fetchJson, listen } from "./connection.js";

const host = document.querySelector("[data-run]");
const { PlotBoard } = await import(host.dataset.plotModule);
const part = (name) => host.querySelector(`[data-run-${name}]`);
const label = (kind, word) => host.getAttribute(`data-label-${kind}-${word}`) ?? word;

const board = new PlotBoard(part("plots"), {
  step: host.dataset.labelStep,
  table: host.dataset.labelTable,
  stage: (stage) => label("stage", stage),
});

// The newest line is the one that one looks for.
part("log").scrollTop = part("log").scrollHeight;

const stop = listen(host.dataset.events, {
  metrics: (event) => board.add(JSON.parse(event.data)),
  state: (event) => showState(JSON.parse(event.data)),
  log: (event) => JSON.parse(event.data).forEach(showLine),
  samples: showSamples,
  end() {
    stop();
    // What a run found and made is drawn by the server.
    if (host.dataset.live === "true") location.reload();
  },
});

/** Whether the reader has chosen a step themselves: then new ones are offered, and theirs stays. */
let chose = new URLSearchParams(location.search).has("samples");
const step = () => part("samples").querySelector("[data-run-sample-step]");
let fetches = 0;

async function showSamples() {
  fetches += 1;
  const mine = fetches;
  const chosen = chose && step() ? `?samples=${encodeURIComponent(step().value)}` : "";
  const answer = await fetchJson(host.dataset.samples + chosen, () => mine === fetches);
  if (!answer) return;
  const focused = document.activeElement === step();
  part("samples").innerHTML = answer.html; // Made and sanitised by the server.
  if (focused) step()?.focus();
}

part("samples").addEventListener("change", (event) => {
  if (event.target !== step()) return;
  // At the newest step a reader goes on with the run.
  chose = step().selectedIndex > 0;
  showSamples();
});

function showState({ state, stage, step, total, worker }) {
  const badge = part("state");
  badge.textContent = label("state", state);
  badge.className = `badge job-${state}`;
  if (worker) part("worker").textContent = worker;
  const stages = [...host.querySelectorAll("[data-run-stage]")];
  const now = stages.findIndex((element) => element.dataset.runStage === stage);
  stages.forEach((element, index) => {
    const done = (state === "done" && stage) || index < now;
    element.dataset.state = done ? "done" : index === now && state === "running" ? "now" : "ahead";
    if (element.dataset.state === "now") element.setAttribute("aria-current", "step");
    else element.removeAttribute("aria-current");
  });
  const progress = part("progress");
  if (!progress || !stage) return;
  part("stage-name").textContent = label("stage", stage);
  progress.max = Math.max(total ?? 1, 1);
  progress.value = step ?? 0;
  part("steps").textContent = `${step ?? 0} / ${total ?? 0}`;
}

function showLine({ at, level, text }) {
  const log = part("log");
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 24;
  const line = document.createElement("span");
  line.className = `log-${level}`;
  const time = document.createElement("time");
  time.dateTime = at;
  time.textContent = at.slice(11, 19);
  line.append(time, ` ${text}\n`);
  log.append(line);
  part("log-empty")?.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}
