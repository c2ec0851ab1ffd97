//! `/admin/projects/{slug}/leaderboard`: the models by the strength that rankings give them, who beats whom, and blind tests of two.

use std::time::Duration;

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::{Html, IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    blind_test_list::Section,
    browse::choices_of,
    dots::{self, Dots, Estimate},
    figures,
    kept::{A_MOMENT, Kept, Shown, TO_THE_END},
    project::{Frame, InProject},
    show, table_file, under_way,
};
use crate::{
    db::{
        browse::Choices,
        leaderboard::{self, Judgements, Which},
        quality,
    },
    domain::{
        leaderboard::{Board, board},
        quality::ENOUGH_PROMPTS,
    },
    web::{AppState, Page, PageError, authorise::Reviewer},
};

/// What is wanted of the page, as it stands in the address.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Wanted {
    tag: String,
    language: String,
    /// `people` leaves out the labels of programs.
    whose: String,
    /// The blind test after which the list of them begins.
    #[serde(skip_serializing_if = "String::is_empty")]
    before: String,
    /// Tasks that a blind test has just made.
    #[serde(skip_serializing)]
    made: Option<i64>,
    /// Answers that it has asked models for.
    #[serde(skip_serializing)]
    asked: Option<i64>,
}

impl Wanted {
    pub fn people_only(&self) -> bool {
        self.whose == "people"
    }

    /// Only blind tests older than this one are listed; the newest where there is none.
    pub fn before(&self) -> Option<Uuid> {
        self.before.parse().ok()
    }

    /// The same choice as a query, with another page of the blind tests.
    pub fn query(&self, before: Option<Uuid>) -> Result<String, PageError> {
        let before = before.map(|test| test.to_string()).unwrap_or_default();
        Ok(serde_html_form::to_string(Wanted { before, ..self.clone() }).map_err(anyhow::Error::from)?)
    }

    fn which(&self) -> Which {
        Which { tag: self.tag.clone(), language: self.language.clone(), people_only: self.people_only() }
    }
}

#[derive(Template)]
#[template(path = "admin/leaderboard.html")]
struct LeaderboardPage {
    page: Page,
    frame: Frame,
    wanted: Wanted,
    has_simulated: bool,
    /// The time that the figures are of, where newer ones are being reckoned.
    as_of: Option<OffsetDateTime>,
    board: Board,
    names: Vec<String>,
    dots: Option<Dots>,
    languages: Vec<String>,
    tags: Vec<String>,
    blind: Section,
}

impl LeaderboardPage {
    fn name(&self, model: &usize) -> &str {
        &self.names[*model]
    }

    fn is_little(&self) -> bool {
        self.board.prompts < ENOUGH_PROMPTS
    }

    /// The groups in words, each with the names of its models.
    fn groups(&self) -> Vec<String> {
        let groups = self.board.groups().into_iter().zip(1_usize..);
        let comma = self.page.t("value-comma");
        groups
            .map(|(group, number)| {
                let names: Vec<&str> = group.iter().map(|standing| self.name(&standing.model)).collect();
                self.page.t2("board-group-of", "number", number, "models", names.join(comma.as_str()))
            })
            .collect()
    }
}

/// A board with the names of its models.
struct Reckoned {
    board: Board,
    names: Vec<String>,
    has_simulated: bool,
}

/// By project and the rankings that are counted.
static RECKONED: Kept<(Uuid, Which), Reckoned> = Kept::new();

/// The board of the rankings that are wanted, reckoned away from the threads that serve; `None` where that takes longer than
/// `patience`.
async fn reckoned(
    state: &AppState,
    project: Uuid,
    wanted: &Wanted,
    patience: Duration,
) -> Result<Option<Shown<Reckoned>>, PageError> {
    let which = wanted.which();
    let key = (project, which.clone());
    let stamp = quality::stamp(&state.pool, project).await?;
    let pool = state.pool.clone();
    let reckon = move || async move {
        let Judgements { judged, models, has_simulated } = leaderboard::judgements(&pool, project, &which).await?;
        let reckon = move || Reckoned { board: board(&judged, models.len()), names: models, has_simulated };
        Ok(tokio::task::spawn_blocking(reckon).await?)
    };
    Ok(RECKONED.serve(key, stamp, patience, reckon).await?)
}

