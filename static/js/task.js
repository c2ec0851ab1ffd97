// A task page: drafts, the lease, the clock, submitting, and the keys that both kinds of tasks share.

import "./page.js";
import { fetchAhead, preview, sayUnderWay, show, takeBack } from "./ahead.js";
import { close, follow, forgetHere, keepHere, nowCorrects, placeOfLogin, reopen, save, show as tell, submittedElsewhere, wordOfHere } from "./draft.js";
import { send, sendWritten, written } from "./net.js";
import { announce, foldAll, isComposing, isForPage, keyName, sheetIsOpen, showSingleKeys, sourceAll, words } from "./page.js";
import { followSkip, forgetSkip } from "./skip.js";

const IDLE = 120_000;
/** The most milliseconds that one beat of the clock counts: a computer that wakes has not been worked at while it slept. */
const BEAT = 5_000;
/** Milliseconds after which a form that is on its way says so, and between two tries to send one that waits. */
const SLOW = 300;
const AGAIN = 5_000;
/** What each kind of task does when it is shown. */
const kinds = new Map();

/** The form of the task that is shown now. */
export let form;
let error;
let skipError;
let pulse = 0;
let last = 0;
let moved = 0;

/** Turns to the task on the page, which is seen since then; its kind begins when its script is there. */
function begin(seen = performance.now()) {
  form = document.getElementById("task");
  error = document.getElementById("task-error");
  skipError = document.getElementById("skip-error");
  last = seen;
  moved = performance.now();
  clearInterval(pulse);
  pulse = setInterval(heartbeat, Number(form.dataset.heartbeat));
  showSingleKeys();
  follow(form);
  form.addEventListener("laurel:replaced", (event) => tellReplaced(event.detail));
  followSkip(form.dataset.assignment);
  kinds.get(form.dataset.kind)?.();
}

/** A kind of task names what it does each time when a task of its kind is shown. */
export function onTask(kind, start) {
  kinds.set(kind, start);
  if (form.dataset.kind === kind) start();
}

// The lease runs on while the page is open.
async function heartbeat() {
  const mine = form;
  const answer = await send("POST", `/tasks/${form.dataset.assignment}/heartbeat`);
  if (answer.kind === "ok" && form === mine && form.isConnected && !waiting) tellLost(answer.data.lease === "lost");
}

/** Says once that others have the task, and until it is this person's again: at every beat the page would jump. */
function tellLost(lost) {
  const told = document.querySelector("[data-lease-lost]");
  if (!lost) told?.remove();
  if (!lost || told) return;
  const notice = document.createElement("p");
  notice.className = "notice notice-warning";
  notice.dataset.leaseLost = "";
  notice.textContent = words.lost;
  error.before(notice);
  notice.scrollIntoView({ block: "nearest" });
  announce(words.lost);
}

// Seconds of work: the page is seen and somebody has moved within two minutes.
for (const kind of ["keydown", "pointerdown", "pointermove", "wheel", "scroll"]) {
  window.addEventListener(kind, () => { moved = performance.now(); }, { passive: true, capture: true });
}
setInterval(() => {
  const now = performance.now();
  if (!document.hidden && now - moved < IDLE) {
    const field = form.elements.seconds;
    field.value = (Number(field.value || 0) + Math.min(now - last, BEAT) / 1000).toFixed(1);
  }
  last = now;
}, 1000);

/** Says what is wrong with a form, or nothing any more: of the one for skipping in that form, which is open then. Gives the place. */
export function showError(text, which = form) {
  const place = which.id === "skip" ? skipError : error;
  for (const one of [error, skipError]) {
    if (!one) continue;
    one.textContent = one === place ? text : "";
    one.hidden = !one.textContent;
  }
  if (!text) return place;
  // It may have been closed while what was sent waited.
  place.closest("details")?.setAttribute("open", "");
  place.scrollIntoView({ block: "nearest" });
  return place;
}

