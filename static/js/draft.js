// Drafts: saved as one works, on the server, or in this browser while the server can't be reached; corrections of what is submitted
// too. What came too late to be the label is kept in this browser alone until it is a correction.

import { correctionKey, draftKey, forget, keep, keepBeside, offerOther, read, tellBeside } from "./kept.js";
import { sendJson } from "./net.js";
import { announce, words } from "./page.js";

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
/** A correction of an earlier version, which the server has and the form has not. */
let older;
/** What was taken over or discarded of what waits on the server beside the draft, by its names there, until the server knows it. */
let settled;
/** The server takes no correction any more. */
let refused;
/** Whether this browser has a copy of what is typed: storage may be off or full. */
let here = true;

/** Where the form is: on the page, or set aside while it is on its way. */
const place = () => form.getRootNode();

/** Whether what is typed is kept in this browser alone. */
const hereAlone = () => version === null || refused;

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
  // The form is not for the browser to fill in (`autocomplete="off"`): what that had kept itself would pass for the server's draft.
  saved = JSON.stringify(fields());
  base = Number(form.dataset.savedAt);
  unanswered = null;
  pending = null;
  older = JSON.parse(document.querySelector("[data-older]")?.dataset.older ?? "null");
  settled = [];
  refused = false;
  here = true;
  form.addEventListener("input", later);
  form.addEventListener("laurel:changed", later);
  restore();
}

/** What people fill in, as the form has it. */
export function fields() {
  const kept = {};
  for (const [name, value] of new FormData(form)) if (!["csrf", "version", "base"].includes(name)) kept[name] = value;
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
  show("login", `${wordOfHere(words.login)} `);
  const link = document.createElement("a");
  link.href = `/login?next=${encodeURIComponent(location.pathname)}`;
  link.textContent = words.loginLink;
  link.target = placeOfLogin();
  state.append(link);
}

/** A copy in this browser, until the server has it. */
export function keepHere() {
  here = keep(key, { version, base, sent: pending ?? unanswered, fields: fields() });
  return here;
}

/** What to say while only this browser has what is typed. */
export const wordOfHere = (text) => (here ? text : words.nowhere);

/** Where one logs in again: what only the page has must not be left for it. */
export const placeOfLogin = () => (here ? "" : "_blank");

export function forgetHere() {
  forget(key);
}

/** Another version of the label stands meanwhile: what is typed corrects that one. */
export function nowCorrects(standing) {
  version = standing;
  later();
}

/**
 * No more saving: the task is being submitted, and its draft with it. One that is newer than the form knows is not let go unseen. Gives
 * what is on its way, or may have arrived: that is this form's own.
 */
export function close() {
  closed = true;
  clearTimeout(timer);
  const own = pending ?? unanswered ?? "";
  form.elements.base.value = own && version !== undefined ? "" : base;
  return own;
}

/** It was not submitted after all: saving goes on with what has been typed since. */
export function reopen() {
  closed = false;
  if (changed()) later();
}

/** Saves now. One request at a time, so that an older text never comes after a newer one. */
export async function save() {
  clearTimeout(timer);
  if (closed || hereAlone()) return;
  if (running) {
    again = true;
    return;
  }
  running = true;
  const mine = form;
  const sent = fields();
  show("saving", words.saving);
  pending = JSON.stringify(sent);
  // A page that is left hears no answer: the next one knows by this whose it is.
  keepHere();
  const done = [...settled];
  const had = `base=${base}${version ? `&version=${version}` : ""}${done.length > 0 ? `&settled=${done}` : ""}`;
  const answer = await sendJson("PUT", `${address}?${had}`, sent);
  // Meanwhile the next task has been shown.
  if (form !== mine) return;
  running = false;
  pending = null;
  if (answer.kind === "ok") {
    saved = JSON.stringify(sent);
    settled = settled.filter((name) => !done.includes(name));
    const kept = tellDisplaced(answer.data);
    unanswered = null;
    if (closed) return;
    if (!changed()) forgetHere();
    // Of what stands already, none is kept.
    if (kept) show("saved", words.saved);
    else show("none", "");
  } else if (closed) {
    if (answer.kind === "offline") unanswered = JSON.stringify(sent);
    return;
  } else if (answer.kind === "login") {
    showLogin();
  } else if (answer.status === 409) {
    if (version === undefined) submittedElsewhere(answer.data);
    else replacedElsewhere(answer.data);
    return;
  } else {
    unanswered = JSON.stringify(sent);
    show("offline", answer.kind === "offline" ? wordOfHere(words.offline) : answer.data?.message ?? wordOfHere(words.kept));
    timer = setTimeout(save, RETRY);
  }
  if (again) {
    again = false;
    save();
  } else if (answer.kind === "ok" && changed()) {
    later();
  }
}

