// Drafts: saved as one works, on the server, or in this browser while the server can't be reached.

import { sendJson } from "./net.js";
import { words } from "./page.js";

const PAUSE = 800;
const RETRY = 5_000;

const form = document.getElementById("task");
const address = `/tasks/${form.dataset.assignment}/draft`;
const key = `laurel.draft.${form.dataset.assignment}`;
const state = document.querySelector("[data-draft-state]");

let timer = 0;
let running = false;
let again = false;
let closed = false;
let saved = JSON.stringify(fields());

/** What people fill in, as the form has it. */
export function fields() {
  const kept = {};
  for (const [name, value] of new FormData(form)) if (name !== "csrf") kept[name] = value;
  return kept;
}

/** Whether anything but the clock has changed since it was saved. */
function changed() {
  const plain = (text) => JSON.stringify({ ...JSON.parse(text), seconds: "" });
  return plain(JSON.stringify(fields())) !== plain(saved);
}

function show(kind, text) {
  state.dataset.state = kind;
  state.textContent = text;
}

function showLogin() {
  show("login", `${words.login} `);
  const link = document.createElement("a");
  link.href = `/login?next=${encodeURIComponent(location.pathname)}`;
  link.textContent = words.loginLink;
  state.append(link);
}

/** A copy in this browser, until the server has it. */
export function keepHere() {
  try {
    localStorage.setItem(key, JSON.stringify({ at: Date.now(), fields: fields() }));
  } catch { /* Storage is off or full: the server's copy has to do. */ }
}

export function forgetHere() {
  try {
    localStorage.removeItem(key);
  } catch { /* Storage is off. */ }
}

/** No more saving: the task is being submitted. */
export function close() {
  closed = true;
  clearTimeout(timer);
}

export function reopen() {
  closed = false;
}

/** Saves now. One request at a time, so that an older text never comes after a newer one. */
export async function save() {
  clearTimeout(timer);
  if (closed) return;
  if (running) {
    again = true;
    return;
  }
  running = true;
  const sent = fields();
  show("saving", words.saving);
  const answer = await sendJson("PUT", address, sent);
  running = false;
  if (closed) return;
  if (answer.kind === "ok") {
    saved = JSON.stringify(sent);
    forgetHere();
    show("saved", words.saved);
  } else if (answer.kind === "login") {
    showLogin();
  } else if (answer.status === 409) {
    forgetHere();
    location.reload();
    return;
  } else {
    show("offline", answer.kind === "offline" ? words.offline : answer.data?.message ?? words.kept);
    timer = setTimeout(save, RETRY);
  }
  if (again) {
    again = false;
    save();
  } else if (answer.kind === "ok" && changed()) {
    later();
  }
}

function later() {
  if (closed) return;
  keepHere();
  clearTimeout(timer);
  timer = setTimeout(save, PAUSE);
}

form.addEventListener("input", later);
form.addEventListener("laurel:changed", later);
window.addEventListener("online", () => changed() && save());
window.addEventListener("focus", () => state.dataset.state === "login" && save());
document.addEventListener("visibilitychange", () => document.hidden && changed() && save());

/** Puts a copy of this browser that is newer than the server's into the form. */
function restore() {
  let copy;
  try {
    copy = JSON.parse(localStorage.getItem(key));
  } catch {
    return;
  }
  if (!copy?.fields || !(copy.at > Number(form.dataset.savedAt))) return;
  for (const [name, value] of Object.entries(copy.fields)) {
    const field = form.elements[name];
    if (field && name !== "csrf") field.value = value;
  }
  form.dispatchEvent(new CustomEvent("laurel:restored"));
  if (changed()) {
    show("offline", words.restored);
    timer = setTimeout(save, PAUSE);
  } else {
    forgetHere();
  }
}

restore();
