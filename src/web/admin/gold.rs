//! `/admin/projects/{slug}/gold`: how people are checked, the tasks whose answers are known, and how everybody does on them.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    forms::{Button, Errors, Saved, Told},
    project::{Frame, InProject, actor},
    show::order,
};
use crate::{
    db::{
        drawn::{DrawnWith, SaveError},
        gold_scores::{self, Score},
        gold_tasks::{self, Checks, GoldTask},
        projects::Project,
    },
    web::{
        AppState, Page, PageError,
        authorise::{Lead, Reviewer},
        csrf::CsrfForm,
    },
};

#[derive(Template)]
#[template(path = "admin/gold.html")]
struct GoldPage {
    page: Page,
    frame: Frame,
    form: ChecksForm,
    errors: Errors,
    saved: bool,
    meanwhile: bool,
    tasks: Vec<GoldTask>,
    scores: Vec<Score>,
    /// The project demands its course.
    demands_course: bool,
}

impl GoldPage {
    /// `B > A = C`: the known order, by the letters of the positions.
    fn order(&self, task: &GoldTask) -> String {
        order(&task.ranks)
    }

    /// `87 %`; a dash where nothing has been answered.
    fn share(&self, agreed: &i64, pairs: &i64) -> String {
        if *pairs == 0 { "–".to_owned() } else { format!("{:.0} %", 100.0 * *agreed as f64 / *pairs as f64) }
    }

    /// The same of a course.
    fn course_share(&self, agreed: &i64, pairs: &i64) -> String {
        rounded_down(*agreed, *pairs)
    }
}

/// A share in whole percent: one below the mark of the course does not look as if it reached it.
fn rounded_down(agreed: i64, pairs: i64) -> String {
    if pairs == 0 { "–".to_owned() } else { format!("{} %", 100 * agreed / pairs) }
}

/// How people are checked, as typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ChecksForm {
    drawn: DrawnWith,
    gold_percent: String,
    course_tasks: String,
    course_pass_percent: String,
}

impl From<Checks> for ChecksForm {
    fn from(checks: Checks) -> Self {
        ChecksForm {
            drawn: checks.drawn_with(),
            gold_percent: checks.gold_percent.to_string(),
            course_tasks: checks.course_tasks.to_string(),
            course_pass_percent: checks.course_pass_percent.to_string(),
        }
    }
}

pub async fn get(
    _: Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(query): Query<Saved>,
    page: Page,
) -> Result<Response, PageError> {
    let form = gold_tasks::checks(&state.pool, project.id).await?.into();
    show(&state, page, &project, form, Told::saved(&query)).await
}

pub async fn post(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    page: Page,
    CsrfForm(mut form): CsrfForm<ChecksForm>,
) -> Result<Response, PageError> {
    let mut errors = Errors::default();
    let checks = Checks {
        gold_percent: errors.number(&page, "gold_percent", &form.gold_percent, 0..=100),
        course_tasks: errors.number(&page, "course_tasks", &form.course_tasks, 0..=100),
        course_pass_percent: errors.number(&page, "course_pass_percent", &form.course_pass_percent, 0..=100),
    };
    if !errors.is_empty() {
        return show(&state, page, &project, form, Told::wrong(errors)).await;
    }
    let of = (project.id, project.slug.as_str());
    match gold_tasks::change_checks(&state.pool, &actor(&user), of, &form.drawn, checks).await {
        Ok(()) => Ok(Redirect::to(&format!("/admin/projects/{}/gold?saved=1", project.slug)).into_response()),
        Err(SaveError::Changed(drawn)) => {
            form.drawn = drawn;
            show(&state, page, &project, form, Told::meanwhile()).await
        }
        Err(SaveError::Database(error)) => Err(error.into()),
    }
}

async fn show(
    state: &AppState,
    page: Page,
    project: &Project,
    form: ChecksForm,
    told: Told,
) -> Result<Response, PageError> {
    let status = told.status();
    let Told { errors, saved, meanwhile } = told;
    let shown = GoldPage {
        frame: Frame::new(&page, project, "gold"),
        page,
        demands_course: gold_tasks::checks(&state.pool, project.id).await?.course_tasks > 0,
        form,
        errors,
        saved,
        meanwhile,
        tasks: gold_tasks::list(&state.pool, project.id).await?,
        scores: gold_scores::scores(&state.pool, project.id).await?,
    };
    Ok((status, Html(shown.render()?)).into_response())
}

/// `POST /admin/projects/{slug}/gold/people/{person}/again`: the course once more before real work.
pub async fn ask_again(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((_, person)): Path<(String, Uuid)>,
    CsrfForm(Button {}): CsrfForm<Button>,
) -> Result<Redirect, PageError> {
    gold_scores::ask_again(&state.pool, &actor(&user), (project.id, &project.slug), person).await?;
    Ok(Redirect::to(&format!("/admin/projects/{}/gold#people", project.slug)))
}

/// `POST /admin/projects/{slug}/gold/people/{person}/pass`: real work without the mark of the course.
pub async fn let_pass(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((_, person)): Path<(String, Uuid)>,
    CsrfForm(Button {}): CsrfForm<Button>,
) -> Result<Redirect, PageError> {
    gold_scores::let_pass(&state.pool, &actor(&user), (project.id, &project.slug), person).await?;
    Ok(Redirect::to(&format!("/admin/projects/{}/gold#people", project.slug)))
}

#[cfg(test)]
mod tests {
    use super::rounded_down;

    #[test]
    fn a_share_below_the_mark_of_the_course_does_not_look_as_if_it_reached_it() {
        assert_eq!(rounded_down(43, 54), "79 %");
        assert_eq!((rounded_down(4, 5), rounded_down(6, 6)), ("80 %".to_owned(), "100 %".to_owned()));
        assert_eq!(rounded_down(0, 0), "–");
    }
}
