//! Submitting: the label, the end of the lease and the task's count in one transaction.

use sqlx::{PgPool, Postgres, Transaction, types::Json};
use uuid::Uuid;

use super::{assignments::room_for_late, drafts, gold};
use crate::domain::{assignment::TaskKind, comparison::Confidence, label_scheme::Assessment, ranking::Ranking};

/// A label that is stored, by this call or by an earlier one of the same assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    pub label: Uuid,
    /// Kept, but beyond the number of people that were wanted.
    pub extra_opinion: bool,
    /// By an earlier call: what this one brought is not stored.
    pub before: bool,
}

/// Why nothing can be stored.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error("you have not been given this task")]
    NotYours,
    #[error("this task asks for something else")]
    WrongKind,
    #[error("this task has {wanted} answers, and {given} were ranked")]
    AnswerCount { wanted: i64, given: usize },
    #[error("this label can't be corrected any more")]
    Closed,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// A demonstration as its writer submits it.
#[derive(Debug, Clone, Copy)]
pub struct NewDemonstration<'a> {
    /// Not empty.
    pub completion: &'a str,
    /// BCP 47 tag of the text, where the writer or the task says it.
    pub language: Option<&'a str>,
    /// Seconds that the task was worked on, where the page measured them.
    pub seconds: Option<f64>,
}

/// A ranking as its maker submits it.
#[derive(Debug, Clone, Copy)]
pub struct NewRanking<'a> {
    /// Ranks by the answers' positions in the task.
    pub ranking: &'a Ranking,
    /// Of two answers judged head to head: how sure, by their positions in the task. The ranking says the same.
    pub confidence: Option<Confidence>,
    /// What is said of each answer besides.
    pub assessment: &'a Assessment,
    pub note: Option<&'a str>,
    pub seconds: Option<f64>,
}

/// An assignment, locked until the transaction ends.
pub(super) struct Held {
    pub task: Uuid,
    /// `None` where the prompt is what is to be written.
    prompt: Option<Uuid>,
    pub state: String,
    live: bool,
    pub annotator: String,
    pub open_seconds: f64,
}

impl Held {
    /// What nobody has, of a task that is not there.
    pub fn by_nobody() -> Self {
        Held {
            task: Uuid::nil(),
            prompt: None,
            state: "leased".to_owned(),
            live: true,
            annotator: String::new(),
            open_seconds: 0.0,
        }
    }
}

/// Which version of an assignment's label is stored.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Version {
    pub extra_opinion: bool,
    /// The label that this one corrects.
    pub replaces: Option<Uuid>,
}

/// Stores the demonstration and ends the lease. Submitting the same assignment again returns the first label: a retry after a
/// lost answer is not a second opinion. What comes after the lease has ended is kept, as an extra opinion where others have
/// taken the place.
pub async fn submit_demonstration(
    pool: &PgPool,
    user: Uuid,
    assignment: Uuid,
    demonstration: NewDemonstration<'_>,
) -> Result<Submitted, SubmitError> {
    let mut tx = pool.begin().await?;
    let held = hold(&mut tx, user, assignment, TaskKind::Demonstration).await?;
    if held.state == "submitted" {
        return Ok(first_demonstration(&mut tx, assignment).await?);
    }
    let counts = take_place(&mut tx, user, &held).await?;
    let timed = NewDemonstration { seconds: demonstration.seconds.or(Some(held.open_seconds)), ..demonstration };
    let version = Version { extra_opinion: !counts, replaces: None };
    let label = insert_demonstration(&mut tx, &held, (user, assignment), timed, version).await?;
    finish(&mut tx, assignment).await?;
    tx.commit().await?;
    Ok(Submitted { label, extra_opinion: !counts, before: false })
}

