//! One conversation: what was said, and what comes next: a message, the model's answers, or a choice between them.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use uuid::Uuid;

use super::choice;
use crate::{
    db::{
        chat_choice_drafts::{self, ChoiceDraft},
        chat_drafts::{self, ChatDraft},
        chat_endpoints,
        chats::{self, Chat, Turn},
    },
    domain::assignment,
    web::{
        AppState, Page, PageError,
        annotate::view::{self, MessageView},
        authorise::Annotator,
        markdown,
    },
};

/// Characters that a message may have.
pub const LONGEST_MESSAGE: usize = 20_000;

/// An answer to choose.
pub struct AnswerView {
    pub letter: char,
    pub position: i32,
    pub html: String,
    pub source: String,
}

/// The answers of a turn, in the order shown.
pub fn answers(turn: &Turn) -> Vec<AnswerView> {
    let placed = turn.answers.iter().enumerate();
    placed
        .map(|(place, answer)| AnswerView {
            letter: assignment::letter(place),
            position: answer.position,
            html: markdown::render(&answer.content),
            source: answer.content.clone(),
        })
        .collect()
}

/// A choice that was made, on the conversation's page.
struct ChosenView {
    turn: i32,
    letter: char,
    /// What the person had said.
    said: String,
}

/// The choices of a conversation.
fn choices(chat: &Chat) -> Vec<ChosenView> {
    let chosen = |turn: &Turn| {
        let letter = choice::letter(turn, turn.chosen?)?;
        Some(ChosenView { turn: turn.number, letter, said: turn.said().chars().take(200).collect() })
    };
    chat.turns.iter().filter_map(chosen).collect()
}

/// What the page waits for.
#[derive(PartialEq)]
enum Next {
    Message,
    Answers,
    Choice,
    Nothing,
}

#[derive(Template)]
#[template(path = "chat/show.html")]
struct ChatPage {
    page: Page,
    chat: Chat,
    /// Rendered.
    guidelines: Option<String>,
    messages: Vec<MessageView>,
    next: Next,
    /// The number of the turn that is under way.
    turn: i32,
    answers: Vec<AnswerView>,
    /// Which of them is marked and not yet confirmed.
    marked: Option<ChoiceDraft>,
    /// What was chosen so far.
    choices: Vec<ChosenView>,
    /// Letters of the answers that are still to come.
    coming: Vec<char>,
    /// What was typed, where it could not be sent.
    message: String,
    /// Milliseconds since 1970 at which the draft shown was saved; 0 where there is none.
    saved_at: i128,
    /// Turns so far.
    turns: usize,
    error: Option<String>,
    longest: usize,
}

impl ChatPage {
    fn is_marked(&self, position: &i32) -> bool {
        self.marked.is_some_and(|marked| marked.position == *position)
    }

    /// Seconds of work on the choice so far, as the form has them.
    fn seconds(&self) -> String {
        self.marked.as_ref().map(ChoiceDraft::seconds_in_form).unwrap_or_default()
    }
}

pub async fn get(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(chat): Path<Uuid>,
    page: Page,
) -> Result<Response, PageError> {
    let chat = chats::find(&state.pool, user.id, chat).await?.ok_or(PageError::NotFound)?;
    draw(&state, page, chat, String::new(), None).await
}

/// Whether a draft is what was said in its turn. What was typed on one computer while another message was sent from a second one
/// has not been said.
fn is_said(chat: &Chat, draft: &ChatDraft) -> bool {
    let turn = usize::try_from(draft.number).ok().and_then(|number| chat.turns.get(number));
    turn.is_some_and(|turn| turn.said() == draft.body.trim())
}

/// Draws the conversation; 422 where it explains an error.
pub async fn draw(
    state: &AppState,
    page: Page,
    chat: Chat,
    message: String,
    error: Option<String>,
) -> Result<Response, PageError> {
    let answers_a_turn = match chat.unanswered() {
        Some(_) => chat_endpoints::find(&state.pool, chat.project).await?.map_or(2, |endpoint| endpoint.answers),
        None => 0,
    };
    let next = match (&chat, chat.unanswered(), chat.unchosen()) {
        (chat, _, _) if chat.finished => Next::Nothing,
        (_, Some(_), _) => Next::Answers,
        (_, _, Some(_)) => Next::Choice,
        _ => Next::Message,
    };
    let last = chat.turns.last();
    let said = last.map(|turn| turn.with_choice().unwrap_or_else(|| turn.conversation.clone())).unwrap_or_default();
    let (answers, marked) = match chat.unchosen() {
        Some(turn) if next == Next::Choice => {
            (answers(turn), chat_choice_drafts::find(&state.pool, chat.id, turn.number, None).await?)
        }
        _ => (Vec::new(), None),
    };
    let draft = match next {
        // Whoever ended the conversation may have typed something that was not said.
        Next::Message | Next::Nothing if error.is_none() => {
            chat_drafts::find(&state.pool, chat.id).await?.filter(|draft| !is_said(&chat, draft))
        }
        _ => None,
    };
    // One of an earlier turn is none of this one yet.
    let of_this_turn = draft.as_ref().filter(|draft| usize::try_from(draft.number) == Ok(chat.turns.len()));
    let saved_at = match (&marked, of_this_turn) {
        (Some(marked), _) => marked.saved_at(),
        (None, Some(draft)) => draft.updated_at.unix_timestamp_nanos() / 1_000_000,
        (None, None) => 0,
    };
    let message = draft.map_or(message, |draft| draft.body);
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let shown = ChatPage {
        messages: view::messages(&said),
        choices: choices(&chat),
        guidelines: chat.guidelines.as_deref().map(markdown::render),
        turn: last.map_or(0, |turn| turn.number),
        turns: chat.turns.len(),
        saved_at,
        coming: (0..usize::try_from(answers_a_turn).unwrap_or_default()).map(assignment::letter).collect(),
        longest: LONGEST_MESSAGE,
        page,
        chat,
        next,
        answers,
        marked,
        message,
        error,
    };
    Ok((status, Html(shown.render()?)).into_response())
}
