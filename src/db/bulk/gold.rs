//! Known answers of an import.

use sqlx::PgConnection;
use uuid::Uuid;

/// A known answer that is here.
pub struct Known {
    pub prompt_id: Uuid,
    pub responses: Vec<Uuid>,
    /// In the order of the responses.
    pub ranks: Vec<i32>,
}

/// The known answers to the prompts, retired ones included.
pub async fn known(connection: &mut PgConnection, prompts: &[Uuid]) -> sqlx::Result<Vec<Known>> {
    sqlx::query_as!(
        Known,
        r#"
        SELECT
            t.prompt_id AS "prompt_id!",
            ARRAY(
                SELECT place.response_id FROM task_responses place WHERE place.task_id = t.id ORDER BY place.position
            ) AS "responses!",
            g.ranks
        FROM gold_tasks g
        JOIN tasks t ON t.id = g.task_id
        WHERE t.prompt_id = ANY ($1)
        "#,
        prompts
    )
    .fetch_all(connection)
    .await
}

/// A known answer that is new.
pub struct NewKnown {
    pub prompt: Uuid,
    /// By position.
    pub responses: Vec<Uuid>,
    pub ranks: Vec<i32>,
    pub purpose: &'static str,
    pub explanation: String,
}

/// Makes its task, out of the ordinary queue, and notes what is known.
pub async fn insert(connection: &mut PgConnection, project: Uuid, new: &NewKnown) -> sqlx::Result<()> {
    let task = Uuid::now_v7();
    sqlx::query!(
        r#"
        INSERT INTO tasks (id, project_id, prompt_id, kind, overlap, withdrawn_at)
        SELECT $1, p.id, $3, judgement_kind(p.judgement, cardinality($4::uuid[])), 9, now()
        FROM projects p
        WHERE p.id = $2
        "#,
        task,
        project,
        new.prompt,
        &new.responses
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        r#"
        INSERT INTO task_responses (task_id, position, response_id)
        SELECT $1, (answer.place - 1)::integer, answer.response_id
        FROM unnest($2::uuid[]) WITH ORDINALITY AS answer (response_id, place)
        "#,
        task,
        &new.responses
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO gold_tasks (task_id, purpose, ranks, explanation) VALUES ($1, $2, $3, $4)",
        task,
        new.purpose,
        &new.ranks,
        new.explanation
    )
    .execute(connection)
    .await?;
    Ok(())
}
