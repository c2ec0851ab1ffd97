//! Deciding about a text: the verdict, the reviewer's own text and the place of the task, in one transaction.

use serde_json::json;
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::db::{
    assignments::room_for_late,
    audit::{self, Actor},
    reviews::Verdict,
    tasks,
};

/// What a reviewer decides of a text.
#[derive(Debug, Clone, Copy)]
pub struct Judgement<'a> {
    pub demonstration: Uuid,
    /// The decision that the reviewer saw, if there was one. Where another stands, nothing is stored.
    pub seen: Option<Uuid>,
    pub verdict: Verdict,
    /// For the writer; a rejection needs it.
    pub feedback: &'a str,
    /// The reviewer's own text, for [`Verdict::Corrected`].
    pub text: &'a str,
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum DecisionError {
    #[error("the text was corrected by its writer, or decided about, since the page was opened: look again")]
    Changed,
    #[error("you wrote this yourself: somebody else has to review it")]
    OwnWork,
    #[error("a rejection needs a reason for the writer")]
    NoReason,
    #[error("the text in its place is missing, or is the same")]
    NoText,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The text under review, locked until the transaction ends.
struct Held {
    prompt: Uuid,
    task: Option<Uuid>,
    writer: Option<Uuid>,
    completion: String,
    language: Option<String>,
    extra_opinion: bool,
    /// Its writer has put another version in its place.
    replaced: bool,
}

/// The decision that stands.
struct Before {
    id: Uuid,
    reviewer: Uuid,
    verdict: String,
    feedback: String,
    text_id: Option<Uuid>,
    text: Option<String>,
    counts: bool,
}

impl Before {
    /// Whether the same reviewer has said just this: a form that is sent twice.
    fn is(&self, reviewer: Uuid, judgement: &Judgement<'_>) -> bool {
        self.reviewer == reviewer
            && self.verdict == judgement.verdict.as_str()
            && self.feedback == judgement.feedback
            && (judgement.verdict != Verdict::Corrected || self.text.as_deref() == Some(judgement.text))
    }
}

/// Stores a decision about a demonstration of the project. One that is rejected gives its place in the task back, so that somebody
/// else is asked. A second thought takes the place of the decision before; of two reviewers at once, the second is told. Sent twice,
/// a decision is stored once.
pub async fn decide(
    pool: &PgPool,
    actor: &Actor,
    (project, reviewer): (Uuid, Uuid),
    judgement: Judgement<'_>,
) -> Result<(), DecisionError> {
    let mut tx = pool.begin().await?;
    let held = hold(&mut tx, project, judgement.demonstration).await?;
    if held.writer == Some(reviewer) {
        return Err(DecisionError::OwnWork);
    }
    let before = before(&mut tx, judgement.demonstration).await?;
    if before.as_ref().is_some_and(|before| before.is(reviewer, &judgement)) {
        return Ok(());
    }
    if held.replaced || before.as_ref().map(|before| before.id) != judgement.seen {
        return Err(DecisionError::Changed);
    }
    if judgement.verdict == Verdict::Rejected && judgement.feedback.is_empty() {
        return Err(DecisionError::NoReason);
    }
    let counts = place(&mut tx, &held, before.as_ref(), reviewer, judgement.verdict).await?;
    let text = match judgement.verdict {
        Verdict::Corrected => {
            let own = Own { reviewer, annotator: &actor.name, counts };
            Some(own_text(&mut tx, &held, before.as_ref(), own, &judgement).await?)
        }
        Verdict::Accepted | Verdict::Rejected => None,
    };
    let review = Uuid::now_v7();
    sqlx::query!(
        r#"
        INSERT INTO demonstration_reviews (
            id, demonstration_id, reviewer_id, verdict, feedback, text_id, counts, replaces_id
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        "#,
        review,
        judgement.demonstration,
        reviewer,
        judgement.verdict.as_str(),
        judgement.feedback,
        text,
        counts,
        judgement.seen
    )
    .execute(&mut *tx)
    .await?;
    if judgement.verdict == Verdict::Rejected {
        ask_again(&mut tx, project, held.prompt).await?;
    }
    let detail = json!({
        "verdict": judgement.verdict.as_str(),
        "review": review,
        "replaces": judgement.seen,
        "text": text,
    });
    let subject = format!("demonstration/{}", judgement.demonstration);
    audit::record(&mut *tx, actor, "demonstration.review", &subject, detail).await?;
    tx.commit().await?;
    Ok(())
}

/// Locks the assignment first, as its writer's correction does: whichever of the two comes second sees the other.
async fn hold(tx: &mut Transaction<'_, Postgres>, project: Uuid, demonstration: Uuid) -> sqlx::Result<Held> {
    sqlx::query!(
        r#"
        SELECT a.id
        FROM assignments a
        JOIN demonstrations d ON d.assignment_id = a.id
        WHERE d.id = $1
        FOR UPDATE OF a
        "#,
        demonstration
    )
    .fetch_optional(&mut **tx)
    .await?;
    sqlx::query_scalar!("SELECT id FROM demonstrations WHERE id = $1 FOR NO KEY UPDATE", demonstration)
        .fetch_optional(&mut **tx)
        .await?;
    sqlx::query_as!(
        Held,
        r#"
        SELECT
            d.prompt_id AS prompt,
            a.task_id AS "task?",
            d.user_id AS writer,
            d.completion,
            d.language,
            d.extra_opinion,
            EXISTS (
                SELECT 1 FROM demonstrations newer WHERE newer.replaces_id = d.id AND NOT newer.adjudicated
            ) AS "replaced!"
        FROM demonstrations d
        JOIN prompts p ON p.id = d.prompt_id
        LEFT JOIN assignments a ON a.id = d.assignment_id
        WHERE d.id = $1 AND p.project_id = $2 AND NOT d.adjudicated
        "#,
        demonstration,
        project
    )
    .fetch_one(&mut **tx)
    .await
}

async fn before(tx: &mut Transaction<'_, Postgres>, demonstration: Uuid) -> sqlx::Result<Option<Before>> {
    sqlx::query_as!(
        Before,
        r#"
        SELECT
            v.id AS "id!",
            v.reviewer_id AS "reviewer!",
            v.verdict AS "verdict!",
            v.feedback AS "feedback!",
            v.text_id,
            own.completion AS "text?",
            v.counts AS "counts!"
        FROM current_demonstration_reviews v
        LEFT JOIN demonstrations own ON own.id = v.text_id
        WHERE v.demonstration_id = $1
        "#,
        demonstration
    )
    .fetch_optional(&mut **tx)
    .await
}

/// Gives the text's place in its task back, or takes one, and says whether it has one now. What comes back after somebody else has
/// taken the place stands all the same, as an extra opinion.
async fn place(
    tx: &mut Transaction<'_, Postgres>,
    held: &Held,
    before: Option<&Before>,
    reviewer: Uuid,
    verdict: Verdict,
) -> sqlx::Result<bool> {
    let Some(task) = held.task else { return Ok(false) };
    let had = before.map_or(!held.extra_opinion, |before| before.counts);
    match (had, verdict != Verdict::Rejected) {
        (true, true) => Ok(true),
        (true, false) => {
            sqlx::query!("UPDATE tasks SET labels = labels - 1 WHERE id = $1 AND labels > 0", task)
                .execute(&mut **tx)
                .await?;
            Ok(false)
        }
        (false, true) if room_for_late(tx, task, held.writer.unwrap_or(reviewer)).await? => {
            let taken = sqlx::query!("UPDATE tasks SET labels = labels + 1 WHERE id = $1 AND labels < overlap", task)
                .execute(&mut **tx)
                .await?;
            Ok(taken.rows_affected() == 1)
        }
        (false, _) => Ok(false),
    }
}

/// Whose text is stored, and whether it fills the place of the one that it replaces.
struct Own<'a> {
    reviewer: Uuid,
    annotator: &'a str,
    counts: bool,
}

/// The reviewer's text: a new version that names the one before, or the same that stands already.
async fn own_text(
    tx: &mut Transaction<'_, Postgres>,
    held: &Held,
    before: Option<&Before>,
    own: Own<'_>,
    judgement: &Judgement<'_>,
) -> Result<Uuid, DecisionError> {
    if judgement.text.trim().is_empty() || judgement.text == held.completion {
        return Err(DecisionError::NoText);
    }
    if let Some(before) = before.filter(|before| before.text.as_deref() == Some(judgement.text))
        && let Some(text) = before.text_id
    {
        return Ok(text);
    }
    let last = sqlx::query_scalar!(
        r#"
        SELECT text_id AS "text!"
        FROM demonstration_reviews
        WHERE demonstration_id = $1 AND text_id IS NOT NULL
        ORDER BY text_id DESC
        LIMIT 1
        "#,
        judgement.demonstration
    )
    .fetch_optional(&mut **tx)
    .await?;
    let text = Uuid::now_v7();
    sqlx::query!(
        r#"
        INSERT INTO demonstrations (
            id, prompt_id, user_id, annotator, completion, language, extra_opinion, adjudicated, replaces_id
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, true, $8)
        "#,
        text,
        held.prompt,
        own.reviewer,
        own.annotator,
        judgement.text,
        held.language,
        held.task.is_some() && !own.counts,
        last.unwrap_or(judgement.demonstration)
    )
    .execute(&mut **tx)
    .await?;
    Ok(text)
}

/// Asks for an answer to a prompt of which none is left and that was never asked about here: one that came with its answer.
async fn ask_again(tx: &mut Transaction<'_, Postgres>, project: Uuid, prompt: Uuid) -> sqlx::Result<()> {
    let left = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM standing_demonstrations WHERE prompt_id = $1) AS "left!""#,
        prompt
    )
    .fetch_one(&mut **tx)
    .await?;
    if !left {
        tasks::create_demonstration_task(tx, project, prompt).await?;
    }
    Ok(())
}
