//! The list of labels: demonstrations and rankings together, with the versions that were corrected where they are asked for.

use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{COUNTED, Filter, Listed, READ, page};
use crate::domain::quality::LEAST_SECONDS_A_BYTE;

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
    /// A ranking that was given far faster than its answers can be read; of a correction, that its first version was.
    pub too_fast: bool,
    pub extra_opinion: bool,
    /// It corrects an earlier version.
    pub corrects: bool,
    /// A later version stands in its place, or the reviewer who gave it took it back.
    pub replaced: bool,
    /// None of the answers is good.
    pub all_bad: bool,
    /// Words of the flags of all its answers.
    pub flags: Vec<String>,
    /// What a reviewer found of it last: `accepted`, `corrected` or `rejected`.
    pub verdict: Option<String>,
    /// A reviewer's own decision.
    pub adjudicated: bool,
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
                false AS all_bad,
                v.verdict,
                d.adjudicated,
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
                -- What a reviewer put another text in the place of is what is looked for then.
                AND ($10 OR $18 = 'corrected' OR c.id IS NOT NULL AND v.text_id IS NULL)
                AND ($11::uuid IS NULL OR d.id < $11)
                AND NOT $13
                AND CASE $18
                    WHEN '' THEN true
                    WHEN 'decision' THEN d.adjudicated
                    WHEN 'none' THEN v.verdict IS NULL AND NOT d.adjudicated
                    ELSE coalesce(v.verdict = $18, false)
                END
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
                NOT EXISTS (SELECT 1 FROM current_rankings c WHERE c.id = r.id) AS replaced,
                r.all_bad,
                v.verdict,
                r.adjudicated,
                r.created_at
            FROM rankings r
            JOIN prompts p ON p.id = r.prompt_id
            LEFT JOIN tasks t ON t.id = r.task_id
            LEFT JOIN LATERAL (
                SELECT verdict FROM reviews WHERE ranking_id = r.id ORDER BY id DESC LIMIT 1
            ) v ON true
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
                AND ($10 OR EXISTS (SELECT 1 FROM current_rankings c WHERE c.id = r.id))
                AND ($11::uuid IS NULL OR r.id < $11)
                AND ($14 = '' OR EXISTS (
                    SELECT 1 FROM ranking_responses given
                    WHERE given.ranking_id = r.id AND given.flags <> '{}' AND $14 = ANY (given.flags)))
                AND (($15::integer IS NULL AND $16::integer IS NULL) OR EXISTS (
                    SELECT 1 FROM ranking_responses given
                    WHERE given.ranking_id = r.id AND given.rating BETWEEN coalesce($15, 0) AND coalesce($16, 10)))
                AND (NOT $17 OR r.all_bad)
                AND (NOT $20 OR CASE WHEN r.replaces_id IS NULL THEN r.seconds ELSE (
                    SELECT first.seconds
                    FROM rankings first
                    WHERE first.assignment_id = r.assignment_id AND first.replaces_id IS NULL
                ) END < $19::float8 * (
                    SELECT sum(octet_length(answer.content))
                    FROM ranking_responses given
                    JOIN responses answer ON answer.id = given.response_id
                    WHERE given.ranking_id = r.id))
                -- Few are reviewed: of the others, no review is looked for.
                AND ($18 IN ('', 'decision', 'none') OR EXISTS (SELECT 1 FROM reviews WHERE ranking_id = r.id))
                AND CASE $18
                    WHEN '' THEN true
                    WHEN 'decision' THEN r.adjudicated
                    WHEN 'none' THEN NOT r.adjudicated AND NOT EXISTS (SELECT 1 FROM reviews WHERE ranking_id = r.id)
                    ELSE coalesce(v.verdict = $18, false)
                END
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
            -- A correction takes a moment: how long reading and ranking took, the first version says.
            coalesce(CASE WHEN l.corrects THEN (
                SELECT first.seconds
                FROM rankings corrected
                JOIN rankings first ON first.assignment_id = corrected.assignment_id AND first.replaces_id IS NULL
                WHERE corrected.id = l.id
            ) ELSE l.seconds END < $19::float8 * (
                SELECT sum(octet_length(answer.content))
                FROM ranking_responses given
                JOIN responses answer ON answer.id = given.response_id
                WHERE given.ranking_id = l.id
            ), false) AS "too_fast!",
            l.extra_opinion AS "extra_opinion!",
            l.corrects AS "corrects!",
            l.replaced AS "replaced!",
            l.all_bad AS "all_bad!",
            ARRAY(
                SELECT DISTINCT flag
                FROM ranking_responses given
                CROSS JOIN unnest(given.flags) AS flag
                WHERE given.ranking_id = l.id
                ORDER BY flag
            ) AS "flags!",
            l.verdict,
            l.adjudicated AS "adjudicated!",
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
        READ,
        filter.of_rankings_only(),
        filter.flag,
        filter.lowest_rating,
        filter.highest_rating,
        filter.all_bad,
        filter.review,
        LEAST_SECONDS_A_BYTE,
        filter.too_fast
    )
    .fetch_all(pool)
    .await?;
    Ok(page(rows, |label| label.id))
}

