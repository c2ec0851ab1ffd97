//! Blind tests: two models' answers to the same prompts, made into tasks; and how the tests stand. Answers that a test lacks are in
//! `blind_answers`.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    audit::{self, Actor},
    blind_answers::{self, CannotWrite},
    tasks::{self, CreateTaskError, NewRankingTask},
};

/// Blind tests are handed out before other tasks: somebody waits for the result.
const PRIORITY: i32 = 1000;

/// A test to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewTest<'a> {
    /// What chance starts from. A test of this id is made once: a form that is sent again finds it.
    pub id: Uuid,
    pub project: Uuid,
    pub slug: &'a str,
    pub first: &'a str,
    pub second: &'a str,
    /// Prompts at most.
    pub prompts: i32,
    /// Only prompts with this tag, in this language, of this split; all where empty.
    pub tag: &'a str,
    pub language: &'a str,
    pub split: &'a str,
    /// Where fewer prompts than these have answers of both, the models are asked for what lacks.
    pub writes: bool,
}

/// What a new test came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Made {
    /// Tasks that are there at once.
    pub tasks: i64,
    /// Answers that the models are asked for.
    pub answers: i64,
}

/// The answers of both to a prompt.
pub(super) struct Pair {
    prompt: Uuid,
    first: Uuid,
    second: Uuid,
}

/// Makes a task of two answers for each prompt that both models answered, that people may be asked about and were not asked about
/// already, in an order by chance; and asks the models for what lacks, where that is wanted. A task that was withdrawn asks nobody.
/// With no task and no answer to come, there is no test either.
pub async fn create(pool: &PgPool, actor: &Actor, new: NewTest<'_>) -> Result<Made, CreateTaskError> {
    let mut tx = pool.begin().await?;
    // The project's row is the lock: of two tests at once, the second sees what the first has asked for.
    sqlx::query!("SELECT id FROM projects WHERE id = $1 FOR NO KEY UPDATE", new.project).fetch_one(&mut *tx).await?;
    if let Some(made) = made_before(&mut tx, &new).await? {
        return Ok(made);
    }
    let pairs = pairs(&mut tx, &new).await?;
    let lacking = match new.writes {
        true => Some(blind_answers::lacking(&mut tx, &new, pairs.len()).await?),
        false => None,
    };
    let lacking = lacking.filter(|lacking| !lacking.is_empty());
    if pairs.is_empty() && lacking.is_none() {
        return Ok(Made::default());
    }
    sqlx::query!(
        "INSERT INTO blind_tests (id, project_id, first, second, prompts, created_by) VALUES ($1, $2, $3, $4, $5, $6)",
        new.id,
        new.project,
        new.first,
        new.second,
        new.prompts,
        actor.user
    )
    .execute(&mut *tx)
    .await?;
    for pair in &pairs {
        make_task(&mut tx, new.project, new.id, pair.prompt, [pair.first, pair.second]).await?;
    }
    let mut jobs = Vec::new();
    let mut made = Made { tasks: pairs.len() as i64, answers: 0 };
    if let Some(lacking) = &lacking {
        jobs = blind_answers::ask(&mut tx, actor, new.id, lacking).await?;
        made.answers = lacking.first.answers + lacking.second.answers;
    }
    let detail = serde_json::json!({
        "first": new.first,
        "second": new.second,
        "tasks": made.tasks,
        "answers": made.answers,
        "jobs": jobs,
    });
    audit::record(&mut *tx, actor, "blind_test.create", &format!("project/{}", new.slug), detail).await?;
    tx.commit().await?;
    Ok(made)
}

/// What became of a test of this id; nothing where it is another project's.
async fn made_before(connection: &mut PgConnection, new: &NewTest<'_>) -> sqlx::Result<Option<Made>> {
    let row = sqlx::query!(
        r#"
        SELECT
            test.project_id,
            (SELECT count(*) FROM blind_test_tasks asked WHERE asked.test_id = test.id) AS "tasks!",
            (
                SELECT count(*) FILTER (WHERE pair.first_id IS NULL) + count(*) FILTER (WHERE pair.second_id IS NULL)
                FROM blind_test_pairs pair
                WHERE pair.test_id = test.id
            ) AS "answers!"
        FROM blind_tests test
        WHERE test.id = $1
        "#,
        new.id
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| match row.project_id == new.project {
        true => Made { tasks: row.tasks, answers: row.answers },
        false => Made::default(),
    }))
}

/// The prompts of which a test can make tasks now.
pub(super) async fn pairs(connection: &mut PgConnection, new: &NewTest<'_>) -> sqlx::Result<Vec<Pair>> {
    sqlx::query_as!(
        Pair,
        r#"
        SELECT p.id AS "prompt!", first.id AS "first!", second.id AS "second!"
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
        new.id,
        i64::from(new.prompts)
    )
    .fetch_all(connection)
    .await
}

