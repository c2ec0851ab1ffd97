//! The rows of exports, streamed in the order in which they came. Labels that a correction has replaced are left out. Ids are
//! those of the files that brought them; ours where there was none.

use futures_util::{Stream, StreamExt};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

pub struct PromptRow {
    pub id: String,
    pub conversation: Value,
    pub language: Option<String>,
    pub tags: Vec<String>,
    pub split: String,
    pub extra: Value,
}

/// The prompts of a project; of one split, or all.
pub fn prompts<'c>(
    connection: &'c mut PgConnection,
    project: Uuid,
    split: Option<&'c str>,
) -> impl Stream<Item = sqlx::Result<PromptRow>> + Send + 'c {
    sqlx::query_as!(
        PromptRow,
        r#"
        SELECT
            coalesce(external_id, id::text) AS "id!",
            conversation,
            language,
            tags,
            split,
            extra
        FROM prompts
        WHERE project_id = $1 AND withdrawn_at IS NULL AND ($2::text IS NULL OR split = $2)
        ORDER BY id
        "#,
        project,
        split
    )
    .fetch(connection)
    .boxed()
}

pub struct DemonstrationRow {
    pub id: String,
    pub conversation: Value,
    pub completion: String,
    pub prompt_id: String,
    pub annotator: Option<String>,
    pub created_at: OffsetDateTime,
    pub split: String,
    pub language: Option<String>,
    pub seconds: Option<f64>,
    pub extra_opinion: bool,
    /// Written by a program that stands in for a person.
    pub simulated: bool,
    /// A reviewer's text in place of another's.
    pub adjudicated: bool,
    /// What a reviewer found: `accepted`, `corrected` or `rejected`.
    pub review: Option<String>,
    pub extra: Value,
}

/// The demonstrations of a project that stand. Those that a reviewer rejected, or replaced by a text, only where they are wanted.
pub fn demonstrations<'c>(
    connection: &'c mut PgConnection,
    project: Uuid,
    split: Option<&'c str>,
    include_rejected: bool,
) -> impl Stream<Item = sqlx::Result<DemonstrationRow>> + Send + 'c {
    sqlx::query_as!(
        DemonstrationRow,
        r#"
        SELECT
            coalesce(d.external_id, d.id::text) AS "id!",
            p.conversation,
            d.completion AS "completion!",
            coalesce(p.external_id, p.id::text) AS "prompt_id!",
            d.annotator,
            d.created_at AS "created_at!",
            p.split,
            d.language,
            d.seconds,
            CASE
                WHEN v.verdict = 'accepted' AND d.assignment_id IS NOT NULL THEN NOT v.counts
                ELSE d.extra_opinion
            END AS "extra_opinion!",
            coalesce(u.simulated, false) AS "simulated!",
            d.adjudicated AS "adjudicated!",
            v.verdict AS "review?",
            d.extra AS "extra!"
        FROM current_demonstrations d
        JOIN prompts p ON p.id = d.prompt_id
        LEFT JOIN users u ON u.id = d.user_id
        LEFT JOIN current_demonstration_reviews v ON v.demonstration_id = d.id
        WHERE p.project_id = $1 AND ($2::text IS NULL OR p.split = $2)
            AND ($3 OR v.verdict IS NULL OR v.verdict = 'accepted')
        ORDER BY d.id
        "#,
        project,
        split,
        include_rejected
    )
    .fetch(connection)
    .boxed()
}

pub struct RankingRow {
    pub id: String,
    pub conversation: Value,
    /// `[{"id", "content", "model"}]`, in the order of the task: not as they were shown. One that was cut at the sampler's limit
    /// says so: `"sampling": {"finished": false}`.
    pub responses: Value,
    /// One an answer, in that order.
    pub ranks: Vec<i32>,
    pub ratings: Vec<Option<i32>>,
    /// `{"lowest", "highest"}` with the words of the ends, if they have some.
    pub rating_scale: Value,
    /// Lists of words, one an answer.
    pub flags: Value,
    pub annotator: Option<String>,
    pub seconds: Option<f64>,
    pub note: Option<String>,
    /// None of the answers is good.
    pub all_bad: bool,
    /// How sure, where two answers were judged head to head: 1 (the first is far better) to 9 (the second is).
    pub confidence: Option<i32>,
    pub created_at: OffsetDateTime,
    pub split: String,
    pub extra_opinion: bool,
    /// Given by a program that stands in for a person.
    pub simulated: bool,
    /// Who gave it, as the measures of quality know them.
    pub maker: Option<String>,
    /// The decision of a reviewer.
    pub adjudicated: bool,
    /// What a reviewer found: `accepted`, `corrected` or `rejected`.
    pub review: Option<String>,
    pub extra: Value,
}

