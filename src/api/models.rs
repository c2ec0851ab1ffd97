//! `/api/v1/models`: workers bring the models that they make, file by file, and fetch those that they need.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use laurel_records::{ModelFile, ModelRecord, RegisterModel, Stage};
use serde::{Deserialize, Serialize};
use tokio::io::ErrorKind;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::{
    error::Refusal,
    extract::{Place, Told, read_on, reader},
    token::{Admin, Caller, Trainer},
};
use crate::{
    db::{
        jobs,
        models::{self, Model},
        promotions::{self, BY_TOKEN, PromoteError, Promoted},
        tokens::TokenRole,
    },
    jobs::model_files::{self, StoreError},
    web::AppState,
};

/// Bytes that are read from the disk, or a body, at once.
const CHUNK: usize = 256 * 1024;

/// Register a model that a job made.
///
/// Its files follow with `PUT`. One model a job and stage: a second call gives the first one's record.
pub async fn register(
    _: Trainer,
    State(state): State<AppState>,
    Place(job): Place<Uuid>,
    Told(model): Told<RegisterModel>,
) -> Result<Json<ModelRecord>, Refusal> {
    let before = models::of_job(&state.pool, job).await?;
    let record = models::register(&state.pool, job, &model).await?;
    // An earlier worker's files of a model that never became whole are not this one's.
    let is_replaced = |known: &Model| known.record.id == record.id && known.record.files != record.files;
    if before.iter().any(is_replaced) {
        model_files::clear(&state.config.models_dir(), record.id).await.map_err(anyhow::Error::from)?;
    }
    Ok(Json(record))
}

/// Send a file of a model.
///
/// The body is the file as it is; it is checked against the size and the digest that were announced, and appears whole or
/// not at all. Sending it again is allowed. Files of a base model take an admin's token.
pub async fn put_file(
    Trainer(caller): Trainer,
    State(state): State<AppState>,
    Place((id, name)): Place<(Uuid, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let mut body = reader(body);
    match receive(&state, &caller, id, &name, &headers, &mut body).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(refusal) => {
            read_on(body).await;
            Err(refusal)
        }
    }
}

async fn receive(
    state: &AppState,
    caller: &Caller,
    id: Uuid,
    name: &str,
    headers: &HeaderMap,
    body: &mut (impl tokio::io::AsyncBufRead + Unpin),
) -> Result<(), Refusal> {
    let record = writable(state, caller, id).await?;
    let expected = listed(&record, name)?;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if let Some(found) = announced.filter(|bytes| *bytes != expected.bytes) {
        let size = StoreError::Size { name: name.to_owned(), expected: expected.bytes, found };
        return Err(refused(size));
    }
    let content = ReaderStream::with_capacity(body, CHUNK);
    let received = model_files::receive(&state.config.models_dir(), &record, name, content).await.map_err(refused)?;
    // The model's row is the lock: no worker that has lost its job puts a file between those of the next one.
    let mut transaction = state.pool.begin().await?;
    let now = models::lock(&mut transaction, id).await?;
    still_here(&now.record)?;
    if listed(&now.record, name)? != expected {
        return Err(Refusal::conflict("the model was registered anew, with other files"));
    }
    received.keep().map_err(refused)?;
    transaction.commit().await?;
    Ok(())
}

/// Says that all files of a model have been sent.
#[derive(Debug, Deserialize, Serialize)]
pub struct Complete {
    /// The lease of the job that made it; a base model has none.
    #[serde(default)]
    lease: Option<Uuid>,
}

/// Mark a model as complete.
///
/// Refused with 409 while a file is missing; `details` names those. A base model takes an admin's token and no lease.
pub async fn complete(
    Trainer(caller): Trainer,
    State(state): State<AppState>,
    Place(id): Place<Uuid>,
    Told(told): Told<Complete>,
) -> Result<Json<ModelRecord>, Refusal> {
    let record = writable(&state, &caller, id).await?;
    let job = by_id(&state, id).await?.job_id;
    let holder = match (job, told.lease) {
        (Some(job), Some(lease)) => Some((job, lease)),
        (Some(_), None) => return Err(Refusal::invalid("missing field `lease`")),
        (None, _) => None,
    };
    if let Some((job, lease)) = holder {
        jobs::heartbeat(&state.pool, job, lease).await?;
    }
    let missing = model_files::missing(&state.config.models_dir(), &record).await.map_err(anyhow::Error::from)?;
    if !missing.is_empty() {
        let message = "files of this model have not arrived yet".to_owned();
        return Err(Refusal::Conflict { message, details: missing });
    }
    model_files::tidy(&state.config.models_dir(), id).await;
    Ok(Json(match holder {
        Some((_, lease)) => models::complete(&state.pool, id, lease).await?,
        None => models::complete_base(&state.pool, id).await?,
    }))
}

