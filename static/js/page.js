// Small things that every page of this room shares: words, announcements, folding, local times, keys.

import { settle } from "./kept.js";
import { getPage } from "./net.js";

export const words = document.getElementById("words")?.dataset ?? {};

/** A message with its places filled in. */
export const say = (text, values = {}) => (text ?? "").replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

/** Tells screen readers, also what was told just before: they hear a change, and the same words once more are none. */
export function announce(text) {
  const place = document.querySelector("[data-announce]");
  if (place) place.textContent = place.textContent === text ? `${text}\u00a0` : text;
}

/**
 * Takes the rest of a text of which the page has only the beginning. Where it can't be had, the page says so below the text; it is tried
 * again when it is unfolded again.
 */
async function complete(text) {
  if (text.ariaBusy === "true") return;
  text.ariaBusy = "true";
  const { page } = await getPage(text.dataset.full);
  text.ariaBusy = null;
  text.parentElement?.querySelector(":scope > [data-cut]")?.remove();
  const whole = page?.querySelector("[data-answer-in-full]");
  if (!whole) {
    const cut = document.createElement("p");
    cut.className = "notice notice-warning";
    cut.dataset.cut = "";
    cut.setAttribute("role", "alert");
    cut.textContent = words.cut;
    text.after(cut);
    return;
  }
  text.replaceChildren(...whole.childNodes); // Sanitised by the server.
  delete text.dataset.full;
}

export function fold(button, open) {
  const box = button.closest("[data-long]");
  if (!box) return;
  const begun = open && box.querySelector(":scope > [data-full]");
  if (begun) complete(begun);
  box.toggleAttribute("data-open", open);
  button.setAttribute("aria-expanded", String(open));
  button.textContent = open ? words.fold : words.unfold;
}

export function foldAll() {
  const buttons = [...document.querySelectorAll("[data-fold]")];
  const open = buttons.some((button) => button.getAttribute("aria-expanded") === "false");
  for (const button of buttons) fold(button, open);
}

export function sourceAll() {
  const boxes = [...document.querySelectorAll(".source-box")];
  const open = boxes.some((box) => !box.open);
  for (const box of boxes) box.open = open;
}

document.addEventListener("click", (event) => {
  if (event.target.closest?.("[data-fold-all]")) foldAll();
  if (event.target.closest?.("[data-source-all]")) sourceAll();
  const button = event.target.closest?.("[data-fold]");
  if (!button) return;
  const open = button.getAttribute("aria-expanded") === "false";
  fold(button, open);
  if (!open) button.closest("[data-long]").scrollIntoView({ block: "nearest" });
});

for (const time of document.querySelectorAll("time[data-local]")) {
  const at = new Date(time.dateTime);
  if (Number.isNaN(at.getTime())) continue;
  time.title = time.textContent;
  time.textContent = at.toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
}

/** The path that this document shows: a task may have been put in the place of another. */
let shown = location.pathname;

/** Gives the document another address, as if it had been loaded. */
export function turnTo(path) {
  history.pushState(null, "", path);
  shown = path;
}

// Back and forward may lead to what this document no longer shows, or never did.
window.addEventListener("popstate", () => location.pathname !== shown && location.reload());

// The address of a finished task stands in the query for one view only.
if (new URLSearchParams(location.search).has("after")) history.replaceState(null, "", location.pathname);

for (const finished of document.querySelectorAll("[data-finished]")) settle(finished);

// Single keys can be switched off (WCAG 2.1.4); the choice stays in this browser, for every page.
const SINGLE_KEYS = "laurel.single-keys";
let singleKeys = true;
try {
  singleKeys = localStorage.getItem(SINGLE_KEYS) !== "off";
} catch { /* Storage is off: the choice is for this page. */ }

/** Shows the choice where the page has the switch. */
export function showSingleKeys() {
  const box = document.getElementById("single-keys");
  if (!box) return;
  box.checked = singleKeys;
  box.closest("[data-single-keys]")?.removeAttribute("hidden");
}
document.addEventListener("change", (event) => {
  if (event.target.id !== "single-keys") return;
  singleKeys = event.target.checked;
  try {
    localStorage.setItem(SINGLE_KEYS, singleKeys ? "on" : "off");
  } catch { /* Storage is off. */ }
});
showSingleKeys();

const FIELDS = 'input:not([type="radio"]):not([type="checkbox"]), textarea, select, [contenteditable]';

/** Whether an input method has this key press; Safari says so of the key that ends a composition by its old number alone. */
export const isComposing = (event) => event.isComposing || event.keyCode === 229;

/** Where the key that is held went down. */
let pressed = null;
// What it repeats is not written into a field that has the focus since: it took the next task, say, or opened the note.
document.addEventListener("keydown", (event) => {
  if (!event.repeat) pressed = event.target;
  if (event.target === pressed || !event.target.closest?.(FIELDS)) return;
  if (event.key.length === 1 || event.key === "Enter") event.preventDefault();
}, { capture: true });

/** Whether a sheet lies over the page. */
export const sheetIsOpen = () => document.querySelector("[popover]:popover-open") !== null;

/** Whether a key press is meant for the page and not for a field, a dialog or the browser; never where single keys are off. */
export function isForPage(event) {
  if (!singleKeys || event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return false;
  if (event.target.closest?.(`${FIELDS}, [popover]`)) return false;
  return !document.querySelector("[popover]:popover-open, .drop[open], #task[inert], #content[data-under-way]");
}

// Keys that work while one writes too, and are no letters: they need no switch.
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || isComposing(event) || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  if (document.querySelector("#content[data-under-way]")) return;
  const guidelines = document.getElementById("guidelines");
  if (event.key === "F1" && guidelines) {
    guidelines.togglePopover();
  } else if (event.key === "F2" && document.querySelector(".source-box")) {
    sourceAll();
  } else if (event.key === "Escape" && event.target.closest?.(FIELDS) && !event.target.closest(".drop") && !sheetIsOpen()) {
    // The single keys work again.
    event.target.blur();
    return;
  } else {
    return;
  }
  event.preventDefault();
});

/** What a key says whatever the keyboard's language: `a`, `7`, `=`, `Enter`. */
export function keyName(event) {
  const typed = event.key;
  if (/^[a-z]$/i.test(typed)) return typed.toLowerCase();
  // Another script, or an input method that has taken the key.
  if (typed === "Process" || (typed.length === 1 && typed.charCodeAt(0) > 127)) {
    const letter = /^Key([A-Z])$/.exec(event.code);
    if (letter) return letter[1].toLowerCase();
    if (event.code === "Equal") return "=";
  }
  // French keyboards have a sign where others have a digit, Czech ones letters and one sign.
  const digit = event.shiftKey ? null : /^(?:Digit|Numpad)([0-9])$/.exec(event.code);
  if (digit && (typed === "Process" || /^[^0-9=?]$/.test(typed))) return digit[1];
  return { "＝": "=", "？": "?" }[typed] ?? typed;
}
