//! What annotators see: the queue, demonstrations, rankings, two answers head to head.
//!
//! | route | what it does |
//! |---|---|
//! | `GET /me` | one's own work: how much, how fast, how far others agree |
//! | `GET /queue` | what waits, what is begun, what was done |
//! | `POST /queue/next` | leases the next task → 303 to `/tasks/{assignment}`, or to `/queue?empty=1` when nothing waits |
//! | `GET /tasks/{assignment}` | the page to write, rank or compare; once submitted, what was submitted |
//! | `POST /tasks/{assignment}/submit` | stores the label, once → 303 to the next task or to `/queue`; 409 where something else was submitted before, or where a draft was saved since `base` |
//! | `GET /tasks/{assignment}/beside` | two answers side by side, differences marked; `left` and `right` are letters |
//! | `GET /tasks/{assignment}/answers/{position}` | one answer in full, where the task's page has only its beginning |
//! | `GET /tasks/{assignment}/correct`, `POST` | a submitted label in its form again; a new version replaces it; 409 where another one has |
//! | `POST /tasks/{assignment}/skip` | gives the task back with a reason → 303 as after submitting |
//! | `PUT /tasks/{assignment}/draft` | JSON object of the form's fields → `{"saved_at", "displaced", "displaced_at", "beside"}`; 409 once submitted, and whether it `differs`; with `version` a correction of that one |
//! | `POST /tasks/{assignment}/heartbeat` | renews the lease → `{"lease": "live"\|"lost"\|"finished"}` |
//! | `POST /tasks/{assignment}/ahead` | reserves the task after this one → its page, or 204 when none can be fetched ahead |
//! | `POST /tasks/{assignment}/leave` | gives back a task that was fetched ahead, as its page is left |
//! | `POST /tasks/{assignment}/preview` | field `completion` → `{"html"}`; without JSON it saves the draft and shows it |
//! | `GET /projects/{slug}/guidelines` | the project's newest guidelines; `then`: the assignment to go on with; `after`: the one before it |
//! | `POST /projects/{slug}/guidelines` | `version`, `then` and `after`: notes that the person has read that version |
//!
//! # Forms, for programs too
//! Every form has `csrf`: the content of the page's `<meta name="csrf">` (or the header `x-csrf-token`). With
//! `Accept: application/json` submit and skip answer `{"next": "/tasks/…" | "/queue", "notice"}`, where
//! `notice` is the HTML that the next page begins with, and errors `{"code", "message"}`.
//! What was submitted already may be sent again: the same is answered as the first time. Anything else is 409 `already-submitted`
//! with `correct`, the address where it can be made a correction, or `version-replaced` with the `version` that stands now. A script
//! sends with each form `base`, the `saved_at` of the draft that it knows of, and as `own` the draft that it has sent and not heard of
//! yet: where another was saved since that says something else, a first submission is 409 `newer-draft`, as it would be lost with it.
//!
//! - **submit a demonstration**: `completion` (the text), `seconds` (optional), `then` (optional; `queue` leases no next task)
//! - **submit a ranking**: one field `rank_{position}` an answer, 1 is best, equal numbers are ties, counted 1,2,2,4 or 1,2,2,3;
//!   `note`, `seconds`, `then` (optional); of each answer `rating_{position}` and `flag_{position}_{word}`, and `all_bad`, as far as
//!   the project asks for them; `scale`, which the page has, says what the ratings are on (1 to 7 without it)
//! - **submit a comparison**: `confidence`, 1 (the answer that this page calls A is far better) to 9 (B is), 5 about the same;
//!   `note`, `seconds`, `then`, ratings and flags as for rankings
//! - **submit a prompt**: `prompt`; of a few-shot one `instruction`, `query_1` and `response_1` to `query_5` and `response_5`, and
//!   `query`, which waits for its answer; `seconds`, `then`
//! - **correct**: as submitting, and `version`, the id of the label that is replaced; `base` (optional), the `saved_at` of the draft
//!   that it takes with it: one that was saved later stays
//! - **skip**: `reason` (one of [`forms::SKIP_REASONS`]), `detail` (needed for `other`), `then`; 409 `not-skipped` with `standing`,
//!   the page of what was submitted, where something was. With `skip=ask`, which the button of the task's own form sends without a
//!   script, the fields become the draft and nothing is skipped → 303 to the task with the form for skipping open
//!
//! A task page has `<form id="task" data-kind="demonstration|ranking|comparison|prompt" data-assignment="…">`; each message of the prompt is a
//! `data-role="system|user|assistant"` element and each answer an `<article data-position="2" data-letter="A">`. `data-position` is
//! the answer's place in the task, which `rank_2` means; the letter is only where it stands on this page. Both hold their raw text in a
//! `<pre data-source>`, after one line break. An answer's id is not told: ids grow with time, and would set two models' answers apart.

pub mod forms;

mod ahead;
mod answer;
mod assessment;
mod beside;
mod comparison;
mod correct;
mod demonstration;
mod done;
mod draft;
mod guidelines;
mod me;
mod queue;
mod ranking;
mod standing;
mod submit;
mod task;
pub mod view;
mod writing;

pub use submit::wants_json;
pub use view::language_name;

use axum::routing::{get, post, put};

use super::routes::Routes;

/// The routes of this room.
pub fn routes() -> Routes {
    Routes::new()
        .route("/me", get(me::get))
        .route("/queue", get(queue::get))
        .route("/queue/next", get(queue::back).post(queue::next))
        .route("/tasks/{assignment}", get(task::get))
        .route("/tasks/{assignment}/submit", get(task::back).post(submit::post))
        .route("/tasks/{assignment}/beside", get(beside::get))
        .route("/tasks/{assignment}/answers/{position}", get(answer::get))
        .route("/tasks/{assignment}/correct", get(correct::get).post(correct::post))
        .route("/tasks/{assignment}/skip", get(task::back).post(submit::skip))
        .route("/tasks/{assignment}/preview", get(task::back).post(draft::preview))
        .route("/tasks/{assignment}/draft", put(draft::put))
        .route("/tasks/{assignment}/heartbeat", post(draft::heartbeat))
        .route("/tasks/{assignment}/ahead", post(ahead::post))
        .route("/tasks/{assignment}/leave", post(ahead::leave))
        .route("/projects/{slug}/guidelines", get(guidelines::get).post(guidelines::post))
}
