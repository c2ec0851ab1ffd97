//! Projects and their settings.

use serde_json::{Map, Value, json};
use sqlx::{PgExecutor, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    audit::{self, Actor},
    words,
};

/// Who decides that a new policy answers from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromotionRule {
    #[default]
    ByHand,
    /// At once, when it is better on the held-out split.
    IfBetter,
}

impl PromotionRule {
    pub fn as_str(self) -> &'static str {
        match self {
            PromotionRule::ByHand => "by_hand",
            PromotionRule::IfBetter => "if_better",
        }
    }
}

/// How people judge the answers to a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// They put all answers in order.
    #[default]
    Ranking,
    /// They say which of two is better, and how sure that is.
    Comparison,
}

impl Judgement {
    pub fn as_str(self) -> &'static str {
        match self {
            Judgement::Ranking => "ranking",
            Judgement::Comparison => "comparison",
        }
    }
}

/// What an admin sets of a project. The limits are the schema's.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectSettings {
    pub name: String,
    pub description: String,
    /// Everyone with an account works on it; otherwise its members only.
    pub open_to_everyone: bool,
    pub judgement: Judgement,
    /// K, 2 to 9; 2 where answers are judged head to head.
    pub answers_per_prompt: i32,
    /// People who write an answer to the same prompt; 0 asks for none.
    pub demonstration_overlap: i32,
    /// People who rank the same answers, 1 to 9.
    pub ranking_overlap: i32,
    pub lease_minutes: i32,
    pub validation_percent: i32,
    pub test_percent: i32,
    pub promotion: PromotionRule,
    /// Prompts that get new answers when a policy is promoted.
    pub prompts_per_round: i32,
    /// Models that runs made whose files stay beside those that are needed, after a night; all of them where none is set.
    pub keep_models: Option<i32>,
    /// Settings of the training stages, as a job's config has them.
    pub training: Map<String, Value>,
}

impl Default for ProjectSettings {
    fn default() -> Self {
        ProjectSettings {
            name: String::new(),
            description: String::new(),
            open_to_everyone: true,
            judgement: Judgement::Ranking,
            answers_per_prompt: 4,
            demonstration_overlap: 1,
            ranking_overlap: 1,
            lease_minutes: 60,
            validation_percent: 10,
            test_percent: 10,
            promotion: PromotionRule::ByHand,
            prompts_per_round: 100,
            keep_models: None,
            training: Map::new(),
        }
    }
}

/// A project.
#[derive(Debug, Clone)]
pub struct Project {
    pub id: Uuid,
    pub slug: String,
    pub settings: ProjectSettings,
    /// Its labels come from a program that stands in for people.
    pub simulated: bool,
    pub created_at: OffsetDateTime,
    pub archived_at: Option<OffsetDateTime>,
}

struct Row {
    id: Uuid,
    slug: String,
    name: String,
    description: String,
    open_to_everyone: bool,
    judgement: String,
    answers_per_prompt: i32,
    demonstration_overlap: i32,
    ranking_overlap: i32,
    lease_minutes: i32,
    validation_percent: i32,
    test_percent: i32,
    promotion: String,
    prompts_per_round: i32,
    keep_models: Option<i32>,
    training: Value,
    simulated: bool,
    created_at: OffsetDateTime,
    archived_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for Project {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, Self::Error> {
        Ok(Project {
            id: row.id,
            slug: row.slug,
            settings: ProjectSettings {
                name: row.name,
                description: row.description,
                open_to_everyone: row.open_to_everyone,
                judgement: words::parse(&row.judgement)?,
                answers_per_prompt: row.answers_per_prompt,
                demonstration_overlap: row.demonstration_overlap,
                ranking_overlap: row.ranking_overlap,
                lease_minutes: row.lease_minutes,
                validation_percent: row.validation_percent,
                test_percent: row.test_percent,
                promotion: words::parse(&row.promotion)?,
                prompts_per_round: row.prompts_per_round,
                keep_models: row.keep_models,
                training: words::parse_json(row.training)?,
            },
            simulated: row.simulated,
            created_at: row.created_at,
            archived_at: row.archived_at,
        })
    }
}

/// The project of a slug; `RowNotFound` where there is none.
pub async fn by_slug(executor: impl PgExecutor<'_>, slug: &str) -> Result<Project, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"
        SELECT
            id, slug, name, description, open_to_everyone, answers_per_prompt, demonstration_overlap, ranking_overlap,
            lease_minutes, validation_percent, test_percent, promotion, prompts_per_round, training, simulated,
            created_at, archived_at, judgement, keep_models
        FROM projects
        WHERE slug = $1
        "#,
        slug
    )
    .fetch_one(executor)
    .await?
    .try_into()
}

