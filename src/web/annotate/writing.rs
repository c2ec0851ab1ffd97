//! The page to write a prompt: a plain one, a few-shot one, or one for a use case; and what was written, shown again.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use laurel_records::Message;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    forms::LONGEST_COMPLETION,
    standing,
    task::{self, Shown},
    view::{self, BegunView, MessageView, TaskFrame},
};
use crate::{
    db::{
        label_versions::{self, Label},
        queue::{Brief, Task},
    },
    domain::written_prompt::{FEWEST_EXAMPLES, MOST_EXAMPLES, PromptKind, Written},
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

/// What kind of prompt a task asks for.
pub fn kind(task: &Task) -> PromptKind {
    task.brief.as_ref().map_or(PromptKind::Plain, |brief| brief.kind)
}

/// The fields of the form as they were when the prompt was sent.
pub fn fields(task: &Task, conversation: &[Message]) -> Vec<(String, String)> {
    let named = |name: &str, value: String| (name.to_owned(), value);
    match Written::of_conversation(kind(task), conversation) {
        Some(Written::Text(text)) => vec![named("prompt", text)],
        Some(Written::FewShot { instruction, examples, query }) => {
            let mut fields = vec![named("instruction", instruction), named("query", query)];
            for (example, number) in examples.into_iter().zip(1..) {
                fields.push((format!("query_{number}"), example.query));
                fields.push((format!("response_{number}"), example.response));
            }
            fields
        }
        None => Vec::new(),
    }
}

#[derive(Template)]
#[template(path = "annotate/written.html")]
struct WrittenPage {
    page: Page,
    assignment: Uuid,
    project_name: String,
    simulated: bool,
    conversation: Vec<MessageView>,
    extra_opinion: bool,
    may_be_corrected: bool,
    begun: Option<BegunView>,
    /// Those that were replaced, newest first.
    earlier: Vec<EarlierView>,
}

/// A version that was replaced.
struct EarlierView {
    /// Counted from 1.
    number: usize,
    at: OffsetDateTime,
    messages: Vec<MessageView>,
}

/// The page of a prompt that the person has written.
pub async fn draw_done(pool: &PgPool, user: Uuid, page: Page, task: Task) -> Result<Response, PageError> {
    let mut versions = label_versions::all(pool, user, task.assignment).await?;
    let standing = versions.pop().ok_or(PageError::NotFound)?;
    let begun = standing::begun(pool, user, &task, standing.id).await?;
    let earlier = versions.iter().enumerate().rev();
    let earlier = earlier.map(|(place, version)| EarlierView {
        number: place + 1,
        at: version.at,
        messages: messages(&version.label),
    });
    let shown = WrittenPage {
        page,
        assignment: task.assignment,
        project_name: task.project_name,
        simulated: task.project_simulated,
        conversation: messages(&standing.label),
        extra_opinion: standing.label.extra_opinion(),
        may_be_corrected: label_versions::may_be_corrected(pool, standing.id).await?,
        begun: begun.as_ref().and_then(BegunView::of),
        earlier: earlier.collect(),
    };
    Ok(Html(shown.render()?).into_response())
}

fn messages(label: &Label) -> Vec<MessageView> {
    match label {
        Label::Prompt { conversation, .. } => view::messages(conversation),
        _ => Vec::new(),
    }
}
