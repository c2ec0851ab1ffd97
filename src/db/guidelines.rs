//! Guidelines of a project: each saved text is a new version, none is ever changed.

use serde_json::json;
use sqlx::{PgExecutor, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    audit::{self, Actor},
    drawn::{DrawnWith, SaveError},
};

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

/// What a form of the guidelines is drawn with where this version is the newest.
pub fn drawn_with(newest: Option<i32>) -> DrawnWith {
    DrawnWith::of(&json!(newest))
}

/// Saves a new version and returns its number. A text that is the current one already makes no version.
pub async fn save(
    pool: &PgPool,
    actor: &Actor,
    project: (Uuid, &str),
    drawn: &DrawnWith,
    body: &str,
) -> Result<i32, SaveError> {
    let mut transaction = pool.begin().await?;
    // The project's row is the lock: two saves at once make two versions, one after the other. Not its key, on which the prompts
    // of an import rest until that is over.
    sqlx::query!("SELECT id FROM projects WHERE id = $1 FOR NO KEY UPDATE", project.0)
        .fetch_one(&mut *transaction)
        .await?;
    let newest = current(&mut *transaction, project.0).await?;
    let (before, version) = match newest {
        Some(newest) if newest.body == body => return Ok(newest.version),
        Some(newest) => (Some(newest.version), newest.version + 1),
        None => (None, 1),
    };
    drawn.check(&json!(before), &json!(version))?;
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
    let detail = json!({ "version": [before, version] });
    audit::record(&mut *transaction, actor, "guidelines.save", &subject, detail).await?;
    transaction.commit().await?;
    Ok(version)
}

/// Notes that a person has read a version. `false` where there is no such version.
pub async fn mark_read(pool: &PgPool, user: Uuid, slug: &str, version: i32) -> Result<bool, sqlx::Error> {
    let noted = sqlx::query!(
        r#"
        INSERT INTO guideline_readings (project_id, version, user_id)
        SELECT g.project_id, g.version, $1
        FROM guidelines g
        JOIN projects p ON p.id = g.project_id
        WHERE p.slug = $2 AND g.version = $3
        ON CONFLICT (user_id, project_id, version) DO UPDATE SET read_at = guideline_readings.read_at
        "#,
        user,
        slug,
        version
    )
    .execute(pool)
    .await?;
    Ok(noted.rows_affected() == 1)
}

/// The newest version that a person has read; 0 where they have read none.
pub async fn last_read(pool: &PgPool, user: Uuid, slug: &str) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        SELECT coalesce(max(r.version), 0) AS "version!"
        FROM guideline_readings r
        JOIN projects p ON p.id = r.project_id
        WHERE p.slug = $2 AND r.user_id = $1
        "#,
        user,
        slug
    )
    .fetch_one(pool)
    .await
}

/// The project of a task whose newest guidelines its holder has yet to read; `None` where they have, or where there are none.
pub async fn unread(
    executor: impl PgExecutor<'_>,
    user: Uuid,
    assignment: Uuid,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        SELECT p.slug
        FROM (
            SELECT task_id FROM assignments WHERE id = $2 AND user_id = $1
            UNION ALL
            SELECT task_id FROM reservations WHERE assignment_id = $2 AND user_id = $1
        ) held
        JOIN tasks t ON t.id = held.task_id
        JOIN projects p ON p.id = t.project_id
        JOIN guidelines g ON g.project_id = p.id
        WHERE NOT EXISTS (SELECT 1 FROM guidelines newer WHERE newer.project_id = p.id AND newer.version > g.version)
            AND NOT EXISTS (
                SELECT 1 FROM guideline_readings r
                WHERE r.project_id = p.id AND r.version = g.version AND r.user_id = $1
            )
        "#,
        user,
        assignment
    )
    .fetch_optional(executor)
    .await
}

/// Whether a project has newest guidelines that the person has yet to read.
pub async fn unread_of_project(executor: impl PgExecutor<'_>, user: Uuid, slug: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        SELECT EXISTS (
            SELECT 1
            FROM projects p
            JOIN guidelines g ON g.project_id = p.id
            WHERE p.slug = $2
                AND NOT EXISTS (SELECT 1 FROM guidelines newer WHERE newer.project_id = p.id AND newer.version > g.version)
                AND NOT EXISTS (
                    SELECT 1 FROM guideline_readings r
                    WHERE r.project_id = p.id AND r.version = g.version AND r.user_id = $1
                )
        ) AS "unread!"
        "#,
        user,
        slug
    )
    .fetch_one(executor)
    .await
}

/// Which version somebody who works on a project has read last.
#[derive(Debug, Clone)]
pub struct Reader {
    pub name: String,
    pub email: String,
    /// The newest version that they have read.
    pub version: Option<i32>,
    pub read_at: Option<OffsetDateTime>,
}

/// Everybody who works on a project or has read its guidelines, those who are behind first.
pub async fn readers(pool: &PgPool, project: Uuid) -> Result<Vec<Reader>, sqlx::Error> {
    sqlx::query_as!(
        Reader,
        r#"
        SELECT u.name, u.email, last.version AS "version?", last.read_at AS "read_at?"
        FROM users u
        LEFT JOIN LATERAL (
            SELECT r.version, r.read_at
            FROM guideline_readings r
            WHERE r.project_id = $1 AND r.user_id = u.id
            ORDER BY r.version DESC
            LIMIT 1
        ) last ON true
        WHERE u.disabled_at IS NULL
            AND (
                last.version IS NOT NULL
                OR EXISTS (SELECT 1 FROM memberships m WHERE m.project_id = $1 AND m.user_id = u.id)
                OR EXISTS (
                    SELECT 1 FROM assignments a JOIN tasks t ON t.id = a.task_id
                    WHERE a.user_id = u.id AND t.project_id = $1
                )
            )
        ORDER BY last.version NULLS FIRST, u.name, u.email
        "#,
        project
    )
    .fetch_all(pool)
    .await
}
