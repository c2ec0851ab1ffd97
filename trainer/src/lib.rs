//! Laurel's trainer.

pub mod model;