/** Says it with a link behind it, which opens in `target`. */
function showErrorWith(text, address, linkText, target, which) {
  const link = document.createElement("a");
  link.href = address;
  link.textContent = linkText;
  if (target) link.target = target;
  showError(`${text} `, which).append(link);
}

let sending = false;
/** What could not be sent: `{which, action, body, seen, again, stop}`, `which` the form. It goes as it was submitted, or not at all. */
let waiting = null;

/** Locks the form while it is on its way, and what would put another draft into it: what is stored is what stands there. */
function lock(on) {
  const buttons = document.querySelectorAll("#task button[type=submit], #skip button[type=submit]");
  for (const button of buttons) on ? button.setAttribute("aria-disabled", "true") : button.removeAttribute("aria-disabled");
  for (const part of document.querySelectorAll("#task, #skip, [data-other-draft]")) part.inert = on;
}

/** Submits a form once. */
async function submit(which, submitter) {
  stopWaiting();
  sending = true;
  const own = close();
  keepHere();
  const sent = { which, action: which.action, body: written(which, submitter) };
  if (own && which === form) sent.body += `&own=${encodeURIComponent(own)}`;
  const focused = document.activeElement;
  lock(true);
  const answering = sendWritten(sent.action, sent.body);
  // What comes next is read while this is stored. Whoever stops sees that it is.
  const goesOn = submitter?.name !== "then" && (which === form || which.elements.reason.value);
  const ahead = goesOn && preview();
  if (ahead) sent.seen = performance.now();
  const slow = setTimeout(() => (ahead ? sayUnderWay(words.sending) : tell("sending", words.sending)), SLOW);
  const answer = await answering;
  clearTimeout(slow);
  sending = false;
  // Of a form that makes way for the next one the browser need not work out once more how it looks.
  if (answer.kind !== "ok") {
    delete sent.seen;
    takeBack();
    lock(false);
    // Unless they have gone elsewhere meanwhile.
    if (document.activeElement === document.body) focused?.focus({ preventScroll: true });
  }
  settle(answer, sent);
}

/** Does something once the browser has drawn the page as it is now: what comes next must not hold up what one looks at. */
const onceDrawn = (what) => requestAnimationFrame(() => setTimeout(what));

/** What becomes of a form that was sent. */
function settle(answer, sent) {
  if (answer.kind === "ok") {
    forgetHere();
    forgetSkip();
    if (!show(answer.data)) {
      takeBack();
      // What is typed while the next page loads would be kept nowhere: this is stored, and nothing more is sent from here.
      sending = true;
      lock(true);
      // Whoever comes back finds what was submitted, and not a form that keeps nothing more.
      window.addEventListener("pageshow", (event) => event.persisted && location.reload());
      location.assign(answer.data.next);
      return;
    }
    begin(sent.seen);
    onceDrawn(() => fetchAhead(form.dataset.assignment));
    return;
  }
  if (answer.kind === "offline") {
    showError(words.sendOffline, sent.which);
    tell("offline", wordOfHere(words.offline));
    waiting = { ...sent, again: setTimeout(sendAgain, AGAIN) };
    return;
  }
  if (document.querySelector("[data-draft-state]").dataset.state === "sending") tell("none", "");
  if (answer.status === 409 && answer.data?.code === "already-submitted") {
    submittedElsewhere(answer.data);
    document.querySelector("[data-beside]")?.scrollIntoView({ block: "nearest" });
    return;
  }
  reopen();
  if (answer.kind === "login") {
    showErrorWith(wordOfHere(words.login), `/login?next=${encodeURIComponent(location.pathname)}`, words.loginLink, placeOfLogin(), sent.which);
  } else if (answer.status === 409 && answer.data?.code === "version-replaced") {
    tellReplaced(answer.data);
  } else if (answer.status === 409 && answer.data?.code === "not-skipped") {
    showErrorWith(answer.data.message, answer.data.standing, answer.data.look, "_blank", sent.which);
  } else if (answer.status === 409 && answer.data?.code === "newer-draft") {
    tellNewer(answer.data.message);
  } else {
    showError(answer.data?.message || words.failed, sent.which);
  }
}

