//! `/admin/projects/{slug}/writing`: which prompts people are to write, and how far they are.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    forms::{Errors, Saved, Withdrawal},
    project::{Frame, InProject, actor},
    show,
};
use crate::{
    db::{
        briefs::{self, Brief, COUNT, NewBrief},
        projects::Project,
    },
    domain::{language, written_prompt::PromptKind},
    web::{AppState, Page, PageError, authorise::Lead, csrf::CsrfForm},
};

/// Characters of a use case or a hint.
const LONGEST: usize = 5_000;
/// Use cases that one form may have.
const MOST_CASES: usize = 200;

#[derive(Template)]
#[template(path = "admin/writing.html")]
struct WritingPage {
    page: Page,
    frame: Frame,
    form: WritingForm,
    errors: Errors,
    saved: bool,
    briefs: Vec<Brief>,
}

/// What is asked for, as typed.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct WritingForm {
    kind: String,
    count: String,
    language: String,
    about: String,
}

impl Default for WritingForm {
    fn default() -> Self {
        let [kind, count] = ["plain", "10"].map(str::to_owned);
        WritingForm { kind, count, language: String::new(), about: String::new() }
    }
}

impl WritingForm {
    /// One brief; of use cases, one a line.
    fn read(&self, page: &Page) -> Result<Vec<NewBrief>, Errors> {
        let mut errors = Errors::default();
        let kind = self.kind.parse().unwrap_or_else(|_| {
            errors.add("kind", page.t("writing-error-kind"));
            PromptKind::Plain
        });
        let count = errors.number(page, "count", &self.count, COUNT);
        let language = match self.language.trim() {
            "" => None,
            tag => match language::primary(tag) {
                Ok(_) => Some(tag.to_owned()),
                Err(error) => {
                    errors.add("language", page.t1("work-error-language", "tag", error.0));
                    None
                }
            },
        };
        let text = self.about.replace("\r\n", "\n").replace('\0', "");
        let abouts: Vec<String> = match kind {
            PromptKind::UseCase => {
                text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
            }
            _ => vec![text.trim().to_owned()],
        };
        if abouts.is_empty() {
            errors.add("about", page.t("writing-error-no-case"));
        } else if abouts.len() > MOST_CASES {
            errors.add("about", page.t1("writing-error-cases", "most", MOST_CASES));
        } else if abouts.iter().any(|about| about.chars().count() > LONGEST) {
            errors.add("about", page.t1("admin-error-long", "most", LONGEST));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let brief = |about| NewBrief { kind, about, language: language.clone(), replaces: None, count };
        Ok(abouts.into_iter().map(brief).collect())
    }
}

pub async fn get(
    _: Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(query): Query<Saved>,
    page: Page,
) -> Result<Response, PageError> {
    draw(&state, page, &project, WritingForm::default(), Errors::default(), query.saved.is_some()).await
}

pub async fn post(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    page: Page,
    CsrfForm(form): CsrfForm<WritingForm>,
) -> Result<Response, PageError> {
    match form.read(&page) {
        Ok(wanted) => {
            briefs::create(&state.pool, &actor(&user), (project.id, &project.slug), &wanted).await?;
            Ok(Redirect::to(&format!("/admin/projects/{}/writing?saved=1", project.slug)).into_response())
        }
        Err(errors) => {
            let shown = draw(&state, page, &project, form, errors, false).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response())
        }
    }
}

/// `POST /admin/projects/{slug}/writing/{id}/withdraw`.
pub async fn withdraw(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((slug, id)): Path<(String, Uuid)>,
    CsrfForm(form): CsrfForm<Withdrawal>,
) -> Result<Redirect, PageError> {
    briefs::set_withdrawn(&state.pool, &actor(&user), project.id, id, form.is_withdrawn()).await?;
    Ok(Redirect::to(&format!("/admin/projects/{slug}/writing")))
}

async fn draw(
    state: &AppState,
    page: Page,
    project: &Project,
    form: WritingForm,
    errors: Errors,
    saved: bool,
) -> Result<Response, PageError> {
    let briefs = briefs::of_project(&state.pool, project.id).await?;
    let frame = Frame::new(&page, project, "writing");
    Ok(Html(WritingPage { page, frame, form, errors, saved, briefs }.render()?).into_response())
}
