//! Submitting: the label, the end of the lease and the task's count in one transaction.

use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::assignments::room_for_late;
use crate::domain::{assignment::TaskKind, ranking::Ranking};

/// A label that is stored, by this call or by an earlier one of the same assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    pub label: Uuid,
    /// Kept, but beyond the number of people that were wanted.
    pub extra_opinion: bool,
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
    pub note: Option<&'a str>,
    pub seconds: Option<f64>,
}

/// An assignment, locked until the transaction ends.
struct Held {
    task: Uuid,
    prompt: Uuid,
    state: String,
    live: bool,
    annotator: String,
    open_seconds: f64,
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
    let label = Uuid::now_v7();
    sqlx::query!(
        r#"
        INSERT INTO demonstrations
            (id, prompt_id, assignment_id, user_id, annotator, completion, language, seconds, extra_opinion)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        "#,
        label,
        held.prompt,
        assignment,
        user,
        held.annotator,
        demonstration.completion,
        demonstration.language,
        demonstration.seconds.unwrap_or(held.open_seconds),
        !counts
    )
    .execute(&mut *tx)
    .await?;
    finish(&mut tx, assignment).await?;
    tx.commit().await?;
    Ok(Submitted { label, extra_opinion: !counts })
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
    let held = hold(&mut tx, user, assignment, TaskKind::Ranking).await?;
    if held.state == "submitted" {
        return Ok(first_ranking(&mut tx, assignment).await?);
    }
    let wanted =
        sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM task_responses WHERE task_id = $1"#, held.task)
            .fetch_one(&mut *tx)
            .await?;
    let ranks: Vec<i32> = new.ranking.ranks().iter().filter_map(|rank| i32::try_from(*rank).ok()).collect();
    if i64::try_from(ranks.len()) != Ok(wanted) {
        return Err(SubmitError::AnswerCount { wanted, given: ranks.len() });
    }
    let counts = take_place(&mut tx, user, &held).await?;
    let label = Uuid::now_v7();
    sqlx::query!(
        r#"
        INSERT INTO rankings
            (id, prompt_id, task_id, assignment_id, user_id, annotator, seconds, note, extra_opinion)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        "#,
        label,
        held.prompt,
        held.task,
        assignment,
        user,
        held.annotator,
        new.seconds.unwrap_or(held.open_seconds),
        new.note,
        !counts
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        r#"
        INSERT INTO ranking_responses (ranking_id, position, response_id, rank)
        SELECT $1, answer.position, answer.response_id, given.rank
        FROM task_responses answer
        JOIN unnest($3::integer[]) WITH ORDINALITY AS given (rank, place) ON given.place = answer.position + 1
        WHERE answer.task_id = $2
        "#,
        label,
        held.task,
        &ranks
    )
    .execute(&mut *tx)
    .await?;
    finish(&mut tx, assignment).await?;
    tx.commit().await?;
    Ok(Submitted { label, extra_opinion: !counts })
}

async fn hold(
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
async fn take_place(tx: &mut Transaction<'_, Postgres>, user: Uuid, held: &Held) -> sqlx::Result<bool> {
    if !held.live && !room_for_late(tx, held.task, user).await? {
        return Ok(false);
    }
    let counted = sqlx::query!("UPDATE tasks SET labels = labels + 1 WHERE id = $1 AND labels < overlap", held.task)
        .execute(&mut **tx)
        .await?;
    Ok(counted.rows_affected() == 1)
}

/// Ends the lease; the draft has done its work.
async fn finish(tx: &mut Transaction<'_, Postgres>, assignment: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE assignments SET state = 'submitted', skip_reason = NULL, finished_at = now() WHERE id = $1",
        assignment
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!("DELETE FROM drafts WHERE assignment_id = $1", assignment).execute(&mut **tx).await?;
    Ok(())
}

async fn first_demonstration(tx: &mut Transaction<'_, Postgres>, assignment: Uuid) -> sqlx::Result<Submitted> {
    sqlx::query_as!(
        Submitted,
        "SELECT id AS label, extra_opinion FROM demonstrations WHERE assignment_id = $1 AND replaces_id IS NULL",
        assignment
    )
    .fetch_one(&mut **tx)
    .await
}

async fn first_ranking(tx: &mut Transaction<'_, Postgres>, assignment: Uuid) -> sqlx::Result<Submitted> {
    sqlx::query_as!(
        Submitted,
        "SELECT id AS label, extra_opinion FROM rankings WHERE assignment_id = $1 AND replaces_id IS NULL",
        assignment
    )
    .fetch_one(&mut **tx)
    .await
}

/// What an assignment led to, as its maker sees it again.
#[derive(Debug, Clone)]
pub enum Label {
    Demonstration {
        completion: String,
        extra_opinion: bool,
    },
    Ranking {
        /// By the answers' positions in the task.
        ranks: Vec<u32>,
        note: Option<String>,
        extra_opinion: bool,
    },
}

impl Label {
    pub fn extra_opinion(&self) -> bool {
        match self {
            Label::Demonstration { extra_opinion, .. } | Label::Ranking { extra_opinion, .. } => *extra_opinion,
        }
    }
}

/// The label that stands for an assignment, corrections taken into account. Only its maker finds it.
pub async fn find(pool: &PgPool, user: Uuid, assignment: Uuid) -> sqlx::Result<Option<Label>> {
    let demonstration = sqlx::query!(
        r#"
        SELECT completion AS "completion!", extra_opinion AS "extra_opinion!"
        FROM current_demonstrations
        WHERE assignment_id = $1 AND user_id = $2
        "#,
        assignment,
        user
    )
    .fetch_optional(pool)
    .await?;
    if let Some(row) = demonstration {
        return Ok(Some(Label::Demonstration { completion: row.completion, extra_opinion: row.extra_opinion }));
    }
    let ranking = sqlx::query!(
        r#"
        SELECT
            r.note,
            r.extra_opinion AS "extra_opinion!",
            array_agg(answer.rank ORDER BY answer.position) AS "ranks!"
        FROM current_rankings r
        JOIN ranking_responses answer ON answer.ranking_id = r.id
        WHERE r.assignment_id = $1 AND r.user_id = $2
        GROUP BY r.id, r.note, r.extra_opinion
        "#,
        assignment,
        user
    )
    .fetch_optional(pool)
    .await?;
    Ok(ranking.map(|row| Label::Ranking {
        ranks: row.ranks.into_iter().filter_map(|rank| u32::try_from(rank).ok()).collect(),
        note: row.note,
        extra_opinion: row.extra_opinion,
    }))
}
