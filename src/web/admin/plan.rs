//! `/admin/projects/{slug}/plan`: in which shares the kinds of task are handed out.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    forms::{Errors, Saved, Told},
    project::{Frame, InProject, actor},
};
use crate::{
    db::{
        drawn::{DrawnWith, SaveError},
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
    meanwhile: bool,
}

/// The weights as typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PlanForm {
    drawn: DrawnWith,
    demonstrations: String,
    rankings: String,
    comparisons: String,
    prompts: String,
}

impl From<Plan> for PlanForm {
    fn from(plan: Plan) -> Self {
        PlanForm {
            drawn: plan.drawn_with(),
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
    show(page, &project, form, Told::saved(&query))
}

pub async fn post(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    page: Page,
    CsrfForm(mut form): CsrfForm<PlanForm>,
) -> Result<Response, PageError> {
    let plan = match form.read(&page) {
        Ok(plan) => plan,
        Err(errors) => return show(page, &project, form, Told::wrong(errors)),
    };
    match plans::change(&state.pool, &actor(&user), (project.id, &project.slug), &form.drawn, plan).await {
        Ok(()) => Ok(Redirect::to(&format!("/admin/projects/{}/plan?saved=1", project.slug)).into_response()),
        Err(SaveError::Changed(drawn)) => {
            form.drawn = drawn;
            show(page, &project, form, Told::meanwhile())
        }
        Err(SaveError::Database(error)) => Err(error.into()),
    }
}

fn show(page: Page, project: &Project, form: PlanForm, told: Told) -> Result<Response, PageError> {
    let frame = Frame::new(&page, project, "plan");
    let status = told.status();
    let Told { errors, saved, meanwhile } = told;
    Ok((status, Html(PlanPage { page, frame, form, errors, saved, meanwhile }.render()?)).into_response())
}
