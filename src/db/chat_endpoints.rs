//! Where the answers of a project's chat come from: an endpoint that speaks OpenAI's chat completions.

use serde_json::{Value, json};
use sqlx::{PgExecutor, PgPool};
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
        SELECT base_url, model, api_key, system_prompt, answers, temperature, max_tokens
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
    DrawnWith::of(&endpoint.map_or(Value::Null, without_key))
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

/// Sets a project's endpoint and notes who did. Of the key it is noted whether there is one.
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
    let detail = without_key(endpoint);
    drawn.check(&standing.as_ref().map_or(Value::Null, without_key), &detail)?;
    sqlx::query!(
        r#"
        INSERT INTO chat_endpoints
            (project_id, base_url, model, api_key, system_prompt, answers, temperature, max_tokens)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (project_id) DO UPDATE
        SET base_url = $2, model = $3, api_key = $4, system_prompt = $5, answers = $6, temperature = $7,
            max_tokens = $8, updated_at = now()
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
    audit::record(&mut *tx, actor, "chat.endpoint", &format!("project/{}", project.1), detail).await?;
    Ok(tx.commit().await?)
}

/// Ends chatting in a project; conversations and choices stay.
pub async fn remove(pool: &PgPool, actor: &Actor, project: (Uuid, &str)) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    sqlx::query!("DELETE FROM chat_endpoints WHERE project_id = $1", project.0).execute(&mut *tx).await?;
    audit::record(&mut *tx, actor, "chat.off", &format!("project/{}", project.1), json!({})).await?;
    tx.commit().await
}
