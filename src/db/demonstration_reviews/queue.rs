//! The queue: texts that wait for a reviewer, as many of those submitted as the project wants, and those that were decided.

use serde_json::{Value, json};
use sqlx::{PgExecutor, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::db::{
    audit::{self, Actor},
    drawn::{DrawnWith, SaveError},
    reviews::Counts,
};

/// A text in the queue, or one that was decided.
#[derive(Debug, Clone)]
pub struct Listed {
    pub demonstration: Uuid,
    /// The last message of the prompt, its beginning.
    pub prompt: String,
    /// The beginning of the text.
    pub excerpt: String,
    pub written_at: OffsetDateTime,
    /// By a program that stands in for a person.
    pub simulated: bool,
    /// The reviewer who looks wrote it.
    pub own: bool,
    /// `accepted`, `corrected` or `rejected`, once it is decided.
    pub verdict: Option<String>,
    pub decided_at: Option<OffsetDateTime>,
    pub decided_by: Option<String>,
}

/// Texts that wait, oldest first; or those that are decided, newest first.
pub async fn page(
    pool: &PgPool,
    project: Uuid,
    reviewer: Uuid,
    decided: bool,
    (limit, offset): (i64, i64),
) -> sqlx::Result<Vec<Listed>> {
    sqlx::query_as!(
        Listed,
        r#"
        SELECT
            d.id AS "demonstration!",
            left(p.conversation -> -1 ->> 'content', 200) AS "prompt!",
            left(d.completion, 200) AS "excerpt!",
            d.created_at AS "written_at!",
            coalesce(u.simulated, false) AS "simulated!",
            coalesce(d.user_id = $2, false) AS "own!",
            v.verdict AS "verdict?",
            v.created_at AS "decided_at?",
            reviewer.name AS "decided_by?"
        FROM current_demonstrations d
        JOIN prompts p ON p.id = d.prompt_id
        LEFT JOIN users u ON u.id = d.user_id
        LEFT JOIN current_demonstration_reviews v ON v.demonstration_id = d.id
        LEFT JOIN users reviewer ON reviewer.id = v.reviewer_id
        WHERE p.project_id = $1
            AND CASE WHEN $3 THEN v.id IS NOT NULL ELSE d.id IN (SELECT id FROM demonstrations_to_review WHERE project_id = $1) END
        ORDER BY v.id DESC NULLS LAST, d.id
        LIMIT $4 OFFSET $5
        "#,
        project,
        reviewer,
        decided,
        limit,
        offset
    )
    .fetch_all(pool)
    .await
}

/// How many wait and how many are decided.
pub async fn counts(pool: &PgPool, project: Uuid) -> sqlx::Result<Counts> {
    sqlx::query_as!(
        Counts,
        r#"
        SELECT
            (SELECT count(*) FROM demonstrations_to_review WHERE project_id = $1) AS "waiting!",
            (
                SELECT count(*)
                FROM current_demonstration_reviews v
                JOIN demonstrations d ON d.id = v.demonstration_id
                JOIN prompts p ON p.id = d.prompt_id
                WHERE p.project_id = $1
            ) AS "decided!"
        "#,
        project
    )
    .fetch_one(pool)
    .await
}

/// The text that waits after this one, and then from the first on, that the reviewer did not write.
pub async fn next_waiting(pool: &PgPool, project: Uuid, reviewer: Uuid, after: Uuid) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        r#"
        SELECT id AS "id!"
        FROM demonstrations_to_review
        WHERE project_id = $1 AND user_id IS DISTINCT FROM $2 AND id <> $3
        ORDER BY id < $3, id
        LIMIT 1
        "#,
        project,
        reviewer,
        after
    )
    .fetch_optional(pool)
    .await
}

/// Share of the submitted texts, in percent, that waits for a reviewer.
pub async fn review_percent(executor: impl PgExecutor<'_>, project: Uuid) -> sqlx::Result<i32> {
    sqlx::query_scalar!("SELECT demonstration_review_percent FROM projects WHERE id = $1", project)
        .fetch_one(executor)
        .await
}

/// What a form of that share is drawn with.
pub fn review_drawn_with(percent: i32) -> DrawnWith {
    DrawnWith::of(&json!({ "demonstration_review_percent": percent }))
}

/// Sets that share; it holds for what waits now, too.
pub async fn set_review_percent(
    pool: &PgPool,
    actor: &Actor,
    (project, slug): (Uuid, &str),
    drawn: &DrawnWith,
    percent: i32,
) -> Result<(), SaveError> {
    let mut tx = pool.begin().await?;
    // Of two leads at once, the second reads what the first has stored.
    sqlx::query_scalar!("SELECT id FROM projects WHERE id = $1 FOR NO KEY UPDATE", project).fetch_one(&mut *tx).await?;
    let before = json!({ "demonstration_review_percent": review_percent(&mut *tx, project).await? });
    let after = json!({ "demonstration_review_percent": percent });
    drawn.check(&before, &after)?;
    let changes = audit::changes(before, after);
    if changes.is_empty() {
        return Ok(());
    }
    sqlx::query!("UPDATE projects SET demonstration_review_percent = $2 WHERE id = $1", project, percent)
        .execute(&mut *tx)
        .await?;
    let subject = format!("project/{slug}");
    audit::record(&mut *tx, actor, "project.demonstration_review", &subject, Value::Object(changes)).await?;
    Ok(tx.commit().await?)
}
