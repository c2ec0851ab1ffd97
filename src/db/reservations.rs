//! The task after the one on the screen: chosen while a person works, theirs once it is shown.
//!
//! A reservation is a preference, not a place: others are given something else while they can be, and take the place when it
//! is the last one. Room is counted when the reservation becomes an assignment, as for every other lease.

use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::{
    assignments::{self, NewLease},
    candidates::{self, live_leases},
};
use crate::domain::assignment;

/// Seconds for which others are given something else. The page renews it every minute at most.
const SECONDS: f64 = 150.0;

/// What became of a person's reservation when they asked for their next task.
pub(super) enum Taken {
    /// It is their assignment now.
    Leased(Uuid),
    /// Others have filled the task; the reservation is removed, and the task locked until the transaction ends.
    Gone,
    /// They had none.
    Nothing,
}

/// Reserves the task that comes after `current` and returns the assignment that it will be; asked again, the same one. `None`
/// when nothing is free, or when something begun or skipped comes next, which needs no reservation.
pub async fn reserve(pool: &PgPool, user: Uuid, current: Uuid) -> sqlx::Result<Option<Uuid>> {
    let mut tx = pool.begin().await?;
    // As when a task is handed out: two tabs of one person ask one after the other.
    sqlx::query!("SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE", user).fetch_one(&mut *tx).await?;
    if begins_another(&mut tx, user, current).await? || candidates::own_expired(&mut tx, user).await?.is_some() {
        return Ok(None);
    }
    if let Some(kept) = keep(&mut tx, user).await? {
        tx.commit().await?;
        return Ok(Some(kept));
    }
    sqlx::query!("DELETE FROM reservations WHERE user_id = $1", user).execute(&mut *tx).await?;
    let Some(free) = candidates::free_task(&mut tx, user).await? else {
        tx.commit().await?;
        return Ok(None);
    };
    if free.resumed.is_some() {
        tx.commit().await?;
        return Ok(None);
    }
    let taken = live_leases(&mut tx, free.task, user).await? + others(&mut tx, free.task, user).await?;
    if !free.known && !assignment::has_room(free.overlap, free.labels, taken) {
        tx.commit().await?;
        return Ok(None);
    }
    let order = assignments::shown_order(&mut tx, free.task).await?;
    let reserved = sqlx::query_scalar!(
        r#"
        INSERT INTO reservations (user_id, task_id, assignment_id, shown_order, reserved_until)
        VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))
        RETURNING assignment_id
        "#,
        user,
        free.task,
        Uuid::now_v7(),
        &order,
        SECONDS
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Some(reserved))
}

/// Whether the person holds another task, which comes before any new one.
async fn begins_another(tx: &mut Transaction<'_, Postgres>, user: Uuid, current: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        SELECT EXISTS (
            SELECT 1 FROM assignments
            WHERE user_id = $1 AND id <> $2 AND state = 'leased' AND lease_until > now()
        ) AS "held!"
        "#,
        user,
        current
    )
    .fetch_one(&mut **tx)
    .await
}

/// Renews the reservation that the person has, while nobody has filled its task.
async fn keep(tx: &mut Transaction<'_, Postgres>, user: Uuid) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        r#"
        UPDATE reservations r
        SET reserved_until = now() + make_interval(secs => $2)
        FROM tasks t
        JOIN projects p ON p.id = t.project_id
        WHERE r.user_id = $1
            AND t.id = r.task_id
            AND p.archived_at IS NULL
            AND (
                EXISTS (SELECT 1 FROM gold_tasks g WHERE g.task_id = t.id AND g.retired_at IS NULL)
                OR t.withdrawn_at IS NULL AND t.labels + (
                    SELECT count(*) FROM assignments other
                    WHERE other.task_id = t.id AND other.state = 'leased' AND other.lease_until > now()
                ) < t.overlap
            )
            AND NOT EXISTS (
                SELECT 1 FROM assignments mine
                WHERE mine.task_id = t.id AND mine.user_id = $1 AND mine.attempt = task_attempt(t.id, $1))
        RETURNING r.assignment_id
        "#,
        user,
        SECONDS
    )
    .fetch_optional(&mut **tx)
    .await
}

