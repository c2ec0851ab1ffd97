//! Compression of single linear layers: plain matrices in double precision in, plain matrices out.
//!
//! A weight is `[out, in]`, inputs are `[samples, in]`, both row by row. Which layers of a model are compressed, and on which
//! text, is decided elsewhere.

mod error;
mod int8;
mod matrix;
mod prune;
mod sparsegpt;
mod statistics;

pub use error::CompressError;
pub use int8::Int8;
pub use matrix::Matrix;
pub use prune::{magnitude, wanda};
pub use sparsegpt::{SparseGptSettings, sparsegpt};
pub use statistics::InputStatistics;
