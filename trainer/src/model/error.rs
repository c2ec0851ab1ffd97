//! What can go wrong between a file on disk and a model in memory.

use std::path::{Path, PathBuf};

/// Why a model could not be read, built or written.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A file is there, but is not what its name says.
    #[error("{}: {message}", path.display())]
    Malformed { path: PathBuf, message: String },
    /// The configuration asks for something that this program does not implement.
    #[error("{0}")]
    Unsupported(String),
    /// The checkpoint has no tensor of this name.
    #[error("the checkpoint has no tensor {tensor} (shape {expected:?} was expected)")]
    Missing { tensor: String, expected: Vec<usize> },
    /// A tensor has another shape than the configuration says.
    #[error("tensor {tensor} has shape {found:?} in the checkpoint, but {expected:?} by its configuration")]
    Shape { tensor: String, expected: Vec<usize>, found: Vec<usize> },
    /// The checkpoint has tensors that the architecture has no place for.
    #[error("the checkpoint has tensors that this architecture has no place for: {}", tensors.join(", "))]
    Unexpected { tensors: Vec<String> },
    /// A tensor is stored in a number format that this program does not read.
    #[error("tensor {tensor} is stored as {format}, which is not supported")]
    Format { tensor: String, format: String },
    /// A tensor has values that the number format asked for cannot hold.
    #[error("tensor {tensor} has values beyond the range of {format}; write float32 or bfloat16")]
    Overflow { tensor: String, format: String },
}

impl ModelError {
    /// Wraps an I/O error with the path that it happened on.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    /// A file whose content makes no sense, with what is wrong about it.
    pub fn malformed(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::Malformed { path: path.into(), message: message.into() }
    }
}

/// Refuses a pointer of Git LFS: what a clone by a git without that extension has in a large file's place.
pub(super) fn refuse_pointer(path: &Path, content: &[u8]) -> Result<(), ModelError> {
    if content.starts_with(b"version https://git-lfs") {
        let text = "is a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`";
        return Err(ModelError::malformed(path, text));
    }
    Ok(())
}
