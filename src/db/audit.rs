//! The audit log: who changed what, and when. Written in the transaction of the change itself.

use serde_json::Value;
use sqlx::{PgExecutor, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

/// Who made a change: a person, or a program by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Email of a person; name of a token, `clock`, `command line`.
    pub name: String,
    pub user: Option<Uuid>,
}

impl Actor {
    pub fn person(id: Uuid, email: &str) -> Self {
        Actor { name: email.to_owned(), user: Some(id) }
    }

    pub fn program(name: &str) -> Self {
        Actor { name: name.to_owned(), user: None }
    }
}

/// Notes a change. `action` is a word of the form `project.create`; `subject` names the thing (`project/demo`, `model/sft-2`).
pub async fn record(
    executor: impl PgExecutor<'_>,
    actor: &Actor,
    action: &str,
    subject: &str,
    detail: Value,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO audit_log (actor, user_id, action, subject, detail) VALUES ($1, $2, $3, $4, $5)",
        actor.name,
        actor.user,
        action,
        subject,
        detail
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// One change, as the page shows it.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: i64,
    pub at: OffsetDateTime,
    pub actor: String,
    pub action: String,
    pub subject: String,
    pub detail: Value,
}

/// Changes before `before` (an entry's id), newest first, of subjects and actors that contain `wanted`.
pub async fn page(pool: &PgPool, wanted: &str, before: Option<i64>, limit: i64) -> Result<Vec<Entry>, sqlx::Error> {
    sqlx::query_as!(
        Entry,
        r#"
        SELECT
            id,
            at,
            actor,
            action,
            subject,
            detail
        FROM audit_log
        WHERE ($1 = '' OR strpos(lower(subject), lower($1)) > 0 OR strpos(lower(actor), lower($1)) > 0 OR strpos(action, lower($1)) > 0)
            AND ($2::bigint IS NULL OR id < $2)
        ORDER BY id DESC
        LIMIT $3
        "#,
        wanted,
        before,
        limit
    )
    .fetch_all(pool)
    .await
}
