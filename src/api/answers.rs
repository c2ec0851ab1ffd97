//! `/api/v1/jobs/{id}/prompts`, `/responses` and `/waiting`: a sampling job's prompts go out, its answers come in; answers that
//! wait to be ranked go out to be judged.

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use laurel_records::{ResponsesAnswer, ResponsesRecord};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncBufRead;
use uuid::Uuid;

use super::{
    error::Refusal,
    extract::{Asked, Place, from_json, next_line, read_on, reader},
    token::Trainer,
};
use crate::{db::sampling, web::AppState};

/// Media type of records, one a line.
pub const JSONL: &str = "application/jsonl";
/// Bytes of one line: the answers to one prompt.
pub const LONGEST_LINE: usize = 4 * 1024 * 1024;
/// Records that are stored in one transaction: it holds the job, and a heartbeat waits for it.
const BATCH: usize = 50;
/// Bytes of records that are held at most, beyond one line.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Fetch the prompts that a sampling job still has to answer.
pub async fn prompts(_: Trainer, State(state): State<AppState>, Place(id): Place<Uuid>) -> Result<Response, Refusal> {
    Ok(lines(sampling::prompts_needing_answers(&state.pool, id).await?))
}

/// Fetch the prompts whose answers wait to be ranked, with those answers.
pub async fn waiting(_: Trainer, State(state): State<AppState>, Place(id): Place<Uuid>) -> Result<Response, Refusal> {
    Ok(lines(sampling::waiting_answers(&state.pool, id).await?))
}

fn lines<T: Serialize + Send + 'static>(records: Vec<T>) -> Response {
    let lines = records.into_iter().map(|record| {
        let mut line = serde_json::to_vec(&record)?;
        line.push(b'\n');
        Ok::<_, serde_json::Error>(Bytes::from(line))
    });
    ([(header::CONTENT_TYPE, JSONL)], Body::from_stream(stream::iter(lines))).into_response()
}

#[derive(Debug, Deserialize)]
pub struct Holder {
    /// The lease that the claim gave.
    lease: Uuid,
}

/// Bring sampled answers.
///
/// One record a line; each becomes a ranking task, or in a job of a blind test half of a pair. A prompt that has its answers of this job keeps them, so a body that broke
/// off is sent again as it was.
pub async fn responses(
    _: Trainer,
    State(state): State<AppState>,
    Place(id): Place<Uuid>,
    Asked(holder): Asked<Holder>,
    body: Body,
) -> Result<Json<ResponsesAnswer>, Refusal> {
    let mut lines = reader(body);
    match store(&state, id, holder.lease, &mut lines).await {
        Ok(answer) => Ok(Json(answer)),
        Err(refusal) => {
            read_on(lines).await;
            Err(refusal)
        }
    }
}

async fn store(
    state: &AppState,
    job: Uuid,
    lease: Uuid,
    lines: &mut (impl AsyncBufRead + Unpin),
) -> Result<ResponsesAnswer, Refusal> {
    let mut whole = ResponsesAnswer { stored: 0, already_there: 0 };
    let (mut batch, mut bytes, mut line_number) = (Vec::new(), 0, 0_u64);
    loop {
        let line = next_line(lines, LONGEST_LINE).await?;
        let is_end = line.is_none();
        let line = line.unwrap_or_default();
        line_number += 1;
        if !line.trim_ascii().is_empty() {
            let record: ResponsesRecord =
                from_json(&line).map_err(|reason| Refusal::invalid(format!("line {line_number}: {reason}")))?;
            bytes += line.len();
            batch.push((line_number, record));
        }
        // An empty body is stored too: that finds a lease that is lost.
        if is_end || batch.len() >= BATCH || bytes >= BATCH_BYTES {
            let answer = sampling::store_responses(&state.pool, job, lease, &batch).await?;
            whole.stored += answer.stored;
            whole.already_there += answer.already_there;
            batch.clear();
            bytes = 0;
        }
        if is_end {
            return Ok(whole);
        }
    }
}
