//! The fields that task forms send, and what is wrong with them.

use std::collections::BTreeMap;

use crate::domain::{
    comparison::Confidence,
    flag,
    ranking::{Ranking, RankingError},
    rating_scale::RatingScale,
    written_prompt::{Example, FEWEST_EXAMPLES, MOST_EXAMPLES, PromptKind, Written},
};

/// Characters that a demonstration may have.
pub const LONGEST_COMPLETION: usize = 200_000;
/// Characters that a note or the detail of a skip may have.
pub const LONGEST_NOTE: usize = 5_000;
/// Why a task may be skipped.
pub const SKIP_REASONS: [&str; 8] =
    ["unclear", "knowledge", "language", "unanswerable", "offensive", "personal", "report", "other"];
/// Those of them that say nothing without words of one's own.
const NEED_WORDS: [&str; 3] = ["unanswerable", "report", "other"];

/// A form as it was sent: the last value of each name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<String, String>);

/// What is wrong with a form; the page says it in the reader's language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormError {
    Empty,
    TooLong {
        longest: usize,
    },
    /// Positions that have no rank.
    Unranked {
        positions: Vec<usize>,
    },
    /// Not a number from 1 up.
    NotARank {
        position: usize,
    },
    Ranks(RankingError),
    /// None of the nine points between two answers.
    NoConfidence,
    /// Positions whose rating is asked for and missing.
    Unrated {
        positions: Vec<usize>,
    },
    /// Not a number of the scale.
    NotARating {
        position: usize,
        scale: RatingScale,
    },
    /// The ratings are on a scale that the project does not know.
    OtherScale,
    /// “Something else” is wrong with an answer, and no note says what.
    FlagNeedsNote {
        position: usize,
    },
    NoReason,
    NoDetail,
    /// A few-shot prompt without its instruction.
    NoInstruction,
    /// One of an example's two sides is empty; examples count from 1.
    HalfExample {
        number: usize,
    },
    /// Too few examples to show a pattern.
    FewExamples {
        fewest: usize,
    },
    /// Nothing is left to be answered.
    NoQuery,
    /// The project has this prompt already.
    AlreadyHere,
}

impl FromIterator<(String, String)> for Fields {
    /// Line breaks become `\n`, whatever the browser sends; NUL, which no database text can hold, goes.
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Fields(pairs.into_iter().map(|(name, value)| (name, value.replace("\r\n", "\n").replace('\0', ""))).collect())
    }
}

