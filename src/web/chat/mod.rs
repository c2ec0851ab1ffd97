//! Talking with a model: each turn shows two or more answers, and the choice between them goes on (the form of Bai et al.
//! 2022, “Training a Helpful and Harmless Assistant”, section 2.2).
//!
//! | route | what it does |
//! |---|---|
//! | `GET /chats` | where one can chat, and one's conversations; `before`: those that were begun before this one |
//! | `POST /chats` | begins a conversation in the project `slug` → 303 to it, or to guidelines that come first; 409 where a course does |
//! | `GET /chats/{chat}` | the conversation and what comes next in it |
//! | `POST /chats/{chat}/say` | fields `message`, `turn` (its number), `base` (the `saved_at` of the draft of it, which goes with it): the person's turn → 303 back, or to guidelines that come first |
//! | `PUT /chats/{chat}/draft` | JSON `turns`, `message`: keeps what is typed → `{"saved_at"}`; 409 where the conversation is further. Or `choice`: `{"turn", "best", "version", "seconds"}`, an answer that is marked and not yet confirmed, without `version` as the turn's first choice; 409 where another choice stands |
//! | `POST /chats/{chat}/answers` | asks the model; streamed to scripts (`text/event-stream`), else 303 back when all are there |
//! | `POST /chats/{chat}/choose` | fields `turn`, `best` (position), `seconds` → 303 back; where another answer was chosen before, to that choice |
//! | `GET /chats/{chat}/turns/{turn}`, `POST` | the answers of a turn with the choice between them; `version`, `best`: a new version of it; 409 where another one stands |
//! | `POST /chats/{chat}/finish` | ends it → 303 to `/chats` |
//!
//! With `Accept: application/json` saying, choosing and correcting answer `{"next"}`, where they would lead to, and errors
//! `{"code", "message"}`. What was sent once may be sent again: it is stored once.

mod answers;
mod choice;
mod draft;
mod list;
mod show;
mod steps;

use axum::routing::{get, put};

use super::{PageError, routes::Routes};
pub use answers::explain;

use crate::db::chat_turns::ChatError;

/// The routes of this room.
pub fn routes() -> Routes {
    Routes::new()
        .route("/chats", get(list::get).post(list::post))
        .route("/chats/{chat}", get(show::get))
        .route("/chats/{chat}/say", get(steps::back).post(steps::say))
        .route("/chats/{chat}/draft", put(draft::put))
        .route("/chats/{chat}/answers", get(steps::back).post(answers::post))
        .route("/chats/{chat}/choose", get(steps::back).post(steps::choose))
        .route("/chats/{chat}/turns/{turn}", get(choice::get).post(choice::post))
        .route("/chats/{chat}/finish", get(steps::back).post(steps::finish))
}

/// Steps that the page itself explains are caught before; what is left here is another person's conversation, or trouble.
impl From<ChatError> for PageError {
    fn from(error: ChatError) -> Self {
        PageError::ConflictAs(match error {
            ChatError::NotYours => return PageError::NotFound,
            ChatError::Database(error) => return error.into(),
            ChatError::Finished => "chat-over",
            ChatError::Closed => "chat-closed",
            ChatError::CourseFirst => "chat-course-first",
            ChatError::GuidelinesFirst => "work-read-needed",
            ChatError::ChoiceFirst => "chat-choose-one",
            ChatError::NoAnswers => "chat-no-answers",
            ChatError::NoSuchAnswer => "chat-no-such-answer",
            ChatError::Reviewed => "correct-closed",
            ChatError::Prompt(_) => "chat-empty",
        })
    }
}
