//! The records that pass between `laurel` and `laurel-trainer`: one JSON object a line in files, the same objects over HTTP.
//!
//! Types only, no logic. The forms are the conversational ones of TRL, so that its trainers and `datasets` read our
//! exports as they are; our own fields come beside them.

mod dataset;
mod jobs;

pub use dataset::*;
pub use jobs::*;
