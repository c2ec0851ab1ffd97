//! The ranking page: shows K answers to one prompt and takes an order of them, ties included.

use askama::Template;
use axum::response::Html;

use super::{
    task::{self, Shown},
    view::{self, AnswerView, TaskFrame},
};
use crate::{
    db::queue::Task,
    web::{Page, PageError},
};

#[derive(Template)]
#[template(path = "annotate/ranking.html")]
struct RankingPage {
    page: Page,
    frame: TaskFrame,
    /// In the order of this person's page.
    answers: Vec<AnswerView>,
    /// 1 to K.
    ranks: Vec<String>,
    note: String,
}

pub fn draw(page: Page, task: Task, shown: Shown) -> Result<Html<String>, PageError> {
    let answers = view::answers(&page, &task, &shown.fields);
    let ranks = (1..=answers.len()).map(|rank| rank.to_string()).collect();
    let note = shown.fields.get("note").to_owned();
    let frame = task::frame(&task, shown);
    Ok(Html(RankingPage { page, frame, answers, ranks, note }.render()?))
}
