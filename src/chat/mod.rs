//! Asking a model for answers: OpenAI's chat completions over HTTP, streamed. Knows no project and no database.

mod client;
mod events;

pub use client::{Ask, ChatFailure, complete};
