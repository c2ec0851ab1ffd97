//! What people have begun to write or rank and not yet submitted, and corrections that they have begun and not yet saved.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::{PgExecutor, PgPool, Postgres, Transaction, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::label_versions;

/// Drafts that wait beside one at most: the oldest goes first. One a computer is what people have.
const MOST_DISPLACED: usize = 9;

/// The fields of the task's form, as they were when it was saved.
pub type DraftFields = BTreeMap<String, String>;

/// A draft as it is stored.
#[derive(Debug, Clone)]
pub struct Draft {
    pub fields: DraftFields,
    /// The version of the label that it would replace; `None` where the task is not submitted.
    pub replaces: Option<Uuid>,
    /// What waits beside it, oldest first, until somebody takes it over or discards it.
    pub displaced: Vec<Displaced>,
    pub updated_at: OffsetDateTime,
}

impl Draft {
    /// When it was saved, in milliseconds since 1970.
    pub fn saved_at(&self) -> i128 {
        i128::from(milliseconds(self.updated_at))
    }
}

/// A draft that another one has taken the place of, which was written elsewhere, or for another version of the label.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Displaced {
    /// When it was saved itself, in milliseconds since 1970: its name.
    pub saved_at: i64,
    /// The version of the label that it would have replaced.
    pub replaces: Option<Uuid>,
    pub fields: DraftFields,
}

impl From<Draft> for Displaced {
    fn from(draft: Draft) -> Self {
        Displaced { saved_at: milliseconds(draft.updated_at), replaces: draft.replaces, fields: draft.fields }
    }
}

/// What a page has to save.
#[derive(Debug, Clone, Copy)]
pub struct Typed<'a> {
    pub fields: &'a DraftFields,
    /// The version of a label that it corrects.
    pub replaces: Option<Uuid>,
    /// Which draft its writer had before them, in milliseconds since 1970: one that was saved later is not theirs.
    pub base: Option<i64>,
    /// Drafts of elsewhere that they have taken over or discarded since, each by when it was saved.
    pub settled: &'a [i64],
}

impl Typed<'_> {
    /// Whether a draft is one that its writer has taken over or discarded.
    fn has_settled(&self, before: &Draft) -> bool {
        self.settled.contains(&milliseconds(before.updated_at))
    }

    /// Whether a draft was written elsewhere, and its writer here has not settled what becomes of it.
    fn is_elsewhere(&self, before: &Draft) -> bool {
        self.base.is_some_and(|base| milliseconds(before.updated_at) > base) && !self.has_settled(before)
    }

    /// Whether a draft is of another version, and its writer here has not settled what becomes of it.
    fn is_of_another(&self, before: &Draft) -> bool {
        before.replaces != self.replaces && !self.has_settled(before)
    }

    /// Whether a draft that waits goes on waiting: it is not settled, and this says something else and does not go on from it.
    fn leaves(&self, other: &Displaced) -> bool {
        let goes_on = self.base == Some(other.saved_at) && self.replaces == other.replaces;
        !goes_on && !self.settled.contains(&other.saved_at) && !same_work(&other.fields, self.fields)
    }

    /// Whether this takes the place of a draft that has to wait beside it.
    fn displaces(&self, before: &Draft) -> bool {
        (self.is_elsewhere(before) || self.is_of_another(before))
            && !same_work(&before.fields, self.fields)
            && !work(&before.fields).is_empty()
    }
}

/// A draft that has just been saved.
#[derive(Debug, Clone, Default)]
pub struct Saved {
    /// `None` where none is kept.
    pub at: Option<OffsetDateTime>,
    /// What it took the place of, where that was written elsewhere since `base` and says something else; or what stands in its place.
    pub displaced: Option<Displaced>,
    /// What waits beside it now, each by when it was saved.
    pub beside: Vec<i64>,
}

impl Saved {
    /// Nothing was to be kept, and this draft stands.
    fn none_but(draft: Draft) -> Self {
        let beside = names(&draft.displaced);
        Saved { at: Some(draft.updated_at), beside, displaced: Some(draft.into()) }
    }
}

/// Saves a draft over the one before: the newest counts. One that was saved elsewhere since its writer's `base` waits beside it and is
/// given back, and one of another version waits beside it.
/// Without any field the draft goes, if it is the one that its writer had, and what waits beside it comes in its place.
/// `None` where the task is submitted, or where the version that is corrected does not stand any more or may not be corrected: an
/// autosave that comes late brings nothing back.
///
/// # Errors
/// `RowNotFound` where the assignment is not this person's.
pub async fn save(pool: &PgPool, user: Uuid, assignment: Uuid, typed: Typed<'_>) -> sqlx::Result<Option<Saved>> {
    let mut tx = pool.begin().await?;
    // The lock lets a submit that runs at the same moment delete this draft or forbid it, not miss it.
    let state = sqlx::query_scalar!(
        "SELECT state FROM assignments WHERE id = $1 AND user_id = $2 FOR NO KEY UPDATE",
        assignment,
        user
    )
    .fetch_one(&mut *tx)
    .await?;
    if typed.replaces.is_none() && state == "submitted" {
        return Ok(None);
    }
    let before = find(&mut *tx, assignment).await?;
    if typed.fields.is_empty() {
        let left = let_go(&mut tx, assignment, before, typed).await?;
        tx.commit().await?;
        return Ok(Some(left));
    }
    if let Some(version) = typed.replaces
        && !label_versions::may_be_replaced(&mut tx, assignment, version).await?
    {
        return Ok(None);
    }
    let (beside, displaced) = before.map(|before| beside(before, typed)).unwrap_or_default();
    let at = put(&mut tx, assignment, typed.fields, typed.replaces, &beside).await?;
    tx.commit().await?;
    Ok(Some(Saved { at: Some(at), displaced, beside: names(&beside) }))
}

