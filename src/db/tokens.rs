//! API tokens: what programs show instead of a password. The database knows only their hashes.

use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::audit::{self, Actor};
use crate::domain::secret::{new_secret, secret_hash};

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TokenRole {
    /// Claims jobs, reads exports, brings models.
    Trainer,
    /// Everything.
    Admin,
    /// Reads projects.
    Annotator,
}

impl TokenRole {
    pub fn as_str(self) -> &'static str {
        match self {
            TokenRole::Trainer => "trainer",
            TokenRole::Admin => "admin",
            TokenRole::Annotator => "annotator",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        [TokenRole::Trainer, TokenRole::Admin, TokenRole::Annotator].into_iter().find(|role| role.as_str() == word)
    }
}

/// A token as the dashboard lists it.
#[derive(Debug, Clone)]
pub struct Token {
    pub id: Uuid,
    pub name: String,
    pub role: String,
    pub created_at: OffsetDateTime,
    pub last_used_at: Option<OffsetDateTime>,
    /// Whoever made it is shut out, or no admin any more: it works again once they are an admin who may come in. One that
    /// was made on the command line has no maker.
    pub rests: bool,
}

/// Why a secret opens nothing.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("this token does not work: it is unknown or was revoked")]
    Unknown,
    #[error("this token does not work while whoever made it is shut out or no admin: ask an admin for another one")]
    Rests,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Makes a token and gives its secret, which is shown this once.
pub async fn create(pool: &PgPool, actor: &Actor, name: &str, role: TokenRole) -> anyhow::Result<String> {
    let secret = format!("laurel_{}", new_secret()?);
    let id = Uuid::now_v7();
    let mut transaction = pool.begin().await?;
    sqlx::query!(
        "INSERT INTO api_tokens (id, name, role, token_hash, user_id) VALUES ($1, $2, $3, $4, $5)",
        id,
        name,
        role.as_str(),
        secret_hash(&secret),
        actor.user
    )
    .execute(&mut *transaction)
    .await?;
    let detail = serde_json::json!({ "name": name, "role": role.as_str() });
    audit::record(&mut *transaction, actor, "token.create", &format!("token/{id}"), detail).await?;
    transaction.commit().await?;
    Ok(secret)
}

/// The token of a secret that works, with its use noted (at most once a minute). It takes an admin to make one, so it
/// works only while its maker is one.
pub async fn find(pool: &PgPool, secret: &str) -> Result<(Token, TokenRole), TokenError> {
    let token = sqlx::query_as!(
        Token,
        r#"
        SELECT
            t.id,
            t.name,
            t.role,
            t.created_at,
            t.last_used_at,
            coalesce(u.disabled_at IS NOT NULL OR u.role <> 'admin', false) AS "rests!"
        FROM api_tokens t
        LEFT JOIN users u ON u.id = t.user_id
        WHERE t.token_hash = $1 AND t.revoked_at IS NULL
        "#,
        secret_hash(secret)
    )
    .fetch_optional(pool)
    .await?
    .ok_or(TokenError::Unknown)?;
    if token.rests {
        return Err(TokenError::Rests);
    }
    let role = TokenRole::from_word(&token.role).ok_or(TokenError::Unknown)?;
    sqlx::query!(
        "UPDATE api_tokens SET last_used_at = now()
         WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')",
        token.id
    )
    .execute(pool)
    .await?;
    Ok((token, role))
}

/// Tokens that are not revoked, newest first.
pub async fn list(pool: &PgPool) -> Result<Vec<Token>, sqlx::Error> {
    sqlx::query_as!(
        Token,
        r#"
        SELECT
            t.id,
            t.name,
            t.role,
            t.created_at,
            t.last_used_at,
            coalesce(u.disabled_at IS NOT NULL OR u.role <> 'admin', false) AS "rests!"
        FROM api_tokens t
        LEFT JOIN users u ON u.id = t.user_id
        WHERE t.revoked_at IS NULL
        ORDER BY t.id DESC
        "#
    )
    .fetch_all(pool)
    .await
}

/// Makes a token stop working.
pub async fn revoke(pool: &PgPool, actor: &Actor, id: Uuid) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query!("UPDATE api_tokens SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL", id)
        .execute(&mut *transaction)
        .await?;
    audit::record(&mut *transaction, actor, "token.revoke", &format!("token/{id}"), serde_json::json!({})).await?;
    transaction.commit().await
}
