//! Who has which task: handing out the next one under a lease, renewing it, skipping.

use sqlx::{PgExecutor, PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::{
    candidates::{self, Candidate, live_leases},
    reservations::{self, Taken},
};
use crate::domain::assignment;

/// What became of a lease that its holder wanted to renew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lease {
    /// Runs on, for the project's whole lease time from now.
    Live,
    /// It ended, and others have the task: a label is still kept, as an extra opinion.
    Lost,
    /// Submitted or skipped.
    Finished,
}

/// Gives the person the next task and returns the assignment: first what they have begun, then what their page has fetched
/// ahead, then a new task of the kind whose turn it is. `None` when nothing waits for them.
///
/// A task never has more labels and running leases than its overlap, and nobody gets a task twice: candidates are locked with
/// `FOR UPDATE SKIP LOCKED`, and their room is counted again under the lock, as another's lease may be newer than the search.
pub async fn lease_next(pool: &PgPool, user: Uuid) -> sqlx::Result<Option<Uuid>> {
    loop {
        let mut tx = pool.begin().await?;
        // Two tabs of one person ask one after the other.
        sqlx::query!("SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE", user).fetch_one(&mut *tx).await?;
        if let Some(begun) = begun(&mut tx, user).await? {
            tx.commit().await?;
            return Ok(Some(begun));
        }
        match reservations::take(&mut tx, user).await? {
            Taken::Leased(reserved) => {
                tx.commit().await?;
                return Ok(Some(reserved));
            }
            Taken::Gone => {
                tx.commit().await?;
                continue;
            }
            Taken::Nothing => {}
        }
        let Some(candidate) = candidates::candidate(&mut tx, user).await? else {
            return Ok(None);
        };
        let live = live_leases(&mut tx, candidate.task, user).await?;
        if candidate.known || assignment::has_room(candidate.overlap, candidate.labels, live) {
            let leased = lease(&mut tx, user, &candidate).await?;
            tx.commit().await?;
            return Ok(Some(leased));
        }
        // Filled between search and lock: the lock is let go before the next search, so that nobody waits in a ring.
        tx.rollback().await?;
    }
}

/// The oldest task that the person holds under a running lease.
pub(super) async fn begun(tx: &mut Transaction<'_, Postgres>, user: Uuid) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        r#"
        SELECT a.id
        FROM assignments a
        JOIN tasks t ON t.id = a.task_id
        JOIN projects p ON p.id = t.project_id
        WHERE a.user_id = $1
            AND a.state = 'leased'
            AND a.lease_until > now()
            AND (t.withdrawn_at IS NULL OR EXISTS (SELECT 1 FROM gold_tasks g WHERE g.task_id = t.id))
            AND p.archived_at IS NULL
            AND (p.open_to_everyone OR EXISTS (
                SELECT 1 FROM memberships m WHERE m.project_id = p.id AND m.user_id = $1))
        ORDER BY a.created_at, a.id
        LIMIT 1
        "#,
        user
    )
    .fetch_optional(&mut **tx)
    .await
}

async fn lease(tx: &mut Transaction<'_, Postgres>, user: Uuid, candidate: &Candidate) -> sqlx::Result<Uuid> {
    if let Some(resumed) = candidate.resumed {
        // Why one was skipped stays with it, for the lead.
        return sqlx::query_scalar!(
            r#"
            UPDATE assignments
            SET
                state = CASE state WHEN 'skipped' THEN 'leased' ELSE state END,
                lease_until = now() + make_interval(mins => $2)
            WHERE id = $1
            RETURNING id
            "#,
            resumed,
            candidate.lease_minutes
        )
        .fetch_one(&mut **tx)
        .await;
    }
    let order = shown_order(tx, candidate.task).await?;
    let new = NewLease { id: Uuid::now_v7(), task: candidate.task, minutes: candidate.lease_minutes, order: &order };
    insert(tx, user, new).await
}

/// An assignment that begins now.
pub(super) struct NewLease<'a> {
    pub id: Uuid,
    pub task: Uuid,
    pub minutes: i32,
    /// The order in which this person sees the answers.
    pub order: &'a [i32],
}

pub(super) async fn insert(tx: &mut Transaction<'_, Postgres>, user: Uuid, new: NewLease<'_>) -> sqlx::Result<Uuid> {
    sqlx::query_scalar!(
        r#"
        INSERT INTO assignments (id, task_id, user_id, lease_until, shown_order, attempt)
        VALUES ($1, $2, $3, now() + make_interval(mins => $4), $5, task_attempt($2, $3))
        RETURNING id
        "#,
        new.id,
        new.task,
        user,
        new.minutes,
        new.order
    )
    .fetch_one(&mut **tx)
    .await
}

/// A random order of a task's answers.
pub(super) async fn shown_order(tx: &mut Transaction<'_, Postgres>, task: Uuid) -> sqlx::Result<Vec<i32>> {
    let answers = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM task_responses WHERE task_id = $1"#, task)
        .fetch_one(&mut **tx)
        .await?;
    let mut random = random_numbers(9)?.into_iter();
    // A remainder of 64 random bits: no order of nine answers is likelier than another by more than 2⁻⁶⁰.
    Ok(assignment::shown_order(usize::try_from(answers).unwrap_or(0), |limit| {
        usize::try_from(random.next().unwrap_or(0) % limit as u64).unwrap_or(0)
    }))
}

