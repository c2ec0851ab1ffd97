//! Accounts: making them, checking a password, changing what is known of a person.

use serde_json::json;
use sqlx::{PgConnection, PgExecutor, PgPool};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::audit::{self, Actor};
use crate::domain::{
    password::{self, PasswordError},
    role::Role,
};

/// A person to make an account for.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub email: String,
    pub name: String,
    pub role: Role,
    /// Tag of the interface's language.
    pub language: String,
    /// A program that stands in for a person; shown wherever its labels show.
    pub simulated: bool,
}

/// Why an account can't be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("“{0}” is not an email address")]
    Email(String),
    #[error("a name has 1 to 100 characters")]
    Name,
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("there is an account with this email address already")]
    EmailTaken,
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

impl From<sqlx::Error> for AccountError {
    fn from(error: sqlx::Error) -> Self {
        let taken = error.as_database_error().is_some_and(|error| error.constraint() == Some("users_email_unique"));
        if taken { AccountError::EmailTaken } else { AccountError::Internal(error.into()) }
    }
}

/// The form in which addresses are stored and compared: trimmed, lower case.
pub fn normal_email(email: &str) -> Result<String, AccountError> {
    let normal = email.trim().to_lowercase();
    let fits = normal.len() <= 254
        && !normal.chars().any(|letter| letter.is_whitespace() || letter.is_control())
        && normal
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    if fits { Ok(normal) } else { Err(AccountError::Email(email.trim().to_owned())) }
}

fn normal_name(name: &str) -> Result<String, AccountError> {
    let name = name.trim();
    let fits = (1..=100).contains(&name.chars().count());
    if fits { Ok(name.to_owned()) } else { Err(AccountError::Name) }
}

/// Runs argon2 where it holds nobody up, a few at a time: each takes 19 MiB and a tenth of a second.
async fn slowly<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
    static PLACES: Semaphore = Semaphore::const_new(4);
    let _place = PLACES.acquire().await?;
    Ok(tokio::task::spawn_blocking(work).await?)
}

async fn hashed(new_password: &str) -> Result<String, AccountError> {
    password::check(new_password)?;
    let new_password = new_password.to_owned();
    Ok(slowly(move || password::hash(&new_password)).await??)
}

/// Makes an account.
pub async fn create(executor: impl PgExecutor<'_>, user: &NewUser, password: &str) -> Result<Uuid, AccountError> {
    let email = normal_email(&user.email)?;
    let name = normal_name(&user.name)?;
    let hash = hashed(password).await?;
    let id = Uuid::now_v7();
    sqlx::query!(
        "INSERT INTO users (id, email, name, password_hash, role, language, simulated) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        id,
        email,
        name,
        hash,
        user.role.as_str(),
        user.language,
        user.simulated
    )
    .execute(executor)
    .await?;
    Ok(id)
}

/// The account that email and password open; nothing tells which of the two was wrong, nor does the time it takes.
pub async fn by_password(pool: &PgPool, email: &str, given: &str) -> anyhow::Result<Option<Uuid>> {
    let email = email.trim().to_lowercase();
    let row = sqlx::query!("SELECT id, password_hash FROM users WHERE email = $1 AND disabled_at IS NULL", email)
        .fetch_optional(pool)
        .await?;
    let given = given.to_owned();
    slowly(move || match row {
        Some(row) => password::verify(&given, &row.password_hash).then_some(row.id),
        None => {
            password::verify_nobody(&given);
            None
        }
    })
    .await
}

/// The account of an email address, shut out or not.
pub async fn by_email(pool: &PgPool, email: &str) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar!("SELECT id FROM users WHERE email = $1", email.trim().to_lowercase()).fetch_optional(pool).await
}

/// Whether anybody has an account: without one, the first start shows the link to make the admin.
pub async fn any(pool: &PgPool) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM users) AS "any!""#).fetch_one(pool).await
}

/// Changes how a person is called and notes the change.
pub async fn rename(pool: &PgPool, id: Uuid, name: &str) -> Result<(), AccountError> {
    let name = normal_name(name)?;
    let mut transaction = pool.begin().await?;
    let before = sqlx::query!("SELECT email, name FROM users WHERE id = $1 FOR NO KEY UPDATE", id)
        .fetch_one(&mut *transaction)
        .await?;
    if before.name == name {
        return Ok(());
    }
    sqlx::query!("UPDATE users SET name = $2 WHERE id = $1", id, name).execute(&mut *transaction).await?;
    let subject = format!("person/{}", before.email);
    let detail = json!({ "name": [before.name, name] });
    audit::record(&mut *transaction, &Actor::person(id, &before.email), "account.name", &subject, detail).await?;
    transaction.commit().await?;
    Ok(())
}

/// Changes the language of a person's pages and notes the change.
pub async fn set_language(pool: &PgPool, id: Uuid, language: &str) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let before = sqlx::query!("SELECT email, language FROM users WHERE id = $1 FOR NO KEY UPDATE", id)
        .fetch_one(&mut *transaction)
        .await?;
    if before.language == language {
        return Ok(());
    }
    sqlx::query!("UPDATE users SET language = $2 WHERE id = $1", id, language).execute(&mut *transaction).await?;
    let detail = json!({ "language": [before.language, language] });
    let subject = format!("person/{}", before.email);
    audit::record(&mut *transaction, &Actor::person(id, &before.email), "account.language", &subject, detail).await?;
    transaction.commit().await
}

/// Sets a person's own new password, ends every session but `keep` and every link for a new password, and notes the change, in
/// one transaction.
pub async fn set_password(pool: &PgPool, id: Uuid, password: &str, keep: Option<&[u8]>) -> Result<(), AccountError> {
    let mut transaction = pool.begin().await?;
    let email = replace_password(&mut transaction, id, password, keep).await?;
    sqlx::query!(
        "UPDATE password_resets SET revoked_at = now() WHERE user_id = $1 AND used_at IS NULL AND revoked_at IS NULL",
        id
    )
    .execute(&mut *transaction)
    .await?;
    let subject = format!("person/{email}");
    audit::record(&mut *transaction, &Actor::person(id, &email), "account.password", &subject, json!({})).await?;
    transaction.commit().await?;
    Ok(())
}

/// The new password and the end of the sessions within the caller's transaction. Gives the person's email address.
pub(super) async fn replace_password(
    connection: &mut PgConnection,
    id: Uuid,
    password: &str,
    keep: Option<&[u8]>,
) -> Result<String, AccountError> {
    let hash = hashed(password).await?;
    let email = sqlx::query_scalar!("UPDATE users SET password_hash = $2 WHERE id = $1 RETURNING email", id, hash)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM sessions WHERE user_id = $1 AND token_hash IS DISTINCT FROM $2", id, keep)
        .execute(connection)
        .await?;
    Ok(email)
}
