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
    /// The decision that the reviewer saw, if there was one. Where another stands, nothing is stored.
    pub seen: Option<Uuid>,
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
    #[error("somebody has decided about the task since the page was opened: look again")]
    Decided,
    #[error("you ranked this task yourself: somebody else has to review it")]
    OwnWork,
    #[error("a corrected ranking needs the right one: give your own order")]
    NoRanking,
    #[error("this task has {wanted} answers, and {given} were ranked")]
    AnswerCount { wanted: i64, given: usize },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// A ranking that stands, with what was said of it last.
struct Standing {
    id: Uuid,
    user_id: Option<Uuid>,
    verdict: Option<String>,
    feedback: Option<String>,
}

/// The decision that stands.
struct Before {
    id: Uuid,
    reviewer: Uuid,
    /// The reviewer's order by the answers' positions; empty where they gave none.
    ranks: Vec<i32>,
    confidence: Option<i32>,
    note: Option<String>,
}

impl Before {
    /// Whether the same reviewer has said just this: a form that is sent twice.
    fn is(&self, reviewer: Uuid, standing: &[Standing], judgements: &[Judgement], said: Option<&Said<'_>>) -> bool {
        let judged = |judgement: &Judgement| {
            standing.iter().any(|ranking| {
                ranking.id == judgement.ranking
                    && ranking.verdict.as_deref() == Some(judgement.verdict.as_str())
                    && ranking.feedback.as_ref() == Some(&judgement.feedback)
            })
        };
        self.reviewer == reviewer
            && judgements.len() == standing.len()
            && judgements.iter().all(judged)
            && self.ranks == said.map(Said::ranks).unwrap_or_default()
            && self.confidence == said.and_then(Said::point)
            && self.note.as_deref() == said.and_then(|said| said.note)
    }
}

/// Stores the verdicts and the decision. A second thought takes the place of the decision before, and of its order; of two reviewers
/// at once, the second is told. Sent twice, a decision is stored once.
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
    let standing = standing(&mut tx, task).await?;
    if standing.iter().any(|ranking| ranking.user_id == Some(reviewer)) {
        return Err(DecisionError::OwnWork);
    }
    let said = decision.ranking.map(|ranking| Said::of(&of.kind, ranking, &decision));
    let before = before(&mut tx, task).await?;
    if before.as_ref().is_some_and(|before| before.is(reviewer, &standing, decision.judgements, said.as_ref())) {
        return Ok(());
    }
    if before.map(|before| before.id) != decision.seen {
        return Err(DecisionError::Decided);
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
    let order = match said {
        Some(said) => Some(store(&mut tx, (task, of.prompt), reviewer, actor, said).await?),
        None => None,
    };
    let id = Uuid::now_v7();
    sqlx::query!(
        "INSERT INTO ranking_decisions (id, task_id, reviewer_id, ranking_id, replaces_id) VALUES ($1, $2, $3, $4, $5)",
        id,
        task,
        reviewer,
        order,
        decision.seen
    )
    .execute(&mut *tx)
    .await?;
    let judged: Vec<Uuid> = here.into_iter().collect();
    sqlx::query!(
        r#"
        INSERT INTO review_tasks (task_id, rankings, standing, reason, decided_at, decided_by)
        SELECT
            $1::uuid,
            count(*)::integer,
            md5(string_agg(judged.id::text, ' ' ORDER BY judged.id)),
            'hand',
            now(),
            $2::uuid
        FROM unnest($3::uuid[]) AS judged (id)
        ON CONFLICT (task_id) DO UPDATE SET
            rankings = excluded.rankings,
            standing = excluded.standing,
            reason = coalesce(review_tasks.reason, 'hand'),
            decided_at = excluded.decided_at,
            decided_by = excluded.decided_by
        "#,
        task,
        reviewer,
        &judged
    )
    .execute(&mut *tx)
    .await?;
    let verdicts: Vec<&str> = decision.judgements.iter().map(|judgement| judgement.verdict.as_str()).collect();
    let detail = json!({
        "verdicts": verdicts,
        "ranks": decision.ranking.map(Ranking::ranks),
        "decision": id,
        "replaces": decision.seen,
    });
    audit::record(&mut *tx, actor, "task.review", &format!("task/{task}"), detail).await?;
    tx.commit().await?;
    Ok(())
}

