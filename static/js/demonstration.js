// Writing a demonstration: length, and a preview as the server renders it.

import { sendForm } from "./net.js";
import { say, words } from "./page.js";
import { known, otherLanguage } from "./script.js";
import { form, onTask, showError } from "./task.js";

const language = document.documentElement.lang;
const LONG = 50_000;
const numbers = new Intl.NumberFormat(language);

/** What finds the words of a language; browsers without it have none. */
const segmenterOf = (tag) => ("Segmenter" in Intl ? new Intl.Segmenter(tag, { granularity: "word" }) : null);
// The first of them takes a while: it is made as this script comes, mostly while one works on the task before.
segmenterOf(language)?.segment("a b").containing(0);

// Of the task that is shown now.
let text;
let button;
let preview;
let segmenter;

function start() {
  text = form.elements.completion;
  button = document.querySelector("[data-preview]");
  preview = document.getElementById("preview");
  segmenter = segmenterOf(known(text.lang) ?? language);
  form.addEventListener("input", written);
  form.addEventListener("laurel:restored", written);
  button.addEventListener("click", togglePreview);
  measure();
  lookAtScript();
  button.setAttribute("aria-expanded", String(!preview.hidden));
  if (!text.value) text.focus({ preventScroll: true });
}

/** The text is another one. */
function written() {
  measure();
  lookAtScript();
  if (preview.hidden) return;
  clearTimeout(timer);
  timer = setTimeout(draw, 400);
}

/** Words, also of languages that write no spaces between them. */
function countWords(value) {
  if (!segmenter || value.length > LONG) return value.split(/\s+/).filter(Boolean).length;
  let count = 0;
  for (const piece of segmenter.segment(value)) if (piece.isWordLike) count += 1;
  return count;
}

function measure() {
  const length = { words: numbers.format(countWords(text.value)), characters: numbers.format([...text.value].length) };
  document.querySelector("[data-length]").textContent = say(words.length, length);
}

/** A word where the text is in the script of another language than the task's. */
function lookAtScript() {
  const place = document.querySelector("[data-other-script]");
  const wanted = known(text.lang);
  const written = wanted && text.value ? otherLanguage(text.value, wanted) : null;
  place.hidden = !written;
  if (!written) return;
  const names = new Intl.DisplayNames([language], { type: "language" });
  place.textContent = say(words.otherScript, { written: names.of(written), wanted: names.of(wanted) });
}

let timer = 0;
/** Counts the previews asked for, so that one which comes late doesn't stand in the place of the newest. */
let asked = 0;

/** Shows what is written now; `false` where that can't be had, null where something newer was asked for meanwhile. */
async function draw() {
  clearTimeout(timer);
  const mine = form;
  asked += 1;
  const newest = asked;
  const answer = await sendForm(button.formAction, form);
  if (form !== mine || !form.isConnected || newest !== asked) return null;
  if (answer.kind !== "ok") return false;
  document.querySelector("[data-preview-body]").innerHTML = answer.data.html; // Sanitised by the server.
  return true;
}

async function togglePreview(event) {
  event.preventDefault();
  const open = preview.hidden;
  if (open) {
    const drawn = await draw();
    if (drawn === false) showError(words.failed);
    if (!drawn) return;
  }
  preview.hidden = !open;
  button.setAttribute("aria-expanded", String(open));
}

onTask("demonstration", start);
