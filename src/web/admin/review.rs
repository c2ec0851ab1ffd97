//! `/admin/projects/{slug}/reviews/{task}`: the rankings of a task side by side, without names; a verdict and a word on each, and
//! the reviewer's own order, which is a label of its own.

use std::collections::HashMap;

use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use uuid::Uuid;

use super::{
    figures,
    project::{Frame, InProject, actor},
    show,
};
use crate::{
    db::{
        label_schemes,
        reviews::{self, Decision, DecisionError, Given, Judgement, ReviewTask, Verdict},
        words,
    },
    domain::{
        assignment::{self, TaskKind},
        comparison::Confidence,
        label_scheme::LabelScheme,
        ranking::Ranking,
    },
    web::{
        AppState, Page, PageError,
        authorise::Reviewer,
        csrf::CsrfForm,
        label_words::{flag_name, rated},
        markdown,
    },
};

/// Most characters of a word to an annotator.
const FEEDBACK_LIMIT: usize = 4000;

/// A message, rendered.
struct Said {
    role: &'static str,
    html: String,
}

/// An answer with the ranks that it got, in the order of the rankings.
struct ShownAnswer {
    letter: char,
    position: usize,
    html: String,
    ranks: Vec<i32>,
    /// Its rank in the order that was decided, if one was.
    decided: Option<i32>,
    /// What is chosen for it in the form.
    chosen: String,
}

/// What a ranking says of one answer besides its rank.
struct SaidOf {
    letter: char,
    /// With what it is out of.
    rating: Option<String>,
    /// Names.
    flags: Vec<String>,
}

/// A ranking under its number, with what is chosen for it in the form.
struct ShownGiven {
    number: usize,
    given: Given,
    /// Ratings and flags, of the answers that have one.
    said: Vec<SaidOf>,
    verdict: String,
    feedback: String,
}

#[derive(Template)]
#[template(path = "admin/review.html")]
struct ReviewPage {
    page: Page,
    frame: Frame,
    task: ReviewTask,
    messages: Vec<Said>,
    answers: Vec<ShownAnswer>,
    given: Vec<ShownGiven>,
    /// Of two answers head to head: the point that is chosen in the form, if one is.
    confidence: String,
    note: String,
    /// The decision that the form is drawn beside; empty where there is none.
    seen: String,
    /// The reviewer ranked this task.
    own_work: bool,
    error: Option<String>,
}

impl ReviewPage {
    fn verdicts(&self) -> [&'static str; 3] {
        Verdict::ALL.map(Verdict::as_str)
    }

    fn is_comparison(&self) -> bool {
        is_comparison(&self.task)
    }
}

type Fields = HashMap<String, String>;

/// The field with the decision that the page showed.
const SEEN: &str = "seen";

/// Whether two answers are judged head to head, on nine points, and not put in order.
fn is_comparison(task: &ReviewTask) -> bool {
    task.kind == TaskKind::Comparison.as_str()
}

pub async fn get(
    Reviewer(user): Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((_, task)): Path<(String, Uuid)>,
    page: Page,
) -> Result<Response, PageError> {
    let task = reviews::find(&state.pool, project.id, task).await?;
    let scheme = label_schemes::of_project(&state.pool, project.id).await?;
    let frame = Frame::new(&page, &project, "reviews");
    shown(page, frame, (task, &scheme), user.id, &Fields::new(), None)
}

pub async fn post(
    Reviewer(user): Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((_, task)): Path<(String, Uuid)>,
    page: Page,
    CsrfForm(mut fields): CsrfForm<Fields>,
) -> Result<Response, PageError> {
    let pool = &state.pool;
    let mut task = reviews::find(pool, project.id, task).await?;
    let mut status = StatusCode::UNPROCESSABLE_ENTITY;
    let error = match read(&fields, &task, &page) {
        Ok(Read { judgements, ranking, confidence }) => {
            let seen = fields.get(SEEN).and_then(|id| id.parse().ok());
            let note = fields.get("note").map(|note| note.trim()).filter(|note| !note.is_empty());
            let decision = Decision { seen, judgements: &judgements, ranking: ranking.as_ref(), confidence, note };
            match reviews::decide(pool, &actor(&user), user.id, task.id, decision).await {
                Ok(()) => {
                    let next = reviews::next_waiting(pool, project.id, user.id).await?;
                    let queue = format!("/admin/projects/{}/reviews", project.slug);
                    let place = next.map_or(format!("{queue}?done=1"), |next| format!("{queue}/{next}"));
                    return Ok(Redirect::to(&place).into_response());
                }
                Err(DecisionError::Database(error)) => return Err(error.into()),
                Err(DecisionError::Changed) => {
                    status = StatusCode::CONFLICT;
                    page.t("review-changed")
                }
                Err(DecisionError::Decided) => {
                    status = StatusCode::CONFLICT;
                    page.t("review-decided-meanwhile")
                }
                Err(DecisionError::OwnWork) => page.t("review-own-work"),
                Err(DecisionError::NoRanking) => page.t("review-no-ranking"),
                Err(DecisionError::AnswerCount { .. }) => page.t("review-order-wrong"),
            }
        }
        Err(error) => error,
    };
    if status == StatusCode::CONFLICT {
        // What was typed stays, beside what stands by now.
        task = reviews::find(pool, project.id, task.id).await?;
        fields.remove(SEEN);
    }
    let frame = Frame::new(&page, &project, "reviews");
    let scheme = label_schemes::of_project(pool, project.id).await?;
    let again = shown(page, frame, (task, &scheme), user.id, &fields, Some(error))?;
    Ok((status, again).into_response())
}

