//! What a job tells of itself while it runs: its place, its numbers, its log.

use std::collections::HashMap;

use laurel_records::{JobReport, LogLevel, MetricRecord};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    job_samples,
    jobs::{self, JobError},
    words,
};

/// Stores a report and renews the lease, in one transaction. A metric is known by (job, stage, name, step), a log line by
/// (job, attempt, sequence), a sample by (job, stage, step, position), so a report that is sent again changes nothing.
pub async fn report(pool: &PgPool, job: Uuid, report: &JobReport) -> Result<(), JobError> {
    let mut transaction = pool.begin().await?;
    let held = jobs::hold(&mut transaction, job, report.lease).await?;
    if let Some(progress) = report.progress {
        sqlx::query!(
            "UPDATE jobs SET stage = $2, step = $3, total_steps = $4 WHERE id = $1",
            job,
            words::stage(progress.stage),
            whole(progress.step),
            whole(progress.total)
        )
        .execute(&mut *transaction)
        .await?;
    }
    // A number that comes twice in one report counts as it came last.
    let metrics: HashMap<_, _> = report
        .metrics
        .iter()
        .filter(|metric| metric.value.is_finite())
        .map(|metric| ((words::stage(metric.stage), metric.name.as_str(), whole(metric.step)), metric.value))
        .collect();
    let mut columns = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for ((stage, name, step), value) in metrics {
        columns.0.push(stage.to_owned());
        columns.1.push(name.to_owned());
        columns.2.push(step);
        columns.3.push(value);
    }
    // The job's row is locked: the clock's time grows from report to report, and readers follow by it.
    sqlx::query!(
        r#"
        INSERT INTO job_metrics (job_id, stage, name, step, value, at)
        SELECT $1, stage, name, step, value, clock_timestamp()
        FROM unnest($2::text[], $3::text[], $4::bigint[], $5::double precision[]) AS metric (stage, name, step, value)
        ON CONFLICT (job_id, stage, name, step) DO UPDATE
        SET value = excluded.value, at = excluded.at
        WHERE job_metrics.value <> excluded.value
        "#,
        job,
        &columns.0,
        &columns.1,
        &columns.2,
        &columns.3
    )
    .execute(&mut *transaction)
    .await?;
    let sequences: Vec<i64> = report.log.iter().map(|line| whole(line.sequence)).collect();
    let times: Vec<OffsetDateTime> = report.log.iter().map(|line| line.at).collect();
    let levels: Vec<String> = report.log.iter().map(|line| level_word(line.level).to_owned()).collect();
    // Postgres keeps no NUL in text.
    let texts: Vec<String> = report.log.iter().map(|line| line.text.replace('\0', "")).collect();
    sqlx::query!(
        r#"
        INSERT INTO job_logs (job_id, attempt, sequence, at, level, text)
        SELECT $1, $2, sequence, at, level, text
        FROM unnest($3::bigint[], $4::timestamptz[], $5::text[], $6::text[]) AS line (sequence, at, level, text)
        ON CONFLICT DO NOTHING
        "#,
        job,
        held.attempt,
        &sequences,
        &times,
        &levels,
        &texts
    )
    .execute(&mut *transaction)
    .await?;
    job_samples::store(&mut transaction, job, &report.samples).await?;
    transaction.commit().await?;
    Ok(())
}

/// A number of a message as the database counts.
pub(super) fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn level_word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Info => "info",
        LogLevel::Warning => "warning",
        LogLevel::Error => "error",
    }
}

/// Metrics of a job that were stored after `after`, with the time up to which they go: what a reader asks for next.
pub async fn metrics_after(
    pool: &PgPool,
    job: Uuid,
    after: Option<OffsetDateTime>,
) -> Result<(Vec<MetricRecord>, Option<OffsetDateTime>), sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        SELECT
            stage,
            name,
            step,
            value,
            at
        FROM job_metrics
        WHERE job_id = $1 AND ($2::timestamptz IS NULL OR at > $2)
        ORDER BY stage, name, step
        "#,
        job,
        after
    )
    .fetch_all(pool)
    .await?;
    let newest = rows.iter().map(|row| row.at).max().or(after);
    let metrics = rows
        .into_iter()
        .map(|row| {
            Ok(MetricRecord {
                stage: words::parse(&row.stage)?,
                step: u64::try_from(row.step).unwrap_or_default(),
                name: row.name,
                value: row.value,
            })
        })
        .collect::<Result<_, sqlx::Error>>()?;
    Ok((metrics, newest))
}

/// A line of a job's log.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Line {
    pub attempt: i32,
    pub sequence: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub level: String,
    pub text: String,
}

/// The log of a job after the line `(attempt, sequence)`, oldest first; at most the newest `limit` lines.
pub async fn log_after(pool: &PgPool, job: Uuid, after: (i32, i64), limit: i64) -> Result<Vec<Line>, sqlx::Error> {
    let mut lines = sqlx::query_as!(
        Line,
        r#"
        SELECT
            attempt,
            sequence,
            at,
            level,
            text
        FROM job_logs
        WHERE job_id = $1 AND (attempt, sequence) > ($2, $3)
        ORDER BY attempt DESC, sequence DESC
        LIMIT $4
        "#,
        job,
        after.0,
        after.1,
        limit
    )
    .fetch_all(pool)
    .await?;
    lines.reverse();
    Ok(lines)
}

/// The next `limit` lines of a job's log after the line `(attempt, sequence)`, oldest first: whoever reads on misses none.
pub async fn log_next(pool: &PgPool, job: Uuid, after: (i32, i64), limit: i64) -> Result<Vec<Line>, sqlx::Error> {
    sqlx::query_as!(
        Line,
        r#"
        SELECT
            attempt,
            sequence,
            at,
            level,
            text
        FROM job_logs
        WHERE job_id = $1 AND (attempt, sequence) > ($2, $3)
        ORDER BY attempt, sequence
        LIMIT $4
        "#,
        job,
        after.0,
        after.1,
        limit
    )
    .fetch_all(pool)
    .await
}