/// Stores the ranking and ends the lease, as [`submit_demonstration`] does. Ranks stand by the answers' positions in the task,
/// whatever order they were shown in.
pub async fn submit_ranking(
    pool: &PgPool,
    user: Uuid,
    assignment: Uuid,
    new: NewRanking<'_>,
) -> Result<Submitted, SubmitError> {
    let mut tx = pool.begin().await?;
    let kind = if new.confidence.is_some() { TaskKind::Comparison } else { TaskKind::Ranking };
    let held = hold(&mut tx, user, assignment, kind).await?;
    if held.state == "submitted" {
        return Ok(first_ranking(&mut tx, assignment).await?);
    }
    let timed = NewRanking { seconds: new.seconds.or(Some(held.open_seconds)), ..new };
    if let Some(label) = gold::store(&mut tx, &held, (user, assignment), timed).await? {
        finish(&mut tx, assignment).await?;
        tx.commit().await?;
        return Ok(Submitted { label, extra_opinion: false, before: false });
    }
    let counts = take_place(&mut tx, user, &held).await?;
    let version = Version { extra_opinion: !counts, replaces: None };
    let label = insert_ranking(&mut tx, &held, (user, assignment), timed, version).await?;
    finish(&mut tx, assignment).await?;
    tx.commit().await?;
    Ok(Submitted { label, extra_opinion: !counts, before: false })
}

