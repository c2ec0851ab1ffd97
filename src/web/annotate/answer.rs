//! `GET /tasks/{assignment}/answers/{position}`: one answer in full. A task's page begins a very long answer and takes the rest
//! from here when it is unfolded; without JavaScript it is a page of its own.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::{Html, IntoResponse, Redirect, Response},
};
use uuid::Uuid;

use super::task;
use crate::{
    domain::assignment,
    web::{AppState, Page, PageError, authorise::Annotator, markdown},
};

#[derive(Template)]
#[template(path = "annotate/answer.html")]
struct AnswerPage {
    page: Page,
    assignment: Uuid,
    project_name: String,
    letter: char,
    html: String,
}

pub async fn get(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path((assignment, position)): Path<(Uuid, i32)>,
    page: Page,
) -> Result<Response, PageError> {
    let task = task::find(&state.pool, user.id, assignment).await?;
    if task.answers.is_empty() {
        // Where one writes there is none to read.
        return Ok(Redirect::to(&format!("/tasks/{assignment}")).into_response());
    }
    let place = task.answers.iter().position(|answer| answer.position == position).ok_or(PageError::NotFound)?;
    let shown = AnswerPage {
        page,
        assignment,
        project_name: task.project_name,
        letter: assignment::letter(place),
        html: markdown::render(&task.answers[place].content),
    };
    Ok(Html(shown.render()?).into_response())
}
