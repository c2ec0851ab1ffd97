//! What annotators see: the queue, demonstrations, rankings.
//!
//! | route | what it does |
//! |---|---|
//! | `GET /queue` | what waits, what is begun, what was done |
//! | `POST /queue/next` | leases the next task → 303 to `/tasks/{assignment}`, or to `/queue?empty=1` when nothing waits |
//! | `GET /tasks/{assignment}` | the page to write or to rank; once submitted, what was submitted |
//! | `POST /tasks/{assignment}/submit` | stores the label, once → 303 to the next task or to `/queue` |
//! | `POST /tasks/{assignment}/skip` | gives the task back with a reason → 303 as after submitting |
//! | `PUT /tasks/{assignment}/draft` | JSON object of the form's fields → `{"saved_at"}`; 409 once submitted |
//! | `POST /tasks/{assignment}/heartbeat` | renews the lease → `{"lease": "live"\|"lost"\|"finished"}` |
//! | `POST /tasks/{assignment}/preview` | field `completion` → `{"html"}`; without JSON it saves the draft and shows it |
//! | `GET /projects/{slug}/guidelines` | the project's newest guidelines |
//!
//! # Forms, for programs too
//! Every form has `csrf`: the content of the page's `<meta name="csrf">` (or the header `x-csrf-token`). With
//! `Accept: application/json` submit and skip answer `{"next": "/tasks/…" | "/queue"}` and errors `{"code", "message"}`.
//!
//! - **submit a demonstration**: `completion` (the text), `seconds` (optional), `then` (optional; `queue` leases no next task)
//! - **submit a ranking**: one field `rank_{position}` an answer, 1 is best, equal numbers are ties, counted 1,2,2,4 or 1,2,2,3;
//!   `note`, `seconds`, `then` (optional)
//! - **skip**: `reason` (one of [`forms::SKIP_REASONS`]), `detail` (needed for `other`), `then`
//!
//! A task page has `<form id="task" data-kind="demonstration|ranking" data-assignment="…">`; each message of the prompt is a
//! `data-role="system|user|assistant"` element and each answer an `<article data-position="2" data-letter="A"
//! data-response="…">`. `data-position` is the answer's place in the task, which `rank_2` means; the letter is only where it
//! stands on this page. Both hold their raw text in a `<pre data-source>`, after one line break.

pub mod forms;

mod demonstration;
mod done;
mod draft;
mod guidelines;
mod queue;
mod ranking;
mod submit;
mod task;
mod view;

use axum::routing::{get, post, put};

use super::routes::Routes;

/// The routes of this room.
pub fn routes() -> Routes {
    Routes::new()
        .route("/queue", get(queue::get))
        .route("/queue/next", get(queue::back).post(queue::next))
        .route("/tasks/{assignment}", get(task::get))
        .route("/tasks/{assignment}/submit", get(task::back).post(submit::post))
        .route("/tasks/{assignment}/skip", get(task::back).post(submit::skip))
        .route("/tasks/{assignment}/preview", get(task::back).post(draft::preview))
        .route("/tasks/{assignment}/draft", put(draft::put))
        .route("/tasks/{assignment}/heartbeat", post(draft::heartbeat))
        .route("/projects/{slug}/guidelines", get(guidelines::get))
}
