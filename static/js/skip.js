// The form for skipping and reporting: how it closes, and a copy of what is typed in it, in this browser, until the skip is stored or
// the task submitted.

import { forget, keep, read, skipKey } from "./kept.js";
import { isComposing, sheetIsOpen } from "./page.js";

let key;

/** Turns to the skip form of the task that is shown now; a correction has none. */
export function followSkip(assignment) {
  key = skipKey(assignment);
  const form = document.getElementById("skip");
  if (!form) return;
  restore(form);
  form.addEventListener("input", () => keepSkip(form));
}

/** The skip is stored, or the task submitted. */
export function forgetSkip() {
  forget(key);
}

function keepSkip(form) {
  const fields = Object.fromEntries(new FormData(form));
  delete fields.csrf;
  if (fields.reason || fields.detail.trim()) keep(key, { fields });
  else forget(key);
}

/** Puts what was typed back and opens the form; where the server has opened it, it says what was sent. */
function restore(form) {
  const panel = form.closest("details");
  const copy = read(key);
  if (!copy?.fields || panel.open) return;
  for (const name of ["reason", "detail"]) form.elements[name].value = copy.fields[name] ?? "";
  panel.open = true;
}

// It closes on Escape and on a press elsewhere. An Escape that an input method or a sheet over the page takes is not for it.
document.addEventListener("keydown", (event) => {
  const drop = document.querySelector(".drop");
  if (event.key === "Escape" && drop?.open && !isComposing(event) && !sheetIsOpen()) {
    drop.open = false;
    drop.querySelector("summary").focus();
  }
});
document.addEventListener("pointerdown", (event) => {
  const drop = document.querySelector(".drop");
  if (drop?.open && !drop.contains(event.target)) drop.open = false;
});
