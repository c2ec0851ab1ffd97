//! The sample project of tests and of the demo: a rule that stands in for a person, and simulated annotators who rank by it.
//!
//! The trainer never sees this room. Labels made here belong to users that are marked as simulated.

pub mod accounts;
pub mod annotators;
mod chinese;
mod files;
pub mod first_labels;
pub mod gold;
mod history;
mod html;
pub mod judge;
pub mod seed;
