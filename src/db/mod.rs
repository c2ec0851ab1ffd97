//! The database: the pool, the embedded server, and one file of queries a table family.
pub mod audit;
pub mod guidelines;
pub mod job_list;
pub mod job_metrics;
pub mod job_queue;
pub mod jobs;
pub mod memberships;
pub mod models;
pub mod overview;
pub mod projects;
pub mod promotions;
pub mod prompt_list;
pub mod retention;
pub mod sampling;
pub mod schedules;
pub mod tasks;
pub mod words;
