//! Prompts that are nearly the same as an earlier one: found, held back from people, listed, let go.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::json;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    audit::{self, Actor},
    tasks,
};
use crate::domain::minhash::NearDuplicates;

/// Prompts that the list shows.
pub const LISTED: i64 = 200;

/// What a search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub prompts: usize,
    /// Held back by this search.
    pub held_back: u64,
}

/// A prompt as the search reads it.
struct Read {
    id: Uuid,
    /// What user and assistant say; system messages are often the same.
    text: String,
    /// It stays whatever it is like: people have begun with it, or a lead has let it go.
    stays: bool,
}

/// Looks at every prompt of a project and holds back those that are nearly the same as an earlier one: their tasks that
/// nobody has begun are withdrawn, and new ones are not asked. What was let go stays, and a later one that is nearly the same
/// as it does not.
pub async fn hold_back(pool: &PgPool, actor: &Actor, project: (Uuid, &str)) -> anyhow::Result<Found> {
    let mut transaction = pool.begin().await?;
    let found = search(&mut transaction, project.0).await?;
    note(&mut transaction, actor, project.1, found).await?;
    transaction.commit().await?;
    Ok(found)
}

async fn note(connection: &mut PgConnection, actor: &Actor, slug: &str, found: Found) -> Result<(), sqlx::Error> {
    let detail = json!({ "prompts": found.prompts, "held_back": found.held_back });
    audit::record(connection, actor, "prompts.hold_back", &format!("project/{slug}"), detail).await
}

/// The search after prompts have come in, where the project wants it; noted where it held any back.
pub async fn after_arrival(
    connection: &mut PgConnection,
    actor: &Actor,
    project: (Uuid, &str),
) -> Result<(), sqlx::Error> {
    match search_where_wanted(&mut *connection, project.0).await? {
        Some(found) if found.held_back > 0 => note(connection, actor, project.1, found).await,
        _ => Ok(()),
    }
}

async fn search_where_wanted(connection: &mut PgConnection, project: Uuid) -> Result<Option<Found>, sqlx::Error> {
    let wanted = sqlx::query_scalar!("SELECT hold_back_duplicates FROM projects WHERE id = $1", project)
        .fetch_one(&mut *connection)
        .await?;
    Ok(if wanted { Some(search(connection, project).await?) } else { None })
}

/// Projects in which prompts that people wrote are being looked for, each with whoever has written one since the search began.
///
/// A search compares every prompt of the project and holds a connection meanwhile. One for each that is written, of many people,
/// would take all connections and as many times the memory; what came during a search is all found by one more.
static AFTER_WRITING: Mutex<BTreeMap<Uuid, Option<Uuid>>> = Mutex::new(BTreeMap::new());

fn after_writing_now() -> MutexGuard<'static, BTreeMap<Uuid, Option<Uuid>>> {
    AFTER_WRITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a writer's search is to begin now; else it is left to the one under way, which has its turn after itself.
fn begins_to_look(project: Uuid, writer: Uuid) -> bool {
    match after_writing_now().entry(project) {
        Entry::Vacant(place) => {
            place.insert(None);
            true
        }
        Entry::Occupied(mut place) => {
            place.insert(Some(writer));
            false
        }
    }
}

/// Ends a search. Whoever wrote while it ran is next, and it goes on for them.
fn goes_on_to_look(project: Uuid) -> Option<Uuid> {
    let mut under_way = after_writing_now();
    let next = under_way.get_mut(&project).and_then(Option::take);
    if next.is_none() {
        under_way.remove(&project);
    }
    next
}

/// Looks for near-duplicates after somebody has written a prompt; the writer does not wait for it.
pub fn look_after_writing(pool: &PgPool, writer: Uuid, project: Uuid) {
    if !begins_to_look(project, writer) {
        return;
    }
    let pool = pool.clone();
    tokio::spawn(async move {
        let mut writer = Some(writer);
        while let Some(whose) = writer {
            if let Err(error) = after_writing(&pool, whose, project).await {
                tracing::warn!(%error, "near-duplicates of a new prompt were not looked for");
            }
            writer = goes_on_to_look(project);
        }
    });
}

