//! `/admin/projects/{slug}/plan`: in which shares the kinds of task are handed out.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    forms::{Errors, Saved},
    project::{Frame, InProject, actor},
};
use crate::{
    db::{
        plans::{self, Plan},
        projects::Project,
    },
    web::{AppState, Page, PageError, authorise::Lead, csrf::CsrfForm},
};

#[derive(Template)]
#[template(path = "admin/plan.html")]
struct PlanPage {
    page: Page,
    frame: Frame,
    form: PlanForm,
    errors: Errors,
    saved: bool,
}

/// The weights as typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PlanForm {
    demonstrations: String,
    rankings: String,
    comparisons: String,
    prompts: String,
}

impl From<Plan> for PlanForm {
    fn from(plan: Plan) -> Self {
        PlanForm {
            demonstrations: plan.demonstrations.to_string(),
            rankings: plan.rankings.to_string(),
            comparisons: plan.comparisons.to_string(),
            prompts: plan.prompts.to_string(),
        }
    }
}

impl PlanForm {
    fn read(&self, page: &Page) -> Result<Plan, Errors> {
        let mut errors = Errors::default();
        let plan = Plan {
            demonstrations: errors.number(page, "demonstrations", &self.demonstrations, 0..=100),
            rankings: errors.number(page, "rankings", &self.rankings, 0..=100),
            comparisons: errors.number(page, "comparisons", &self.comparisons, 0..=100),
            // A form from before there were prompts to write has no such field.
            prompts: match self.prompts.as_str() {
                "" => 0,
                typed => errors.number(page, "prompts", typed, 0..=100),
            },
        };
        if errors.is_empty() && plan.demonstrations + plan.rankings + plan.comparisons + plan.prompts == 0 {
            errors.add("demonstrations", page.t("work-error-no-weight"));
        }
        if errors.is_empty() { Ok(plan) } else { Err(errors) }
    }
}

pub async fn get(
    _: Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(query): Query<Saved>,
    page: Page,
) -> Result<Response, PageError> {
    let form = plans::of_project(&state.pool, project.id).await?.into();
    show(page, &project, form, Errors::default(), query.saved.is_some())
}

pub async fn post(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    page: Page,
    CsrfForm(form): CsrfForm<PlanForm>,
) -> Result<Response, PageError> {
    match form.read(&page) {
        Ok(plan) => {
            plans::change(&state.pool, &actor(&user), (project.id, &project.slug), plan).await?;
            Ok(Redirect::to(&format!("/admin/projects/{}/plan?saved=1", project.slug)).into_response())
        }
        Err(errors) => {
            let shown = show(page, &project, form, errors, false)?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response())
        }
    }
}

fn show(page: Page, project: &Project, form: PlanForm, errors: Errors, saved: bool) -> Result<Response, PageError> {
    let frame = Frame::new(&page, project, "plan");
    Ok(Html(PlanPage { page, frame, form, errors, saved }.render()?).into_response())
}
