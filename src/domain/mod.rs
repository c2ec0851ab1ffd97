//! Pure rules without I/O: what a ranking means, who may do what, which split a prompt belongs to.
pub mod assignment;
pub mod bradley_terry;
pub mod conversation;
pub mod krippendorff;
pub mod password;
pub mod ranking;
pub mod role;
pub mod schedule;
pub mod split;
