//! A sampling job's work: which prompts still need answers, and what comes back for them.

use laurel_records::{JobKind, Message, PromptRecord, ResponseRecord, ResponsesAnswer, ResponsesRecord};
use serde_json::{Map, Value};
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

use super::{
    blind_answers,
    jobs::{self, Held, JobError},
    models, promotions,
    prompt_order::{LEFT_BEHIND, TaskOrder},
    tasks::{self, CreateTaskError, NewRankingTask},
    words,
};

/// A prompt that a model is to answer.
pub(super) struct AskedPrompt {
    pub id: Uuid,
    pub slug: String,
    pub conversation: Json<Vec<Message>>,
    pub language: Option<String>,
    pub tags: Vec<String>,
    pub split: String,
}

impl AskedPrompt {
    fn record(self) -> Result<PromptRecord, JobError> {
        Ok(PromptRecord {
            id: self.id.to_string(),
            project: Some(self.slug),
            prompt: self.conversation.0,
            language: self.language,
            tags: self.tags,
            split: Some(words::parse(&self.split)?),
            extra: Map::new(),
        })
    }
}

/// The prompts that a sampling job still has to answer: those that its blind test lacks answers to; without one, of the project's
/// prompts those that were ranked least so far, as many as a round has, less what the job has answered. The order is by chance but
/// the same whenever the job asks. What blind tests ask does not count as ranked: a round asks about the prompts that it would ask
/// about without them.
pub async fn prompts_needing_answers(pool: &PgPool, job: Uuid) -> Result<Vec<PromptRecord>, JobError> {
    let of = sqlx::query!("SELECT kind, blind_test_id FROM jobs WHERE id = $1", job)
        .fetch_optional(pool)
        .await?
        .ok_or(JobError::NotFound)?;
    if words::parse::<JobKind>(&of.kind)? != JobKind::Sample {
        return Err(JobError::Invalid("only a sampling job has prompts to answer".to_owned()));
    }
    let asked = match of.blind_test_id {
        Some(_) => blind_answers::prompts(pool, job).await?,
        None => prompts_of_round(pool, job).await?,
    };
    asked.into_iter().map(AskedPrompt::record).collect()
}

async fn prompts_of_round(pool: &PgPool, job: Uuid) -> sqlx::Result<Vec<AskedPrompt>> {
    sqlx::query_as!(
        AskedPrompt,
        r#"
        SELECT
            p.id AS "id!",
            project.slug AS "slug!",
            p.conversation AS "conversation!: Json<Vec<Message>>",
            p.language,
            p.tags AS "tags!",
            p.split AS "split!"
        FROM jobs j
        JOIN projects project ON project.id = j.project_id
        JOIN prompts p ON p.project_id = j.project_id
        WHERE j.id = $1
            AND p.held_back_at IS NULL
            AND p.withdrawn_at IS NULL
            AND NOT EXISTS (SELECT 1 FROM tasks mine WHERE mine.job_id = j.id AND mine.prompt_id = p.id)
        ORDER BY
            (
                SELECT count(*)
                FROM tasks t
                WHERE t.prompt_id = p.id
                    AND t.kind <> 'demonstration'
                    AND NOT EXISTS (SELECT 1 FROM blind_test_tasks blind WHERE blind.task_id = t.id)
            ),
            md5(j.id::text || p.id::text)
        LIMIT greatest(0, (
            SELECT project.prompts_per_round - (SELECT count(*) FROM tasks mine WHERE mine.job_id = j.id)
            FROM jobs j
            JOIN projects project ON project.id = j.project_id
            WHERE j.id = $1
        ))
        "#,
        job
    )
    .fetch_all(pool)
    .await
}

/// Prompts whose answers are told at most.
const MOST_WAITING: i64 = 2000;

/// The prompts of a job's project whose answers wait to be put into an order, newest first, each with the answers of its
/// newest task. Blind tests are not among them: they are asked about first whatever the order, and the pair of a test says little of
/// the answers that a round brought.
pub async fn waiting_answers(pool: &PgPool, job: Uuid) -> Result<Vec<ResponsesRecord>, JobError> {
    let project = sqlx::query_scalar!("SELECT project_id FROM jobs WHERE id = $1", job)
        .fetch_optional(pool)
        .await?
        .ok_or(JobError::NotFound)?;
    let rows = sqlx::query!(
        r#"
        SELECT
            p.id AS prompt_id,
            p.conversation AS "conversation: Json<Vec<Message>>",
            (
                SELECT json_agg(
                    json_build_object('id', r.id, 'content', r.content, 'model', r.model, 'sampling', r.sampling)
                    ORDER BY place.position
                )
                FROM task_responses place
                JOIN responses r ON r.id = place.response_id
                WHERE place.task_id = waiting.id
            ) AS "responses!: Json<Vec<ResponseRecord>>"
        FROM (
            SELECT DISTINCT ON (t.prompt_id) t.id, t.prompt_id
            FROM tasks t
            WHERE t.project_id = $1
                AND t.labels < t.overlap
                AND t.withdrawn_at IS NULL
                AND EXISTS (SELECT 1 FROM task_responses place WHERE place.task_id = t.id)
                AND NOT EXISTS (SELECT 1 FROM blind_test_tasks blind WHERE blind.task_id = t.id)
            ORDER BY t.prompt_id, t.id DESC
        ) waiting
        JOIN prompts p ON p.id = waiting.prompt_id
        ORDER BY waiting.id DESC
        LIMIT $2
        "#,
        project,
        MOST_WAITING
    )
    .fetch_all(pool)
    .await?;
    let record = |prompt: Uuid, conversation: Vec<Message>, responses: Vec<ResponseRecord>| ResponsesRecord {
        prompt_id: Some(prompt.to_string()),
        prompt: conversation,
        responses,
        extra: Map::new(),
    };
    Ok(rows.into_iter().map(|row| record(row.prompt_id, row.conversation.0, row.responses.0)).collect())
}

