// Drafts: saved as one works, on the server, or in this browser while the server can't be reached.

import { sendJson } from "./net.js";
import { words } from "./page.js";

const PAUSE = 800;
const RETRY = 5_000;

let form;
let address;
let key;
let state;
let timer;
let running;
let again;
let closed;
let saved;
/** When the server's draft was saved that this page has before it; the server tells of one that is newer. */
let base;
/** What was sent and never answered: the server may have it, and it is nobody else's. */
let unanswered;

/** Turns to the task that is shown now. */
export function follow(task) {
  form = task;
  address = `/tasks/${form.dataset.assignment}/draft`;
  key = `laurel.draft.${form.dataset.assignment}`;
  state = document.querySelector("[data-draft-state]");
  clearTimeout(timer);
  running = false;
  again = false;
  closed = false;
  saved = JSON.stringify(fields());
  // A correction has no draft: what was submitted stands until it is sent.
  if ("correcting" in form.dataset) {
    closed = true;
    return;
  }
  base = form.dataset.savedAt;
  unanswered = null;
  form.addEventListener("input", later);
  form.addEventListener("laurel:changed", later);
  restore();
}

/** What people fill in, as the form has it. */
export function fields() {
  const kept = {};
  for (const [name, value] of new FormData(form)) if (name !== "csrf") kept[name] = value;
  return kept;
}

/** Whether anything but the clock has changed since it was saved. */
const changed = () => differs(JSON.stringify(fields()), saved);

function differs(one, other) {
  const plain = (text) => JSON.stringify({ ...JSON.parse(text), seconds: "" });
  return plain(one) !== plain(other);
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
  if ("correcting" in form.dataset) return;
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
  closed = "correcting" in form.dataset;
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
  const mine = form;
  const sent = fields();
  show("saving", words.saving);
  const answer = await sendJson("PUT", `${address}?base=${base}`, sent);
  // Meanwhile the next task has been shown.
  if (form !== mine) return;
  running = false;
  if (closed) return;
  if (answer.kind === "ok") {
    saved = JSON.stringify(sent);
    base = answer.data.saved_at;
    const { displaced } = answer.data;
    if (displaced && !(unanswered && !differs(JSON.stringify(displaced), unanswered))) offer(displaced, words.other);
    unanswered = null;
    forgetHere();
    show("saved", words.saved);
  } else if (answer.kind === "login") {
    showLogin();
  } else if (answer.status === 409) {
    forgetHere();
    location.reload();
    return;
  } else {
    unanswered = JSON.stringify(sent);
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

window.addEventListener("online", () => changed() && save());
window.addEventListener("focus", () => state.dataset.state === "login" && save());
document.addEventListener("visibilitychange", () => document.hidden && changed() && save());

/** Fills the form from a draft. */
function fill(draft) {
  for (const [name, value] of Object.entries(draft)) {
    const field = form.elements[name];
    if (!field || name === "csrf" || name === "seconds") continue;
    if (field.type === "checkbox") field.checked = true;
    else field.value = value;
  }
  for (const box of form.querySelectorAll("input[type=checkbox]")) if (!(box.name in draft)) box.checked = false;
  form.dispatchEvent(new CustomEvent("laurel:restored"));
}

/** Says that there is another draft, and gives a button that puts it in the place of this one, and back. */
function offer(other, text) {
  document.querySelector("[data-other-draft]")?.remove();
  const notice = document.createElement("p");
  notice.className = "notice notice-warning";
  notice.dataset.otherDraft = "";
  notice.setAttribute("role", "status");
  const take = document.createElement("button");
  take.type = "button";
  take.textContent = words.otherTake;
  take.addEventListener("click", () => {
    const mine = fields();
    fill(other);
    other = mine;
    later();
  });
  notice.append(`${text} `, take);
  document.getElementById("task-error").before(notice);
}

/** Puts a copy of this browser that is newer than the server's into the form. */
function restore() {
  let copy;
  try {
    copy = JSON.parse(localStorage.getItem(key));
  } catch {
    return;
  }
  if (!copy?.fields) return;
  if (!(copy.at > Number(form.dataset.savedAt))) {
    // Written here before something newer was saved from elsewhere.
    if (differs(JSON.stringify(copy.fields), saved)) offer(copy.fields, words.otherHere);
    return;
  }
  if (copy.fields.seconds) form.elements.seconds.value = copy.fields.seconds;
  fill(copy.fields);
  if (changed()) {
    show("offline", words.restored);
    timer = setTimeout(save, PAUSE);
  } else {
    forgetHere();
  }
}