/// How many labels match, up to one more than [`COUNTED`].
pub async fn count(pool: &PgPool, project: Uuid, filter: &Filter) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        SELECT count(*) AS "count!"
        FROM (
            SELECT 1
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
                AND ($10 OR $16 = 'corrected' OR c.id IS NOT NULL AND v.text_id IS NULL)
                AND NOT $11
                AND CASE $16
                    WHEN '' THEN true
                    WHEN 'decision' THEN d.adjudicated
                    WHEN 'none' THEN v.verdict IS NULL AND NOT d.adjudicated
                    ELSE coalesce(v.verdict = $16, false)
                END
            UNION ALL
            SELECT 1
            FROM rankings r
            JOIN prompts p ON p.id = r.prompt_id
            LEFT JOIN tasks t ON t.id = r.task_id
            LEFT JOIN LATERAL (
                SELECT verdict FROM reviews WHERE ranking_id = r.id ORDER BY id DESC LIMIT 1
            ) v ON true
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
                AND ($10 OR EXISTS (SELECT 1 FROM current_rankings c WHERE c.id = r.id))
                AND ($12 = '' OR EXISTS (
                    SELECT 1 FROM ranking_responses given
                    WHERE given.ranking_id = r.id AND given.flags <> '{}' AND $12 = ANY (given.flags)))
                AND (($13::integer IS NULL AND $14::integer IS NULL) OR EXISTS (
                    SELECT 1 FROM ranking_responses given
                    WHERE given.ranking_id = r.id AND given.rating BETWEEN coalesce($13, 0) AND coalesce($14, 10)))
                AND (NOT $15 OR r.all_bad)
                AND (NOT $19 OR CASE WHEN r.replaces_id IS NULL THEN r.seconds ELSE (
                    SELECT first.seconds
                    FROM rankings first
                    WHERE first.assignment_id = r.assignment_id AND first.replaces_id IS NULL
                ) END < $18::float8 * (
                    SELECT sum(octet_length(answer.content))
                    FROM ranking_responses given
                    JOIN responses answer ON answer.id = given.response_id
                    WHERE given.ranking_id = r.id))
                -- Few are reviewed: of the others, no review is looked for.
                AND ($16 IN ('', 'decision', 'none') OR EXISTS (SELECT 1 FROM reviews WHERE ranking_id = r.id))
                AND CASE $16
                    WHEN '' THEN true
                    WHEN 'decision' THEN r.adjudicated
                    WHEN 'none' THEN NOT r.adjudicated AND NOT EXISTS (SELECT 1 FROM reviews WHERE ranking_id = r.id)
                    ELSE coalesce(v.verdict = $16, false)
                END
            LIMIT $17
        ) AS matching
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
        filter.of_rankings_only(),
        filter.flag,
        filter.lowest_rating,
        filter.highest_rating,
        filter.all_bad,
        filter.review,
        COUNTED + 1,
        LEAST_SECONDS_A_BYTE,
        filter.too_fast
    )
    .fetch_one(pool)
    .await
}
