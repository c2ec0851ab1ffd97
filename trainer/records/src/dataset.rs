//! What people wrote, ranked and were asked: prompts, demonstrations, responses, rankings, comparisons.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

/// Who says a message of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    System,
    User,
    Assistant,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    pub role: Role,
    pub content: String,
}

/// The part of the data that a prompt belongs to; decided by a hash of its content, so no prompt is on two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    Train,
    Validation,
    Test,
}

/// A conversation that waits for the assistant's next message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromptRecord {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub project: Option<String>,
    pub prompt: Vec<Message>,
    /// BCP 47 tag, `en`, `zh`; absent where nobody said.
    #[serde(default)]
    pub language: Option<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub split: Option<Split>,
    /// Fields that the format does not know, kept as they came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A prompt with the answer that a person wrote to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DemonstrationRecord {
    pub id: String,
    pub prompt: Vec<Message>,
    /// Exactly one message, by the assistant.
    pub completion: Vec<Message>,
    #[serde(default)]
    pub prompt_id: Option<String>,
    #[serde(default)]
    pub annotator: Option<String>,
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub created_at: Option<OffsetDateTime>,
    #[serde(default)]
    pub split: Option<Split>,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// One candidate answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResponseRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub content: String,
    /// Name of the model that wrote it; absent for a person's text of unknown origin.
    #[serde(default)]
    pub model: Option<String>,
    /// How it was sampled (temperature, top_p, seed, …), as the sampler said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Value>,
}

impl ResponseRecord {
    /// A text of unknown origin.
    pub fn text(content: impl Into<String>) -> Self {
        Self { id: None, content: content.into(), model: None, sampling: None }
    }

    /// Whether it ended by itself. `finished: false` among the settings of sampling says that it was cut at a limit.
    pub fn is_finished(&self) -> bool {
        let said = self.sampling.as_ref().and_then(|sampling| sampling.get("finished"));
        said.and_then(Value::as_bool).unwrap_or(true)
    }
}

/// The candidate answers to one prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResponsesRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_id: Option<String>,
    pub prompt: Vec<Message>,
    pub responses: Vec<ResponseRecord>,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The scale that ratings are on: whole numbers between two ends. A record without one means 1 to 7.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RatingScale {
    pub lowest: u8,
    pub highest: u8,
    /// What the two ends mean, as people were told; empty where they were told nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub lowest_word: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub highest_word: String,
}

impl Default for RatingScale {
    fn default() -> Self {
        RatingScale { lowest: 1, highest: 7, lowest_word: String::new(), highest_word: String::new() }
    }
}

/// One person's order of the candidate answers to a prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankingRecord {
    pub id: String,
    pub prompt: Vec<Message>,
    pub responses: Vec<ResponseRecord>,
    /// One rank an answer, in the order of `responses`: 1 is best, equal numbers are ties, competition ranking (1,2,2,4).
    pub ranks: Vec<u32>,
    /// One rating an answer, in the order of `responses`; `null` where the person gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratings: Option<Vec<Option<f64>>>,
    /// What those ratings are on; 1 to 7 where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rating_scale: Option<RatingScale>,
    /// How sure the person was which of two answers is better, from 1 (the first, by far) by 5 (no telling) to 9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<u8>,
    /// How far apart two answers are, where a comparison said so and the ranks, 1 and 2, do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    #[serde(default)]
    pub annotator: Option<String>,
    /// Seconds that the person had the task open.
    #[serde(default)]
    pub seconds: Option<f64>,
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub created_at: Option<OffsetDateTime>,
    #[serde(default)]
    pub split: Option<Split>,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// One pair of answers of which a person found one better; what a ranking says of two of its answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRecord {
    pub prompt: Vec<Message>,
    pub chosen: Vec<Message>,
    pub rejected: Vec<Message>,
    /// False where the answer was cut at a limit; see [`ResponseRecord::is_finished`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_finished: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_finished: Option<bool>,
    /// The difference of the two ranks, at least 1.
    #[serde(default)]
    pub margin: Option<f64>,
    #[serde(default)]
    pub ranking_id: Option<String>,
    #[serde(default)]
    pub annotator: Option<String>,
    #[serde(default)]
    pub split: Option<Split>,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}
