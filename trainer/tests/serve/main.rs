//! `laurel-trainer serve` from outside: the program with the sample's tiny model, over HTTP.
#![allow(clippy::unwrap_used)]

mod answers;
mod life;
mod openai_client;
mod refusals;
mod world;
