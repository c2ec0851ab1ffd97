//! `/admin/projects/{slug}/gold/{task}` and `…/gold/new?prompt={prompt}`: what is known of one task.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use uuid::Uuid;

use super::project::{Frame, InProject, actor};
use crate::{
    db::{
        drawn::{DrawnWith, SaveError},
        gold_tasks::{self, Known, LONGEST_EXPLANATION, Material},
        projects::Project,
    },
    domain::{assignment, ranking::Ranking},
    web::{AppState, Page, PageError, authorise::Lead, csrf::CsrfForm, markdown},
};

#[derive(Template)]
#[template(path = "admin/gold_task.html")]
struct GoldTaskPage {
    page: Page,
    frame: Frame,
    material: Material,
    drawn: DrawnWith,
    messages: Vec<String>,
    answers: Vec<ShownAnswer>,
    /// 1 to K.
    choices: Vec<String>,
    purpose: String,
    explanation: String,
    retired: bool,
    error: Option<String>,
}

struct ShownAnswer {
    letter: char,
    position: usize,
    html: String,
    rank: String,
}

#[derive(Deserialize)]
pub struct Wanted {
    prompt: Option<Uuid>,
}

/// Finds the task of a prompt from which a known answer can be made; without a prompt, the prompts to choose from.
pub async fn new(
    _: Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(wanted): Query<Wanted>,
) -> Result<Redirect, PageError> {
    let Some(prompt) = wanted.prompt else {
        return Ok(Redirect::to(&format!("/admin/projects/{}/prompts", project.slug)));
    };
    let task = gold_tasks::task_of_prompt(&state.pool, project.id, prompt).await?.ok_or(PageError::NotFound)?;
    Ok(Redirect::to(&format!("/admin/projects/{}/gold/{task}", project.slug)))
}

pub async fn get(
    _: Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((_, task)): Path<(String, Uuid)>,
    page: Page,
) -> Result<Response, PageError> {
    let material = gold_tasks::material(&state.pool, project.id, task).await?.ok_or(PageError::NotFound)?;
    let known = material.known.clone();
    let ranks = known.iter().flat_map(|known| known.ranks.iter().map(ToString::to_string)).collect();
    let form = Form {
        drawn: material.drawn_with(),
        ranks,
        purpose: known.as_ref().map_or("check", |known| &known.purpose).to_owned(),
        explanation: known.as_ref().map(|known| known.explanation.clone()).unwrap_or_default(),
        retired: known.is_some_and(|known| known.retired),
    };
    Ok(show(page, &project, material, form, None)?.into_response())
}

pub async fn post(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((_, task)): Path<(String, Uuid)>,
    page: Page,
    CsrfForm(sent): CsrfForm<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let material = gold_tasks::material(&state.pool, project.id, task).await?.ok_or(PageError::NotFound)?;
    let form = Form::read(&sent, material.answers.len());
    match form.known(&page) {
        Ok(known) => {
            let of = (project.id, project.slug.as_str());
            let saved = gold_tasks::save(&state.pool, &actor(&user), of, &material, &form.drawn, &known).await;
            match saved {
                Ok(_) => Ok(Redirect::to(&format!("/admin/projects/{}/gold?saved=1", project.slug)).into_response()),
                Err(SaveError::Changed(drawn)) => {
                    let error = page.t("admin-form-meanwhile");
                    let shown = show(page, &project, material, Form { drawn, ..form }, Some(error))?;
                    Ok((StatusCode::CONFLICT, shown).into_response())
                }
                Err(SaveError::Database(error)) => Err(error.into()),
            }
        }
        Err(error) => {
            let shown = show(page, &project, material, form, Some(error))?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response())
        }
    }
}

/// A known answer as typed.
struct Form {
    drawn: DrawnWith,
    /// By position, as text.
    ranks: Vec<String>,
    purpose: String,
    explanation: String,
    retired: bool,
}

impl Form {
    fn read(sent: &[(String, String)], answers: usize) -> Self {
        let field = |wanted: &str| {
            let found = sent.iter().rfind(|(name, _)| name == wanted);
            found.map(|(_, value)| value.replace("\r\n", "\n").replace('\0', "")).unwrap_or_default()
        };
        Form {
            drawn: DrawnWith::read(&field("drawn")),
            ranks: (0..answers).map(|position| field(&format!("rank_{position}"))).collect(),
            purpose: field("purpose"),
            explanation: field("explanation").trim().to_owned(),
            retired: field("retired") == "yes",
        }
    }

    /// What it says, or what is wrong with it.
    fn known(&self, page: &Page) -> Result<Known, String> {
        let ranks: Vec<u32> = self.ranks.iter().filter_map(|rank| rank.parse().ok()).collect();
        if ranks.len() != self.ranks.len() {
            return Err(page.t("gold-error-ranks"));
        }
        let ranking = Ranking::from_ranks(&ranks).map_err(|_| page.t("gold-error-ranks"))?;
        if ranking.pairs().next().is_none() {
            return Err(page.t("gold-error-all-tied"));
        }
        if !matches!(self.purpose.as_str(), "check" | "course") {
            return Err(page.t("gold-error-purpose"));
        }
        if self.explanation.chars().count() > LONGEST_EXPLANATION {
            return Err(page.t1("admin-error-long", "most", LONGEST_EXPLANATION));
        }
        Ok(Known {
            ranks: ranking.ranks().iter().filter_map(|rank| i32::try_from(*rank).ok()).collect(),
            purpose: self.purpose.clone(),
            explanation: self.explanation.clone(),
            retired: self.retired,
        })
    }
}

fn show(
    page: Page,
    project: &Project,
    material: Material,
    form: Form,
    error: Option<String>,
) -> Result<Html<String>, PageError> {
    let answers: Vec<ShownAnswer> = material
        .answers
        .iter()
        .enumerate()
        .map(|(position, content)| ShownAnswer {
            letter: assignment::letter(position),
            position,
            html: markdown::render(content),
            rank: form.ranks.get(position).cloned().unwrap_or_default(),
        })
        .collect();
    let shown = GoldTaskPage {
        frame: Frame::new(&page, project, "gold"),
        page,
        drawn: form.drawn,
        messages: material.conversation.iter().map(|message| markdown::render(&message.content)).collect(),
        choices: (1..=answers.len()).map(|rank| rank.to_string()).collect(),
        answers,
        material,
        purpose: form.purpose,
        explanation: form.explanation,
        retired: form.retired,
        error,
    };
    Ok(Html(shown.render()?))
}
