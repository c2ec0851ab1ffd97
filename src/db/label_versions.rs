//! What an assignment led to, version by version, and its correction: a new version that names the one it replaces.

use std::collections::BTreeSet;

use laurel_records::Message;
use sqlx::{PgPool, Postgres, Transaction, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    drafts, gold,
    labels::{self, NewDemonstration, NewRanking, SubmitError, Version},
};
use crate::domain::{
    assignment::TaskKind,
    comparison::Confidence,
    label_scheme::{Assessment, LabelScheme},
    rating_scale::RatingScale,
};

/// A label as its maker sees it again.
#[derive(Debug, Clone)]
pub enum Label {
    Demonstration {
        completion: String,
        extra_opinion: bool,
    },
    Prompt {
        /// Up to and with what waits for an answer.
        conversation: Vec<Message>,
        extra_opinion: bool,
    },
    Ranking {
        /// By the answers' positions in the task.
        ranks: Vec<u32>,
        /// By the answers' positions too, where they were judged head to head.
        confidence: Option<Confidence>,
        assessment: Assessment,
        note: Option<String>,
        extra_opinion: bool,
    },
}

impl Label {
    pub fn extra_opinion(&self) -> bool {
        match self {
            Label::Demonstration { extra_opinion, .. }
            | Label::Prompt { extra_opinion, .. }
            | Label::Ranking { extra_opinion, .. } => *extra_opinion,
        }
    }

    /// What a project asks for of another version of this label.
    pub fn scheme(&self, of_project: &LabelScheme) -> LabelScheme {
        match self {
            Label::Demonstration { .. } | Label::Prompt { .. } => of_project.clone(),
            Label::Ranking { assessment, .. } => of_project.as_of(assessment),
        }
    }

    /// Whether two labels say the same, counted or not.
    pub fn says_the_same(&self, other: &Label) -> bool {
        match (self, other) {
            (Label::Demonstration { completion, .. }, Label::Demonstration { completion: other, .. }) => {
                completion == other
            }
            (Label::Prompt { conversation, .. }, Label::Prompt { conversation: other, .. }) => conversation == other,
            (
                Label::Ranking { ranks, confidence, assessment, note, .. },
                Label::Ranking { ranks: r, confidence: c, assessment: a, note: n, .. },
            ) => (ranks, confidence, note) == (r, c, n) && assessment.says_the_same(a),
            _ => false,
        }
    }
}

/// One version of an assignment's label.
#[derive(Debug, Clone)]
pub struct LabelVersion {
    pub id: Uuid,
    pub at: OffsetDateTime,
    pub label: Label,
}

/// Every version of an assignment's label, the one that stands last. Only its maker finds them.
pub async fn all(pool: &PgPool, user: Uuid, assignment: Uuid) -> sqlx::Result<Vec<LabelVersion>> {
    // An assignment has labels of one kind.
    let texts = texts(pool, user, assignment).await?;
    if !texts.is_empty() {
        return Ok(texts);
    }
    let prompts = prompts(pool, user, assignment).await?;
    if !prompts.is_empty() {
        return Ok(prompts);
    }
    rankings(pool, user, assignment).await
}

async fn texts(pool: &PgPool, user: Uuid, assignment: Uuid) -> sqlx::Result<Vec<LabelVersion>> {
    let rows = sqlx::query!(
        "SELECT id, created_at, completion, extra_opinion FROM demonstrations WHERE assignment_id = $1 AND user_id = $2 ORDER BY id",
        assignment,
        user
    )
    .fetch_all(pool)
    .await?;
    let versions = rows.into_iter().map(|row| LabelVersion {
        id: row.id,
        at: row.created_at,
        label: Label::Demonstration { completion: row.completion, extra_opinion: row.extra_opinion },
    });
    Ok(versions.collect())
}

