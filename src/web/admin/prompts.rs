//! `/admin/projects/{slug}/prompts/{id}`: one prompt with its answers, its tasks, and every version of its labels.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::{Html, IntoResponse},
};
use laurel_records::Role;
use uuid::Uuid;

use super::{
    project::{Frame, InProject},
    reasons, show,
};
use crate::{
    db::{
        gold_tasks, label_schemes,
        prompt_list::{self, Demonstration, Prompt, Ranking},
        task_control::{self, Assignment, PRIORITIES, Task},
        words, written_prompts,
    },
    domain::label_scheme::LabelScheme,
    web::{
        AppState, Page, PageError,
        authorise::Reviewer,
        label_words::{flag_name, rated},
        markdown,
    },
};

/// A message, rendered.
struct ShownMessage {
    role: &'static str,
    html: String,
}

/// An answer with its letter.
struct ShownResponse {
    id: Uuid,
    letter: String,
    model: Option<String>,
    html: String,
}

/// A ranking as letters: `B > A = C`.
struct ShownRanking {
    order: String,
    /// How sure, head to head: the point, with the letters of the two answers as the record has them.
    confidence: Option<(String, String, String)>,
    /// Answers of which something is said besides their rank.
    said: Vec<Said>,
    ranking: Ranking,
}

/// What a label says of one answer.
struct Said {
    letter: String,
    /// With what it is out of.
    rating: Option<String>,
    /// Names.
    flags: Vec<String>,
}

/// A demonstration, rendered.
struct ShownDemonstration {
    demonstration: Demonstration,
    html: String,
}

/// A label that stands, with the versions that it corrects, the newest of them first.
struct Versions<T> {
    label: T,
    earlier: Vec<T>,
}

/// Puts the versions of labels together. `ids` gives a version's own id and that of the one it corrects.
fn versions<T>(labels: Vec<T>, ids: impl Fn(&T) -> (Uuid, Option<Uuid>)) -> Vec<Versions<T>> {
    let mut standing: Vec<Versions<T>> = Vec::new();
    // Corrections come after what they correct.
    for label in labels {
        let corrected = ids(&label).1;
        match standing.iter_mut().find(|versions| Some(ids(&versions.label).0) == corrected) {
            Some(versions) => {
                let earlier = std::mem::replace(&mut versions.label, label);
                versions.earlier.insert(0, earlier);
            }
            None => standing.push(Versions { label, earlier: Vec::new() }),
        }
    }
    standing
}

/// Where a reviewer has thought again, the writer's own text comes first, and what stood in its place is among the others.
fn set_aside(versions: &mut Versions<ShownDemonstration>) {
    let current = versions.earlier.iter().position(|shown| shown.demonstration.current);
    if let Some(place) = current.filter(|_| !versions.label.demonstration.current) {
        std::mem::swap(&mut versions.label, &mut versions.earlier[place]);
        versions.earlier.sort_by_key(|shown| std::cmp::Reverse(shown.demonstration.id));
    }
}

/// A task and who was given it.
struct ShownTask {
    task: Task,
    assignments: Vec<Assignment>,
}

#[derive(Template)]
#[template(path = "admin/prompt.html")]
struct PromptPage {
    page: Page,
    frame: Frame,
    prompt: Prompt,
    messages: Vec<ShownMessage>,
    responses: Vec<ShownResponse>,
    /// People were asked to judge its answers, so that what is known of them can be set; of rankings that were imported nobody was.
    can_be_known: bool,
    demonstrations: Vec<Versions<ShownDemonstration>>,
    rankings: Vec<Versions<ShownRanking>>,
    tasks: Vec<ShownTask>,
    /// Who wrote the prompt, where somebody did here.
    author: Option<String>,
    /// The prompt that they have put in its place.
    newer: Option<Uuid>,
}

impl PromptPage {
    /// The text that reviews are about: a reviewer's own stands in the place of its writer's.
    fn reviewed(&self, versions: &Versions<ShownDemonstration>) -> Uuid {
        let all = std::iter::once(&versions.label).chain(&versions.earlier);
        let written = all.map(|shown| &shown.demonstration).find(|demonstration| !demonstration.adjudicated);
        written.map_or(versions.label.demonstration.id, |demonstration| demonstration.id)
    }
}

