//! `/admin/projects/{slug}/import`: a file goes in whole, or not at all with every bad record named.

use askama::Template;
use axum::{
    extract::{Multipart, Query, State, multipart::Field},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use futures_util::TryStreamExt;
use serde::Deserialize;
use tokio_util::io::StreamReader;

use super::project::{Frame, InProject, actor};
use crate::{
    import::{self, BadRecord, ImportError, ImportReport, Kind},
    web::{AppState, Page, PageError, authorise::Lead, csrf, session::Visitor},
};

/// Bytes that an upload may have; larger files come in by command.
pub const UPLOAD_LIMIT: usize = 2 * 1024 * 1024 * 1024;

#[derive(Template)]
#[template(path = "admin/import.html")]
struct ImportPage {
    page: Page,
    frame: Frame,
    kind: Kind,
    error: Option<String>,
    bad: Vec<BadRecord>,
    report: Option<ImportReport>,
}

impl ImportPage {
    fn kinds(&self) -> [Kind; 6] {
        Kind::ALL
    }
}

/// What an import before this page did.
#[derive(Deserialize)]
pub struct Done {
    kind: Option<String>,
    records: Option<u64>,
    added: Option<u64>,
    duplicates: Option<u64>,
    prompts_added: Option<u64>,
    tasks: Option<u64>,
}

impl Done {
    fn report(&self) -> Option<ImportReport> {
        Some(ImportReport {
            records: self.records?,
            added: self.added?,
            duplicates: self.duplicates?,
            prompts_added: self.prompts_added?,
            tasks: self.tasks?,
        })
    }
}

pub async fn get(
    _: Lead,
    InProject(project): InProject,
    Query(done): Query<Done>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let shown = ImportPage {
        frame: Frame::new(&page, &project, "import"),
        page,
        kind: done.kind.as_deref().and_then(Kind::from_word).unwrap_or(Kind::Prompts),
        error: None,
        bad: Vec::new(),
        report: done.report(),
    };
    Ok(Html(shown.render()?))
}

/// The form's fields come in the order of the page: token, kind, file. The file is read as it arrives.
pub async fn post(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    visitor: Visitor,
    page: Page,
    mut form: Multipart,
) -> Result<Response, PageError> {
    let (mut token, mut kind) = (String::new(), None);
    let refuse = |page: Page, kind: Option<Kind>, error: Option<String>, bad: Vec<BadRecord>| {
        let frame = Frame::new(&page, &project, "import");
        let shown = ImportPage { page, frame, kind: kind.unwrap_or(Kind::Prompts), error, bad, report: None };
        Ok((StatusCode::UNPROCESSABLE_ENTITY, Html(shown.render()?)).into_response())
    };
    while let Some(field) = form.next_field().await.map_err(|_| PageError::TooLarge)? {
        match field.name() {
            Some("csrf") => token = text_of(field).await?,
            Some("kind") => kind = Kind::from_word(&text_of(field).await?),
            Some("file") => {
                csrf::check(&visitor, &token)?;
                let Some(kind) = kind else {
                    let error = page.t("import-error-kind");
                    return refuse(page, None, Some(error), Vec::new());
                };
                if field.file_name().is_none_or(str::is_empty) {
                    let error = page.t("import-error-file");
                    return refuse(page, Some(kind), Some(error), Vec::new());
                }
                let mut reader = StreamReader::new(field.map_err(std::io::Error::other));
                let done = import::import(&state.pool, &actor(&user), &project, kind, &mut reader).await;
                return match done {
                    Ok(report) => Ok(Redirect::to(&done_address(&project.slug, kind, &report)?).into_response()),
                    Err(ImportError::BadRecords(bad)) => {
                        // A browser listens to the answer only when it has sent all.
                        tokio::io::copy(&mut reader, &mut tokio::io::sink()).await.ok();
                        refuse(page, Some(kind), None, bad)
                    }
                    Err(ImportError::Read(error)) => {
                        tracing::info!(%error, "an upload broke off");
                        Err(PageError::TooLarge)
                    }
                    Err(ImportError::Database(error)) => Err(error.into()),
                };
            }
            _ => {}
        }
    }
    csrf::check(&visitor, &token)?;
    let error = page.t("import-error-file");
    refuse(page, kind, Some(error), Vec::new())
}

pub async fn text_of(field: Field<'_>) -> Result<String, PageError> {
    field.text().await.map_err(|_| PageError::TooLarge)
}

/// The page with the counts of an import in its address: reloading it imports nothing again.
pub fn done_address(slug: &str, kind: Kind, report: &ImportReport) -> Result<String, PageError> {
    let counts = serde_html_form::to_string(report).map_err(anyhow::Error::from)?;
    Ok(format!("/admin/projects/{slug}/import?kind={}&{counts}", kind.as_str()))
}
