//! `GET /tasks/{assignment}/beside`: two answers of a task side by side, with what differs marked.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use uuid::Uuid;

use super::task;
use crate::{
    db::queue::Task,
    domain::{assignment, differences},
    web::{AppState, Page, PageError, authorise::Annotator},
};

/// The letters of the two answers; the first two where there is nothing said.
#[derive(Debug, Deserialize)]
pub struct Pair {
    #[serde(default)]
    left: Option<char>,
    #[serde(default)]
    right: Option<char>,
}

#[derive(Template)]
#[template(path = "annotate/beside.html")]
struct BesidePage {
    page: Page,
    assignment: Uuid,
    project_name: String,
    letters: Vec<char>,
    sides: [Side; 2],
    /// The texts are the same.
    same: bool,
}

struct Side {
    /// `left` or `right`: the field that chooses it.
    name: &'static str,
    letter: char,
    /// Pieces of the text, and whether the other text lacks them.
    pieces: Vec<(String, bool)>,
}

pub async fn get(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(assignment): Path<Uuid>,
    Query(pair): Query<Pair>,
    page: Page,
) -> Result<Response, PageError> {
    let task = task::find(&state.pool, user.id, assignment).await?;
    if task.answers.is_empty() {
        // Where one writes there is nothing to put side by side.
        return Ok(Redirect::to(&format!("/tasks/{assignment}")).into_response());
    }
    let letters: Vec<char> = (0..task.answers.len()).map(assignment::letter).collect();
    let (left, right) = (chosen(&task, pair.left, 0)?, chosen(&task, pair.right, 1)?);
    let (before, after) = differences::between(left.1, right.1);
    let same = left.1 == right.1;
    let side = |name, letter, pieces: Vec<differences::Piece<'_>>| Side {
        name,
        letter,
        pieces: pieces.into_iter().map(|piece| (piece.text.to_owned(), piece.differs)).collect(),
    };
    let sides = [side("left", left.0, before), side("right", right.0, after)];
    let shown = BesidePage { page, assignment, project_name: task.project_name.clone(), letters, sides, same };
    Ok(Html(shown.render()?).into_response())
}

/// The letter and the text of an answer.
fn chosen(task: &Task, letter: Option<char>, usual: usize) -> Result<(char, &str), PageError> {
    let wanted = letter.unwrap_or_else(|| assignment::letter(usual));
    let found = task.answers.iter().enumerate().find(|(place, _)| assignment::letter(*place) == wanted);
    found.map(|(_, answer)| (wanted, answer.content.as_str())).ok_or(PageError::NotFound)
}
