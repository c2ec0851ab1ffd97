//! Reviews: which tasks wait for one, what a reviewer sees of a task, what was decided, and what its annotators hear of it.

mod decide;
mod feedback;
mod queue;
mod task;

pub use decide::{Decision, DecisionError, Judgement, Verdict, decide};
pub use feedback::{Feedback, Said, feedback_for, said_of};
pub use queue::{
    Counts, Waiting, audit_drawn_with, audit_percent, compare_new, counts, next_waiting, page, set_audit_percent,
};
pub use task::{Decided, Given, ReviewTask, find};
