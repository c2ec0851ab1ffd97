// What a page of figures fetches and hears from the server. While the server can't be reached the page says so, and asks again.

import { getPage, send } from "./net.js";

/** Milliseconds between two tries. */
const AGAIN = 5_000;
/** Whatever can't reach the server now, and why: `login`, `refused` or `offline`. */
const troubles = new Map();

/** Says on the page what is the matter, or nothing more of it. */
export function tell(who, trouble) {
  if (trouble) troubles.set(who, trouble);
  else troubles.delete(who);
  const place = document.querySelector("[data-connection]");
  const worst = ["login", "refused", "offline"].find((kind) => [...troubles.values()].includes(kind));
  place.hidden = !worst;
  if (place.dataset.trouble === worst) return;
  place.dataset.trouble = worst ?? "";
  place.textContent = place.dataset[worst] ?? "";
  if (worst !== "login") return;
  const link = document.createElement("a");
  link.href = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
  link.textContent = place.dataset.link;
  place.append(" ", link);
}

/** A pause between two tries, shorter where the browser hears that the connection is back. */
export function pause(length = AGAIN) {
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      window.removeEventListener("online", over);
      resolve();
    };
    const timer = setTimeout(over, length);
    window.addEventListener("online", over);
  });
}

/** The JSON at an address, asked for until the server answers; null where it refuses, or where `wanted` says that it is too late. */
export async function fetchJson(address, wanted = () => true) {
  // The next try of the same takes back what was said of this one.
  const who = new URL(address, location.href).pathname;
  for (;;) {
    const answer = await send("GET", address);
    const late = !wanted();
    tell(who, late || answer.kind === "ok" ? null : answer.kind);
    if (late) return null;
    if (answer.kind !== "offline") return answer.kind === "ok" ? answer.data : null;
    await pause();
  }
}

/** Hears server-sent events, each by the function of its name, from where it was after every break. Gives what ends it. */
export function listen(address, heard) {
  const who = Symbol(address);
  let source;
  let last = "";
  let failures = 0;
  let ended = false;

  function open() {
    const place = new URL(address, location.href);
    if (last) place.searchParams.set("after", last);
    source = new EventSource(place);
    source.addEventListener("open", () => {
      failures = 0;
      tell(who, null);
    });
    source.addEventListener("error", failed);
    for (const [name, hear] of Object.entries(heard)) {
      source.addEventListener(name, (event) => {
        last = event.lastEventId;
        hear(event);
      });
    }
  }

  async function failed() {
    // The server ends its streams now and then, and the browser comes back by itself: one failure is none.
    failures += 1;
    if (source.readyState !== EventSource.CLOSED) {
      if (failures > 1) tell(who, "offline");
      return;
    }
    // An answer that is no stream, of a proxy or the log-in page: the browser gives up, and the page says what it is.
    const { kind } = await getPage(location.href);
    if (ended) return;
    tell(who, kind === "ok" ? null : kind);
    await pause();
    if (!ended) open();
  }

  open();
  return () => {
    ended = true;
    source.close();
    tell(who, null);
  };
}
