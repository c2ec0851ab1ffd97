//! What a connection does before anybody waits for it: the statements of a submission, on rows that are not there. The database looks
//! up in its catalogue what they need, and the connection has them prepared; else the first submission on it pays for that.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{
    assignments,
    candidates::live_leases,
    gold, guidelines,
    labels::{self, Columns, Held, NewRanking, SubmitError},
    reservations,
};
use crate::domain::{assignment::TaskKind, label_scheme::Assessment, ranking::Ranking};

/// The longest that it may take: nobody waits for what another process holds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Goes through a submission that stores nothing. A connection that can't is as good as one that has not.
///
/// # Errors
/// Where the connection is of no use any more.
pub async fn run(connection: &mut PgConnection) -> sqlx::Result<()> {
    match tokio::time::timeout(PATIENCE, submission(connection)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(SubmitError::Database(error @ sqlx::Error::Io(_)))) => Err(error),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a connection could not be made ready");
            Ok(())
        }
        // A statement is still under way on it.
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

async fn submission(connection: &mut PgConnection) -> Result<(), SubmitError> {
    let (user, assignment) = (Uuid::nil(), Uuid::nil());
    let mut tx = connection.begin().await?;
    // It is not theirs, which is no fault here.
    let _ = labels::hold(&mut tx, user, assignment, TaskKind::Ranking).await;
    let held = Held::by_nobody();
    if let Ok(ranking) = Ranking::from_ranks(&[1, 2]) {
        let assessment = Assessment::default();
        let new =
            NewRanking { ranking: &ranking, confidence: None, assessment: &assessment, note: None, seconds: None };
        gold::store(&mut tx, &held, (user, assignment), new).await?;
        // Nor are there two answers to rank.
        let _ = labels::columns(&mut tx, &held, new).await;
    }
    labels::take_place(&mut tx, user, &held).await?;
    labels::insert_answers(&mut tx, &held, Uuid::nil(), &Columns::default()).await?;
    labels::finish(&mut tx, assignment).await?;
    gold::lesson(&mut *tx, user, assignment).await?;
    assignments::begun(&mut tx, user).await?;
    reservations::take(&mut tx, user).await?;
    reservations::place(&mut tx, user, held.task).await?;
    live_leases(&mut tx, held.task, user).await?;
    guidelines::unread(&mut *tx, user, assignment).await?;
    assignments::outcome(&mut *tx, user, assignment).await?;
    tx.rollback().await?;
    Ok(())
}
