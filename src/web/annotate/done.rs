//! What a person submitted, shown again.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};

use super::{
    forms::Fields,
    view::{self, AnswerView, MessageView},
};
use crate::{
    db::{labels::Label, queue::Task},
    web::{Page, PageError, markdown},
};

#[derive(Template)]
#[template(path = "annotate/done.html")]
struct DonePage {
    page: Page,
    assignment: uuid::Uuid,
    project_name: String,
    simulated: bool,
    conversation: Vec<MessageView>,
    /// The demonstration, rendered; empty for a ranking.
    completion: String,
    /// Groups of tied answers with their rank, best first.
    tiers: Vec<Tier>,
    note: Option<String>,
    extra_opinion: bool,
}

struct Tier {
    rank: u32,
    answers: Vec<AnswerView>,
}

pub fn draw(page: Page, task: Task, label: Label) -> Result<Response, PageError> {
    let extra_opinion = label.extra_opinion();
    let (completion, tiers, note) = match label {
        Label::Demonstration { completion, .. } => (markdown::render(&completion), Vec::new(), None),
        Label::Ranking { ranks, note, .. } => (String::new(), tiers(&task, &ranks), note),
    };
    let done = DonePage {
        page,
        assignment: task.assignment,
        conversation: view::messages(&task.conversation),
        project_name: task.project_name,
        simulated: task.project_simulated,
        completion,
        tiers,
        note,
        extra_opinion,
    };
    Ok(Html(done.render()?).into_response())
}

fn tiers(task: &Task, ranks: &[u32]) -> Vec<Tier> {
    let mut ranked: Vec<(u32, AnswerView)> = view::answers(&task.answers, &Fields::default())
        .into_iter()
        .map(|answer| {
            let rank = usize::try_from(answer.position).ok().and_then(|position| ranks.get(position).copied());
            (rank.unwrap_or(0), answer)
        })
        .collect();
    ranked.sort_by_key(|(rank, answer)| (*rank, answer.letter));
    let mut tiers: Vec<Tier> = Vec::new();
    for (rank, answer) in ranked {
        match tiers.last_mut() {
            Some(tier) if tier.rank == rank => tier.answers.push(answer),
            _ => tiers.push(Tier { rank, answers: vec![answer] }),
        }
    }
    tiers
}
