// The form for skipping and reporting: a copy of what is typed in it, in this browser, until the skip is stored or the task submitted.

import "./drop.js";
import { forget, keep, read, skipKey } from "./kept.js";

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
