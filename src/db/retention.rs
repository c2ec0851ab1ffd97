//! What is forgotten: sessions that have ended, failed log-ins that throttle nobody any more.

use sqlx::PgPool;

/// Days after which a failed log-in is forgotten.
const LOGIN_FAILURE_DAYS: i32 = 7;

/// Deletes what has served its time; returns how many rows.
pub async fn prune(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let sessions = sqlx::query!("DELETE FROM sessions WHERE expires_at < now()").execute(pool).await?;
    let failures = sqlx::query!(
        "DELETE FROM login_failures WHERE failed_at < now() - make_interval(days => $1)",
        LOGIN_FAILURE_DAYS
    )
    .execute(pool)
    .await?;
    Ok(sessions.rows_affected() + failures.rows_affected())
}