async fn prompts(pool: &PgPool, user: Uuid, assignment: Uuid) -> sqlx::Result<Vec<LabelVersion>> {
    let rows = sqlx::query!(
        r#"
        SELECT w.id, w.created_at, w.extra_opinion, p.conversation AS "conversation: Json<Vec<Message>>"
        FROM written_prompts w
        JOIN prompts p ON p.id = w.prompt_id
        WHERE w.assignment_id = $1 AND w.user_id = $2
        ORDER BY w.id
        "#,
        assignment,
        user
    )
    .fetch_all(pool)
    .await?;
    let versions = rows.into_iter().map(|row| LabelVersion {
        id: row.id,
        at: row.created_at,
        label: Label::Prompt { conversation: row.conversation.0, extra_opinion: row.extra_opinion },
    });
    Ok(versions.collect())
}

async fn rankings(pool: &PgPool, user: Uuid, assignment: Uuid) -> sqlx::Result<Vec<LabelVersion>> {
    let rows = sqlx::query!(
        r#"
        SELECT
            r.id AS "id!",
            r.created_at AS "created_at!",
            r.note,
            r.confidence,
            r.all_bad AS "all_bad!",
            r.extra_opinion AS "extra_opinion!",
            array_agg(answer.rank ORDER BY answer.position) AS "ranks!",
            array_agg(answer.rating ORDER BY answer.position) AS "ratings!: Vec<Option<i32>>",
            array_agg(array_to_string(answer.flags, ',') ORDER BY answer.position) AS "flags!",
            r.rating_scale AS "rating_scale!: Json<RatingScale>"
        FROM rankings r
        JOIN ranking_responses answer ON answer.ranking_id = r.id
        WHERE r.assignment_id = $1 AND r.user_id = $2
        GROUP BY r.id
        UNION ALL
        SELECT a.id, a.created_at, a.note, a.confidence, a.all_bad, false, a.ranks, a.ratings, a.flags, a.rating_scale
        FROM gold_answers a
        WHERE a.assignment_id = $1 AND a.user_id = $2
        UNION ALL
        SELECT c.id, c.created_at, c.note, c.confidence, c.all_bad, false, c.ranks, c.ratings, c.flags, c.rating_scale
        FROM gold_corrections c
        JOIN gold_answers a ON a.assignment_id = c.assignment_id
        WHERE a.assignment_id = $1 AND a.user_id = $2
        ORDER BY 1
        "#,
        assignment,
        user
    )
    .fetch_all(pool)
    .await?;
    let versions = rows.into_iter().map(|row| LabelVersion {
        id: row.id,
        at: row.created_at,
        label: Label::Ranking {
            ranks: row.ranks.into_iter().filter_map(|rank| u32::try_from(rank).ok()).collect(),
            confidence: row.confidence.and_then(|point| Confidence::new(point.into()).ok()),
            assessment: Assessment {
                scale: row.rating_scale.0,
                ratings: row.ratings.into_iter().map(|rating| rating.and_then(|it| u8::try_from(it).ok())).collect(),
                flags: row.flags.iter().map(|words| flag_words(words)).collect(),
                all_bad: row.all_bad,
            },
            note: row.note,
            extra_opinion: row.extra_opinion,
        },
    });
    Ok(versions.collect())
}

