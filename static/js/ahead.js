// The next task: its page is fetched while one works on this one. It is on the screen as soon as that is on its way to the server, and is
// this person's to work on once that is stored; where it is not, the page goes back to what was not.

import { postForPage, send, stampForms } from "./net.js";
import { announce, turnTo } from "./page.js";

/** The assignment that is reserved for this page. */
let reserved = null;
/** What shows it: `{address, title, className, words, parts}`, its parts in this document but not yet on the page. */
let ready = null;
/** What stood on the page that shows the next task meanwhile, until it is stored: `{parts, className, scrolled, inner, sheet}`. */
let before = null;
/** Counts the fetches, so that one which comes late is not taken for the newest. */
let fetches = 0;

/** The scripts that run here: each one's address, with its version, by its path. */
const running = new Map([...document.querySelectorAll("script[src]")].map(({ src }) => [new URL(src).pathname, src]));

/** Keeps what shows the reserved task, or nothing any more; the page says whether it is there. */
function keepReady(made) {
  ready = made;
  document.getElementById("content").toggleAttribute("data-next-ready", made !== null);
}

/** Fetches what comes after this assignment, and makes it ready; what can't be shown here is given back. */
export async function fetchAhead(assignment) {
  reserved = null;
  keepReady(null);
  fetches += 1;
  const mine = fetches;
  const page = await postForPage(`/tasks/${assignment}/ahead`);
  const form = page?.getElementById("task");
  // What comes late is the newer fetch's, or nobody waits for it any more.
  if (!form || mine !== fetches) return;
  reserved = form.dataset.assignment;
  const made = await prepare(page, form);
  if (mine !== fetches) return;
  keepReady(made);
  if (!made) giveBack();
}

/** All that takes time before a task is on the screen; null where it can't be shown without loading its page. */
async function prepare(page, form) {
  const { assignment, script } = form.dataset;
  const content = page.getElementById("content");
  const words = page.getElementById("words");
  // A kind of page that names no script here is loaded as pages are.
  if (!script || !content || !words) return null;
  // Nor one in the language that was chosen in another tab since.
  if (page.documentElement.lang !== document.documentElement.lang) return null;
  // Nor one of a newer program: its script would hear each key beside the old one, which has the task before in mind.
  const { href, pathname } = new URL(script, location.href);
  if ((running.get(pathname) ?? href) !== href) return null;
  for (const sheet of page.head.querySelectorAll('link[rel="stylesheet"]')) {
    const here = document.head.querySelector(`link[href="${CSS.escape(sheet.getAttribute("href"))}"]`);
    if (!here) document.head.append(document.importNode(sheet));
  }
  try {
    await import(script);
    running.set(pathname, href);
  } catch {
    return null;
  }
  const parts = document.createDocumentFragment();
  for (const child of [...content.children]) {
    if (child !== words && !child.matches("[data-announce]")) parts.append(child);
  }
  return { address: `/tasks/${assignment}`, title: page.title, className: content.className, words, parts };
}

/** Others may have what is reserved. */
function giveBack() {
  if (reserved) send("POST", `/tasks/${reserved}/leave`, "");
  reserved = null;
  keepReady(null);
}

/** What belongs to a task on the page. What announces stays: screen readers hear only a region that they know. */
const partsOf = (main) => [...main.children].filter((child) => !child.matches("[data-announce], #words"));

/** What stands on the page, taken from it. */
function takeAway(main) {
  const parts = document.createDocumentFragment();
  parts.append(...partsOf(main));
  return parts;
}

function put(main, { parts, className }) {
  main.querySelector("[data-announce]").before(parts);
  main.className = className;
}

/** Puts the next task on the screen, if it is there; nothing can be done with it yet. Says whether it is there. */
export function preview() {
  if (!ready) return false;
  const main = document.getElementById("content");
  const inner = [...main.querySelectorAll("textarea, .board, pre, .table-scroll")].map((box) => [box, box.scrollTop, box.scrollLeft]);
  const sheet = main.querySelector(":popover-open");
  before = { className: main.className, scrolled: scrollY, inner, sheet, parts: takeAway(main) };
  put(main, ready);
  for (const part of partsOf(main)) part.inert = true;
  main.dataset.underWay = "";
  scrollTo(0, 0);
  return true;
}

/** Says that what was done before is still on its way. */
export function sayUnderWay(text) {
  if (!before) return;
  announce(text);
  const state = document.querySelector("[data-draft-state]");
  before.state = { kind: state.dataset.state, text: state.textContent };
  state.dataset.state = "sending";
  state.textContent = text;
}

/** What is on the screen can be worked with again; it says no more that something is under way. */
function release(main) {
  for (const part of partsOf(main)) part.inert = false;
  delete main.dataset.underWay;
  if (!before.state) return;
  const state = document.querySelector("[data-draft-state]");
  state.dataset.state = before.state.kind;
  state.textContent = before.state.text;
}

/** Puts back what was not stored; the next task waits as before. */
export function takeBack() {
  if (!before) return;
  const main = document.getElementById("content");
  release(main);
  const parts = takeAway(main);
  if (ready) ready.parts = parts;
  put(main, before);
  scrollTo(0, before.scrolled);
  for (const [box, top, left] of before.inner) box.scrollTo(left, top);
  before.sheet?.showPopover();
  before = null;
}

/** Shows the task that a submit leads to, if it is the one that was fetched; else the address has to be opened. */
export function show({ next, notice }) {
  const address = new URL(next, location.href).pathname;
  if (address !== ready?.address) return false;
  if (!before) preview();
  const main = document.getElementById("content");
  release(main);
  const { title, words } = ready;
  before = null;
  reserved = null;
  keepReady(null);
  turnTo(address);
  document.title = title;
  const wordsHere = document.getElementById("words");
  for (const attribute of words.attributes) wordsHere.setAttribute(attribute.name, attribute.value);
  document.getElementById("task-error").insertAdjacentHTML("beforebegin", notice ?? ""); // Made by the server.
  stampForms();
  const back = document.querySelector('.preferences input[name="next"]');
  if (back) back.value = address;
  main.focus({ preventScroll: true });
  const stored = main.querySelector("[data-finished]")?.textContent.trim().replace(/\s+/g, " ") ?? "";
  announce(`${stored} ${main.querySelector("h1").textContent}`);
  return true;
}

// Whoever leaves the page gives the task back that they have not seen.
window.addEventListener("pagehide", () => {
  // Whoever comes back finds what they left.
  takeBack();
  fetches += 1;
  giveBack();
});
window.addEventListener("pageshow", (event) => {
  const { assignment, correcting } = document.getElementById("task").dataset;
  if (event.persisted && correcting === undefined) fetchAhead(assignment);
});
