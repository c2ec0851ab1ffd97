// Two answers side by side over the task, as their own page shows them; the picked answer and the one before it come first.

import { getPage } from "./net.js";
import { words } from "./page.js";
import { form, showError } from "./task.js";

const sheet = () => document.getElementById("beside");

/** Shows the pair, or those that the page begins with; says so where they can't be had. */
async function load(query = "") {
  const mine = form;
  const { page } = await getPage(`/tasks/${form.dataset.assignment}/beside${query}`);
  // Meanwhile the next task has been shown.
  if (form !== mine) return false;
  if (!page) {
    showError(words.failed);
    return false;
  }
  const fresh = page.querySelector("[data-beside]");
  sheet().querySelector("[data-beside]")?.remove();
  sheet().append(fresh);
  return true;
}

export async function showBeside(left, right) {
  const query = left && right ? `?${new URLSearchParams({ left, right })}` : "";
  if (!(await load(query))) return;
  sheet().showPopover();
  sheet().querySelector("[data-side]").focus();
}

document.addEventListener("change", async (event) => {
  const choice = event.target.closest?.("[data-side]");
  if (!choice || !sheet()?.contains(choice)) return;
  const name = choice.name;
  if (await load(`?${new URLSearchParams(new FormData(choice.form))}`)) sheet().querySelector(`[data-side][name="${name}"]`).focus();
});

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-open-beside]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  showBeside();
});
