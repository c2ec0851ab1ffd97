//! The answers that a blind test lacks: to which prompts it asks for them, of whom, and the tasks that come of them by themselves.
//!
//! Such an answer is for its test alone. A ranking task is made of the answers that a round or an import brings, when it brings
//! them and of those only, never of answers that a prompt has from elsewhere: so what comes here is put into no order but its
//! pair's. Nor does it move what a round does: its prompts are counted and its answers are scored without blind tests (see
//! `sampling`), and its jobs are not those that a promotion replaces. The answers stay the model's like any others: a later blind
//! test finds them.

use laurel_records::{Message, ResponsesRecord};
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

use super::{
    audit::Actor,
    blind_tests::{self, NewTest},
    job_queue,
    jobs::{Held, JobError},
    models::{self, Model},
    sampling::{self, AskedPrompt},
    tasks::CreateTaskError,
    words,
};

/// Why a model can't be asked for answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CannotWrite {
    /// The registry has none of its name: its answers were imported, or people wrote them.
    NotHere,
    /// Its files have not all arrived.
    Incomplete,
    /// A reward model judges answers and writes none.
    Judge,
}

impl CannotWrite {
    pub fn as_str(self) -> &'static str {
        match self {
            CannotWrite::NotHere => "not_here",
            CannotWrite::Incomplete => "incomplete",
            CannotWrite::Judge => "judge",
        }
    }

    /// What the registry says of a model; nothing where it can write.
    pub(super) fn of(stage: Option<&str>, complete: Option<bool>) -> Option<Self> {
        match (stage, complete) {
            (None, _) => Some(CannotWrite::NotHere),
            (Some("reward"), _) => Some(CannotWrite::Judge),
            (Some(_), Some(true)) => None,
            (Some(_), _) => Some(CannotWrite::Incomplete),
        }
    }
}

/// What a test lacks of one of its models.
#[derive(Debug, Clone)]
pub struct Lack {
    /// Answers that it would be asked for.
    pub answers: i64,
    pub writer: Result<Model, CannotWrite>,
}

/// A prompt that one of the two, or neither, has answered.
#[derive(Debug, Clone)]
struct Half {
    prompt: Uuid,
    first: Option<Uuid>,
    second: Option<Uuid>,
}

/// The prompts that a test would ask for answers to.
#[derive(Debug, Clone)]
pub struct Lacking {
    halves: Vec<Half>,
    pub first: Lack,
    pub second: Lack,
}

impl Lacking {
    pub fn is_empty(&self) -> bool {
        self.halves.is_empty()
    }

    /// How many prompts would have answers of both, beside those that have them.
    pub fn prompts(&self) -> i64 {
        self.halves.len() as i64
    }
}

/// What a test would find, before it is made.
#[derive(Debug, Clone)]
pub struct Outlook {
    /// Prompts that have answers of both and may be asked about, up to those that are asked for.
    pub both: i64,
    pub lacking: Lacking,
}

/// What a test would find. One that is made with the same id asks for these very answers, unless something changes meanwhile.
pub async fn outlook(pool: &PgPool, new: &NewTest<'_>) -> sqlx::Result<Outlook> {
    let mut connection = pool.acquire().await?;
    let both = blind_tests::pairs(&mut connection, new).await?.len();
    let lacking = lacking(&mut connection, new, both).await?;
    Ok(Outlook { both: both as i64, lacking })
}

/// The prompts for what a test lacks beside the `there` that have answers of both: first those that one of the two has answered,
/// then others, each in an order by chance. People may be asked about them and nobody has reported them; of a model that can't write
/// the answer is there; no other test of the two awaits them.
pub(super) async fn lacking(connection: &mut PgConnection, new: &NewTest<'_>, there: usize) -> sqlx::Result<Lacking> {
    let first = writer(connection, new.project, new.first).await?;
    let second = writer(connection, new.project, new.second).await?;
    let halves = sqlx::query_as!(
        Half,
        r#"
        SELECT p.id AS "prompt!", first.id AS "first?", second.id AS "second?"
        FROM prompts p
        LEFT JOIN LATERAL (
            SELECT id FROM responses WHERE prompt_id = p.id AND model = $2 ORDER BY id DESC LIMIT 1
        ) first ON true
        LEFT JOIN LATERAL (
            SELECT id FROM responses WHERE prompt_id = p.id AND model = $3 ORDER BY id DESC LIMIT 1
        ) second ON true
        WHERE p.project_id = $1
            AND ($4 = '' OR $4 = ANY (p.tags))
            AND ($5 = '' OR p.language = $5)
            AND ($6 = '' OR p.split = $6)
            AND p.withdrawn_at IS NULL
            AND p.held_back_at IS NULL
            AND (first.id IS NULL OR second.id IS NULL)
            AND ($7::boolean OR first.id IS NOT NULL)
            AND ($8::boolean OR second.id IS NOT NULL)
            AND NOT EXISTS (
                SELECT 1
                FROM tasks t
                JOIN assignments reported ON reported.task_id = t.id AND skip_concerns_prompt(reported.skip_reason)
                WHERE t.prompt_id = p.id
                    AND NOT EXISTS (SELECT 1 FROM report_decisions d WHERE d.assignment_id = reported.id)
            )
            AND NOT EXISTS (
                SELECT 1
                FROM awaited_blind_test_pairs pair
                JOIN blind_tests other ON other.id = pair.test_id
                WHERE pair.prompt_id = p.id
                    AND (other.first = $2 AND other.second = $3 OR other.first = $3 AND other.second = $2)
            )
        ORDER BY first.id IS NULL AND second.id IS NULL, md5($9::uuid::text || p.id::text)
        LIMIT $10
        "#,
        new.project,
        new.first,
        new.second,
        new.tag,
        new.language,
        new.split,
        first.is_ok(),
        second.is_ok(),
        new.id,
        i64::from(new.prompts) - there as i64
    )
    .fetch_all(connection)
    .await?;
    let without =
        |answer: fn(&Half) -> Option<Uuid>| halves.iter().filter(|half| answer(half).is_none()).count() as i64;
    let first = Lack { answers: without(|half| half.first), writer: first };
    let second = Lack { answers: without(|half| half.second), writer: second };
    Ok(Lacking { halves, first, second })
}

