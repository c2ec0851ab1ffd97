//! What can be wrong with an answer: the flags that every project may offer, and those that a project names itself.

use std::collections::BTreeMap;

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

/// Characters that a flag's word may have.
pub const LONGEST_WORD: usize = 40;

/// Whether a text can be the word of a flag: small letters, digits and underscores, a letter first.
pub fn is_word(text: &str) -> bool {
    text.len() <= LONGEST_WORD
        && text.starts_with(|sign: char| sign.is_ascii_lowercase())
        && text.bytes().all(|sign| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == b'_')
}

/// A word made from a name: `Off topic!` is `off_topic`. None where the name has nothing to make it from, as a Chinese one.
pub fn word_of(name: &str) -> Option<String> {
    let parts = name.split(|sign: char| !sign.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    let mut word = parts.collect::<Vec<_>>().join("_").to_ascii_lowercase();
    word.truncate(LONGEST_WORD);
    let word = word.trim_end_matches('_').to_owned();
    is_word(&word).then_some(word)
}

/// A flag that a project has named itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnFlag {
    /// What labels and exports have; it stays when the names change.
    pub word: String,
    /// What people read, by the tag of the interface's language; at least one.
    pub names: BTreeMap<String, String>,
    /// What it means, shown beside it; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// Not offered any more; labels that have it keep it, and it keeps its name for them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
}

impl OwnFlag {
    /// Its name in a language, else in English, else in whichever it has one.
    pub fn name(&self, language: &str) -> &str {
        let named = self.names.get(language).or_else(|| self.names.get("en")).or_else(|| self.names.values().next());
        named.unwrap_or(&self.word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_flags_say_the_same_everywhere() {
        for flag in Flag::ALL {
            assert_eq!(Flag::of(flag.as_str()), Some(flag));
            assert_eq!(serde_json::to_value(flag).expect("JSON"), flag.as_str());
            assert!(is_word(flag.as_str()));
        }
        assert_eq!(Flag::of("bad"), None);
    }

    #[test]
    fn a_word_is_made_from_a_name_where_it_has_latin_letters() {
        assert_eq!(word_of("  Off topic! "), Some("off_topic".to_owned()));
        assert_eq!(word_of("跑题 (off-topic)"), Some("off_topic".to_owned()));
        assert_eq!(word_of(&"ab ".repeat(30)).map(|word| word.len()), Some(LONGEST_WORD));
        for none in ["跑题", "", "3 mistakes", "–"] {
            assert_eq!(word_of(none), None, "{none}");
        }
        for wrong in ["Off", "_off", "off-topic", "off,topic", "", &"a".repeat(41)] {
            assert!(!is_word(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_name_is_found_in_the_readers_language_or_else_in_english_or_any() {
        let flag = |names: &[(&str, &str)]| OwnFlag {
            word: "late".to_owned(),
            names: names.iter().map(|(tag, name)| ((*tag).to_owned(), (*name).to_owned())).collect(),
            hint: String::new(),
            removed: false,
        };
        let both = flag(&[("en", "Too late"), ("zh", "太迟")]);
        assert_eq!((both.name("zh"), both.name("en"), both.name("fr")), ("太迟", "Too late", "Too late"));
        assert_eq!(flag(&[("zh", "太迟")]).name("en"), "太迟");
    }
}
