// Copies in this browser of what somebody has typed: until the server has it, or until they save it as a correction.

import { sendJson } from "./net.js";

/** What was typed for a task that is not submitted. */
export const draftKey = (assignment) => `laurel.draft.${assignment}`;
/** What was typed for a task that is submitted: a correction, or what came too late to be the label. */
export const correctionKey = (assignment) => `laurel.correction.${assignment}`;
/** What was typed in the form for skipping it. */
export const skipKey = (assignment) => `laurel.skip.${assignment}`;

/** The copy of a key; null where there is none, or storage is off. */
export function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

/** Keeps a copy, and says whether it is kept. */
export function keep(key, copy) {
  try {
    localStorage.setItem(key, JSON.stringify({ at: Date.now(), ...copy }));
    return true;
  } catch {
    return false; // Storage is off or full.
  }
}

export function forget(key) {
  try {
    localStorage.removeItem(key);
  } catch { /* Storage is off. */ }
}

/** The keys that begin so. */
export function keysOf(beginning) {
  try {
    return Object.keys(localStorage).filter((key) => key.startsWith(beginning));
  } catch {
    return [];
  }
}

/** Says that something else was typed, with a button that takes it; where it is shown is up to the page. */
export function offerOther(text, label, take) {
  const notice = document.createElement("p");
  notice.className = "notice notice-warning";
  notice.dataset.otherDraft = "";
  notice.setAttribute("role", "status");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.addEventListener("click", take);
  notice.append(`${text} `, button);
  return notice;
}

/** Keeps fields that can't be the label any more beside the label, for a correction of it. Nor is the task skipped any more. */
export function keepBeside(assignment, fields) {
  forget(skipKey(assignment));
  const kept = keep(correctionKey(assignment), { version: null, fields });
  if (kept) forget(draftKey(assignment));
  return kept;
}

/**
 * Looks after the copy of a task that is finished. The server says whether it is what was submitted: then it has done its work;
 * else it is what somebody wrote while another tab or computer submitted, and the page says where it is.
 */
export async function settle(notice) {
  const assignment = notice.dataset.finished;
  forget(skipKey(assignment));
  const begun = read(correctionKey(assignment));
  const { draft } = notice.dataset;
  const corrections = [begun?.fields, draft && JSON.parse(draft), ...waiting(notice.dataset).map(({ fields }) => fields)].filter(Boolean);
  if (corrections.length > 0 && notice.dataset.begun) notice.after(tellBegun(notice.dataset, ...corrections));
  const copy = read(draftKey(assignment));
  if (!copy) return;
  if (!copy.fields || "skipped" in notice.dataset) return forget(draftKey(assignment));
  const answer = await sendJson("PUT", `/tasks/${assignment}/draft`, copy.fields);
  if (answer.status !== 409) return;
  if (!answer.data.differs) return forget(draftKey(assignment));
  if (answer.data.correct && !begun) keepBeside(assignment, copy.fields);
  notice.after(tellBeside(answer.data, copy.fields));
}

/** Says that a correction was begun and not saved: on the server, or in this browser, or in both. */
function tellBegun(notice, ...corrections) {
  const { finished, begun, correct, look, discard, failed } = notice;
  const told = tellBeside({ message: begun, correct, look }, ...corrections);
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = discard;
  const problem = document.createElement("span");
  button.addEventListener("click", async () => {
    problem.textContent = "";
    if (notice.draft && !(await discardDraft(notice))) {
      problem.textContent = ` ${failed}`;
      return;
    }
    forget(correctionKey(finished));
    told.remove();
  });
  told.append(" ", button, problem);
  return told;
}

/** What waits on the server beside the draft of a correction. */
const waiting = ({ draftBeside }) => JSON.parse(draftBeside ?? "[]");

/**
 * Discards the server's draft of a correction, and says whether it is gone. One that was saved elsewhere since stays: the page shows it.
 * So does what waited beside it, unless all could be read here.
 */
async function discardDraft(notice) {
  const { finished, draftOf, draftAt, correct } = notice;
  const names = correct ? [] : waiting(notice).map(({ saved_at: name }) => name);
  const { kind, data } = await sendJson("PUT", `/tasks/${finished}/draft?base=${draftAt}&version=${draftOf}&settled=${names}`, {});
  if (kind === "ok" && data.saved_at) location.reload();
  return kind === "ok";
}

/** What somebody has written in fields, to be read. */
const readable = (fields) => Object.entries(fields).filter(([field, value]) => field !== "seconds" && value).map(([, value]) => value).join("\n\n");

/** Says that a task was submitted with something else than these fields, and leads to what can be done with them. */
export function tellBeside({ message, correct, look }, ...written) {
  const told = document.createElement("div");
  told.className = "notice notice-warning";
  told.setAttribute("role", "status");
  told.dataset.beside = "";
  if (correct) {
    const link = document.createElement("a");
    link.href = correct;
    link.textContent = look;
    told.append(`${message} `, link);
    return told;
  }
  // It can't be saved any more: here it is, to be copied.
  const box = document.createElement("details");
  const name = document.createElement("summary");
  name.textContent = look;
  const text = document.createElement("pre");
  text.className = "source";
  text.dir = "auto";
  text.textContent = [...new Set(written.map(readable))].join("\n\n* * *\n\n");
  box.append(name, text);
  told.append(message, box);
  return told;
}
