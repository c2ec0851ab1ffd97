//! Deciding: a verdict on every ranking of a task, and the reviewer's own ranking, in one transaction.

use std::collections::BTreeSet;

use serde_json::json;
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::{
    db::audit::{self, Actor},
    domain::{assignment::TaskKind, comparison::Confidence, ranking::Ranking},
};

/// What becomes of a ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It stays as it is.
    Accepted,
    /// The decision stands in its place.
    Corrected,
    /// It is of no use.
    Rejected,
}

impl Verdict {
    pub const ALL: [Verdict; 3] = [Verdict::Accepted, Verdict::Corrected, Verdict::Rejected];

    /// The word that the database and forms use.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Accepted => "accepted",
            Verdict::Corrected => "corrected",
            Verdict::Rejected => "rejected",
        }
    }

    /// The verdict that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Verdict::ALL.into_iter().find(|verdict| verdict.as_str() == word)
    }
}

/// A verdict on one ranking.
#[derive(Debug, Clone)]
pub struct Judgement {
    pub ranking: Uuid,
    pub verdict: Verdict,
    /// For its maker; may be empty.
    pub feedback: String,
}

/// What a reviewer decides of a task.
#[derive(Debug, Clone)]
pub struct Decision<'a> {
    pub judgements: &'a [Judgement],
    /// The reviewer's own ranking by the answers' positions; a label of its own.
    pub ranking: Option<&'a Ranking>,
    /// Of two answers that are judged head to head, how sure that is. Where only a side is chosen, the plain point of that side.
    pub confidence: Option<Confidence>,
    pub note: Option<&'a str>,
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum DecisionError {
    #[error("a ranking has come or changed since the page was opened: look again")]
    Changed,
    #[error("you ranked this task yourself: somebody else has to review it")]
    OwnWork,
    #[error("a corrected ranking needs the right one: give your own order")]
    NoRanking,
    #[error("this task has {wanted} answers, and {given} were ranked")]
    AnswerCount { wanted: i64, given: usize },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Stores the verdicts and the decision. A task that was decided before gets new ones beside the old, and they count.
pub async fn decide(
    pool: &PgPool,
    actor: &Actor,
    reviewer: Uuid,
    task: Uuid,
    decision: Decision<'_>,
) -> Result<(), DecisionError> {
    let mut tx = pool.begin().await?;
    let of = sqlx::query!(r#"SELECT prompt_id AS "prompt!", kind FROM tasks WHERE id = $1 FOR UPDATE"#, task)
        .fetch_one(&mut *tx)
        .await?;
    let standing = sqlx::query!(
        r#"SELECT id AS "id!", user_id FROM current_rankings WHERE task_id = $1 AND NOT adjudicated"#,
        task
    )
    .fetch_all(&mut *tx)
    .await?;
    if standing.iter().any(|ranking| ranking.user_id == Some(reviewer)) {
        return Err(DecisionError::OwnWork);
    }
    let here: BTreeSet<Uuid> = standing.iter().map(|ranking| ranking.id).collect();
    if here != decision.judgements.iter().map(|judgement| judgement.ranking).collect() || here.is_empty() {
        return Err(DecisionError::Changed);
    }
    if decision.ranking.is_none() && decision.judgements.iter().any(|one| one.verdict == Verdict::Corrected) {
        return Err(DecisionError::NoRanking);
    }
    for judgement in decision.judgements {
        sqlx::query!(
            "INSERT INTO reviews (id, ranking_id, reviewer_id, verdict, feedback) VALUES ($1, $2, $3, $4, $5)",
            Uuid::now_v7(),
            judgement.ranking,
            reviewer,
            judgement.verdict.as_str(),
            judgement.feedback
        )
        .execute(&mut *tx)
        .await?;
    }
    if let Some(ranking) = decision.ranking {
        let confidence = match ranking.ranks() {
            [first, second] if of.kind == TaskKind::Comparison.as_str() => {
                Some(decision.confidence.unwrap_or_else(|| Confidence::of_ranks([*first, *second])))
            }
            _ => None,
        };
        let said = Said { ranking, confidence, note: decision.note };
        store(&mut tx, (task, of.prompt), reviewer, actor, said).await?;
    }
    sqlx::query!(
        r#"
        INSERT INTO review_tasks (task_id, rankings, reason, decided_at, decided_by)
        VALUES ($1, $2, 'hand', now(), $3)
        ON CONFLICT (task_id) DO UPDATE SET
            rankings = excluded.rankings,
            reason = coalesce(review_tasks.reason, 'hand'),
            decided_at = excluded.decided_at,
            decided_by = excluded.decided_by
        "#,
        task,
        i32::try_from(here.len()).unwrap_or(i32::MAX),
        reviewer
    )
    .execute(&mut *tx)
    .await?;
    let verdicts: Vec<&str> = decision.judgements.iter().map(|judgement| judgement.verdict.as_str()).collect();
    let detail = json!({ "verdicts": verdicts, "ranks": decision.ranking.map(Ranking::ranks) });
    audit::record(&mut *tx, actor, "task.review", &format!("task/{task}"), detail).await?;
    tx.commit().await?;
    Ok(())
}

/// The reviewer's own label.
struct Said<'a> {
    ranking: &'a Ranking,
    confidence: Option<Confidence>,
    note: Option<&'a str>,
}

/// Stores the decision as a ranking; it replaces the one before.
async fn store(
    tx: &mut Transaction<'_, Postgres>,
    (task, prompt): (Uuid, Uuid),
    reviewer: Uuid,
    actor: &Actor,
    said: Said<'_>,
) -> Result<(), DecisionError> {
    let wanted = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM task_responses WHERE task_id = $1"#, task)
        .fetch_one(&mut **tx)
        .await?;
    let ranks: Vec<i32> = said.ranking.ranks().iter().filter_map(|rank| i32::try_from(*rank).ok()).collect();
    if i64::try_from(ranks.len()) != Ok(wanted) {
        return Err(DecisionError::AnswerCount { wanted, given: ranks.len() });
    }
    let label = Uuid::now_v7();
    sqlx::query!(
        r#"
        INSERT INTO rankings (id, prompt_id, task_id, user_id, annotator, note, confidence, adjudicated, replaces_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, true, (SELECT id FROM current_rankings WHERE task_id = $3 AND adjudicated))
        "#,
        label,
        prompt,
        task,
        reviewer,
        actor.name,
        said.note,
        said.confidence.map(|confidence| i32::from(confidence.point()))
    )
    .execute(&mut **tx)
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
        task,
        &ranks
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
