//! What a lead sees and changes of the tasks of a prompt: who has them, their priority, whether they are asked at all.

use serde_json::json;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    audit::{self, Actor},
    prompt_order::LEFT_BEHIND,
};

/// Priorities that a person may give; 0 leaves the task to the project's order.
pub const PRIORITIES: std::ops::RangeInclusive<i32> = 0..=1000;

/// A task of a prompt.
#[derive(Debug, Clone)]
pub struct Task {
    pub id: Uuid,
    pub kind: String,
    pub round: i32,
    pub labels: i32,
    pub overlap: i32,
    /// Given by hand, else 0.
    pub priority: i32,
    pub withdrawn_at: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
    /// People who have it in hand now.
    pub in_hand: i64,
    pub skipped: i64,
    /// Its answer is known: it comes as a check or in a course, outside the queue.
    pub known: bool,
}

/// The tasks of a prompt, newest first.
pub async fn of_prompt(pool: &PgPool, prompt: Uuid) -> Result<Vec<Task>, sqlx::Error> {
    sqlx::query_as!(
        Task,
        r#"
        SELECT
            t.id,
            t.kind,
            t.round,
            t.labels,
            t.overlap,
            -- Only what somebody has given by hand; see `prompt_order::next`.
            coalesce(priority_by_hand(t), 0) AS "priority!",
            t.withdrawn_at,
            t.created_at,
            (
                SELECT count(*) FROM assignments a
                WHERE a.task_id = t.id AND a.state = 'leased' AND a.lease_until > now()
            ) AS "in_hand!",
            (SELECT count(*) FROM assignments a WHERE a.task_id = t.id AND a.state = 'skipped') AS "skipped!",
            EXISTS (SELECT 1 FROM gold_tasks g WHERE g.task_id = t.id) AS "known!"
        FROM tasks t
        WHERE t.prompt_id = $1
        ORDER BY t.id DESC
        "#,
        prompt
    )
    .fetch_all(pool)
    .await
}

/// Somebody who was given a task of a prompt.
#[derive(Debug, Clone)]
pub struct Assignment {
    pub task_id: Uuid,
    pub name: String,
    /// `leased`, `expired`, `submitted`, `skipped`.
    pub state: String,
    pub skip_reason: Option<String>,
    /// When it was finished, or given where it is not.
    pub at: OffsetDateTime,
}

/// Who was given the tasks of a prompt, oldest first.
pub async fn assignments(pool: &PgPool, prompt: Uuid) -> Result<Vec<Assignment>, sqlx::Error> {
    sqlx::query_as!(
        Assignment,
        r#"
        SELECT
            a.task_id,
            u.name,
            CASE WHEN a.state = 'leased' AND a.lease_until <= now() THEN 'expired' ELSE a.state END AS "state!",
            a.skip_reason,
            coalesce(a.finished_at, a.created_at) AS "at!"
        FROM assignments a
        JOIN tasks t ON t.id = a.task_id
        JOIN users u ON u.id = a.user_id
        WHERE t.prompt_id = $1
        ORDER BY a.created_at, a.id
        "#,
        prompt
    )
    .fetch_all(pool)
    .await
}

/// Gives a task another priority and notes which it had before; `RowNotFound` where the project has no such task. Gives the task's prompt.
pub async fn set_priority(
    pool: &PgPool,
    actor: &Actor,
    project: Uuid,
    task: Uuid,
    priority: i32,
) -> Result<Uuid, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let before = sqlx::query_scalar!(
        r#"
        SELECT
            coalesce(priority_by_hand(t), 0) AS "priority!"
        FROM tasks t
        WHERE t.id = $1 AND t.project_id = $2 AND t.prompt_id IS NOT NULL
        FOR NO KEY UPDATE OF t
        "#,
        task,
        project
    )
    .fetch_one(&mut *transaction)
    .await?;
    let prompt = sqlx::query_scalar!(
        r#"
        UPDATE tasks t
        SET priority = CASE $3::integer
            WHEN 0 THEN (
                SELECT CASE
                    WHEN p.task_order <> 'as_made' THEN ordered_priority(p.task_order, s.uncertainty)
                    -- Where the oldest comes first, tasks have the number of their round; see `order_rounds`. What was left behind
                    -- stays so, and so is what is of a later round than that of the model that answers now.
                    WHEN t.priority = $4::integer THEN t.priority
                    WHEN t.round <= coalesce(
                        (
                            SELECT m.round
                            FROM promotions answering
                            JOIN models m ON m.id = answering.model_id
                            WHERE answering.project_id = t.project_id
                            ORDER BY answering.id DESC
                            LIMIT 1
                        ),
                        t.round
                    ) THEN t.round
                    ELSE $4::integer
                END
                FROM projects p
                LEFT JOIN prompt_scores s ON s.prompt_id = t.prompt_id
                WHERE p.id = t.project_id
            )
            ELSE $3
        END
        WHERE t.id = $1 AND t.project_id = $2 AND t.prompt_id IS NOT NULL
        RETURNING t.prompt_id AS "prompt!"
        "#,
        task,
        project,
        priority,
        LEFT_BEHIND
    )
    .fetch_one(&mut *transaction)
    .await?;
    if before != priority {
        let detail = json!({ "priority": [before, priority] });
        audit::record(&mut *transaction, actor, "task.priority", &format!("task/{task}"), detail).await?;
    }
    transaction.commit().await?;
    Ok(prompt)
}

/// Takes a task back, so that nobody is asked any more, or asks again. What people have said stays; who has it in hand may still
/// submit. `RowNotFound` where the project has no such task, or where its answer is known: that one is no ordinary task; nor is
/// anybody asked again about a prompt that is withdrawn itself. Gives the task's prompt.
pub async fn set_withdrawn(
    pool: &PgPool,
    actor: &Actor,
    project: Uuid,
    task: Uuid,
    withdrawn: bool,
) -> Result<Uuid, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    // Whoever decides about the prompt holds its tasks meanwhile: what they decided is seen below.
    sqlx::query_scalar!("SELECT id FROM tasks WHERE id = $1 FOR NO KEY UPDATE", task)
        .fetch_optional(&mut *transaction)
        .await?;
    let prompt = sqlx::query_scalar!(
        r#"
        UPDATE tasks
        SET withdrawn_at = CASE WHEN $3 THEN coalesce(withdrawn_at, now()) END
        WHERE id = $1
            AND project_id = $2
            AND prompt_id IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM gold_tasks known WHERE known.task_id = tasks.id)
            AND ($3 OR NOT EXISTS (
                SELECT 1 FROM prompts p WHERE p.id = tasks.prompt_id AND p.withdrawn_at IS NOT NULL))
        RETURNING prompt_id AS "prompt!"
        "#,
        task,
        project,
        withdrawn
    )
    .fetch_one(&mut *transaction)
    .await?;
    let action = if withdrawn { "task.withdraw" } else { "task.restore" };
    audit::record(&mut *transaction, actor, action, &format!("task/{task}"), json!({})).await?;
    transaction.commit().await?;
    Ok(prompt)
}
