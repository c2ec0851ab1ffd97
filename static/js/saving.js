// Drafts of a conversation: what stands in a form is saved on the server as it changes, and waits on the page while the server is away.

import { sendJson } from "./net.js";
import { words } from "./page.js";

const PAUSE = 800;
const RETRY = 5_000;

/**
 * Saves what stands in a form, one request at a time, so that an older text never comes after a newer one. `value` reads it, `body` is
 * what is sent of it; `keepHere` keeps a copy in this browser, and says whether it could, until `stored` is called with what the
 * server has and with when it saved that, 0 where there was nothing to keep. `late` is called when what is typed is no draft any more.
 */
export function saveByScript(form, { value, body, keepHere, stored, late }) {
  const state = form.querySelector("[data-draft-state]");
  let timer = 0;
  let running = false;
  let closed = false;
  let saved = value();
  /** Whether this browser has a copy: storage may be off or full. */
  let here = true;

  function show(kind, text) {
    state.dataset.state = kind;
    state.textContent = text;
  }

  async function save() {
    clearTimeout(timer);
    const sent = value();
    if (running || closed || sent === saved) return;
    running = true;
    const answer = await sendJson("PUT", form.dataset.draft, body(sent));
    running = false;
    if (closed) return;
    if (answer.kind === "ok") {
      saved = sent;
      stored(sent, answer.data.saved_at);
      if (answer.data.saved_at) show("saved", words.saved);
      else show("none", "");
    } else if (answer.status === 409) {
      keepHere();
      late();
      return;
    } else if (answer.kind === "login") {
      show("login", `${here ? words.login : words.nowhere} `);
      const link = document.createElement("a");
      link.href = `/login?next=${encodeURIComponent(location.pathname)}`;
      link.textContent = words.loginLink;
      // What only the page has must not be left for it.
      if (!here) link.target = "_blank";
      state.append(link);
      return;
    } else {
      show("offline", (answer.kind !== "offline" && answer.data?.message) || (here ? words.draftOffline : words.nowhere));
      timer = setTimeout(save, RETRY);
      return;
    }
    ifChanged();
  }

  /** It changes: saved once it rests. */
  function later() {
    here = keepHere();
    clearTimeout(timer);
    timer = setTimeout(save, PAUSE);
  }

  function ifChanged() {
    if (value() !== saved) later();
  }

  window.addEventListener("online", save);
  window.addEventListener("focus", () => state.dataset.state === "login" && save());
  document.addEventListener("visibilitychange", () => document.hidden && save());
  return {
    later,
    ifChanged,
    /** No more saving: it is being sent. */
    close() {
      clearTimeout(timer);
      closed = true;
    },
    /** It was not sent after all. */
    reopen() {
      closed = false;
      ifChanged();
    },
  };
}
