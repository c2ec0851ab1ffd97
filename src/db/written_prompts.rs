//! Prompts that people write for a brief: stored as prompts of the project, with who wrote them. A correction is another prompt in
//! the place of the first.

use laurel_records::Message;
use serde_json::json;
use sqlx::{PgExecutor, PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::{
    briefs, drafts,
    label_versions::Correction,
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
/// assignment again changes nothing, and gives `false`. Where the prompt is to replace another, nobody new is asked about that one,
/// unless a lead keeps it after all.
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
    let messages = written.conversation();
    let prompt = insert_prompt(&mut tx, &brief, &held, &messages).await?.ok_or(WriteError::AlreadyHere)?;
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
    if let Some(replaced) = brief.replaces
        && !is_withdrawn(&mut tx, &brief).await?
    {
        sqlx::query!("UPDATE tasks SET withdrawn_at = now() WHERE prompt_id = $1 AND withdrawn_at IS NULL", replaced)
            .execute(&mut *tx)
            .await?;
    }
    labels::finish(&mut tx, assignment).await?;
    tx.commit().await?;
    look_for_duplicates(pool, user, &brief);
    Ok(true)
}

/// It compares with every prompt of the project: the writer is not to wait for it.
fn look_for_duplicates(pool: &PgPool, writer: Uuid, brief: &Brief) {
    if brief.hold_back {
        near_duplicates::look_after_writing(pool, writer, brief.project);
    }
}

/// Stores a new version of a prompt that somebody wrote: another prompt, while the one before is withdrawn and stays on record.
/// `false` where another version has taken the place of the one that it would replace. The same words again are the version that
/// stands; those of an earlier version bring its prompt back.
///
/// # Errors
/// [`SubmitError::Closed`] once somebody has begun to work with the prompt, or a model has answered it.
pub async fn correct(
    pool: &PgPool,
    correction: Correction,
    written: &Written,
    seconds: Option<f64>,
) -> Result<bool, WriteError> {
    let Correction { user, assignment, replaces, base } = correction;
    let mut tx = pool.begin().await?;
    let held = labels::hold(&mut tx, user, assignment, TaskKind::Prompt).await?;
    let standing = sqlx::query!(
        r#"
        SELECT w.id AS "id!", w.prompt_id AS "prompt!", w.extra_opinion AS "extra_opinion!", p.content_hash
        FROM current_written_prompts w
        JOIN prompts p ON p.id = w.prompt_id
        WHERE w.assignment_id = $1
        "#,
        assignment
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(SubmitError::NotYours)?;
    if standing.id != replaces {
        return Ok(false);
    }
    close(&mut tx, standing.prompt, standing.id).await?;
    let messages = written.conversation();
    drafts::forget(&mut tx, assignment, base).await?;
    if standing.content_hash == content_hash(&messages) {
        tx.commit().await?;
        return Ok(true);
    }
    let brief = brief(&mut tx, held.task).await?;
    withdraw(&mut tx, standing.prompt).await?;
    let prompt = match insert_prompt(&mut tx, &brief, &held, &messages).await? {
        Some(new) => new,
        None => bring_back(&mut tx, assignment, &messages).await?.ok_or(WriteError::AlreadyHere)?,
    };
    sqlx::query!(
        r#"
        INSERT INTO written_prompts (id, assignment_id, brief_id, prompt_id, user_id, seconds, extra_opinion, replaces_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        "#,
        Uuid::now_v7(),
        assignment,
        brief.id,
        prompt,
        user,
        seconds,
        standing.extra_opinion,
        replaces
    )
    .execute(&mut *tx)
    .await?;
    tasks::create_demonstration_task(&mut tx, brief.project, prompt).await?;
    tx.commit().await?;
    look_for_duplicates(pool, user, &brief);
    Ok(true)
}

/// Lets nobody begin with the prompt until the transaction ends, and refuses where somebody has.
async fn close(tx: &mut Transaction<'_, Postgres>, prompt: Uuid, version: Uuid) -> Result<(), SubmitError> {
    tasks::lock_of_prompt(tx, prompt).await?;
    sqlx::query!("SELECT id FROM prompts WHERE id = $1 FOR UPDATE", prompt).fetch_one(&mut **tx).await?;
    let may = sqlx::query_scalar!(r#"SELECT may_be_corrected($1) AS "may!""#, version).fetch_one(&mut **tx).await?;
    if may { Ok(()) } else { Err(SubmitError::Closed) }
}

/// Nobody is asked about the prompt any more, and no export holds it.
async fn withdraw(tx: &mut Transaction<'_, Postgres>, prompt: Uuid) -> sqlx::Result<()> {
    sqlx::query!("UPDATE prompts SET withdrawn_at = now() WHERE id = $1", prompt).execute(&mut **tx).await?;
    sqlx::query!("UPDATE tasks SET withdrawn_at = now() WHERE prompt_id = $1 AND withdrawn_at IS NULL", prompt)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The prompt of an earlier version of the assignment that says the same; it is asked about again.
async fn bring_back(
    tx: &mut Transaction<'_, Postgres>,
    assignment: Uuid,
    messages: &[Message],
) -> sqlx::Result<Option<Uuid>> {
    let prompt = sqlx::query_scalar!(
        r#"
        UPDATE prompts
        SET withdrawn_at = NULL
        WHERE content_hash = $2 AND id IN (SELECT prompt_id FROM written_prompts WHERE assignment_id = $1)
        RETURNING id
        "#,
        assignment,
        &content_hash(messages)[..]
    )
    .fetch_optional(&mut **tx)
    .await?;
    if let Some(prompt) = prompt {
        sqlx::query!(
            r#"
            UPDATE tasks
            SET withdrawn_at = (SELECT held_back_at FROM prompts WHERE id = $1)
            WHERE prompt_id = $1
            "#,
            prompt
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(prompt)
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

/// Whether nobody new is asked for this prompt: what somebody has in hand of it comes beside the prompt that it was to replace.
async fn is_withdrawn(tx: &mut Transaction<'_, Postgres>, brief: &Brief) -> sqlx::Result<bool> {
    let briefs = briefs::of_project(&mut **tx, brief.project).await?;
    Ok(briefs.iter().any(|one| one.id == brief.id && one.withdrawn))
}

/// The new prompt; `None` where the project has it already.
async fn insert_prompt(
    tx: &mut Transaction<'_, Postgres>,
    brief: &Brief,
    held: &Held,
    messages: &[Message],
) -> sqlx::Result<Option<Uuid>> {
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
    .await
}

/// Who wrote a prompt; `None` where it came otherwise.
pub async fn author(pool: &PgPool, prompt: Uuid) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        "SELECT u.name FROM written_prompts w JOIN users u ON u.id = w.user_id WHERE w.prompt_id = $1 LIMIT 1",
        prompt
    )
    .fetch_optional(pool)
    .await
}

/// The prompt that its writer has put in the place of this one; `None` where it is the last version, or came otherwise.
pub async fn newer(executor: impl PgExecutor<'_>, prompt: Uuid) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        r#"
        SELECT stands.prompt_id AS "prompt!"
        FROM written_prompts w
        JOIN current_written_prompts stands ON stands.assignment_id = w.assignment_id
        WHERE w.prompt_id = $1 AND stands.prompt_id <> $1
        LIMIT 1
        "#,
        prompt
    )
    .fetch_optional(executor)
    .await
}
