//! How people do on known answers, and what leads decide of it: who may do real work, and who takes the course again.

use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::audit::{self, Actor};

/// How one person has done on known answers.
#[derive(Debug, Clone)]
pub struct Score {
    pub id: Uuid,
    pub name: String,
    pub email: String,
    pub checks: i64,
    pub checks_agreed: i64,
    pub checks_pairs: i64,
    pub course: i64,
    pub course_agreed: i64,
    pub course_pairs: i64,
    pub passed: bool,
    /// How often they were asked to take the course again.
    pub retakes: i32,
}

/// Everybody who has answered a task with a known answer in the project, or was given one of its course, by name. Of a course that
/// is taken again, only the last time counts.
pub async fn scores(pool: &PgPool, project: Uuid) -> sqlx::Result<Vec<Score>> {
    sqlx::query_as!(
        Score,
        r#"
        SELECT
            u.id,
            u.name,
            u.email,
            count(*) FILTER (WHERE a.purpose = 'check') AS "checks!",
            coalesce(sum(a.agreed) FILTER (WHERE a.purpose = 'check'), 0) AS "checks_agreed!",
            coalesce(sum(a.pairs) FILTER (WHERE a.purpose = 'check'), 0) AS "checks_pairs!",
            count(*) FILTER (WHERE a.purpose = 'course' AND had.attempt = attempt.number) AS "course!",
            coalesce(
                sum(a.agreed) FILTER (WHERE a.purpose = 'course' AND had.attempt = attempt.number), 0
            ) AS "course_agreed!",
            coalesce(
                sum(a.pairs) FILTER (WHERE a.purpose = 'course' AND had.attempt = attempt.number), 0
            ) AS "course_pairs!",
            NOT course_is_open($1, u.id) AS "passed!",
            attempt.number AS "retakes!"
        FROM gold_tasks g
        JOIN tasks t ON t.id = g.task_id
        JOIN assignments had ON had.task_id = g.task_id
        JOIN users u ON u.id = had.user_id
        CROSS JOIN LATERAL (SELECT course_attempt($1, u.id) AS number) AS attempt
        LEFT JOIN gold_answers a ON a.assignment_id = had.id
        WHERE t.project_id = $1 AND (a.id IS NOT NULL OR g.purpose = 'course')
        GROUP BY u.id, attempt.number
        ORDER BY u.name, u.email
        "#,
        project
    )
    .fetch_all(pool)
    .await
}

/// Lets somebody do real work who has not reached the mark, and notes who did.
pub async fn let_pass(pool: &PgPool, actor: &Actor, project: (Uuid, &str), person: Uuid) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    sqlx::query!(
        "INSERT INTO course_passes (project_id, user_id, by_user) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        project.0,
        person,
        actor.user
    )
    .execute(&mut *transaction)
    .await?;
    let detail = json!({ "person": person });
    audit::record(&mut *transaction, actor, "course.let_pass", &format!("project/{}", project.1), detail).await?;
    transaction.commit().await
}

/// Asks somebody to take the course again: its tasks come once more, before any real work, and what they answered before stays on
/// record without counting. Notes who did. `RowNotFound` where there is no such person.
pub async fn ask_again(pool: &PgPool, actor: &Actor, project: (Uuid, &str), person: Uuid) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    let email =
        sqlx::query_scalar!("SELECT email FROM users WHERE id = $1", person).fetch_one(&mut *transaction).await?;
    sqlx::query!(
        r#"
        INSERT INTO course_retakes AS asked (project_id, user_id, number, by_user)
        VALUES ($1, $2, 1, $3)
        ON CONFLICT (project_id, user_id) DO UPDATE
        SET number = asked.number + 1, by_user = excluded.by_user, asked_at = now()
        "#,
        project.0,
        person,
        actor.user
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query!("DELETE FROM course_passes WHERE project_id = $1 AND user_id = $2", project.0, person)
        .execute(&mut *transaction)
        .await?;
    // Real work that was fetched ahead comes after the course.
    sqlx::query!("DELETE FROM reservations WHERE user_id = $1", person).execute(&mut *transaction).await?;
    let detail = json!({ "person": email });
    audit::record(&mut *transaction, actor, "course.ask_again", &format!("project/{}", project.1), detail).await?;
    transaction.commit().await
}
