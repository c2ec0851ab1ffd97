//! The queue: tasks whose rankings disagree, and a share of the others.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde_json::{Value, json};
use sqlx::{PgExecutor, PgPool};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::db::{
    audit::{self, Actor},
    drawn::{DrawnWith, SaveError},
};

/// Share of differing pairs from which a task is looked at although its best answer is undisputed: where two of three pairs
/// agree, as is usual, nobody needs to look.
const MANY_PAIRS: f64 = 0.4;

/// How long it is enough to look at the tasks that have new rankings or decisions since all were looked at: to look at all of
/// a hundred thousand takes the database two seconds, and who reviews comes to the queue often.
const ALL_AGAIN: Duration = Duration::minutes(15);
/// Time that a ranking or a decision may take from its id to the end of its transaction.
const ON_THEIR_WAY: Duration = Duration::minutes(1);

/// When all tasks of a project were looked at last, by this process.
static ALL_LOOKED_AT: Mutex<BTreeMap<Uuid, OffsetDateTime>> = Mutex::new(BTreeMap::new());

/// The lowest id of a ranking or decision that was not there when all tasks of the project were looked at; below all ids,
/// where that was too long ago.
fn first_new(project: Uuid, now: OffsetDateTime) -> Uuid {
    match ALL_LOOKED_AT.lock().unwrap_or_else(PoisonError::into_inner).get(&project) {
        // Where the clock was put back since, ids don't tell what is new.
        Some(at) if *at <= now && now - *at < ALL_AGAIN => lowest_id(*at - ON_THEIR_WAY),
        _ => Uuid::nil(),
    }
}

/// The lowest id of a moment: ids begin with the milliseconds at which they were made.
fn lowest_id(at: OffsetDateTime) -> Uuid {
    let milliseconds = u128::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
    Uuid::from_u128(milliseconds << 80)
}

/// Compares the rankings of every task in which others stand than when it was looked at: new ones, or corrections. Puts those that a
/// reviewer should see into the queue, and takes out those that agree by now. One that was decided before waits again in any case: what
/// has come since stands beside the decision, and no reviewer has seen it.
pub async fn compare_new(pool: &PgPool, project: Uuid) -> sqlx::Result<()> {
    let now = OffsetDateTime::now_utc();
    let first_new = first_new(project, now);
    compare_since(pool, project, first_new).await?;
    if first_new.is_nil() {
        ALL_LOOKED_AT.lock().unwrap_or_else(PoisonError::into_inner).insert(project, now);
    }
    Ok(())
}