/// What a form says.
struct Read {
    judgements: Vec<Judgement>,
    ranking: Option<Ranking>,
    confidence: Option<Confidence>,
}

/// The verdicts and the order of a form; otherwise the sentence that says what is missing.
fn read(fields: &Fields, task: &ReviewTask, page: &Page) -> Result<Read, String> {
    let field = |name: String| fields.get(&name).map(|text| text.trim()).unwrap_or_default();
    let mut judgements = Vec::new();
    for given in &task.given {
        let verdict = Verdict::from_word(field(format!("verdict_{}", given.ranking)));
        let feedback = field(format!("feedback_{}", given.ranking)).to_owned();
        if feedback.chars().count() > FEEDBACK_LIMIT {
            return Err(page.t1("admin-error-long", "most", FEEDBACK_LIMIT));
        }
        let verdict = verdict.ok_or_else(|| page.t("review-verdict-missing"))?;
        judgements.push(Judgement { ranking: given.ranking, verdict, feedback });
    }
    let point = field("confidence".to_owned());
    if is_comparison(task) && !point.is_empty() {
        let confidence = point.parse().ok().and_then(|point| Confidence::new(point).ok());
        let confidence = confidence.ok_or_else(|| page.t("compare-error-none"))?;
        let ranking = Ranking::from_ranks(&confidence.ranks()).map_err(|_| page.t("review-order-wrong"))?;
        return Ok(Read { judgements, ranking: Some(ranking), confidence: Some(confidence) });
    }
    let ranks: Vec<&str> = (0..task.answers.len()).map(|position| field(format!("rank_{position}"))).collect();
    if ranks.iter().all(|rank| rank.is_empty()) {
        return Ok(Read { judgements, ranking: None, confidence: None });
    }
    let ranks: Option<Vec<u32>> = ranks.iter().map(|rank| rank.parse().ok()).collect();
    let ranks = ranks.ok_or_else(|| page.t("review-order-missing"))?;
    let ranking = Ranking::from_ranks(&ranks).map_err(|_| page.t("review-order-wrong"))?;
    Ok(Read { judgements, ranking: Some(ranking), confidence: None })
}

/// The answers that a ranking rates or flags.
fn said_of(page: &Page, scheme: &LabelScheme, given: &Given) -> Vec<SaidOf> {
    let each = given.ratings.iter().zip(&given.flags).enumerate();
    each.filter(|(_, (rating, flags))| rating.is_some() || !flags.is_empty())
        .map(|(position, (rating, flags))| SaidOf {
            letter: assignment::letter(position),
            rating: rating.map(|rating| rated(page, &given.rating_scale, rating)),
            flags: flags.iter().map(|word| flag_name(page, scheme, word)).collect(),
        })
        .collect()
}

fn shown(
    page: Page,
    frame: Frame,
    (task, scheme): (ReviewTask, &LabelScheme),
    reviewer: Uuid,
    fields: &Fields,
    error: Option<String>,
) -> Result<Response, PageError> {
    let typed = |name: String, stored: Option<String>| fields.get(&name).cloned().or(stored).unwrap_or_default();
    let messages = task
        .conversation
        .iter()
        .map(|message| Said { role: words::message_role(message.role), html: markdown::render(&message.content) })
        .collect();
    let order = task.order.as_ref();
    let answers = task
        .answers
        .iter()
        .enumerate()
        .map(|(position, content)| ShownAnswer {
            letter: assignment::letter(position),
            position,
            html: markdown::render(content),
            ranks: task.given.iter().filter_map(|given| given.ranks.get(position).copied()).collect(),
            decided: order.and_then(|order| order.ranks.get(position)).copied(),
            chosen: typed(
                format!("rank_{position}"),
                order.and_then(|order| order.ranks.get(position)).map(i32::to_string),
            ),
        })
        .collect();
    let given = task
        .given
        .iter()
        .zip(1..)
        .map(|(given, number)| ShownGiven {
            number,
            said: said_of(&page, scheme, given),
            verdict: typed(format!("verdict_{}", given.ranking), given.verdict.clone()),
            feedback: typed(format!("feedback_{}", given.ranking), given.feedback.clone()),
            given: given.clone(),
        })
        .collect();
    let shown = ReviewPage {
        page,
        frame,
        messages,
        answers,
        given,
        confidence: typed(
            "confidence".to_owned(),
            order.and_then(|order| order.confidence).map(|point| point.to_string()),
        ),
        note: typed("note".to_owned(), order.and_then(|order| order.note.clone())),
        seen: typed(SEEN.to_owned(), task.decision.as_ref().map(|decision| decision.id.to_string())),
        own_work: task.given.iter().any(|given| given.user == Some(reviewer)),
        task,
        error,
    };
    Ok(Html(shown.render()?).into_response())
}
