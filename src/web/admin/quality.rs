//! `/admin/projects/{slug}/quality`: how far people agree, how reliable each is, whose work looks hasty; each table as CSV.

use std::{collections::HashMap, time::Duration};

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::{Html, IntoResponse, Response},
};
use serde::Deserialize;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    dots::{self, Dots, Estimate},
    figures,
    kept::{A_MOMENT, Kept, Shown, TO_THE_END},
    project::{Frame, InProject},
    show, table_file, under_way,
    week_plot::{self, WeekPlot, YARDSTICK},
};
use crate::{
    db::{
        gold_scores::{self, Score},
        quality::{self, Annotator, Labels},
    },
    domain::quality::{ENOUGH_PROMPTS, ENOUGH_VOTES, Person, Report, Week, report},
    web::{AppState, Page, PageError, authorise::Reviewer},
};

/// Pairs of people that the page lists; the file has all.
const PAIRS_SHOWN: usize = 40;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// `people` leaves out the labels of programs.
    whose: String,
}

impl Wanted {
    fn people_only(&self) -> bool {
        self.whose == "people"
    }
}

#[derive(Template)]
#[template(path = "admin/quality.html")]
struct QualityPage {
    page: Page,
    frame: Frame,
    wanted: Wanted,
    has_simulated: bool,
    /// The time that the figures are of, where newer ones are being reckoned.
    as_of: Option<OffsetDateTime>,
    report: Report,
    annotators: Vec<Annotator>,
    /// How people do on checks whose answers are known, by account.
    gold: HashMap<Uuid, Score>,
    weeks: Option<WeekPlot>,
    dots: Option<Dots>,
    /// Where the yardstick stands in the plot of people.
    yardstick_x: String,
}

impl QualityPage {
    fn annotator(&self, index: &usize) -> &Annotator {
        &self.annotators[*index]
    }

    /// Checks that somebody has answered, with the share of their pairs that they ordered as is known.
    fn checks(&self, index: &usize) -> Option<(&Score, String)> {
        let score = self.gold.get(&self.annotators[*index].user?).filter(|score| score.checks_pairs > 0)?;
        Some((score, figures::percent(score.checks_agreed as f64 / score.checks_pairs as f64)))
    }

    /// People who ranked, those with the most rankings first.
    fn people(&self) -> Vec<&Person> {
        let mut people: Vec<&Person> = self.report.people.iter().filter(|person| person.rankings > 0).collect();
        people.sort_by_key(|person| std::cmp::Reverse(person.rankings));
        people
    }

    fn is_little(&self) -> bool {
        self.report.shared_prompts < ENOUGH_PROMPTS
    }

    fn suspicious(&self) -> usize {
        self.report.people.iter().filter(|person| person.is_suspicious()).count()
    }

    fn yardstick(&self) -> String {
        week_plot::yardstick_words()
    }
}

/// A report with the people in it.
struct Measured {
    annotators: Vec<Annotator>,
    has_simulated: bool,
    report: Report,
}

/// How old agreement may be on a page that does not ask for it by itself.
const RENEWED: time::Duration = time::Duration::MINUTE;

/// By project, and whether labels of programs are left out.
static MEASURED: Kept<(Uuid, bool), Measured> = Kept::new();

/// The report of the labels that stand now, reckoned away from the threads that serve; `None` where that takes longer than
/// `patience`.
async fn measured(
    pool: &PgPool,
    project: Uuid,
    people_only: bool,
    patience: Duration,
) -> Result<Option<Shown<Measured>>, PageError> {
    let stamp = quality::stamp(pool, project).await?;
    let pool = pool.clone();
    let measure = move || async move {
        let labels = quality::labels(&pool, project).await?;
        let measure = move || {
            let has_simulated = labels.annotators.iter().any(|annotator| annotator.simulated);
            let Labels { labels, annotators } = if people_only { labels.of_people() } else { labels };
            Measured { report: report(&labels, annotators.len()), annotators, has_simulated }
        };
        Ok(tokio::task::spawn_blocking(measure).await?)
    };
    Ok(MEASURED.serve((project, people_only), stamp, patience, measure).await?)
}

/// Agreement by week as it was reckoned last, of everyone's labels.
pub struct KnownWeeks {
    /// `None` where no answers have been ranked by two people.
    pub plot: Option<WeekPlot>,
    pub weeks: Vec<Week>,
    /// When it was reckoned.
    pub at: OffsetDateTime,
}

/// What is known of agreement by week; `None` where that is being reckoned for the first time. Nobody waits for it here: what is
/// older than [`RENEWED`] is reckoned anew meanwhile, where there are other labels by now.
pub async fn weeks_meanwhile(pool: &PgPool, project: Uuid) -> Result<Option<KnownWeeks>, PageError> {
    let known = MEASURED.known(&(project, false));
    if known.as_ref().is_none_or(|(_, at)| OffsetDateTime::now_utc() - *at > RENEWED) {
        measured(pool, project, false, Duration::ZERO).await?;
    }
    Ok(known.map(|(measured, at)| {
        let weeks = measured.report.weeks.clone();
        KnownWeeks { plot: week_plot::plot(&weeks), weeks, at }
    }))
}