impl Fields {
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// What a draft keeps: the fields that people fill in, and what their ratings are on.
    pub fn draft(&self) -> BTreeMap<String, String> {
        let kept = |name: &str| {
            matches!(
                name,
                "completion" | "confidence" | "note" | "seconds" | "all_bad" | "prompt" | "instruction" | "query"
            ) || (name == "scale" && self.has_ratings())
                || ["rank_", "rating_", "flag_", "query_", "response_"].iter().any(|kind| is_of_answer(name, kind))
        };
        self.0.iter().filter(|(name, _)| kept(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Whether nobody has filled in anything: the clock does not count.
    pub fn is_blank(&self) -> bool {
        self.draft().iter().all(|(name, value)| name == "seconds" || value.trim().is_empty())
    }

    /// When the draft was saved that the page had before it, in milliseconds since 1970, 0 for none; `None` where it does not say.
    pub fn base(&self) -> Option<i64> {
        self.get("base").parse().ok()
    }

    /// Seconds that the page measured; `None` where it did not, or measured nonsense.
    pub fn seconds(&self) -> Option<f64> {
        measured_seconds(self.get("seconds"))
    }

    /// The note, if one was written.
    pub fn note(&self) -> Result<Option<&str>, FormError> {
        let note = self.get("note").trim();
        if note.chars().count() > LONGEST_NOTE {
            return Err(FormError::TooLong { longest: LONGEST_NOTE });
        }
        Ok(Some(note).filter(|note| !note.is_empty()))
    }

    /// The demonstration's text, without blank lines around it.
    pub fn completion(&self) -> Result<&str, FormError> {
        let text = self.get("completion").trim_end().trim_start_matches('\n');
        if text.trim().is_empty() {
            Err(FormError::Empty)
        } else if text.chars().count() > LONGEST_COMPLETION {
            Err(FormError::TooLong { longest: LONGEST_COMPLETION })
        } else {
            Ok(text)
        }
    }

    /// A field's text without blank lines around it, within the limit of every text.
    fn text(&self, name: &str) -> Result<&str, FormError> {
        let text = self.get(name).trim_end().trim_start_matches('\n');
        let text = if text.trim().is_empty() { "" } else { text };
        if text.chars().count() > LONGEST_COMPLETION {
            return Err(FormError::TooLong { longest: LONGEST_COMPLETION });
        }
        Ok(text)
    }

    /// The prompt that was written, of the kind that is asked for.
    pub fn written(&self, kind: PromptKind) -> Result<Written, FormError> {
        if kind != PromptKind::FewShot {
            return match self.text("prompt")? {
                "" => Err(FormError::Empty),
                text => Ok(Written::Text(text.to_owned())),
            };
        }
        let instruction = self.text("instruction")?;
        if instruction.is_empty() {
            return Err(FormError::NoInstruction);
        }
        let mut examples = Vec::new();
        for number in 1..=MOST_EXAMPLES {
            let (query, response) = (self.text(&format!("query_{number}"))?, self.text(&format!("response_{number}"))?);
            match (query.is_empty(), response.is_empty()) {
                (true, true) => {}
                (false, false) => {
                    examples.push(Example { query: query.to_owned(), response: response.to_owned() });
                }
                _ => return Err(FormError::HalfExample { number }),
            }
        }
        if examples.len() < FEWEST_EXAMPLES {
            return Err(FormError::FewExamples { fewest: FEWEST_EXAMPLES });
        }
        match self.text("query")? {
            "" => Err(FormError::NoQuery),
            query => Ok(Written::FewShot { instruction: instruction.to_owned(), examples, query: query.to_owned() }),
        }
    }

    /// The rank that was given to one answer, as it was sent.
    pub fn rank(&self, position: usize) -> &str {
        self.get(&format!("rank_{position}"))
    }

    /// The ranking of `answers` answers.
    pub fn ranking(&self, answers: usize) -> Result<Ranking, FormError> {
        let unranked: Vec<usize> = (0..answers).filter(|position| self.rank(*position).trim().is_empty()).collect();
        if !unranked.is_empty() {
            return Err(FormError::Unranked { positions: unranked });
        }
        let ranks = (0..answers)
            .map(|position| self.rank(position).trim().parse::<u32>().map_err(|_| FormError::NotARank { position }))
            .collect::<Result<Vec<u32>, FormError>>()?;
        Ranking::from_ranks(&ranks).map_err(|error| match error {
            RankingError::Zero { position } => FormError::NotARank { position },
            other => FormError::Ranks(other),
        })
    }

    /// How sure the person is that one of two answers is better, as they stand on the page.
    pub fn confidence(&self) -> Result<Confidence, FormError> {
        let point = self.get("confidence").trim().parse().map_err(|_| FormError::NoConfidence)?;
        Confidence::new(point).map_err(|_| FormError::NoConfidence)
    }

    /// Whether any answer is rated.
    pub fn has_ratings(&self) -> bool {
        self.0.iter().any(|(name, value)| is_of_answer(name, "rating_") && !value.trim().is_empty())
    }

    /// Whether the button was pressed that leads to the form for skipping.
    pub fn asks_to_skip(&self) -> bool {
        self.get("skip") == "ask"
    }

    /// Why the task is skipped: the reason's word, with what was written about it.
    pub fn skip_reason(&self) -> Result<String, FormError> {
        let reason = self.get("reason");
        let detail = self.get("detail").trim();
        if !SKIP_REASONS.contains(&reason) {
            Err(FormError::NoReason)
        } else if detail.chars().count() > LONGEST_NOTE {
            Err(FormError::TooLong { longest: LONGEST_NOTE })
        } else if detail.is_empty() && NEED_WORDS.contains(&reason) {
            Err(FormError::NoDetail)
        } else if detail.is_empty() {
            Ok(reason.to_owned())
        } else {
            Ok(format!("{reason}: {detail}"))
        }
    }
}

/// Seconds that a page measured, which are believed within a day; `None` of anything else.
pub fn measured_seconds(sent: &str) -> Option<f64> {
    sent.parse().ok().filter(|seconds: &f64| (0.0..=86_400.0).contains(seconds))
}

/// Whether a field's name is the kind and the position of an answer, perhaps with a word behind it: `rank_0`, `flag_0_sexual`.
fn is_of_answer(name: &str, kind: &str) -> bool {
    let Some(rest) = name.strip_prefix(kind) else { return false };
    let (position, word) = rest.split_once('_').map_or((rest, None), |(position, word)| (position, Some(word)));
    let known = if kind == "flag_" { word.is_some_and(flag::is_word) } else { word.is_none() };
    known && position.len() == 1 && position.parse().is_ok_and(|position: u8| position < 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_text_keeps_its_inside_and_loses_its_edges() {
        assert_eq!(fields(&[("completion", "\r\n  a\r\n\r\nb \r\n")]).completion(), Ok("  a\n\nb"));
        assert_eq!(fields(&[("completion", " \n ")]).completion(), Err(FormError::Empty));
        assert_eq!(fields(&[("completion", "a\0b")]).completion(), Ok("ab"));
    }

    #[test]
    fn ranks_are_read_by_position() {
        let form = fields(&[("rank_1", "1"), ("rank_0", "2"), ("rank_2", "2")]);
        assert_eq!(form.ranking(3).expect("a ranking").ranks(), [2, 1, 2]);
        assert_eq!(form.ranking(4), Err(FormError::Unranked { positions: vec![3] }));
        assert_eq!(fields(&[("rank_0", "x"), ("rank_1", "1")]).ranking(2), Err(FormError::NotARank { position: 0 }));
        assert_eq!(fields(&[("rank_0", "0"), ("rank_1", "1")]).ranking(2), Err(FormError::NotARank { position: 0 }));
    }

    #[test]
    fn a_draft_keeps_only_what_people_fill_in() {
        let form = fields(&[
            ("csrf", "x"),
            ("rank_0", "1"),
            ("rank_77", "1"),
            ("rank_0_x", "1"),
            ("flag_1_sexual", "1"),
            ("flag_1_our_own", "1"),
            ("flag_1_X-1", "1"),
            ("note", "n"),
            ("then", "queue"),
        ]);
        assert_eq!(form.draft().into_keys().collect::<Vec<_>>(), ["flag_1_our_own", "flag_1_sexual", "note", "rank_0"]);
        assert!(!form.is_blank());
        assert!(fields(&[("csrf", "x"), ("seconds", "7"), ("note", " "), ("then", "queue")]).is_blank());
    }

    #[test]
    fn a_prompt_that_cannot_be_answered_is_skipped_with_a_stated_reason() {
        let skip = |reason, detail| fields(&[("reason", reason), ("detail", detail)]).skip_reason();
        for reason in NEED_WORDS {
            assert_eq!(skip(reason, " "), Err(FormError::NoDetail));
        }
        assert_eq!(
            skip("unanswerable", " It ends in the middle. "),
            Ok("unanswerable: It ends in the middle.".to_owned())
        );
        assert_eq!(skip("unclear", ""), Ok("unclear".to_owned()));
        assert_eq!(skip("boring", ""), Err(FormError::NoReason));
    }

    #[test]
    fn a_few_shot_prompt_needs_an_instruction_whole_examples_and_a_last_query() {
        let mut sent = vec![("query_1", "2 + 2"), ("response_1", "4"), ("query_3", "3 + 3"), ("response_3", "6")];
        let written = |sent: &[(&str, &str)]| fields(sent).written(PromptKind::FewShot);
        assert_eq!(written(&sent), Err(FormError::NoInstruction));
        sent.push(("instruction", "Add up."));
        assert_eq!(written(&sent), Err(FormError::NoQuery));
        assert_eq!(written(&sent[2..]), Err(FormError::FewExamples { fewest: 2 }));
        sent.push(("query_2", "half"));
        assert_eq!(written(&sent), Err(FormError::HalfExample { number: 2 }));
        sent.extend([("response_2", "1/2"), ("query", "5 + 5")]);
        let Ok(Written::FewShot { examples, query, .. }) = written(&sent) else { panic!("{:?}", written(&sent)) };
        assert_eq!((examples.len(), query.as_str()), (3, "5 + 5"));
        // All of it is in the draft.
        assert_eq!(fields(&sent).draft().len(), sent.len());
        let plain = |text| fields(&[("prompt", text)]).written(PromptKind::UseCase);
        assert_eq!(plain(" \n"), Err(FormError::Empty));
        assert_eq!(plain("\nWhy?\n"), Ok(Written::Text("Why?".to_owned())));
    }

    #[test]
    fn measured_time_is_believed_within_a_day() {
        assert_eq!(fields(&[("seconds", "12.5")]).seconds(), Some(12.5));
        for nonsense in ["", "-1", "NaN", "1e9", "inf"] {
            assert_eq!(fields(&[("seconds", nonsense)]).seconds(), None, "{nonsense}");
        }
    }
}
