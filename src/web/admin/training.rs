//! `/admin/projects/{slug}/training`: the runs of a project, “run now”, and the schedule.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use time::OffsetDateTime;

use super::{
    forms::{Button, Errors},
    project::{Frame, InProject, actor},
    show,
};
use crate::{
    db::{
        drawn::{DrawnWith, SaveError},
        job_list::{self, Job},
        job_queue::{self, EnqueueError, FEWEST_LABELS, Readiness},
        projects::Project,
        schedules,
    },
    domain::schedule::{DailyTime, timezone_names},
    web::{AppState, Page, PageError, authorise::Lead, csrf::CsrfForm},
};

/// Runs that the page lists.
const LISTED: i64 = 100;

/// The schedule as typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ScheduleForm {
    drawn: DrawnWith,
    enabled: Option<String>,
    /// `HH:MM`.
    time: String,
    timezone: String,
}

#[derive(Template)]
#[template(path = "admin/training.html")]
struct TrainingPage {
    page: Page,
    frame: Frame,
    readiness: Readiness,
    fewest: i64,
    under_way: bool,
    jobs: Vec<Job>,
    /// There are older ones, which are not listed.
    older: bool,
    form: ScheduleForm,
    errors: Errors,
    saved: bool,
    meanwhile: bool,
    /// “Run now” was refused for lack of something.
    refused: bool,
    timezones: Vec<&'static str>,
    next_run: Option<OffsetDateTime>,
    /// The next run by the clocks of its time zone.
    next_local: Option<String>,
}

#[derive(Deserialize)]
pub struct Shown {
    saved: Option<String>,
}

pub async fn get(
    _: Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(query): Query<Shown>,
    page: Page,
) -> Result<Response, PageError> {
    let shown = build(&state, page, &project).await?;
    Ok(Html(TrainingPage { saved: query.saved.is_some(), ..shown }.render()?).into_response())
}

/// Whoever logs in again after a form of the page, or turns what it was answered with to another language, comes here.
pub async fn back(_: Lead, InProject(project): InProject) -> Redirect {
    Redirect::to(&format!("/admin/projects/{}/training", project.slug))
}

/// `POST /admin/projects/{slug}/training/run`: queues a run, or says what it lacks.
pub async fn run(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    page: Page,
    CsrfForm(Button {}): CsrfForm<Button>,
) -> Result<Response, PageError> {
    match job_queue::enqueue_nightly(&state.pool, &actor(&user), project.id).await {
        Ok(job) | Err(EnqueueError::UnderWay(job)) => Ok(Redirect::to(&format!("/admin/jobs/{job}")).into_response()),
        Err(EnqueueError::NotReady(_)) => {
            let shown = TrainingPage { refused: true, ..build(&state, page, &project).await? };
            Ok((StatusCode::CONFLICT, Html(shown.render()?)).into_response())
        }
        Err(EnqueueError::Closed) => Err(PageError::Conflict(page.t("close-no-run"))),
        Err(EnqueueError::Database(error)) => Err(error.into()),
    }
}

/// `POST /admin/projects/{slug}/training/schedule`.
pub async fn schedule(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    page: Page,
    CsrfForm(mut form): CsrfForm<ScheduleForm>,
) -> Result<Response, PageError> {
    let mut errors = Errors::default();
    let minute = minute_of_day(&form.time);
    if minute.is_none() {
        errors.add("time", page.t("training-error-time"));
    }
    let daily = DailyTime::new(minute.unwrap_or_default(), form.timezone.trim());
    if daily.is_err() {
        errors.add("timezone", page.t("training-error-timezone"));
    }
    if let (Ok(daily), true) = (daily, errors.is_empty()) {
        let now = OffsetDateTime::now_utc();
        let of = (project.id, project.slug.as_str());
        let enabled = form.enabled.is_some();
        return match schedules::set(&state.pool, &actor(&user), of, &form.drawn, enabled, &daily, now).await {
            Ok(()) => Ok(Redirect::to(&format!("/admin/projects/{}/training?saved=1", project.slug)).into_response()),
            Err(SaveError::Changed(drawn)) => {
                form.drawn = drawn;
                let shown = TrainingPage { form, meanwhile: true, ..build(&state, page, &project).await? };
                Ok((StatusCode::CONFLICT, Html(shown.render()?)).into_response())
            }
            Err(SaveError::Database(error)) => Err(error.into()),
        };
    }
    let shown = TrainingPage { form, errors, ..build(&state, page, &project).await? };
    Ok((StatusCode::UNPROCESSABLE_ENTITY, Html(shown.render()?)).into_response())
}

async fn build(state: &AppState, page: Page, project: &Project) -> Result<TrainingPage, PageError> {
    let mut connection = state.pool.acquire().await?;
    let readiness = job_queue::readiness(&mut connection, project.id).await?;
    drop(connection);
    // One more than is listed: whether there are older ones.
    let mut jobs = job_list::of_project(&state.pool, project.id, LISTED + 1).await?;
    let older = i64::try_from(jobs.len()).is_ok_and(|count| count > LISTED);
    if older {
        jobs.pop();
    }
    let schedule = schedules::of_project(&state.pool, project.id).await?;
    // The clock passes closed projects over.
    let next_run = schedule.next_run(OffsetDateTime::now_utc()).filter(|_| project.archived_at.is_none());
    let daily = schedule.daily().ok();
    let next_local = next_run.zip(daily).map(|(next, daily)| {
        let local = daily.local(next);
        format!("{} {} {}", local.date(), daily.clock(), daily.timezone())
    });
    Ok(TrainingPage {
        frame: Frame::new(&page, project, "training"),
        page,
        readiness,
        fewest: FEWEST_LABELS,
        under_way: jobs.iter().any(|job| job.kind == "nightly" && job.is_under_way()),
        jobs,
        older,
        form: ScheduleForm {
            drawn: schedule.drawn_with(),
            enabled: schedule.enabled.then(|| "on".to_owned()),
            time: format!("{:02}:{:02}", schedule.minute / 60, schedule.minute % 60),
            timezone: schedule.timezone,
        },
        errors: Errors::default(),
        saved: false,
        meanwhile: false,
        refused: false,
        timezones: timezone_names(),
        next_run,
        next_local,
    })
}

/// `02:30` is 150. Seconds, which some browsers send, count for nothing.
fn minute_of_day(text: &str) -> Option<i32> {
    let mut parts = text.trim().split(':');
    let hour: i32 = parts.next()?.parse().ok()?;
    let minute: i32 = parts.next()?.parse().ok()?;
    ((0..24).contains(&hour) && (0..60).contains(&minute)).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::minute_of_day;

    #[test]
    fn times_of_day_are_read() {
        assert_eq!(minute_of_day("02:30"), Some(150));
        assert_eq!(minute_of_day("23:59:00"), Some(1439));
        for wrong in ["", "24:00", "12:60", "-1:00", "noon", "7"] {
            assert_eq!(minute_of_day(wrong), None, "{wrong}");
        }
    }
}