pub async fn get(
    _: Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(wanted): Query<Wanted>,
    page: Page,
) -> Result<Response, PageError> {
    let frame = Frame::new(&page, &project, "quality");
    let Some(Shown { value: measured, as_of }) =
        measured(&state.pool, project.id, wanted.people_only(), A_MOMENT).await?
    else {
        return under_way::page(page, frame);
    };
    let report = measured.report.clone();
    let shown = QualityPage {
        frame,
        page,
        wanted,
        has_simulated: measured.has_simulated,
        as_of,
        weeks: week_plot::plot(&report.weeks),
        dots: people_plot(&report, &measured.annotators),
        yardstick_x: format!("{:.1}", YARDSTICK.0 * dots::WIDTH),
        report,
        annotators: measured.annotators.clone(),
        gold: scores(&state, project.id).await?,
    };
    Ok(Html(shown.render()?).into_response())
}

/// Scores on known answers by account: answers to them are no labels, so they are not among what is measured.
async fn scores(state: &AppState, project: Uuid) -> Result<HashMap<Uuid, Score>, PageError> {
    Ok(gold_scores::scores(&state.pool, project).await?.into_iter().map(|score| (score.id, score)).collect())
}

fn people_plot(report: &Report, annotators: &[Annotator]) -> Option<Dots> {
    let estimates: Vec<Estimate> = report
        .people
        .iter()
        .filter_map(|person| {
            let agreement = person.agreement?;
            let name = annotators[person.annotator].name.clone();
            let title = format!("{name}: {} ({})", figures::percent(agreement.share), figures::interval(&agreement));
            Some(Estimate { name, value: agreement.share, low: agreement.low, high: agreement.high, title })
        })
        .collect();
    let label = |at: f64| format!("{:.0} %", at * 100.0);
    (!estimates.is_empty()).then(|| dots::dots(&estimates, 0.0, 1.0, 0.25, label))
}

/// `GET /admin/projects/{slug}/quality/{table}`: `annotators.csv`, `pairs.csv` or `weeks.csv`.
pub async fn table(
    _: Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((_, table)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
    page: Page,
) -> Result<Response, PageError> {
    let measured = measured(&state.pool, project.id, wanted.people_only(), TO_THE_END)
        .await?
        .ok_or_else(|| under_way::too_long(&page))?;
    let measured = measured.value;
    let Measured { annotators, report, .. } = &*measured;
    let annotator = |index: usize| annotators[index].key.clone();
    let name = format!("{}-quality-{table}", project.slug);
    match table.as_str() {
        "annotators.csv" => {
            let gold = scores(&state, project.id).await?;
            let rows = report.people.iter().filter(|person| person.rankings > 0).map(|person| {
                let agreement = person.agreement;
                let score = annotators[person.annotator].user.and_then(|user| gold.get(&user));
                vec![
                    annotator(person.annotator),
                    annotators[person.annotator].simulated.to_string(),
                    person.rankings.to_string(),
                    person.shared_prompts.to_string(),
                    table_file::cell(agreement.map(|agreement| agreement.share)),
                    table_file::cell(agreement.map(|agreement| agreement.low)),
                    table_file::cell(agreement.map(|agreement| agreement.high)),
                    table_file::cell(person.tau),
                    table_file::cell(person.reliability.is_known().then_some(person.reliability.right)),
                    person.reliability.votes.to_string(),
                    table_file::cell(person.median_seconds),
                    person.too_fast.to_string(),
                    table_file::cell(person.places.first().map(|(share, _)| share)),
                    table_file::cell(person.places.test().map(|test| test.p)),
                    score.map_or(0, |score| score.checks).to_string(),
                    score.map_or(0, |score| score.checks_agreed).to_string(),
                    score.map_or(0, |score| score.checks_pairs).to_string(),
                ]
            });
            let columns = [
                "annotator",
                "simulated",
                "rankings",
                "shared_prompts",
                "agreement",
                "agreement_low",
                "agreement_high",
                "tau_b",
                "reliability",
                "reliability_pairs",
                "median_seconds",
                "too_fast",
                "first_place_best",
                "position_p",
                "checks",
                "check_pairs_agreed",
                "check_pairs",
            ];
            table_file::csv(&name, &columns, rows)
        }
        "pairs.csv" => {
            let rows = report.pairs.iter().map(|pair| {
                let agreement = pair.agreement;
                vec![
                    annotator(pair.first),
                    annotator(pair.second),
                    pair.prompts.to_string(),
                    table_file::cell(agreement.map(|agreement| agreement.share)),
                    table_file::cell(agreement.map(|agreement| agreement.low)),
                    table_file::cell(agreement.map(|agreement| agreement.high)),
                    table_file::cell(pair.tau),
                ]
            });
            let columns = ["first", "second", "prompts", "agreement", "agreement_low", "agreement_high", "tau_b"];
            table_file::csv(&name, &columns, rows)
        }
        "weeks.csv" => {
            let rows = report.weeks.iter().map(|week| {
                vec![
                    week.monday.to_string(),
                    week.prompts.to_string(),
                    table_file::cell(Some(week.agreement.share)),
                    table_file::cell(Some(week.agreement.low)),
                    table_file::cell(Some(week.agreement.high)),
                ]
            });
            table_file::csv(&name, &["week", "prompts", "agreement", "agreement_low", "agreement_high"], rows)
        }
        _ => Err(PageError::NotFound),
    }
}
