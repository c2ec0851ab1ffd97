//! `/projects/{slug}/guidelines`: what a project wants of its annotators, and the button that says that one has read it.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::{Html, Redirect},
};
use serde::Deserialize;
use uuid::Uuid;

use super::view;
use crate::{
    db::{
        guidelines,
        queue::{self, Guidelines},
    },
    domain::role::Role,
    web::{AppState, Page, PageError, authorise::Annotator, csrf::CsrfForm, markdown},
};

#[derive(Template)]
#[template(path = "annotate/guidelines.html")]
struct GuidelinesPage {
    page: Page,
    guidelines: Guidelines,
    html: Option<String>,
    slug: String,
    /// The newest version that the person has read; 0 is none.
    last_read: i32,
    /// What to go on with, where something is.
    then: Option<Then>,
    /// The task that was finished just before: the next one's page says what became of it.
    after: Option<Uuid>,
}

/// What reading the guidelines leads on to, as addresses name it: a task by its id, `chats`, or `chat-` and a conversation's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Task(Uuid),
    Chats,
    Chat(Uuid),
}

impl Then {
    /// What was named; `None` where it is nothing of these.
    fn of(named: &str) -> Option<Self> {
        match named.strip_prefix("chat-") {
            _ if named == "chats" => Some(Then::Chats),
            Some(chat) => chat.parse().ok().map(Then::Chat),
            None => named.parse().ok().map(Then::Task),
        }
    }

    /// Its page, which says what became of the task `after`, where that was finished before.
    fn address(self, after: Option<Uuid>) -> String {
        match (self, after) {
            (Then::Task(assignment), Some(after)) => format!("/tasks/{assignment}?after={after}"),
            (Then::Task(assignment), None) => format!("/tasks/{assignment}"),
            (Then::Chats, _) => "/chats".to_owned(),
            (Then::Chat(chat), _) => format!("/chats/{chat}"),
        }
    }
}

impl std::fmt::Display for Then {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Then::Task(assignment) => write!(f, "{assignment}"),
            Then::Chats => write!(f, "chats"),
            Then::Chat(chat) => write!(f, "chat-{chat}"),
        }
    }
}

/// Where the guidelines are read that come before a task.
pub fn before(slug: &str, assignment: Uuid, after: Option<Uuid>) -> String {
    match after {
        Some(after) => format!("/projects/{slug}/guidelines?then={assignment}&after={after}"),
        None => format!("/projects/{slug}/guidelines?then={assignment}"),
    }
}

impl GuidelinesPage {
    fn is_read(&self) -> bool {
        self.guidelines.version.is_none_or(|version| self.last_read >= version)
    }
}

#[derive(Deserialize)]
pub struct Arrival {
    #[serde(default)]
    then: String,
    #[serde(default)]
    after: Option<Uuid>,
}

pub async fn get(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(slug): Path<String>,
    Query(arrival): Query<Arrival>,
    mut page: Page,
) -> Result<Html<String>, PageError> {
    let sees_all = matches!(user.role, Role::Reviewer | Role::Admin);
    let guidelines = queue::guidelines(&state.pool, user.id, sees_all, &slug).await?.ok_or(PageError::NotFound)?;
    let html = guidelines.body.as_deref().map(markdown::render);
    let last_read = guidelines::last_read(&state.pool, user.id, &slug).await?;
    let then = Then::of(&arrival.then);
    // Whoever reads them in the other language still goes on with what they came from.
    if let Some(then) = then {
        page.back = format!("{}?then={then}", page.path);
        if let Some(after) = arrival.after {
            page.back = format!("{}&after={after}", page.back);
        }
    }
    let shown = GuidelinesPage { page, guidelines, html, slug, last_read, then, after: arrival.after };
    Ok(Html(shown.render()?))
}

#[derive(Deserialize)]
pub struct ReadForm {
    version: i32,
    #[serde(default)]
    then: String,
    #[serde(default)]
    after: Option<Uuid>,
}

/// “I have read this”: of the version that stood on the page, so that a newer one is shown next.
pub async fn post(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(slug): Path<String>,
    CsrfForm(form): CsrfForm<ReadForm>,
) -> Result<Redirect, PageError> {
    let sees_all = user.role.allows(Role::Reviewer);
    queue::guidelines(&state.pool, user.id, sees_all, &slug).await?.ok_or(PageError::NotFound)?;
    if !guidelines::mark_read(&state.pool, user.id, &slug, form.version).await? {
        return Err(PageError::NotFound);
    }
    let next = Then::of(&form.then).map_or_else(|| "/queue".to_owned(), |then| then.address(form.after));
    Ok(Redirect::to(&next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_leads_on_to_what_was_named_and_nowhere_else() {
        let id = Uuid::now_v7();
        for then in [Then::Task(id), Then::Chats, Then::Chat(id)] {
            assert_eq!(Then::of(&then.to_string()), Some(then));
        }
        for elsewhere in ["", "chat-", "//example.org", "chats/x"] {
            assert_eq!(Then::of(elsewhere), None, "{elsewhere}");
        }
    }
}
