//! Tasks with known answers as leads make and see them, and how many of them a project wants.

use laurel_records::Message;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgExecutor, PgPool, types::Json};
use uuid::Uuid;

use super::{
    audit::{self, Actor},
    drawn::{DrawnWith, SaveError},
};

/// Characters that an explanation may have.
pub const LONGEST_EXPLANATION: usize = 20_000;

/// How a project checks its people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Checks {
    /// Of a hundred tasks handed out, those that are checks.
    pub gold_percent: i32,
    /// Tasks of the course that come before real work; 0 asks for none.
    pub course_tasks: i32,
    /// Share of the known pairs, in percent, with which the course is passed.
    pub course_pass_percent: i32,
}

impl Checks {
    /// What a form of them is drawn with.
    pub fn drawn_with(&self) -> DrawnWith {
        DrawnWith::of(&json!(self))
    }
}

/// How a project checks its people.
pub async fn checks(executor: impl PgExecutor<'_>, project: Uuid) -> sqlx::Result<Checks> {
    sqlx::query_as!(
        Checks,
        "SELECT gold_percent, course_tasks, course_pass_percent FROM projects WHERE id = $1",
        project
    )
    .fetch_one(executor)
    .await
}

/// Changes how a project checks its people, and notes what changed.
pub async fn change_checks(
    pool: &PgPool,
    actor: &Actor,
    project: (Uuid, &str),
    drawn: &DrawnWith,
    checks: Checks,
) -> Result<(), SaveError> {
    let mut transaction = pool.begin().await?;
    // Of two leads at once, the second reads what the first has stored.
    sqlx::query_scalar!("SELECT id FROM projects WHERE id = $1 FOR NO KEY UPDATE", project.0)
        .fetch_one(&mut *transaction)
        .await?;
    let (before, after) = (json!(self::checks(&mut *transaction, project.0).await?), json!(checks));
    drawn.check(&before, &after)?;
    let changes = audit::changes(before, after);
    if changes.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r#"
        UPDATE projects
        SET gold_percent = $2, course_tasks = $3, course_pass_percent = $4
        WHERE id = $1
        "#,
        project.0,
        checks.gold_percent,
        checks.course_tasks,
        checks.course_pass_percent
    )
    .execute(&mut *transaction)
    .await?;
    let subject = format!("project/{}", project.1);
    audit::record(&mut *transaction, actor, "project.checks", &subject, Value::Object(changes)).await?;
    Ok(transaction.commit().await?)
}

/// A task with a known answer, on the lead's list.
#[derive(Debug, Clone)]
pub struct GoldTask {
    pub task: Uuid,
    /// `ranking` or `comparison`.
    pub kind: String,
    /// `check` or `course`.
    pub purpose: String,
    /// The beginning of the prompt's last message.
    pub prompt: String,
    pub ranks: Vec<i32>,
    pub explanation: String,
    pub retired: bool,
    /// People who have answered it.
    pub answers: i64,
    pub agreed: i64,
    pub pairs: i64,
}

/// A project's tasks with known answers, those in use first, in the order of the course.
pub async fn list(pool: &PgPool, project: Uuid) -> sqlx::Result<Vec<GoldTask>> {
    sqlx::query_as!(
        GoldTask,
        r#"
        SELECT
            g.task_id AS task,
            t.kind,
            g.purpose,
            left(pr.conversation -> -1 ->> 'content', 200) AS "prompt!",
            g.ranks,
            g.explanation,
            g.retired_at IS NOT NULL AS "retired!",
            count(a.id) AS "answers!",
            coalesce(sum(a.agreed), 0) AS "agreed!",
            coalesce(sum(a.pairs), 0) AS "pairs!"
        FROM gold_tasks g
        JOIN tasks t ON t.id = g.task_id
        JOIN prompts pr ON pr.id = t.prompt_id
        LEFT JOIN gold_answers a ON a.task_id = g.task_id
        WHERE t.project_id = $1
        GROUP BY g.task_id, t.kind, pr.conversation
        ORDER BY g.retired_at IS NOT NULL, g.purpose DESC, g.created_at, g.task_id
        "#,
        project
    )
    .fetch_all(pool)
    .await
}

/// What a known answer is made of or changed from: the prompt and the answers, by position.
#[derive(Debug, Clone)]
pub struct Material {
    pub task: Uuid,
    pub kind: String,
    pub conversation: Vec<Message>,
    pub answers: Vec<String>,
    /// What is known already.
    pub known: Option<Known>,
}

impl Material {
    /// What a form of it is drawn with.
    pub fn drawn_with(&self) -> DrawnWith {
        DrawnWith::of(&json!(self.known))
    }
}

/// A known answer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Known {
    /// By the answers' positions; competition ranks.
    pub ranks: Vec<i32>,
    pub purpose: String,
    pub explanation: String,
    pub retired: bool,
}

/// The newest judged task of a prompt, from which a known answer can be made.
pub async fn task_of_prompt(pool: &PgPool, project: Uuid, prompt: Uuid) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        r#"
        SELECT t.id
        FROM tasks t
        WHERE t.project_id = $1 AND t.prompt_id = $2 AND t.kind <> 'demonstration'
        ORDER BY EXISTS (SELECT 1 FROM gold_tasks g WHERE g.task_id = t.id) DESC, t.id DESC
        LIMIT 1
        "#,
        project,
        prompt
    )
    .fetch_optional(pool)
    .await
}

/// A task of the project, with what is known of it; `None` where it has no answers to put in order.
pub async fn material(pool: &PgPool, project: Uuid, task: Uuid) -> sqlx::Result<Option<Material>> {
    let mut connection = pool.acquire().await?;
    material_within(&mut connection, project, task).await
}

