//! The nightly job: claimed from the server, run here, told to the server as it goes, its models published.
//!
//! A worker is this process: it knows the server's address and a token, holds one job at a time by its lease, and keeps
//! models, records and checkpoints in its work directory, so that it goes on where it was when it is started again.

mod background;
mod client;
mod evaluation;
mod heartbeat;
mod interrupts;
mod models;
mod nightly;
mod records;
mod reports;
mod sample;
mod settings;
mod stages;
mod token;
mod uncertainty;
mod work;
mod worker;

pub use client::{Client, ClientError};
pub use interrupts::{Interruption, Interrupts, end_politely};
pub use token::read_token;
pub use worker::{Worked, Worker, WorkerSettings};
