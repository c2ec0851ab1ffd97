//! `/chats/{chat}/turns/{turn}`: the answers of a turn with the choice that was made between them, and its correction.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    show::{self, AnswerView},
    steps::onward,
};
use crate::{
    db::{
        chat_choice_drafts::{self, ChoiceDraft},
        chat_choices::Choice,
        chat_corrections,
        chat_turns::ChatError,
        chats::{self, Chat, Turn},
        label_versions,
    },
    domain::assignment,
    web::{
        AppState, Page, PageError,
        annotate::{
            forms::measured_seconds,
            view::{self, MessageView},
            wants_json,
        },
        authorise::Annotator,
        csrf::CsrfForm,
    },
};

#[derive(Template)]
#[template(path = "chat/choice.html")]
struct ChoicePage {
    page: Page,
    chat: Chat,
    turn: i32,
    /// Up to and with what the person said.
    messages: Vec<MessageView>,
    answers: Vec<AnswerView>,
    /// Position of the answer that is chosen in the form.
    chosen: Option<i32>,
    /// The version that stands.
    version: Uuid,
    /// Letter of the answer that the conversation went on with, where it went on.
    went_on: Option<char>,
    may_be_corrected: bool,
    /// Milliseconds since 1970 at which the correction was saved that is begun; 0 where none is.
    saved_at: i128,
    /// Seconds of work on it so far.
    seconds: String,
    saved: bool,
    error: Option<String>,
}

impl ChoicePage {
    fn is_chosen(&self, position: &i32) -> bool {
        self.chosen == Some(*position)
    }
}

#[derive(Deserialize)]
pub struct Arrival {
    saved: Option<String>,
    /// Position of an answer that was chosen while another one stood already.
    other: Option<i32>,
}

pub async fn get(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path((id, number)): Path<(Uuid, i32)>,
    Query(arrival): Query<Arrival>,
    page: Page,
) -> Result<Response, PageError> {
    let chat = chats::find(&state.pool, user.id, id).await?.ok_or(PageError::NotFound)?;
    let shown = Shown { saved: arrival.saved.is_some(), other: arrival.other, ..Shown::default() };
    draw(&state, page, chat, number, shown).await
}

#[derive(Deserialize)]
pub struct Correction {
    best: Option<i32>,
    #[serde(default)]
    version: String,
    #[serde(default)]
    seconds: String,
}

/// Stores the choice as a new version; 409 where another one stands meanwhile, or where it was reviewed.
pub async fn post(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path((id, number)): Path<(Uuid, i32)>,
    headers: HeaderMap,
    page: Page,
    CsrfForm(form): CsrfForm<Correction>,
) -> Result<Response, PageError> {
    let replaces = form.version.parse().map_err(|_| PageError::NotFound)?;
    let (status, error) = match form.best {
        None => (StatusCode::UNPROCESSABLE_ENTITY, "chat-choose-one"),
        Some(position) => {
            let choice = Choice { turn: number, position, seconds: measured_seconds(&form.seconds) };
            match chat_corrections::correct(&state.pool, user.id, id, replaces, choice).await {
                Ok(true) => return Ok(onward(&headers, &format!("/chats/{id}/turns/{number}?saved=1"))),
                // What a script has on its page is of an older version: it goes to the page that says so.
                Ok(false) if wants_json(&headers) => {
                    return Ok(onward(&headers, &format!("/chats/{id}/turns/{number}?other={position}")));
                }
                Ok(false) => (StatusCode::CONFLICT, "chat-choice-replaced"),
                Err(ChatError::Reviewed) => (StatusCode::CONFLICT, "correct-closed"),
                Err(error) => return Err(error.into()),
            }
        }
    };
    if wants_json(&headers) {
        let error = page.t(error);
        return Err(if status == StatusCode::CONFLICT {
            PageError::Conflict(error)
        } else {
            PageError::Invalid(error)
        });
    }
    let chat = chats::find(&state.pool, user.id, id).await?.ok_or(PageError::NotFound)?;
    let shown = Shown { chosen: form.best, error: Some(page.t(error)), ..Shown::default() };
    let again = draw(&state, page, chat, number, shown).await?;
    Ok((status, again).into_response())
}

/// What is drawn besides what stands.
#[derive(Default)]
struct Shown {
    /// What was chosen, where it could not be stored.
    chosen: Option<i32>,
    /// What was chosen while another answer stood already.
    other: Option<i32>,
    saved: bool,
    error: Option<String>,
}

async fn draw(state: &AppState, page: Page, chat: Chat, number: i32, shown: Shown) -> Result<Response, PageError> {
    let turn = usize::try_from(number).ok().and_then(|number| chat.turns.get(number));
    let Some((turn, version)) = turn.and_then(|turn| Some((turn, turn.ranking?))) else {
        // Nothing is chosen there yet: the conversation's page says what comes next.
        return Ok(Redirect::to(&format!("/chats/{}", chat.id)).into_response());
    };
    let may_be_corrected = chat.may_go_on && label_versions::may_be_corrected(&state.pool, version).await?;
    let differs = |other: &i32| may_be_corrected && turn.chosen != Some(*other) && letter(turn, *other).is_some();
    let other = shown.other.filter(differs);
    let draft = if may_be_corrected {
        chat_choice_drafts::find(&state.pool, chat.id, number, Some(version)).await?
    } else {
        None
    };
    let drawn = ChoicePage {
        messages: view::messages(&turn.conversation),
        answers: show::answers(turn),
        chosen: shown.chosen.or(other).or(draft.map(|draft| draft.position)).or(turn.chosen),
        saved_at: draft.as_ref().map_or(0, ChoiceDraft::saved_at),
        seconds: draft.as_ref().map(ChoiceDraft::seconds_in_form).unwrap_or_default(),
        went_on: turn.went_on.and_then(|position| letter(turn, position)),
        may_be_corrected,
        version,
        turn: number,
        saved: shown.saved,
        error: shown.error.or_else(|| other.map(|_| page.t("chat-choice-replaced"))),
        page,
        chat,
    };
    Ok(Html(drawn.render()?).into_response())
}

/// The letter of the answer at a position.
pub fn letter(turn: &Turn, position: i32) -> Option<char> {
    let place = turn.answers.iter().position(|answer| answer.position == position)?;
    Some(assignment::letter(place))
}
