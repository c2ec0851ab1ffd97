//! The scale that answers are rated on: whole numbers between two ends, which may have words.

use std::ops::RangeInclusive;

use laurel_records::RatingScale as Written;
use serde::{Deserialize, Serialize};

/// The points that a scale may begin with, and those that it may end with: few enough for a row of buttons.
pub const LOWEST: RangeInclusive<u8> = 0..=1;
pub const HIGHEST: RangeInclusive<u8> = 2..=10;
/// Characters that the word of an end may have.
pub const LONGEST_WORD: usize = 40;

/// A scale; by default 1 to 7, as the labelers of InstructGPT had it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(try_from = "Written", into = "Written")]
pub struct RatingScale(Written);

/// Why two numbers and two words are no scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScaleError {
    #[error("a scale begins with 0 or 1")]
    Lowest,
    #[error("a scale ends with 2 to 10")]
    Highest,
    #[error("the word of an end has at most {LONGEST_WORD} characters")]
    Word,
}

impl TryFrom<Written> for RatingScale {
    type Error = ScaleError;

    fn try_from(written: Written) -> Result<Self, ScaleError> {
        let too_long = |word: &str| word.chars().count() > LONGEST_WORD;
        if !LOWEST.contains(&written.lowest) {
            Err(ScaleError::Lowest)
        } else if !HIGHEST.contains(&written.highest) {
            Err(ScaleError::Highest)
        } else if too_long(&written.lowest_word) || too_long(&written.highest_word) {
            Err(ScaleError::Word)
        } else {
            Ok(RatingScale(written))
        }
    }
}

impl From<RatingScale> for Written {
    fn from(scale: RatingScale) -> Self {
        scale.0
    }
}

impl RatingScale {
    pub fn lowest(&self) -> u8 {
        self.0.lowest
    }

    pub fn highest(&self) -> u8 {
        self.0.highest
    }

    /// What the lower end means; empty where nobody said.
    pub fn lowest_word(&self) -> &str {
        &self.0.lowest_word
    }

    /// What the upper end means; empty where nobody said.
    pub fn highest_word(&self) -> &str {
        &self.0.highest_word
    }

    /// Every rating, from the lowest.
    pub fn points(&self) -> RangeInclusive<u8> {
        self.lowest()..=self.highest()
    }

    pub fn holds(&self, rating: u8) -> bool {
        self.points().contains(&rating)
    }

    /// The last point that a single digit key chooses.
    pub fn last_key(&self) -> u8 {
        self.highest().min(9)
    }

    /// How a form says which scale its ratings are on.
    pub fn stated(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The scale that a form states. One that states none is older than the choice of scales.
    pub fn from_stated(text: &str) -> Option<Self> {
        if text.is_empty() { Some(Self::default()) } else { serde_json::from_str(text).ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_begins_at_0_or_1_and_ends_at_2_to_10() {
        let scale = |text: &str| serde_json::from_str::<RatingScale>(text);
        let named = scale(r#"{"lowest":0,"highest":10,"lowest_word":"terrible","highest_word":"优秀"}"#).expect("one");
        assert_eq!((named.points(), named.last_key()), (0..=10, 9));
        assert_eq!((named.lowest_word(), named.highest_word()), ("terrible", "优秀"));
        assert_eq!(RatingScale::from_stated(&named.stated()), Some(named));
        for wrong in [
            r#"{"lowest":2,"highest":7}"#,
            r#"{"lowest":1,"highest":1}"#,
            r#"{"lowest":1,"highest":11}"#,
            r#"{"lowest":-1,"highest":7}"#,
            r#"{"highest":7}"#,
        ] {
            assert!(scale(wrong).is_err(), "{wrong}");
        }
        let long = format!(r#"{{"lowest":1,"highest":7,"lowest_word":"{}"}}"#, "长".repeat(41));
        assert!(scale(&long).is_err());
    }

    #[test]
    fn what_states_no_scale_is_on_1_to_7() {
        assert_eq!(RatingScale::from_stated("").map(|scale| scale.points()), Some(1..=7));
        assert_eq!(RatingScale::default().stated(), r#"{"lowest":1,"highest":7}"#);
        assert_eq!(RatingScale::from_stated("1-7"), None);
    }
}