/// The project of an id; `RowNotFound` where there is none.
pub async fn by_id(executor: impl PgExecutor<'_>, id: Uuid) -> Result<Project, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"
        SELECT
            id, slug, name, description, open_to_everyone, answers_per_prompt, demonstration_overlap, ranking_overlap,
            lease_minutes, validation_percent, test_percent, promotion, prompts_per_round, training, simulated,
            created_at, archived_at, judgement, keep_models
        FROM projects
        WHERE id = $1
        "#,
        id
    )
    .fetch_one(executor)
    .await?
    .try_into()
}

/// Slug and name of every project that is not archived, by name.
pub async fn names(pool: &PgPool) -> Result<Vec<(Uuid, String, String)>, sqlx::Error> {
    let rows = sqlx::query!("SELECT id, slug, name FROM projects WHERE archived_at IS NULL ORDER BY name, slug")
        .fetch_all(pool)
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.slug, row.name)).collect())
}

/// Short names that addresses of ours use.
pub const RESERVED: [&str; 1] = ["new"];

/// Why a project can't be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    #[error("there is already a project “{0}”")]
    SlugTaken(String),
    #[error(
        "a project's short name has small letters, digits and hyphens, begins with a letter or digit and has at most 63 characters: “{0}” does not"
    )]
    BadSlug(String),
    #[error("“{0}” can't be a project's short name: the dashboard's form for a new project has that address")]
    Reserved(String),
    /// A setting beyond the schema's limits, by the name of its constraint.
    #[error("a setting is out of range ({0})")]
    OutOfRange(String),
    #[error(transparent)]
    Database(sqlx::Error),
}

impl CreateError {
    fn of(slug: &str, error: sqlx::Error) -> Self {
        let constraint =
            error.as_database_error().and_then(|error| error.constraint().map(|constraint| constraint.to_owned()));
        match constraint.as_deref() {
            Some("projects_slug_unique") => CreateError::SlugTaken(slug.to_owned()),
            Some("projects_slug_form") => CreateError::BadSlug(slug.to_owned()),
            Some(other) => CreateError::OutOfRange(other.to_owned()),
            None => CreateError::Database(error),
        }
    }
}

/// Makes a project, with its switched-off schedule, and notes who did.
pub async fn create(
    pool: &PgPool,
    actor: &Actor,
    slug: &str,
    settings: &ProjectSettings,
    simulated: bool,
) -> Result<Project, CreateError> {
    if RESERVED.contains(&slug) {
        return Err(CreateError::Reserved(slug.to_owned()));
    }
    let wrap = |error| CreateError::of(slug, error);
    let mut transaction = pool.begin().await.map_err(wrap)?;
    let id = Uuid::now_v7();
    sqlx::query!(
        r#"
        INSERT INTO projects (
            id, slug, name, description, open_to_everyone, answers_per_prompt, demonstration_overlap, ranking_overlap,
            lease_minutes, validation_percent, test_percent, promotion, prompts_per_round, training, simulated,
            judgement, keep_models
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
        "#,
        id,
        slug,
        settings.name,
        settings.description,
        settings.open_to_everyone,
        settings.answers_per_prompt,
        settings.demonstration_overlap,
        settings.ranking_overlap,
        settings.lease_minutes,
        settings.validation_percent,
        settings.test_percent,
        settings.promotion.as_str(),
        settings.prompts_per_round,
        Value::Object(settings.training.clone()),
        simulated,
        settings.judgement.as_str(),
        settings.keep_models,
    )
    .execute(&mut *transaction)
    .await
    .map_err(wrap)?;
    sqlx::query!("INSERT INTO schedules (project_id) VALUES ($1)", id)
        .execute(&mut *transaction)
        .await
        .map_err(wrap)?;
    audit::record(
        &mut *transaction,
        actor,
        "project.create",
        &format!("project/{slug}"),
        json!({ "name": settings.name }),
    )
    .await
    .map_err(wrap)?;
    let project = by_id(&mut *transaction, id).await.map_err(wrap)?;
    transaction.commit().await.map_err(wrap)?;
    Ok(project)
}
