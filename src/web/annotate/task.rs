//! `GET /tasks/{assignment}`: the page to write or rank, or what was submitted.

use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    comparison, demonstration, done,
    forms::{Fields, FormError},
    guidelines as guidelines_page, ranking,
    view::{self, After, SkipView, Skipped, TaskFrame},
    writing,
};
use crate::{
    db::{
        assignments::{self, Lease},
        drafts::{self, Displaced, Draft, DraftFields},
        gold, guidelines, label_versions,
        queue::{self, Task},
    },
    domain::{assignment::TaskKind, ranking::RankingError},
    web::{AppState, Page, PageError, authorise::Annotator, markdown},
};

#[derive(Deserialize)]
pub struct Arrival {
    #[serde(default)]
    after: Option<Uuid>,
    /// Show how the draft will look, for people without JavaScript.
    #[serde(default)]
    preview: Option<u8>,
    /// Ask why the task is skipped, for people without JavaScript.
    #[serde(default)]
    skip: Option<u8>,
}

/// What a page shows of a form that was sent or saved.
#[derive(Default)]
pub struct Shown {
    pub fields: Fields,
    /// When the draft was saved that is shown or told of, or that the page had before it whose form is shown, in milliseconds since
    /// 1970; 0 where there is none.
    pub saved_at: i128,
    /// A correction of an earlier version that was begun and not saved: told of, not shown.
    pub older: Option<DraftFields>,
    /// Drafts that wait beside the one that is shown: told of, not shown.
    pub displaced: Vec<Displaced>,
    pub error: Option<String>,
    pub after: Option<After>,
    pub preview: bool,
    pub lost: bool,
    pub skip: SkipView,
    /// The version that is corrected here.
    pub corrects: Option<Uuid>,
}

impl Shown {
    /// A draft, and what waits beside it; an empty form where there is none.
    pub fn of(draft: Option<Draft>) -> Self {
        let Some(draft) = draft else { return Shown::default() };
        let saved_at = draft.saved_at();
        Shown { fields: draft.fields.into_iter().collect(), saved_at, displaced: draft.displaced, ..Shown::default() }
    }

    /// A form as it was sent, and why nothing was stored of it. It has the draft before it that the page had which it came from.
    pub fn unsaved(self, error: String) -> Self {
        let base = self.fields.base().unwrap_or_default();
        Shown { saved_at: i128::from(base), error: Some(error), ..self }
    }
}

pub async fn get(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(assignment): Path<Uuid>,
    Query(arrival): Query<Arrival>,
    page: Page,
) -> Result<Response, PageError> {
    let task = find(&state.pool, user.id, assignment).await?;
    if task.state == "submitted" && task.kind == TaskKind::Prompt {
        return writing::draw_done(&state.pool, user.id, page, task).await;
    }
    if task.state == "submitted" {
        let versions = label_versions::all(&state.pool, user.id, assignment).await?;
        let lesson = gold::lesson(&state.pool, user.id, assignment).await?;
        return done::draw(&state.pool, user.id, page, task, versions, lesson).await;
    }
    if let Some(slug) = guidelines::unread(&state.pool, user.id, assignment).await? {
        let to_read = guidelines_page::before(&slug, assignment, arrival.after);
        return Ok(Redirect::to(&to_read).into_response());
    }
    let lease = assignments::renew(&state.pool, user.id, assignment).await?;
    let draft = drafts::find(&state.pool, assignment).await?;
    let shown = Shown {
        after: after(&state.pool, user.id, arrival.after).await?,
        preview: arrival.preview.is_some(),
        lost: lease == Lease::Lost,
        skip: SkipView { asked: arrival.skip.is_some(), ..SkipView::default() },
        ..Shown::of(draft)
    };
    draw(page, task, shown)
}

/// Logging in again after a form was sent with an ended session leads here, and on to the task with its draft.
pub async fn back(Path(assignment): Path<Uuid>) -> Redirect {
    Redirect::to(&format!("/tasks/{assignment}"))
}

/// The person's task, or 404. One that is only reserved is nobody's yet.
pub async fn find(pool: &PgPool, user: Uuid, assignment: Uuid) -> Result<Task, PageError> {
    queue::task(pool, user, assignment).await?.filter(|task| task.state != "reserved").ok_or(PageError::NotFound)
}

/// Draws the page of the task's kind; 422 where it explains an error.
pub fn draw(page: Page, task: Task, shown: Shown) -> Result<Response, PageError> {
    let wrong = shown.error.is_some() || shown.skip.error.is_some();
    let html = match task.kind {
        TaskKind::Demonstration => demonstration::draw(page, task, shown)?,
        TaskKind::Ranking => ranking::draw(page, task, shown)?,
        TaskKind::Comparison => comparison::draw(page, task, shown)?,
        TaskKind::Prompt => writing::draw(page, task, shown)?,
    };
    let status = if wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok((status, html).into_response())
}

