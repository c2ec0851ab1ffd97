// Two answers side by side over the task, as their own page shows them; the picked answer and the one before it come first.

import { getPage } from "./net.js";
import { words } from "./page.js";
import { form, showError } from "./task.js";

const sheet = () => document.getElementById("beside");

/** Counts the pairs asked for, so that one which comes late doesn't stand in the place of the newest. */
let asked = 0;

/** Shows the pair, or those that the page begins with; says so where they can't be had. */
async function load(query = "") {
  const mine = form;
  asked += 1;
  const newest = asked;
  const { page } = await getPage(`/tasks/${form.dataset.assignment}/beside${query}`);
  // Meanwhile the next task has been shown.
  if (form !== mine || !form.isConnected || newest !== asked) return false;
  sheet().querySelector("[data-beside-failed]")?.remove();
  if (!page) {
    fail();
    return false;
  }
  const fresh = page.querySelector("[data-beside]");
  sheet().querySelector("[data-beside]")?.remove();
  sheet().append(fresh);
  return true;
}

/** Says that a pair can't be had: where the person looks. The choice goes back to the pair that is shown. */
function fail() {
  if (!sheet().matches(":popover-open")) return showError(words.failed);
  sheet().querySelector("[data-beside] form").reset();
  const told = document.createElement("p");
  told.className = "notice notice-error";
  told.dataset.besideFailed = "";
  told.setAttribute("role", "alert");
  told.textContent = words.failed;
  sheet().querySelector("[data-beside]").before(told);
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
