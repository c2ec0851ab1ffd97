//! Blind tests that await answers: what they await, the jobs that are to bring it, asking again, and doing without.

use serde_json::json;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    audit::{self, Actor},
    blind_answers::{self, CannotWrite},
    job_queue,
};

/// A job in which a model writes for a test.
#[derive(Debug, Clone)]
pub struct WritingJob {
    pub id: Uuid,
    pub test: Uuid,
    pub model: String,
    /// `queued`, `running`, `done`, `failed`, `cancelled`.
    pub state: String,
    pub error: Option<String>,
}

/// What a test awaits of one of its models.
#[derive(Debug, Clone)]
pub struct Awaited {
    pub model: String,
    pub answers: i64,
    /// The newest one that was to bring them.
    pub job: Option<WritingJob>,
}

impl Awaited {
    /// Answers are awaited, and nobody writes them.
    pub fn is_stuck(&self) -> bool {
        let under_way = self.job.as_ref().is_some_and(|job| matches!(job.state.as_str(), "queued" | "running"));
        self.answers > 0 && !under_way
    }
}

/// A test that awaits answers.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub test: Uuid,
    pub created_at: OffsetDateTime,
    pub first: Awaited,
    pub second: Awaited,
}

/// The tests of a project that await answers, newest first.
pub async fn waiting(pool: &PgPool, project: Uuid) -> sqlx::Result<Vec<Waiting>> {
    let tests = sqlx::query!(
        r#"
        SELECT
            test.id AS "id!",
            test.first AS "first!",
            test.second AS "second!",
            test.created_at AS "created_at!",
            count(*) FILTER (WHERE pair.first_id IS NULL) AS "of_first!",
            count(*) FILTER (WHERE pair.second_id IS NULL) AS "of_second!"
        FROM blind_tests test
        JOIN awaited_blind_test_pairs pair ON pair.test_id = test.id
        WHERE test.project_id = $1
        GROUP BY test.id
        ORDER BY test.id DESC
        "#,
        project
    )
    .fetch_all(pool)
    .await?;
    let ids: Vec<Uuid> = tests.iter().map(|test| test.id).collect();
    let jobs = sqlx::query_as!(
        WritingJob,
        r#"
        SELECT DISTINCT ON (j.blind_test_id, j.model_id)
            j.id AS "id!",
            j.blind_test_id AS "test!",
            m.name AS "model!",
            j.state AS "state!",
            j.error
        FROM jobs j
        JOIN models m ON m.id = j.model_id
        WHERE j.blind_test_id = ANY ($1)
        ORDER BY j.blind_test_id, j.model_id, j.id DESC
        "#,
        &ids
    )
    .fetch_all(pool)
    .await?;
    let awaited = |test: Uuid, model: String, answers: i64| {
        let job = jobs.iter().find(|job| job.test == test && job.model == model).cloned();
        Awaited { model, answers, job }
    };
    Ok(tests
        .into_iter()
        .map(|test| Waiting {
            test: test.id,
            created_at: test.created_at,
            first: awaited(test.id, test.first, test.of_first),
            second: awaited(test.id, test.second, test.of_second),
        })
        .collect())
}

/// What moves when people judge and models write. Two that are equal mean that no test of the project has changed, but for labels
/// that were corrected or set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulse {
    pub tests: i64,
    /// Tasks that people may be given, and their labels.
    pub tasks: i64,
    pub labels: i64,
    pub awaited: i64,
    /// Answers that have come.
    pub answers: i64,
    /// The states of the jobs that write, the oldest first.
    pub jobs: String,
}

