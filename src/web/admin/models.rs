//! `/admin/projects/{slug}/models`: the model registry, promotion with confirmation, and base models from the server's disk.

use std::{
    collections::{HashMap, hash_map::Entry},
    path::Path as FilePath,
};

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use laurel_records::Stage;
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    audit_words,
    forms::{Button, Errors},
    made_from::MadeFrom,
    project::{Frame, InProject, actor},
    reasons, show, value_words,
};
use crate::{
    db::{
        job_list,
        model_removal::{self, Need},
        models::{self, Model, RegisterBaseError},
        projects::Project,
        promotions::{self, BY_HAND, PromoteError, Promotion},
        words,
    },
    jobs::base_model::{self, ImportError},
    web::{
        AppState, Page, PageError,
        authorise::{Admin, Lead},
        csrf::CsrfForm,
    },
};

/// The newest runs, whose summaries are read at once: they say how many records a model learned from.
const RUNS: i64 = 500;

/// A model as the registry shows it.
struct Shown {
    model: Model,
    stage: &'static str,
    /// The models that it comes from: its parent, that one's parent, and so on to the base model.
    lineage: Vec<String>,
    made_from: MadeFrom,
    bytes: u64,
    /// Why its files stay.
    need: Option<Need>,
    /// When its files were removed, and who did.
    removed: Option<(OffsetDateTime, String)>,
    answers: bool,
    /// May answer: a complete policy that does not answer yet.
    can_promote: bool,
    /// It answered before: promoting it is going back.
    answered_before: bool,
}

/// The figures by which models of a stage are compared; the others are a click away.
const HEADLINES: [&str; 8] = [
    "eval/nll",
    "eval/nll_before",
    "eval/accuracy",
    "eval/accuracy_before",
    "eval/loss",
    "objective/scores",
    "objective/scores_before",
    "objective/kl",
];

impl Shown {
    fn headlines(&self) -> impl Iterator<Item = (&str, f64)> {
        HEADLINES.iter().filter_map(|name| Some((*name, *self.model.metrics.get(*name)?)))
    }

    /// Its files are here, and nothing needs them.
    fn can_remove(&self) -> bool {
        self.need.is_none() && self.removed.is_none()
    }

    fn other_metrics(&self) -> Vec<(&str, f64)> {
        let metrics = self.model.metrics.iter().map(|(name, value)| (name.as_str(), *value));
        metrics.filter(|(name, _)| !HEADLINES.contains(name)).collect()
    }
}

/// A base model to bring in, as typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ImportForm {
    name: String,
    path: String,
}

#[derive(Template)]
#[template(path = "admin/models.html")]
struct ModelsPage {
    page: Page,
    frame: Frame,
    models: Vec<Shown>,
    /// How many have files here, or on their way, and what these take together.
    with_files: usize,
    bytes: u64,
    promotions: Vec<Promotion>,
    form: ImportForm,
    errors: Errors,
    notice: Option<&'static str>,
}

#[derive(Deserialize)]
pub struct Done {
    done: Option<String>,
}

pub async fn get(
    _: Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(query): Query<Done>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let notice = match query.done.as_deref() {
        Some("promoted") => Some("training-promoted"),
        Some("already") => Some("training-promoted-already"),
        Some("imported") => Some("training-base-imported"),
        Some("removed") => Some("models-removed"),
        Some("removed-before") => Some("models-removed-before"),
        _ => None,
    };
    let shown = ModelsPage { notice, ..build(&state, page, &project).await? };
    Ok(Html(shown.render()?))
}

/// Whoever logs in again after a form of the page, or turns what it was answered with to another language, comes here.
pub async fn back(_: Lead, InProject(project): InProject) -> Redirect {
    Redirect::to(&format!("/admin/projects/{}/models", project.slug))
}