/// Compares the rankings of the tasks that have one, or a decision, from this id on.
async fn compare_since(pool: &PgPool, project: Uuid, first_new: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        WITH standing AS (
            SELECT r.id, r.task_id
            FROM current_rankings r
            JOIN tasks t ON t.id = r.task_id
            WHERE t.project_id = $1
                AND NOT r.adjudicated
                AND r.task_id IN (
                    SELECT come.task_id FROM rankings come WHERE come.id >= $3
                    UNION ALL
                    -- A decision may have been about fewer rankings than there were by then.
                    SELECT decided.task_id FROM ranking_decisions decided WHERE decided.id >= $3)
        ), looked AS (
            SELECT counted.task_id, counted.rankings, counted.digest, decision.id IS NOT NULL AS decided
            FROM (
                SELECT
                    task_id,
                    count(*)::integer AS rankings,
                    md5(string_agg(id::text, ' ' ORDER BY id)) AS digest
                FROM standing
                GROUP BY task_id
            ) counted
            LEFT JOIN review_tasks known ON known.task_id = counted.task_id
            LEFT JOIN current_ranking_decisions decision ON decision.task_id = counted.task_id
            WHERE known.standing IS DISTINCT FROM counted.digest
        ), pairs AS (
            SELECT
                one.task_id,
                count(*) FILTER (WHERE sign(a.rank - b.rank) <> sign(c.rank - d.rank))::double precision / count(*) AS differing
            FROM looked
            JOIN standing one ON one.task_id = looked.task_id
            JOIN standing other ON other.task_id = one.task_id AND other.id > one.id
            JOIN ranking_responses a ON a.ranking_id = one.id
            JOIN ranking_responses b ON b.ranking_id = one.id AND b.position > a.position
            JOIN ranking_responses c ON c.ranking_id = other.id AND c.position = a.position
            JOIN ranking_responses d ON d.ranking_id = other.id AND d.position = b.position
            WHERE a.rank <> b.rank AND c.rank <> d.rank
            GROUP BY one.task_id
        ), best AS (
            SELECT task_id, bool_or(undisputed) AS undisputed
            FROM (
                SELECT looked.task_id, place.position, bool_and(place.rank = 1) AS undisputed
                FROM looked
                JOIN standing ON standing.task_id = looked.task_id
                JOIN ranking_responses place ON place.ranking_id = standing.id
                GROUP BY looked.task_id, place.position
            ) places
            GROUP BY task_id
        )
        INSERT INTO review_tasks (task_id, rankings, standing, disagreement, reason)
        SELECT
            looked.task_id,
            looked.rankings,
            looked.digest,
            pairs.differing,
            CASE
                WHEN looked.decided THEN 'again'
                WHEN looked.rankings > 1 AND NOT best.undisputed THEN 'best'
                WHEN pairs.differing >= $2 THEN 'pairs'
                WHEN t.labels >= t.overlap
                    AND ('x' || substr(md5(t.id::text), 1, 7))::bit(28)::integer % 100 < project.audit_percent THEN 'audit'
            END
        FROM looked
        JOIN tasks t ON t.id = looked.task_id
        JOIN projects project ON project.id = t.project_id
        JOIN best ON best.task_id = looked.task_id
        LEFT JOIN pairs ON pairs.task_id = looked.task_id
        ON CONFLICT (task_id) DO UPDATE SET
            rankings = excluded.rankings,
            standing = excluded.standing,
            disagreement = excluded.disagreement,
            reason = excluded.reason,
            decided_at = NULL,
            decided_by = NULL
        -- Not where a reviewer has decided about these very rankings meanwhile.
        WHERE review_tasks.standing IS DISTINCT FROM excluded.standing
        "#,
        project,
        MANY_PAIRS,
        first_new
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// A task in the queue, or one that was decided.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub task: Uuid,
    /// The last message of the prompt, its beginning.
    pub excerpt: String,
    pub rankings: i32,
    pub disagreement: Option<f64>,
    pub reason: String,
    pub decided_at: Option<OffsetDateTime>,
    pub decided_by: Option<String>,
}

/// Tasks that wait, those that disagree most first; or those that are decided, newest first.
pub async fn page(pool: &PgPool, project: Uuid, decided: bool, limit: i64, offset: i64) -> sqlx::Result<Vec<Waiting>> {
    sqlx::query_as!(
        Waiting,
        r#"
        SELECT
            k.task_id AS task,
            left(p.conversation -> -1 ->> 'content', 200) AS "excerpt!",
            k.rankings,
            k.disagreement,
            k.reason AS "reason!",
            k.decided_at,
            u.name AS "decided_by?"
        FROM review_tasks k
        JOIN tasks t ON t.id = k.task_id
        JOIN prompts p ON p.id = t.prompt_id
        LEFT JOIN users u ON u.id = k.decided_by
        WHERE t.project_id = $1 AND k.reason IS NOT NULL AND (k.decided_at IS NOT NULL) = $2
        ORDER BY k.decided_at DESC NULLS LAST, k.reason = 'best' DESC, k.disagreement DESC NULLS LAST, k.task_id
        LIMIT $3 OFFSET $4
        "#,
        project,
        decided,
        limit,
        offset
    )
    .fetch_all(pool)
    .await
}

/// How many wait and how many are decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub waiting: i64,
    pub decided: i64,
}

