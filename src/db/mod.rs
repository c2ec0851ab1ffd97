//! The database: the pool, the embedded server, and one file of queries a table family.
pub mod tasks;