/// The search after somebody has written a prompt, noted as that after an import is.
async fn after_writing(pool: &PgPool, writer: Uuid, project: Uuid) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let who = sqlx::query!(
        r#"
        SELECT
            u.email,
            p.slug
        FROM users u
        CROSS JOIN projects p
        WHERE u.id = $1 AND p.id = $2
        "#,
        writer,
        project
    )
    .fetch_one(&mut *transaction)
    .await?;
    after_arrival(&mut transaction, &Actor::person(writer, &who.email), (project, &who.slug)).await?;
    transaction.commit().await
}

async fn search(connection: &mut PgConnection, project: Uuid) -> Result<Found, sqlx::Error> {
    let percent = sqlx::query_scalar!("SELECT duplicate_percent FROM projects WHERE id = $1", project)
        .fetch_one(&mut *connection)
        .await?;
    let prompts = sqlx::query_as!(
        Read,
        r#"
        SELECT
            p.id,
            coalesce((
                SELECT string_agg(said.message ->> 'content', E'\n' ORDER BY said.place)
                FROM jsonb_array_elements(p.conversation) WITH ORDINALITY AS said (message, place)
                WHERE said.message ->> 'role' <> 'system'
            ), '') AS "text!",
            (begun.yes OR p.never_held_back) AS "stays!"
        FROM prompts p
        CROSS JOIN LATERAL (
            SELECT
                EXISTS (SELECT 1 FROM demonstrations d WHERE d.prompt_id = p.id)
                OR EXISTS (SELECT 1 FROM rankings r WHERE r.prompt_id = p.id)
                OR EXISTS (SELECT 1 FROM tasks t JOIN assignments a ON a.task_id = t.id WHERE t.prompt_id = p.id)
                AS yes
        ) AS begun
        WHERE p.project_id = $1 AND p.held_back_at IS NULL AND p.withdrawn_at IS NULL
        -- What was let go has no say about earlier ones: it is like one of them itself.
        ORDER BY begun.yes DESC, p.id
        "#,
        project
    )
    .fetch_all(&mut *connection)
    .await?;
    let number = prompts.len();
    // A hundred thousand prompts take seconds of arithmetic: other requests are not to wait for it.
    let compared = tokio::task::spawn_blocking(move || compare(prompts, f64::from(percent) / 100.0)).await;
    let duplicates = compared.map_err(|error| sqlx::Error::Protocol(error.to_string()))?;
    let (mut ids, mut originals, mut similarities) = (Vec::new(), Vec::new(), Vec::new());
    for (id, original, similarity) in duplicates {
        ids.push(id);
        originals.push(original);
        similarities.push(similarity);
    }
    // Tasks before their prompts: see `tasks::lock_of_prompt`.
    sqlx::query!(
        "UPDATE tasks SET withdrawn_at = now() WHERE prompt_id = ANY ($1) AND labels = 0 AND withdrawn_at IS NULL",
        &ids
    )
    .execute(&mut *connection)
    .await?;
    // Of two searches at once, the second leaves what the first has held back.
    let held_back = sqlx::query!(
        r#"
        UPDATE prompts p
        SET held_back_at = now(), duplicate_of = found.original, similarity = found.similarity
        FROM unnest($1::uuid[], $2::uuid[], $3::double precision[]) AS found (id, original, similarity)
        WHERE p.id = found.id AND p.held_back_at IS NULL
        "#,
        &ids,
        &originals,
        &similarities
    )
    .execute(&mut *connection)
    .await?
    .rows_affected();
    Ok(Found { prompts: number, held_back })
}

