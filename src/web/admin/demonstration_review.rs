//! `/admin/projects/{slug}/reviews/demonstrations/{id}`: one text with its prompt, without its writer's name. A reviewer accepts it,
//! puts an own text in its place, or rejects it with a reason.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    demonstration_reviews as queue_page, figures,
    project::{Frame, InProject, actor},
    show,
};
use crate::{
    db::{
        demonstration_reviews::{self, DecisionError, Judgement, Reviewed},
        projects::Project,
        reviews::Verdict,
        words,
    },
    web::{
        AppState, Page, PageError, annotate::forms::LONGEST_COMPLETION, authorise::Reviewer, csrf::CsrfForm, markdown,
    },
};

/// Most characters of a word to an annotator.
const FEEDBACK_LIMIT: usize = 4000;

/// A message, rendered.
struct Said {
    role: &'static str,
    html: String,
}

#[derive(Template)]
#[template(path = "admin/demonstration_review.html")]
struct DemonstrationReviewPage {
    page: Page,
    frame: Frame,
    messages: Vec<Said>,
    /// The text, rendered.
    html: String,
    /// The reviewer's text that stands in its place, rendered.
    instead: Option<String>,
    reviewed: Reviewed,
    /// What is in the form.
    form: Form,
    /// The reviewer wrote it.
    own_work: bool,
    /// The text that waits after this one.
    next: Option<Uuid>,
    /// The address of the queue.
    queue: String,
    longest: usize,
    error: Option<String>,
}

impl DemonstrationReviewPage {
    fn verdicts(&self) -> [&'static str; 3] {
        Verdict::ALL.map(Verdict::as_str)
    }
}

/// The form as it was sent; as it is drawn first, what was decided last.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Form {
    verdict: String,
    feedback: String,
    text: String,
    /// The decision that the page showed; empty where there was none.
    seen: String,
}

impl Form {
    fn of(reviewed: &Reviewed) -> Form {
        let decision = reviewed.decision.as_ref();
        let text = decision.and_then(|decision| decision.text.as_ref()).unwrap_or(&reviewed.completion);
        Form {
            verdict: decision.map(|decision| decision.verdict.as_str().to_owned()).unwrap_or_default(),
            feedback: decision.map(|decision| decision.feedback.clone()).unwrap_or_default(),
            text: text.clone(),
            seen: decision.map(|decision| decision.id.to_string()).unwrap_or_default(),
        }
    }

    /// The form beside what stands by now: what was typed stays.
    fn renew(&mut self, reviewed: &Reviewed) {
        let fresh = Form::of(reviewed);
        self.seen = fresh.seen;
        if self.verdict != Verdict::Corrected.as_str() {
            self.text = fresh.text;
        }
    }

    /// As texts are kept: line breaks alike, no NUL, nothing blank around.
    fn tidy(self) -> Form {
        let plain = |text: String| text.replace("\r\n", "\n").replace('\0', "");
        Form {
            feedback: plain(self.feedback).trim().to_owned(),
            text: plain(self.text).trim_end().trim_start_matches('\n').to_owned(),
            ..self
        }
    }

    /// What the form says; otherwise the sentence that tells what is missing.
    fn judgement(&self, page: &Page, demonstration: Uuid) -> Result<Judgement<'_>, String> {
        let verdict = Verdict::from_word(&self.verdict).ok_or_else(|| page.t("review-text-verdict-missing"))?;
        if self.feedback.chars().count() > FEEDBACK_LIMIT {
            return Err(page.t1("admin-error-long", "most", FEEDBACK_LIMIT));
        }
        // A text that was imported may be longer, and the form has it though nobody typed it.
        if verdict == Verdict::Corrected && self.text.chars().count() > LONGEST_COMPLETION {
            return Err(page.t1("admin-error-long", "most", LONGEST_COMPLETION));
        }
        let seen = self.seen.parse().ok();
        Ok(Judgement { demonstration, seen, verdict, feedback: &self.feedback, text: &self.text })
    }
}

