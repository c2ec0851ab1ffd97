// Requests by script: with the CSRF token, renewed once when the person has logged in again in another tab.

/** Milliseconds after which a request counts as lost: a server that hangs must not look like one that works. */
const PATIENCE = 20_000;
/** Characters a millisecond that a slow connection still carries: a long text has the time that it takes to go there. */
const SLOWEST = 4;
/** Bytes up to which a request outlives its page. Browsers refuse more than 64 KiB of them at once: a draft and what is submitted. */
const OUTLIVES = 30_000;
/** Statuses by which a proxy says that the server behind it is away. */
const AWAY = [502, 503, 504];

const token = () => document.querySelector('meta[name="csrf"]');

/** Ends a request when it takes too long, or when whoever began it wants to. */
const patience = (stop, body = "") => {
  const late = AbortSignal.timeout(PATIENCE + Math.ceil(body.length / SLOWEST));
  return stop ? AbortSignal.any([late, stop]) : late;
};

/** The answer of one try: `{kind: "ok"|"login"|"offline"|"expired"|"refused", status, data}`. */
async function once(method, address, body, type, stop) {
  let response;
  let text;
  try {
    response = await fetch(address, {
      method,
      body,
      redirect: "manual",
      signal: patience(stop, body),
      keepalive: body !== undefined && body.length < OUTLIVES && new TextEncoder().encode(body).length < OUTLIVES,
      headers: { accept: "application/json", "x-csrf-token": token().content, ...(type ? { "content-type": type } : {}) },
    });
    if (response.type === "opaqueredirect") return { kind: "login" };
    text = await response.text();
  } catch {
    return { kind: "offline" };
  }
  if (AWAY.includes(response.status)) return { kind: "offline" };
  let data = {};
  try {
    data = JSON.parse(text);
  } catch {
    // Success in other words than ours: something between here and the server answers for it.
    if (response.ok && text) return { kind: "offline" };
  }
  if (response.ok) return { kind: "ok", status: response.status, data };
  if (data.code === "error-form-expired") return { kind: "expired", data };
  return { kind: "refused", status: response.status, data };
}

/** The page at an address, as a document: `{kind: "ok"|"login"|"offline"|"refused", page}`. */
export async function getPage(address) {
  try {
    const response = await fetch(address, { redirect: "manual", signal: patience(), headers: { accept: "text/html" } });
    if (response.type === "opaqueredirect") return { kind: "login" };
    if (AWAY.includes(response.status)) return { kind: "offline" };
    if (!response.ok) return { kind: "refused" };
    return { kind: "ok", page: new DOMParser().parseFromString(await response.text(), "text/html") };
  } catch {
    return { kind: "offline" };
  }
}

/** The page that a POST answers with, as a document; null where there is none. */
export async function postForPage(address) {
  try {
    const response = await fetch(address, { method: "POST", redirect: "manual", signal: patience(), headers: { "x-csrf-token": token().content } });
    if (response.status !== 200) return null;
    return new DOMParser().parseFromString(await response.text(), "text/html");
  } catch {
    return null;
  }
}

/** Puts the token of this page into forms that have come from another. */
export function stampForms() {
  for (const field of document.querySelectorAll('input[name="csrf"]')) field.value = token().content;
}

/** Takes the token of the session that is logged in now. */
async function renewToken() {
  const { kind, page } = await getPage("/queue");
  const fresh = page?.querySelector('meta[name="csrf"]')?.content;
  if (!fresh) return kind === "login" ? "login" : "offline";
  token().content = fresh;
  stampForms();
  return "ok";
}

/** Sends a string of the given media type; JSON comes back. `stop` is a signal that ends it. */
export async function send(method, address, body, type, stop) {
  const first = await once(method, address, body, type, stop);
  if (first.kind !== "expired") return first;
  const renewed = await renewToken();
  return renewed === "ok" ? once(method, address, body, type, stop) : { kind: renewed };
}

export const sendJson = (method, address, value) => send(method, address, JSON.stringify(value), "application/json");

const FORM = "application/x-www-form-urlencoded";

/** What a form would send now, the button that was pressed included. */
export function written(form, submitter) {
  const fields = new URLSearchParams(new FormData(form));
  if (submitter?.name) fields.set(submitter.name, submitter.value);
  return fields.toString();
}

/** Sends what a form had written. The token in the header counts: the one in the text may be of an earlier session. */
export const sendWritten = (address, body, stop) => send("POST", address, body, FORM, stop);

export const sendForm = (address, form, submitter) => sendWritten(address, written(form, submitter));