pub async fn get(
    _: Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(wanted): Query<Wanted>,
    page: Page,
) -> Result<Response, PageError> {
    let pool = &state.pool;
    let frame = Frame::new(&page, &project, "leaderboard");
    let Some(Shown { value: reckoned, as_of }) = reckoned(&state, project.id, &wanted, A_MOMENT).await? else {
        return under_way::page(page, frame);
    };
    let (board, names) = (reckoned.board.clone(), reckoned.names.clone());
    let Choices { languages, tags, .. } = choices_of(pool, project.id).await?;
    let blind = Section::load(pool, &page, &project, &wanted).await?;
    let shown = LeaderboardPage {
        frame,
        page,
        // Who came with the choice made can take it back, whatever the other filters leave.
        has_simulated: reckoned.has_simulated || wanted.people_only(),
        wanted,
        as_of,
        dots: plot(&board, &names),
        board,
        names,
        languages,
        tags,
        blind,
    };
    Ok(Html(shown.render()?).into_response())
}

fn plot(board: &Board, names: &[String]) -> Option<Dots> {
    let estimates: Vec<Estimate> = board
        .standings
        .iter()
        .map(|standing| {
            let name = names[standing.model].clone();
            let (score, interval) = (figures::number(standing.score), figures::numbers(standing.low, standing.high));
            let title = format!("{name}: {score} ({interval})");
            let name = if board.is_parted() { format!("{} · {name}", standing.group) } else { name };
            Estimate { name, value: standing.score, low: standing.low, high: standing.high, title }
        })
        .collect();
    let ends = estimates.iter().fold(0.5_f64, |most, one| most.max(-one.low).max(one.high));
    let step = step_of(ends);
    let end = (ends / step).ceil() * step;
    (!estimates.is_empty()).then(|| dots::dots(&estimates, -end, end, step, figures::number))
}

/// What lies between two marks of an axis that goes so far to either side: their numbers do not run into each other.
fn step_of(ends: f64) -> f64 {
    let steps = [(1.5, 0.5), (4.0, 1.0), (10.0, 2.0), (25.0, 5.0)];
    steps.into_iter().find(|(most, _)| ends <= *most).map_or(10.0, |(_, step)| step)
}

/// `GET /admin/projects/{slug}/leaderboard/{board}`: `models.csv` or `win-rates.csv`.
pub async fn table(
    _: Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((_, table)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
    page: Page,
) -> Result<Response, PageError> {
    let reckoned =
        reckoned(&state, project.id, &wanted, TO_THE_END).await?.ok_or_else(|| under_way::too_long(&page))?;
    let reckoned = reckoned.value;
    let Reckoned { board, names, .. } = &*reckoned;
    let file = format!("{}-leaderboard-{table}", project.slug);
    match table.as_str() {
        "models.csv" => {
            // Scores of different groups can't be compared, so a file of several says which is whose.
            let is_parted = board.is_parted();
            let rows = board.standings.iter().map(|standing| {
                let numbers = [standing.score, standing.low, standing.high, standing.win_rate()];
                let counts = [standing.wins, standing.ties, standing.losses];
                let name = std::iter::once(names[standing.model].clone());
                let numbers = numbers.map(|number| table_file::cell(Some(number)));
                let group = is_parted.then(|| standing.group.to_string());
                name.chain(numbers).chain(counts.map(|count| count.to_string())).chain(group).collect()
            });
            let columns = ["model", "score", "score_low", "score_high", "win_rate", "wins", "ties", "losses", "group"];
            let columns = if is_parted { &columns[..] } else { &columns[..columns.len() - 1] };
            table_file::csv(&file, columns, rows)
        }
        "win-rates.csv" => {
            let order = &board.standings;
            let pairs = order.iter().flat_map(|one| order.iter().map(move |other| (one.model, other.model)));
            let rows = pairs.filter_map(|(one, other)| {
                let (rate, all) = board.win_rate(one, other)?;
                Some(vec![names[one].clone(), names[other].clone(), table_file::cell(Some(rate)), all.to_string()])
            });
            table_file::csv(&file, &["model", "against", "win_rate", "comparisons"], rows)
        }
        _ => Err(PageError::NotFound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_the_axis_have_room_however_far_models_are_apart() {
        for ends in [0.5, 1.5, 1.6, 4.0, 4.1, 10.0, 10.1, 19.5, 25.0, 40.0] {
            let marks = 2.0 * (ends / step_of(ends)).ceil() + 1.0;
            assert!((3.0..=11.0).contains(&marks), "{marks} marks up to {ends}");
        }
    }
}
