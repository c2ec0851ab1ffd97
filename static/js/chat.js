// A conversation: answers stream in as they are written, letters choose, what is typed is kept on the server, and here while it is away.

import { sendJson } from "./net.js";
import { isForPage, keyName, words } from "./page.js";

const chat = document.querySelector("[data-chat]");
const ask = document.getElementById("ask");
const choose = document.getElementById("choose");
const say = document.getElementById("say");

if (ask) {
  ask.addEventListener("submit", (event) => {
    event.preventDefault();
    write();
  });
  write();
}
if (choose) choosing();
if (say) saying();

/** Asks for the answers and shows them as they come; when all are kept the page shows them to choose from. */
async function write() {
  const places = [...ask.querySelectorAll("[data-coming]")];
  const failed = ask.querySelector("[data-failed]");
  const writing = ask.querySelector("[data-writing]");
  const button = ask.querySelector("[data-ask]");
  failed.hidden = true;
  writing.hidden = false;
  button.disabled = true;
  for (const place of places) {
    place.textContent = "";
    place.closest("article").toggleAttribute("data-waiting", true);
  }
  const problem = await follow(ask, (name, data) => {
    if (name === "more" && places[data.answer]) places[data.answer].textContent += data.text;
  });
  if (problem === null) return location.reload();
  for (const place of places) place.closest("article").removeAttribute("data-waiting");
  writing.hidden = true;
  failed.textContent = problem;
  failed.hidden = false;
  button.disabled = false;
  button.textContent = words.again;
  button.focus();
}

/** Sends the form and reads its events; null at the good end, else what went wrong. */
async function follow(form, heard) {
  try {
    const response = await fetch(form.action, {
      method: "POST",
      redirect: "manual",
      headers: { accept: "text/event-stream", "x-csrf-token": form.elements.csrf.value },
    });
    // Logged out, or an old tab: the page itself says what is to do.
    if (response.type === "opaqueredirect" || response.status === 403 || response.status === 409) return null;
    if (!response.ok) return words.broken;
    for await (const [name, data] of events(response.body)) {
      if (name === "kept") return null;
      if (name === "failed") return data.message;
      heard(name, data);
    }
    return words.broken;
  } catch {
    return navigator.onLine ? words.broken : words.offline;
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const whole = rest.split("\n\n");
    rest = whole.pop();
    for (const event of whole) {
      const field = (name) => event.split("\n").find((line) => line.startsWith(`${name}:`))?.slice(name.length + 1).trim();
      if (field("event")) yield [field("event"), JSON.parse(field("data") ?? "{}")];
    }
  }
}

function choosing() {
  const shown = performance.now();
  choose.addEventListener("submit", (event) => {
    choose.elements.seconds.value = ((performance.now() - shown) / 1000).toFixed(1);
    // A double click chooses once.
    if (choose.dataset.sent) event.preventDefault();
    choose.dataset.sent = "true";
  });
  document.addEventListener("keydown", (event) => {
    if (!isForPage(event)) return;
    const key = keyName(event);
    const card = choose.querySelector(`[data-letter="${CSS.escape(key.toUpperCase())}"]`);
    if (key.length === 1 && card) {
      const pick = card.querySelector("input");
      pick.checked = true;
      pick.focus();
      event.preventDefault();
    } else if (key === "Enter" && !event.target.closest("a, button, summary")) {
      event.preventDefault();
      choose.requestSubmit();
    }
  });
}

function saying() {
  const field = say.elements.message;
  const state = say.querySelector("[data-draft-state]");
  const kept = `laurel.chat.${chat.dataset.chat}.${say.dataset.turns}`;
  let timer = 0;
  let running = false;
  let saved = field.value;

  const show = (kind, text) => {
    state.dataset.state = kind;
    state.textContent = text;
  };
  const keepHere = () => {
    try {
      localStorage.setItem(kept, JSON.stringify({ at: Date.now(), message: field.value }));
    } catch { /* Storage is off. */ }
  };
  const forgetHere = () => {
    try {
      localStorage.removeItem(kept);
    } catch { /* Storage is off. */ }
  };

  /** Saves now; one request at a time, so that an older text never comes after a newer one. */
  async function save() {
    clearTimeout(timer);
    if (running || field.value === saved) return;
    running = true;
    const message = field.value;
    const answer = await sendJson("PUT", say.dataset.draft, { turns: Number(say.dataset.turns), message });
    running = false;
    if (answer.kind === "ok") {
      saved = message;
      if (field.value === message) forgetHere();
      show("saved", words.saved);
    } else if (answer.status === 409) {
      // Said in another tab: the page shows how far the conversation is.
      forgetHere();
      location.reload();
      return;
    } else if (answer.kind === "login") {
      show("login", `${words.login} `);
      const link = document.createElement("a");
      link.href = `/login?next=${encodeURIComponent(location.pathname)}`;
      link.textContent = words.loginLink;
      state.append(link);
      return;
    } else {
      show("offline", answer.kind === "offline" ? words.draftOffline : answer.data?.message ?? words.draftOffline);
      timer = setTimeout(save, 5_000);
      return;
    }
    if (field.value !== saved) later();
  }
  function later() {
    keepHere();
    clearTimeout(timer);
    timer = setTimeout(save, 800);
  }

  try {
    const copy = JSON.parse(localStorage.getItem(kept));
    if (copy?.at > Number(say.dataset.savedAt)) field.value = copy.message;
  } catch { /* Storage is off, or holds nothing. */ }
  if (field.value !== saved) later();
  field.addEventListener("input", later);
  window.addEventListener("online", save);
  window.addEventListener("focus", () => state.dataset.state === "login" && save());
  document.addEventListener("visibilitychange", () => document.hidden && save());
  say.addEventListener("submit", () => {
    clearTimeout(timer);
    saved = field.value;
    forgetHere();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) {
      event.preventDefault();
      say.requestSubmit();
    }
  });
  field.focus({ preventScroll: true });
  field.scrollIntoView({ block: "nearest" });
}
