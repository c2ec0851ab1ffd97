//! Candidate answers of an import, and the ranking tasks made of them.

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// An answer that is here, with the SHA-256 of its text.
pub struct Known {
    pub id: Uuid,
    pub prompt_id: Uuid,
    pub external_id: Option<String>,
    pub model: Option<String>,
    pub digest: Vec<u8>,
}

/// All answers to the prompts, oldest first.
pub async fn known(connection: &mut PgConnection, prompts: &[Uuid]) -> sqlx::Result<Vec<Known>> {
    sqlx::query_as!(
        Known,
        r#"
        SELECT id, prompt_id, external_id, model, sha256(convert_to(content, 'UTF8')) AS "digest!"
        FROM responses
        WHERE prompt_id = ANY ($1)
        ORDER BY id
        "#,
        prompts
    )
    .fetch_all(connection)
    .await
}

/// New answers, column by column.
#[derive(Default)]
pub struct New {
    pub ids: Vec<Uuid>,
    pub prompts: Vec<Uuid>,
    pub external_ids: Vec<Option<String>>,
    pub contents: Vec<String>,
    pub models: Vec<Option<String>>,
    pub samplings: Vec<Option<Value>>,
}

pub async fn insert(connection: &mut PgConnection, new: &New) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        INSERT INTO responses (id, prompt_id, external_id, content, model, sampling)
        SELECT id, prompt_id, external_id, content, model, sampling
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::jsonb[])
            AS new (id, prompt_id, external_id, content, model, sampling)
        "#,
        &new.ids,
        &new.prompts,
        &new.external_ids as &[Option<String>],
        &new.contents,
        &new.models as &[Option<String>],
        &new.samplings as &[Option<Value>]
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The answers that a task asks to judge.
pub struct KnownTask {
    pub prompt_id: Uuid,
    pub responses: Vec<Uuid>,
}

/// The prompts' tasks to judge answers.
pub async fn known_tasks(connection: &mut PgConnection, prompts: &[Uuid]) -> sqlx::Result<Vec<KnownTask>> {
    sqlx::query_as!(
        KnownTask,
        r#"
        SELECT t.prompt_id AS "prompt_id!", array_agg(answer.response_id) AS "responses!"
        FROM tasks t
        JOIN task_responses answer ON answer.task_id = t.id
        WHERE t.prompt_id = ANY ($1) AND t.kind <> 'demonstration'
        GROUP BY t.id, t.prompt_id
        "#,
        prompts
    )
    .fetch_all(connection)
    .await
}

/// New ranking tasks: one a prompt in `prompts`, and one row an answer in the other columns.
#[derive(Default)]
pub struct NewTasks {
    pub ids: Vec<Uuid>,
    pub prompts: Vec<Uuid>,
    pub task_of_answer: Vec<Uuid>,
    pub positions: Vec<i32>,
    pub responses: Vec<Uuid>,
}

/// Makes the tasks, head to head where the project wants that of two answers, for the project's `ranking_overlap` people.
pub async fn insert_tasks(connection: &mut PgConnection, project: Uuid, new: &NewTasks) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        INSERT INTO tasks (id, project_id, prompt_id, kind, overlap)
        SELECT new.id, p.id, new.prompt_id, judgement_kind(p.judgement, placed.answers), p.ranking_overlap
        FROM projects p, unnest($2::uuid[], $3::uuid[]) AS new (id, prompt_id)
        JOIN (SELECT id, count(*) AS answers FROM unnest($4::uuid[]) AS answer (id) GROUP BY id) placed USING (id)
        WHERE p.id = $1
        "#,
        project,
        &new.ids,
        &new.prompts,
        &new.task_of_answer
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        r#"
        INSERT INTO task_responses (task_id, position, response_id)
        SELECT task_id, position, response_id
        FROM unnest($1::uuid[], $2::integer[], $3::uuid[]) AS new (task_id, position, response_id)
        "#,
        &new.task_of_answer,
        &new.positions,
        &new.responses
    )
    .execute(connection)
    .await?;
    Ok(())
}