pub async fn get(
    Reviewer(user): Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((_, id)): Path<(String, Uuid)>,
    page: Page,
) -> Result<Response, PageError> {
    let reviewed = demonstration_reviews::find(&state.pool, project.id, id).await?;
    if let Some(newer) = reviewed.newer {
        return Ok(Redirect::to(&address(&project, newer)).into_response());
    }
    let form = Form::of(&reviewed);
    drawn(&state, page, &project, user.id, Drawn { reviewed, form, error: None }).await
}

/// `POST`: the decision; then the text that waits next.
pub async fn post(
    Reviewer(user): Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((_, id)): Path<(String, Uuid)>,
    page: Page,
    CsrfForm(form): CsrfForm<Form>,
) -> Result<Response, PageError> {
    let pool = &state.pool;
    let mut form = form.tidy();
    let mut reviewed = demonstration_reviews::find(pool, project.id, id).await?;
    let mut status = StatusCode::UNPROCESSABLE_ENTITY;
    let error = match form.judgement(&page, id) {
        Ok(judgement) => {
            match demonstration_reviews::decide(pool, &actor(&user), (project.id, user.id), judgement).await {
                Ok(()) => {
                    let next = demonstration_reviews::next_waiting(pool, project.id, user.id, id).await?;
                    let queue = format!("{}?done=1", queue_page::address(&project));
                    let place = next.map_or(queue, |next| address(&project, next));
                    return Ok(Redirect::to(&place).into_response());
                }
                Err(DecisionError::Database(error)) => return Err(error.into()),
                Err(DecisionError::Changed) => {
                    status = StatusCode::CONFLICT;
                    reviewed = newest(pool, project.id, id).await?;
                    form.renew(&reviewed);
                    page.t("review-text-changed")
                }
                Err(DecisionError::OwnWork) => page.t("review-text-own-work"),
                Err(DecisionError::NoReason) => page.t("review-text-no-reason"),
                Err(DecisionError::NoText) => page.t("review-text-no-text"),
            }
        }
        Err(error) => error,
    };
    let again = drawn(&state, page, &project, user.id, Drawn { reviewed, form, error: Some(error) }).await?;
    Ok((status, again).into_response())
}

/// The last version of its writer.
async fn newest(pool: &PgPool, project: Uuid, demonstration: Uuid) -> sqlx::Result<Reviewed> {
    let mut reviewed = demonstration_reviews::find(pool, project, demonstration).await?;
    while let Some(newer) = reviewed.newer {
        reviewed = demonstration_reviews::find(pool, project, newer).await?;
    }
    Ok(reviewed)
}

fn address(project: &Project, demonstration: Uuid) -> String {
    format!("{}/{demonstration}", queue_page::address(project))
}

/// What is drawn.
struct Drawn {
    reviewed: Reviewed,
    form: Form,
    error: Option<String>,
}

async fn drawn(
    state: &AppState,
    page: Page,
    project: &Project,
    reviewer: Uuid,
    Drawn { reviewed, form, error }: Drawn,
) -> Result<Response, PageError> {
    let messages = reviewed
        .conversation
        .iter()
        .map(|message| Said { role: words::message_role(message.role), html: markdown::render(&message.content) })
        .collect();
    let instead = reviewed.decision.as_ref().and_then(|decision| decision.text.as_deref());
    let shown = DemonstrationReviewPage {
        frame: Frame::new(&page, project, "reviews"),
        page,
        messages,
        html: markdown::render(&reviewed.completion),
        instead: instead.map(markdown::render),
        own_work: reviewed.writer == Some(reviewer),
        next: demonstration_reviews::next_waiting(&state.pool, project.id, reviewer, reviewed.id).await?,
        queue: queue_page::address(project),
        longest: LONGEST_COMPLETION,
        reviewed,
        form,
        error,
    };
    Ok(Html(shown.render()?).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::session::Visitor;

    #[test]
    fn a_text_that_is_longer_than_anyone_may_write_is_accepted_and_rejected_as_it_is() {
        let page = Visitor::default().page("/admin");
        let text = "x".repeat(LONGEST_COMPLETION + 1);
        for (verdict, is_judged) in [("accepted", true), ("rejected", true), ("corrected", false)] {
            let form = Form { verdict: verdict.to_owned(), text: text.clone(), ..Form::default() };
            assert_eq!(form.judgement(&page, Uuid::nil()).is_ok(), is_judged, "{verdict}");
        }
    }
}
