//! Laurel's trainer.
