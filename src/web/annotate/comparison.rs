//! The head-to-head page: two answers to one prompt, and how sure one is that one of them is better.

use askama::Template;
use axum::response::Html;

use super::{
    task::{self, Shown},
    view::{self, AnswerView, TaskFrame},
};
use crate::{
    db::queue::Task,
    domain::comparison::Confidence,
    web::{Page, PageError},
};

#[derive(Template)]
#[template(path = "annotate/comparison.html")]
struct ComparisonPage {
    page: Page,
    frame: TaskFrame,
    /// A and B, as this person sees them.
    answers: Vec<AnswerView>,
    /// 1 to 9.
    points: Vec<String>,
    /// The point chosen so far, as text; empty where none is.
    chosen: String,
    note: String,
}

pub fn draw(page: Page, task: Task, shown: Shown) -> Result<Html<String>, PageError> {
    let answers = view::answers(&page, &task, &shown.fields);
    let points = (1..=9).map(|point| point.to_string()).collect();
    let chosen = shown.fields.get("confidence").to_owned();
    let note = shown.fields.get("note").to_owned();
    let frame = task::frame(&task, shown);
    Ok(Html(ComparisonPage { page, frame, answers, points, chosen, note }.render()?))
}

/// From what the page says of A and B to what is stored of the answers by their positions, and back.
pub fn by_position(task: &Task, confidence: Confidence) -> Confidence {
    match task.answers.first() {
        Some(first) if first.position != 0 => confidence.turned(),
        _ => confidence,
    }
}
