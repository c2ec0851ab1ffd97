//! `/admin/projects/{slug}/export`: how many records of each kind an export would hold, with the options that are set; below it, their
//! files.

use askama::Template;
use axum::{
    body::Body,
    extract::{Path, Query, State},
    http::header,
    response::{Html, IntoResponse},
};
use laurel_records::Split;
use serde::Deserialize;

use super::{
    project::{Frame, InProject},
    show,
};
use crate::{
    db::words,
    export::{self, Counts, Format, Kind, Selection},
    web::{AppState, Page, PageError, authorise::Lead},
};

/// Numbers of one kind of record, by split.
struct Row {
    kind: &'static str,
    numbers: Vec<i64>,
    total: i64,
}

#[derive(Template)]
#[template(path = "admin/export.html")]
struct ExportPage {
    page: Page,
    frame: Frame,
    counts: Vec<Counts>,
    /// The options as they stand in the address.
    wanted: Wanted,
    rows: Vec<Row>,
    /// Where programs reach this server.
    address: String,
}

pub async fn get(
    _: Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(wanted): Query<Wanted>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let counts = export::counts(&state.pool, project.id, &wanted.selection(&page)?).await?;
    let row = |kind: Kind| {
        let numbers: Vec<i64> = counts.iter().map(|split| split.of(kind)).collect();
        Row { kind: kind.as_str(), total: numbers.iter().sum(), numbers }
    };
    let shown = ExportPage {
        frame: Frame::new(&page, &project, "export"),
        page,
        rows: Kind::ALL.into_iter().map(row).collect(),
        counts,
        wanted,
        address: state.config.link("").trim_end_matches('/').to_owned(),
    };
    Ok(Html(shown.render()?))
}

/// What to download; empty means every split, and JSON lines.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    format: String,
    split: String,
    /// Present where rejected labels are wanted too; where weights are.
    include_rejected: Option<String>,
    weights: Option<String>,
    /// Percent, 0 to 100; empty for everyone.
    minimum_reliability: String,
}

impl Wanted {
    fn selection(&self, page: &Page) -> Result<Selection, PageError> {
        let split: Option<Split> = match self.split.as_str() {
            "" => None,
            word => Some(words::parse(word).map_err(|_| PageError::NotFound)?),
        };
        let minimum = match self.minimum_reliability.trim() {
            "" => None,
            text => Some(
                text.parse::<f64>()
                    .ok()
                    .filter(|percent| (0.0..=100.0).contains(percent))
                    .ok_or_else(|| PageError::Invalid(page.t2("admin-error-range", "from", 0, "to", 100)))?,
            ),
        };
        Ok(Selection {
            split,
            include_rejected: self.include_rejected.is_some(),
            minimum_reliability: minimum.map(|percent| percent / 100.0),
            weights: self.weights.is_some(),
        })
    }
}

/// `GET /admin/projects/{slug}/export/{kind}`: the file, as it comes out of the database.
pub async fn download(
    _: Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((_, kind)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let kind = Kind::from_word(&kind).ok_or(PageError::NotFound)?;
    let format = match wanted.format.as_str() {
        "" => Format::default(),
        word => Format::from_word(word).ok_or(PageError::NotFound)?,
    };
    let selection = wanted.selection(&page)?;
    let headers = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{}\"", export::file_name(&project, kind, format, selection.split)),
        ),
    ];
    Ok((headers, Body::from_stream(export::stream(state.pool.clone(), &project, kind, format, selection))))
}
