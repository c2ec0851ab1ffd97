// Line plots of a run's numbers as SVG: one figure a metric, `train/…` and `eval/…` of one name together, a table behind each.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 420;
const HEIGHT = 200;
const LEFT = 52;
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 24;
const STAGES = ["sft", "reward", "ppo", "dpo", "rloo", "grpo", "evaluate", "sample"];

const svg = (name, attributes = {}) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};

const html = (name, text, attributes = {}) => {
  const element = document.createElement(name);
  if (text) element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};

/** A number in at most four significant digits. */
export function shown(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size < 1e-4 || size >= 1e7 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

/** About `count` round numbers from `least` to `most`. */
export function ticks(least, most, count) {
  const rough = (most - least) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough) ?? rough;
  const found = [];
  for (let index = Math.ceil(least / step); index * step <= most + step * 1e-9; index += 1) found.push(index * step);
  return found;
}

class Plot {
  constructor(title, stage, labels) {
    this.labels = labels;
    // Plots of two stages may have the same title.
    this.name = `${labels.stage(stage)} · ${title}`;
    this.series = new Map();
    this.figure = html("figure", "", { class: "plot" });
    this.figure.append(html("h4", title));
    this.readout = html("p", "", { class: "plot-readout" });
    this.drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title });
    this.legend = html("figcaption", "", { class: "legend" });
    this.details = html("details");
    this.details.append(html("summary", labels.table));
    this.details.addEventListener("toggle", () => this.fillTable());
    this.drawing.addEventListener("pointermove", (event) => this.point(event));
    this.drawing.addEventListener("pointerleave", () => this.unpoint());
    this.figure.append(this.readout, this.drawing, this.legend, this.details);
  }

  add(name, step, value) {
    if (!this.series.has(name)) this.series.set(name, new Map());
    this.series.get(name).set(step, value);
  }

  lines() {
    return [...this.series].sort(([left], [right]) => (left < right ? 1 : -1)).map(([name, points]) => ({
      name,
      points: [...points].sort(([left], [right]) => left - right),
    }));
  }

  draw() {
    const lines = this.lines();
    const points = lines.flatMap((line) => line.points);
    let [least, most] = [Infinity, -Infinity];
    let [first, last] = [Infinity, -Infinity];
    for (const [step, value] of points) {
      least = Math.min(least, value);
      most = Math.max(most, value);
      first = Math.min(first, step);
      last = Math.max(last, step);
    }
    // What is the same but for rounding is drawn as the same: no number of an axis lies between, and one can't count up to one.
    const size = Math.max(Math.abs(least), Math.abs(most));
    const spread = most - least > size * 1e-9 ? most - least : 0;
    const pad = spread * 0.06 || size * 0.1 || 1;
    this.y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - least + pad) / (most - least + 2 * pad));
    this.x = (step) => LEFT + (WIDTH - LEFT - RIGHT) * (last > first ? (step - first) / (last - first) : 0.5);
    this.drawing.replaceChildren();
    // Of five there are two at least: one number alone is no scale.
    for (const tick of ticks(least - pad, most + pad, 5)) {
      const y = this.y(tick).toFixed(1);
      this.drawing.append(svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y }));
      this.text(shown(tick), LEFT - 6, Number(y) + 4, "end");
    }
    for (const tick of last > first ? ticks(first, last, 5) : [first]) {
      this.text(shown(tick), this.x(tick), HEIGHT - 6, "middle");
    }
    const bottom = HEIGHT - BOTTOM;
    this.drawing.append(svg("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: bottom, y2: bottom }));
    lines.forEach((line, index) => this.drawLine(line, (index % 4) + 1));
    this.cursor = svg("line", { class: "plot-cursor", y1: TOP, y2: bottom, visibility: "hidden" });
    this.drawing.append(this.cursor);
    this.legend.replaceChildren(
      ...(lines.length > 1 ? lines.map((line, index) => html("span", line.name, { class: `key key-${(index % 4) + 1}` })) : []),
    );
    this.tell();
    this.fillTable();
  }

  text(content, x, y, anchor) {
    const element = svg("text", { class: "tick", x, y, "text-anchor": anchor });
    element.textContent = content;
    this.drawing.append(element);
  }

  drawLine({ points }, colour) {
    const path = points.map(([step, value]) => `${this.x(step).toFixed(1)},${this.y(value).toFixed(1)}`).join(" ");
    this.drawing.append(svg("polyline", { class: `plot-line plot-line-${colour}`, points: path }));
    // A single point makes no line; few points are seen better as dots.
    if (points.length > 24) return;
    for (const [step, value] of points) {
      this.drawing.append(
        svg("circle", { class: `plot-dot plot-dot-${colour}`, cx: this.x(step).toFixed(1), cy: this.y(value).toFixed(1), r: 2.5 }),
      );
    }
  }

  /** The values at a step, or the last ones. */
  tell(step) {
    const parts = this.lines().map(({ name, points }) => {
      const [at, value] = step === undefined ? points.at(-1) : nearest(points, step);
      return `${this.series.size > 1 ? `${name} ` : ""}${shown(value)} (${this.labels.step} ${at})`;
    });
    this.readout.textContent = parts.join(" · ");
  }

  point(event) {
    const box = this.drawing.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * WIDTH;
    const steps = this.lines().flatMap((line) => line.points);
    const step = steps.reduce((best, [at]) => (Math.abs(this.x(at) - x) < Math.abs(this.x(best) - x) ? at : best), steps[0][0]);
    this.cursor.setAttribute("x1", this.x(step));
    this.cursor.setAttribute("x2", this.x(step));
    this.cursor.setAttribute("visibility", "visible");
    this.tell(step);
  }

  unpoint() {
    this.cursor.setAttribute("visibility", "hidden");
    this.tell();
  }

  /** The table is made when it is opened, and kept up while it is open. */
  fillTable() {
    if (!this.details.open) return;
    const lines = this.lines();
    const steps = [...new Set(lines.flatMap((line) => line.points.map(([step]) => step)))].sort((left, right) => left - right);
    const table = html("table");
    const head = table.createTHead().insertRow();
    for (const name of [this.labels.step, ...lines.map((line) => line.name)]) head.append(html("th", name, { scope: "col", class: "number" }));
    const body = table.createTBody();
    for (const step of steps) {
      const row = body.insertRow();
      row.append(html("th", String(step), { scope: "row", class: "number" }));
      for (const line of lines) {
        const value = this.series.get(line.name).get(step);
        row.append(html("td", value === undefined ? "–" : shown(value), { class: "number" }));
      }
    }
    const scroll = html("div", "", {
      class: "table-scroll",
      tabindex: "0",
      role: "region",
      "aria-label": `${this.name}: ${this.labels.table}`,
    });
    scroll.append(table);
    this.details.querySelector(".table-scroll")?.remove();
    this.details.append(scroll);
  }
}

