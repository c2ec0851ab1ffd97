//! The words of the interface: one Fluent folder a language under `locales/`, found by key.

use std::{borrow::Cow, collections::HashMap};

use fluent_templates::{LanguageIdentifier, Loader, fluent_bundle::FluentValue, langid, static_loader};

static_loader! {
    static LOCALES = {
        locales: "./locales",
        fallback_language: "en",
        // No invisible isolation marks around arguments: pages set `dir="auto"` where text of another direction may stand.
        customise: |bundle| bundle.set_use_isolating(false),
    };
}

/// Arguments of a message.
type Arguments = HashMap<Cow<'static, str>, FluentValue<'static>>;

/// A language of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    #[default]
    English,
    Chinese,
}

impl Language {
    pub const ALL: [Language; 2] = [Language::English, Language::Chinese];

    /// The tag that `lang=""` and the database carry.
    pub fn tag(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::Chinese => "zh",
        }
    }

    /// The language's name in itself.
    pub fn own_name(self) -> &'static str {
        match self {
            Language::English => "English",
            Language::Chinese => "中文",
        }
    }

    /// By tag: `zh`, `zh-CN`, `zh-Hant` are Chinese.
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        Language::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// The first language of an `Accept-Language` header that we speak. Browsers send it in order of preference.
    pub fn from_accept_language(header: &str) -> Option<Self> {
        header.split(',').filter_map(|part| Self::from_tag(part.split(';').next()?.trim())).next()
    }

    fn identifier(self) -> LanguageIdentifier {
        match self {
            Language::English => langid!("en"),
            Language::Chinese => langid!("zh"),
        }
    }
}

/// Looks messages up in one language; what it lacks comes in English.
#[derive(Debug, Clone, Copy, Default)]
pub struct Translator {
    pub language: Language,
}

impl Translator {
    /// The message of a key.
    pub fn t(&self, key: &str) -> String {
        LOCALES.lookup(&self.language.identifier(), key)
    }

    /// The message of a key with arguments filled in: numbers choose plural forms.
    pub fn with(&self, key: &str, arguments: &[(&'static str, Argument)]) -> String {
        let arguments: Arguments =
            arguments.iter().map(|(name, value)| (Cow::Borrowed(*name), value.clone().into())).collect();
        LOCALES.lookup_with_args(&self.language.identifier(), key, &arguments)
    }
}

/// A value that stands in a message.
#[derive(Debug, Clone)]
pub enum Argument {
    Text(String),
    Number(f64),
}

impl From<Argument> for FluentValue<'static> {
    fn from(argument: Argument) -> Self {
        match argument {
            Argument::Text(text) => text.into(),
            Argument::Number(number) => number.into(),
        }
    }
}

impl From<&str> for Argument {
    fn from(text: &str) -> Self {
        Argument::Text(text.to_owned())
    }
}

impl From<&String> for Argument {
    fn from(text: &String) -> Self {
        Argument::Text(text.clone())
    }
}

impl From<String> for Argument {
    fn from(text: String) -> Self {
        Argument::Text(text)
    }
}

macro_rules! numbers {
    ($($kind:ty),*) => { $(
        impl From<$kind> for Argument {
            fn from(number: $kind) -> Self {
                Argument::Number(number as f64)
            }
        }
        impl From<&$kind> for Argument {
            fn from(number: &$kind) -> Self {
                Argument::Number(*number as f64)
            }
        }
    )* };
}
numbers!(i16, i32, i64, u32, u64, usize, f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browsers_first_known_language_wins() {
        assert_eq!(Language::from_accept_language("fr-FR,zh-CN;q=0.9,en;q=0.8"), Some(Language::Chinese));
        assert_eq!(Language::from_accept_language("de"), None);
    }

    #[test]
    fn both_languages_have_the_same_keys() {
        let keys = |language: &str| {
            let mut found: Vec<String> =
                std::fs::read_dir(format!("{}/locales/{language}", env!("CARGO_MANIFEST_DIR")))
                    .expect("the locale's folder")
                    .flat_map(|entry| {
                        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a readable file");
                        text.lines()
                            .filter(|line| line.chars().next().is_some_and(|first| first.is_ascii_lowercase()))
                            .filter_map(|line| Some(line.split_once('=')?.0.trim().to_owned()))
                            .collect::<Vec<_>>()
                    })
                    .collect();
            found.sort();
            found
        };
        assert_eq!(keys("en"), keys("zh"));
    }
}
