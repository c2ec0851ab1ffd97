//! `/api/v1/projects/{slug}/export` and `/import`: records go out and come in as streams, as the commands do it.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    Json,
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use laurel_records::Split;
use serde::Deserialize;
use tokio::io::{AsyncRead, ReadBuf};

use super::{
    error::Refusal,
    extract::{Asked, Place, project, read_on, reader},
    token::{Admin, Trainer},
};
use crate::{
    export::{self, Format, Selection},
    import::{self, BadRecord, ImportError, ImportReport},
    web::AppState,
};

/// Bytes that an import may have; larger files come in by command.
const IMPORT_LIMIT: u64 = 2 * 1024 * 1024 * 1024;

#[derive(Debug, Deserialize)]
pub struct Wanted {
    /// `jsonl` (the default), `csv` or `parquet`.
    format: Option<String>,
    /// `train`, `validation` or `test`; all where none is given.
    split: Option<Split>,
    /// Also rankings and demonstrations that a reviewer rejected or corrected.
    #[serde(default)]
    include_rejected: bool,
    /// Leaves out rankings of annotators known to be less reliable, 0 to 1.
    minimum_reliability: Option<f64>,
    /// Gives rankings and comparisons a field `weight`.
    #[serde(default)]
    weights: bool,
}

/// Export records.
///
/// `kind` is `prompts`, `demonstrations`, `rankings` or `comparisons`. All records are of one moment.
pub async fn export(
    _: Trainer,
    State(state): State<AppState>,
    Place((slug, kind)): Place<(String, String)>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Refusal> {
    let kind = export::Kind::from_word(&kind)
        .ok_or_else(|| Refusal::NotFound(format!("“{kind}” is no kind of record that can be exported")))?;
    let format = match wanted.format.as_deref() {
        None => Format::default(),
        Some(word) => Format::from_word(word)
            .ok_or_else(|| Refusal::invalid(format!("format: “{word}” is none; take jsonl, csv or parquet")))?,
    };
    let project = project(&state, &slug).await?;
    let name = export::file_name(&project, kind, format, wanted.split);
    if wanted.minimum_reliability.is_some_and(|minimum| !(0.0..=1.0).contains(&minimum)) {
        return Err(Refusal::invalid("minimum_reliability: a number from 0 to 1 is needed"));
    }
    let selection = Selection {
        split: wanted.split,
        include_rejected: wanted.include_rejected,
        minimum_reliability: wanted.minimum_reliability,
        weights: wanted.weights,
    };
    let records = export::stream(state.pool.clone(), &project, kind, format, selection);
    let headers = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, Body::from_stream(records)).into_response())
}

/// Import records.
///
/// `kind` is `prompts`, `responses`, `demonstrations`, `rankings`, `comparisons` or `known-answers`; the body is a file of
/// them. All or nothing: `details` names the first bad records by line and field. Takes an admin's token.
pub async fn import(
    Admin(caller): Admin,
    State(state): State<AppState>,
    Place((slug, kind)): Place<(String, String)>,
    body: Body,
) -> Result<Json<ImportReport>, Refusal> {
    let kind = import::Kind::from_word(&kind)
        .ok_or_else(|| Refusal::NotFound(format!("“{kind}” is no kind of record that can be imported")))?;
    let project = project(&state, &slug).await?;
    let mut records = Bounded { inner: reader(body), left: IMPORT_LIMIT, is_over: false };
    let refusal = match import::import(&state.pool, &caller.actor(), &project, kind, &mut records).await {
        Ok(report) => return Ok(Json(report)),
        Err(ImportError::BadRecords(bad)) => {
            let message = "nothing was imported: some records are wrong".to_owned();
            Refusal::Invalid { message, details: bad.into_iter().map(named).collect() }
        }
        Err(ImportError::Read(_)) if records.is_over => {
            Refusal::TooLarge(format!("an import has at most {IMPORT_LIMIT} bytes; larger files come in by command"))
        }
        Err(ImportError::Read(_)) => Refusal::invalid("nothing was imported: the body could not be read to its end"),
        Err(ImportError::Database(error)) => error.into(),
    };
    read_on(records.inner).await;
    Err(refusal)
}

fn named(bad: BadRecord) -> String {
    let field = if bad.field.is_empty() { String::new() } else { format!("{}: ", bad.field) };
    format!("line {}: {field}{}", bad.line, bad.reason)
}

/// A reader that fails beyond its limit.
struct Bounded<R> {
    inner: R,
    left: u64,
    is_over: bool,
}

impl<R: AsyncRead + Unpin> AsyncRead for Bounded<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        let read = (buffer.filled().len() - before) as u64;
        if read > self.left {
            self.is_over = true;
            return Poll::Ready(Err(std::io::Error::other("too large")));
        }
        self.left -= read;
        polled
    }
}
