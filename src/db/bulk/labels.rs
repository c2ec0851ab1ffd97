//! Demonstrations and rankings of an import.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Names;

/// A demonstration that is here, replaced ones included, with the SHA-256 of its text.
pub struct KnownDemonstration {
    pub id: Uuid,
    pub external_id: Option<String>,
    pub prompt_id: Uuid,
    pub annotator: Option<String>,
    pub digest: Vec<u8>,
}

/// The demonstrations of the prompts, and those of the project that have one of the names.
pub async fn known_demonstrations(
    connection: &mut PgConnection,
    project: Uuid,
    prompts: &[Uuid],
    names: &Names,
) -> sqlx::Result<Vec<KnownDemonstration>> {
    sqlx::query_as!(
        KnownDemonstration,
        r#"
        SELECT
            d.id,
            d.external_id,
            d.prompt_id,
            d.annotator,
            sha256(convert_to(d.completion, 'UTF8')) AS "digest!"
        FROM demonstrations d
        WHERE d.id IN (
            SELECT id FROM demonstrations WHERE prompt_id = ANY ($2)
            UNION
            SELECT named.id
            FROM demonstrations named
            JOIN prompts p ON p.id = named.prompt_id
            WHERE p.project_id = $1 AND named.external_id = ANY ($3)
            UNION
            SELECT named.id
            FROM demonstrations named
            JOIN prompts p ON p.id = named.prompt_id
            WHERE p.project_id = $1 AND named.id = ANY ($4)
        )
        "#,
        project,
        prompts,
        &names.external,
        &names.ids
    )
    .fetch_all(connection)
    .await
}

/// What new labels have in common, column by column. JSON is written out.
#[derive(Default)]
pub struct New {
    pub ids: Vec<Uuid>,
    pub prompts: Vec<Uuid>,
    pub external_ids: Vec<Option<String>>,
    pub annotators: Vec<Option<String>>,
    pub seconds: Vec<Option<f64>>,
    pub extra_opinions: Vec<bool>,
    pub created_at: Vec<Option<OffsetDateTime>>,
    pub extras: Vec<String>,
}

