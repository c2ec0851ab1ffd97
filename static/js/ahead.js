// The next task: its page is fetched while one works on this one, and takes its place once that is submitted.

import { postForPage, send, stampForms } from "./net.js";
import { announce, turnTo } from "./page.js";

/** `{assignment, page}` of the task that was fetched ahead. */
let ready = null;
/** Counts the fetches, so that one which comes late is not taken for the newest. */
let fetches = 0;

/** Fetches what comes after this assignment, with the script of its kind. */
export async function fetchAhead(assignment) {
  ready = null;
  fetches += 1;
  const mine = fetches;
  const page = await postForPage(`/tasks/${assignment}/ahead`);
  const form = page?.getElementById("task");
  // A kind of page that names no script here is loaded as pages are.
  if (!form?.dataset.script) return;
  // Nor one in the language that was chosen in another tab since.
  if (page.documentElement.lang !== document.documentElement.lang) return;
  for (const sheet of page.head.querySelectorAll('link[rel="stylesheet"]')) {
    const here = document.head.querySelector(`link[href="${CSS.escape(sheet.getAttribute("href"))}"]`);
    if (!here) document.head.append(document.importNode(sheet));
  }
  await import(form.dataset.script);
  if (mine === fetches) ready = { assignment: form.dataset.assignment, page };
}

/** Shows the task that a submit leads to, if it is the one that was fetched; else the address has to be opened. */
export function show({ next, notice }) {
  const address = new URL(next, location.href).pathname;
  if (!ready || address !== `/tasks/${ready.assignment}`) return false;
  const { page } = ready;
  ready = null;
  turnTo(address);
  document.title = page.title;
  const main = document.getElementById("content");
  const fresh = page.getElementById("content");
  const announcer = main.querySelector("[data-announce]");
  const wordsHere = document.getElementById("words");
  for (const attribute of page.getElementById("words").attributes) wordsHere.setAttribute(attribute.name, attribute.value);
  // What announces stays: screen readers hear only a region that they know.
  for (const child of [...main.children]) if (child !== announcer && child !== wordsHere) child.remove();
  for (const child of [...fresh.children]) {
    if (child.id !== "words" && !child.matches("[data-announce]")) announcer.before(child);
  }
  main.className = fresh.className;
  document.getElementById("task-error").insertAdjacentHTML("beforebegin", notice ?? ""); // Made by the server.
  stampForms();
  const back = document.querySelector('.preferences input[name="next"]');
  if (back) back.value = address;
  scrollTo(0, 0);
  main.focus({ preventScroll: true });
  const stored = main.querySelector("[data-finished]")?.textContent.trim().replace(/\s+/g, " ") ?? "";
  announce(`${stored} ${main.querySelector("h1").textContent}`);
  return true;
}

// Whoever leaves the page gives the task back that they have not seen.
window.addEventListener("pagehide", () => {
  if (ready) send("POST", `/tasks/${ready.assignment}/leave`, "");
  fetches += 1;
  ready = null;
});
window.addEventListener("pageshow", (event) => {
  const { assignment, correcting } = document.getElementById("task").dataset;
  if (event.persisted && correcting === undefined) fetchAhead(assignment);
});
