//! Sessions: who is logged in, on which browser, until when. The database knows only hashes of their secrets.

use serde_json::json;
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use super::audit::{self, Actor};
use crate::domain::secret::{new_secret, secret_hash};

/// Idle time after which a session ends, in days; each use renews it.
pub const SESSION_DAYS: i32 = 14;

/// Wrong passwords for one account from one address before it has to wait.
const FAILURES_PER_PAIR: i64 = 5;
/// Wrong passwords for one account from everywhere.
const FAILURES_PER_EMAIL: i64 = 50;
/// Wrong passwords from one address for every account: offices share one.
const FAILURES_PER_ADDRESS: i64 = 50;
/// Time that failures count, in minutes.
const FAILURE_MINUTES: i32 = 15;
/// Number of the lock under which attempts are counted; any that nobody else uses.
const ATTEMPTS_LOCK: i64 = 0x6c61_7572_656c;

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

/// Ends a person's sessions on other browsers, notes that they did, and gives their number.
pub async fn end_others(pool: &PgPool, who: &Actor, user: Uuid, keep: &[u8]) -> Result<u64, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let ended = sqlx::query!("DELETE FROM sessions WHERE user_id = $1 AND token_hash <> $2", user, keep)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    if ended > 0 {
        let detail = json!({ "ended": ended });
        audit::record(&mut *transaction, who, "account.sessions", &format!("person/{}", who.name), detail).await?;
    }
    transaction.commit().await?;
    Ok(ended)
}

/// Sessions of a person that have not ended.
pub async fn count(pool: &PgPool, user: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM sessions WHERE user_id = $1 AND expires_at > now()"#, user)
        .fetch_one(pool)
        .await
}

/// Counts an attempt to log in before the password is looked at, so that many at once don't slip through together, and
/// gives the seconds to wait where there were too many. An attempt that succeeds is forgotten by [`forget_attempts`].
///
/// Five wrong passwords from one address stop that address for this account only: a stranger can't lock a person out.
pub async fn count_attempt(pool: &PgPool, email: &str, address: &str) -> Result<Option<u64>, sqlx::Error> {
    let email: String = email.chars().take(254).collect();
    let mut transaction = pool.begin().await?;
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", ATTEMPTS_LOCK).execute(&mut *transaction).await?;
    let wait = sqlx::query_scalar!(
        r#"
        WITH recent AS (
            SELECT email, address, failed_at
            FROM login_failures
            WHERE failed_at > now() - make_interval(mins => $3) AND (email = $1 OR address = $2)
        ),
        counted AS (
            SELECT count(*) AS attempts, min(failed_at) AS first, $4::bigint AS allowed
            FROM recent
            WHERE email = $1 AND address = $2
            UNION ALL
            SELECT count(*), min(failed_at), $5::bigint FROM recent WHERE email = $1
            UNION ALL
            SELECT count(*), min(failed_at), $6::bigint FROM recent WHERE address = $2
        )
        SELECT max(extract(epoch FROM first + make_interval(mins => $3) - now()))::float8 AS wait
        FROM counted
        WHERE attempts >= allowed
        "#,
        email,
        address,
        FAILURE_MINUTES,
        FAILURES_PER_PAIR,
        FAILURES_PER_EMAIL,
        FAILURES_PER_ADDRESS
    )
    .fetch_one(&mut *transaction)
    .await?;
    if wait.is_none() {
        sqlx::query!("INSERT INTO login_failures (email, address) VALUES ($1, $2)", email, address)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(wait.map(|seconds| seconds.max(1.0).ceil() as u64))
}

/// Forgets the attempts from an address whose visitor has given the right password.
pub async fn forget_attempts(pool: &PgPool, email: &str, address: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM login_failures WHERE email = $1 AND address = $2", email, address).execute(pool).await?;
    Ok(())
}
