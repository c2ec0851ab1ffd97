//! `/api/v1/jobs`: a worker claims a job, reports on it, and ends it.

use axum::{Json, extract::State, http::StatusCode};
use laurel_records::{ClaimRequest, ClaimedJob, FinishRequest, HeartbeatAnswer, JobReport, Lease, SampleRecord};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    error::Refusal,
    extract::{Asked, Place, Told},
    token::{Admin, Trainer},
    views::JobView,
};
use crate::{
    db::{
        job_list, job_metrics, job_queue,
        job_samples::{self, SampledStep},
        jobs,
    },
    web::AppState,
};

/// Characters that a worker's name may have.
const LONGEST_NAME: usize = 200;

/// Claim the job that waits longest.
///
/// Sampling comes before training; a job whose worker fell silent is given on. Nobody else gets the same job.
pub async fn claim(
    _: Trainer,
    State(state): State<AppState>,
    Told(request): Told<ClaimRequest>,
) -> Result<Result<Json<ClaimedJob>, StatusCode>, Refusal> {
    let worker = request.worker.trim();
    if !(1..=LONGEST_NAME).contains(&worker.chars().count()) {
        return Err(Refusal::invalid(format!("worker: a name of 1 to {LONGEST_NAME} characters is needed")));
    }
    Ok(jobs::claim(&state.pool, worker).await?.map(Json).ok_or(StatusCode::NO_CONTENT))
}

/// Give a sign of life.
///
/// Renews the lease, and says whether somebody pressed “stop”.
pub async fn heartbeat(
    _: Trainer,
    State(state): State<AppState>,
    Place(id): Place<Uuid>,
    Told(lease): Told<Lease>,
) -> Result<Json<HeartbeatAnswer>, Refusal> {
    Ok(Json(jobs::heartbeat(&state.pool, id, lease.lease).await?))
}

/// Report metrics, log lines, samples and progress.
///
/// Renews the lease. Sending the same report again changes nothing.
pub async fn report(
    _: Trainer,
    State(state): State<AppState>,
    Place(id): Place<Uuid>,
    Told(report): Told<JobReport>,
) -> Result<StatusCode, Refusal> {
    job_metrics::report(&state.pool, id, &report).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End a job.
///
/// A nightly job with `policy_is_better` promotes its policy where the project's rule says so. Ending it again with the same
/// lease changes nothing.
pub async fn finish(
    _: Trainer,
    State(state): State<AppState>,
    Place(id): Place<Uuid>,
    Told(mut request): Told<FinishRequest>,
) -> Result<StatusCode, Refusal> {
    // A worker that has failed has to be able to say so, whatever is in the message.
    request.error = request.error.map(|error| error.replace('\0', ""));
    jobs::finish(&state.pool, id, &request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Show a job.
pub async fn show(_: Trainer, State(state): State<AppState>, Place(id): Place<Uuid>) -> Result<Json<JobView>, Refusal> {
    Ok(Json(by_id(&state, id).await?))
}

/// Fetch what the policy and its reference answered at one step.
///
/// At the newest step where none is named.
pub async fn samples(
    _: Trainer,
    State(state): State<AppState>,
    Place(id): Place<Uuid>,
    Asked(at): Asked<At>,
) -> Result<Json<Vec<SampleRecord>>, Refusal> {
    by_id(&state, id).await?;
    let step = match at.at.as_deref() {
        None => job_samples::steps(&state.pool, id).await?.into_iter().next(),
        Some(text) => Some(
            SampledStep::parse(text)
                .ok_or_else(|| Refusal::invalid("at: a stage and a step are needed: ppo.20".to_owned()))?,
        ),
    };
    Ok(Json(match step {
        Some(step) => job_samples::of_step(&state.pool, id, &step).await?,
        None => Vec::new(),
    }))
}

/// A step of a run.
#[derive(Debug, Deserialize)]
pub struct At {
    at: Option<String>,
}

/// Stop a job.
///
/// One that waits is cancelled at once; one that runs hears of it with its next heartbeat. Takes an admin's token.
pub async fn stop(
    Admin(caller): Admin,
    State(state): State<AppState>,
    Place(id): Place<Uuid>,
) -> Result<Json<JobView>, Refusal> {
    by_id(&state, id).await?;
    job_queue::stop(&state.pool, &caller.actor(), id).await?;
    Ok(Json(by_id(&state, id).await?))
}

/// A job as the API shows it.
pub async fn by_id(state: &AppState, id: Uuid) -> Result<JobView, Refusal> {
    match job_list::by_id(&state.pool, id).await {
        Err(sqlx::Error::RowNotFound) => Err(Refusal::not_found("job")),
        other => Ok(other?.into()),
    }
}
