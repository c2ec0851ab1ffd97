//! `/admin/projects/{slug}/compare`: two runs in one plot a metric, with a table of their last values; and a run's numbers as files.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Json,
    extract::{Path, Query, State},
    response::{Html, IntoResponse},
};
use laurel_records::MetricRecord;
use serde::Deserialize;
use uuid::Uuid;

use super::{
    project::{Frame, InProject},
    show, table_file,
};
use crate::{
    db::{
        job_list::{self, Run},
        job_metrics, words,
    },
    web::{
        AppState, Page, PageError,
        authorise::{Lead, Reviewer},
    },
};

/// The last values of one metric.
struct Row {
    stage: &'static str,
    name: String,
    a: Option<f64>,
    b: Option<f64>,
}

impl Row {
    /// How much more the second run ended with.
    fn difference(&self) -> Option<f64> {
        Some(self.b? - self.a?)
    }
}

#[derive(Template)]
#[template(path = "admin/compare.html")]
struct ComparePage {
    page: Page,
    frame: Frame,
    /// All that can be chosen.
    runs: Vec<Run>,
    /// The two that are compared.
    pair: Option<(Run, Run)>,
    rows: Vec<Row>,
}

impl ComparePage {
    fn is_first(&self, run: &Run) -> bool {
        self.pair.as_ref().is_some_and(|(a, _)| a.id == run.id)
    }

    fn is_second(&self, run: &Run) -> bool {
        self.pair.as_ref().is_some_and(|(_, b)| b.id == run.id)
    }

    fn name(&self, run: &Run) -> String {
        self.page.t2("two-runs-run", "round", run.round, "when", show::when(run.created_at))
    }
}

/// Which runs; the two newest where none are named, and beside one that is named the one before it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    a: String,
    b: String,
}

pub async fn get(
    _: Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(wanted): Query<Wanted>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let runs = job_list::runs(&state.pool, project.id).await?;
    let named = |id: &str| runs.iter().find(|run| run.id.to_string() == id).cloned();
    let b = named(&wanted.b).or_else(|| runs.iter().find(|run| run.id.to_string() != wanted.a).cloned());
    // Nobody compares a run with itself: the first of all stands beside the one that came after it.
    let beside = |b: &Run| {
        let before = runs.iter().skip_while(|run| run.id != b.id).nth(1);
        before.or_else(|| runs.iter().rev().find(|run| run.id != b.id)).cloned()
    };
    let a = named(&wanted.a).or_else(|| beside(b.as_ref()?));
    let pair = a.zip(b);
    let mut rows = Vec::new();
    if let Some((a, b)) = &pair {
        let (of_a, _) = job_metrics::metrics_after(&state.pool, a.id, None).await?;
        let (of_b, _) = job_metrics::metrics_after(&state.pool, b.id, None).await?;
        rows = last_values(of_a, of_b);
    }
    let frame = Frame::new(&page, &project, "training");
    Ok(Html(ComparePage { page, frame, runs, pair, rows }.render()?))
}

/// The last value of every metric that either run has; both come ordered by stage, name and step.
fn last_values(a: Vec<MetricRecord>, b: Vec<MetricRecord>) -> Vec<Row> {
    let mut last: BTreeMap<_, (Option<f64>, Option<f64>)> = BTreeMap::new();
    for metric in a {
        last.entry((metric.stage, metric.name)).or_default().0 = Some(metric.value);
    }
    for metric in b {
        last.entry((metric.stage, metric.name)).or_default().1 = Some(metric.value);
    }
    last.into_iter().map(|((stage, name), (a, b))| Row { stage: words::stage(stage), name, a, b }).collect()
}

/// `GET /admin/jobs/{job}/metrics.json`: every number of a run.
pub async fn numbers(
    _: Reviewer,
    State(state): State<AppState>,
    Path(job): Path<Uuid>,
) -> Result<Json<Vec<MetricRecord>>, PageError> {
    job_list::by_id(&state.pool, job).await?;
    Ok(Json(job_metrics::metrics_after(&state.pool, job, None).await?.0))
}

/// `GET /admin/jobs/{job}/metrics.csv`: the same as a table.
pub async fn table(
    _: Reviewer,
    State(state): State<AppState>,
    Path(job): Path<Uuid>,
) -> Result<impl IntoResponse, PageError> {
    job_list::by_id(&state.pool, job).await?;
    let (metrics, _) = job_metrics::metrics_after(&state.pool, job, None).await?;
    let rows = metrics.into_iter().map(|metric| {
        vec![words::stage(metric.stage).to_owned(), metric.name, metric.step.to_string(), metric.value.to_string()]
    });
    table_file::csv(&format!("run-{job}.csv"), &["stage", "metric", "step", "value"], rows)
}

#[cfg(test)]
mod tests {
    use laurel_records::Stage;

    use super::*;

    #[test]
    fn a_metric_that_one_run_lacks_has_no_difference() {
        let metric = |name: &str, step, value| MetricRecord { stage: Stage::Sft, step, name: name.to_owned(), value };
        let rows = last_values(
            vec![metric("eval/nll", 1, 2.0), metric("eval/nll", 2, 1.5)],
            vec![metric("eval/nll", 1, 1.0), metric("train/loss", 1, 3.0)],
        );
        let shown: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.a, row.b, row.difference())).collect();
        assert_eq!(shown, [("eval/nll", Some(1.5), Some(1.0), Some(-0.5)), ("train/loss", None, Some(3.0), None)]);
    }
}