/// Show a model.
pub async fn show(
    _: Trainer,
    State(state): State<AppState>,
    Place(id): Place<Uuid>,
) -> Result<Json<ModelRecord>, Refusal> {
    Ok(Json(by_id(&state, id).await?.record))
}

/// Fetch a file of a model.
pub async fn get_file(
    _: Trainer,
    State(state): State<AppState>,
    Place((id, name)): Place<(Uuid, String)>,
) -> Result<Response, Refusal> {
    let record = by_id(&state, id).await?.record;
    let expected = listed(&record, &name)?;
    still_here(&record)?;
    let path = model_files::directory(&state.config.models_dir(), id).join(&expected.name);
    let file = match tokio::fs::File::open(&path).await {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Refusal::NotFound(format!("“{name}” is not on the server yet")));
        }
        Err(error) => return Err(anyhow::Error::from(error).into()),
    };
    let length = file.metadata().await.map_err(anyhow::Error::from)?.len();
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::ETAG, format!("\"{}\"", expected.sha256)),
    ];
    Ok((headers, Body::from_stream(ReaderStream::with_capacity(file, CHUNK))).into_response())
}

/// Why a model is promoted.
#[derive(Debug, Deserialize, Serialize)]
pub struct Promote {
    /// In words for the registry page.
    #[serde(default)]
    reason: Option<String>,
}

/// What a promotion did.
#[derive(Debug, Serialize)]
pub struct Promotion {
    /// The job that samples the model's answers; absent where it answered already.
    sample_job: Option<Uuid>,
}

/// Make a model the one that answers.
///
/// Queues the job that samples its answers; promoting the model that answers already changes nothing. Takes an admin's token.
pub async fn promote(
    Admin(caller): Admin,
    State(state): State<AppState>,
    Place(id): Place<Uuid>,
    Told(told): Told<Promote>,
) -> Result<Json<Promotion>, Refusal> {
    let project = by_id(&state, id).await?.project_id;
    let reason = told.reason.filter(|reason| !reason.trim().is_empty());
    let reason = reason.unwrap_or_else(|| format!("{BY_TOKEN}“{}”", caller.name));
    match promotions::promote(&state.pool, &caller.actor(), project, id, &reason).await {
        Ok(Promoted::Now { sample_job }) => Ok(Json(Promotion { sample_job: Some(sample_job) })),
        Ok(Promoted::Already) => Ok(Json(Promotion { sample_job: None })),
        Err(error @ (PromoteError::Incomplete | PromoteError::FilesRemoved | PromoteError::NotAPolicy)) => {
            Err(Refusal::conflict(error.to_string()))
        }
        Err(error @ PromoteError::NotFound) => Err(Refusal::NotFound(error.to_string())),
        Err(PromoteError::Database(error)) => Err(error.into()),
    }
}

async fn by_id(state: &AppState, id: Uuid) -> Result<Model, Refusal> {
    match models::by_id(&state.pool, id).await {
        Err(sqlx::Error::RowNotFound) => Err(Refusal::not_found("model")),
        other => Ok(other?),
    }
}

/// The model, if this caller may bring its files: base models are an admin's business.
async fn writable(state: &AppState, caller: &Caller, id: Uuid) -> Result<ModelRecord, Refusal> {
    let record = by_id(state, id).await?.record;
    if record.stage == Stage::Base && caller.role != TokenRole::Admin {
        return Err(Refusal::Forbidden("a base model takes a token of role admin".to_owned()));
    }
    still_here(&record)?;
    Ok(record)
}

/// Refuses where the model's files were removed. No 404: to a worker that says that its job is gone.
fn still_here(record: &ModelRecord) -> Result<(), Refusal> {
    let Some(at) = record.files_removed_at else { return Ok(()) };
    let (name, day) = (&record.name, at.date());
    Err(Refusal::conflict(format!("the files of the model “{name}” were removed on {day}; take another model")))
}

fn listed(record: &ModelRecord, name: &str) -> Result<ModelFile, Refusal> {
    let found = record.files.iter().find(|file| file.name == name).cloned();
    found.ok_or_else(|| Refusal::NotFound(format!("“{name}” is no file of this model")))
}

fn refused(error: StoreError) -> Refusal {
    match error {
        StoreError::Unknown(_) => Refusal::NotFound(error.to_string()),
        StoreError::Size { .. } | StoreError::Digest(_) => Refusal::invalid(error.to_string()),
        StoreError::BrokenOff(_) => Refusal::invalid("the upload broke off"),
        StoreError::Disk(error) => {
            Refusal::Internal(anyhow::Error::from(error).context("a model's file could not be stored"))
        }
    }
}
