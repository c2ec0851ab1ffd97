//! `GET /me`: a person's own work in figures, each with how sure it is.

use std::collections::BTreeMap;

use askama::Template;
use axum::{extract::State, response::Html};
use axum_extra::extract::CookieJar;
use time::{Date, Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{
    db::{
        own::{self, Course, Done, Shared},
        reviews::{self, Feedback},
    },
    domain::{
        assignment::TaskKind,
        schedule::DailyTime,
        statistics::{
            agreement,
            median::{self, Median},
            proportion::{self, Proportion},
        },
    },
    web::{AppState, Page, PageError, authorise::Annotator},
};

/// Names the time zone of the browser; its script sets it.
const ZONE_COOKIE: &str = "laurel_zone";
/// Fewest tasks shared with others, and fewest checks, of which a share is stated.
const FEWEST: usize = 10;
/// Reviews that are shown.
const REVIEWS: i64 = 20;

#[derive(Template)]
#[template(path = "annotate/me.html")]
struct MePage {
    page: Page,
    zone: String,
    done: Done,
    paces: Vec<Pace>,
    /// Agreement with others over shared tasks, and how many these are.
    agreement: Option<Proportion>,
    shared: usize,
    checks: Option<Proportion>,
    checked: usize,
    fewest: usize,
    courses: Vec<Course>,
    /// The newest reviews of the person's work.
    feedback: Vec<Feedback>,
}

/// How long tasks of a kind take the person.
struct Pace {
    /// The kind of the tasks, or `chat`.
    kind: &'static str,
    median: Option<Median>,
}

impl MePage {
    /// `73 %`
    fn percent(&self, share: &f64) -> String {
        format!("{:.0} %", 100.0 * share)
    }

    /// `1:05`
    fn minutes(&self, seconds: &f64) -> String {
        let whole = seconds.round().max(0.0) as u64;
        format!("{}:{:02}", whole / 60, whole % 60)
    }
}

pub async fn get(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    jar: CookieJar,
    page: Page,
) -> Result<Html<String>, PageError> {
    let zone = zone(&jar);
    let mut seconds = own::seconds(&state.pool, user.id).await?;
    let mut paces = Vec::new();
    for kind in TaskKind::ALL.map(TaskKind::as_str).into_iter().chain(["chat"]) {
        if let Some(seconds) = seconds.remove(kind) {
            paces.push(Pace { kind, median: median::median(seconds) });
        }
    }
    let clusters = clusters(&own::shared(&state.pool, user.id).await?);
    let checks = own::checks(&state.pool, user.id).await?;
    let (day, week) = begun(zone, OffsetDateTime::now_utc());
    let shown = MePage {
        done: own::done(&state.pool, user.id, day, week).await?,
        paces,
        shared: clusters.len(),
        agreement: enough(&clusters),
        checked: checks.len(),
        checks: enough(
            &checks.iter().map(|(agreed, pairs)| (f64::from(*agreed), f64::from(*pairs))).collect::<Vec<_>>(),
        ),
        fewest: FEWEST,
        courses: own::courses(&state.pool, user.id).await?,
        feedback: reviews::feedback_for(&state.pool, user.id, REVIEWS).await?,
        zone: zone.map_or("UTC", |zone| zone.timezone()).to_owned(),
        page,
    };
    Ok(Html(shown.render()?))
}

/// Midnight in the time zone that the browser names, if there is one of that name; else days begin as in UTC.
fn zone(jar: &CookieJar) -> Option<DailyTime> {
    DailyTime::new(0, jar.get(ZONE_COOKIE)?.value()).ok()
}

/// When the day of a moment began in a time zone, and when its week did, on Monday.
fn begun(zone: Option<DailyTime>, now: OffsetDateTime) -> (OffsetDateTime, OffsetDateTime) {
    let midnight = |day: Date| zone.map_or_else(|| day.midnight().assume_utc(), |zone| zone.on(day));
    let today = zone.map_or(now, |zone| zone.local(now)).date();
    let monday = today.saturating_sub(Duration::days(i64::from(today.weekday().number_days_from_monday())));
    (midnight(today), midnight(monday))
}

/// Pairs by prompt: those on which both chose the same answer, and those that both decided.
fn clusters(shared: &[Shared]) -> Vec<(f64, f64)> {
    let unsigned = |ranks: &[i32]| ranks.iter().filter_map(|rank| u32::try_from(*rank).ok()).collect::<Vec<u32>>();
    let mut prompts: BTreeMap<Uuid, (f64, f64)> = BTreeMap::new();
    for both in shared {
        let counts = agreement::compare(&unsigned(&both.mine), &unsigned(&both.theirs));
        let prompt = prompts.entry(both.prompt).or_default();
        prompt.0 += f64::from(counts.same);
        prompt.1 += f64::from(counts.decided());
    }
    prompts.into_values().filter(|(_, decided)| *decided > 0.0).collect()
}

/// The share over clusters, where there are enough of them to say one.
fn enough(clusters: &[(f64, f64)]) -> Option<Proportion> {
    (clusters.len() >= FEWEST).then(|| proportion::clustered(clusters.iter().copied())).flatten()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn days_and_weeks_begin_where_the_person_is() {
        let now = datetime!(2026-11-24 19:00 UTC);
        // As some browsers call Kolkata, where it is 00:30 on Wednesday.
        let calcutta = DailyTime::new(0, "Asia/Calcutta").ok();
        assert!(calcutta.is_some());
        assert_eq!(begun(calcutta, now), (datetime!(2026-11-24 18:30 UTC), datetime!(2026-11-22 18:30 UTC)));
        assert_eq!(begun(None, now), (datetime!(2026-11-24 00:00 UTC), datetime!(2026-11-23 00:00 UTC)));
    }
}
