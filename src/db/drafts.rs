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

/// A draft that has just been saved.
#[derive(Debug, Clone)]
pub struct Saved {
    pub at: OffsetDateTime,
    /// What it took the place of, where that was written elsewhere since `base` and says something else.
    pub displaced: Option<DraftFields>,
}

/// Saves a draft over the one before: the newest counts. `base` says, in milliseconds since 1970, which one its writer had
/// before them; one that was saved elsewhere since is kept beside it and given back. `None` where the task is submitted: an
/// autosave that comes late brings nothing back.
///
/// # Errors
/// `RowNotFound` where the assignment is not this person's.
pub async fn save(
    pool: &PgPool,
    user: Uuid,
    assignment: Uuid,
    fields: &DraftFields,
    base: Option<i64>,
) -> sqlx::Result<Option<Saved>> {
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
    let before = sqlx::query!(
        r#"SELECT body AS "body: Json<DraftFields>", updated_at FROM drafts WHERE assignment_id = $1"#,
        assignment
    )
    .fetch_optional(&mut *tx)
    .await?;
    let displaced = before
        .filter(|before| base.is_some_and(|base| before.updated_at.unix_timestamp_nanos() / 1_000_000 > base.into()))
        .map(|before| before.body.0)
        .filter(|before| !same_work(before, fields));
    let at = sqlx::query_scalar!(
        r#"
        INSERT INTO drafts (assignment_id, body)
        VALUES ($1, $2)
        ON CONFLICT (assignment_id) DO UPDATE
        SET body = excluded.body, updated_at = now(), displaced = coalesce($3, drafts.displaced)
        RETURNING updated_at
        "#,
        assignment,
        Json(fields) as _,
        displaced.as_ref().map(Json) as _
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Some(Saved { at, displaced }))
}

/// Whether two drafts say the same, whatever the clock on their pages.
fn same_work(one: &DraftFields, other: &DraftFields) -> bool {
    let work = |fields: &DraftFields| -> DraftFields {
        let filled = fields.iter().filter(|(name, value)| *name != "seconds" && !value.is_empty());
        filled.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    work(one) == work(other)
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