async fn build(state: &AppState, page: Page, project: &Project) -> Result<ModelsPage, PageError> {
    let found = models::of_project(&state.pool, project.id).await?;
    let promotions = promotions::of_project(&state.pool, project.id).await?;
    let answering = promotions.first().map(|promotion| promotion.model_id);
    let summaries = summaries(state, project, &found).await?;
    let needs = model_removal::needs(&state.pool, project.id).await?;
    let removed_by = model_removal::removed_by(&state.pool, project.id).await?;
    let family: HashMap<Uuid, (String, Option<Uuid>)> =
        found.iter().map(|model| (model.record.id, (model.record.name.clone(), model.record.parent))).collect();
    let models: Vec<Shown> = found
        .into_iter()
        .map(|model| {
            let who = removed_by.get(&model.record.id);
            let who = who.map(|name| audit_words::program(&page, name).unwrap_or_else(|| name.clone()));
            let answers = answering == Some(model.record.id);
            Shown {
                stage: words::stage(model.record.stage),
                lineage: lineage(&family, model.record.parent),
                made_from: MadeFrom::read(
                    model.record.stage,
                    &model.lineage,
                    model.job_id.and_then(|job| summaries.get(&job)),
                ),
                bytes: model_removal::bytes(&model.record),
                need: needs.get(&model.record.id).copied(),
                removed: model.record.files_removed_at.zip(who),
                answers,
                can_promote: model.record.complete && model.record.stage != Stage::Reward && !answers,
                answered_before: promotions.iter().any(|promotion| promotion.model_id == model.record.id),
                model,
            }
        })
        .collect();
    Ok(ModelsPage {
        frame: Frame::new(&page, project, "models"),
        page,
        with_files: models.iter().filter(|shown| shown.removed.is_none()).count(),
        bytes: models.iter().map(|shown| shown.bytes).sum(),
        models,
        promotions,
        form: ImportForm::default(),
        errors: Errors::default(),
        notice: None,
    })
}

/// The summaries of the runs that made these models.
async fn summaries(state: &AppState, project: &Project, models: &[Model]) -> sqlx::Result<HashMap<Uuid, Value>> {
    let newest = job_list::of_project(&state.pool, project.id, RUNS).await?;
    let mut summaries: HashMap<Uuid, Value> = newest.into_iter().map(|job| (job.id, job.summary)).collect();
    // Those of older runs one by one.
    for job in models.iter().filter_map(|model| model.job_id) {
        if let Entry::Vacant(summary) = summaries.entry(job) {
            summary.insert(job_list::by_id(&state.pool, job).await?.summary);
        }
    }
    Ok(summaries)
}

/// The names from a parent on to the first model of the line.
fn lineage(family: &HashMap<Uuid, (String, Option<Uuid>)>, parent: Option<Uuid>) -> Vec<String> {
    let known = |id: Option<Uuid>| id.and_then(|id| family.get(&id));
    let line = std::iter::successors(known(parent), |(_, parent)| known(*parent));
    // A line has no rings; the bound is for a database that someone has mended by hand.
    line.take(family.len()).map(|(name, _)| name.clone()).collect()
}

/// A model of a project: one of another project is not found.
pub(super) async fn model_of(state: &AppState, project: &Project, id: Uuid) -> Result<Model, PageError> {
    let model = models::by_id(&state.pool, id).await?;
    if model.project_id == project.id { Ok(model) } else { Err(PageError::NotFound) }
}

#[derive(Template)]
#[template(path = "admin/promote.html")]
struct PromotePage {
    page: Page,
    frame: Frame,
    model: Model,
    current: Option<Model>,
    prompts: i32,
    answers: i32,
}

/// `GET /admin/projects/{slug}/models/{id}/promote`: what a promotion would do.
pub async fn ask(
    _: Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((_, id)): Path<(String, Uuid)>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let model = model_of(&state, &project, id).await?;
    if model.record.files_removed_at.is_some() {
        return Err(PageError::Conflict(page.t("models-error-removed")));
    }
    let current = match promotions::current(&state.pool, project.id).await? {
        Some(current) => Some(models::by_id(&state.pool, current).await?),
        None => None,
    };
    let shown = PromotePage {
        frame: Frame::new(&page, &project, "models"),
        page,
        model,
        current,
        prompts: project.settings.prompts_per_round,
        answers: project.settings.answers_per_prompt,
    };
    Ok(Html(shown.render()?))
}

