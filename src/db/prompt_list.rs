//! One prompt with all that was said to it, every version of every label included.

use laurel_records::Message;
use sqlx::{PgPool, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::rating_scale::RatingScale;

/// A prompt with its conversation.
#[derive(Debug, Clone)]
pub struct Prompt {
    pub id: Uuid,
    pub external_id: Option<String>,
    pub conversation: Json<Vec<Message>>,
    pub language: Option<String>,
    pub tags: Vec<String>,
    pub split: String,
    pub created_at: OffsetDateTime,
    /// Nobody is asked about it any more, after a report.
    pub withdrawn: bool,
}

/// A prompt of a project; `RowNotFound` where it has none of this id.
pub async fn prompt(pool: &PgPool, project: Uuid, id: Uuid) -> Result<Prompt, sqlx::Error> {
    sqlx::query_as!(
        Prompt,
        r#"
        SELECT
            id,
            external_id,
            conversation AS "conversation: Json<Vec<Message>>",
            language,
            tags,
            split,
            created_at,
            withdrawn_at IS NOT NULL AS "withdrawn!"
        FROM prompts
        WHERE id = $1 AND project_id = $2
        "#,
        id,
        project
    )
    .fetch_one(pool)
    .await
}

/// A candidate answer.
#[derive(Debug, Clone)]
pub struct Response {
    pub id: Uuid,
    pub content: String,
    pub model: Option<String>,
    pub created_at: OffsetDateTime,
}

/// A version of a demonstration.
#[derive(Debug, Clone)]
pub struct Demonstration {
    pub id: Uuid,
    /// The version that it corrects.
    pub replaces_id: Option<Uuid>,
    pub completion: String,
    pub annotator: Option<String>,
    /// By a program that stands in for a person.
    pub simulated: bool,
    pub seconds: Option<f64>,
    pub extra_opinion: bool,
    /// A reviewer's text in place of another's.
    pub adjudicated: bool,
    /// What a reviewer found of it: `accepted`, `corrected` or `rejected`.
    pub review: Option<String>,
    /// The last version of its writer, or a reviewer's text that is in force.
    pub current: bool,
    pub created_at: OffsetDateTime,
}

/// A version of a ranking, its answers from best to worst.
#[derive(Debug, Clone)]
pub struct Ranking {
    pub id: Uuid,
    /// The version that it corrects.
    pub replaces_id: Option<Uuid>,
    pub note: Option<String>,
    pub annotator: Option<String>,
    /// By a program that stands in for a person.
    pub simulated: bool,
    pub seconds: Option<f64>,
    pub extra_opinion: bool,
    pub created_at: OffsetDateTime,
    /// How sure the person was of two answers: 1, the first of the record is far better, to 9.
    pub confidence: Option<i32>,
    pub all_bad: bool,
    pub ranks: Vec<i32>,
    pub responses: Vec<Uuid>,
    /// In the order of `responses`, as is `flags`.
    pub ratings: Vec<Option<i32>>,
    pub rating_scale: Json<RatingScale>,
    /// Words with commas between them.
    pub flags: Vec<String>,
    /// Place of each answer in the record.
    pub positions: Vec<i32>,
    /// The last version of its maker; of a reviewer's order, only while it is in force.
    pub current: bool,
}

/// All answers to a prompt, oldest first.
pub async fn responses(pool: &PgPool, prompt: Uuid) -> Result<Vec<Response>, sqlx::Error> {
    sqlx::query_as!(
        Response,
        "SELECT id, content, model, created_at FROM responses WHERE prompt_id = $1 ORDER BY id",
        prompt
    )
    .fetch_all(pool)
    .await
}

/// The demonstrations of a prompt in every version, oldest first.
pub async fn demonstrations(pool: &PgPool, prompt: Uuid) -> Result<Vec<Demonstration>, sqlx::Error> {
    sqlx::query_as!(
        Demonstration,
        r#"
        SELECT
            d.id,
            d.replaces_id,
            d.completion,
            coalesce(u.name, d.annotator) AS annotator,
            coalesce(u.simulated, d.extra -> 'simulated' = 'true', false) AS "simulated!",
            d.seconds,
            d.extra_opinion,
            d.adjudicated,
            v.verdict AS "review?",
            EXISTS (SELECT 1 FROM current_demonstrations c WHERE c.id = d.id) AS "current!",
            d.created_at
        FROM demonstrations d
        LEFT JOIN users u ON u.id = d.user_id
        LEFT JOIN current_demonstration_reviews v ON v.demonstration_id = d.id
        WHERE d.prompt_id = $1
        ORDER BY d.id
        "#,
        prompt
    )
    .fetch_all(pool)
    .await
}

/// The rankings of a prompt in every version, oldest first.
pub async fn rankings(pool: &PgPool, prompt: Uuid) -> Result<Vec<Ranking>, sqlx::Error> {
    sqlx::query_as!(
        Ranking,
        r#"
        SELECT
            r.id,
            r.replaces_id,
            r.note,
            coalesce(u.name, r.annotator) AS annotator,
            coalesce(u.simulated, r.extra -> 'simulated' = 'true', false) AS "simulated!",
            r.seconds,
            r.extra_opinion,
            r.created_at,
            r.confidence,
            r.all_bad,
            array_agg(rr.rank ORDER BY rr.rank, rr.position) AS "ranks!",
            array_agg(rr.response_id ORDER BY rr.rank, rr.position) AS "responses!",
            array_agg(rr.rating ORDER BY rr.rank, rr.position) AS "ratings!: Vec<Option<i32>>",
            r.rating_scale AS "rating_scale: Json<RatingScale>",
            array_agg(array_to_string(rr.flags, ',') ORDER BY rr.rank, rr.position) AS "flags!",
            array_agg(rr.position ORDER BY rr.rank, rr.position) AS "positions!",
            EXISTS (SELECT 1 FROM current_rankings c WHERE c.id = r.id) AS "current!"
        FROM rankings r
        JOIN ranking_responses rr ON rr.ranking_id = r.id
        LEFT JOIN users u ON u.id = r.user_id
        WHERE r.prompt_id = $1
        GROUP BY r.id, u.name, u.simulated
        ORDER BY r.id
        "#,
        prompt
    )
    .fetch_all(pool)
    .await
}
