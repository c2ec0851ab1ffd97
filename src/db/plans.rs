//! The plan of a project: weights of its kinds of task. And the languages that people work in.

use serde_json::{Value, json};
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use super::{
    audit::{self, Actor},
    drawn::{DrawnWith, SaveError},
};

/// Relative weights, each 0 to 100, not all 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Plan {
    pub demonstrations: i32,
    pub rankings: i32,
    pub comparisons: i32,
    /// Prompts to write.
    pub prompts: i32,
}

impl Plan {
    /// What a form of it is drawn with.
    pub fn drawn_with(&self) -> DrawnWith {
        DrawnWith::of(&json!(self))
    }
}

/// The plan of a project.
pub async fn of_project(executor: impl PgExecutor<'_>, project: Uuid) -> sqlx::Result<Plan> {
    sqlx::query_as!(
        Plan,
        r#"
        SELECT
            plan_demonstrations AS demonstrations,
            plan_rankings AS rankings,
            plan_comparisons AS comparisons,
            plan_prompts AS prompts
        FROM projects
        WHERE id = $1
        "#,
        project
    )
    .fetch_one(executor)
    .await
}

/// Changes a project's plan and notes what changed. It counts from the next task that is handed out.
pub async fn change(
    pool: &PgPool,
    actor: &Actor,
    project: (Uuid, &str),
    drawn: &DrawnWith,
    plan: Plan,
) -> Result<(), SaveError> {
    let mut transaction = pool.begin().await?;
    // Of two leads at once, the second reads what the first has stored.
    sqlx::query_scalar!("SELECT id FROM projects WHERE id = $1 FOR NO KEY UPDATE", project.0)
        .fetch_one(&mut *transaction)
        .await?;
    let (before, after) = (json!(of_project(&mut *transaction, project.0).await?), json!(plan));
    drawn.check(&before, &after)?;
    let changes = audit::changes(before, after);
    if changes.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r#"
        UPDATE projects
        SET plan_demonstrations = $2, plan_rankings = $3, plan_comparisons = $4, plan_prompts = $5
        WHERE id = $1
        "#,
        project.0,
        plan.demonstrations,
        plan.rankings,
        plan.comparisons,
        plan.prompts
    )
    .execute(&mut *transaction)
    .await?;
    let subject = format!("project/{}", project.1);
    audit::record(&mut *transaction, actor, "project.plan", &subject, Value::Object(changes)).await?;
    Ok(transaction.commit().await?)
}

/// Languages that tasks of a person's projects have, and those that the person has named: what they can choose from.
pub async fn known_languages(pool: &PgPool, user: Uuid) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        SELECT DISTINCT language AS "language!"
        FROM (
            SELECT lower(split_part(replace(language, '_', '-'), '-', 1)) AS language
            FROM (SELECT DISTINCT p.language FROM prompts p WHERE p.language IS NOT NULL) AS distinct_tags
            UNION ALL
            SELECT unnest(languages) FROM users WHERE id = $1
        ) AS known
        WHERE language <> ''
        ORDER BY 1
        "#,
        user
    )
    .fetch_all(pool)
    .await
}

/// The languages that a person works in; none means every language.
pub async fn languages(pool: &PgPool, user: Uuid) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!("SELECT languages FROM users WHERE id = $1", user).fetch_one(pool).await
}

/// Sets the languages that a person works in, and notes which they had before.
pub async fn set_languages(pool: &PgPool, actor: &Actor, person: Uuid, languages: &[String]) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    let before = sqlx::query!("SELECT email, languages FROM users WHERE id = $1 FOR NO KEY UPDATE", person)
        .fetch_one(&mut *transaction)
        .await?;
    if before.languages == languages {
        return Ok(());
    }
    sqlx::query!("UPDATE users SET languages = $2 WHERE id = $1", person, languages).execute(&mut *transaction).await?;
    // What was fetched ahead may be in a language that they have just taken off.
    sqlx::query!("DELETE FROM reservations WHERE user_id = $1", person).execute(&mut *transaction).await?;
    let (subject, detail) = (format!("person/{}", before.email), json!({ "languages": [before.languages, languages] }));
    audit::record(&mut *transaction, actor, "person.languages", &subject, detail).await?;
    transaction.commit().await
}
