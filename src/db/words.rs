//! The words that text columns hold, to the types they stand for and back.

use laurel_records::{JobKind, Role, Split, Stage};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The type that a word of the database stands for. A word that nobody knows is an inconsistency of the database.
pub fn parse<T: DeserializeOwned>(word: &str) -> Result<T, sqlx::Error> {
    serde_json::from_value(Value::String(word.to_owned())).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// The type that a JSON column holds.
pub fn parse_json<T: DeserializeOwned>(value: Value) -> Result<T, sqlx::Error> {
    serde_json::from_value(value).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

pub fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Base => "base",
        Stage::Sft => "sft",
        Stage::Reward => "reward",
        Stage::Ppo => "ppo",
        Stage::Dpo => "dpo",
        Stage::Rloo => "rloo",
        Stage::Grpo => "grpo",
        Stage::Evaluate => "evaluate",
        Stage::Sample => "sample",
    }
}

pub fn job_kind(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Nightly => "nightly",
        JobKind::Sample => "sample",
    }
}

pub fn split(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Validation => "validation",
        Split::Test => "test",
    }
}

pub fn message_role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}
