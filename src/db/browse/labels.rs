//! The list of labels: demonstrations and rankings together, with the versions that were corrected where they are asked for.

use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Filter, Listed, READ, page};

/// A label in the list.
#[derive(Debug, Clone)]
pub struct Label {
    pub id: Uuid,
    /// `demonstration`, `ranking` or `comparison`.
    pub kind: String,
    pub prompt_id: Uuid,
    /// What was written, or the note of a ranking; cut off.
    pub excerpt: String,
    /// The last message of its prompt, cut off.
    pub prompt: String,
    pub annotator: Option<String>,
    /// By a program that stands in for a person.
    pub simulated: bool,
    pub seconds: Option<f64>,
    pub extra_opinion: bool,
    /// It corrects an earlier version.
    pub corrects: bool,
    /// A later version stands in its place.
    pub replaced: bool,
    /// What a reviewer found of it: `accepted`, `corrected` or `rejected`.
    pub review: Option<String>,
    pub created_at: OffsetDateTime,
}

/// The labels before one, newest first.
pub async fn before(
    pool: &PgPool,
    project: Uuid,
    filter: &Filter,
    before: Option<Uuid>,
) -> Result<Listed<Label>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Label,
        r#"
        WITH written AS (
            SELECT
                d.id,
                'demonstration' AS kind,
                d.prompt_id,
                left(d.completion, 240) AS excerpt,
                left(p.conversation -> -1 ->> 'content', 120) AS prompt,
                d.user_id,
                d.annotator,
                d.extra,
                d.seconds,
                d.extra_opinion,
                d.replaces_id IS NOT NULL AS corrects,
                c.id IS NULL OR v.text_id IS NOT NULL AS replaced,
                v.verdict AS review,
                d.created_at
            FROM demonstrations d
            JOIN prompts p ON p.id = d.prompt_id
            LEFT JOIN current_demonstrations c ON c.id = d.id
            LEFT JOIN current_demonstration_reviews v ON v.demonstration_id = d.id
            WHERE p.project_id = $1
                AND ($2 = '' OR d.completion ILIKE $2)
                AND ($3 = '' OR p.split = $3)
                AND ($4 = '' OR p.language = $4)
                AND ($5 = '' OR $5 = ANY (p.tags))
                AND ($6 = '' OR d.annotator = $6)
                AND $7 IN ('', 'demonstration')
                AND ($8::timestamptz IS NULL OR d.created_at >= $8)
                AND ($9::timestamptz IS NULL OR d.created_at < $9)
                AND ($10 OR c.id IS NOT NULL AND v.text_id IS NULL)
                AND ($11::uuid IS NULL OR d.id < $11)
            ORDER BY d.id DESC
            LIMIT $12
        ), ranked AS (
            SELECT
                r.id,
                coalesce(t.kind, 'ranking') AS kind,
                r.prompt_id,
                left(coalesce(r.note, ''), 240) AS excerpt,
                left(p.conversation -> -1 ->> 'content', 120) AS prompt,
                r.user_id,
                r.annotator,
                r.extra,
                r.seconds,
                r.extra_opinion,
                r.replaces_id IS NOT NULL AS corrects,
                EXISTS (SELECT 1 FROM rankings newer WHERE newer.replaces_id = r.id) AS replaced,
                (SELECT v.verdict FROM reviews v WHERE v.ranking_id = r.id ORDER BY v.id DESC LIMIT 1) AS review,
                r.created_at
            FROM rankings r
            JOIN prompts p ON p.id = r.prompt_id
            LEFT JOIN tasks t ON t.id = r.task_id
            WHERE p.project_id = $1
                AND ($2 = '' OR r.note ILIKE $2)
                AND ($3 = '' OR p.split = $3)
                AND ($4 = '' OR p.language = $4)
                AND ($5 = '' OR $5 = ANY (p.tags))
                AND ($6 = '' OR r.annotator = $6)
                AND $7 <> 'demonstration'
                AND $7 IN ('', coalesce(t.kind, 'ranking'))
                AND ($8::timestamptz IS NULL OR r.created_at >= $8)
                AND ($9::timestamptz IS NULL OR r.created_at < $9)
                AND ($10 OR NOT EXISTS (SELECT 1 FROM rankings newer WHERE newer.replaces_id = r.id))
                AND ($11::uuid IS NULL OR r.id < $11)
            ORDER BY r.id DESC
            LIMIT $12
        ), labels AS (
            TABLE written
            UNION ALL
            TABLE ranked
        )
        SELECT
            l.id AS "id!",
            l.kind AS "kind!",
            l.prompt_id AS "prompt_id!",
            l.excerpt AS "excerpt!",
            l.prompt AS "prompt!",
            coalesce(u.name, l.annotator) AS annotator,
            coalesce(u.simulated, l.extra -> 'simulated' = 'true', false) AS "simulated!",
            l.seconds,
            l.extra_opinion AS "extra_opinion!",
            l.corrects AS "corrects!",
            l.replaced AS "replaced!",
            l.review,
            l.created_at AS "created_at!"
        FROM labels l
        LEFT JOIN users u ON u.id = l.user_id
        ORDER BY l.id DESC
        LIMIT $12
        "#,
        project,
        filter.pattern(),
        filter.split,
        filter.language,
        filter.tag,
        filter.annotator,
        filter.kind,
        filter.from,
        filter.until,
        filter.replaced,
        before,
        READ
    )
    .fetch_all(pool)
    .await?;
    Ok(page(rows, |label| label.id))
}