pub async fn counts(pool: &PgPool, project: Uuid) -> sqlx::Result<Counts> {
    sqlx::query_as!(
        Counts,
        r#"
        SELECT
            count(*) FILTER (WHERE k.decided_at IS NULL) AS "waiting!",
            count(*) FILTER (WHERE k.decided_at IS NOT NULL) AS "decided!"
        FROM review_tasks k
        JOIN tasks t ON t.id = k.task_id
        WHERE t.project_id = $1 AND k.reason IS NOT NULL
        "#,
        project
    )
    .fetch_one(pool)
    .await
}

/// The first task that waits and that this reviewer did not rank; an order that they gave as its reviewer is none.
pub async fn next_waiting(pool: &PgPool, project: Uuid, reviewer: Uuid) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        r#"
        SELECT k.task_id
        FROM review_tasks k
        JOIN tasks t ON t.id = k.task_id
        WHERE t.project_id = $1 AND k.reason IS NOT NULL AND k.decided_at IS NULL
            AND NOT EXISTS (SELECT 1 FROM rankings r WHERE r.task_id = t.id AND r.user_id = $2 AND NOT r.adjudicated)
        ORDER BY k.reason = 'best' DESC, k.disagreement DESC NULLS LAST, k.task_id
        LIMIT 1
        "#,
        project,
        reviewer
    )
    .fetch_optional(pool)
    .await
}

/// Share of undisputed tasks, in percent, that come into the queue by chance.
pub async fn audit_percent(executor: impl PgExecutor<'_>, project: Uuid) -> sqlx::Result<i32> {
    sqlx::query_scalar!("SELECT audit_percent FROM projects WHERE id = $1", project).fetch_one(executor).await
}

/// What a form of that share is drawn with.
pub fn audit_drawn_with(percent: i32) -> DrawnWith {
    DrawnWith::of(&json!({ "audit_percent": percent }))
}

/// Sets that share, for tasks that are finished from now on.
pub async fn set_audit_percent(
    pool: &PgPool,
    actor: &Actor,
    (project, slug): (Uuid, &str),
    drawn: &DrawnWith,
    percent: i32,
) -> Result<(), SaveError> {
    let mut tx = pool.begin().await?;
    // Of two leads at once, the second reads what the first has stored.
    sqlx::query_scalar!("SELECT id FROM projects WHERE id = $1 FOR NO KEY UPDATE", project).fetch_one(&mut *tx).await?;
    let before = json!({ "audit_percent": audit_percent(&mut *tx, project).await? });
    let after = json!({ "audit_percent": percent });
    drawn.check(&before, &after)?;
    let changes = audit::changes(before, after);
    if changes.is_empty() {
        return Ok(());
    }
    sqlx::query!("UPDATE projects SET audit_percent = $2 WHERE id = $1", project, percent).execute(&mut *tx).await?;
    audit::record(&mut *tx, actor, "project.audit", &format!("project/{slug}"), Value::Object(changes)).await?;
    Ok(tx.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_id_of_a_moment_is_below_those_made_then_and_above_earlier_ones() {
        let (id, now) = (Uuid::now_v7(), OffsetDateTime::now_utc());
        assert!(lowest_id(now - Duration::SECOND) < id && id < lowest_id(now + Duration::SECOND));
    }

    #[test]
    fn all_tasks_are_looked_at_again_after_a_while_and_where_the_clock_was_put_back() {
        let (project, now) = (Uuid::now_v7(), OffsetDateTime::now_utc());
        assert!(first_new(project, now).is_nil(), "never looked at");
        ALL_LOOKED_AT.lock().expect("no panic").insert(project, now);
        assert_eq!(first_new(project, now + Duration::MINUTE), lowest_id(now - ON_THEIR_WAY));
        assert!(first_new(project, now + ALL_AGAIN).is_nil());
        assert!(first_new(project, now - Duration::SECOND).is_nil());
    }
}
