// A conversation: answers stream in as they are written, letters choose; what is typed, and a choice that is marked and not yet confirmed,
// are kept on the server, and here while it is away.

import { forget, keep, keysOf, offerOther, read } from "./kept.js";
import { isComposing, isForPage, keyName, words } from "./page.js";
import { saveByScript } from "./saving.js";
import { sendByScript } from "./sending.js";

/** Milliseconds without a sign of the server after which the answers are given up. */
const SILENCE = 60_000;
/** Milliseconds without a move after which nobody is at work. */
const IDLE = 120_000;
/** The most milliseconds that one beat of the clock counts: a computer that wakes has not been worked at while it slept. */
const BEAT = 5_000;

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
  // The server says something every few seconds, if only that it is there.
  const stop = new AbortController();
  let silence = setTimeout(() => stop.abort(), SILENCE);
  const alive = () => {
    clearTimeout(silence);
    silence = setTimeout(() => stop.abort(), SILENCE);
  };
  try {
    const response = await fetch(form.action, {
      method: "POST",
      redirect: "manual",
      signal: stop.signal,
      headers: { accept: "text/event-stream", "x-csrf-token": form.elements.csrf.value },
    });
    // Logged out, or an old tab: the page itself says what is to do.
    if (response.type === "opaqueredirect" || response.status === 403) return null;
    // Chatting is switched off, say: loading the page again would only ask again.
    if (!response.ok) return (await response.json().catch(() => ({}))).message ?? words.broken;
    for await (const [name, data] of events(response.body, alive)) {
      if (name === "kept") return null;
      if (name === "failed") return data.message;
      heard(name, data);
    }
    return words.broken;
  } catch {
    return navigator.onLine ? words.broken : words.offline;
  } finally {
    clearTimeout(silence);
  }
}

async function* events(body, alive) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    alive();
    rest += value;
    const whole = rest.split("\n\n");
    rest = whole.pop();
    for (const event of whole) {
      const field = (name) => event.split("\n").find((line) => line.startsWith(`${name}:`))?.slice(name.length + 1).trim();
      if (field("event")) yield [field("event"), JSON.parse(field("data") ?? "{}")];
    }
  }
}

// A choice that is marked is kept here until the server has it, or another one stands.
const choices = `laurel.choice.${chat.dataset.chat}.`;
const choiceKey = choose && `${choices}${chat.dataset.turn}.${choose.elements.version?.value ?? ""}`;
for (const key of keysOf(choices)) {
  const [turn, version] = key.slice(choices.length).split(".");
  const settled = "corrects" in chat.dataset ? turn === chat.dataset.turn : version === "";
  if (settled && key !== choiceKey) forget(key);
}
if (choose) choosing();

