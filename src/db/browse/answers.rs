//! The list of candidate answers.

use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Filter, Listed, READ, page};

/// An answer in the list.
#[derive(Debug, Clone)]
pub struct Answer {
    pub id: Uuid,
    pub prompt_id: Uuid,
    /// The answer, cut off.
    pub excerpt: String,
    /// The last message of its prompt, cut off.
    pub prompt: String,
    pub model: Option<String>,
    pub language: Option<String>,
    pub split: String,
    pub created_at: OffsetDateTime,
    /// Standing rankings that have it, without those that a reviewer set aside.
    pub rankings: i64,
}

/// The answers before one, newest first.
pub async fn before(
    pool: &PgPool,
    project: Uuid,
    filter: &Filter,
    before: Option<Uuid>,
) -> Result<Listed<Answer>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Answer,
        r#"
        SELECT
            a.id,
            a.prompt_id,
            left(a.content, 240) AS "excerpt!",
            left(p.conversation -> -1 ->> 'content', 120) AS "prompt!",
            a.model,
            p.language,
            p.split,
            a.created_at,
            (
                SELECT count(*)
                FROM ranking_responses rr
                JOIN current_rankings r ON r.id = rr.ranking_id
                WHERE r.prompt_id = p.id
                    AND rr.response_id = a.id
                    AND coalesce((
                        SELECT v.verdict FROM reviews v WHERE v.ranking_id = r.id ORDER BY v.id DESC LIMIT 1
                    ), 'accepted') = 'accepted'
            ) AS "rankings!"
        FROM responses a
        JOIN prompts p ON p.id = a.prompt_id
        WHERE p.project_id = $1
            AND ($2 = '' OR a.content ILIKE $2)
            AND ($3 = '' OR p.split = $3)
            AND ($4 = '' OR p.language = $4)
            AND ($5 = '' OR $5 = ANY (p.tags))
            AND ($6 = '' OR a.model = $6)
            AND ($7::timestamptz IS NULL OR a.created_at >= $7)
            AND ($8::timestamptz IS NULL OR a.created_at < $8)
            AND ($9::uuid IS NULL OR a.id < $9)
        ORDER BY a.id DESC
        LIMIT $10
        "#,
        project,
        filter.pattern(),
        filter.split,
        filter.language,
        filter.tag,
        filter.model,
        filter.from,
        filter.until,
        before,
        READ
    )
    .fetch_all(pool)
    .await?;
    Ok(page(rows, |answer| answer.id))
}