fn random_numbers(count: usize) -> sqlx::Result<Vec<u64>> {
    (0..count).map(|_| getrandom::u64().map_err(|error| sqlx::Error::Io(std::io::Error::other(error)))).collect()
}

/// Renews the lease of a task that the person has open. One that ended is taken up again where there is room.
///
/// # Errors
/// `RowNotFound` where the assignment is not this person's.
pub async fn renew(pool: &PgPool, user: Uuid, assignment: Uuid) -> sqlx::Result<Lease> {
    let mut tx = pool.begin().await?;
    let held = sqlx::query!(
        r#"
        SELECT a.state, a.lease_until > now() AS "live!", a.task_id, p.lease_minutes
        FROM assignments a
        JOIN tasks t ON t.id = a.task_id
        JOIN projects p ON p.id = t.project_id
        WHERE a.id = $1 AND a.user_id = $2
        FOR UPDATE OF a
        "#,
        assignment,
        user
    )
    .fetch_one(&mut *tx)
    .await?;
    if held.state != "leased" {
        return Ok(Lease::Finished);
    }
    if !held.live && !room_for_late(&mut tx, held.task_id, user).await? {
        return Ok(Lease::Lost);
    }
    sqlx::query!(
        "UPDATE assignments SET lease_until = now() + make_interval(mins => $2) WHERE id = $1",
        assignment,
        held.lease_minutes
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Lease::Live)
}

/// Locks the task and says whether somebody without a running lease can still have a place. A task with a known answer is for
/// everybody: its overlap limits nobody.
pub(super) async fn room_for_late(tx: &mut Transaction<'_, Postgres>, task: Uuid, user: Uuid) -> sqlx::Result<bool> {
    let of = sqlx::query!(
        r#"
        SELECT overlap, labels, EXISTS (SELECT 1 FROM gold_tasks g WHERE g.task_id = tasks.id) AS "known!"
        FROM tasks
        WHERE id = $1
        FOR NO KEY UPDATE
        "#,
        task
    )
    .fetch_one(&mut **tx)
    .await?;
    if of.known {
        return Ok(true);
    }
    let live = live_leases(tx, task, user).await?;
    Ok(assignment::has_room(of.overlap, of.labels, live))
}

/// What has become of an assignment.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// `leased`, `submitted` or `skipped`.
    pub state: String,
    /// Its label is kept beyond the number of people that were wanted.
    pub extra_opinion: bool,
}

/// What has become of an assignment; `None` where it is not this person's.
pub async fn outcome(executor: impl PgExecutor<'_>, user: Uuid, assignment: Uuid) -> sqlx::Result<Option<Outcome>> {
    // A correction is an extra opinion where the label is that it corrects.
    sqlx::query_as!(
        Outcome,
        r#"
        SELECT
            a.state,
            EXISTS (
                SELECT 1 FROM demonstrations d
                WHERE d.assignment_id = a.id AND d.user_id = a.user_id AND d.extra_opinion
            ) OR EXISTS (
                SELECT 1 FROM written_prompts w
                WHERE w.assignment_id = a.id AND w.user_id = a.user_id AND w.extra_opinion
            ) OR EXISTS (
                SELECT 1 FROM rankings r
                WHERE r.assignment_id = a.id AND r.user_id = a.user_id AND r.extra_opinion
            ) AS "extra_opinion!"
        FROM assignments a
        WHERE a.id = $1 AND a.user_id = $2
        "#,
        assignment,
        user
    )
    .fetch_optional(executor)
    .await
}

/// Gives a task back with a reason; it goes to somebody else, and one of a course comes again. Skipping what is skipped changes
/// nothing, and neither does skipping what was submitted: that is `false`. Of a task that came again, what was said of its prompt
/// before stays where this reason says nothing of it; where it does, the lead is asked anew.
///
/// # Errors
/// `RowNotFound` where the assignment is not this person's.
pub async fn skip(pool: &PgPool, user: Uuid, assignment: Uuid, reason: &str) -> sqlx::Result<bool> {
    let mut tx = pool.begin().await?;
    let state = sqlx::query_scalar!(
        "SELECT state FROM assignments WHERE id = $1 AND user_id = $2 FOR UPDATE",
        assignment,
        user
    )
    .fetch_one(&mut *tx)
    .await?;
    if state == "leased" {
        sqlx::query!(
            r#"
            UPDATE assignments
            SET
                state = 'skipped',
                skip_reason = CASE
                    WHEN skip_concerns_prompt(skip_reason) AND NOT skip_concerns_prompt($2) THEN skip_reason
                    ELSE $2
                END,
                finished_at = now()
            WHERE id = $1
            "#,
            assignment,
            reason
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!(
            "DELETE FROM report_decisions WHERE assignment_id = $1 AND skip_concerns_prompt($2)",
            assignment,
            reason
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
    }
    Ok(state != "submitted")
}
