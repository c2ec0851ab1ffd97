//! Blind tests: two models' answers to the same prompts, made into tasks; and how the tests stand.

use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    audit::{self, Actor},
    tasks::{self, CreateTaskError, NewRankingTask},
};

/// Blind tests are handed out before other tasks: somebody waits for the result.
const PRIORITY: i32 = 1000;

/// A test to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewTest<'a> {
    pub project: Uuid,
    pub slug: &'a str,
    pub first: &'a str,
    pub second: &'a str,
    /// Prompts at most.
    pub prompts: i64,
    /// Only prompts with this tag, in this language, of this split; all where empty.
    pub tag: &'a str,
    pub language: &'a str,
    pub split: &'a str,
}

/// Makes a task of two answers for each prompt that both models answered, that people may be asked about and were not asked about
/// already, in an order by chance. A task that was withdrawn asks nobody. Returns how many were made; with none, there is no test
/// either.
pub async fn create(pool: &PgPool, actor: &Actor, new: NewTest<'_>) -> Result<usize, CreateTaskError> {
    let mut tx = pool.begin().await?;
    let test = Uuid::now_v7();
    let pairs = sqlx::query!(
        r#"
        SELECT p.id AS prompt, first.id AS first, second.id AS second
        FROM prompts p
        CROSS JOIN LATERAL (
            SELECT id FROM responses WHERE prompt_id = p.id AND model = $2 ORDER BY id DESC LIMIT 1
        ) first
        CROSS JOIN LATERAL (
            SELECT id FROM responses WHERE prompt_id = p.id AND model = $3 ORDER BY id DESC LIMIT 1
        ) second
        WHERE p.project_id = $1
            AND ($4 = '' OR $4 = ANY (p.tags))
            AND ($5 = '' OR p.language = $5)
            AND ($6 = '' OR p.split = $6)
            AND p.withdrawn_at IS NULL
            AND p.held_back_at IS NULL
            AND NOT EXISTS (
                SELECT 1
                FROM blind_test_tasks asked
                JOIN tasks t ON t.id = asked.task_id AND t.withdrawn_at IS NULL
                JOIN task_responses one ON one.task_id = asked.task_id AND one.response_id = first.id
                JOIN task_responses other ON other.task_id = asked.task_id AND other.response_id = second.id
            )
        ORDER BY md5($7::uuid::text || p.id::text)
        LIMIT $8
        "#,
        new.project,
        new.first,
        new.second,
        new.tag,
        new.language,
        new.split,
        test,
        new.prompts
    )
    .fetch_all(&mut *tx)
    .await?;
    if pairs.is_empty() {
        return Ok(0);
    }
    sqlx::query!(
        "INSERT INTO blind_tests (id, project_id, first, second, created_by) VALUES ($1, $2, $3, $4, $5)",
        test,
        new.project,
        new.first,
        new.second,
        actor.user
    )
    .execute(&mut *tx)
    .await?;
    for pair in &pairs {
        let task = NewRankingTask {
            project: new.project,
            prompt: pair.prompt,
            responses: &[pair.first, pair.second],
            round: 0,
            priority: PRIORITY,
            job: None,
        };
        if let Some(task) = tasks::create_ranking_task(&mut tx, task).await? {
            sqlx::query!("INSERT INTO blind_test_tasks (task_id, test_id) VALUES ($1, $2)", task, test)
                .execute(&mut *tx)
                .await?;
        }
    }
    let detail = serde_json::json!({ "first": new.first, "second": new.second, "tasks": pairs.len() });
    audit::record(&mut *tx, actor, "blind_test.create", &format!("project/{}", new.slug), detail).await?;
    tx.commit().await?;
    Ok(pairs.len())
}

/// How a test stands. Outcomes stand by prompt: (first won, second won, tied).
#[derive(Debug, Clone)]
pub struct BlindTest {
    pub first: String,
    pub second: String,
    pub created_at: OffsetDateTime,
    /// Its tasks that were not withdrawn; labels given on them, and wanted.
    pub tasks: i64,
    pub done: i64,
    pub wanted: i64,
    /// Of withdrawn tasks too: what people have said stays.
    pub outcomes: Vec<(i64, i64, i64)>,
}

/// The tests of a project, newest first; outcomes without what programs that stand in for people said, where `people_only`.
pub async fn of_project(pool: &PgPool, project: Uuid, people_only: bool) -> sqlx::Result<Vec<BlindTest>> {
    let rows = sqlx::query!(
        r#"
        SELECT
            test.first,
            test.second,
            test.created_at,
            count(*) FILTER (WHERE t.withdrawn_at IS NULL) AS "tasks!",
            coalesce(sum(t.labels) FILTER (WHERE t.withdrawn_at IS NULL), 0) AS "done!",
            coalesce(sum(t.overlap) FILTER (WHERE t.withdrawn_at IS NULL), 0) AS "wanted!",
            array_agg(said.first) AS "first_won!",
            array_agg(said.second) AS "second_won!",
            array_agg(said.tied) AS "tied!"
        FROM blind_tests test
        JOIN projects project ON project.id = test.project_id
        JOIN blind_test_tasks asked ON asked.test_id = test.id
        JOIN tasks t ON t.id = asked.task_id
        CROSS JOIN LATERAL (
            SELECT
                count(*) FILTER (WHERE one.rank < other.rank) AS first,
                count(*) FILTER (WHERE one.rank > other.rank) AS second,
                count(*) FILTER (WHERE one.rank = other.rank) AS tied
            FROM current_rankings r
            JOIN ranking_responses one ON one.ranking_id = r.id AND one.position = 0
            JOIN ranking_responses other ON other.ranking_id = r.id AND other.position = 1
            LEFT JOIN users u ON u.id = r.user_id
            WHERE r.task_id = t.id
                AND NOT ($2::boolean AND coalesce(u.simulated, project.simulated))
                AND NOT EXISTS (SELECT 1 FROM rankings_set_aside aside WHERE aside.ranking_id = r.id)
        ) said
        WHERE test.project_id = $1
        GROUP BY test.id
        ORDER BY test.id DESC
        LIMIT 50
        "#,
        project,
        people_only
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| BlindTest {
            first: row.first,
            second: row.second,
            created_at: row.created_at,
            tasks: row.tasks,
            done: row.done,
            wanted: row.wanted,
            outcomes: row
                .first_won
                .into_iter()
                .zip(row.second_won)
                .zip(row.tied)
                .map(|((first, second), tied)| (first, second, tied))
                .collect(),
        })
        .collect())
}
