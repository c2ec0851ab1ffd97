//! A text as its reviewer sees it: with its prompt, without its writer's name, and with what was decided last.

use laurel_records::Message;
use sqlx::{PgPool, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::db::reviews::Verdict;

/// A demonstration that is reviewed, or may be.
#[derive(Debug, Clone)]
pub struct Reviewed {
    pub id: Uuid,
    pub prompt: Uuid,
    pub conversation: Vec<Message>,
    pub completion: String,
    pub language: Option<String>,
    pub seconds: Option<f64>,
    pub extra_opinion: bool,
    /// Written by a program that stands in for a person.
    pub simulated: bool,
    pub writer: Option<Uuid>,
    pub written_at: OffsetDateTime,
    /// The version by which its writer has replaced it.
    pub newer: Option<Uuid>,
    /// What was decided last.
    pub decision: Option<Decided>,
}

/// A decision that stands.
#[derive(Debug, Clone)]
pub struct Decided {
    pub id: Uuid,
    pub verdict: Verdict,
    /// May be empty.
    pub feedback: String,
    /// The reviewer's own text, where it stands in place of the writer's.
    pub text: Option<String>,
    /// The reviewer's name.
    pub by: String,
    pub at: OffsetDateTime,
}

/// A demonstration of the project; `RowNotFound` where there is none of this id, or it is a reviewer's own text.
pub async fn find(pool: &PgPool, project: Uuid, demonstration: Uuid) -> sqlx::Result<Reviewed> {
    let row = sqlx::query!(
        r#"
        SELECT
            p.id AS prompt,
            p.conversation AS "conversation: Json<Vec<Message>>",
            d.completion,
            coalesce(d.language, p.language) AS language,
            d.seconds,
            d.extra_opinion,
            coalesce(u.simulated, false) AS "simulated!",
            d.user_id AS writer,
            d.created_at AS written_at,
            newer.id AS "newer?",
            v.id AS "review?",
            v.verdict AS "verdict?",
            v.feedback AS "feedback?",
            instead.completion AS "text?",
            reviewer.name AS "by?",
            v.created_at AS "decided_at?"
        FROM demonstrations d
        JOIN prompts p ON p.id = d.prompt_id
        LEFT JOIN users u ON u.id = d.user_id
        LEFT JOIN demonstrations newer ON newer.replaces_id = d.id AND NOT newer.adjudicated
        LEFT JOIN current_demonstration_reviews v ON v.demonstration_id = d.id
        LEFT JOIN demonstrations instead ON instead.id = v.text_id
        LEFT JOIN users reviewer ON reviewer.id = v.reviewer_id
        WHERE d.id = $1 AND p.project_id = $2 AND NOT d.adjudicated
        "#,
        demonstration,
        project
    )
    .fetch_one(pool)
    .await?;
    let decision = match (row.review, row.verdict.as_deref().and_then(Verdict::from_word), row.decided_at) {
        (Some(id), Some(verdict), Some(at)) => Some(Decided {
            id,
            verdict,
            feedback: row.feedback.unwrap_or_default(),
            text: row.text,
            by: row.by.unwrap_or_default(),
            at,
        }),
        _ => None,
    };
    Ok(Reviewed {
        id: demonstration,
        prompt: row.prompt,
        conversation: row.conversation.0,
        completion: row.completion,
        language: row.language,
        seconds: row.seconds,
        extra_opinion: row.extra_opinion,
        simulated: row.simulated,
        writer: row.writer,
        written_at: row.written_at,
        newer: row.newer,
        decision,
    })
}