/// What stands around the task on its page.
pub fn frame(task: &Task, shown: Shown) -> TaskFrame {
    TaskFrame {
        assignment: task.assignment,
        project_name: task.project_name.clone(),
        project_slug: task.project_slug.clone(),
        simulated: task.project_simulated,
        guidelines: task.guidelines.as_deref().map(markdown::render),
        language: task.language.clone(),
        conversation: view::messages(&task.conversation),
        heartbeat: (i64::from(task.lease_minutes) * 60_000 / 3).min(60_000),
        saved_at: shown.saved_at,
        older: shown.older.as_ref().and_then(view::as_json),
        displaced: view::displaced_as_json(&shown.displaced),
        seconds: shown.fields.get("seconds").to_owned(),
        after: shown.after,
        error: shown.error,
        lost: shown.lost,
        again: task.again,
        skip: shown.skip,
        scheme: task.label_scheme.clone(),
        scale: shown.fields.scale(&task.label_scheme).unwrap_or_else(|_| task.label_scheme.scale.clone()),
        all_bad: shown.fields.all_bad(),
        enter_submits: !matches!(task.kind, TaskKind::Demonstration | TaskKind::Prompt),
        corrects: shown.corrects,
    }
}

/// What became of the task before this page, if it is this person's and finished.
pub async fn after(pool: &PgPool, user: Uuid, assignment: Option<Uuid>) -> Result<Option<After>, PageError> {
    let Some(assignment) = assignment else { return Ok(None) };
    let Some(outcome) = assignments::outcome(pool, user, assignment).await? else { return Ok(None) };
    let skipped = match outcome.state.as_str() {
        "leased" => return Ok(None),
        "skipped" => Some(match gold::comes_again(pool, user, assignment).await? {
            None => Skipped::Others,
            Some(true) => Skipped::Again,
            Some(false) => Skipped::Nobody,
        }),
        _ => None,
    };
    Ok(Some(After { assignment, skipped, extra_opinion: outcome.extra_opinion }))
}

/// A form's error in the reader's words; answers are named by the letters of this person's page.
pub fn explain(page: &Page, task: &Task, error: &FormError) -> String {
    let letter = |position: &usize| view::letter_of(task, *position).to_string();
    let comma = page.t("value-comma");
    match error {
        FormError::Empty => page.t("annotate-error-empty"),
        FormError::TooLong { longest } => page.t1("annotate-error-too-long", "longest", longest),
        FormError::Unranked { positions } => {
            let mut letters: Vec<String> = positions.iter().map(letter).collect();
            letters.sort();
            page.t2("annotate-error-unranked", "letters", letters.join(comma.as_str()), "count", letters.len())
        }
        FormError::NotARank { position } => page.t1("annotate-error-not-a-rank", "letter", letter(position)),
        FormError::Ranks(RankingError::Gap { position, rank, expected }) => page.translator.with(
            "annotate-error-gap",
            &[("letter", letter(position).into()), ("rank", (*rank).into()), ("expected", (*expected).into())],
        ),
        FormError::Ranks(RankingError::TooFew { .. } | RankingError::Zero { .. }) => page.t("annotate-error-too-few"),
        FormError::Unrated { positions } => {
            let mut letters: Vec<String> = positions.iter().map(letter).collect();
            letters.sort();
            page.t1("scheme-error-unrated", "letters", letters.join(comma.as_str()))
        }
        FormError::NotARating { position, scale } => page.translator.with(
            "scheme-error-not-a-rating",
            &[
                ("letter", letter(position).into()),
                ("lowest", scale.lowest().into()),
                ("highest", scale.highest().into()),
            ],
        ),
        FormError::OtherScale => page.t("scheme-error-other-scale"),
        FormError::FlagNeedsNote { position } => page.t1("scheme-error-needs-note", "letter", letter(position)),
        FormError::NoConfidence => page.t("compare-error-none"),
        FormError::NoInstruction => page.t("writing-error-instruction"),
        FormError::HalfExample { number } => page.t1("writing-error-half", "number", *number),
        FormError::FewExamples { fewest } => page.t1("writing-error-few", "fewest", *fewest),
        FormError::NoQuery => page.t("writing-error-query"),
        FormError::AlreadyHere => page.t("writing-error-here"),
        FormError::NoReason => page.t("annotate-error-no-reason"),
        FormError::NoDetail => page.t("annotate-error-no-detail"),
    }
}
