//! Closing a project and opening it again. Nobody is given a task of a closed project and nothing is trained; what is in it stays
//! readable and can be exported, and whoever has a task in hand can hand it in.

use serde_json::json;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::audit::{self, Actor};

/// Closes or opens a project and notes who did. `false` where it was so already.
pub async fn set(pool: &PgPool, actor: &Actor, project: (Uuid, &str), closed: bool) -> sqlx::Result<bool> {
    let mut transaction = pool.begin().await?;
    let changed = sqlx::query!(
        r#"
        UPDATE projects
        SET archived_at = CASE WHEN $2 THEN now() END
        WHERE id = $1 AND (archived_at IS NOT NULL) <> $2
        "#,
        project.0,
        closed
    )
    .execute(&mut *transaction)
    .await?
    .rows_affected()
        > 0;
    if changed {
        let action = if closed { "project.close" } else { "project.reopen" };
        audit::record(&mut *transaction, actor, action, &format!("project/{}", project.1), json!({})).await?;
    }
    transaction.commit().await?;
    Ok(changed)
}

/// A closed project in the list of projects.
#[derive(Debug, Clone)]
pub struct Closed {
    pub slug: String,
    pub name: String,
    pub closed_at: OffsetDateTime,
}

/// The closed projects, the last one closed first; of one person's projects only with `member`.
pub async fn list(pool: &PgPool, member: Option<Uuid>) -> sqlx::Result<Vec<Closed>> {
    sqlx::query_as!(
        Closed,
        r#"
        SELECT p.slug, p.name, p.archived_at AS "closed_at!"
        FROM projects p
        WHERE p.archived_at IS NOT NULL
            AND ($1::uuid IS NULL OR EXISTS (
                SELECT 1 FROM memberships m WHERE m.project_id = p.id AND m.user_id = $1))
        ORDER BY p.archived_at DESC, p.id
        "#,
        member
    )
    .fetch_all(pool)
    .await
}

/// How many people have a task of the project in hand.
pub async fn in_hand(pool: &PgPool, project: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"
        SELECT count(DISTINCT a.user_id) AS "people!"
        FROM assignments a
        JOIN tasks t ON t.id = a.task_id
        WHERE t.project_id = $1 AND a.state = 'leased' AND a.lease_until > now()
        "#,
        project
    )
    .fetch_one(pool)
    .await
}
