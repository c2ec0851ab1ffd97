//! Sessions: who is logged in, on which browser, until when. The database knows only hashes of their secrets.

use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use crate::web::session::{SESSION_DAYS, new_secret, secret_hash};

/// Attempts with one email before it has to wait.
const FAILURES_PER_EMAIL: i64 = 5;
/// Attempts from one address before it has to wait: more, since offices share one.
const FAILURES_PER_ADDRESS: i64 = 50;
/// Time that failures count, in minutes.
const FAILURE_MINUTES: i32 = 15;

/// Opens a session and gives the secret for the cookie.
pub async fn open(executor: impl PgExecutor<'_>, user: Uuid) -> anyhow::Result<String> {
    let secret = new_secret()?;
    sqlx::query!(
        "INSERT INTO sessions (token_hash, user_id, csrf_token, expires_at) VALUES ($1, $2, $3, now() + make_interval(days => $4))",
        secret_hash(&secret),
        user,
        new_secret()?,
        SESSION_DAYS
    )
    .execute(executor)
    .await?;
    Ok(secret)
}

/// Ends a session.
pub async fn end(pool: &PgPool, hash: &[u8]) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM sessions WHERE token_hash = $1", hash).execute(pool).await?;
    Ok(())
}

/// Ends a person's sessions on other browsers and gives their number.
pub async fn end_others(pool: &PgPool, user: Uuid, keep: &[u8]) -> Result<u64, sqlx::Error> {
    let ended =
        sqlx::query!("DELETE FROM sessions WHERE user_id = $1 AND token_hash <> $2", user, keep).execute(pool).await?;
    Ok(ended.rows_affected())
}

/// Sessions of a person that have not ended.
pub async fn count(pool: &PgPool, user: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM sessions WHERE user_id = $1 AND expires_at > now()"#, user)
        .fetch_one(pool)
        .await
}

/// Seconds that this email or address has to wait before the next attempt; none if it may try.
pub async fn wait_seconds(pool: &PgPool, email: &str, address: &str) -> Result<Option<u64>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        WITH recent AS (
            SELECT email, address, failed_at
            FROM login_failures
            WHERE failed_at > now() - make_interval(mins => $3) AND (email = $1 OR address = $2)
        )
        SELECT
            count(*) FILTER (WHERE email = $1) AS "by_email!",
            count(*) FILTER (WHERE address = $2) AS "by_address!",
            extract(epoch FROM min(failed_at) + make_interval(mins => $3) - now())::float8 AS wait
        FROM recent
        "#,
        email,
        address,
        FAILURE_MINUTES
    )
    .fetch_one(pool)
    .await?;
    let blocked = row.by_email >= FAILURES_PER_EMAIL || row.by_address >= FAILURES_PER_ADDRESS;
    Ok(blocked.then(|| row.wait.unwrap_or_default().max(1.0).ceil() as u64))
}

/// Remembers a failed attempt.
pub async fn note_failure(pool: &PgPool, email: &str, address: &str) -> Result<(), sqlx::Error> {
    let email: String = email.chars().take(254).collect();
    sqlx::query!("INSERT INTO login_failures (email, address) VALUES ($1, $2)", email, address).execute(pool).await?;
    Ok(())
}

/// Forgets the failures of an email whose owner has logged in.
pub async fn forget_failures(pool: &PgPool, email: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM login_failures WHERE email = $1", email).execute(pool).await?;
    Ok(())
}