/// The rankings of a project that stand. Those that a reviewer rejected, or replaced by a decision, only where they are wanted.
pub fn rankings<'c>(
    connection: &'c mut PgConnection,
    project: Uuid,
    split: Option<&'c str>,
    include_rejected: bool,
) -> impl Stream<Item = sqlx::Result<RankingRow>> + Send + 'c {
    sqlx::query_as!(
        RankingRow,
        r#"
        SELECT
            coalesce(r.external_id, r.id::text) AS "id!",
            r.conversation AS "conversation!",
            answers.responses AS "responses!",
            answers.ranks AS "ranks!",
            answers.ratings AS "ratings!: Vec<Option<i32>>",
            r.rating_scale AS "rating_scale!",
            answers.flags AS "flags!",
            r.annotator,
            r.seconds,
            r.note,
            r.all_bad AS "all_bad!",
            r.confidence,
            r.created_at AS "created_at!",
            r.split AS "split!",
            r.extra_opinion AS "extra_opinion!",
            coalesce(r.user_simulated, false) AS "simulated!",
            coalesce(r.user_email, r.annotator) AS maker,
            r.adjudicated AS "adjudicated!",
            r.verdict AS "review?",
            r.extra AS "extra!"
        -- Put in order before their answers are: else the first comes only when the answers of all have been gathered and sorted,
        -- minutes later where there are hundreds of thousands, and whoever waits for it has given up.
        FROM (
            SELECT
                r.id,
                r.external_id,
                r.rating_scale,
                r.annotator,
                r.seconds,
                r.note,
                r.all_bad,
                r.confidence,
                r.created_at,
                r.extra_opinion,
                r.adjudicated,
                r.extra,
                p.conversation,
                p.split,
                u.simulated AS user_simulated,
                u.email AS user_email,
                v.verdict
            FROM current_rankings r
            JOIN prompts p ON p.id = r.prompt_id
            LEFT JOIN users u ON u.id = r.user_id
            LEFT JOIN current_reviews v ON v.ranking_id = r.id
            WHERE p.project_id = $1 AND ($2::text IS NULL OR p.split = $2)
                AND ($3 OR v.verdict IS NULL OR v.verdict = 'accepted')
            ORDER BY r.id
        ) r
        CROSS JOIN LATERAL (
            SELECT
                json_agg(
                    CASE
                        WHEN a.sampling -> 'finished' = 'false'::jsonb THEN json_build_object(
                            'id', coalesce(a.external_id, a.id::text), 'content', a.content, 'model', a.model,
                            'sampling', json_build_object('finished', false)
                        )
                        ELSE json_build_object('id', coalesce(a.external_id, a.id::text), 'content', a.content, 'model', a.model)
                    END
                    ORDER BY place.position
                ) AS responses,
                array_agg(place.rank ORDER BY place.position) AS ranks,
                array_agg(place.rating ORDER BY place.position) AS ratings,
                json_agg(to_json(place.flags) ORDER BY place.position) AS flags
            FROM ranking_responses place
            JOIN responses a ON a.id = place.response_id
            WHERE place.ranking_id = r.id
        ) answers
        ORDER BY r.id
        "#,
        project,
        split,
        include_rejected
    )
    .fetch(connection)
    .boxed()
}

/// Prompts and demonstrations of a split, as exports hold them.
#[derive(Debug, Clone)]
pub struct RecordCounts {
    pub split: String,
    pub prompts: i64,
    pub demonstrations: i64,
}

/// Counts of what [`prompts`] and [`demonstrations`] give, by split; a split without records has a row of zeros.
pub async fn record_counts(pool: &PgPool, project: Uuid, include_rejected: bool) -> sqlx::Result<Vec<RecordCounts>> {
    sqlx::query_as!(
        RecordCounts,
        r#"
        SELECT
            s.split AS "split!",
            (
                SELECT count(*) FROM prompts p
                WHERE p.project_id = $1 AND p.withdrawn_at IS NULL AND p.split = s.split
            ) AS "prompts!",
            (
                SELECT count(*)
                FROM current_demonstrations d
                JOIN prompts p ON p.id = d.prompt_id
                LEFT JOIN current_demonstration_reviews v ON v.demonstration_id = d.id
                WHERE p.project_id = $1 AND p.split = s.split
                    AND ($2 OR v.verdict IS NULL OR v.verdict = 'accepted')
            ) AS "demonstrations!"
        FROM unnest(ARRAY['train', 'validation', 'test']) WITH ORDINALITY AS s (split, place)
        ORDER BY s.place
        "#,
        project,
        include_rejected
    )
    .fetch_all(pool)
    .await
}

/// Rankings of a split by one maker, and the pairs that they order.
#[derive(Debug, Clone)]
pub struct RankingCounts {
    pub split: String,
    /// As in [`RankingRow`].
    pub maker: Option<String>,
    pub adjudicated: bool,
    pub rankings: i64,
    pub comparisons: i64,
}

/// Counts of what [`rankings`] gives, by split and maker.
pub async fn ranking_counts(pool: &PgPool, project: Uuid, include_rejected: bool) -> sqlx::Result<Vec<RankingCounts>> {
    sqlx::query_as!(
        RankingCounts,
        r#"
        WITH kept AS (
            SELECT r.id, p.split, coalesce(u.email, r.annotator) AS maker, r.adjudicated
            FROM current_rankings r
            JOIN prompts p ON p.id = r.prompt_id
            LEFT JOIN users u ON u.id = r.user_id
            LEFT JOIN current_reviews v ON v.ranking_id = r.id
            WHERE p.project_id = $1 AND ($2 OR v.verdict IS NULL OR v.verdict = 'accepted')
        )
        SELECT
            kept.split AS "split!",
            kept.maker,
            kept.adjudicated AS "adjudicated!",
            -- Every ranking has a first answer.
            count(*) FILTER (WHERE place.position = 0) AS "rankings!",
            -- An answer is the worse one in as many pairs as there are answers before it: one less than its rank.
            sum(place.rank - 1) AS "comparisons!"
        FROM kept
        JOIN ranking_responses place ON place.ranking_id = kept.id
        GROUP BY kept.split, kept.maker, kept.adjudicated
        "#,
        project,
        include_rejected
    )
    .fetch_all(pool)
    .await
}
