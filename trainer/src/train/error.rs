//! Why a stage did not end with a model.

use std::path::{Path, PathBuf};

use super::settings::SettingsError;
use crate::{
    data::{DataError, model_error_is_input},
    model::ModelError,
};

/// What stops a stage.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The inputs are readable, but cannot be trained on.
    #[error("{0}")]
    Input(String),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error("{}: {source}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the checkpoint {} cannot be used: {message}", path.display())]
    Checkpoint { path: PathBuf, message: String },
    /// The disk has no room for what a run would write.
    #[error("{0}")]
    NoRoom(String),
    /// What a run learned can't be stored, on a full disk above all; `checkpoint` is what there was before.
    #[error("{} can't be written: {reason}{}", path.display(), last_good(checkpoint))]
    NotWritten { path: PathBuf, reason: String, checkpoint: Option<PathBuf> },
    /// Raised by a step; the loop turns it into [`Self::Diverged`], which says where to go on from.
    #[error("the {what} is not a finite number")]
    NotFinite { what: &'static str },
    /// As [`Self::NotFinite`], where float16 is what they don't fit into.
    #[error(
        "gradients are beyond float16's range (65,504) with the loss not scaled up any more; precision = \"bfloat16\" or \
         \"float32\" has room for them, and a lower learning rate may help"
    )]
    BeyondFloat16,
    /// One of these two, raised by weights that the step under way has moved already: those that it began with, and so their
    /// checkpoint, are not at fault. Unwrapped by the loop.
    #[error("{0}")]
    WithinStep(Box<TrainError>),
    /// The numbers are beyond use. What was learned before is in the checkpoint.
    #[error("stopped at step {step}: {reason}{}", last_good(checkpoint))]
    Diverged { step: usize, reason: String, checkpoint: Option<PathBuf> },
    /// The reporter asked for it; a checkpoint was written.
    #[error("stopped on request after step {step}; --resume goes on from there")]
    Stopped { step: usize },
}

impl TrainError {
    /// Whether the caller gave wrong settings or inputs (exit code 2), as against a run that failed.
    pub fn is_wrong_input(&self) -> bool {
        match self {
            Self::Settings(_) | Self::Input(_) => true,
            Self::Data(error) => error.is_input(),
            Self::Model(error) => model_error_is_input(error),
            _ => false,
        }
    }

    /// The same as it is raised by a step of several updates; `has_moved`: those before have changed the weights.
    pub(super) fn within_step(self, has_moved: bool) -> Self {
        if has_moved { Self::WithinStep(Box::new(self)) } else { self }
    }

    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    pub(super) fn checkpoint(path: &Path, message: impl ToString) -> Self {
        Self::Checkpoint { path: path.into(), message: message.to_string() }
    }
}

fn last_good(checkpoint: &Option<PathBuf>) -> String {
    match checkpoint {
        Some(path) => format!(
            "; the last good checkpoint is {} (--resume goes on from it, also with other settings)",
            path.display()
        ),
        None => "; there is no checkpoint yet".into(),
    }
}
