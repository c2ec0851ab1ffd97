//! `GET /admin/jobs/{id}/events`: what a run reports, as server-sent events, from the beginning or from where a reader was.
//!
//! Events: `state` (state, stage, step, total), `metrics` (a list), `log` (a list of lines), `samples` (there are new ones; their
//! page shows them), and `end` when the run is over.
//! An event's id is the place to go on from; browsers send it back when the connection was lost.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{Path, Query, State},
    http::HeaderMap,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::Stream;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    db::{
        job_list::{self, Job},
        job_metrics, job_samples,
    },
    web::{AppState, PageError, authorise::Reviewer},
};

/// Time between two looks at the database.
const LOOK: Duration = Duration::from_millis(700);
/// A connection ends after this time and the browser comes again: a server that stops does not wait for readers for long.
const LONGEST: Duration = Duration::from_secs(20);
/// Lines of the log in one event; more come in the next ones.
const LINES: i64 = 1000;

/// Where a reader is: `<microseconds of the newest metric>.<attempt>.<line>.<microseconds of the newest sample>`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cursor {
    pub metrics: Option<OffsetDateTime>,
    pub log: (i32, i64),
    pub samples: Option<OffsetDateTime>,
}

impl Cursor {
    fn parse(text: &str) -> Self {
        let mut parts = text.split('.');
        let metrics = parts.next().and_then(time_of);
        let attempt = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
        let sequence = parts.next().and_then(|part| part.parse().ok()).unwrap_or(-1);
        Cursor { metrics, log: (attempt, sequence), samples: parts.next().and_then(time_of) }
    }

    pub(super) fn id(&self) -> String {
        let micros = |time: Option<OffsetDateTime>| time.map_or(0, |at| at.unix_timestamp_nanos() / 1000);
        format!("{}.{}.{}.{}", micros(self.metrics), self.log.0, self.log.1, micros(self.samples))
    }
}

/// A time in microseconds; 0 is none.
fn time_of(part: &str) -> Option<OffsetDateTime> {
    let micros: i64 = part.parse().ok().filter(|micros| *micros > 0)?;
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).ok()
}

#[derive(Deserialize)]
pub struct Begin {
    /// Where to begin; the browser's own `Last-Event-ID` counts more.
    #[serde(default)]
    after: String,
}

pub async fn get(
    _: Reviewer,
    State(state): State<AppState>,
    Path(id): Path<Uuid>,
    Query(begin): Query<Begin>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, PageError> {
    let job = job_list::by_id(&state.pool, id).await?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).unwrap_or(&begin.after);
    let stream = follow(state.pool.clone(), job.id, Cursor::parse(last));
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

fn follow(pool: PgPool, id: Uuid, mut cursor: Cursor) -> impl Stream<Item = Result<Event, Infallible>> {
    async_stream::stream! {
        let until = Instant::now() + LONGEST;
        let mut told = Value::Null;
        loop {
            let before = cursor;
            // A database that is away for a moment ends the connection; the browser comes again.
            let Ok(Look { job, events, more }) = look(&pool, id, &mut cursor).await else { break };
            let state = state_of(&job);
            if state != told {
                yield Ok(event("state", &state, &before));
                told = state;
            }
            for (name, data, place) in events {
                yield Ok(event(name, &data, &place));
            }
            if !more && !job.is_under_way() {
                yield Ok(event("end", &told, &cursor));
                break;
            }
            if Instant::now() > until {
                break;
            }
            if !more {
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

/// What one look at the database has found.
struct Look {
    job: Job,
    /// Each with the place to go on from for a reader whose connection breaks right after it.
    events: Vec<(&'static str, Value, Cursor)>,
    /// The log may go on.
    more: bool,
}

/// What is new since the cursor, which moves on. The job is read first: when it has ended, all its numbers are seen.
async fn look(pool: &PgPool, id: Uuid, cursor: &mut Cursor) -> Result<Look, sqlx::Error> {
    let job = job_list::by_id(pool, id).await?;
    let mut events = Vec::new();
    let (metrics, newest) = job_metrics::metrics_after(pool, id, cursor.metrics).await?;
    if !metrics.is_empty() {
        cursor.metrics = newest;
        events.push(("metrics", json!(metrics), *cursor));
    }
    let lines = job_metrics::log_next(pool, id, cursor.log, LINES).await?;
    let more = i64::try_from(lines.len()).is_ok_and(|count| count == LINES);
    if let Some(last) = lines.last() {
        cursor.log = (last.attempt, last.sequence);
        events.push(("log", json!(lines), *cursor));
    }
    let newest = job_samples::newest(pool, id).await?;
    if newest > cursor.samples {
        cursor.samples = newest;
        events.push(("samples", json!({}), *cursor));
    }
    Ok(Look { job, events, more })
}

fn state_of(job: &Job) -> Value {
    json!({
        "state": job.state,
        "stage": job.stage,
        "step": job.step,
        "total": job.total_steps,
        "attempt": job.attempts,
        "worker": job.worker,
        "stopping": job.stop_requested,
    })
}

fn event(name: &str, data: &Value, cursor: &Cursor) -> Event {
    Event::default().event(name).id(cursor.id()).retry(Duration::from_millis(500)).data(data.to_string())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_reader_goes_on_where_it_was() {
        let at = datetime!(2026-11-24 02:00:00.123456 UTC);
        let cursor = Cursor { metrics: Some(at), log: (2, 17), samples: Some(at + time::Duration::SECOND) };
        assert_eq!(Cursor::parse(&cursor.id()), cursor);
        assert_eq!(Cursor::parse(""), Cursor { metrics: None, log: (0, -1), samples: None });
        assert_eq!(Cursor::parse("0.1.5"), Cursor { metrics: None, log: (1, 5), samples: None });
    }
}