/// What waits beside a draft that takes the place of another, and what of it its writer knows nothing of.
fn beside(mut before: Draft, typed: Typed<'_>) -> (Vec<Displaced>, Option<Displaced>) {
    let mut beside = std::mem::take(&mut before.displaced);
    beside.retain(|other| typed.leaves(other));
    if !typed.displaces(&before) {
        return (beside, None);
    }
    let elsewhere = typed.is_elsewhere(&before);
    let displaced = Displaced::from(before);
    beside.push(displaced.clone());
    beside.drain(..beside.len().saturating_sub(MOST_DISPLACED));
    (beside, elsewhere.then_some(displaced))
}

fn names(displaced: &[Displaced]) -> Vec<i64> {
    displaced.iter().map(|other| other.saved_at).collect()
}

fn milliseconds(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or_default()
}

/// What is filled in, whatever the clock on the page.
fn work(fields: &DraftFields) -> BTreeMap<&str, &str> {
    let filled = fields.iter().filter(|(name, value)| *name != "seconds" && !value.is_empty());
    filled.map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// Whether two drafts say the same.
fn same_work(one: &DraftFields, other: &DraftFields) -> bool {
    work(one) == work(other)
}

/// Stores the draft of an assignment, and what waits beside it.
async fn put(
    tx: &mut Transaction<'_, Postgres>,
    assignment: Uuid,
    fields: &DraftFields,
    replaces: Option<Uuid>,
    beside: &[Displaced],
) -> sqlx::Result<OffsetDateTime> {
    let displaced = (!beside.is_empty()).then_some(Json(beside));
    sqlx::query_scalar!(
        r#"
        INSERT INTO drafts (assignment_id, body, replaces, displaced)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (assignment_id) DO UPDATE
        SET
            body = excluded.body,
            replaces = excluded.replaces,
            displaced = excluded.displaced,
            updated_at = now()
        RETURNING updated_at
        "#,
        assignment,
        Json(fields) as _,
        replaces,
        displaced as _
    )
    .fetch_one(&mut **tx)
    .await
}

/// Nothing is typed any more. Nothing takes no place: what was saved elsewhere since stays, and so does the draft of another version.
/// Where the draft goes, what waits beside it comes in its place, the newest first.
async fn let_go(
    tx: &mut Transaction<'_, Postgres>,
    assignment: Uuid,
    before: Option<Draft>,
    typed: Typed<'_>,
) -> sqlx::Result<Saved> {
    let Some(mut before) = before else { return Ok(Saved::default()) };
    if typed.is_elsewhere(&before) {
        return Ok(Saved::none_but(before));
    }
    if typed.is_of_another(&before) {
        return Ok(Saved { beside: names(&before.displaced), ..Saved::default() });
    }
    before.displaced.retain(|other| typed.leaves(other));
    let Some(next) = before.displaced.pop() else {
        sqlx::query!("DELETE FROM drafts WHERE assignment_id = $1", assignment).execute(&mut **tx).await?;
        return Ok(Saved::default());
    };
    let displaced = before.displaced;
    let updated_at = put(tx, assignment, &next.fields, next.replaces, &displaced).await?;
    Ok(Saved::none_but(Draft { fields: next.fields, replaces: next.replaces, displaced, updated_at }))
}

/// Deletes the draft of what has just been submitted or corrected, with what waits beside it: it has done its work. One that was saved
/// elsewhere since `base` says what nobody has seen here, and stays.
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

/// Whether a draft of this assignment, or what waits beside it, was saved elsewhere since `base`, in milliseconds since 1970: whoever
/// submits has not seen it. What says the same as one of `own` is theirs.
pub async fn went_on_elsewhere(pool: &PgPool, assignment: Uuid, base: i64, own: &[&DraftFields]) -> sqlx::Result<bool> {
    let Some(mut draft) = find(pool, assignment).await? else { return Ok(false) };
    let mut all = std::mem::take(&mut draft.displaced);
    all.push(draft.into());
    let is_unseen = |one: &Displaced| {
        let is_own = own.iter().any(|own| same_work(own, &one.fields));
        one.saved_at > base && !is_own && !work(&one.fields).is_empty()
    };
    Ok(all.iter().any(is_unseen))
}

/// The draft of an assignment. Whose it is has been checked by whoever shows the task.
pub async fn find(executor: impl PgExecutor<'_>, assignment: Uuid) -> sqlx::Result<Option<Draft>> {
    let row = sqlx::query!(
        r#"
        SELECT
            body AS "body: Json<DraftFields>",
            replaces,
            displaced AS "displaced: Json<Vec<Displaced>>",
            updated_at
        FROM drafts
        WHERE assignment_id = $1
        "#,
        assignment
    )
    .fetch_optional(executor)
    .await?;
    Ok(row.map(|row| Draft {
        fields: row.body.0,
        replaces: row.replaces,
        displaced: row.displaced.map(|displaced| displaced.0).unwrap_or_default(),
        updated_at: row.updated_at,
    }))
}