const nearest = (points, step) =>
  points.reduce((best, point) => (Math.abs(point[0] - step) < Math.abs(best[0] - step) ? point : best), points[0]);

/** All plots of a run: a heading a stage, a figure a metric. `labels`: step, table, stage(name). */
export class PlotBoard {
  constructor(host, labels) {
    this.host = host;
    this.labels = labels;
    this.stages = new Map();
    this.dirty = new Set();
  }

  add(metrics) {
    // `series` names a line where the metric's name does not tell it from the others.
    for (const { stage, step, name, value, series } of metrics) {
      const plot = this.plot(stage, name.replace(/^(train|eval)\//, ""));
      plot.add(series ?? name, step, value);
      this.dirty.add(plot);
    }
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.dirty.forEach((plot) => plot.draw());
      this.dirty.clear();
    });
  }

  plot(stage, title) {
    if (!this.stages.has(stage)) this.addStage(stage);
    const { plots, grid } = this.stages.get(stage);
    if (!plots.has(title)) {
      const plot = new Plot(title, stage, this.labels);
      plots.set(title, plot);
      const after = [...plots.keys()].sort().indexOf(title);
      grid.insertBefore(plot.figure, grid.children[after] ?? null);
    }
    return plots.get(title);
  }

  addStage(stage) {
    this.host.querySelector(".empty")?.remove();
    const section = html("section");
    const grid = html("div", "", { class: "plot-grid" });
    section.dataset.stage = stage;
    section.append(html("h3", this.labels.stage(stage), { class: "stage-heading" }), grid);
    const later = [...this.host.children].find((other) => STAGES.indexOf(other.dataset.stage) > STAGES.indexOf(stage));
    this.host.insertBefore(section, later ?? null);
    this.stages.set(stage, { plots: new Map(), grid });
  }
}
