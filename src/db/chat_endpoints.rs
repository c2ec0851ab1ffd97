//! Where the answers of a project's chat come from: an endpoint that speaks OpenAI's chat completions.

use serde_json::{Map, Value, json};
use sqlx::{PgExecutor, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    audit::{self, Actor},
    drawn::{DrawnWith, SaveError},
};

/// An endpoint and how it is asked.
#[derive(Clone, PartialEq)]
pub struct ChatEndpoint {
    /// Up to and without `/chat/completions`.
    pub base_url: String,
    /// The model's name there.
    pub model: String,
    pub api_key: Option<String>,
    /// When the key took the place of another; nobody knows it of an endpoint that is not stored.
    pub key_set_at: Option<OffsetDateTime>,
    /// Stands before every conversation; empty for none.
    pub system_prompt: String,
    /// Answers a turn, 2 to 4.
    pub answers: i32,
    /// 0 to 2.
    pub temperature: f64,
    /// Longest answer, tokens.
    pub max_tokens: i32,
}

impl Default for ChatEndpoint {
    fn default() -> Self {
        ChatEndpoint {
            base_url: String::new(),
            model: String::new(),
            api_key: None,
            key_set_at: None,
            system_prompt: String::new(),
            answers: 2,
            temperature: 1.0,
            max_tokens: 512,
        }
    }
}

/// Without the key: it must not reach a log.
impl std::fmt::Debug for ChatEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatEndpoint")
            .field("base_url", &self.base_url)
            .field("model", &self.model)
            .field("answers", &self.answers)
            .finish_non_exhaustive()
    }
}

/// A project's endpoint; `None` where people can't chat.
pub async fn find(executor: impl PgExecutor<'_>, project: Uuid) -> sqlx::Result<Option<ChatEndpoint>> {
    sqlx::query_as!(
        ChatEndpoint,
        r#"
        SELECT
            base_url, model, api_key, key_set_at AS "key_set_at?", system_prompt, answers, temperature, max_tokens
        FROM chat_endpoints
        WHERE project_id = $1
        "#,
        project
    )
    .fetch_optional(executor)
    .await
}

/// What a form of an endpoint is drawn with, or of none.
pub fn drawn_with(endpoint: Option<&ChatEndpoint>) -> DrawnWith {
    DrawnWith::of(&endpoint.map_or(Value::Null, |endpoint| with_the_keys_time(endpoint, endpoint.key_set_at)))
}

/// What two leads may change. The key stands in it by the time of its setting: from anything that is reckoned from the key itself, it
/// could be guessed.
fn with_the_keys_time(endpoint: &ChatEndpoint, key_set_at: Option<OffsetDateTime>) -> Value {
    let mut values = without_key(endpoint);
    let set_at = key_set_at.filter(|_| endpoint.api_key.is_some());
    values["key_set_at"] = json!(set_at.map(|at| at.unix_timestamp_nanos().to_string()));
    values
}

/// What may be shown of an endpoint: of the key, whether there is one.
fn without_key(endpoint: &ChatEndpoint) -> Value {
    json!({
        "base_url": endpoint.base_url,
        "model": endpoint.model,
        "has_key": endpoint.api_key.is_some(),
        "system_prompt": endpoint.system_prompt,
        "answers": endpoint.answers,
        "temperature": endpoint.temperature,
        "max_tokens": endpoint.max_tokens,
    })
}

/// Sets a project's endpoint and notes what was changed. Of the key it is noted whether there is one, and that it is another one.
pub async fn save(
    pool: &PgPool,
    actor: &Actor,
    project: (Uuid, &str),
    drawn: &DrawnWith,
    endpoint: &ChatEndpoint,
) -> Result<(), SaveError> {
    let mut tx = pool.begin().await?;
    // Of two leads at once, the second reads what the first has stored. Before the first time there is no endpoint to lock.
    sqlx::query_scalar!("SELECT id FROM projects WHERE id = $1 FOR NO KEY UPDATE", project.0)
        .fetch_one(&mut *tx)
        .await?;
    let standing = find(&mut *tx, project.0).await?;
    // Who wants the key that stands wants it as it was set; another one was never set.
    let same_key = standing.as_ref().filter(|standing| standing.api_key == endpoint.api_key);
    let wanted = with_the_keys_time(endpoint, same_key.and_then(|standing| standing.key_set_at));
    let stands = standing.as_ref().map(|standing| with_the_keys_time(standing, standing.key_set_at));
    drawn.check(&stands.unwrap_or(Value::Null), &wanted)?;
    sqlx::query!(
        r#"
        INSERT INTO chat_endpoints
            (project_id, base_url, model, api_key, system_prompt, answers, temperature, max_tokens)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (project_id) DO UPDATE
        SET base_url = $2, model = $3, api_key = $4, system_prompt = $5, answers = $6, temperature = $7,
            max_tokens = $8, updated_at = now(),
            key_set_at = CASE
                WHEN chat_endpoints.api_key IS DISTINCT FROM $4 THEN clock_timestamp()
                ELSE chat_endpoints.key_set_at
            END
        "#,
        project.0,
        endpoint.base_url,
        endpoint.model,
        endpoint.api_key,
        endpoint.system_prompt,
        endpoint.answers,
        endpoint.temperature,
        endpoint.max_tokens
    )
    .execute(&mut *tx)
    .await?;
    let changes = changes(standing.as_ref(), endpoint);
    if !changes.is_empty() {
        let subject = format!("project/{}", project.1);
        audit::record(&mut *tx, actor, "chat.endpoint", &subject, Value::Object(changes)).await?;
    }
    Ok(tx.commit().await?)
}

/// What differs from what stood before, each with what it was and what it is; of the key, that it does.
fn changes(standing: Option<&ChatEndpoint>, endpoint: &ChatEndpoint) -> Map<String, Value> {
    let mut changes = audit::changes(standing.map_or_else(|| json!({}), without_key), without_key(endpoint));
    if standing.is_none() {
        changes.retain(|_, pair| pair[1] != "");
    }
    let key = standing.and_then(|standing| standing.api_key.as_ref());
    if key.is_some() && endpoint.api_key.is_some() && key != endpoint.api_key.as_ref() {
        changes.insert("key_replaced".to_owned(), Value::Bool(true));
    }
    changes
}

/// Ends chatting in a project; conversations and choices stay.
pub async fn remove(pool: &PgPool, actor: &Actor, project: (Uuid, &str)) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    sqlx::query!("DELETE FROM chat_endpoints WHERE project_id = $1", project.0).execute(&mut *tx).await?;
    audit::record(&mut *tx, actor, "chat.off", &format!("project/{}", project.1), json!({})).await?;
    tx.commit().await
}
