//! `/admin/projects/{slug}/prompts`: every prompt, by page, search and filter; and one prompt with all that was said to it.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::{Html, IntoResponse},
};
use laurel_records::Role;
use serde::Deserialize;
use uuid::Uuid;

use super::{
    project::{Frame, InProject},
    show,
};
use crate::{
    db::{
        prompt_list::{self, Demonstration, Filter, Listed, Prompt, Ranking},
        words,
    },
    web::{AppState, Page, PageError, authorise::Reviewer, markdown},
};

const PER_PAGE: i64 = 50;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    q: String,
    split: String,
    language: String,
    state: String,
    tag: String,
    page: String,
}

#[derive(Template)]
#[template(path = "admin/prompts.html")]
struct PromptsPage {
    page: Page,
    frame: Frame,
    wanted: Wanted,
    prompts: Vec<Listed>,
    total: i64,
    languages: Vec<String>,
    tags: Vec<String>,
    number: i64,
    pages: i64,
    /// Address of the list without a page number.
    address: String,
}

impl PromptsPage {
    fn is_filtered(&self) -> bool {
        let wanted = &self.wanted;
        [&wanted.q, &wanted.split, &wanted.language, &wanted.state, &wanted.tag].iter().any(|field| !field.is_empty())
    }
}

pub async fn get(
    _: Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(wanted): Query<Wanted>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let filter = Filter {
        search: wanted.q.trim().replace('\0', ""),
        split: wanted.split.clone(),
        language: wanted.language.clone(),
        state: wanted.state.clone(),
        tag: wanted.tag.clone(),
    };
    let asked = wanted.page.parse::<i64>().unwrap_or(1).clamp(1, 1_000_000);
    let (prompts, total) =
        prompt_list::page(&state.pool, project.id, &filter, PER_PAGE, (asked - 1) * PER_PAGE).await?;
    let (languages, tags) = prompt_list::choices(&state.pool, project.id).await?;
    let query = serde_html_form::to_string([
        ("q", &wanted.q),
        ("split", &wanted.split),
        ("language", &wanted.language),
        ("state", &wanted.state),
        ("tag", &wanted.tag),
    ])
    .map_err(anyhow::Error::from)?;
    let shown = PromptsPage {
        frame: Frame::new(&page, &project, "prompts"),
        page,
        address: format!("/admin/projects/{}/prompts?{query}", project.slug),
        wanted,
        prompts,
        total,
        languages,
        tags,
        number: asked,
        pages: (total + PER_PAGE - 1) / PER_PAGE,
    };
    Ok(Html(shown.render()?))
}

/// A message, rendered.
struct ShownMessage {
    role: &'static str,
    html: String,
}

/// An answer with its letter.
struct ShownResponse {
    id: Uuid,
    letter: String,
    model: Option<String>,
    html: String,
}

/// A ranking as letters: `B > A = C`.
struct ShownRanking {
    order: String,
    ranking: Ranking,
}

#[derive(Template)]
#[template(path = "admin/prompt.html")]
struct PromptPage {
    page: Page,
    frame: Frame,
    prompt: Prompt,
    messages: Vec<ShownMessage>,
    responses: Vec<ShownResponse>,
    demonstrations: Vec<(Demonstration, String)>,
    rankings: Vec<ShownRanking>,
}

/// `GET /admin/projects/{slug}/prompts/{id}`.
pub async fn one(
    _: Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((_, id)): Path<(String, Uuid)>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let prompt = prompt_list::prompt(&state.pool, project.id, id).await?;
    let messages = prompt
        .conversation
        .iter()
        .map(|message| ShownMessage {
            role: words::message_role(message.role),
            html: render(message.role, &message.content),
        })
        .collect();
    let responses: Vec<_> = prompt_list::responses(&state.pool, id)
        .await?
        .into_iter()
        .enumerate()
        .map(|(index, response)| ShownResponse {
            id: response.id,
            letter: letter(index),
            model: response.model,
            html: markdown::render(&response.content),
        })
        .collect();
    let rankings = prompt_list::rankings(&state.pool, id)
        .await?
        .into_iter()
        .map(|ranking| ShownRanking { order: order(&ranking, &responses), ranking })
        .collect();
    let demonstrations = prompt_list::demonstrations(&state.pool, id)
        .await?
        .into_iter()
        .map(|demonstration| {
            let html = markdown::render(&demonstration.completion);
            (demonstration, html)
        })
        .collect();
    let frame = Frame::new(&page, &project, "prompts");
    Ok(Html(PromptPage { page, frame, prompt, messages, responses, demonstrations, rankings }.render()?))
}

fn render(_: Role, content: &str) -> String {
    markdown::render(content)
}

/// A, B, … Z, A2, B2, …
fn letter(index: usize) -> String {
    let letter = char::from(b'A' + u8::try_from(index % 26).unwrap_or_default());
    if index < 26 { letter.to_string() } else { format!("{letter}{}", index / 26 + 1) }
}

fn order(ranking: &Ranking, responses: &[ShownResponse]) -> String {
    let mut shown = String::new();
    let mut last = None;
    for (rank, id) in ranking.ranks.iter().zip(&ranking.responses) {
        match last {
            Some(last) if last == rank => shown.push_str(" = "),
            Some(_) => shown.push_str(" > "),
            None => {}
        }
        let letter = responses.iter().find(|response| response.id == *id).map(|response| response.letter.as_str());
        shown.push_str(letter.unwrap_or("?"));
        last = Some(rank);
    }
    shown
}
