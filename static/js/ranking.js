// The ranking page: letters, buttons and dragging change one order; the form's radio buttons always say the same.

import { makeDraggable } from "./drag.js";
import { Order } from "./order.js";
import { announce, isForPage, keyName, say, words } from "./page.js";
import { flagsOf, rate, rateBy, showFilled, toggleAllBad } from "./assessment.js";
import { showBeside } from "./beside.js";
import { form, onTask, showError } from "./task.js";

const EXCERPT = 60;
/** Pixels that stay between the picked answer and the end of the part of the order that one sees. */
const MARGIN = 8;
const letter = (position) => article.get(position).dataset.letter;

// Of the task that is shown now.
let board;
let list;
let pool;
let said;
let positions;
let article;
let byLetter;
let chips;
let order;

/** Whether the task that is shown now is a ranking. */
const here = () => form.dataset.kind === "ranking";

function start() {
  board = document.querySelector(".board");
  list = document.querySelector("[data-tiers]");
  pool = document.querySelector("[data-pool]");
  said = document.querySelector("[data-said]");
  const articles = [...document.querySelectorAll("article[data-position]")];
  positions = articles.map((element) => Number(element.dataset.position));
  article = new Map(articles.map((element) => [Number(element.dataset.position), element]));
  byLetter = new Map(positions.map((position) => [letter(position).toLowerCase(), position]));
  chips = new Map(positions.map((position) => [position, chipOf(position)]));
  order = new Order(positions, chosen());
  list.dataset.empty = words.emptyTiers;
  form.addEventListener("submit", refuseUnranked);
  form.addEventListener("laurel:restored", restored);
  showFilled();
  draw();
}

function chipOf(position) {
  const chip = document.createElement("button");
  chip.type = "button";
  chip.className = "chip";
  chip.dataset.chip = position;
  const name = document.createElement("strong");
  name.textContent = letter(position);
  const rank = document.createElement("span");
  rank.className = "visually-hidden";
  const text = document.createElement("span");
  text.className = "chip-text";
  text.dir = "auto";
  text.textContent = article.get(position).querySelector(".prose").innerText.trim().slice(0, EXCERPT);
  chip.append(name, rank, text);
  return chip;
}

/** The ranks that the form has: of a draft, or of what was sent before. */
function chosen() {
  const ranks = new Map();
  for (const position of positions) {
    const value = Number(form.elements[`rank_${position}`].value);
    if (value > 0) ranks.set(position, value);
  }
  return ranks;
}

function draw() {
  const focused = document.activeElement?.dataset?.chip;
  list.replaceChildren(...order.tiers.map((tier) => {
    const row = document.createElement("li");
    row.className = "tier";
    const rank = document.createElement("span");
    rank.className = "tier-rank";
    rank.textContent = `${order.rank(tier[0])}${tier.length > 1 ? " =" : ""}`;
    const group = document.createElement("div");
    group.className = "tier-chips";
    group.append(...tier.map((position) => chips.get(position)));
    row.append(rank, group);
    return row;
  }));
  pool.replaceChildren(...order.unranked.map((position) => chips.get(position)));
  for (const position of positions) {
    const rank = order.rank(position);
    const card = article.get(position);
    const current = order.current === position;
    const tied = order.tiedWith(position).length > 0;
    card.toggleAttribute("data-ranked", rank !== null);
    card.toggleAttribute("data-current", current);
    card.querySelector("[data-place]").textContent =
      rank === null ? words.place : say(tied ? words.rankedTied : words.ranked, { rank });
    chips.get(position).setAttribute("aria-pressed", String(current));
    chips.get(position).querySelector(".visually-hidden").textContent =
      ` ${rank === null ? words.place : say(tied ? words.rankedTied : words.ranked, { rank })}: `;
    for (const radio of form.querySelectorAll(`input[name="rank_${position}"]`)) radio.checked = Number(radio.value) === rank;
  }
  board.toggleAttribute("data-begun", order.tiers.length > 0);
  if (focused !== undefined) chips.get(Number(focused))?.focus({ preventScroll: true });
}

function tell(text) {
  said.textContent = text;
  announce(text);
}

/** Says where an answer stands now, and that all are ranked once they are. */
function tellRank(position) {
  const others = order.tiedWith(position).map(letter).join(words.comma);
  const values = { letter: letter(position), rank: order.rank(position), others };
  const place = say(others ? words.saidTied : words.saidRanked, values);
  tell(order.unranked.length === 0 ? say(words.saidComplete, { place }) : place);
}

/** Scrolls an order that is longer than its place to the answer that is picked; the page stays where one reads. */
function showPicked() {
  if (order.current === null) return;
  const place = board.getBoundingClientRect();
  const chip = chips.get(order.current).getBoundingClientRect();
  const below = chip.bottom + MARGIN - Math.min(place.bottom, innerHeight);
  const above = place.top + MARGIN - chip.top;
  if (below > 0) board.scrollTop += below;
  else if (above > 0) board.scrollTop -= above;
}

/** Draws, tells, and lets the draft know. */
function changed(position) {
  draw();
  showPicked();
  showError("");
  if (position !== undefined) tellRank(position);
  form.dispatchEvent(new CustomEvent("laurel:changed"));
}

function place(position) {
  if (order.place(position) === "placed") {
    changed(position);
  } else {
    draw();
    showPicked();
    tell(say(words.saidPicked, { letter: letter(position), rank: order.rank(position) }));
  }
}

