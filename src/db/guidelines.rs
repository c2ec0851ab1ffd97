//! Guidelines of a project: each saved text is a new version, none is ever changed.

use serde_json::json;
use sqlx::{PgExecutor, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::audit::{self, Actor};

/// One version of a project's guidelines.
#[derive(Debug, Clone)]
pub struct Guideline {
    pub version: i32,
    /// Markdown.
    pub body: String,
    pub by: Option<String>,
    pub created_at: OffsetDateTime,
}

/// The version that counts; `None` while nobody has written any.
pub async fn current(executor: impl PgExecutor<'_>, project: Uuid) -> Result<Option<Guideline>, sqlx::Error> {
    sqlx::query_as!(
        Guideline,
        r#"
        SELECT
            g.version,
            g.body,
            u.name AS "by?",
            g.created_at
        FROM guidelines g
        LEFT JOIN users u ON u.id = g.created_by
        WHERE g.project_id = $1
        ORDER BY g.version DESC
        LIMIT 1
        "#,
        project
    )
    .fetch_optional(executor)
    .await
}

/// All versions, newest first.
pub async fn history(pool: &PgPool, project: Uuid) -> Result<Vec<Guideline>, sqlx::Error> {
    sqlx::query_as!(
        Guideline,
        r#"
        SELECT
            g.version,
            g.body,
            u.name AS "by?",
            g.created_at
        FROM guidelines g
        LEFT JOIN users u ON u.id = g.created_by
        WHERE g.project_id = $1
        ORDER BY g.version DESC
        "#,
        project
    )
    .fetch_all(pool)
    .await
}

/// Saves a new version and returns its number. A text that is the current one already makes no version.
pub async fn save(pool: &PgPool, actor: &Actor, project: (Uuid, &str), body: &str) -> Result<i32, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    // The project's row is the lock: two saves at once make two versions, one after the other.
    sqlx::query!("SELECT id FROM projects WHERE id = $1 FOR UPDATE", project.0).fetch_one(&mut *transaction).await?;
    let newest = current(&mut *transaction, project.0).await?;
    let version = match newest {
        Some(newest) if newest.body == body => return Ok(newest.version),
        Some(newest) => newest.version + 1,
        None => 1,
    };
    sqlx::query!(
        "INSERT INTO guidelines (id, project_id, version, body, created_by) VALUES ($1, $2, $3, $4, $5)",
        Uuid::now_v7(),
        project.0,
        version,
        body,
        actor.user
    )
    .execute(&mut *transaction)
    .await?;
    let subject = format!("project/{}", project.1);
    audit::record(&mut *transaction, actor, "guidelines.save", &subject, json!({ "version": version })).await?;
    transaction.commit().await?;
    Ok(version)
}
