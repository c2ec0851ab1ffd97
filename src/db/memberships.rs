//! Who belongs to a project: who works on it where it is not open to everyone, and which leads manage it.

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
    pub role: String,
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
            u.role,
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

/// What a form changes of who is a member: the difference to what its sender saw, so that whoever came in meanwhile stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    pub add: Vec<Uuid>,
    pub remove: Vec<Uuid>,
}

impl Difference {
    /// From those who were members as the form was drawn to those who are ticked in it.
    pub fn between(shown: &[Uuid], ticked: &[Uuid]) -> Self {
        let without =
            |these: &[Uuid], those: &[Uuid]| these.iter().copied().filter(|person| !those.contains(person)).collect();
        Difference { add: without(ticked, shown), remove: without(shown, ticked) }
    }
}

/// Adds and removes members, and notes whom. Ids that name nobody are passed over.
pub async fn change(
    pool: &PgPool,
    actor: &Actor,
    project: (Uuid, &str),
    difference: &Difference,
) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let removed = sqlx::query_scalar!(
        r#"
        WITH removed AS (
            DELETE FROM memberships WHERE project_id = $1 AND user_id = ANY ($2) RETURNING user_id
        )
        SELECT u.email AS "email!"
        FROM removed
        JOIN users u ON u.id = removed.user_id
        ORDER BY u.email
        "#,
        project.0,
        &difference.remove
    )
    .fetch_all(&mut *transaction)
    .await?;
    let added = sqlx::query_scalar!(
        r#"
        WITH added AS (
            INSERT INTO memberships (project_id, user_id)
            SELECT $1, id FROM users WHERE id = ANY ($2)
            ON CONFLICT DO NOTHING
            RETURNING user_id
        )
        SELECT u.email AS "email!"
        FROM added
        JOIN users u ON u.id = added.user_id
        ORDER BY u.email
        "#,
        project.0,
        &difference.add
    )
    .fetch_all(&mut *transaction)
    .await?;
    if !added.is_empty() || !removed.is_empty() {
        let detail = json!({ "added": added, "removed": removed });
        audit::record(&mut *transaction, actor, "project.members", &format!("project/{}", project.1), detail).await?;
    }
    transaction.commit().await
}

/// Adds people by their email addresses; addresses that are nobody's are passed over.
pub async fn add(pool: &PgPool, project: Uuid, emails: &[String]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        INSERT INTO memberships (project_id, user_id)
        SELECT $1, id FROM users WHERE email = ANY ($2)
        ON CONFLICT DO NOTHING
        "#,
        project,
        emails
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Whether a person is a member of the project of a slug.
pub async fn in_project(pool: &PgPool, user: Uuid, slug: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        SELECT EXISTS (
            SELECT 1
            FROM memberships m
            JOIN projects p ON p.id = m.project_id
            WHERE m.user_id = $1 AND p.slug = $2
        ) AS "member!"
        "#,
        user,
        slug
    )
    .fetch_one(pool)
    .await
}

/// Whether a person is a member of the project of a job.
pub async fn in_project_of_job(pool: &PgPool, user: Uuid, job: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        SELECT EXISTS (
            SELECT 1
            FROM memberships m
            JOIN jobs j ON j.project_id = m.project_id
            WHERE m.user_id = $1 AND j.id = $2
        ) AS "member!"
        "#,
        user,
        job
    )
    .fetch_one(pool)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_on_the_form_is_left_as_they_are() {
        let [ada, bob, cy] = [1, 2, 3].map(Uuid::from_u128);
        assert_eq!(Difference::between(&[ada, bob], &[bob, cy]), Difference { add: vec![cy], remove: vec![ada] });
        assert_eq!(Difference::between(&[ada], &[ada]), Difference::default());
    }
}