/// The near-duplicates among prompts, each with the one that it is like.
fn compare(prompts: Vec<Read>, least_similarity: f64) -> Vec<(Uuid, Uuid, f64)> {
    let mut seen = NearDuplicates::new(least_similarity);
    let mut duplicates = Vec::new();
    for prompt in prompts {
        if prompt.stays {
            seen.keep(prompt.id, &prompt.text);
        } else if let Some((original, similarity)) = seen.add(prompt.id, &prompt.text) {
            duplicates.push((prompt.id, original, similarity));
        }
    }
    duplicates
}

/// A prompt that is held back, beside the one that it is like.
#[derive(Debug, Clone)]
pub struct HeldBack {
    pub id: Uuid,
    pub excerpt: String,
    pub original: Uuid,
    pub original_excerpt: String,
    pub similarity: f64,
    pub held_back_at: OffsetDateTime,
}

/// The prompts that are held back, the newest first, and how many there are in all; what is withdrawn besides is none of them.
pub async fn held_back(pool: &PgPool, project: Uuid) -> Result<(Vec<HeldBack>, i64), sqlx::Error> {
    let total = sqlx::query_scalar!(
        r#"
        SELECT count(*) AS "count!"
        FROM prompts
        WHERE project_id = $1 AND held_back_at IS NOT NULL AND withdrawn_at IS NULL
        "#,
        project
    )
    .fetch_one(pool)
    .await?;
    let rows = sqlx::query_as!(
        HeldBack,
        r#"
        SELECT
            p.id,
            left(p.conversation -> -1 ->> 'content', 240) AS "excerpt!",
            o.id AS original,
            left(o.conversation -> -1 ->> 'content', 240) AS "original_excerpt!",
            coalesce(p.similarity, 0) AS "similarity!",
            p.held_back_at AS "held_back_at!"
        FROM prompts p
        JOIN prompts o ON o.id = p.duplicate_of
        WHERE p.project_id = $1 AND p.held_back_at IS NOT NULL AND p.withdrawn_at IS NULL
        ORDER BY p.id DESC
        LIMIT $2
        "#,
        project,
        LISTED
    )
    .fetch_all(pool)
    .await?;
    Ok((rows, total))
}

/// Lets a prompt go for good: what was withdrawn with it is asked again. `RowNotFound` where the project holds back no such
/// prompt, or where its writer has put another in its place or a lead has withdrawn it: nobody is asked about that one.
pub async fn release(pool: &PgPool, actor: &Actor, project: Uuid, prompt: Uuid) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    tasks::lock_of_prompt(&mut transaction, prompt).await?;
    let held_back_at = sqlx::query_scalar!(
        r#"
        SELECT held_back_at AS "held_back_at!"
        FROM prompts
        WHERE id = $1 AND project_id = $2 AND held_back_at IS NOT NULL AND withdrawn_at IS NULL
        FOR UPDATE
        "#,
        prompt,
        project
    )
    .fetch_one(&mut *transaction)
    .await?;
    sqlx::query!(
        r#"
        UPDATE prompts
        SET held_back_at = NULL, duplicate_of = NULL, similarity = NULL, never_held_back = true
        WHERE id = $1
        "#,
        prompt
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query!(
        "UPDATE tasks SET withdrawn_at = NULL WHERE prompt_id = $1 AND withdrawn_at = $2",
        prompt,
        held_back_at
    )
    .execute(&mut *transaction)
    .await?;
    audit::record(&mut *transaction, actor, "prompt.release", &format!("prompt/{prompt}"), json!({})).await?;
    transaction.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_who_write_during_a_search_one_more_search_takes_care() {
        let [project, other, ada, bob, eve] = [0; 5].map(|_| Uuid::now_v7());
        assert!(begins_to_look(project, ada));
        assert!(!begins_to_look(project, bob) && !begins_to_look(project, eve));
        assert!(begins_to_look(other, bob), "projects don't wait for each other");
        assert_eq!(goes_on_to_look(project), Some(eve));
        assert_eq!(goes_on_to_look(project), None);
        assert!(begins_to_look(project, ada));
    }
}
