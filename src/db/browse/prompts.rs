//! The list of prompts.

use sqlx::PgPool;
use uuid::Uuid;

use super::{COUNTED, Filter, Listed, READ, page};

/// A prompt in the list.
#[derive(Debug, Clone)]
pub struct Prompt {
    pub id: Uuid,
    /// The last message, cut off.
    pub excerpt: String,
    pub messages: i32,
    pub language: Option<String>,
    pub tags: Vec<String>,
    pub split: String,
    pub state: String,
    pub responses: i64,
    /// Those that a reviewer set aside are not among them.
    pub demonstrations: i64,
    pub rankings: i64,
}

/// The prompts after one, oldest first.
pub async fn after(
    pool: &PgPool,
    project: Uuid,
    filter: &Filter,
    after: Option<Uuid>,
) -> Result<Listed<Prompt>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Prompt,
        r#"
        SELECT
            p.id,
            left(p.conversation -> -1 ->> 'content', 240) AS "excerpt!",
            jsonb_array_length(p.conversation) AS "messages!",
            p.language,
            p.tags,
            p.split,
            s.state AS "state!",
            (SELECT count(*) FROM responses r WHERE r.prompt_id = p.id) AS "responses!",
            (SELECT count(*) FROM standing_demonstrations d WHERE d.prompt_id = p.id) AS "demonstrations!",
            (
                SELECT count(*)
                FROM current_rankings r
                WHERE r.prompt_id = p.id
                    AND coalesce((
                        SELECT v.verdict FROM reviews v WHERE v.ranking_id = r.id ORDER BY v.id DESC LIMIT 1
                    ), 'accepted') = 'accepted'
            ) AS "rankings!"
        FROM prompts p
        JOIN prompt_states s ON s.prompt_id = p.id
        WHERE p.project_id = $1
            AND ($2 = '' OR p.search_text ILIKE $2)
            AND ($3 = '' OR p.split = $3)
            AND ($4 = '' OR p.language = $4)
            AND ($5 = '' OR $5 = ANY (p.tags))
            AND ($6 = '' OR s.state = $6)
            AND ($7 = '' OR EXISTS (SELECT 1 FROM responses r WHERE r.prompt_id = p.id AND r.model = $7))
            AND ($8 = ''
                OR EXISTS (SELECT 1 FROM demonstrations d WHERE d.prompt_id = p.id AND d.annotator = $8)
                OR EXISTS (SELECT 1 FROM rankings r WHERE r.prompt_id = p.id AND r.annotator = $8))
            AND ($9 = '' OR EXISTS (
                SELECT 1 FROM tasks t WHERE t.prompt_id = p.id AND t.kind = $9 AND t.withdrawn_at IS NULL))
            AND ($10::timestamptz IS NULL OR p.created_at >= $10)
            AND ($11::timestamptz IS NULL OR p.created_at < $11)
            AND ($12::uuid IS NULL OR p.id > $12)
        ORDER BY p.id
        LIMIT $13
        "#,
        project,
        filter.pattern(),
        filter.split,
        filter.language,
        filter.tag,
        filter.state,
        filter.model,
        filter.annotator,
        filter.kind,
        filter.from,
        filter.until,
        after,
        READ
    )
    .fetch_all(pool)
    .await?;
    Ok(page(rows, |prompt| prompt.id))
}

/// How many prompts match, up to one more than [`COUNTED`].
pub async fn count(pool: &PgPool, project: Uuid, filter: &Filter) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        SELECT count(*) AS "count!"
        FROM (
            SELECT 1
            FROM prompts p
            WHERE p.project_id = $1
                AND ($2 = '' OR p.search_text ILIKE $2)
                AND ($3 = '' OR p.split = $3)
                AND ($4 = '' OR p.language = $4)
                AND ($5 = '' OR $5 = ANY (p.tags))
                AND ($6 = '' OR EXISTS (SELECT 1 FROM prompt_states s WHERE s.prompt_id = p.id AND s.state = $6))
                AND ($7 = '' OR EXISTS (SELECT 1 FROM responses r WHERE r.prompt_id = p.id AND r.model = $7))
                AND ($8 = ''
                    OR EXISTS (SELECT 1 FROM demonstrations d WHERE d.prompt_id = p.id AND d.annotator = $8)
                    OR EXISTS (SELECT 1 FROM rankings r WHERE r.prompt_id = p.id AND r.annotator = $8))
                AND ($9 = '' OR EXISTS (
                    SELECT 1 FROM tasks t WHERE t.prompt_id = p.id AND t.kind = $9 AND t.withdrawn_at IS NULL))
                AND ($10::timestamptz IS NULL OR p.created_at >= $10)
                AND ($11::timestamptz IS NULL OR p.created_at < $11)
            LIMIT $12
        ) AS matching
        "#,
        project,
        filter.pattern(),
        filter.split,
        filter.language,
        filter.tag,
        filter.state,
        filter.model,
        filter.annotator,
        filter.kind,
        filter.from,
        filter.until,
        COUNTED + 1
    )
    .fetch_one(pool)
    .await
}
