//! The page to write a prompt: a plain one, a few-shot one, or one for a use case; and what was written, shown again.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    forms::LONGEST_COMPLETION,
    task::{self, Shown},
    view::{self, MessageView, TaskFrame},
};
use crate::{
    db::{
        queue::{Brief, Task},
        written_prompts,
    },
    domain::written_prompt::{FEWEST_EXAMPLES, MOST_EXAMPLES, PromptKind},
    web::{Page, PageError},
};

/// An example as it has been typed so far.
struct ExampleView {
    number: usize,
    query: String,
    response: String,
}

#[derive(Template)]
#[template(path = "annotate/writing.html")]
struct WritingPage {
    page: Page,
    frame: TaskFrame,
    brief: Brief,
    prompt: String,
    instruction: String,
    /// Those that are needed.
    examples: Vec<ExampleView>,
    /// Those that may be given besides.
    more: Vec<ExampleView>,
    query: String,
    longest: usize,
}

impl WritingPage {
    fn is_few_shot(&self) -> bool {
        self.brief.kind == PromptKind::FewShot
    }

    /// Whether something is typed among the examples that may be given besides.
    fn has_more(&self) -> bool {
        self.more.iter().any(|example| !example.query.is_empty() || !example.response.is_empty())
    }
}

pub fn draw(page: Page, task: Task, shown: Shown) -> Result<Html<String>, PageError> {
    let brief = task.brief.clone().ok_or(PageError::NotFound)?;
    let field = |name: &str| shown.fields.get(name).to_owned();
    let example = |number: usize| ExampleView {
        number,
        query: field(&format!("query_{number}")),
        response: field(&format!("response_{number}")),
    };
    let examples = (1..=FEWEST_EXAMPLES).map(example).collect();
    let more = (FEWEST_EXAMPLES + 1..=MOST_EXAMPLES).map(example).collect();
    let (prompt, instruction, query) = (field("prompt"), field("instruction"), field("query"));
    let frame = task::frame(&task, shown);
    let longest = LONGEST_COMPLETION;
    Ok(Html(WritingPage { page, frame, brief, prompt, instruction, examples, more, query, longest }.render()?))
}

#[derive(Template)]
#[template(path = "annotate/written.html")]
struct WrittenPage {
    page: Page,
    assignment: Uuid,
    project_name: String,
    simulated: bool,
    conversation: Vec<MessageView>,
}

/// The page of a prompt that the person has written.
pub async fn draw_done(pool: &PgPool, page: Page, task: Task) -> Result<Response, PageError> {
    let written = written_prompts::of_assignment(pool, task.assignment).await?.ok_or(PageError::NotFound)?;
    let shown = WrittenPage {
        page,
        assignment: task.assignment,
        project_name: task.project_name,
        simulated: task.project_simulated,
        conversation: view::messages(&written),
    };
    Ok(Html(shown.render()?).into_response())
}
