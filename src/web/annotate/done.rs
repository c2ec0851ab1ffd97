//! What a person submitted, shown again, with the versions that came before it.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    comparison,
    forms::Fields,
    standing,
    view::{self, AnswerView, BegunView, MessageView},
};
use crate::{
    db::{
        gold::Lesson,
        label_versions::{self, Label, LabelVersion},
        queue::Task,
        reviews::{self, Said},
    },
    domain::label_scheme::Assessment,
    web::{Page, PageError, label_words, markdown},
};

#[derive(Template)]
#[template(path = "annotate/done.html")]
struct DonePage {
    page: Page,
    assignment: Uuid,
    project_name: String,
    simulated: bool,
    conversation: Vec<MessageView>,
    label: LabelView,
    extra_opinion: bool,
    may_be_corrected: bool,
    begun: Option<BegunView>,
    /// What a reviewer said of it.
    review: Option<ReviewView>,
    /// Those that were replaced, newest first.
    earlier: Vec<EarlierView>,
    /// What was expected, after a task of the course.
    lesson: Option<LessonView>,
}

/// The known order of a task of the course, and why it is right.
struct LessonView {
    lesson: Lesson,
    /// `B > A = C`, by the letters of this person's page.
    order: String,
    html: String,
}

/// What a reviewer said, and the text that stands in place of the person's.
struct ReviewView {
    said: Said,
    /// Rendered.
    instead: Option<String>,
}

/// A label as this page shows it.
struct LabelView {
    /// The demonstration, rendered; empty for a ranking.
    completion: String,
    /// Groups of tied answers with their rank, best first.
    tiers: Vec<Tier>,
    /// The point between two answers, as they stand on the page.
    confidence: Option<String>,
    all_bad: bool,
    note: Option<String>,
}

struct EarlierView {
    /// Counted from 1.
    number: usize,
    at: OffsetDateTime,
    /// The demonstration, rendered.
    completion: String,
    /// The order by letters: `B > A = C`.
    order: String,
    /// The point between two answers, as they stand on the page.
    confidence: Option<String>,
    all_bad: bool,
    /// Answers of which something is said besides their rank, the best first.
    said: Vec<RankedAnswer>,
    note: Option<String>,
}

struct Tier {
    rank: u32,
    answers: Vec<RankedAnswer>,
}

struct RankedAnswer {
    view: AnswerView,
    /// With what it is out of.
    rating: Option<String>,
    /// Names.
    flags: Vec<String>,
}

pub async fn draw(
    pool: &PgPool,
    user: Uuid,
    page: Page,
    task: Task,
    mut versions: Vec<LabelVersion>,
    lesson: Option<Lesson>,
) -> Result<Response, PageError> {
    let standing = versions.pop().ok_or(PageError::NotFound)?;
    let may_be_corrected = label_versions::may_be_corrected(pool, standing.id).await?;
    let begun = standing::begun(pool, user, &task, standing.id).await?;
    let review = reviews::said_of(pool, user, task.assignment).await?;
    let earlier =
        versions.iter().enumerate().rev().map(|(place, version)| earlier(&page, &task, version, place + 1)).collect();
    let lesson = lesson.map(|lesson| LessonView {
        order: known_order(&page, &task, &lesson.ranks),
        html: markdown::render(&lesson.explanation),
        lesson,
    });
    let done = DonePage {
        lesson,
        assignment: task.assignment,
        conversation: view::messages(&task.conversation),
        extra_opinion: standing.label.extra_opinion(),
        label: label(&page, &task, standing.label),
        project_name: task.project_name,
        simulated: task.project_simulated,
        may_be_corrected,
        begun: begun.as_ref().and_then(BegunView::of),
        review: review.map(|said| ReviewView { instead: said.text.as_deref().map(markdown::render), said }),
        earlier,
        page,
    };
    Ok(Html(done.render()?).into_response())
}

fn label(page: &Page, task: &Task, label: Label) -> LabelView {
    match label {
        Label::Demonstration { completion, .. } => LabelView {
            completion: markdown::render(&completion),
            tiers: Vec::new(),
            confidence: None,
            all_bad: false,
            note: None,
        },
        // Prompts have a page of their own.
        Label::Prompt { conversation, .. } => LabelView {
            completion: conversation.last().map(|message| markdown::render(&message.content)).unwrap_or_default(),
            tiers: Vec::new(),
            confidence: None,
            all_bad: false,
            note: None,
        },
        Label::Ranking { ranks, confidence, assessment, note, .. } => LabelView {
            completion: String::new(),
            tiers: tiers(page, task, &ranks, &assessment),
            confidence: confidence.map(|confidence| comparison::by_position(task, confidence).point().to_string()),
            all_bad: assessment.all_bad,
            note,
        },
    }
}

fn earlier(page: &Page, task: &Task, version: &LabelVersion, number: usize) -> EarlierView {
    let LabelView { completion, tiers, confidence, all_bad, note } = label(page, task, version.label.clone());
    let order = order(&tiers);
    let answers = tiers.into_iter().flat_map(|tier| tier.answers);
    let said = answers.filter(|answer| answer.rating.is_some() || !answer.flags.is_empty()).collect();
    EarlierView { number, at: version.at, completion, order, confidence, all_bad, said, note }
}

/// `B > A = C`
fn order(tiers: &[Tier]) -> String {
    let letters = |tier: &Tier| {
        let letters: Vec<String> = tier.answers.iter().map(|answer| answer.view.letter.to_string()).collect();
        letters.join(" = ")
    };
    tiers.iter().map(letters).collect::<Vec<String>>().join(" > ")
}

fn known_order(page: &Page, task: &Task, ranks: &[i32]) -> String {
    let ranks: Vec<u32> = ranks.iter().filter_map(|rank| u32::try_from(*rank).ok()).collect();
    order(&tiers(page, task, &ranks, &Assessment::default()))
}

fn tiers(page: &Page, task: &Task, ranks: &[u32], assessment: &Assessment) -> Vec<Tier> {
    let mut ranked: Vec<(u32, RankedAnswer)> = view::answers(page, task, &Fields::default())
        .into_iter()
        .map(|view| {
            let position = usize::try_from(view.position).unwrap_or_default();
            let rating = assessment.ratings.get(position).copied().flatten();
            let rating = rating.map(|rating| label_words::rated(page, &assessment.scale, rating.into()));
            let words = assessment.flags.get(position).into_iter().flatten();
            let flags = words.map(|word| label_words::flag_name(page, &task.label_scheme, word)).collect();
            (ranks.get(position).copied().unwrap_or(0), RankedAnswer { view, rating, flags })
        })
        .collect();
    ranked.sort_by_key(|(rank, answer)| (*rank, answer.view.letter));
    let mut tiers: Vec<Tier> = Vec::new();
    for (rank, answer) in ranked {
        match tiers.last_mut() {
            Some(tier) if tier.rank == rank => tier.answers.push(answer),
            _ => tiers.push(Tier { rank, answers: vec![answer] }),
        }
    }
    tiers
}
