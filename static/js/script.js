// Which language a text is likely in, by its script and, in Latin letters, by its smallest words: enough to notice an answer in
// another language than the task's.

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
/** What a language is written in, by the code of its script in ISO 15924. */
const WANTED = { Latn: ["latin"], Hans: ["han"], Hant: ["han"], Jpan: ["han", "kana"], Kore: ["hangul", "han"], Cyrl: ["cyrillic"], Arab: ["arabic"], Hebr: ["hebrew"], Grek: ["greek"], Thai: ["thai"], Deva: ["devanagari"] };
/** Small words that one of these languages has and the others hardly. */
const SMALL_WORDS = {
  en: "the and of is that it with for are this you was have not",
  fr: "le les des est et une dans pour qui sur pas vous avec sont",
  de: "der die das und ist nicht ein eine mit zu auf für sich den",
  es: "el los las y una por con para del se lo como más está",
  pt: "o os as e uma não com do da em são você mais ao",
  it: "il gli di e una che per non con sono della nel più anche",
};
/** Small words below which nothing is said, and how many times those of the task's language they have to be. */
const FEWEST_WORDS = 6;
const TIMES = 3;
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
  const fitting = WANTED[new Intl.Locale(wanted).maximize().script];
  // Of a language in a script that is not known here nothing can be said.
  if (!fitting || all < FEWEST || most < MOST * all) return null;
  if (fitting.includes(script)) return script === "latin" ? otherLatin(prose, wanted) : null;
  // Kana beside ideographs is Japanese.
  return script === "han" && counts.some(([name, count]) => name === "kana" && count > 0) ? "ja" : LANGUAGES[script];
}

/** The language whose small words a text has, where they are not those of the wanted one. */
function otherLatin(prose, wanted) {
  const here = new Intl.Locale(wanted).language;
  if (!(here in SMALL_WORDS)) return null;
  const found = prose.toLowerCase().match(/\p{Letter}+/gu) ?? [];
  const count = (tag) => {
    const small = new Set(SMALL_WORDS[tag].split(" "));
    return found.filter((word) => small.has(word)).length;
  };
  const [most, times] = Object.keys(SMALL_WORDS).map((tag) => [tag, count(tag)]).reduce((best, one) => (one[1] > best[1] ? one : best));
  return most !== here && times >= FEWEST_WORDS && times > TIMES * count(here) ? most : null;
}

/** A tag as browsers know it; undefined where it is none, as those of imported prompts may be. */
export function known(tag) {
  try {
    return Intl.getCanonicalLocales(tag.replaceAll("_", "-"))[0];
  } catch {
    return undefined;
  }
}
