//! Schedules: at which minute of its own day a project's nightly run starts.

use serde_json::{Value, json};
use sqlx::{PgConnection, PgExecutor, PgPool};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::{
    audit::{self, Actor},
    drawn::{DrawnWith, SaveError},
    job_queue::{self, EnqueueError},
};
use crate::domain::schedule::{DailyTime, UnknownTimezone};

/// A project's schedule.
#[derive(Debug, Clone)]
pub struct Schedule {
    pub project_id: Uuid,
    pub enabled: bool,
    /// Minute of the local day.
    pub minute: i32,
    pub timezone: String,
    /// The local day for which a job was put last.
    pub last_day: Option<Date>,
}

impl Schedule {
    /// The time of day, in its zone.
    pub fn daily(&self) -> Result<DailyTime, UnknownTimezone> {
        DailyTime::new(self.minute, &self.timezone)
    }

    /// When the next run starts; `None` while switched off.
    pub fn next_run(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        if !self.enabled {
            return None;
        }
        self.daily().ok().map(|daily| daily.next_run(now, self.last_day))
    }

    /// The last day by the clocks of another time: a zone further west may still have been at the day before.
    fn last_day_in(&self, daily: &DailyTime, now: OffsetDateTime) -> Option<Date> {
        let before = self.daily().ok().filter(|before| before.timezone() != daily.timezone());
        match before {
            // Of a minute that is still to come, the day was done at another before.
            Some(before) => self.last_day.map(|day| daily.local(before.on(day).min(now)).date()),
            None => self.last_day,
        }
    }

    /// What a form of it is drawn with.
    pub fn drawn_with(&self) -> DrawnWith {
        DrawnWith::of(&self.shown())
    }

    /// What a form shows of it.
    fn shown(&self) -> Value {
        json!({ "enabled": self.enabled, "minute": self.minute, "timezone": self.timezone })
    }
}

/// The schedule of a project.
pub async fn of_project(executor: impl PgExecutor<'_>, project: Uuid) -> Result<Schedule, sqlx::Error> {
    let found = sqlx::query_as!(
        Schedule,
        "SELECT project_id, enabled, minute, timezone, last_day FROM schedules WHERE project_id = $1",
        project
    )
    .fetch_optional(executor)
    .await?;
    Ok(found.unwrap_or(Schedule {
        project_id: project,
        enabled: false,
        minute: 120,
        timezone: "UTC".to_owned(),
        last_day: None,
    }))
}

/// Sets a schedule. A time that has passed today is meant from tomorrow on: saving starts nothing.
pub async fn set(
    pool: &PgPool,
    actor: &Actor,
    project: (Uuid, &str),
    drawn: &DrawnWith,
    enabled: bool,
    daily: &DailyTime,
    now: OffsetDateTime,
) -> Result<(), SaveError> {
    let passed = daily.due_day(now, None);
    let mut transaction = pool.begin().await?;
    // Of two leads at once, the second reads what the first has stored.
    sqlx::query_scalar!("SELECT id FROM projects WHERE id = $1 FOR NO KEY UPDATE", project.0)
        .fetch_one(&mut *transaction)
        .await?;
    let standing = of_project(&mut *transaction, project.0).await?;
    let before = standing.shown();
    let after = json!({ "enabled": enabled, "minute": daily.minute(), "timezone": daily.timezone() });
    drawn.check(&before, &after)?;
    sqlx::query!(
        r#"
        INSERT INTO schedules (project_id, enabled, minute, timezone, last_day)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (project_id) DO UPDATE
        SET
            enabled = excluded.enabled,
            minute = excluded.minute,
            timezone = excluded.timezone,
            last_day = excluded.last_day,
            updated_at = now()
        "#,
        project.0,
        enabled,
        daily.minute(),
        daily.timezone(),
        passed.max(standing.last_day_in(daily, now))
    )
    .execute(&mut *transaction)
    .await?;
    let changes = audit::changes(before, after);
    if !changes.is_empty() {
        let subject = format!("project/{}", project.1);
        audit::record(&mut *transaction, actor, "schedule.set", &subject, Value::Object(changes)).await?;
    }
    Ok(transaction.commit().await?)
}

/// Puts the nightly jobs that are due: one a project and local day, however often this is called and by how many servers.
/// A project without labels or with a run under way is passed over for the day. Returns the jobs put.
pub async fn put_due_jobs(pool: &PgPool, now: OffsetDateTime) -> Result<Vec<Uuid>, sqlx::Error> {
    let schedules = sqlx::query_as!(
        Schedule,
        r#"
        SELECT s.project_id, s.enabled, s.minute, s.timezone, s.last_day
        FROM schedules s
        JOIN projects p ON p.id = s.project_id
        WHERE s.enabled AND p.archived_at IS NULL
        "#
    )
    .fetch_all(pool)
    .await?;
    let mut put = Vec::new();
    for schedule in schedules {
        let due = schedule.daily().ok().and_then(|daily| daily.due_day(now, schedule.last_day));
        let Some(day) = due else { continue };
        let mut transaction = pool.begin().await?;
        // The project before its schedule, as where one is set: else each could wait for the other. A job takes the same lock.
        sqlx::query!(
            r#"SELECT slug, archived_at IS NOT NULL AS "closed!" FROM projects WHERE id = $1 FOR NO KEY UPDATE"#,
            schedule.project_id
        )
        .fetch_optional(&mut *transaction)
        .await?;
        if take_day(&mut transaction, &schedule, day).await? {
            put.extend(put_job(&mut transaction, schedule.project_id).await?);
        }
        transaction.commit().await?;
    }
    Ok(put)
}

/// Marks the day as done; `false` where another server was faster or the schedule has changed meanwhile.
async fn take_day(connection: &mut PgConnection, schedule: &Schedule, day: Date) -> Result<bool, sqlx::Error> {
    let taken = sqlx::query!(
        r#"
        UPDATE schedules
        SET last_day = $2
        WHERE project_id = $1
            AND enabled
            AND minute = $3
            AND timezone = $4
            AND (last_day IS NULL OR last_day < $2)
        "#,
        schedule.project_id,
        day,
        schedule.minute,
        schedule.timezone
    )
    .execute(connection)
    .await?;
    Ok(taken.rows_affected() == 1)
}

async fn put_job(connection: &mut PgConnection, project: Uuid) -> Result<Option<Uuid>, sqlx::Error> {
    let clock = Actor::program("clock");
    let reason = match job_queue::enqueue_nightly_within(&mut *connection, &clock, project).await {
        Ok(job) => return Ok(Some(job)),
        Err(EnqueueError::Database(error)) => return Err(error),
        Err(passed_over) => passed_over.to_string(),
    };
    let slug =
        sqlx::query_scalar!("SELECT slug FROM projects WHERE id = $1", project).fetch_one(&mut *connection).await?;
    audit::record(connection, &clock, "job.passed_over", &format!("project/{slug}"), json!({ "reason": reason }))
        .await?;
    Ok(None)
}