/// `POST /admin/projects/{slug}/models/{id}/promote`.
pub async fn promote(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((_, id)): Path<(String, Uuid)>,
    page: Page,
    CsrfForm(Button {}): CsrfForm<Button>,
) -> Result<Redirect, PageError> {
    let done = match promotions::promote(&state.pool, &actor(&user), project.id, id, BY_HAND).await {
        Ok(promotions::Promoted::Now { .. }) => "promoted",
        Ok(promotions::Promoted::Already) => "already",
        Err(PromoteError::NotFound) => return Err(PageError::NotFound),
        Err(PromoteError::Incomplete) => return Err(PageError::Conflict(page.t("training-error-incomplete"))),
        Err(PromoteError::FilesRemoved) => return Err(PageError::Conflict(page.t("models-error-removed"))),
        Err(PromoteError::NotAPolicy) => return Err(PageError::Conflict(page.t("training-error-reward"))),
        Err(PromoteError::Database(error)) => return Err(error.into()),
    };
    Ok(Redirect::to(&format!("/admin/projects/{}/models?done={done}", project.slug)))
}

/// `POST /admin/projects/{slug}/models/import`: copies a base model from a path on the server.
pub async fn import(
    Admin(user): Admin,
    State(state): State<AppState>,
    InProject(project): InProject,
    page: Page,
    CsrfForm(form): CsrfForm<ImportForm>,
) -> Result<Response, PageError> {
    let mut errors = Errors::default();
    let name = errors.text(&page, "name", &form.name, 100);
    let path = errors.text(&page, "path", &form.path, 4000);
    if errors.is_empty() {
        let source = FilePath::new(&path);
        let models_dir = state.config.models_dir();
        match base_model::import(&state.pool, &models_dir, &actor(&user), project.id, &name, source).await {
            Ok(_) => {
                let address = format!("/admin/projects/{}/models?done=imported", project.slug);
                return Ok(Redirect::to(&address).into_response());
            }
            Err(error) => explain(&page, &mut errors, error)?,
        }
    }
    let shown = ModelsPage { form, errors, ..build(&state, page, &project).await? };
    Ok((StatusCode::UNPROCESSABLE_ENTITY, Html(shown.render()?)).into_response())
}

/// Notes by the field why a model did not come in.
fn explain(page: &Page, errors: &mut Errors, error: ImportError) -> Result<(), PageError> {
    match error {
        ImportError::NotThere(_) => errors.add("path", page.t("training-error-path")),
        ImportError::NotAModel(_) => errors.add("path", page.t("training-error-model")),
        ImportError::Lacks(what) => errors.add("path", page.t1("training-error-lacks", "what", what)),
        ImportError::Register(RegisterBaseError::NameTaken(_)) => errors.add("name", page.t("training-error-name")),
        ImportError::Register(RegisterBaseError::FilesRemoved(_)) => errors.add("name", page.t("models-error-name")),
        ImportError::Register(RegisterBaseError::Invalid(reason)) => {
            tracing::warn!(reason, "a base model could not be registered");
            errors.add("path", page.t("training-error-files"));
        }
        ImportError::Read { path, error } => {
            tracing::warn!(path, %error, "a base model could not be read");
            errors.add("path", page.t1("training-error-read", "path", path));
        }
        ImportError::Store(error) => {
            tracing::error!(%error, "a base model could not be stored");
            errors.add("path", page.t("training-error-store"));
        }
        ImportError::Database(error) | ImportError::Register(RegisterBaseError::Database(error)) => {
            return Err(error.into());
        }
    }
    Ok(())
}
