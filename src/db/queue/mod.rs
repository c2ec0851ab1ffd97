//! What an annotator sees: projects with what waits in them and their guidelines, begun and finished work, one task.

mod projects;
mod task;
mod work;

pub use projects::{Guidelines, ProjectQueue, guidelines, projects};
pub use task::{Answer, Brief, Task, task};
pub use work::{Finished, Work, begun, finished};
