//! The fields that task forms send, and what is wrong with them.

use std::collections::BTreeMap;

use crate::domain::ranking::{Ranking, RankingError};

/// Characters that a demonstration may have.
pub const LONGEST_COMPLETION: usize = 200_000;
/// Characters that a note or the detail of a skip may have.
pub const LONGEST_NOTE: usize = 5_000;
/// Why a task may be skipped.
pub const SKIP_REASONS: [&str; 6] = ["unclear", "knowledge", "language", "offensive", "personal", "other"];

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
    NoReason,
    NoDetail,
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

    /// What a draft keeps: the fields that people fill in.
    pub fn draft(&self) -> BTreeMap<String, String> {
        let kept = |name: &str| matches!(name, "completion" | "note" | "seconds") || rank_position(name).is_some();
        self.0.iter().filter(|(name, _)| kept(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Seconds that the page measured; `None` where it did not, or measured nonsense.
    pub fn seconds(&self) -> Option<f64> {
        self.get("seconds").parse().ok().filter(|seconds: &f64| (0.0..=86_400.0).contains(seconds))
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

    /// Why the task is skipped: the reason's word, with what was written about it.
    pub fn skip_reason(&self) -> Result<String, FormError> {
        let reason = self.get("reason");
        let detail = self.get("detail").trim();
        if !SKIP_REASONS.contains(&reason) {
            Err(FormError::NoReason)
        } else if detail.chars().count() > LONGEST_NOTE {
            Err(FormError::TooLong { longest: LONGEST_NOTE })
        } else if detail.is_empty() && reason == "other" {
            Err(FormError::NoDetail)
        } else if detail.is_empty() {
            Ok(reason.to_owned())
        } else {
            Ok(format!("{reason}: {detail}"))
        }
    }
}

/// The position in `rank_{position}`.
fn rank_position(name: &str) -> Option<usize> {
    name.strip_prefix("rank_")?.parse().ok().filter(|position| *position < 9)
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
        let form = fields(&[("csrf", "x"), ("rank_0", "1"), ("rank_77", "1"), ("note", "n"), ("then", "queue")]);
        assert_eq!(form.draft().into_keys().collect::<Vec<_>>(), ["note", "rank_0"]);
    }

    #[test]
    fn measured_time_is_believed_within_a_day() {
        assert_eq!(fields(&[("seconds", "12.5")]).seconds(), Some(12.5));
        for nonsense in ["", "-1", "NaN", "1e9", "inf"] {
            assert_eq!(fields(&[("seconds", nonsense)]).seconds(), None, "{nonsense}");
        }
    }
}