/// Stores sampled answers and makes their ranking tasks, all in one transaction; a prompt that has its answers of this job
/// keeps them. An answer for a blind test makes a task once its counterpart is there. Refuses everything when one record is wrong,
/// and says which: each comes with the number of its line.
pub async fn store_responses(
    pool: &PgPool,
    job: Uuid,
    lease: Uuid,
    records: &[(u64, ResponsesRecord)],
) -> Result<ResponsesAnswer, JobError> {
    let mut transaction = pool.begin().await?;
    let held = jobs::hold(&mut transaction, job, lease).await?;
    if held.kind != JobKind::Sample {
        return Err(JobError::Invalid("only a sampling job brings answers".to_owned()));
    }
    if let Some(test) = held.blind_test {
        blind_answers::lock(&mut transaction, test).await?;
    }
    let mut answer = ResponsesAnswer { stored: 0, already_there: 0 };
    for (line, record) in records {
        let made = match held.blind_test {
            Some(test) => blind_answers::store(&mut transaction, test, &held, record).await,
            None => store_one(&mut transaction, job, &held, record).await,
        };
        let made = made.map_err(|error| match error {
            JobError::Invalid(reason) => JobError::Invalid(format!("line {line}: {reason}")),
            other => other,
        })?;
        if made { answer.stored += 1 } else { answer.already_there += 1 }
    }
    transaction.commit().await?;
    Ok(answer)
}

/// `false` where the job had answered the prompt already.
async fn store_one(
    connection: &mut PgConnection,
    job: Uuid,
    held: &Held,
    record: &ResponsesRecord,
) -> Result<bool, JobError> {
    let prompt = prompt_of(record)?;
    let state = sqlx::query!(
        r#"
        SELECT
            EXISTS (SELECT 1 FROM tasks WHERE job_id = $2 AND prompt_id = p.id) AS "answered!",
            project.task_order
        FROM prompts p
        JOIN projects project ON project.id = p.project_id
        WHERE p.id = $1 AND p.project_id = $3
        "#,
        prompt,
        job,
        held.project_id
    )
    .fetch_optional(&mut *connection)
    .await?
    .ok_or_else(|| JobError::Invalid("prompt_id: the project has no such prompt".to_owned()))?;
    let order: TaskOrder = words::parse(&state.task_order)?;
    if state.answered {
        return Ok(false);
    }
    if !tasks::ANSWERS.contains(&record.responses.len()) {
        let error = CreateTaskError::AnswerCount(record.responses.len());
        return Err(JobError::Invalid(format!("responses: {error}")));
    }
    let mut ids = Vec::with_capacity(record.responses.len());
    for response in &record.responses {
        ids.push(insert_answer(connection, prompt, held, response).await?);
    }
    let priority = match order {
        TaskOrder::AsMade => priority_of_round(connection, held).await?,
        TaskOrder::Random | TaskOrder::Uncertain => 0,
    };
    let task = NewRankingTask {
        project: held.project_id,
        prompt,
        responses: &ids,
        round: held.round,
        priority,
        job: Some(job),
    };
    match tasks::create_ranking_task(connection, task).await {
        Ok(made) => Ok(made.is_some()),
        Err(CreateTaskError::Database(error)) => Err(error.into()),
        Err(other) => Err(JobError::Invalid(other.to_string())),
    }
}

/// What answers now is ranked before what is left of other rounds, unless the project has an order of its own. What a job brings
/// whose model has made way meanwhile for one that is no later comes after that one's.
async fn priority_of_round(connection: &mut PgConnection, held: &Held) -> sqlx::Result<i32> {
    match promotions::current(&mut *connection, held.project_id).await? {
        Some(now) if Some(now) != held.model_id => {
            let is_later = i64::from(models::by_id(connection, now).await?.record.round) > i64::from(held.round);
            Ok(if is_later { held.round } else { LEFT_BEHIND })
        }
        _ => Ok(held.round),
    }
}

/// The prompt that a record's answers are to.
pub(super) fn prompt_of(record: &ResponsesRecord) -> Result<Uuid, JobError> {
    let id = record.prompt_id.as_deref().and_then(|id| Uuid::parse_str(id).ok());
    id.ok_or_else(|| JobError::Invalid("prompt_id: it names no prompt".to_owned()))
}

/// Stores one answer of the model that a job samples from.
pub(super) async fn insert_answer(
    connection: &mut PgConnection,
    prompt: Uuid,
    held: &Held,
    response: &ResponseRecord,
) -> sqlx::Result<Uuid> {
    let id = Uuid::now_v7();
    sqlx::query!(
        r#"
        INSERT INTO responses (id, prompt_id, content, model, model_id, sampling)
        SELECT $1, $2, $3, m.name, m.id, $5
        FROM models m
        WHERE m.id = $4
        "#,
        id,
        prompt,
        response.content.replace('\0', ""),
        held.model_id,
        response.sampling.clone().unwrap_or(Value::Null)
    )
    .execute(connection)
    .await?;
    Ok(id)
}