/// The words of a list with commas between them.
fn flag_words(words: &str) -> BTreeSet<String> {
    words.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Whether a label may be replaced by its maker; the database's function of this name is the one place that decides.
pub async fn may_be_corrected(pool: &PgPool, label: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT may_be_corrected($1) AS "may!""#, label).fetch_one(pool).await
}

/// Whether a version of an assignment's label is the one that stands and may be replaced by its maker.
pub(super) async fn may_be_replaced(
    tx: &mut Transaction<'_, Postgres>,
    assignment: Uuid,
    version: Uuid,
) -> sqlx::Result<bool> {
    // An assignment has labels of one kind, and ids are made in the order of time.
    let standing = sqlx::query!(
        r#"
        SELECT versions.id AS "id!", may_be_corrected(versions.id) AS "may!"
        FROM (
            SELECT id FROM demonstrations WHERE assignment_id = $1
            UNION ALL
            SELECT id FROM written_prompts WHERE assignment_id = $1
            UNION ALL
            SELECT id FROM rankings WHERE assignment_id = $1
            UNION ALL
            SELECT id FROM gold_answers WHERE assignment_id = $1
            UNION ALL
            SELECT id FROM gold_corrections WHERE assignment_id = $1
        ) AS versions
        ORDER BY versions.id DESC
        LIMIT 1
        "#,
        assignment
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(standing.is_some_and(|standing| standing.id == version && standing.may))
}

/// What a correction has in its hands: the label that it wants to replace, by whom, of which assignment.
#[derive(Debug, Clone, Copy)]
pub struct Correction {
    pub user: Uuid,
    pub assignment: Uuid,
    /// The version that the person saw. Where another has replaced it already, nothing is stored.
    pub replaces: Uuid,
    /// When the draft of it was saved that the page had, in milliseconds since 1970: one that was saved elsewhere since stays.
    /// `None` where the page does not say.
    pub base: Option<i64>,
}

/// What the new version is to take over from the one that stands; `None` where another version has taken its place already.
async fn next_version(
    tx: &mut Transaction<'_, Postgres>,
    correction: Correction,
) -> Result<Option<Version>, SubmitError> {
    // An assignment has labels of one kind.
    let standing = sqlx::query!(
        r#"
        SELECT id AS "id!", extra_opinion AS "extra_opinion!", may_be_corrected(id) AS "may!"
        FROM current_demonstrations
        WHERE assignment_id = $1
        UNION ALL
        SELECT id, extra_opinion, may_be_corrected(id)
        FROM current_rankings
        WHERE assignment_id = $1
        "#,
        correction.assignment
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(SubmitError::NotYours)?;
    if standing.id != correction.replaces {
        return Ok(None);
    }
    if !standing.may {
        return Err(SubmitError::Closed);
    }
    Ok(Some(Version { extra_opinion: standing.extra_opinion, replaces: Some(correction.replaces) }))
}

/// Stores a new version of a demonstration; `false` where another version has taken the place of the one that it would replace:
/// the same one, as when a form is sent twice, or a different one. Counts and overlap stay as they are; its draft goes.
pub async fn correct_demonstration(
    pool: &PgPool,
    correction: Correction,
    new: NewDemonstration<'_>,
) -> Result<bool, SubmitError> {
    let Correction { user, assignment, .. } = correction;
    let mut tx = pool.begin().await?;
    let held = labels::hold(&mut tx, user, assignment, TaskKind::Demonstration).await?;
    let Some(version) = next_version(&mut tx, correction).await? else { return Ok(false) };
    labels::insert_demonstration(&mut tx, &held, (user, assignment), new, version).await?;
    drafts::forget(&mut tx, assignment, correction.base).await?;
    tx.commit().await?;
    Ok(true)
}

/// Stores a new version of a ranking or of a comparison, as [`correct_demonstration`] does.
pub async fn correct_ranking(pool: &PgPool, correction: Correction, new: NewRanking<'_>) -> Result<bool, SubmitError> {
    let Correction { user, assignment, .. } = correction;
    let mut tx = pool.begin().await?;
    let kind = if new.confidence.is_some() { TaskKind::Comparison } else { TaskKind::Ranking };
    let held = labels::hold(&mut tx, user, assignment, kind).await?;
    if let Some(stored) = gold::correct(&mut tx, &held, correction, new).await? {
        if stored {
            drafts::forget(&mut tx, assignment, correction.base).await?;
        }
        tx.commit().await?;
        return Ok(stored);
    }
    // A reviewer who decides holds the task: whichever of the two comes second sees the other.
    sqlx::query_scalar!("SELECT id FROM tasks WHERE id = $1 FOR NO KEY UPDATE", held.task).fetch_one(&mut *tx).await?;
    let Some(version) = next_version(&mut tx, correction).await? else { return Ok(false) };
    labels::insert_ranking(&mut tx, &held, (user, assignment), new, version).await?;
    drafts::forget(&mut tx, assignment, correction.base).await?;
    tx.commit().await?;
    Ok(true)
}