/// The model of a name, if it can be asked for answers.
pub(super) async fn writer(
    connection: &mut PgConnection,
    project: Uuid,
    name: &str,
) -> sqlx::Result<Result<Model, CannotWrite>> {
    let Some(model) = models::by_name(connection, project, name).await? else { return Ok(Err(CannotWrite::NotHere)) };
    let cannot = CannotWrite::of(Some(words::stage(model.record.stage)), Some(model.record.complete));
    Ok(cannot.map_or(Ok(model), Err))
}

/// Notes the pairs that a test awaits and queues a job for each model that lacks an answer. Gives the jobs.
pub(super) async fn ask(
    connection: &mut PgConnection,
    actor: &Actor,
    test: Uuid,
    lacking: &Lacking,
) -> sqlx::Result<Vec<Uuid>> {
    let prompts: Vec<Uuid> = lacking.halves.iter().map(|half| half.prompt).collect();
    let firsts: Vec<Option<Uuid>> = lacking.halves.iter().map(|half| half.first).collect();
    let seconds: Vec<Option<Uuid>> = lacking.halves.iter().map(|half| half.second).collect();
    sqlx::query!(
        r#"
        INSERT INTO blind_test_pairs (test_id, prompt_id, first_id, second_id)
        SELECT $1, prompt_id, first_id, second_id
        FROM unnest($2::uuid[], $3::uuid[], $4::uuid[]) AS half (prompt_id, first_id, second_id)
        "#,
        test,
        &prompts,
        &firsts as &[Option<Uuid>],
        &seconds as &[Option<Uuid>]
    )
    .execute(&mut *connection)
    .await?;
    let mut jobs = Vec::new();
    for lack in [&lacking.first, &lacking.second] {
        if let (Ok(model), true) = (&lack.writer, lack.answers > 0) {
            jobs.push(job_queue::enqueue_for_blind_test(connection, test, model, actor.user).await?);
        }
    }
    Ok(jobs)
}

/// The prompts that the model of a job still has to answer for its blind test.
pub(super) async fn prompts(pool: &PgPool, job: Uuid) -> sqlx::Result<Vec<AskedPrompt>> {
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
        JOIN models m ON m.id = j.model_id
        JOIN blind_tests test ON test.id = j.blind_test_id
        JOIN awaited_blind_test_pairs pair ON pair.test_id = test.id
        JOIN prompts p ON p.id = pair.prompt_id
        JOIN projects project ON project.id = p.project_id
        WHERE j.id = $1 AND CASE WHEN m.name = test.first THEN pair.first_id ELSE pair.second_id END IS NULL
        ORDER BY md5(j.id::text || p.id::text)
        "#,
        job
    )
    .fetch_all(pool)
    .await
}

/// Holds a test until the transaction ends: what its two jobs bring at once comes one after the other, and whoever brings the second
/// answer to a prompt sees the first.
pub(super) async fn lock(connection: &mut PgConnection, test: Uuid) -> sqlx::Result<()> {
    sqlx::query!("SELECT id FROM blind_tests WHERE id = $1 FOR NO KEY UPDATE", test).fetch_one(connection).await?;
    Ok(())
}

/// Stores the answer of a job's model to one prompt of its test, and makes the pair's task where it was the one that lacked. `false`
/// where the answer is there, or is asked for no more.
pub(super) async fn store(
    connection: &mut PgConnection,
    test: Uuid,
    held: &Held,
    record: &ResponsesRecord,
) -> Result<bool, JobError> {
    let prompt = sampling::prompt_of(record)?;
    let [response] = record.responses.as_slice() else {
        let number = record.responses.len();
        return Err(JobError::Invalid(format!(
            "responses: a blind test asks for one answer to a prompt, not {number}"
        )));
    };
    let awaited = sqlx::query_scalar!(
        r#"
        SELECT m.name = test.first AS "is_first!"
        FROM blind_test_pairs pair
        JOIN blind_tests test ON test.id = pair.test_id
        JOIN models m ON m.id = $3
        WHERE pair.test_id = $1
            AND pair.prompt_id = $2
            AND CASE WHEN m.name = test.first THEN pair.first_id ELSE pair.second_id END IS NULL
        "#,
        test,
        prompt,
        held.model_id
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(is_first) = awaited else { return Ok(false) };
    let answer = sampling::insert_answer(connection, prompt, held, response).await?;
    let pair = sqlx::query!(
        r#"
        UPDATE blind_test_pairs
        SET
            first_id = CASE WHEN $3::boolean THEN $4::uuid ELSE first_id END,
            second_id = CASE WHEN $3::boolean THEN second_id ELSE $4::uuid END
        WHERE test_id = $1 AND prompt_id = $2
        RETURNING first_id, second_id
        "#,
        test,
        prompt,
        is_first,
        answer
    )
    .fetch_one(&mut *connection)
    .await?;
    if let (Some(first), Some(second)) = (pair.first_id, pair.second_id) {
        let made = blind_tests::make_task(connection, held.project_id, test, prompt, [first, second]).await;
        made.map_err(|error| match error {
            CreateTaskError::Database(error) => JobError::Database(error),
            other => JobError::Invalid(other.to_string()),
        })?;
    }
    Ok(true)
}