/// The pulse of a project's tests: cheap enough to be felt every other second.
pub async fn pulse(pool: &PgPool, project: Uuid) -> sqlx::Result<Pulse> {
    sqlx::query_as!(
        Pulse,
        r#"
        WITH ours AS (
            SELECT id FROM blind_tests WHERE project_id = $1
        ), asked AS (
            SELECT count(*) AS tasks, coalesce(sum(t.labels), 0) AS labels
            FROM ours
            JOIN blind_test_tasks task ON task.test_id = ours.id
            JOIN tasks t ON t.id = task.task_id
            WHERE t.withdrawn_at IS NULL
        ), wanted AS (
            SELECT count(pair.first_id) + count(pair.second_id) AS answers
            FROM ours
            JOIN blind_test_pairs pair ON pair.test_id = ours.id
        )
        SELECT
            (SELECT count(*) FROM ours) AS "tests!",
            asked.tasks AS "tasks!",
            asked.labels AS "labels!",
            (SELECT count(*) FROM ours JOIN awaited_blind_test_pairs pair ON pair.test_id = ours.id) AS "awaited!",
            wanted.answers AS "answers!",
            (
                SELECT coalesce(string_agg(j.state, ' ' ORDER BY j.id), '')
                FROM ours
                JOIN jobs j ON j.blind_test_id = ours.id
            ) AS "jobs!"
        FROM asked
        CROSS JOIN wanted
        "#,
        project
    )
    .fetch_one(pool)
    .await
}

/// Why nobody can be asked again.
#[derive(Debug, thiserror::Error)]
pub enum AgainError {
    #[error("{model} can't be asked for answers")]
    Cannot { model: String, why: CannotWrite },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Queues jobs anew for the answers that a test awaits and that nobody writes. `RowNotFound` where the project has no such test.
pub async fn again(pool: &PgPool, actor: &Actor, project: (Uuid, &str), test: Uuid) -> Result<(), AgainError> {
    let mut tx = pool.begin().await?;
    let of = sqlx::query!(
        "SELECT first, second FROM blind_tests WHERE id = $1 AND project_id = $2 FOR NO KEY UPDATE",
        test,
        project.0
    )
    .fetch_one(&mut *tx)
    .await?;
    let awaited = sqlx::query!(
        r#"
        SELECT
            count(*) FILTER (WHERE first_id IS NULL) AS "first!",
            count(*) FILTER (WHERE second_id IS NULL) AS "second!"
        FROM awaited_blind_test_pairs
        WHERE test_id = $1
        "#,
        test
    )
    .fetch_one(&mut *tx)
    .await?;
    let mut jobs = Vec::new();
    for (name, answers) in [(of.first, awaited.first), (of.second, awaited.second)] {
        if answers == 0 {
            continue;
        }
        let model = match blind_answers::writer(&mut tx, project.0, &name).await? {
            Ok(model) => model,
            Err(why) => return Err(AgainError::Cannot { model: name, why }),
        };
        let under_way = sqlx::query_scalar!(
            r#"
            SELECT EXISTS (
                SELECT 1 FROM jobs WHERE blind_test_id = $1 AND model_id = $2 AND state IN ('queued', 'running')
            ) AS "under_way!"
            "#,
            test,
            model.record.id
        )
        .fetch_one(&mut *tx)
        .await?;
        if !under_way {
            jobs.push(job_queue::enqueue_for_blind_test(&mut tx, test, &model, actor.user).await?);
        }
    }
    if !jobs.is_empty() {
        let detail = json!({ "test": test, "jobs": jobs });
        audit::record(&mut *tx, actor, "blind_test.again", &format!("project/{}", project.1), detail).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Lets a test do with the answers that it has: its jobs are stopped, and what lacks is awaited no more. `RowNotFound` where the
/// project has no such test.
pub async fn enough(pool: &PgPool, actor: &Actor, project: (Uuid, &str), test: Uuid) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    // Jobs before the test: whoever brings answers locks them in this order.
    let jobs = sqlx::query_scalar!(
        r#"
        SELECT id
        FROM jobs
        WHERE blind_test_id = $1 AND project_id = $2 AND state IN ('queued', 'running')
        ORDER BY id
        FOR UPDATE
        "#,
        test,
        project.0
    )
    .fetch_all(&mut *tx)
    .await?;
    sqlx::query!("SELECT id FROM blind_tests WHERE id = $1 AND project_id = $2 FOR NO KEY UPDATE", test, project.0)
        .fetch_one(&mut *tx)
        .await?;
    for job in jobs {
        job_queue::stop_within(&mut tx, actor, job).await?;
    }
    let given_up = sqlx::query!(
        "DELETE FROM blind_test_pairs WHERE test_id = $1 AND (first_id IS NULL OR second_id IS NULL)",
        test
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    if given_up > 0 {
        let detail = json!({ "test": test, "prompts": given_up });
        audit::record(&mut *tx, actor, "blind_test.enough", &format!("project/{}", project.1), detail).await?;
    }
    tx.commit().await
}