/// [`material`] inside a transaction of the caller.
async fn material_within(connection: &mut PgConnection, project: Uuid, task: Uuid) -> sqlx::Result<Option<Material>> {
    let row = sqlx::query!(
        r#"
        SELECT
            t.kind,
            pr.conversation AS "conversation: Json<Vec<Message>>",
            g.ranks AS "ranks?",
            g.purpose AS "purpose?",
            g.explanation AS "explanation?",
            g.retired_at IS NOT NULL AS "retired!"
        FROM tasks t
        JOIN prompts pr ON pr.id = t.prompt_id
        LEFT JOIN gold_tasks g ON g.task_id = t.id
        WHERE t.project_id = $1 AND t.id = $2 AND t.kind <> 'demonstration'
        "#,
        project,
        task
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let answers = sqlx::query_scalar!(
        r#"
        SELECT r.content
        FROM task_responses answer
        JOIN responses r ON r.id = answer.response_id
        WHERE answer.task_id = $1
        ORDER BY answer.position
        "#,
        task
    )
    .fetch_all(connection)
    .await?;
    let known = match (row.ranks, row.purpose, row.explanation) {
        (Some(ranks), Some(purpose), Some(explanation)) => {
            Some(Known { ranks, purpose, explanation, retired: row.retired })
        }
        _ => None,
    };
    Ok(Some(Material { task, kind: row.kind, conversation: row.conversation.0, answers, known }))
}

/// Stores what is known of a task. An ordinary task is copied, and is handed out no more; what people have said of it stays
/// data. Answers that were given to a known one keep the score that they got.
pub async fn save(
    pool: &PgPool,
    actor: &Actor,
    project: (Uuid, &str),
    material: &Material,
    drawn: &DrawnWith,
    known: &Known,
) -> Result<Uuid, SaveError> {
    let mut transaction = pool.begin().await?;
    let known_task = match &material.known {
        Some(_) => Some(material.task),
        None => made_from(&mut transaction, material.task).await?,
    };
    let standing = match known_task {
        Some(task) => {
            hold(&mut transaction, task).await?;
            material_within(&mut transaction, project.0, task).await?.and_then(|material| material.known)
        }
        None => None,
    };
    drawn.check(&json!(standing), &json!(known))?;
    let task = match known_task {
        Some(task) => task,
        None => {
            let copy = Uuid::now_v7();
            sqlx::query!(
                r#"
                INSERT INTO tasks (id, project_id, prompt_id, kind, round, overlap, withdrawn_at)
                SELECT $2, project_id, prompt_id, kind, round, 9, now()
                FROM tasks
                WHERE id = $1
                "#,
                material.task,
                copy
            )
            .execute(&mut *transaction)
            .await?;
            sqlx::query!(
                r#"
                INSERT INTO task_responses (task_id, position, response_id)
                SELECT $2, position, response_id FROM task_responses WHERE task_id = $1
                "#,
                material.task,
                copy
            )
            .execute(&mut *transaction)
            .await?;
            sqlx::query!("UPDATE tasks SET withdrawn_at = coalesce(withdrawn_at, now()) WHERE id = $1", material.task)
                .execute(&mut *transaction)
                .await?;
            copy
        }
    };
    sqlx::query!(
        r#"
        INSERT INTO gold_tasks (task_id, purpose, ranks, explanation, retired_at, created_by)
        VALUES ($1, $2, $3, $4, CASE WHEN $5 THEN now() END, $6)
        ON CONFLICT (task_id) DO UPDATE
        SET
            purpose = excluded.purpose,
            ranks = excluded.ranks,
            explanation = excluded.explanation,
            retired_at = excluded.retired_at
        "#,
        task,
        known.purpose,
        &known.ranks,
        known.explanation,
        known.retired,
        actor.user
    )
    .execute(&mut *transaction)
    .await?;
    let detail = json!({ "task": task, "purpose": known.purpose, "ranks": known.ranks, "retired": known.retired });
    audit::record(&mut *transaction, actor, "gold.save", &format!("project/{}", project.1), detail).await?;
    transaction.commit().await?;
    Ok(task)
}

/// Locks a task for the rest of the transaction.
async fn hold(connection: &mut PgConnection, task: Uuid) -> sqlx::Result<Uuid> {
    sqlx::query_scalar!("SELECT id FROM tasks WHERE id = $1 FOR NO KEY UPDATE", task).fetch_one(connection).await
}

/// The known task that was made of the answers of an ordinary one already. The ordinary one stays locked for the rest of the
/// transaction: of two leads at once, the second sees what the first has stored, and nobody is asked the same twice.
async fn made_from(connection: &mut PgConnection, task: Uuid) -> sqlx::Result<Option<Uuid>> {
    hold(connection, task).await?;
    sqlx::query_scalar!(
        r#"
        SELECT g.task_id
        FROM tasks t
        JOIN tasks made ON made.prompt_id = t.prompt_id
        JOIN gold_tasks g ON g.task_id = made.id
        WHERE t.id = $1
            AND ARRAY(SELECT a.response_id FROM task_responses a WHERE a.task_id = made.id ORDER BY a.position)
                = ARRAY(SELECT a.response_id FROM task_responses a WHERE a.task_id = t.id ORDER BY a.position)
        ORDER BY g.retired_at IS NOT NULL, g.created_at, g.task_id
        LIMIT 1
        "#,
        task
    )
    .fetch_optional(connection)
    .await
}
