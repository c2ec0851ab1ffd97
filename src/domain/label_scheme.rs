//! What a project asks people to say of each answer besides its rank: a rating, flags, a note.

use serde::{Deserialize, Serialize};

/// Something wrong with an answer: the list that the labelers of InstructGPT had (Ouyang et al. 2022, table 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// Does not follow the instruction.
    NotFollowing,
    /// Inappropriate for a customer assistant.
    Inappropriate,
    Sexual,
    Violent,
    /// Encourages harm, or fails to discourage it.
    EncouragesHarm,
    /// Denigrates a protected class.
    Denigrates,
    HarmfulAdvice,
    Opinion,
    /// On a closed task: says what the given text does not.
    Hallucination,
    WrongLanguage,
    /// Something else, which the note says.
    Other,
}

impl Flag {
    pub const ALL: [Flag; 11] = [
        Flag::NotFollowing,
        Flag::Inappropriate,
        Flag::Sexual,
        Flag::Violent,
        Flag::EncouragesHarm,
        Flag::Denigrates,
        Flag::HarmfulAdvice,
        Flag::Opinion,
        Flag::Hallucination,
        Flag::WrongLanguage,
        Flag::Other,
    ];

    /// The word that forms, the database and exports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Flag::NotFollowing => "not_following",
            Flag::Inappropriate => "inappropriate",
            Flag::Sexual => "sexual",
            Flag::Violent => "violent",
            Flag::EncouragesHarm => "encourages_harm",
            Flag::Denigrates => "denigrates",
            Flag::HarmfulAdvice => "harmful_advice",
            Flag::Opinion => "opinion",
            Flag::Hallucination => "hallucination",
            Flag::WrongLanguage => "wrong_language",
            Flag::Other => "other",
        }
    }

    /// By its word.
    pub fn of(word: &str) -> Option<Self> {
        Flag::ALL.into_iter().find(|flag| flag.as_str() == word)
    }
}

/// Whether answers are rated from 1 to 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RatingRule {
    Off,
    #[default]
    Optional,
    Required,
}

impl RatingRule {
    pub fn as_str(self) -> &'static str {
        match self {
            RatingRule::Off => "off",
            RatingRule::Optional => "optional",
            RatingRule::Required => "required",
        }
    }
}

/// What a project asks for. A project that says nothing lets people rate, flag and write as they like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LabelScheme {
    pub rating: RatingRule,
    /// The flags that are offered.
    pub flags: Vec<Flag>,
    /// Whether a note can be written.
    pub note: bool,
}

impl Default for LabelScheme {
    fn default() -> Self {
        LabelScheme { rating: RatingRule::default(), flags: Flag::ALL.to_vec(), note: true }
    }
}

impl LabelScheme {
    pub fn rates(&self) -> bool {
        self.rating != RatingRule::Off
    }

    pub fn rating_required(&self) -> bool {
        self.rating == RatingRule::Required
    }

    /// The note has its place where it is asked for, or where a flag needs it.
    pub fn has_note(&self) -> bool {
        self.note || self.flags.contains(&Flag::Other)
    }
}

/// What somebody said of the answers of a task, by their positions; shorter than the task where nothing was said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assessment {
    /// 1 to 7.
    pub ratings: Vec<Option<u8>>,
    pub flags: Vec<Vec<Flag>>,
    /// None of them is good.
    pub all_bad: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_flags_say_the_same_everywhere() {
        for flag in Flag::ALL {
            assert_eq!(Flag::of(flag.as_str()), Some(flag));
            assert_eq!(serde_json::to_value(flag).expect("JSON"), flag.as_str());
        }
        assert_eq!(Flag::of("bad"), None);
    }

    #[test]
    fn a_project_that_says_nothing_offers_everything_and_demands_nothing() {
        let scheme: LabelScheme = serde_json::from_str("{}").expect("a scheme");
        assert_eq!(scheme, LabelScheme::default());
        assert!(scheme.rates() && !scheme.rating_required() && scheme.has_note());
        let bare: LabelScheme = serde_json::from_str(r#"{"rating":"off","flags":[],"note":false}"#).expect("a scheme");
        assert!(!bare.rates() && !bare.has_note());
    }
}
