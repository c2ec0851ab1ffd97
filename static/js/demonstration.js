// Writing a demonstration: length, and a preview as the server renders it.

import "./task.js";
import { sendForm } from "./net.js";
import { say, words } from "./page.js";

const form = document.getElementById("task");
const text = form.elements.completion;
const length = document.querySelector("[data-length]");
const button = document.querySelector("[data-preview]");
const preview = document.getElementById("preview");
const body = document.querySelector("[data-preview-body]");
const language = document.documentElement.lang;
const segmenter = "Segmenter" in Intl ? new Intl.Segmenter(text.lang || language, { granularity: "word" }) : null;
const LONG = 50_000;

/** Words, also of languages that write no spaces between them. */
function countWords(value) {
  if (!segmenter || value.length > LONG) return value.split(/\s+/).filter(Boolean).length;
  let count = 0;
  for (const piece of segmenter.segment(value)) if (piece.isWordLike) count += 1;
  return count;
}

function measure() {
  const number = (value) => value.toLocaleString(language);
  length.textContent = say(words.length, { words: number(countWords(text.value)), characters: number([...text.value].length) });
}

let timer = 0;
async function draw() {
  const answer = await sendForm(button.formAction, form);
  if (answer.kind === "ok") body.innerHTML = answer.data.html; // Sanitised by the server.
}

form.addEventListener("input", () => {
  measure();
  if (preview.hidden) return;
  clearTimeout(timer);
  timer = setTimeout(draw, 400);
});
form.addEventListener("laurel:restored", measure);
button.addEventListener("click", async (event) => {
  event.preventDefault();
  const open = preview.hidden;
  if (open) await draw();
  preview.hidden = !open;
  button.setAttribute("aria-expanded", String(open));
});

measure();
button.setAttribute("aria-expanded", String(!preview.hidden));
if (!text.value) text.focus({ preventScroll: true });
