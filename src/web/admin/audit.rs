//! `GET /admin/audit`: everything that anyone changed, newest first.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::{Html, IntoResponse},
};
use serde::Deserialize;

use super::show;
use crate::{
    db::audit::{self, Entry},
    web::{AppState, Page, PageError, authorise::Admin},
};

const PER_PAGE: i64 = 100;

#[derive(Debug, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    q: String,
    before: Option<i64>,
}

#[derive(Template)]
#[template(path = "admin/audit.html")]
struct AuditPage {
    page: Page,
    q: String,
    entries: Vec<Entry>,
    /// Address of what is older.
    older: Option<String>,
}

pub async fn get(
    _: Admin,
    State(state): State<AppState>,
    Query(wanted): Query<Wanted>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let q = wanted.q.trim().replace('\0', "");
    let entries = audit::page(&state.pool, &q, wanted.before, PER_PAGE).await?;
    let full = i64::try_from(entries.len()).is_ok_and(|count| count == PER_PAGE);
    let older = match entries.last() {
        Some(last) if full => {
            let query = serde_html_form::to_string([("q", q.clone()), ("before", last.id.to_string())])
                .map_err(anyhow::Error::from)?;
            Some(format!("/admin/audit?{query}"))
        }
        _ => None,
    };
    Ok(Html(AuditPage { page, q, entries, older }.render()?))
}
