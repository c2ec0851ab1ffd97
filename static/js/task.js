// A task page: drafts, the lease, the clock, submitting, and the keys that both kinds of tasks share.

import "./page.js";
import { fetchAhead, show } from "./ahead.js";
import { close, follow, forgetHere, keepHere, reopen } from "./draft.js";
import { send, sendForm } from "./net.js";
import { foldAll, isForPage, keyName, sourceAll, words } from "./page.js";

const IDLE = 120_000;
/** What each kind of task does when it is shown. */
const kinds = new Map();

/** The form of the task that is shown now. */
export let form;
let error;
let pulse = 0;
let last = 0;
let moved = 0;

/** Turns to the task on the page; its kind begins when its script is there. */
function begin() {
  form = document.getElementById("task");
  error = document.getElementById("task-error");
  last = performance.now();
  moved = last;
  clearInterval(pulse);
  pulse = setInterval(heartbeat, Number(form.dataset.heartbeat));
  recallSingleKeys();
  follow(form);
  kinds.get(form.dataset.kind)?.();
}

/** A kind of task names what it does each time when a task of its kind is shown. */
export function onTask(kind, start) {
  kinds.set(kind, start);
  if (form.dataset.kind === kind) start();
}

// The lease runs on while the page is open.
async function heartbeat() {
  const answer = await send("POST", `/tasks/${form.dataset.assignment}/heartbeat`);
  if (answer.kind === "ok" && answer.data.lease === "lost") showError(words.lost);
}

// Seconds of work: the page is seen and somebody has moved within two minutes.
for (const kind of ["keydown", "pointerdown", "pointermove", "wheel", "scroll"]) {
  window.addEventListener(kind, () => { moved = performance.now(); }, { passive: true, capture: true });
}
setInterval(() => {
  const now = performance.now();
  if (!document.hidden && now - moved < IDLE) {
    const field = form.elements.seconds;
    field.value = (Number(field.value || 0) + (now - last) / 1000).toFixed(1);
  }
  last = now;
}, 1000);

export function showError(text) {
  error.textContent = text;
  error.hidden = !text;
  if (text) error.scrollIntoView({ block: "nearest" });
}

let sending = false;
let waiting = null;

/** Sends a form once; what can't be sent is kept and sent when the connection is back. */
async function submit(which, submitter) {
  if (sending) return;
  sending = true;
  waiting = null;
  close();
  keepHere();
  const buttons = [...document.querySelectorAll("#task button[type=submit], #skip button[type=submit]")];
  for (const button of buttons) button.setAttribute("aria-disabled", "true");
  const answer = await sendForm(which.action, which, submitter);
  if (answer.kind === "ok") {
    forgetHere();
    if (!show(answer.data)) {
      location.assign(answer.data.next);
      return;
    }
    sending = false;
    begin();
    fetchAhead(form.dataset.assignment);
    return;
  }
  sending = false;
  reopen();
  for (const button of buttons) button.removeAttribute("aria-disabled");
  if (answer.kind === "offline") {
    showError(words.sendOffline);
    waiting = { which, submitter };
  } else if (answer.kind === "login") {
    showError(`${words.login} `);
    const link = document.createElement("a");
    link.href = `/login?next=${encodeURIComponent(location.pathname)}`;
    link.textContent = words.loginLink;
    error.append(link);
  } else {
    showError(answer.data?.message || words.failed);
  }
}

window.addEventListener("online", () => waiting && submit(waiting.which, waiting.submitter));

document.addEventListener("submit", (event) => {
  const which = event.target;
  if (which.id !== "task" && which.id !== "skip") return;
  if (event.defaultPrevented || event.submitter?.hasAttribute("data-preview")) return;
  event.preventDefault();
  showError("");
  submit(which, event.submitter);
});

// Keys. Single keys can be switched off (WCAG 2.1.4); the choice stays in this browser.
const single = () => document.getElementById("single-keys");
function recallSingleKeys() {
  try {
    single().checked = localStorage.getItem("laurel.single-keys") !== "off";
  } catch { /* Storage is off. */ }
}
document.addEventListener("change", (event) => {
  if (event.target !== single()) return;
  try {
    localStorage.setItem("laurel.single-keys", single().checked ? "on" : "off");
  } catch { /* Storage is off. */ }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit(form.querySelector("[data-submit]"));
    return;
  }
  if (event.key === "Escape" && event.target === form.elements.note) event.target.blur();
  if (!isForPage(event) || !single().checked) return;
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

// The skip form closes on Escape and on a press elsewhere.
document.addEventListener("keydown", (event) => {
  const drop = document.querySelector(".drop");
  if (event.key === "Escape" && drop?.open) {
    drop.open = false;
    drop.querySelector("summary").focus();
  }
});
document.addEventListener("pointerdown", (event) => {
  const drop = document.querySelector(".drop");
  if (drop?.open && !drop.contains(event.target)) drop.open = false;
});

begin();
if (!("correcting" in form.dataset)) fetchAhead(form.dataset.assignment);
