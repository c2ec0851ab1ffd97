//! What runs by the clock: nightly training jobs, expired leases, retention. And where the files of models lie, and how they go.

pub mod base_model;
pub mod clock;
pub mod model_files;
pub mod model_removal;
