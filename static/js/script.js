// Which language a text is likely in, by its script alone: enough to notice an answer in another language than the task's.

const SCRIPTS = {
  latin: /\p{Script=Latin}/gu,
  han: /\p{Script=Han}/gu,
  kana: /[\p{Script=Hiragana}\p{Script=Katakana}]/gu,
  hangul: /\p{Script=Hangul}/gu,
  cyrillic: /\p{Script=Cyrillic}/gu,
  arabic: /\p{Script=Arabic}/gu,
  hebrew: /\p{Script=Hebrew}/gu,
  greek: /\p{Script=Greek}/gu,
  thai: /\p{Script=Thai}/gu,
  devanagari: /\p{Script=Devanagari}/gu,
};
/** The language that a script speaks for; Latin letters speak for English where no Latin language is wanted. */
const LANGUAGES = { latin: "en", han: "zh", kana: "ja", hangul: "ko", cyrillic: "ru", arabic: "ar", hebrew: "he", greek: "el", thai: "th", devanagari: "hi" };
/** Scripts of languages that are not written in Latin letters. */
const WANTED = { zh: ["han"], ja: ["han", "kana"], ko: ["hangul", "han"], ru: ["cyrillic"], uk: ["cyrillic"], bg: ["cyrillic"], ar: ["arabic"], fa: ["arabic"], ur: ["arabic"], he: ["hebrew"], el: ["greek"], th: ["thai"], hi: ["devanagari"], mr: ["devanagari"] };
/** Letters below which nothing is said, and how many of them have to be of another script. */
const FEWEST = 20;
const MOST = 0.6;
/** A sign of these says as much as some letters of an alphabet. */
const WEIGHT = { han: 3, kana: 2, hangul: 2 };
const LOOK_AT = 5_000;

/** The language that a text seems to be in, where that is not the wanted one; code is not looked at. */
export function otherLanguage(text, wanted) {
  const prose = text.slice(0, LOOK_AT).replace(/```[^]*?(```|$)|`[^`\n]*`|https?:\/\/\S+/g, " ");
  const counts = Object.entries(SCRIPTS).map(([script, letters]) => [script, (prose.match(letters)?.length ?? 0) * (WEIGHT[script] ?? 1)]);
  const all = counts.reduce((sum, [, count]) => sum + count, 0);
  const [script, most] = counts.reduce((best, one) => (one[1] > best[1] ? one : best));
  const fitting = WANTED[wanted.split("-")[0].toLowerCase()] ?? ["latin"];
  if (all < FEWEST || most < MOST * all || fitting.includes(script)) return null;
  // Kana beside ideographs is Japanese.
  return script === "han" && counts.some(([name, count]) => name === "kana" && count > 0) ? "ja" : LANGUAGES[script];
}
