//! Making tasks: what people are asked to write or to rank. Imports and jobs call this; handing out is in `assignments`.

use sqlx::PgConnection;
use uuid::Uuid;

/// Fewest and most answers that a ranking task may have.
pub const ANSWERS: std::ops::RangeInclusive<usize> = 2..=9;

/// Why a task can't be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateTaskError {
    #[error("a ranking task has 2 to 9 answers, not {0}")]
    AnswerCount(usize),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// A ranking task to be made: these answers to this prompt, in this order (people see them in an order of their own).
#[derive(Debug, Clone, Copy)]
pub struct NewRankingTask<'a> {
    pub project: Uuid,
    pub prompt: Uuid,
    /// 2 to 9 different responses to `prompt`; `task_responses.position` is the index.
    pub responses: &'a [Uuid],
    /// Round of the job that sampled the answers; 0 for imported ones.
    pub round: i32,
    /// Higher is handed out first; 0 is usual.
    pub priority: i32,
    /// The sampling job that the answers come from.
    pub job: Option<Uuid>,
}

/// Makes a task to judge the answers, ranking them or head to head as the project wants it, for the project's `ranking_overlap`
/// people. `None` when the job already made one for the prompt: a job that is run again asks nobody twice.
pub async fn create_ranking_task(
    connection: &mut PgConnection,
    task: NewRankingTask<'_>,
) -> Result<Option<Uuid>, CreateTaskError> {
    if !ANSWERS.contains(&task.responses.len()) {
        return Err(CreateTaskError::AnswerCount(task.responses.len()));
    }
    let made = sqlx::query_scalar!(
        r#"
        WITH made AS (
            INSERT INTO tasks (id, project_id, prompt_id, kind, round, overlap, priority, job_id)
            SELECT
                $1, p.id, $3, judgement_kind(p.judgement, cardinality($7::uuid[])), $4, p.ranking_overlap, $5, $6
            FROM projects p
            WHERE p.id = $2
            ON CONFLICT DO NOTHING
            RETURNING id
        ), placed AS (
            INSERT INTO task_responses (task_id, position, response_id)
            SELECT made.id, (answer.place - 1)::integer, answer.response_id
            FROM made, unnest($7::uuid[]) WITH ORDINALITY AS answer (response_id, place)
        )
        SELECT id FROM made
        "#,
        Uuid::now_v7(),
        task.project,
        task.prompt,
        task.round,
        task.priority,
        task.job,
        task.responses
    )
    .fetch_optional(connection)
    .await?;
    Ok(made)
}

/// Makes a demonstration task for each prompt that has none yet, for the project's `demonstration_overlap` people, in the
/// order given. Returns how many were made: none where the project asks for no demonstrations.
pub async fn create_demonstration_tasks(
    connection: &mut PgConnection,
    project: Uuid,
    prompts: &[Uuid],
) -> sqlx::Result<u64> {
    let ids: Vec<Uuid> = prompts.iter().map(|_| Uuid::now_v7()).collect();
    let made = sqlx::query!(
        r#"
        INSERT INTO tasks (id, project_id, prompt_id, kind, overlap)
        SELECT wanted.id, p.id, wanted.prompt_id, 'demonstration', p.demonstration_overlap
        FROM projects p, unnest($2::uuid[], $3::uuid[]) AS wanted (id, prompt_id)
        WHERE p.id = $1 AND p.demonstration_overlap > 0
        ON CONFLICT DO NOTHING
        "#,
        project,
        &ids,
        prompts
    )
    .execute(connection)
    .await?;
    Ok(made.rows_affected())
}

/// Locks the tasks of a prompt until the transaction ends. Whoever locks a prompt locks them first: whoever submits holds one of them
/// before the prompt, and in one order nobody waits for the other in a ring.
pub async fn lock_of_prompt(connection: &mut PgConnection, prompt: Uuid) -> sqlx::Result<()> {
    sqlx::query!("SELECT id FROM tasks WHERE prompt_id = $1 ORDER BY id FOR UPDATE", prompt)
        .fetch_all(connection)
        .await?;
    Ok(())
}

/// One prompt's demonstration task; `false` where it has one or the project asks for none.
pub async fn create_demonstration_task(
    connection: &mut PgConnection,
    project: Uuid,
    prompt: Uuid,
) -> sqlx::Result<bool> {
    Ok(create_demonstration_tasks(connection, project, &[prompt]).await? == 1)
}
