//! What people have begun to write or rank and not yet submitted.

use std::collections::BTreeMap;

use sqlx::{PgPool, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

/// The fields of the task's form, as they were when it was saved.
pub type DraftFields = BTreeMap<String, String>;

/// A draft as it is stored.
#[derive(Debug, Clone)]
pub struct Draft {
    pub fields: DraftFields,
    pub updated_at: OffsetDateTime,
}

/// Saves a draft over the one before. `None` where the task is submitted: an autosave that comes late brings nothing back.
///
/// # Errors
/// `RowNotFound` where the assignment is not this person's.
pub async fn save(
    pool: &PgPool,
    user: Uuid,
    assignment: Uuid,
    fields: &DraftFields,
) -> sqlx::Result<Option<OffsetDateTime>> {
    let mut tx = pool.begin().await?;
    // The lock lets a submit that runs at the same moment delete this draft or forbid it, not miss it.
    let state = sqlx::query_scalar!(
        "SELECT state FROM assignments WHERE id = $1 AND user_id = $2 FOR NO KEY UPDATE",
        assignment,
        user
    )
    .fetch_one(&mut *tx)
    .await?;
    if state == "submitted" {
        return Ok(None);
    }
    let saved_at = sqlx::query_scalar!(
        r#"
        INSERT INTO drafts (assignment_id, body)
        VALUES ($1, $2)
        ON CONFLICT (assignment_id) DO UPDATE SET body = excluded.body, updated_at = now()
        RETURNING updated_at
        "#,
        assignment,
        Json(fields) as _
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Some(saved_at))
}

/// The draft of an assignment. Whose it is has been checked by whoever shows the task.
pub async fn find(pool: &PgPool, assignment: Uuid) -> sqlx::Result<Option<Draft>> {
    let row = sqlx::query!(
        r#"SELECT body AS "body: Json<DraftFields>", updated_at FROM drafts WHERE assignment_id = $1"#,
        assignment
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Draft { fields: row.body.0, updated_at: row.updated_at }))
}
