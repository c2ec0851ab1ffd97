//! Browsing prompts: paging, search, filters; and one prompt with all that was said to it.

use laurel_records::Message;
use sqlx::{PgPool, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

/// What a person looks for; empty means all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// A text that some message contains.
    pub search: String,
    pub split: String,
    pub language: String,
    /// `idle`, `waiting`, `under_way`, `done`.
    pub state: String,
    pub tag: String,
}

/// A prompt in the list.
#[derive(Debug, Clone)]
pub struct Listed {
    pub id: Uuid,
    /// The last message, cut off.
    pub excerpt: String,
    pub messages: i32,
    pub language: Option<String>,
    pub tags: Vec<String>,
    pub split: String,
    pub state: String,
    pub responses: i64,
    pub demonstrations: i64,
    pub rankings: i64,
}

/// One page of prompts, oldest first, and how many there are in all.
pub async fn page(
    pool: &PgPool,
    project: Uuid,
    filter: &Filter,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Listed>, i64), sqlx::Error> {
    let total = sqlx::query_scalar!(
        r#"
        SELECT count(*) AS "count!"
        FROM prompts p
        JOIN prompt_states s ON s.prompt_id = p.id
        WHERE p.project_id = $1
            AND ($2 = '' OR strpos(lower(p.conversation::text), lower($2)) > 0)
            AND ($3 = '' OR p.split = $3)
            AND ($4 = '' OR p.language = $4)
            AND ($5 = '' OR s.state = $5)
            AND ($6 = '' OR $6 = ANY (p.tags))
        "#,
        project,
        filter.search,
        filter.split,
        filter.language,
        filter.state,
        filter.tag
    )
    .fetch_one(pool)
    .await?;
    let rows = sqlx::query_as!(
        Listed,
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
            (SELECT count(*) FROM current_demonstrations d WHERE d.prompt_id = p.id) AS "demonstrations!",
            (SELECT count(*) FROM current_rankings r WHERE r.prompt_id = p.id) AS "rankings!"
        FROM prompts p
        JOIN prompt_states s ON s.prompt_id = p.id
        WHERE p.project_id = $1
            AND ($2 = '' OR strpos(lower(p.conversation::text), lower($2)) > 0)
            AND ($3 = '' OR p.split = $3)
            AND ($4 = '' OR p.language = $4)
            AND ($5 = '' OR s.state = $5)
            AND ($6 = '' OR $6 = ANY (p.tags))
        ORDER BY p.id
        LIMIT $7
        OFFSET $8
        "#,
        project,
        filter.search,
        filter.split,
        filter.language,
        filter.state,
        filter.tag,
        limit,
        offset
    )
    .fetch_all(pool)
    .await?;
    Ok((rows, total))
}

/// The languages and tags that the prompts of a project have, the most frequent 50 of each.
pub async fn choices(pool: &PgPool, project: Uuid) -> Result<(Vec<String>, Vec<String>), sqlx::Error> {
    let languages = sqlx::query_scalar!(
        r#"
        SELECT language AS "language!"
        FROM prompts
        WHERE project_id = $1 AND language IS NOT NULL
        GROUP BY language
        ORDER BY count(*) DESC, language
        LIMIT 50
        "#,
        project
    )
    .fetch_all(pool)
    .await?;
    let tags = sqlx::query_scalar!(
        r#"
        SELECT tag AS "tag!"
        FROM prompts, unnest(tags) AS tag
        WHERE project_id = $1
        GROUP BY tag
        ORDER BY count(*) DESC, tag
        LIMIT 50
        "#,
        project
    )
    .fetch_all(pool)
    .await?;
    Ok((languages, tags))
}

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
            created_at
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

/// A demonstration that stands.
#[derive(Debug, Clone)]
pub struct Demonstration {
    pub completion: String,
    pub annotator: Option<String>,
    /// By a program that stands in for a person.
    pub simulated: bool,
    pub seconds: Option<f64>,
    pub extra_opinion: bool,
    pub created_at: OffsetDateTime,
}

/// A ranking that stands, its answers from best to worst.
#[derive(Debug, Clone)]
pub struct Ranking {
    pub annotator: Option<String>,
    /// By a program that stands in for a person.
    pub simulated: bool,
    pub seconds: Option<f64>,
    pub extra_opinion: bool,
    pub created_at: OffsetDateTime,
    pub ranks: Vec<i32>,
    pub responses: Vec<Uuid>,
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

/// The demonstrations of a prompt that stand, oldest first.
pub async fn demonstrations(pool: &PgPool, prompt: Uuid) -> Result<Vec<Demonstration>, sqlx::Error> {
    sqlx::query_as!(
        Demonstration,
        r#"
        SELECT
            d.completion AS "completion!",
            coalesce(u.name, d.annotator) AS annotator,
            coalesce(u.simulated, d.extra -> 'simulated' = 'true', false) AS "simulated!",
            d.seconds,
            d.extra_opinion AS "extra_opinion!",
            d.created_at AS "created_at!"
        FROM current_demonstrations d
        LEFT JOIN users u ON u.id = d.user_id
        WHERE d.prompt_id = $1
        ORDER BY d.id
        "#,
        prompt
    )
    .fetch_all(pool)
    .await
}

/// The rankings of a prompt that stand, oldest first.
pub async fn rankings(pool: &PgPool, prompt: Uuid) -> Result<Vec<Ranking>, sqlx::Error> {
    sqlx::query_as!(
        Ranking,
        r#"
        SELECT
            coalesce(u.name, r.annotator) AS annotator,
            coalesce(u.simulated, r.extra -> 'simulated' = 'true', false) AS "simulated!",
            r.seconds,
            r.extra_opinion AS "extra_opinion!",
            r.created_at AS "created_at!",
            array_agg(rr.rank ORDER BY rr.rank, rr.position) AS "ranks!",
            array_agg(rr.response_id ORDER BY rr.rank, rr.position) AS "responses!"
        FROM current_rankings r
        JOIN ranking_responses rr ON rr.ranking_id = r.id
        LEFT JOIN users u ON u.id = r.user_id
        WHERE r.prompt_id = $1
        GROUP BY r.id, u.name, u.simulated, r.annotator, r.extra, r.seconds, r.extra_opinion, r.created_at
        ORDER BY r.id
        "#,
        prompt
    )
    .fetch_all(pool)
    .await
}