pub async fn insert_demonstrations(
    connection: &mut PgConnection,
    new: &New,
    completions: &[String],
    languages: &[Option<String>],
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        INSERT INTO demonstrations
            (id, prompt_id, external_id, annotator, seconds, extra_opinion, created_at, extra, completion, language)
        SELECT
            id, prompt_id, external_id, annotator, seconds, extra_opinion, coalesce(created_at, now()), extra::jsonb,
            completion, language
        FROM unnest(
            $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::double precision[], $6::boolean[], $7::timestamptz[],
            $8::text[], $9::text[], $10::text[]
        ) AS new (id, prompt_id, external_id, annotator, seconds, extra_opinion, created_at, extra, completion, language)
        "#,
        &new.ids,
        &new.prompts,
        &new.external_ids as &[Option<String>],
        &new.annotators as &[Option<String>],
        &new.seconds as &[Option<f64>],
        &new.extra_opinions,
        &new.created_at as &[Option<OffsetDateTime>],
        &new.extras,
        completions,
        languages as &[Option<String>]
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A ranking that is here, replaced ones included; its answers by position, with the SHA-256 of their texts.
pub struct KnownRanking {
    pub id: Uuid,
    pub external_id: Option<String>,
    pub prompt_id: Uuid,
    pub annotator: Option<String>,
    /// The ranking elsewhere that a comparison was part of.
    pub part_of: Option<String>,
    pub digests: Vec<Vec<u8>>,
    pub models: Vec<Option<String>>,
    pub ranks: Vec<i32>,
}

/// The rankings of the prompts, and those of the project that have one of the names.
pub async fn known_rankings(
    connection: &mut PgConnection,
    project: Uuid,
    prompts: &[Uuid],
    names: &Names,
) -> sqlx::Result<Vec<KnownRanking>> {
    sqlx::query_as!(
        KnownRanking,
        r#"
        SELECT
            r.id,
            r.external_id,
            r.prompt_id,
            r.annotator,
            r.extra -> 'comparison' ->> 'ranking_id' AS part_of,
            array_agg(sha256(convert_to(answer.content, 'UTF8')) ORDER BY place.position) AS "digests!",
            array_agg(answer.model ORDER BY place.position) AS "models!: Vec<Option<String>>",
            array_agg(place.rank ORDER BY place.position) AS "ranks!"
        FROM rankings r
        JOIN ranking_responses place ON place.ranking_id = r.id
        JOIN responses answer ON answer.id = place.response_id
        WHERE r.id IN (
            SELECT id FROM rankings WHERE prompt_id = ANY ($2)
            UNION
            SELECT named.id
            FROM rankings named
            JOIN prompts p ON p.id = named.prompt_id
            WHERE p.project_id = $1 AND named.external_id = ANY ($3)
            UNION
            SELECT named.id
            FROM rankings named
            JOIN prompts p ON p.id = named.prompt_id
            WHERE p.project_id = $1 AND named.id = ANY ($4)
        )
        GROUP BY r.id
        "#,
        project,
        prompts,
        &names.external,
        &names.ids
    )
    .fetch_all(connection)
    .await
}

/// The answers of new rankings, one row an answer. JSON is written out.
#[derive(Default)]
pub struct NewPlaces {
    pub rankings: Vec<Uuid>,
    pub positions: Vec<i32>,
    pub responses: Vec<Uuid>,
    pub ranks: Vec<i32>,
    pub ratings: Vec<Option<i32>>,
    pub flags: Vec<String>,
}

/// What new rankings say as a whole, one entry a ranking in each list. JSON is written out.
#[derive(Default)]
pub struct NewSayings {
    pub notes: Vec<Option<String>>,
    /// Points of confidence.
    pub confidences: Vec<Option<i32>>,
    pub all_bad: Vec<bool>,
    pub rating_scales: Vec<String>,
}

/// Inserts rankings with what they say of their answers.
pub async fn insert_rankings(
    connection: &mut PgConnection,
    new: &New,
    sayings: &NewSayings,
    places: &NewPlaces,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        INSERT INTO rankings
            (id, prompt_id, external_id, annotator, seconds, extra_opinion, created_at, extra, note, confidence,
            all_bad, rating_scale)
        SELECT
            id, prompt_id, external_id, annotator, seconds, extra_opinion, coalesce(created_at, now()), extra::jsonb, note,
            confidence, all_bad, rating_scale::jsonb
        FROM unnest(
            $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::double precision[], $6::boolean[], $7::timestamptz[],
            $8::text[], $9::text[], $10::integer[], $11::boolean[], $12::text[]
        ) AS new (
            id, prompt_id, external_id, annotator, seconds, extra_opinion, created_at, extra, note, confidence, all_bad,
            rating_scale
        )
        "#,
        &new.ids,
        &new.prompts,
        &new.external_ids as &[Option<String>],
        &new.annotators as &[Option<String>],
        &new.seconds as &[Option<f64>],
        &new.extra_opinions,
        &new.created_at as &[Option<OffsetDateTime>],
        &new.extras,
        &sayings.notes as &[Option<String>],
        &sayings.confidences as &[Option<i32>],
        &sayings.all_bad,
        &sayings.rating_scales
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        r#"
        INSERT INTO ranking_responses (ranking_id, position, response_id, rank, rating, flags)
        SELECT
            ranking_id,
            position,
            response_id,
            rank,
            rating,
            CASE flags WHEN '[]' THEN '{}' ELSE ARRAY(SELECT jsonb_array_elements_text(flags::jsonb)) END
        FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::integer[], $5::integer[], $6::text[])
            AS new (ranking_id, position, response_id, rank, rating, flags)
        "#,
        &places.rankings,
        &places.positions,
        &places.responses,
        &places.ranks,
        &places.ratings as &[Option<i32>],
        &places.flags
    )
    .execute(connection)
    .await?;
    Ok(())
}
