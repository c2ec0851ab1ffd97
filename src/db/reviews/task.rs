//! A task as its reviewer sees it: the rankings without their makers' names.

use laurel_records::Message;
use sqlx::{PgPool, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::rating_scale::RatingScale;

/// A ranking that stands, with what was said of it last.
#[derive(Debug, Clone)]
pub struct Given {
    pub ranking: Uuid,
    pub user: Option<Uuid>,
    pub simulated: bool,
    /// By the answers' positions in the task.
    pub ranks: Vec<i32>,
    /// Ratings and words of flags, by position too.
    pub ratings: Vec<Option<i32>>,
    pub rating_scale: RatingScale,
    pub flags: Vec<Vec<String>>,
    /// None of the answers is good.
    pub all_bad: bool,
    /// Of two answers head to head: from 1, the first is far better, to 9, the second is.
    pub confidence: Option<i32>,
    pub note: Option<String>,
    pub seconds: Option<f64>,
    pub verdict: Option<String>,
    pub feedback: Option<String>,
}

/// Who decided, and when.
#[derive(Debug, Clone)]
pub struct Decided {
    /// The decision.
    pub id: Uuid,
    /// The reviewer's name.
    pub by: String,
    pub at: OffsetDateTime,
}

/// Everything of a task that a decision needs.
#[derive(Debug, Clone)]
pub struct ReviewTask {
    pub id: Uuid,
    /// `ranking` or `comparison`.
    pub kind: String,
    pub prompt: Uuid,
    pub conversation: Vec<Message>,
    /// Texts by position; which model wrote which stays hidden.
    pub answers: Vec<String>,
    pub reason: Option<String>,
    pub disagreement: Option<f64>,
    /// Nothing waits: what stands was decided about.
    pub decided: bool,
    pub given: Vec<Given>,
    /// The decision that stands, of a task that waits again too.
    pub decision: Option<Decided>,
    /// The order that the reviewer gave with it, if they gave one.
    pub order: Option<Given>,
}

/// A task of the project with its rankings, in an order by chance that stays the same.
pub async fn find(pool: &PgPool, project: Uuid, task: Uuid) -> sqlx::Result<ReviewTask> {
    let row = sqlx::query!(
        r#"
        SELECT
            t.kind,
            p.id AS prompt_id,
            p.conversation AS "conversation: Json<Vec<Message>>",
            ARRAY(
                SELECT answer.content
                FROM task_responses place
                JOIN responses answer ON answer.id = place.response_id
                WHERE place.task_id = t.id
                ORDER BY place.position
            ) AS "answers!",
            k.reason AS "reason?",
            k.disagreement AS "disagreement?",
            k.decided_at IS NOT NULL AS "decided!",
            d.id AS "decision?",
            reviewer.name AS "by?",
            d.created_at AS "at?"
        FROM tasks t
        JOIN prompts p ON p.id = t.prompt_id
        LEFT JOIN review_tasks k ON k.task_id = t.id
        LEFT JOIN current_ranking_decisions d ON d.task_id = t.id
        LEFT JOIN users reviewer ON reviewer.id = d.reviewer_id
        WHERE t.id = $1 AND t.project_id = $2
        "#,
        task,
        project
    )
    .fetch_one(pool)
    .await?;
    let given = sqlx::query!(
        r#"
        SELECT
            r.id AS "ranking!",
            r.user_id,
            r.adjudicated AS "adjudicated!",
            coalesce(u.simulated, false) AS "simulated!",
            ARRAY(
                SELECT place.rank FROM ranking_responses place WHERE place.ranking_id = r.id ORDER BY place.position
            ) AS "ranks!",
            ARRAY(
                SELECT place.rating FROM ranking_responses place WHERE place.ranking_id = r.id ORDER BY place.position
            ) AS "ratings!: Vec<Option<i32>>",
            r.rating_scale AS "rating_scale!: Json<RatingScale>",
            ARRAY(
                SELECT array_to_string(place.flags, ',')
                FROM ranking_responses place
                WHERE place.ranking_id = r.id
                ORDER BY place.position
            ) AS "flags!",
            r.all_bad AS "all_bad!",
            r.confidence,
            r.note,
            r.seconds,
            v.verdict AS "verdict?",
            v.feedback AS "feedback?"
        FROM current_rankings r
        LEFT JOIN users u ON u.id = r.user_id
        LEFT JOIN LATERAL (
            SELECT verdict, feedback FROM reviews WHERE ranking_id = r.id ORDER BY id DESC LIMIT 1
        ) v ON true
        WHERE r.task_id = $1
        ORDER BY md5(r.id::text)
        "#,
        task
    )
    .fetch_all(pool)
    .await?;
    let decision = match (row.decision, row.by, row.at) {
        (Some(id), Some(by), Some(at)) => Some(Decided { id, by, at }),
        _ => None,
    };
    let mut found = ReviewTask {
        id: task,
        kind: row.kind,
        prompt: row.prompt_id,
        conversation: row.conversation.0,
        answers: row.answers,
        reason: row.reason,
        disagreement: row.disagreement,
        decided: row.decided,
        given: Vec::new(),
        decision,
        order: None,
    };
    for row in given {
        let given = Given {
            ranking: row.ranking,
            user: row.user_id,
            simulated: row.simulated,
            ranks: row.ranks,
            ratings: row.ratings,
            rating_scale: row.rating_scale.0,
            flags: row
                .flags
                .iter()
                .map(|words| words.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect())
                .collect(),
            all_bad: row.all_bad,
            confidence: row.confidence,
            note: row.note,
            seconds: row.seconds,
            verdict: row.verdict,
            feedback: row.feedback,
        };
        if row.adjudicated { found.order = Some(given) } else { found.given.push(given) }
    }
    Ok(found)
}
