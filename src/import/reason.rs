//! Why a record is wrong: the key of a message and what stands in it. It becomes words where somebody reads it: those of the
//! page's language, and English ones for commands, programs and logs.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::{
    domain::{
        conversation::PromptError,
        ranking::RankingError,
        rating_scale::{LONGEST_WORD, ScaleError},
    },
    i18n::{Argument, Translator},
};

/// A message of `import-reasons.ftl`.
#[derive(Clone, PartialEq, Eq)]
pub struct Reason {
    key: &'static str,
    arguments: Vec<(&'static str, Inserted)>,
}

/// What stands in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Inserted {
    /// As the file, or what read it, has it.
    Text(String),
    /// The message of a key.
    Word(&'static str),
}

impl From<&'static str> for Reason {
    /// The message of a key that takes no argument, or is about to be given some.
    fn from(key: &'static str) -> Self {
        Reason { key, arguments: Vec::new() }
    }
}

impl Reason {
    /// The message of a key with an argument.
    pub fn with(key: &'static str, name: &'static str, value: impl ToString) -> Self {
        Reason::from(key).and(name, value)
    }

    /// One more argument. Numbers stand as they are written in files, without separators.
    #[must_use]
    pub fn and(mut self, name: &'static str, value: impl ToString) -> Self {
        self.arguments.push((name, Inserted::Text(value.to_string())));
        self
    }

    /// One more argument, which is a message itself.
    #[must_use]
    pub fn and_word(mut self, name: &'static str, key: &'static str) -> Self {
        self.arguments.push((name, Inserted::Word(key)));
        self
    }

    /// The reason in a language.
    pub fn words(&self, translator: &Translator) -> String {
        let inserted = |value: &Inserted| match value {
            Inserted::Text(text) => Argument::from(text),
            Inserted::Word(key) => Argument::from(translator.t(key)),
        };
        let arguments: Vec<(&'static str, Argument)> =
            self.arguments.iter().map(|(name, value)| (*name, inserted(value))).collect();
        translator.with(self.key, &arguments)
    }
}

impl fmt::Display for Reason {
    /// In English.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.words(&Translator::default()))
    }
}

impl fmt::Debug for Reason {
    /// As logs and failed tests quote it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), formatter)
    }
}

impl Serialize for Reason {
    /// In English.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<PromptError> for Reason {
    fn from(error: PromptError) -> Self {
        Reason::from(match error {
            PromptError::Empty => "import-reason-prompt-empty",
            PromptError::Silent { .. } => "import-reason-prompt-silent",
            PromptError::NotTheUsersTurn { .. } => "import-reason-prompt-answered",
        })
    }
}

impl From<RankingError> for Reason {
    fn from(error: RankingError) -> Self {
        match error {
            RankingError::TooFew { answers } => Reason::with("import-reason-rank-few", "answers", answers),
            RankingError::Zero { position } => Reason::with("import-reason-rank-zero", "position", position),
            RankingError::Gap { position, rank, expected } => {
                Reason::with("import-reason-rank-gap", "rank", rank).and("position", position).and("expected", expected)
            }
        }
    }
}

impl From<ScaleError> for Reason {
    fn from(error: ScaleError) -> Self {
        match error {
            ScaleError::Lowest => Reason::from("import-reason-scale-lowest"),
            ScaleError::Highest => Reason::from("import-reason-scale-highest"),
            ScaleError::Word => Reason::with("import-reason-scale-word", "longest", LONGEST_WORD),
        }
    }
}

#[cfg(test)]
mod tests;
