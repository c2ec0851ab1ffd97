//! Invitations: a link that makes one account, once. The link of the first start makes the first admin.

use serde_json::json;
use sqlx::{PgConnection, PgExecutor, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    audit::{self, Actor},
    users::{self, AccountError, NewUser},
};
use crate::domain::{
    role::Role,
    secret::{new_secret, secret_hash},
};

/// Days that a link works.
pub const VALID_DAYS: i32 = 7;

/// An invitation as the dashboard lists it.
#[derive(Debug, Clone)]
pub struct Invitation {
    pub id: Uuid,
    pub email: Option<String>,
    pub role: String,
    pub project_id: Option<Uuid>,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

/// Why an invitation can't be accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// Used, revoked, expired, or never made; or whoever made it might not make it now.
    #[error("this invitation is not valid any more")]
    NotValid,
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl From<sqlx::Error> for AcceptError {
    fn from(error: sqlx::Error) -> Self {
        AcceptError::Account(error.into())
    }
}

/// Makes an invitation and gives the secret of its link: `/invitations/SECRET`.
pub async fn create(
    pool: &PgPool,
    actor: &Actor,
    role: Role,
    email: Option<&str>,
    project: Option<Uuid>,
) -> anyhow::Result<String> {
    let secret = new_secret()?;
    let id = Uuid::now_v7();
    let mut transaction = pool.begin().await?;
    sqlx::query!(
        "INSERT INTO invitations (id, token_hash, email, role, project_id, created_by, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(days => $7))",
        id,
        secret_hash(&secret),
        email,
        role.as_str(),
        project,
        actor.user,
        VALID_DAYS
    )
    .execute(&mut *transaction)
    .await?;
    let mut detail = json!({ "role": role, "email": email });
    if let Some(project) = project {
        detail["project"] = json!(slug_of(&mut transaction, project).await?);
    }
    audit::record(&mut *transaction, actor, "invitation.create", &format!("invitation/{id}"), detail).await?;
    transaction.commit().await?;
    Ok(secret)
}

/// The short name of a project, by which the log calls it.
async fn slug_of(connection: &mut PgConnection, project: Uuid) -> Result<String, sqlx::Error> {
    sqlx::query_scalar!("SELECT slug FROM projects WHERE id = $1", project).fetch_one(connection).await
}

/// A fresh link for the first admin; earlier ones stop working.
pub async fn create_first_admin(pool: &PgPool) -> anyhow::Result<String> {
    sqlx::query!(
        "UPDATE invitations SET revoked_at = now() WHERE created_by IS NULL AND used_at IS NULL AND revoked_at IS NULL"
    )
    .execute(pool)
    .await?;
    create(pool, &Actor::program("first start"), Role::Admin, None, None).await
}

/// The invitation of a link, if it can still be accepted. While whoever made it is shut out, or could not make it any more, it can't:
/// they would come in again by it.
pub async fn find(executor: impl PgExecutor<'_>, secret: &str) -> Result<Option<Invitation>, sqlx::Error> {
    sqlx::query_as!(
        Invitation,
        "SELECT id, email, role, project_id, created_at, expires_at
         FROM invitations
         WHERE token_hash = $1 AND used_at IS NULL AND revoked_at IS NULL AND expires_at > now()
            AND NOT EXISTS (
                SELECT 1
                FROM users maker
                WHERE maker.id = invitations.created_by
                    AND (maker.disabled_at IS NOT NULL OR maker.role <> 'admin' AND invitations.role <> 'annotator')
            )",
        secret_hash(secret)
    )
    .fetch_optional(executor)
    .await
}

/// Makes the invited account, its membership, and uses the invitation up, in one transaction.
pub async fn accept(
    pool: &PgPool,
    secret: &str,
    email: &str,
    name: &str,
    language: &str,
    password: &str,
) -> Result<Uuid, AcceptError> {
    let mut transaction = pool.begin().await?;
    // The row is locked: of two who press at once, one finds it used.
    sqlx::query!("SELECT id FROM invitations WHERE token_hash = $1 FOR UPDATE", secret_hash(secret))
        .fetch_optional(&mut *transaction)
        .await?;
    let invitation = find(&mut *transaction, secret).await?.ok_or(AcceptError::NotValid)?;
    let role: Role = invitation.role.parse().map_err(|_| AcceptError::NotValid)?;
    // As the account has it, so that the log knows them by one address.
    let email = users::normal_email(email)?;
    let user =
        NewUser { email: email.clone(), name: name.to_owned(), role, language: language.to_owned(), simulated: false };
    let id = users::create(&mut *transaction, &user, password).await?;
    sqlx::query!("UPDATE invitations SET used_at = now(), used_by = $2 WHERE id = $1", invitation.id, id)
        .execute(&mut *transaction)
        .await?;
    let mut detail = json!({ "role": role });
    if let Some(project) = invitation.project_id {
        sqlx::query!("INSERT INTO memberships (project_id, user_id) VALUES ($1, $2)", project, id)
            .execute(&mut *transaction)
            .await?;
        detail["project"] = json!(slug_of(&mut transaction, project).await?);
    }
    let actor = Actor::person(id, &email);
    audit::record(&mut *transaction, &actor, "invitation.accept", &format!("invitation/{}", invitation.id), detail)
        .await?;
    transaction.commit().await?;
    Ok(id)
}

/// Invitations that nobody has accepted yet and somebody can, newest first; of one project only, where it is named.
pub async fn open(pool: &PgPool, project: Option<Uuid>) -> Result<Vec<Invitation>, sqlx::Error> {
    sqlx::query_as!(
        Invitation,
        "SELECT id, email, role, project_id, created_at, expires_at
         FROM invitations
         WHERE used_at IS NULL AND revoked_at IS NULL AND expires_at > now()
            AND ($1::uuid IS NULL OR project_id = $1)
            AND NOT EXISTS (
                SELECT 1
                FROM users maker
                WHERE maker.id = invitations.created_by
                    AND (maker.disabled_at IS NOT NULL OR maker.role <> 'admin' AND invitations.role <> 'annotator')
            )
         ORDER BY id DESC",
        project
    )
    .fetch_all(pool)
    .await
}

/// Makes a link stop working; `RowNotFound` where there is none of this id, or none into this project.
pub async fn revoke(pool: &PgPool, actor: &Actor, id: Uuid, project: Option<Uuid>) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query_scalar!(
        r#"
        UPDATE invitations
        SET revoked_at = coalesce(revoked_at, now())
        WHERE id = $1 AND used_at IS NULL AND ($2::uuid IS NULL OR project_id = $2)
        RETURNING id
        "#,
        id,
        project
    )
    .fetch_one(&mut *transaction)
    .await?;
    audit::record(&mut *transaction, actor, "invitation.revoke", &format!("invitation/{id}"), json!({})).await?;
    transaction.commit().await
}