/** There is a newer draft. Saved, this is the draft, and what was written elsewhere is offered beside it: then it may be submitted. */
async function tellNewer(message) {
  sending = true;
  await save();
  sending = false;
  showError(document.querySelector("[data-other-draft]") ? message : words.failed);
}

/** Another version stands meanwhile. Saved again, what is typed replaces the one that is named now. */
function tellReplaced(told) {
  form.elements.version.value = told.version;
  nowCorrects(told.version);
  showErrorWith(told.message, told.standing, told.look, "_blank");
}

/** Tries once more to send what waits. */
async function sendAgain() {
  if (!waiting || sending) return;
  const mine = waiting;
  clearTimeout(mine.again);
  sending = true;
  mine.stop = new AbortController();
  const answer = await sendWritten(mine.action, mine.body, mine.stop.signal);
  sending = false;
  // Given up meanwhile.
  if (waiting !== mine) return;
  waiting = null;
  if (answer.kind === "offline") {
    waiting = mine;
    mine.again = setTimeout(sendAgain, AGAIN);
  } else {
    showError("");
    settle(answer, mine);
  }
}

/** Gives up sending what waits, and says whether something did. */
function stopWaiting() {
  if (!waiting) return false;
  clearTimeout(waiting.again);
  waiting.stop?.abort();
  waiting = null;
  return true;
}

/** Whoever goes on working on what waits has not submitted that: half of a thought must not be stored. */
function changed(event) {
  const which = event.target.closest?.("#task, #skip");
  if (!which || !stopWaiting()) return;
  showError(words.sendChanged, which);
  reopen();
}
document.addEventListener("input", changed, { capture: true });
document.addEventListener("laurel:changed", changed, { capture: true });

window.addEventListener("online", sendAgain);

document.addEventListener("submit", (event) => {
  const which = event.target;
  if (which.id !== "task" && which.id !== "skip") return;
  // What leads elsewhere than to the label is not submitted.
  if (event.defaultPrevented || event.submitter?.hasAttribute("formaction")) return;
  event.preventDefault();
  if (sending) return;
  showError("");
  submit(which, event.submitter);
});

document.addEventListener("keydown", (event) => {
  // What is on its way is not submitted again, nor what comes next before it is there.
  if (event.key === "Enter" && sending && !waiting && !event.target.closest?.("a, button, summary")) return event.preventDefault();
  // A key that is still held from the task before is not meant for this one.
  if (event.key === "Enter" && event.repeat && !event.target.closest?.("textarea, summary, a")) return event.preventDefault();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !isComposing(event)) {
    event.preventDefault();
    if (event.repeat) return;
    // Nor is a task submitted from under a sheet; who writes beside the guidelines writes on.
    if (sheetIsOpen() && !event.target.closest?.("textarea, #skip")) return;
    // Whoever says why they skip the task has not submitted it.
    const skip = event.target.closest?.("#skip");
    if (skip) skip.requestSubmit();
    else form.requestSubmit(form.querySelector("[data-submit]"));
    return;
  }
  if (!isForPage(event)) return;
  // Nor does a key that is held fold and unfold by turns.
  if (event.repeat && ["s", "x"].includes(keyName(event))) return event.preventDefault();
  // Of seven answers and more, one is called G.
  const rankable = document.querySelector('article[data-letter="G"]');
  const sheet = { "?": "keys", r: "guidelines", ...(rankable ? {} : { g: "guidelines" }) }[keyName(event)];
  if (sheet) {
    document.getElementById(sheet)?.showPopover();
  } else if (keyName(event) === "s") {
    sourceAll();
  } else if (keyName(event) === "x") {
    foldAll();
  } else if (keyName(event) === "n" && form.elements.note) {
    form.elements.note.closest("details")?.setAttribute("open", "");
    form.elements.note.focus();
  } else {
    return;
  }
  event.preventDefault();
});

begin();
if (!("correcting" in form.dataset)) fetchAhead(form.dataset.assignment);