/// Makes the task of a pair. Which answer has position 0 is drawn anew for each: positions stand in the pages of those who compare, and
/// a model's that were always the same would tell its answers apart. It stands for no round, so that it changes nothing in what a round
/// asks about its prompt.
pub(super) async fn make_task(
    connection: &mut PgConnection,
    project: Uuid,
    test: Uuid,
    prompt: Uuid,
    mut pair: [Uuid; 2],
) -> Result<(), CreateTaskError> {
    let drawn = getrandom::u32().map_err(|error| sqlx::Error::Io(std::io::Error::other(error)))?;
    if drawn.is_multiple_of(2) {
        pair.reverse();
    }
    let new = NewRankingTask { project, prompt, responses: &pair, round: 0, priority: PRIORITY, job: None };
    if let Some(task) = tasks::create_ranking_task(connection, new).await? {
        sqlx::query!("INSERT INTO blind_test_tasks (task_id, test_id) VALUES ($1, $2)", task, test)
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// How a test stands. Outcomes stand by prompt: (first won, second won, tied).
#[derive(Debug, Clone)]
pub struct BlindTest {
    pub id: Uuid,
    pub first: String,
    pub second: String,
    /// Prompts that were asked for; older tests don't know.
    pub prompts: Option<i32>,
    pub created_at: OffsetDateTime,
    /// Its tasks that were not withdrawn; labels given on them, and wanted.
    pub tasks: i64,
    pub done: i64,
    pub wanted: i64,
    /// Answers are awaited.
    pub waits: bool,
    /// Why a model can't be asked for answers.
    pub first_cannot: Option<CannotWrite>,
    pub second_cannot: Option<CannotWrite>,
    /// Of withdrawn tasks too: what people have said stays.
    pub outcomes: Vec<(i64, i64, i64)>,
}

/// How many tests of a project have tasks, and how many of them stand in a list before those older than `before`.
pub async fn count(pool: &PgPool, project: Uuid, before: Option<Uuid>) -> sqlx::Result<(i64, i64)> {
    let row = sqlx::query!(
        r#"
        SELECT count(*) AS "total!", count(*) FILTER (WHERE test.id >= $2::uuid) AS "newer!"
        FROM blind_tests test
        WHERE test.project_id = $1 AND EXISTS (SELECT 1 FROM blind_test_tasks asked WHERE asked.test_id = test.id)
        "#,
        project,
        before
    )
    .fetch_one(pool)
    .await?;
    Ok((row.total, row.newer))
}

/// The tests of a project that have tasks, newest first: at most `limit`, and only those older than `before`, where that is said.
/// Outcomes without what programs that stand in for people said, where `people_only`.
pub async fn of_project(
    pool: &PgPool,
    project: Uuid,
    people_only: bool,
    before: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<BlindTest>> {
    let rows = sqlx::query!(
        r#"
        SELECT
            test.id AS "id!",
            test.first AS "first!",
            test.second AS "second!",
            test.prompts,
            test.created_at AS "created_at!",
            EXISTS (SELECT 1 FROM awaited_blind_test_pairs pair WHERE pair.test_id = test.id) AS "waits!",
            one.stage AS "first_stage?",
            one.complete AS "first_complete?",
            other.stage AS "second_stage?",
            other.complete AS "second_complete?",
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
        LEFT JOIN models one ON one.project_id = test.project_id AND one.name = test.first
        LEFT JOIN models other ON other.project_id = test.project_id AND other.name = test.second
        CROSS JOIN LATERAL (
            SELECT
                count(*) FILTER (WHERE one.rank < other.rank) AS first,
                count(*) FILTER (WHERE one.rank > other.rank) AS second,
                count(*) FILTER (WHERE one.rank = other.rank) AS tied
            FROM current_rankings r
            JOIN ranking_responses one ON one.ranking_id = r.id
            JOIN responses by_first ON by_first.id = one.response_id AND by_first.model = test.first
            JOIN ranking_responses other ON other.ranking_id = r.id
            JOIN responses by_second ON by_second.id = other.response_id AND by_second.model = test.second
            LEFT JOIN users u ON u.id = r.user_id
            WHERE r.task_id = t.id
                AND NOT ($2::boolean AND coalesce(u.simulated, project.simulated))
                AND NOT EXISTS (SELECT 1 FROM rankings_set_aside aside WHERE aside.ranking_id = r.id)
        ) said
        WHERE test.id IN (
            SELECT listed.id
            FROM blind_tests listed
            WHERE listed.project_id = $1
                AND ($3::uuid IS NULL OR listed.id < $3)
                AND EXISTS (SELECT 1 FROM blind_test_tasks task WHERE task.test_id = listed.id)
            ORDER BY listed.id DESC
            LIMIT $4
        )
        GROUP BY test.id, one.id, other.id
        ORDER BY test.id DESC
        "#,
        project,
        people_only,
        before,
        limit
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| BlindTest {
            id: row.id,
            first: row.first,
            second: row.second,
            prompts: row.prompts,
            created_at: row.created_at,
            tasks: row.tasks,
            done: row.done,
            wanted: row.wanted,
            waits: row.waits,
            first_cannot: CannotWrite::of(row.first_stage.as_deref(), row.first_complete),
            second_cannot: CannotWrite::of(row.second_stage.as_deref(), row.second_complete),
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
