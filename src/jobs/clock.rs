//! The clock: a task that looks every few seconds for what is due. All that it does is in the database, so it may stop
//! and start at any moment, and two servers on one database do nothing twice.

use std::{path::PathBuf, time::Duration};

use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::{task::JoinHandle, time::MissedTickBehavior};
use uuid::Uuid;

use super::model_removal;
use crate::db::{
    jobs::{self, Expired},
    retention, schedules,
};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(10);
/// Time since the last look after which workers may have found nobody to renew their leases with.
const ABSENCE: time::Duration = time::Duration::seconds(60);

/// What one look found to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Nightly jobs that were put.
    pub put: Vec<Uuid>,
    pub expired: Expired,
    /// Rows that were forgotten.
    pub pruned: u64,
}

/// Starts the clock; it runs until the task is aborted. The files of models lie in `models_dir`.
pub fn start(pool: PgPool, models_dir: PathBuf) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_look = None;
        loop {
            interval.tick().await;
            match tick(&pool, OffsetDateTime::now_utc(), &mut last_look).await {
                Ok(ticked) if ticked == Ticked::default() => {}
                Ok(ticked) => tracing::info!(?ticked, "the clock found work"),
                Err(error) => tracing::error!(%error, "the clock could not do its work"),
            }
            if let Err(error) = model_removal::after_nights(&pool, &models_dir).await {
                tracing::error!(error = format!("{error:#}"), "the clock could not remove the files of models");
            }
        }
    })
}

/// One look: takes jobs from silent workers, puts the nightly jobs that are due at `now`, forgets what is old. `last_look` is when
/// leases were last looked at, and becomes `now`; `None` at the start of the server.
pub async fn tick(
    pool: &PgPool,
    now: OffsetDateTime,
    last_look: &mut Option<OffsetDateTime>,
) -> Result<Ticked, sqlx::Error> {
    // Who could not be heard was not silent: the server was away, its machine slept, or its time was set.
    if last_look.is_none_or(|last| (now - last).abs() > ABSENCE) {
        jobs::renew_leases(pool).await?;
    }
    let expired = jobs::expire_leases(pool).await?;
    *last_look = Some(now);
    let put = schedules::put_due_jobs(pool, now).await?;
    let pruned = retention::prune(pool).await?;
    Ok(Ticked { put, expired, pruned })
}
