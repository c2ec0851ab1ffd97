//! What people have begun to write or rank and not yet submitted, and corrections that they have begun and not yet saved.

use std::collections::BTreeMap;

use sqlx::{PgExecutor, PgPool, Postgres, Transaction, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::label_versions;

/// The fields of the task's form, as they were when it was saved.
pub type DraftFields = BTreeMap<String, String>;

/// A draft as it is stored.
#[derive(Debug, Clone)]
pub struct Draft {
    pub fields: DraftFields,
    /// The version of the label that it would replace; `None` where the task is not submitted.
    pub replaces: Option<Uuid>,
    pub updated_at: OffsetDateTime,
}

impl Draft {
    /// When it was saved, in milliseconds since 1970.
    pub fn saved_at(&self) -> i128 {
        self.updated_at.unix_timestamp_nanos() / 1_000_000
    }
}

/// A draft that has just been saved.
#[derive(Debug, Clone)]
pub struct Saved {
    /// `None` where none is kept.
    pub at: Option<OffsetDateTime>,
    /// What it took the place of, where that was written elsewhere since `base` and says something else.
    pub displaced: Option<DraftFields>,
}

/// Saves a draft over the one before: the newest counts. `base` says, in milliseconds since 1970, which one its writer had
/// before them; one that was saved elsewhere since is kept beside it and given back, and one of another version is kept beside it.
/// `replaces` names the version of a label that is corrected. Without any field the draft goes, if it is the one that its writer had.
/// `None` where the task is submitted, or where that version does not stand any more or may not be corrected: an autosave that
/// comes late brings nothing back.
///
/// # Errors
/// `RowNotFound` where the assignment is not this person's.
pub async fn save(
    pool: &PgPool,
    user: Uuid,
    assignment: Uuid,
    replaces: Option<Uuid>,
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
    if replaces.is_none() && state == "submitted" {
        return Ok(None);
    }
    let before = find(&mut *tx, assignment).await?;
    let newer = |before: &Draft| base.is_some_and(|base| before.saved_at() > i128::from(base));
    let elsewhere = before.as_ref().is_some_and(newer);
    if fields.is_empty() {
        // Nothing takes no place: what was saved elsewhere since stays.
        if let Some(before) = before.filter(|_| elsewhere) {
            return Ok(Some(Saved { at: Some(before.updated_at), displaced: Some(before.fields) }));
        }
        let_go(&mut tx, assignment, replaces).await?;
        tx.commit().await?;
        return Ok(Some(Saved { at: None, displaced: None }));
    }
    if let Some(version) = replaces
        && !label_versions::may_be_replaced(&mut tx, assignment, version).await?
    {
        return Ok(None);
    }
    let of_another = before.as_ref().is_some_and(|before| before.replaces != replaces);
    let other = before.map(|before| before.fields).filter(|before| !same_work(before, fields));
    let beside = other.filter(|_| elsewhere || of_another);
    let at = sqlx::query_scalar!(
        r#"
        INSERT INTO drafts (assignment_id, body, replaces)
        VALUES ($1, $2, $4)
        ON CONFLICT (assignment_id) DO UPDATE
        SET
            body = excluded.body,
            replaces = excluded.replaces,
            updated_at = now(),
            displaced = coalesce($3, drafts.displaced)
        RETURNING updated_at
        "#,
        assignment,
        Json(fields) as _,
        beside.as_ref().map(Json) as _,
        replaces
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Some(Saved { at: Some(at), displaced: beside.filter(|_| elsewhere) }))
}

/// Whether two drafts say the same, whatever the clock on their pages.
fn same_work(one: &DraftFields, other: &DraftFields) -> bool {
    let work = |fields: &DraftFields| -> DraftFields {
        let filled = fields.iter().filter(|(name, value)| *name != "seconds" && !value.is_empty());
        filled.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    work(one) == work(other)
}

/// Deletes the draft of a task, or of a correction of that version; one of another version is another draft.
async fn let_go(tx: &mut Transaction<'_, Postgres>, assignment: Uuid, replaces: Option<Uuid>) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM drafts WHERE assignment_id = $1 AND replaces IS NOT DISTINCT FROM $2",
        assignment,
        replaces
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Deletes the draft of what has just been submitted or corrected: it has done its work. One that was saved elsewhere since
/// `base` says what nobody has seen here, and stays.
pub(super) async fn forget(
    tx: &mut Transaction<'_, Postgres>,
    assignment: Uuid,
    base: Option<i64>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        DELETE FROM drafts
        WHERE assignment_id = $1
            AND ($2::bigint IS NULL OR floor(extract(epoch FROM updated_at) * 1000) <= $2::bigint)
        "#,
        assignment,
        base
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The draft of an assignment. Whose it is has been checked by whoever shows the task.
pub async fn find(executor: impl PgExecutor<'_>, assignment: Uuid) -> sqlx::Result<Option<Draft>> {
    let row = sqlx::query!(
        r#"SELECT body AS "body: Json<DraftFields>", replaces, updated_at FROM drafts WHERE assignment_id = $1"#,
        assignment
    )
    .fetch_optional(executor)
    .await?;
    Ok(row.map(|row| Draft { fields: row.body.0, replaces: row.replaces, updated_at: row.updated_at }))
}
