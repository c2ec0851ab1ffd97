//! What can go wrong between a file of records and a batch of tokens.

use std::{io, path::PathBuf};

use crate::model::ModelError;

/// Why data could not be read or turned into tokens.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file of records could not be read.
    #[error("{}: {source}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Records that are not what the format says; one line a problem, with file, line and field.
    #[error("{}", problems.join("\n"))]
    Records { problems: Vec<String> },
    /// The model came without a tokenizer, and text was to be turned into tokens.
    #[error("{}: the model has no tokenizer.json, which this needs", path.display())]
    NoTokenizer { path: PathBuf },
    /// `tokenizer.json` is not one that this program reads, or cannot encode a text.
    #[error("{}: {message}", path.display())]
    Tokenizer { path: PathBuf, message: String },
    /// The chat template does not compile, or refuses a conversation.
    #[error("the model's chat template {0}")]
    Template(String),
    /// The answers that are asked for may take all that the model reads.
    #[error(
        "an answer of {answer} tokens (max_new_tokens) leaves no room for a prompt: the longest sequence has {context}"
    )]
    NoRoom { answer: usize, context: usize },
    /// Answers were drawn from what is no law, so they mean nothing; the text says why.
    #[error("{0}")]
    NoLaw(&'static str),
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl DataError {
    /// Whether what the user gave is at fault (exit code 2) rather than the machine (1).
    pub fn is_input(&self) -> bool {
        match self {
            Self::Records { .. }
            | Self::NoTokenizer { .. }
            | Self::Tokenizer { .. }
            | Self::Template(_)
            | Self::NoRoom { .. } => true,
            Self::File { source, .. } => is_wrong_path(source),
            Self::NoLaw(_) => false,
            Self::Model(error) => model_error_is_input(error),
        }
    }
}

/// As [`DataError::is_input`], for a model that was named wrongly, does not hold together or stands in the way.
pub fn model_error_is_input(error: &ModelError) -> bool {
    match error {
        ModelError::File { source, .. } => is_wrong_path(source),
        _ => true,
    }
}

/// A file that is not there or not a file, or is no text where text should be.
fn is_wrong_path(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, InvalidData, IsADirectory, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | AlreadyExists | NotADirectory | IsADirectory | InvalidData)
}
