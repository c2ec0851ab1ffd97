//! What prompts a project wants to have written: made by leads, one task a prompt.

use serde_json::json;
use sqlx::{PgConnection, PgExecutor, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::audit::{self, Actor};
use crate::domain::written_prompt::PromptKind;

/// Prompts that may be asked for at once.
pub const COUNT: std::ops::RangeInclusive<i32> = 1..=1000;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct NewBrief {
    pub kind: PromptKind,
    /// The use case; of the other kinds a hint, or nothing.
    pub about: String,
    pub language: Option<String>,
    /// The prompt that a better one is wanted for.
    pub replaces: Option<Uuid>,
    /// How many prompts; see [`COUNT`].
    pub count: i32,
}

/// A brief with how far it is.
#[derive(Debug, Clone)]
pub struct Brief {
    pub id: Uuid,
    pub kind: String,
    pub about: String,
    pub language: Option<String>,
    pub replaces: Option<Uuid>,
    pub created_at: OffsetDateTime,
    pub withdrawn: bool,
    pub wanted: i64,
    pub written: i64,
}

/// Asks for prompts, and notes who did.
pub async fn create(pool: &PgPool, actor: &Actor, project: (Uuid, &str), briefs: &[NewBrief]) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    for brief in briefs {
        insert(&mut transaction, actor, project, brief).await?;
    }
    transaction.commit().await
}

/// A brief and its tasks, within the caller's transaction.
pub(super) async fn insert(
    connection: &mut PgConnection,
    actor: &Actor,
    project: (Uuid, &str),
    brief: &NewBrief,
) -> sqlx::Result<()> {
    let id = Uuid::now_v7();
    sqlx::query!(
        r#"
            INSERT INTO prompt_briefs (id, project_id, kind, about, language, replaces_prompt, created_by)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            "#,
        id,
        project.0,
        brief.kind.as_str(),
        brief.about,
        brief.language,
        brief.replaces,
        actor.user
    )
    .execute(&mut *connection)
    .await?;
    let tasks: Vec<Uuid> = (0..brief.count).map(|_| Uuid::now_v7()).collect();
    sqlx::query!(
        r#"
            INSERT INTO tasks (id, project_id, brief_id, kind, overlap)
            SELECT id, $2, $3, 'prompt', 1
            FROM unnest($1::uuid[]) AS wanted (id)
            "#,
        &tasks,
        project.0,
        id
    )
    .execute(&mut *connection)
    .await?;
    let detail = json!({ "kind": brief.kind.as_str(), "about": brief.about, "count": brief.count });
    let subject = format!("project/{}", project.1);
    audit::record(&mut *connection, actor, "prompts.ask", &subject, detail).await
}

/// The briefs of a project, the newest first.
pub async fn of_project(executor: impl PgExecutor<'_>, project: Uuid) -> sqlx::Result<Vec<Brief>> {
    sqlx::query_as!(
        Brief,
        r#"
        SELECT
            b.id,
            b.kind,
            b.about,
            b.language,
            b.replaces_prompt AS replaces,
            b.created_at,
            b.withdrawn_at IS NOT NULL AS "withdrawn!",
            (SELECT count(*) FROM tasks t WHERE t.brief_id = b.id) AS "wanted!",
            (SELECT count(*) FROM current_written_prompts w WHERE w.brief_id = b.id) AS "written!"
        FROM prompt_briefs b
        WHERE b.project_id = $1
        ORDER BY b.id DESC
        "#,
        project
    )
    .fetch_all(executor)
    .await
}

/// Asks nobody any more, or asks again for what is not written yet. `RowNotFound` where the project has no such brief.
pub async fn set_withdrawn(
    pool: &PgPool,
    actor: &Actor,
    project: Uuid,
    brief: Uuid,
    withdrawn: bool,
) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    withdraw(&mut transaction, actor, project, brief, withdrawn).await?;
    transaction.commit().await
}

/// The same within the caller's transaction.
pub(super) async fn withdraw(
    connection: &mut PgConnection,
    actor: &Actor,
    project: Uuid,
    brief: Uuid,
    withdrawn: bool,
) -> sqlx::Result<()> {
    sqlx::query_scalar!(
        r#"
        UPDATE prompt_briefs
        SET withdrawn_at = CASE WHEN $3 THEN coalesce(withdrawn_at, now()) END
        WHERE id = $1 AND project_id = $2
        RETURNING id
        "#,
        brief,
        project,
        withdrawn
    )
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE tasks SET withdrawn_at = CASE WHEN $2 THEN now() END WHERE brief_id = $1 AND labels < overlap",
        brief,
        withdrawn
    )
    .execute(&mut *connection)
    .await?;
    let action = if withdrawn { "prompts.ask_no_more" } else { "prompts.ask_again" };
    audit::record(&mut *connection, actor, action, &format!("brief/{brief}"), json!({})).await
}
