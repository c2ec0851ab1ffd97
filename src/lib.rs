//! Laurel, the server: collects human preferences, hands them to the trainer, keeps the models that come of it.

pub mod domain;