/// Stores a version of a demonstration.
pub(super) async fn insert_demonstration(
    tx: &mut Transaction<'_, Postgres>,
    held: &Held,
    (user, assignment): (Uuid, Uuid),
    demonstration: NewDemonstration<'_>,
    version: Version,
) -> Result<Uuid, SubmitError> {
    let label = Uuid::now_v7();
    sqlx::query!(
        r#"
        INSERT INTO demonstrations (
            id, prompt_id, assignment_id, user_id, annotator, completion, language, seconds, extra_opinion, replaces_id
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        "#,
        label,
        held.prompt,
        assignment,
        user,
        held.annotator,
        demonstration.completion,
        demonstration.language,
        demonstration.seconds,
        version.extra_opinion,
        version.replaces
    )
    .execute(&mut **tx)
    .await?;
    Ok(label)
}

/// Stores a version of a ranking with its answers.
pub(super) async fn insert_ranking(
    tx: &mut Transaction<'_, Postgres>,
    held: &Held,
    (user, assignment): (Uuid, Uuid),
    new: NewRanking<'_>,
    version: Version,
) -> Result<Uuid, SubmitError> {
    let columns = columns(tx, held, new).await?;
    let label = Uuid::now_v7();
    sqlx::query!(
        r#"
        INSERT INTO rankings (
            id, prompt_id, task_id, assignment_id, user_id, annotator, seconds, note, extra_opinion, confidence, all_bad,
            replaces_id, rating_scale
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        "#,
        label,
        held.prompt,
        held.task,
        assignment,
        user,
        held.annotator,
        new.seconds,
        new.note,
        version.extra_opinion,
        new.confidence.map(|confidence| i32::from(confidence.point())),
        new.assessment.all_bad,
        version.replaces,
        Json(&new.assessment.scale) as _
    )
    .execute(&mut **tx)
    .await?;
    insert_answers(tx, held, label, &columns).await?;
    Ok(label)
}

/// Stores what a ranking says of each answer of its task.
pub(super) async fn insert_answers(
    tx: &mut Transaction<'_, Postgres>,
    held: &Held,
    label: Uuid,
    columns: &Columns,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        INSERT INTO ranking_responses (ranking_id, position, response_id, rank, rating, flags)
        SELECT $1, answer.position, answer.response_id, given.rank, given.rating, string_to_array(given.flags, ',')
        FROM task_responses answer
        JOIN unnest($3::integer[], $4::integer[], $5::text[]) WITH ORDINALITY AS given (rank, rating, flags, place)
            ON given.place = answer.position + 1
        WHERE answer.task_id = $2
        "#,
        label,
        held.task,
        &columns.ranks,
        &columns.ratings as &[Option<i32>],
        &columns.flags
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What is said of each answer, one entry an answer in each list; flags as words with commas between them, as SQL knows no
/// ragged lists.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub ranks: Vec<i32>,
    pub ratings: Vec<Option<i32>>,
    pub flags: Vec<String>,
}

/// What a ranking says of each answer of its task.
pub(super) async fn columns(
    tx: &mut Transaction<'_, Postgres>,
    held: &Held,
    new: NewRanking<'_>,
) -> Result<Columns, SubmitError> {
    let wanted =
        sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM task_responses WHERE task_id = $1"#, held.task)
            .fetch_one(&mut **tx)
            .await?;
    let ranks: Vec<i32> = new.ranking.ranks().iter().filter_map(|rank| i32::try_from(*rank).ok()).collect();
    if i64::try_from(ranks.len()) != Ok(wanted) {
        return Err(SubmitError::AnswerCount { wanted, given: ranks.len() });
    }
    let said = new.assessment;
    let ratings =
        (0..ranks.len()).map(|position| said.ratings.get(position).copied().flatten().map(i32::from)).collect();
    let flags = (0..ranks.len())
        .map(|position| {
            let words = said.flags.get(position).into_iter().flatten().map(String::as_str);
            words.collect::<Vec<_>>().join(",")
        })
        .collect();
    Ok(Columns { ranks, ratings, flags })
}

pub(super) async fn hold(
    tx: &mut Transaction<'_, Postgres>,
    user: Uuid,
    assignment: Uuid,
    kind: TaskKind,
) -> Result<Held, SubmitError> {
    let row = sqlx::query!(
        r#"
        SELECT
            a.task_id,
            a.state,
            a.lease_until > now() AS "live!",
            extract(epoch FROM now() - a.created_at)::double precision AS "open_seconds!",
            t.prompt_id,
            t.kind,
            u.email
        FROM assignments a
        JOIN tasks t ON t.id = a.task_id
        JOIN users u ON u.id = a.user_id
        WHERE a.id = $1 AND a.user_id = $2
        FOR UPDATE OF a
        "#,
        assignment,
        user
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(SubmitError::NotYours)?;
    if row.kind != kind.as_str() {
        return Err(SubmitError::WrongKind);
    }
    Ok(Held {
        task: row.task_id,
        prompt: row.prompt_id,
        live: row.live && row.state == "leased",
        state: row.state,
        annotator: row.email,
        open_seconds: row.open_seconds,
    })
}

/// Counts the label towards the task's overlap where its holder has a place: by a running lease, or because nobody else took
/// it. `false` makes it an extra opinion.
pub(super) async fn take_place(tx: &mut Transaction<'_, Postgres>, user: Uuid, held: &Held) -> sqlx::Result<bool> {
    if !held.live && !room_for_late(tx, held.task, user).await? {
        return Ok(false);
    }
    let counted = sqlx::query!("UPDATE tasks SET labels = labels + 1 WHERE id = $1 AND labels < overlap", held.task)
        .execute(&mut **tx)
        .await?;
    Ok(counted.rows_affected() == 1)
}

/// Ends the lease; the draft has done its work. Whoever submits what they had skipped takes their reason back; of a task of a
/// course that came again after the skip, it stays.
pub(super) async fn finish(tx: &mut Transaction<'_, Postgres>, assignment: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        UPDATE assignments
        SET
            state = 'submitted',
            skip_reason = CASE WHEN state = 'leased' THEN skip_reason END,
            finished_at = now()
        WHERE id = $1
        "#,
        assignment
    )
    .execute(&mut **tx)
    .await?;
    drafts::forget(tx, assignment, None).await
}

async fn first_demonstration(tx: &mut Transaction<'_, Postgres>, assignment: Uuid) -> sqlx::Result<Submitted> {
    sqlx::query_as!(
        Submitted,
        r#"
        SELECT id AS label, extra_opinion, true AS "before!"
        FROM demonstrations
        WHERE assignment_id = $1 AND replaces_id IS NULL
        "#,
        assignment
    )
    .fetch_one(&mut **tx)
    .await
}

async fn first_ranking(tx: &mut Transaction<'_, Postgres>, assignment: Uuid) -> sqlx::Result<Submitted> {
    sqlx::query_as!(
        Submitted,
        r#"
        SELECT id AS "label!", extra_opinion AS "extra_opinion!", true AS "before!"
        FROM rankings
        WHERE assignment_id = $1 AND replaces_id IS NULL
        UNION ALL
        SELECT id, false, true FROM gold_answers WHERE assignment_id = $1
        "#,
        assignment
    )
    .fetch_one(&mut **tx)
    .await
}
