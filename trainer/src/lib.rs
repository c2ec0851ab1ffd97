//! Laurel's trainer.

pub mod compress;
pub mod model;
pub mod rlhf;
