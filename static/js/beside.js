// Two answers side by side over the task, as their own page shows them; the picked answer and the one before it come first.

import { getPage } from "./net.js";
import { form } from "./task.js";

const sheet = () => document.getElementById("beside");

/** Shows the pair, or those that the page begins with. */
async function load(query = "") {
  const { page } = await getPage(`/tasks/${form.dataset.assignment}/beside${query}`);
  if (!page) return false;
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
  await load(`?${new URLSearchParams(new FormData(choice.form))}`);
  sheet().querySelector(`[data-side][name="${name}"]`).focus();
});

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-open-beside]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  showBeside();
});
