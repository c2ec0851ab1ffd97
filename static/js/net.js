// Requests by script: with the CSRF token, renewed once when the person has logged in again in another tab.

const token = () => document.querySelector('meta[name="csrf"]');

/** The answer of one try: `{kind: "ok"|"login"|"offline"|"expired"|"refused", status, data}`. */
async function once(method, address, body, type) {
  let response;
  try {
    response = await fetch(address, {
      method,
      body,
      redirect: "manual",
      keepalive: body !== undefined && body.length < 60_000,
      headers: { accept: "application/json", "x-csrf-token": token().content, ...(type ? { "content-type": type } : {}) },
    });
  } catch {
    return { kind: "offline" };
  }
  if (response.type === "opaqueredirect") return { kind: "login" };
  const data = await response.json().catch(() => ({}));
  if (response.ok) return { kind: "ok", status: response.status, data };
  if (data.code === "error-form-expired") return { kind: "expired", data };
  return { kind: "refused", status: response.status, data };
}

/** The page that a POST answers with, as a document; null where there is none. */
export async function postForPage(address) {
  try {
    const response = await fetch(address, { method: "POST", redirect: "manual", headers: { "x-csrf-token": token().content } });
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
  try {
    const response = await fetch("/queue", { redirect: "manual" });
    if (!response.ok) return response.type === "opaqueredirect" ? "login" : "offline";
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.querySelector('meta[name="csrf"]')?.content;
    if (!fresh) return "offline";
    token().content = fresh;
    stampForms();
    return "ok";
  } catch {
    return "offline";
  }
}

/** Sends a string of the given media type; JSON comes back. */
export async function send(method, address, body, type) {
  const first = await once(method, address, body, type);
  if (first.kind !== "expired") return first;
  const renewed = await renewToken();
  return renewed === "ok" ? once(method, address, body, type) : { kind: renewed };
}

export const sendJson = (method, address, value) => send(method, address, JSON.stringify(value), "application/json");

export const sendForm = (address, form, submitter) => {
  const fields = new URLSearchParams(new FormData(form));
  if (submitter?.name) fields.set(submitter.name, submitter.value);
  return send("POST", address, fields.toString(), "application/x-www-form-urlencoded");
};