/// Others' reservations of a task, as they stand now.
async fn others(tx: &mut Transaction<'_, Postgres>, task: Uuid, user: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"
        SELECT count(*) AS "count!"
        FROM reservations
        WHERE task_id = $1 AND user_id <> $2 AND reserved_until > now()
        "#,
        task,
        user
    )
    .fetch_one(&mut **tx)
    .await
}

/// Makes the person's reservation their assignment, where its task still has a place and is still for them.
pub(super) async fn take(tx: &mut Transaction<'_, Postgres>, user: Uuid) -> sqlx::Result<Taken> {
    let deleted =
        sqlx::query!("DELETE FROM reservations WHERE user_id = $1 RETURNING task_id, assignment_id, shown_order", user)
            .fetch_optional(&mut **tx)
            .await?;
    let Some(reserved) = deleted else { return Ok(Taken::Nothing) };
    let Some(place) = place(tx, user, reserved.task_id).await? else { return Ok(Taken::Gone) };
    let live = live_leases(tx, reserved.task_id, user).await?;
    if !place.known && !assignment::has_room(place.overlap, place.labels, live) {
        return Ok(Taken::Gone);
    }
    let new = NewLease {
        id: reserved.assignment_id,
        task: reserved.task_id,
        minutes: place.lease_minutes,
        order: &reserved.shown_order,
    };
    assignments::insert(tx, user, new).await.map(Taken::Leased)
}

/// The place that a reserved task may have.
pub(super) struct Place {
    overlap: i32,
    labels: i32,
    lease_minutes: i32,
    /// Its answer is known: it has room for everybody.
    known: bool,
}

/// Locks a task that is still for the person until the transaction ends; `None` where it is not.
pub(super) async fn place(tx: &mut Transaction<'_, Postgres>, user: Uuid, task: Uuid) -> sqlx::Result<Option<Place>> {
    sqlx::query_as!(
        Place,
        r#"
        SELECT
            t.overlap,
            t.labels,
            p.lease_minutes,
            EXISTS (SELECT 1 FROM gold_tasks g WHERE g.task_id = t.id AND g.retired_at IS NULL) AS "known!"
        FROM tasks t
        JOIN projects p ON p.id = t.project_id
        WHERE t.id = $1
            AND (t.withdrawn_at IS NULL OR EXISTS (
                SELECT 1 FROM gold_tasks g WHERE g.task_id = t.id AND g.retired_at IS NULL))
            AND p.archived_at IS NULL
            AND (p.open_to_everyone OR EXISTS (
                SELECT 1 FROM memberships m WHERE m.project_id = p.id AND m.user_id = $2))
            AND NOT EXISTS (
                SELECT 1 FROM assignments mine
                WHERE mine.task_id = t.id AND mine.user_id = $2 AND mine.attempt = task_attempt(t.id, $2))
        FOR UPDATE OF t
        "#,
        task,
        user
    )
    .fetch_optional(&mut **tx)
    .await
}

/// Renews the person's reservation: their page is open.
pub async fn renew(pool: &PgPool, user: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE reservations SET reserved_until = now() + make_interval(secs => $2) WHERE user_id = $1",
        user,
        SECONDS
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Gives a reservation back: the page that fetched it is left. Any other is left alone.
pub async fn release(pool: &PgPool, user: Uuid, assignment: Uuid) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM reservations WHERE user_id = $1 AND assignment_id = $2", user, assignment)
        .execute(pool)
        .await?;
    Ok(())
}

/// Gives back whatever the person has reserved: they stop.
pub async fn release_all(pool: &PgPool, user: Uuid) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM reservations WHERE user_id = $1", user).execute(pool).await?;
    Ok(())
}
