//! Reviews of what people write: which texts wait for one, what a reviewer sees of a text, and what was decided.

mod decide;
mod find;
mod queue;

pub use decide::{DecisionError, Judgement, decide};
pub use find::{Decided, Reviewed, find};
pub use queue::{Listed, counts, next_waiting, page, review_drawn_with, review_percent, set_review_percent};
