//! The audit log: who changed what, and when. Written in the transaction of the change itself.

use serde_json::{Map, Value, json};
use sqlx::{PgExecutor, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::audit_kinds;

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

/// Notes a change. `action` is a word of the form `project.create`; `subject` names the thing (`project/demo`, `model/sft-2`). What
/// `detail` may hold, [`audit_kinds`] lists: the page has words for that.
pub async fn record(
    executor: impl PgExecutor<'_>,
    actor: &Actor,
    action: &str,
    subject: &str,
    detail: Value,
) -> Result<(), sqlx::Error> {
    debug_assert!(audit_kinds::lists(action, &detail), "audit_kinds.rs does not list {action} with {detail}");
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

/// `{"name": [before, after]}` of what differs between two objects.
pub(super) fn changes(before: Value, after: Value) -> Map<String, Value> {
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return Map::new() };
    after
        .into_iter()
        .filter_map(|(name, value)| {
            let old = before.get(&name).cloned().unwrap_or(Value::Null);
            (old != value).then(|| (name, json!([old, value])))
        })
        .collect()
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

/// What a person looks for in the log; empty means all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// A text in the subject, the action or the details.
    pub search: String,
    pub actor: String,
    pub action: String,
    pub from: Option<OffsetDateTime>,
    pub until: Option<OffsetDateTime>,
}

/// Changes before `before` (an entry's id), newest first.
pub async fn page(pool: &PgPool, filter: &Filter, before: Option<i64>, limit: i64) -> Result<Vec<Entry>, sqlx::Error> {
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
        WHERE ($1 = ''
                OR strpos(lower(subject), lower($1)) > 0
                OR strpos(lower(actor), lower($1)) > 0
                OR strpos(action, lower($1)) > 0
                OR strpos(lower(detail::text), lower($1)) > 0)
            AND ($2 = '' OR actor = $2)
            AND ($3 = '' OR action = $3)
            AND ($4::timestamptz IS NULL OR at >= $4)
            AND ($5::timestamptz IS NULL OR at < $5)
            AND ($6::bigint IS NULL OR id < $6)
        ORDER BY id DESC
        LIMIT $7
        "#,
        filter.search,
        filter.actor,
        filter.action,
        filter.from,
        filter.until,
        before,
        limit
    )
    .fetch_all(pool)
    .await
}

/// Who has changed something, and what kinds of changes there are.
pub async fn choices(pool: &PgPool) -> Result<(Vec<String>, Vec<String>), sqlx::Error> {
    let actors =
        sqlx::query_scalar!("SELECT actor FROM audit_log GROUP BY actor ORDER BY count(*) DESC, actor LIMIT 100");
    let actions = sqlx::query_scalar!("SELECT DISTINCT action FROM audit_log ORDER BY action");
    tokio::try_join!(actors.fetch_all(pool), actions.fetch_all(pool))
}
