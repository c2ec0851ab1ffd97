// What is said of each answer besides its rank: ratings, flags, "all bad". The form's fields hold it; keys only reach them.

import { announce, words } from "./page.js";
import { form } from "./task.js";

const told = (field) => field.dispatchEvent(new Event("input", { bubbles: true }));

const pointsOf = (position) => [...form.querySelectorAll(`input[name="rating_${position}"]`)];

function choose(point) {
  point.checked = true;
  told(point);
  announce(`${point.closest("fieldset").querySelector("legend").textContent}: ${point.value || "–"}`);
}

/** Rates an answer; the same rating again takes it back where there may be none. */
export function rate(position, rating) {
  const points = pointsOf(position);
  const wanted = points.find((point) => point.value === rating);
  if (!wanted) return;
  choose(wanted.checked ? points.find((none) => none.value === "") ?? wanted : wanted);
}

/** Raises or lowers the rating of an answer by a point; without one it begins at the nearer end of the scale. */
export function rateBy(position, step) {
  const points = pointsOf(position).filter((point) => point.value !== "");
  const at = points.findIndex((point) => point.checked);
  const point = at < 0 ? points.at(step > 0 ? 0 : -1) : points[at + step];
  if (point) choose(point);
}

/** Opens an answer's flags and goes to the first. */
export function flagsOf(position) {
  const box = form.querySelector(`[data-flags="${position}"]`);
  if (!box) return;
  box.open = true;
  box.querySelector("input").focus();
}

export function toggleAllBad() {
  const box = form.elements.all_bad;
  box.checked = !box.checked;
  told(box);
  announce(box.checked ? box.closest("label").querySelector("span").textContent : words.saidUndone);
}

/** Shows what a draft has filled in that is folded: how many flags, and the note. A task's draft may be there before this script is. */
export function showFilled() {
  form.querySelectorAll("[data-flags]").forEach(count);
  const note = form.elements.note;
  if (note?.value) note.closest("details").open = true;
}

/** How many flags of an answer are ticked, beside the word that opens them. */
function count(box) {
  const ticked = box.querySelectorAll("input:checked").length;
  const badge = box.querySelector("[data-flag-count]");
  badge.textContent = ticked;
  badge.hidden = ticked === 0;
}

document.addEventListener("input", (event) => {
  const box = event.target.closest?.("[data-flags]");
  if (box) count(box);
  // "Something else" is said in the note.
  if (/^flag_\d_other$/.test(event.target.name ?? "") && event.target.checked) form.elements.note?.closest("details").setAttribute("open", "");
});
document.addEventListener("laurel:restored", showFilled, true);
// Escape goes back from the flags to the page.
document.addEventListener("keydown", (event) => {
  const box = event.key === "Escape" && event.target.closest?.("[data-flags]");
  if (!box) return;
  box.open = false;
  event.target.blur();
});
