//! `/admin/projects/{slug}/next`: which prompts come next, by which order, and the near-duplicates that are held back.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    forms::{Button, Errors},
    project::{Frame, InProject, actor},
    show,
};
use crate::{
    db::{
        drawn::{DrawnWith, SaveError},
        near_duplicates::{self, HeldBack},
        projects::Project,
        prompt_order::{self, Next, OrderSettings, Scored, TaskOrder},
    },
    web::{
        AppState, Page, PageError,
        authorise::{Lead, Reviewer},
        csrf::CsrfForm,
    },
};

/// Tasks of the queue that the page shows.
const SHOWN: i64 = 15;

/// The settings as typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct OrderForm {
    drawn: DrawnWith,
    order: String,
    hold_back: Option<String>,
    percent: String,
}

impl From<&OrderSettings> for OrderForm {
    fn from(settings: &OrderSettings) -> Self {
        OrderForm {
            drawn: settings.drawn_with(),
            order: settings.order.as_str().to_owned(),
            hold_back: settings.hold_back.then(|| "on".to_owned()),
            percent: settings.percent.to_string(),
        }
    }
}

#[derive(Template)]
#[template(path = "admin/next_prompts.html")]
struct NextPage {
    page: Page,
    frame: Frame,
    form: OrderForm,
    errors: Errors,
    saved: bool,
    meanwhile: bool,
    /// How many a search has just held back.
    found: Option<i64>,
    scored: Scored,
    next: Vec<Next>,
    held_back: Vec<HeldBack>,
    held_back_total: i64,
}

impl NextPage {
    fn orders(&self) -> [&'static str; 3] {
        TaskOrder::ALL.map(TaskOrder::as_str)
    }

    fn percent(&self, similarity: &f64) -> String {
        format!("{:.0} %", similarity * 100.0)
    }
}

#[derive(Deserialize)]
pub struct Done {
    saved: Option<String>,
    found: Option<i64>,
}

async fn build(state: &AppState, page: Page, project: &Project) -> Result<NextPage, PageError> {
    let (held_back, held_back_total) = near_duplicates::held_back(&state.pool, project.id).await?;
    let settings = prompt_order::settings(&state.pool, project.id).await?;
    Ok(NextPage {
        frame: Frame::new(&page, project, "prompts"),
        page,
        form: OrderForm::from(&settings),
        errors: Errors::default(),
        saved: false,
        meanwhile: false,
        found: None,
        scored: prompt_order::scored(&state.pool, project.id).await?,
        next: prompt_order::next(&state.pool, project.id, SHOWN).await?,
        held_back,
        held_back_total,
    })
}

pub async fn get(
    _: Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(done): Query<Done>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let shown = build(&state, page, &project).await?;
    Ok(Html(NextPage { saved: done.saved.is_some(), found: done.found, ..shown }.render()?))
}

/// `POST /admin/projects/{slug}/next`: another order.
pub async fn post(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    page: Page,
    CsrfForm(mut form): CsrfForm<OrderForm>,
) -> Result<Response, PageError> {
    let mut errors = Errors::default();
    let percent = errors.number(&page, "percent", &form.percent, 60..=100);
    let order = TaskOrder::from_word(&form.order);
    if order.is_none() {
        errors.add("order", page.t("next-error-order"));
    }
    let (Some(order), true) = (order, errors.is_empty()) else {
        let shown = NextPage { form, errors, ..build(&state, page, &project).await? };
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, Html(shown.render()?)).into_response());
    };
    let settings = OrderSettings { order, hold_back: form.hold_back.is_some(), percent };
    let of = (project.id, project.slug.as_str());
    match prompt_order::set(&state.pool, &actor(&user), of, &form.drawn, &settings).await {
        Ok(()) => Ok(Redirect::to(&format!("/admin/projects/{}/next?saved=1", project.slug)).into_response()),
        Err(SaveError::Changed(drawn)) => {
            form.drawn = drawn;
            let shown = NextPage { form, meanwhile: true, ..build(&state, page, &project).await? };
            Ok((StatusCode::CONFLICT, Html(shown.render()?)).into_response())
        }
        Err(SaveError::Database(error)) => Err(error.into()),
    }
}

/// `POST /admin/projects/{slug}/next/duplicates`: looks for near-duplicates now.
pub async fn look(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    CsrfForm(Button {}): CsrfForm<Button>,
) -> Result<Redirect, PageError> {
    let found = near_duplicates::hold_back(&state.pool, &actor(&user), (project.id, &project.slug)).await?;
    Ok(Redirect::to(&format!("/admin/projects/{}/next?found={}#duplicates", project.slug, found.held_back)))
}

/// `POST /admin/projects/{slug}/next/{id}/release`: a prompt is asked all the same.
pub async fn release(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((slug, id)): Path<(String, Uuid)>,
    CsrfForm(Button {}): CsrfForm<Button>,
) -> Result<Redirect, PageError> {
    near_duplicates::release(&state.pool, &actor(&user), project.id, id).await?;
    Ok(Redirect::to(&format!("/admin/projects/{slug}/next#duplicates")))
}