/** The picked answer and its neighbour, by their letters; nothing where none is picked. */
function pair() {
  const ranked = order.tiers.flat();
  const at = ranked.indexOf(order.current);
  const other = ranked[at - 1] ?? ranked[at + 1];
  return at < 0 || other === undefined ? [] : [letter(other), letter(order.current)];
}

const actions = {
  up: () => order.current !== null && order.move(order.current, -1) && changed(order.current),
  down: () => order.current !== null && order.move(order.current, 1) && changed(order.current),
  tie() {
    const what = order.tie();
    if (what === "moved") changed(order.current);
    else if (what === "tie-next") tell(say(words.saidTieNext, { letter: letter(order.current) }));
    else if (what === "tie-off") tell(words.saidTieOff);
  },
  remove() {
    const position = order.current;
    if (position === null || !order.remove(position)) return;
    changed();
    tell(say(words.saidRemoved, { letter: letter(position) }));
  },
  undo() {
    if (!order.undo()) return;
    changed();
    tell(words.saidUndone);
  },
};
/** By how much a key raises the rating of the picked answer: so every point of every scale has its keys. */
const steps = { ArrowLeft: -1, ArrowRight: 1 };
const keys = { ArrowUp: "up", ArrowDown: "down", "=": "tie", Delete: "remove", Backspace: "undo" };

document.addEventListener("keydown", (event) => {
  if (!here() || !isForPage(event)) return;
  const key = keyName(event);
  const own = event.target.closest?.("button, a, summary");
  // What a second press takes back is not to hang on how long the first one was held.
  if (event.repeat && /^[0-9=]$/.test(key)) return event.preventDefault();
  if (byLetter.has(key)) {
    place(byLetter.get(key));
  } else if (/^[1-9]$/.test(key) && order.current !== null) {
    rate(order.current, key);
  } else if (steps[key] && order.current !== null && !event.target.closest?.("input")) {
    rateBy(order.current, steps[key]);
  } else if (key === "m" && order.current !== null) {
    flagsOf(order.current);
  } else if (key === "v") {
    showBeside(...pair());
  } else if (key === "0") {
    toggleAllBad();
  } else if (keys[key]) {
    // In the points of a scale they choose another point.
    if (key.startsWith("Arrow") && event.target.closest?.("input[type=radio]")) return;
    // Arrows scroll the page until an answer is picked.
    if (key.startsWith("Arrow") && order.current === null) return;
    actions[keys[key]]();
  } else if (key === "Enter" && !own) {
    form.requestSubmit(form.querySelector("[data-submit]"));
  } else {
    return;
  }
  event.preventDefault();
});

document.addEventListener("click", (event) => {
  if (!here()) return;
  const action = event.target.closest("[data-action]");
  const chip = event.target.closest("[data-chip]");
  const card = event.target.closest("[data-place]")?.closest("[data-position]");
  const button = action ?? chip ?? event.target.closest("[data-place]");
  if (action) actions[action.dataset.action]();
  else if (chip) place(Number(chip.dataset.chip));
  else if (card) place(Number(card.dataset.position));
  // After the mouse the keys go on, Enter included.
  if (button && event.detail > 0) button.blur();
});

function refuseUnranked(event) {
  const missing = order.unranked;
  if (missing.length === 0) return;
  event.preventDefault();
  const text = say(words.unranked, { letters: missing.map(letter).sort().join(words.comma) });
  showError(text);
  tell(text);
}

function restored() {
  order.load(chosen());
  draw();
}

/** What lies under the pointer: `{into: index}`, `{before: index}`, `{pool: true}` or null; marks it. */
function over(point) {
  for (const marked of board.querySelectorAll("[data-drop]")) marked.removeAttribute("data-drop");
  if (!point) return null;
  const inside = (box) => point.x >= box.left && point.x <= box.right && point.y >= box.top && point.y <= box.bottom;
  if (!inside(board.getBoundingClientRect())) return null;
  const poolBox = pool.getBoundingClientRect();
  if (inside(poolBox)) {
    pool.dataset.drop = "pool";
    return { pool: true };
  }
  const rows = [...list.children];
  if (rows.length === 0) {
    list.dataset.drop = "first";
    return { before: 0 };
  }
  const sideways = getComputedStyle(list).display === "flex";
  const leftward = getComputedStyle(list).direction === "rtl";
  // A quarter at each end of a row means before and after it; the middle means tied with it.
  for (const [index, row] of rows.entries()) {
    const box = row.getBoundingClientRect();
    if (sideways && (point.y < box.top - 4 || point.y > box.bottom + 4)) continue;
    let along = sideways ? (point.x - box.left) / box.width : (point.y - box.top) / box.height;
    if (sideways && leftward) along = 1 - along;
    if (along >= 1.15) continue;
    const kind = along < 0.25 ? "before" : along > 0.75 ? "after" : "tie";
    row.dataset.drop = kind;
    return kind === "tie" ? { into: index } : { before: kind === "before" ? index : index + 1 };
  }
  rows.at(-1).dataset.drop = "after";
  return { before: rows.length };
}

makeDraggable({
  board: () => board,
  over,
  labelOf: letter,
  handleOf(target) {
    if (!here()) return null;
    const chip = target.closest?.("[data-chip]");
    if (chip) return Number(chip.dataset.chip);
    const card = target.closest?.(".letter")?.closest("article[data-position]");
    return card ? Number(card.dataset.position) : null;
  },
  drop(position, place) {
    if (place.pool) {
      order.remove(position);
      changed();
    } else if (place.into !== undefined) {
      order.join(position, place.into);
      changed(position);
    } else {
      order.insert(position, place.before);
      changed(position);
    }
  },
});

onTask("ranking", start);