/// The rankings of a task that stand; the reviewers' orders are none of them.
async fn standing(tx: &mut Transaction<'_, Postgres>, task: Uuid) -> sqlx::Result<Vec<Standing>> {
    sqlx::query_as!(
        Standing,
        r#"
        SELECT
            r.id AS "id!",
            r.user_id,
            v.verdict AS "verdict?",
            v.feedback AS "feedback?"
        FROM current_rankings r
        LEFT JOIN LATERAL (
            SELECT verdict, feedback FROM reviews WHERE ranking_id = r.id ORDER BY id DESC LIMIT 1
        ) v ON true
        WHERE r.task_id = $1 AND NOT r.adjudicated
        "#,
        task
    )
    .fetch_all(&mut **tx)
    .await
}

async fn before(tx: &mut Transaction<'_, Postgres>, task: Uuid) -> sqlx::Result<Option<Before>> {
    sqlx::query_as!(
        Before,
        r#"
        SELECT
            d.id AS "id!",
            d.reviewer_id AS "reviewer!",
            ARRAY(
                SELECT place.rank FROM ranking_responses place WHERE place.ranking_id = d.ranking_id ORDER BY place.position
            ) AS "ranks!",
            own.confidence AS "confidence?",
            own.note AS "note?"
        FROM current_ranking_decisions d
        LEFT JOIN rankings own ON own.id = d.ranking_id
        WHERE d.task_id = $1
        "#,
        task
    )
    .fetch_optional(&mut **tx)
    .await
}

/// The reviewer's own label.
struct Said<'a> {
    ranking: &'a Ranking,
    confidence: Option<Confidence>,
    note: Option<&'a str>,
}

impl<'a> Said<'a> {
    /// What a decision says of a task of this kind.
    fn of(kind: &str, ranking: &'a Ranking, decision: &Decision<'a>) -> Self {
        let confidence = match ranking.ranks() {
            [first, second] if kind == TaskKind::Comparison.as_str() => {
                Some(decision.confidence.unwrap_or_else(|| Confidence::of_ranks([*first, *second])))
            }
            _ => None,
        };
        Said { ranking, confidence, note: decision.note }
    }

    /// As the database has them.
    fn ranks(&self) -> Vec<i32> {
        self.ranking.ranks().iter().filter_map(|rank| i32::try_from(*rank).ok()).collect()
    }

    fn point(&self) -> Option<i32> {
        self.confidence.map(|confidence| i32::from(confidence.point()))
    }
}

/// Stores the reviewer's order as a ranking and gives its id. It is the next version of the last one that a reviewer gave, in force
/// or taken back.
async fn store(
    tx: &mut Transaction<'_, Postgres>,
    (task, prompt): (Uuid, Uuid),
    reviewer: Uuid,
    actor: &Actor,
    said: Said<'_>,
) -> Result<Uuid, DecisionError> {
    let wanted = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM task_responses WHERE task_id = $1"#, task)
        .fetch_one(&mut **tx)
        .await?;
    let ranks = said.ranks();
    if i64::try_from(ranks.len()) != Ok(wanted) {
        return Err(DecisionError::AnswerCount { wanted, given: ranks.len() });
    }
    let label = Uuid::now_v7();
    sqlx::query!(
        r#"
        INSERT INTO rankings (id, prompt_id, task_id, user_id, annotator, note, confidence, adjudicated, replaces_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, true, (
            SELECT r.id
            FROM rankings r
            WHERE r.task_id = $3
                AND r.adjudicated
                AND NOT EXISTS (SELECT 1 FROM rankings newer WHERE newer.replaces_id = r.id)
        ))
        "#,
        label,
        prompt,
        task,
        reviewer,
        actor.name,
        said.note,
        said.point()
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
    Ok(label)
}
