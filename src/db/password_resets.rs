//! Links by which a person sets a new password, once: an admin makes one and gives it to the person.

use serde_json::json;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    audit::{self, Actor},
    users::{self, AccountError},
};
use crate::domain::secret::{new_secret, secret_hash};

/// Hours that a link works.
pub const VALID_HOURS: i32 = 24;

/// Whose password a link sets.
#[derive(Debug, Clone)]
pub struct Reset {
    pub email: String,
    pub name: String,
    pub expires_at: OffsetDateTime,
}

/// A link that was just made.
#[derive(Debug, Clone)]
pub struct NewReset {
    /// The secret of the link: `/reset/SECRET`.
    pub secret: String,
    pub email: String,
    pub name: String,
}

/// Why a password is not set.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// Used, replaced by a newer link or a new password, expired, or never made; or the account is shut out, or whoever made it is no
    /// admin now.
    #[error("this link is not valid any more")]
    NotValid,
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl From<sqlx::Error> for ResetError {
    fn from(error: sqlx::Error) -> Self {
        ResetError::Account(error.into())
    }
}

/// Makes a link for a person who is not shut out, and notes who did; earlier links of theirs stop working. `None` where there is no
/// such person.
pub async fn create(pool: &PgPool, actor: &Actor, person: Uuid) -> anyhow::Result<Option<NewReset>> {
    let secret = new_secret()?;
    let mut transaction = pool.begin().await?;
    let found =
        sqlx::query!("SELECT email, name FROM users WHERE id = $1 AND disabled_at IS NULL FOR NO KEY UPDATE", person)
            .fetch_optional(&mut *transaction)
            .await?;
    let Some(found) = found else { return Ok(None) };
    sqlx::query!(
        "UPDATE password_resets SET revoked_at = now() WHERE user_id = $1 AND used_at IS NULL AND revoked_at IS NULL",
        person
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query!(
        r#"
        INSERT INTO password_resets (id, token_hash, user_id, created_by, expires_at)
        VALUES ($1, $2, $3, $4, now() + make_interval(hours => $5))
        "#,
        Uuid::now_v7(),
        secret_hash(&secret),
        person,
        actor.user,
        VALID_HOURS
    )
    .execute(&mut *transaction)
    .await?;
    audit::record(&mut *transaction, actor, "person.reset_link", &format!("person/{}", found.email), json!({})).await?;
    transaction.commit().await?;
    Ok(Some(NewReset { secret, email: found.email, name: found.name }))
}

/// The person of a link, if it can still be used.
pub async fn find(pool: &PgPool, secret: &str) -> sqlx::Result<Option<Reset>> {
    let usable = locked(&mut *pool.acquire().await?, secret).await?;
    Ok(usable.map(|link| Reset { email: link.email, name: link.name, expires_at: link.expires_at }))
}

/// A link that can be used.
struct Usable {
    id: Uuid,
    user_id: Uuid,
    email: String,
    name: String,
    expires_at: OffsetDateTime,
}

/// The link of a secret, if it can still be used, its row locked for the rest of the transaction: of two who press at once, one
/// finds it used. The person is locked before it, as where a link is made: else each could wait for the other.
async fn locked(connection: &mut PgConnection, secret: &str) -> sqlx::Result<Option<Usable>> {
    sqlx::query_as!(
        Usable,
        r#"
        SELECT r.id, r.user_id, u.email, u.name, r.expires_at
        FROM password_resets r
        JOIN users u ON u.id = r.user_id
        WHERE r.token_hash = $1
            AND r.used_at IS NULL
            AND r.revoked_at IS NULL
            AND r.expires_at > now()
            AND u.disabled_at IS NULL
            AND NOT EXISTS (
                SELECT 1
                FROM users maker
                WHERE maker.id = r.created_by AND (maker.disabled_at IS NOT NULL OR maker.role <> 'admin')
            )
        FOR NO KEY UPDATE OF u, r
        "#,
        secret_hash(secret)
    )
    .fetch_optional(connection)
    .await
}

/// Sets the password, ends every session of the person, forgets the wrong passwords that they gave and uses the link up, in one
/// transaction. Gives the person.
pub async fn accept(pool: &PgPool, secret: &str, password: &str) -> Result<Uuid, ResetError> {
    let mut transaction = pool.begin().await?;
    let reset = locked(&mut transaction, secret).await?.ok_or(ResetError::NotValid)?;
    users::replace_password(&mut transaction, reset.user_id, password, None).await?;
    sqlx::query!("DELETE FROM login_failures WHERE email = $1", reset.email).execute(&mut *transaction).await?;
    sqlx::query!("UPDATE password_resets SET used_at = now() WHERE id = $1", reset.id)
        .execute(&mut *transaction)
        .await?;
    let actor = Actor::person(reset.user_id, &reset.email);
    audit::record(&mut *transaction, &actor, "person.reset", &format!("person/{}", reset.email), json!({})).await?;
    transaction.commit().await?;
    Ok(reset.user_id)
}