function choosing() {
  const picks = [...choose.elements.best];
  const choice = choose.querySelector("fieldset");
  const state = choose.querySelector("[data-draft-state]");
  const copy = read(choiceKey);
  const place = `/chats/${chat.dataset.chat}/turns/${chat.dataset.turn}`;
  let base = Number(choose.dataset.savedAt);
  let seconds = Math.max(Number(copy?.seconds) || 0, Number(choose.elements.seconds.value) || 0);
  let last = performance.now();
  let moved = last;

  // Seconds of work: the page is seen and somebody has moved within two minutes.
  for (const kind of ["keydown", "pointerdown", "pointermove", "wheel", "scroll"]) {
    window.addEventListener(kind, () => { moved = performance.now(); }, { passive: true, capture: true });
  }
  function count() {
    const now = performance.now();
    if (!document.hidden && now - moved < IDLE) seconds += Math.min(now - last, BEAT) / 1000;
    last = now;
  }
  setInterval(count, 1000);

  function keepHere() {
    count();
    choose.elements.seconds.value = seconds.toFixed(1);
    return keep(choiceKey, { base, best: choose.elements.best.value, seconds });
  }

  const saving = saveByScript(choose, {
    value: () => choose.elements.best.value,
    body: (best) => ({
      choice: {
        turn: Number(chat.dataset.turn),
        version: choose.elements.version?.value,
        best: Number(best),
        seconds: Number(choose.elements.seconds.value),
      },
    }),
    keepHere,
    stored(best, at) {
      base = at;
      if (choose.elements.best.value === best) keep(choiceKey, { seconds });
    },
    // Another choice stands meanwhile: its page says so, and marks what was chosen here.
    late: () => location.assign(`${place}?other=${choose.elements.best.value}`),
  });
  const kept = picks.find((pick) => pick.value === copy?.best);
  // What was chosen on another computer since counts.
  if (kept && !kept.checked && (copy.base >= base || copy.at > base)) {
    kept.checked = true;
    state.dataset.state = "offline";
    state.textContent = words.restored;
    saving.later();
  }
  choose.addEventListener("input", saving.later);
  sendByScript(choose, {
    leaves() {
      saving.close();
      return keepHere();
    },
    stays: saving.reopen,
  });
  document.addEventListener("keydown", (event) => {
    if (choice.inert || !isForPage(event)) return;
    const key = keyName(event);
    const card = choose.querySelector(`[data-letter="${CSS.escape(key.toUpperCase())}"]`);
    if (key.length === 1 && card) {
      const pick = card.querySelector("input");
      pick.focus();
      if (!pick.checked) {
        pick.checked = true;
        pick.dispatchEvent(new Event("input", { bubbles: true }));
      }
      event.preventDefault();
    } else if (key === "Enter" && !event.target.closest("a, button, summary")) {
      event.preventDefault();
      choose.requestSubmit();
    }
  });
}

// What was typed for a turn is forgotten once the page shows that turn as it was typed, and not before.
const said = [...document.querySelectorAll("[data-role=user] [data-source]")].map((source) => source.textContent.trim());
const beginning = `laurel.chat.${chat.dataset.chat}.`;
const unsaid = [];
for (const key of keysOf(beginning)) {
  const turn = Number(key.slice(beginning.length));
  if (turn >= Number(chat.dataset.turns)) continue;
  const message = read(key)?.message?.trim();
  if (!message || message === said[turn]) forget(key);
  else unsaid.push([key, message]);
}
if (say) saying();

function saying() {
  const field = say.elements.message;
  const kept = `${beginning}${say.dataset.turns}`;
  let base = Number(say.dataset.savedAt);

  const keepHere = () => keep(kept, { base, message: field.value });
  const saving = saveByScript(say, {
    value: () => field.value,
    body: (message) => ({ turns: Number(say.dataset.turns), message }),
    keepHere,
    stored(message, at) {
      base = at;
      if (field.value === message) forget(kept);
    },
    // Said in another tab: the page shows how far the conversation is, and what was typed here when one can speak again.
    late: () => location.reload(),
  });

  /** Gives back what was typed here and is not on the server. */
  function offer(key, message) {
    const notice = offerOther(words.otherHere, words.otherTake, () => {
      const mine = field.value;
      field.value = message;
      field.dispatchEvent(new Event("input", { bubbles: true }));
      if (key !== kept) forget(key);
      message = mine;
      if (!mine.trim()) notice.remove();
    });
    say.before(notice);
  }

  const copy = read(kept);
  if (copy?.message && copy.message !== field.value) {
    // Which is newer says the draft that it was written over, or else the clocks, of which this browser's may be wrong.
    if (copy.base >= base || copy.at > base || !field.value) field.value = copy.message;
    else offer(kept, copy.message);
  }
  for (const [key, message] of unsaid) if (message !== field.value.trim()) offer(key, message);
  saving.ifChanged();
  field.addEventListener("input", saving.later);
  // The copy stays until the next page shows that it was said.
  sendByScript(say, {
    leaves() {
      saving.close();
      say.elements.base.value = base;
      return keepHere();
    },
    stays: saving.reopen,
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !isComposing(event)) {
      event.preventDefault();
      say.requestSubmit();
    }
  });
  field.focus({ preventScroll: true });
  field.scrollIntoView({ block: "nearest" });
}

// The keys that reading has on every page of this room; letters are for choosing.
document.addEventListener("keydown", (event) => {
  if (!isForPage(event) || keyName(event) !== "?") return;
  document.getElementById("keys")?.showPopover();
  event.preventDefault();
});
