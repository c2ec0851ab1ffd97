// A conversation: answers stream in as they are written, letters choose, what is typed is kept in this browser.

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
  const kept = `laurel.chat.${chat.dataset.chat}.${chat.querySelectorAll("[data-role]").length}`;
  try {
    field.value ||= localStorage.getItem(kept) ?? "";
    field.addEventListener("input", () => localStorage.setItem(kept, field.value));
  } catch { /* Storage is off. */ }
  say.addEventListener("submit", () => {
    try {
      localStorage.removeItem(kept);
    } catch { /* Storage is off. */ }
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
