//! The people of the team, as admins see and change them. An admin is always left.

use serde_json::json;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::audit::{self, Actor};
use crate::domain::role::Role;

/// A person with an account.
#[derive(Debug, Clone)]
pub struct Person {
    pub id: Uuid,
    pub name: String,
    pub email: String,
    pub role: String,
    pub simulated: bool,
    /// Primary tags of the languages that they work in; none means every language.
    pub languages: Vec<String>,
    pub created_at: OffsetDateTime,
    pub disabled_at: Option<OffsetDateTime>,
    pub last_seen_at: Option<OffsetDateTime>,
    /// Labels that stand, prompts that they wrote among them.
    pub labels: i64,
}

/// Everybody, those who may come in first, by name.
pub async fn list(pool: &PgPool) -> Result<Vec<Person>, sqlx::Error> {
    sqlx::query_as!(
        Person,
        r#"
        SELECT
            u.id,
            u.name,
            u.email,
            u.role,
            u.simulated,
            u.languages,
            u.created_at,
            u.disabled_at,
            (SELECT max(s.last_seen_at) FROM sessions s WHERE s.user_id = u.id) AS last_seen_at,
            (SELECT count(*) FROM current_demonstrations d WHERE d.user_id = u.id)
                + (SELECT count(*) FROM current_rankings r WHERE r.user_id = u.id)
                + (SELECT count(*) FROM current_written_prompts w WHERE w.user_id = u.id) AS "labels!"
        FROM users u
        ORDER BY u.disabled_at IS NOT NULL, u.name, u.email
        "#
    )
    .fetch_all(pool)
    .await
}

/// Why a person is not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("there is no such person")]
    NotFound,
    #[error("this is the last admin: make another one first")]
    LastAdmin,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Gives a person another role, and notes which they had before.
pub async fn set_role(pool: &PgPool, actor: &Actor, person: Uuid, role: Role) -> Result<(), ChangeError> {
    let mut transaction = pool.begin().await?;
    lock_admins(&mut transaction).await?;
    let before = sqlx::query!("SELECT email, role FROM users WHERE id = $1 FOR NO KEY UPDATE", person)
        .fetch_optional(&mut *transaction)
        .await?
        .ok_or(ChangeError::NotFound)?;
    if before.role == role.as_str() {
        return Ok(());
    }
    sqlx::query!("UPDATE users SET role = $2 WHERE id = $1", person, role.as_str()).execute(&mut *transaction).await?;
    admin_is_left(&mut transaction).await?;
    let detail = json!({ "role": [before.role.as_str(), role.as_str()] });
    let subject = format!("person/{}", before.email);
    audit::record(&mut *transaction, actor, "person.role", &subject, detail).await?;
    transaction.commit().await?;
    Ok(())
}

/// Shuts a person out, ending their sessions at once, or lets them in again. Their labels stay.
pub async fn set_disabled(pool: &PgPool, actor: &Actor, person: Uuid, disabled: bool) -> Result<(), ChangeError> {
    let mut transaction = pool.begin().await?;
    lock_admins(&mut transaction).await?;
    let email = sqlx::query_scalar!(
        "UPDATE users SET disabled_at = CASE WHEN $2 THEN coalesce(disabled_at, now()) END WHERE id = $1 RETURNING email",
        person,
        disabled
    )
    .fetch_optional(&mut *transaction)
    .await?
    .ok_or(ChangeError::NotFound)?;
    admin_is_left(&mut transaction).await?;
    if disabled {
        sqlx::query!("DELETE FROM sessions WHERE user_id = $1", person).execute(&mut *transaction).await?;
    }
    let action = if disabled { "person.disable" } else { "person.enable" };
    audit::record(&mut *transaction, actor, action, &format!("person/{email}"), json!({})).await?;
    transaction.commit().await?;
    Ok(())
}

/// Two admins who demote each other at once come one after the other. What else an admin does may refer to them meanwhile: whoever makes
/// a link for a person, say, holds that person first.
async fn lock_admins(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT id FROM users WHERE role = 'admin' ORDER BY id FOR NO KEY UPDATE")
        .fetch_all(connection)
        .await?;
    Ok(())
}

async fn admin_is_left(connection: &mut PgConnection) -> Result<(), ChangeError> {
    let left = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM users WHERE role = 'admin' AND disabled_at IS NULL) AS "left!""#
    )
    .fetch_one(connection)
    .await?;
    if left { Ok(()) } else { Err(ChangeError::LastAdmin) }
}
