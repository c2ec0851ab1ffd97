//! Prompts that people write for a brief: stored as prompts of the project, with who wrote them.

use laurel_records::Message;
use serde_json::json;
use sqlx::{PgPool, Postgres, Transaction, types::Json};
use uuid::Uuid;

use super::{
    labels::{self, Held, SubmitError},
    near_duplicates, tasks, words,
};
use crate::domain::{
    assignment::TaskKind,
    conversation::content_hash,
    split,
    written_prompt::{PromptKind, Written},
};

/// Why a prompt is not stored.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("the project has this prompt already")]
    AlreadyHere,
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

impl From<sqlx::Error> for WriteError {
    fn from(error: sqlx::Error) -> Self {
        WriteError::Submit(error.into())
    }
}

/// The brief of a task, with what its project says of new prompts.
struct Brief {
    id: Uuid,
    project: Uuid,
    kind: String,
    about: String,
    language: Option<String>,
    replaces: Option<Uuid>,
    validation_percent: i32,
    test_percent: i32,
    hold_back: bool,
}

/// Stores the prompt and ends the lease; asks for an answer to it where the project wants demonstrations. Submitting the same
/// assignment again changes nothing, and gives `false`. Where the prompt is to replace another, nobody new is asked about that one.
pub async fn submit(
    pool: &PgPool,
    user: Uuid,
    assignment: Uuid,
    written: &Written,
    seconds: Option<f64>,
) -> Result<bool, WriteError> {
    let mut tx = pool.begin().await?;
    let held = labels::hold(&mut tx, user, assignment, TaskKind::Prompt).await?;
    if held.state == "submitted" {
        return Ok(false);
    }
    let brief = brief(&mut tx, held.task).await?;
    let prompt = insert_prompt(&mut tx, &brief, &held, &written.conversation()).await?;
    let counts = labels::take_place(&mut tx, user, &held).await?;
    sqlx::query!(
        r#"
        INSERT INTO written_prompts (id, assignment_id, brief_id, prompt_id, user_id, seconds, extra_opinion)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        "#,
        Uuid::now_v7(),
        assignment,
        brief.id,
        prompt,
        user,
        seconds.or(Some(held.open_seconds)),
        !counts
    )
    .execute(&mut *tx)
    .await?;
    tasks::create_demonstration_task(&mut tx, brief.project, prompt).await?;
    if let Some(replaced) = brief.replaces {
        sqlx::query!("UPDATE tasks SET withdrawn_at = now() WHERE prompt_id = $1 AND withdrawn_at IS NULL", replaced)
            .execute(&mut *tx)
            .await?;
    }
    labels::finish(&mut tx, assignment).await?;
    tx.commit().await?;
    if brief.hold_back {
        // It compares with every prompt of the project: the writer is not to wait for it.
        let pool = pool.clone();
        tokio::spawn(async move {
            if let Err(error) = near_duplicates::after_writing(&pool, brief.project).await {
                tracing::warn!(%error, "near-duplicates of a new prompt were not looked for");
            }
        });
    }
    Ok(true)
}

async fn brief(tx: &mut Transaction<'_, Postgres>, task: Uuid) -> sqlx::Result<Brief> {
    sqlx::query_as!(
        Brief,
        r#"
        SELECT
            b.id,
            b.project_id AS project,
            b.kind,
            b.about,
            b.language,
            b.replaces_prompt AS replaces,
            p.validation_percent,
            p.test_percent,
            p.hold_back_duplicates AS hold_back
        FROM tasks t
        JOIN prompt_briefs b ON b.id = t.brief_id
        JOIN projects p ON p.id = t.project_id
        WHERE t.id = $1
        "#,
        task
    )
    .fetch_one(&mut **tx)
    .await
}

async fn insert_prompt(
    tx: &mut Transaction<'_, Postgres>,
    brief: &Brief,
    held: &Held,
    messages: &[Message],
) -> Result<Uuid, WriteError> {
    let kind: PromptKind = brief.kind.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    let hash = content_hash(messages);
    let mut extra = json!({ "annotator": held.annotator });
    if kind == PromptKind::UseCase {
        extra["use_case"] = json!(brief.about);
    }
    sqlx::query_scalar!(
        r#"
        INSERT INTO prompts (id, project_id, conversation, language, tags, split, content_hash, extra)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT ON CONSTRAINT prompts_once DO NOTHING
        RETURNING id
        "#,
        Uuid::now_v7(),
        brief.project,
        json!(messages),
        brief.language,
        &[kind.tag().to_owned()],
        words::split(split::of(&hash, brief.validation_percent, brief.test_percent)),
        &hash[..],
        extra
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(WriteError::AlreadyHere)
}

/// What the person wrote for an assignment; `None` where they have not.
pub async fn of_assignment(pool: &PgPool, assignment: Uuid) -> sqlx::Result<Option<Vec<Message>>> {
    let row = sqlx::query_scalar!(
        r#"
        SELECT p.conversation AS "conversation: Json<Vec<Message>>"
        FROM written_prompts w
        JOIN prompts p ON p.id = w.prompt_id
        WHERE w.assignment_id = $1
        "#,
        assignment
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|conversation| conversation.0))
}

/// Who wrote a prompt; `None` where it came otherwise.
pub async fn author(pool: &PgPool, prompt: Uuid) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        "SELECT u.name FROM written_prompts w JOIN users u ON u.id = w.user_id WHERE w.prompt_id = $1",
        prompt
    )
    .fetch_optional(pool)
    .await
}
