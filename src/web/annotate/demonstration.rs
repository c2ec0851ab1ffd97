//! The page to write a demonstration: the conversation above, a writing place below.

use askama::Template;
use axum::response::Html;

use super::{
    forms::LONGEST_COMPLETION,
    task::{self, Shown},
    view::{self, TaskFrame},
};
use crate::{
    db::queue::Task,
    web::{Page, PageError, markdown},
};

#[derive(Template)]
#[template(path = "annotate/demonstration.html")]
struct DemonstrationPage {
    page: Page,
    frame: TaskFrame,
    completion: String,
    /// How the text will look, where that was asked for without JavaScript.
    preview: Option<String>,
    longest: usize,
}

pub fn draw(page: Page, task: Task, shown: Shown) -> Result<Html<String>, PageError> {
    let completion = shown.fields.get("completion").to_owned();
    let preview = (shown.preview && !completion.is_empty()).then(|| markdown::render(&completion));
    let frame = task::frame(&task, shown);
    Ok(Html(DemonstrationPage { page, frame, completion, preview, longest: LONGEST_COMPLETION }.render()?))
}
