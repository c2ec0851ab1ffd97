// Drafts: saved as one works, on the server, or in this browser while the server can't be reached. What is typed for a task that
// is submitted already, as a correction or too late, is kept in this browser alone until it is saved.

import { correctionKey, draftKey, forget, keep, keepBeside, offerOther, read, tellBeside } from "./kept.js";
import { sendJson } from "./net.js";
import { words } from "./page.js";

const PAUSE = 800;
const RETRY = 5_000;
/** The scale of a draft from before there was a choice. */
const NO_SCALE = '{"lowest":1,"highest":7}';

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
/** What is on its way to the server. */
let pending;
/** The version that is corrected here; `null` where something else was submitted meanwhile, `undefined` for a draft. */
let version;

/** Turns to the task that is shown now. */
export function follow(task) {
  form = task;
  address = `/tasks/${form.dataset.assignment}/draft`;
  version = "correcting" in form.dataset ? form.elements.version.value : undefined;
  key = (version === undefined ? draftKey : correctionKey)(form.dataset.assignment);
  state = document.querySelector("[data-draft-state]");
  clearTimeout(timer);
  running = false;
  again = false;
  closed = false;
  saved = JSON.stringify(fields());
  base = Number(form.dataset.savedAt);
  unanswered = null;
  pending = null;
  form.addEventListener("input", later);
  form.addEventListener("laurel:changed", later);
  if (version === undefined) restore();
  else restoreCorrection();
}

/** What people fill in, as the form has it. */
export function fields() {
  const kept = {};
  for (const [name, value] of new FormData(form)) if (name !== "csrf" && name !== "version") kept[name] = value;
  return kept;
}

/** Whether anything but the clock has changed since it was saved. */
const changed = () => differs(JSON.stringify(fields()), saved);

function differs(one, other) {
  const plain = (text) => {
    const filled = Object.entries(JSON.parse(text)).filter(([name, value]) => !["seconds", "version", "scale"].includes(name) && value !== "");
    return JSON.stringify(filled.sort(([one], [other]) => (one < other ? -1 : 1)));
  };
  return plain(one) !== plain(other);
}

/** Says what has become of the draft: a word for the page's style, and the words. */
export function show(kind, text) {
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
  return keep(key, version === undefined ? { base, sent: pending ?? unanswered, fields: fields() } : { version, fields: fields() });
}

export function forgetHere() {
  forget(key);
}

/** Another version of the label stands meanwhile: what is typed corrects that one. */
export function nowCorrects(standing) {
  version = standing;
  keepHere();
}

/** No more saving: the task is being submitted. */
export function close() {
  closed = true;
  clearTimeout(timer);
}

/** It was not submitted after all: saving goes on with what has been typed since. */
export function reopen() {
  closed = false;
  if (changed()) later();
}

/** Saves now. One request at a time, so that an older text never comes after a newer one. */
export async function save() {
  clearTimeout(timer);
  if (closed || version !== undefined) return;
  if (running) {
    again = true;
    return;
  }
  running = true;
  const mine = form;
  const sent = fields();
  show("saving", words.saving);
  pending = JSON.stringify(sent);
  const answer = await sendJson("PUT", `${address}?base=${base}`, sent);
  // Meanwhile the next task has been shown.
  if (form !== mine) return;
  running = false;
  pending = null;
  if (answer.kind === "ok") {
    saved = JSON.stringify(sent);
    base = answer.data.saved_at;
    const { displaced } = answer.data;
    if (displaced && !(unanswered && !differs(JSON.stringify(displaced), unanswered))) offer(displaced, words.other);
    unanswered = null;
    if (closed) return;
    if (!changed()) forgetHere();
    show("saved", words.saved);
  } else if (closed) {
    return;
  } else if (answer.kind === "login") {
    showLogin();
  } else if (answer.status === 409) {
    submittedElsewhere(answer.data);
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

/** The task was submitted from elsewhere. The same is there already; anything else stays here, for a correction. */
export function submittedElsewhere(told) {
  if (told.differs === false) {
    forgetHere();
    location.reload();
    return;
  }
  close();
  version = null;
  key = correctionKey(form.dataset.assignment);
  keepBeside(form.dataset.assignment, fields());
  show("offline", words.here);
  document.querySelector("[data-beside]")?.remove();
  document.getElementById("task-error").before(tellBeside(told, fields()));
}

function later() {
  if (version !== undefined) {
    // Nothing else keeps it.
    if (changed()) keepHere() ? show("kept", words.here) : show("offline", words.nowhere);
    else {
      forgetHere();
      show("none", "");
    }
    return;
  }
  if (closed) return;
  keepHere();
  clearTimeout(timer);
  timer = setTimeout(save, PAUSE);
}

window.addEventListener("online", () => changed() && save());
window.addEventListener("focus", () => state.dataset.state === "login" && save());
document.addEventListener("visibilitychange", () => document.hidden && changed() && save());

/** Fills the form from a draft. Ratings on another scale than the form's would say something else there: they are left out. */
function fill(draft) {
  const rated = !form.elements.scale || (draft.scale ?? NO_SCALE) === form.elements.scale.value;
  for (const [name, value] of Object.entries(draft)) {
    const field = form.elements[name];
    if (!field || ["csrf", "seconds", "version", "scale"].includes(name) || (!rated && name.startsWith("rating_"))) continue;
    if (field.type === "checkbox") field.checked = true;
    else field.value = value;
  }
  for (const box of form.querySelectorAll("input[type=checkbox]")) if (!(box.name in draft)) box.checked = false;
  for (const radio of form.querySelectorAll("input[type=radio]:checked")) if (!(radio.name in draft)) radio.checked = false;
  form.dispatchEvent(new CustomEvent("laurel:restored"));
}

/** Says that there is another draft, and gives a button that puts it in the place of this one, and back. */
function offer(other, text) {
  document.querySelector("[data-other-draft]")?.remove();
  const notice = offerOther(text, words.otherTake, () => {
    const mine = fields();
    fill(other);
    other = mine;
    later();
  });
  document.getElementById("task-error").before(notice);
}

/** Puts a copy of this browser that is newer than the server's into the form. */
function restore() {
  const copy = read(key);
  if (!copy?.fields) return;
  // Which is newer says the draft that it was written over, or else the clocks, of which this browser's may be wrong.
  const follows = copy.base >= base || (copy.sent && !differs(copy.sent, saved));
  if (!follows && !(copy.at > base)) {
    // Written here before something newer was saved from elsewhere.
    if (differs(JSON.stringify(copy.fields), saved)) offer(copy.fields, words.otherHere);
    return;
  }
  const theirs = JSON.parse(saved);
  if (copy.fields.seconds) form.elements.seconds.value = copy.fields.seconds;
  fill(copy.fields);
  if (changed()) {
    if (!follows && base > 0 && copy.base !== undefined) offer(theirs, words.other);
    show("offline", words.restored);
    timer = setTimeout(save, PAUSE);
  } else {
    forgetHere();
  }
}

/** Puts a correction that was begun here into the form; one of an older version is offered. */
function restoreCorrection() {
  const copy = read(key);
  if (!copy?.fields || !differs(JSON.stringify(copy.fields), saved)) return;
  if (copy.version === version) {
    fill(copy.fields);
    show("offline", words.restored);
  } else if (copy.version === null) {
    // Whoever comes from the word that it was not stored looks for it here.
    const submitted = JSON.parse(saved);
    fill(copy.fields);
    offer(submitted, words.otherSubmitted);
    show("offline", words.restored);
  } else {
    offer(copy.fields, words.otherCorrection);
  }
}
