// Forms of a conversation that a script sends: the page stays while the server is away, and what could not be sent waits on it.

import { sendWritten, written } from "./net.js";
import { words } from "./page.js";

/** Milliseconds after which a form that is on its way says so, and between two tries to send one that waits. */
const SLOW = 300;
const AGAIN = 5_000;

/**
 * Sends a form by script from now on, one request at a time. `leaves` is called before it goes, and says whether this browser has a
 * copy of it; `stays` when what stands in it was not sent after all, and is the person's to change or to send again.
 */
export function sendByScript(form, { leaves, stays }) {
  const error = form.querySelector("[data-send-error]");
  const state = form.querySelector("[data-draft-state]");
  const button = form.querySelector("button[type=submit]");
  let sending = false;
  /** What could not be sent: `{body, timer, stop}`. It goes as it was, or not at all. */
  let waiting = null;
  /** Whether this browser has a copy: storage may be off or full. */
  let here = true;

  function tell(kind, text) {
    state.dataset.state = kind;
    state.textContent = text;
  }

  function showError(text) {
    error.textContent = text;
    error.hidden = !text;
    if (text) error.scrollIntoView({ block: "nearest" });
  }

  /** Locks what is on its way: what is stored is what stands there. The word about it is for screen readers too. */
  function lock(on) {
    if (on) button.setAttribute("aria-disabled", "true");
    else button.removeAttribute("aria-disabled");
    for (const part of form.children) part.inert = on && !part.contains(state);
  }

  async function submit() {
    stopWaiting();
    sending = true;
    here = leaves();
    const body = written(form);
    const focused = document.activeElement;
    lock(true);
    const slow = setTimeout(() => tell("sending", words.sending), SLOW);
    const answer = await sendWritten(form.action, body);
    clearTimeout(slow);
    if (answer.kind === "ok") return goOn(answer.data.next);
    sending = false;
    lock(false);
    // Unless they have gone elsewhere meanwhile.
    if (document.activeElement === document.body) focused?.focus({ preventScroll: true });
    settle(answer, body);
  }

  /** It is stored: nothing more is sent from here. */
  function goOn(next) {
    waiting = null;
    sending = true;
    lock(true);
    location.assign(next);
  }

  /** What becomes of a form that was not stored. */
  function settle(answer, body) {
    if (answer.kind === "offline") {
      showError(words.sendOffline);
      tell("offline", here ? words.draftOffline : words.nowhere);
      waiting = { body, timer: setTimeout(again, AGAIN) };
      return;
    }
    tell("none", "");
    stays();
    if (answer.kind !== "login") return showError(answer.data?.message || words.sendFailed);
    showError(`${here ? words.login : words.nowhere} `);
    const link = document.createElement("a");
    link.href = `/login?next=${encodeURIComponent(location.pathname)}`;
    link.textContent = words.loginLink;
    // What only the page has must not be left for it.
    if (!here) link.target = "_blank";
    error.append(link);
  }

  /** Tries once more to send what waits. */
  async function again() {
    if (!waiting || sending) return;
    const mine = waiting;
    clearTimeout(mine.timer);
    sending = true;
    mine.stop = new AbortController();
    const answer = await sendWritten(form.action, mine.body, mine.stop.signal);
    sending = false;
    // Given up meanwhile.
    if (waiting !== mine) return;
    if (answer.kind === "ok") return goOn(answer.data.next);
    if (answer.kind === "offline") {
      mine.timer = setTimeout(again, AGAIN);
      return;
    }
    waiting = null;
    settle(answer, mine.body);
  }

  /** Gives up sending what waits, and says whether something did. */
  function stopWaiting() {
    if (!waiting) return false;
    clearTimeout(waiting.timer);
    waiting.stop?.abort();
    waiting = null;
    return true;
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (sending) return;
    showError("");
    submit();
  });
  // Whoever goes on writing has not sent that: half of a thought must not be stored.
  form.addEventListener("input", () => {
    if (!stopWaiting()) return;
    showError(words.sendChanged);
    tell("none", "");
    stays();
  }, { capture: true });
  window.addEventListener("online", again);
  window.addEventListener("pageshow", (event) => {
    // Back from the next page: this one stands as it was left.
    if (!event.persisted || waiting) return;
    sending = false;
    lock(false);
    tell("none", "");
    stays();
  });
}