/// `GET /admin/projects/{slug}/prompts/{id}`.
pub async fn one(
    _: Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((_, id)): Path<(String, Uuid)>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let prompt = prompt_list::prompt(&state.pool, project.id, id).await?;
    let messages = prompt
        .conversation
        .iter()
        .map(|message| ShownMessage {
            role: words::message_role(message.role),
            html: render(message.role, &message.content),
        })
        .collect();
    let responses: Vec<_> = prompt_list::responses(&state.pool, id)
        .await?
        .into_iter()
        .enumerate()
        .map(|(index, response)| ShownResponse {
            id: response.id,
            letter: letter(index),
            model: response.model,
            html: markdown::render(&response.content),
        })
        .collect();
    let scheme = label_schemes::of_project(&state.pool, project.id).await?;
    let rankings = prompt_list::rankings(&state.pool, id)
        .await?
        .into_iter()
        .map(|ranking| ShownRanking {
            order: order(&ranking, &responses),
            confidence: confidence(&ranking, &responses),
            said: said(&page, &scheme, &ranking, &responses),
            ranking,
        })
        .collect();
    let demonstrations = prompt_list::demonstrations(&state.pool, id)
        .await?
        .into_iter()
        .map(|demonstration| ShownDemonstration { html: markdown::render(&demonstration.completion), demonstration })
        .collect();
    let mut demonstrations =
        versions(demonstrations, |shown| (shown.demonstration.id, shown.demonstration.replaces_id));
    demonstrations.iter_mut().for_each(set_aside);
    let shown = PromptPage {
        frame: Frame::new(&page, &project, "prompts"),
        page,
        prompt,
        messages,
        responses,
        can_be_known: gold_tasks::task_of_prompt(&state.pool, project.id, id).await?.is_some(),
        demonstrations,
        rankings: versions(rankings, |shown| (shown.ranking.id, shown.ranking.replaces_id)),
        tasks: tasks(&state, id).await?,
        author: written_prompts::author(&state.pool, id).await?,
        newer: written_prompts::newer(&state.pool, id).await?,
    };
    Ok(Html(shown.render()?))
}

async fn tasks(state: &AppState, prompt: Uuid) -> Result<Vec<ShownTask>, PageError> {
    let assignments = task_control::assignments(&state.pool, prompt).await?;
    let of = |task: Uuid| assignments.iter().filter(|given| given.task_id == task).cloned().collect();
    let tasks = task_control::of_prompt(&state.pool, prompt).await?;
    Ok(tasks.into_iter().map(|task| ShownTask { assignments: of(task.id), task }).collect())
}

fn render(_: Role, content: &str) -> String {
    markdown::render(content)
}

/// A, B, … Z, A2, B2, …
fn letter(index: usize) -> String {
    let letter = char::from(b'A' + u8::try_from(index % 26).unwrap_or_default());
    if index < 26 { letter.to_string() } else { format!("{letter}{}", index / 26 + 1) }
}

fn letter_of(id: Uuid, responses: &[ShownResponse]) -> String {
    let known = responses.iter().find(|response| response.id == id);
    known.map_or_else(|| "?".to_owned(), |response| response.letter.clone())
}

/// The point between two answers, with their letters in the order of the record.
fn confidence(ranking: &Ranking, responses: &[ShownResponse]) -> Option<(String, String, String)> {
    let at = |position: i32| {
        let place = ranking.positions.iter().position(|known| *known == position)?;
        Some(letter_of(*ranking.responses.get(place)?, responses))
    };
    Some((ranking.confidence?.to_string(), at(0)?, at(1)?))
}

/// What is said of each answer besides its rank, the best first.
fn said(page: &Page, scheme: &LabelScheme, ranking: &Ranking, responses: &[ShownResponse]) -> Vec<Said> {
    let each = ranking.responses.iter().zip(&ranking.ratings).zip(&ranking.flags);
    each.filter(|((_, rating), flags)| rating.is_some() || !flags.is_empty())
        .map(|((id, rating), flags)| Said {
            letter: letter_of(*id, responses),
            rating: rating.map(|rating| rated(page, &ranking.rating_scale, rating)),
            flags: flags.split(',').filter(|word| !word.is_empty()).map(|word| flag_name(page, scheme, word)).collect(),
        })
        .collect()
}

fn order(ranking: &Ranking, responses: &[ShownResponse]) -> String {
    let mut shown = String::new();
    let mut last = None;
    for (rank, id) in ranking.ranks.iter().zip(&ranking.responses) {
        match last {
            Some(last) if last == rank => shown.push_str(" = "),
            Some(_) => shown.push_str(" > "),
            None => {}
        }
        shown.push_str(&letter_of(*id, responses));
        last = Some(rank);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correction_of_a_correction_stands_alone_before_its_versions() {
        let id = Uuid::from_u128;
        let labels = vec![(id(1), None), (id(2), None), (id(3), Some(id(1))), (id(4), Some(id(3)))];
        let shown: Vec<_> = versions(labels, |label| *label)
            .into_iter()
            .map(|versions| (versions.label.0, versions.earlier.iter().map(|label| label.0).collect::<Vec<_>>()))
            .collect();
        assert_eq!(shown, [(id(4), vec![id(3), id(1)]), (id(2), vec![])]);
    }
}
