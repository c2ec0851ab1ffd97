// The head-to-head page: the keys 1 to 9 choose, Enter submits; the form's radio buttons always say the same.

import { flagsOf, showFilled, toggleAllBad } from "./assessment.js";
import { showBeside } from "./beside.js";
import { announce, isForPage, keyName, words } from "./page.js";
import { form, onTask, showError } from "./task.js";

/** The digit of a key, also where the keyboard needs shift for it or an input method writes it wide. */
function digit(event) {
  if (/^[1-9]$/.test(event.key)) return event.key;
  // Without Num Lock the digits at the side scroll the page: `PageDown` is no 3.
  if (event.key.length > 1 && event.key !== "Process") return null;
  return event.shiftKey ? null : /^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1] ?? null;
}

function choose(point) {
  const radio = form.querySelector(`input[name="confidence"][value="${point}"]`);
  radio.checked = true;
  radio.dispatchEvent(new Event("input", { bubbles: true }));
  announce(radio.closest("label").textContent.trim().replace(/\s+/g, " "));
}

/** The answer that ratings and flags are of. */
let picked = null;

/** Goes to the rating of an answer, where the arrow keys choose, or else to its flags. */
function pick(letter) {
  picked = form.querySelector(`article[data-letter="${letter.toUpperCase()}"]`);
  picked.scrollIntoView({ block: "nearest" });
  const rating = picked.querySelector(".rating input:checked") ?? picked.querySelector(".rating input");
  (rating ?? picked.querySelector(".flags summary"))?.focus();
}

document.addEventListener("keydown", (event) => {
  if (form.dataset.kind !== "comparison" || !isForPage(event)) return;
  const point = digit(event);
  const key = keyName(event);
  // What a second press takes back is not to hang on how long the first one was held.
  if (event.repeat && key === "0") return event.preventDefault();
  if (point) choose(point);
  else if (key === "a" || key === "b") pick(key);
  else if (key === "m" && picked) flagsOf(picked.dataset.position);
  else if (key === "v") showBeside();
  else if (key === "0") toggleAllBad();
  else if (event.key === "Enter" && !event.target.closest?.("button, a, summary")) form.requestSubmit(form.querySelector("[data-submit]"));
  else return;
  event.preventDefault();
});

onTask("comparison", () => {
  picked = null;
  form.addEventListener("input", (event) => event.target.name === "confidence" && showError(""));
  form.addEventListener("submit", (event) => {
    if (form.elements.confidence.value) return;
    event.preventDefault();
    showError(words.noConfidence);
  });
  showFilled();
});
