//! Asking a model for answers: OpenAI's chat completions over HTTP, streamed. Knows no project and no database.

mod client;
mod events;
mod under_way;

pub use client::{Answer, Ask, ChatFailure, complete};
pub use under_way::{End, Progress, TurnKey, UnderWay, Writer};
