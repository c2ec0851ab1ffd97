//! Who works on a project that is not open to everyone.

use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::audit::{self, Actor};

/// A person who may be a member.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub id: Uuid,
    pub name: String,
    pub email: String,
    pub member: bool,
}

/// Everybody with an account that is not disabled, members first.
pub async fn candidates(pool: &PgPool, project: Uuid) -> Result<Vec<Candidate>, sqlx::Error> {
    sqlx::query_as!(
        Candidate,
        r#"
        SELECT
            u.id,
            u.name,
            u.email,
            m.user_id IS NOT NULL AS "member!"
        FROM users u
        LEFT JOIN memberships m ON m.user_id = u.id AND m.project_id = $1
        WHERE u.disabled_at IS NULL
        ORDER BY m.user_id IS NULL, u.name, u.email
        "#,
        project
    )
    .fetch_all(pool)
    .await
}

/// Makes exactly these people the members. Ids that name nobody are passed over.
pub async fn set(pool: &PgPool, actor: &Actor, project: (Uuid, &str), members: &[Uuid]) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let removed =
        sqlx::query!("DELETE FROM memberships WHERE project_id = $1 AND user_id <> ALL ($2)", project.0, members)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
    let added = sqlx::query!(
        r#"
        INSERT INTO memberships (project_id, user_id)
        SELECT $1, id FROM users WHERE id = ANY ($2)
        ON CONFLICT DO NOTHING
        "#,
        project.0,
        members
    )
    .execute(&mut *transaction)
    .await?
    .rows_affected();
    if added + removed > 0 {
        let detail = json!({ "added": added, "removed": removed });
        audit::record(&mut *transaction, actor, "project.members", &format!("project/{}", project.1), detail).await?;
    }
    transaction.commit().await
}