/** Tells of what was displaced by what has just been saved, and no more of what waits no more. Says whether a draft of this form is kept. */
function tellDisplaced({ saved_at: savedAt, displaced, displaced_at: name, beside = [] }) {
  // Where nothing was to be kept, another draft stands: this form has not taken its place, and will displace it.
  const stands = displaced && !beside.includes(name);
  if (!stands) base = savedAt;
  for (const notice of place().querySelectorAll("[data-other-draft]")) {
    const told = Number(notice.dataset.otherDraft);
    if (told && told !== name && !beside.includes(told)) notice.remove();
  }
  if (displaced && unanswered && !differs(JSON.stringify(displaced), unanswered)) {
    // It came from here.
    settled.push(name);
    again = true;
  } else if (displaced) {
    offer(displaced, words.other, name);
    if (form.isConnected) announce(words.other);
  }
  return savedAt > 0 && !stands;
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
  here = keepBeside(form.dataset.assignment, fields());
  show("offline", wordOfHere(words.here));
  announce(told.message);
  document.querySelector("[data-beside]")?.remove();
  document.getElementById("task-error").before(tellBeside(told, fields()));
}

/** Another version stands, which the page tells of and which is corrected from now on; or nothing may be corrected any more. */
function replacedElsewhere(told) {
  keepHere();
  if (told.version) {
    form.dispatchEvent(new CustomEvent("laurel:replaced", { detail: told }));
    return;
  }
  refused = true;
  show("kept", told.message ?? wordOfHere(words.here));
}

function later() {
  if (hereAlone()) {
    show(keepHere() ? "kept" : "offline", wordOfHere(words.here));
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

/** Makes the form what a draft says. Its ratings on another scale than the form's would say something else there: they are left out. */
function fill(draft) {
  const rated = !form.elements.scale || (draft.scale ?? NO_SCALE) === form.elements.scale.value;
  const said = (name) => (rated || !name.startsWith("rating_") ? draft[name] ?? "" : "");
  for (const name of Object.keys(draft)) {
    const field = form.elements[name];
    if (!field || ["csrf", "seconds", "version", "scale"].includes(name)) continue;
    if (field.type === "checkbox") field.checked = true;
    else field.value = said(name);
  }
  for (const box of form.querySelectorAll("input[type=checkbox]")) if (!(box.name in draft)) box.checked = false;
  for (const radio of form.querySelectorAll("input[type=radio]:checked")) if (radio.value !== said(radio.name)) radio.checked = false;
  form.dispatchEvent(new CustomEvent("laurel:restored"));
}

/**
 * Says that there is another draft, and gives a button that puts it in the place of this one, and back. One that waits on the server has
 * a name there: it waits until it is taken or discarded.
 */
function offer(other, text, name = "") {
  place().querySelector(`[data-other-draft="${name}"]`)?.remove();
  const discard = document.createElement("button");
  const notice = offerOther(text, words.otherTake, () => {
    const mine = fields();
    fill(other);
    other = mine;
    if (notice.dataset.otherDraft) settled.push(name);
    notice.dataset.otherDraft = "";
    discard.remove();
    // As if it had been typed: what was submitted and waits to be sent is that no more.
    form.dispatchEvent(new CustomEvent("laurel:changed"));
  });
  notice.dataset.otherDraft = name;
  if (name) {
    discard.type = "button";
    discard.dataset.discard = "";
    discard.textContent = words.otherDiscard;
    discard.addEventListener("click", () => {
      settled.push(name);
      notice.remove();
      document.getElementById("content").focus({ preventScroll: true });
      save();
    });
    notice.append(" ", discard);
  }
  place().getElementById("task-error").before(notice);
}

/** Puts what this browser has of the task into the form, and offers what was begun on an earlier version. */
function restore() {
  const copy = read(key);
  const displaced = JSON.parse(document.querySelector("[data-displaced]")?.dataset.displaced ?? "[]");
  for (const { saved_at: name, fields: other } of displaced) offer(other, words.otherKept, name);
  if (older) offer(older, words.otherCorrection);
  if (!copy?.fields) return;
  if (version === undefined || copy.version === version) restoreCopy(copy);
  else if (!differs(JSON.stringify(copy.fields), saved)) return;
  else if (copy.version === null) restoreLate(copy);
  else offer(copy.fields, words.otherCorrection);
}

/** Puts a copy of this browser that is newer than the server's into the form. */
function restoreCopy(copy) {
  // A draft of an earlier version is not newer than this one's copy.
  const theirBase = older ? 0 : base;
  // Which is newer says the draft that it was written over, or else the clocks, of which this browser's may be wrong.
  const follows = copy.base >= theirBase || (copy.sent && !differs(copy.sent, saved));
  if (!follows && !(copy.at > theirBase)) {
    // Written here before something newer was saved from elsewhere.
    if (differs(JSON.stringify(copy.fields), saved)) offer(copy.fields, words.otherHere);
    return;
  }
  const theirs = JSON.parse(saved);
  unanswered = copy.sent ?? null;
  if (copy.fields.seconds) form.elements.seconds.value = copy.fields.seconds;
  fill(copy.fields);
  if (changed()) {
    if (!follows && theirBase > 0 && copy.base !== undefined) offer(theirs, words.other);
    show("offline", words.restored);
    timer = setTimeout(save, PAUSE);
  } else {
    forgetHere();
  }
}

/** Puts what was not the label into the form: whoever comes from the word that it was not stored looks for it here. */
function restoreLate(copy) {
  const theirs = JSON.parse(saved);
  fill(copy.fields);
  offer(theirs, base > 0 && !older ? words.other : words.otherSubmitted);
  show("offline", words.restored);
  timer = setTimeout(save, PAUSE);
}
