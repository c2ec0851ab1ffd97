//! `GET /admin/audit`: everything that anyone changed, newest first.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::{Html, IntoResponse},
};
use serde::{Deserialize, Serialize};

use super::{days, show};
use crate::{
    db::audit::{self, Entry, Filter},
    web::{AppState, Page, PageError, authorise::Admin},
};

const PER_PAGE: i64 = 100;

/// The filters as they stand in the address.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Wanted {
    q: String,
    actor: String,
    action: String,
    /// Days, both included.
    from: String,
    until: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<i64>,
}

#[derive(Template)]
#[template(path = "admin/audit.html")]
struct AuditPage {
    page: Page,
    wanted: Wanted,
    actors: Vec<String>,
    actions: Vec<String>,
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
    let filter = Filter {
        search: wanted.q.trim().replace('\0', ""),
        actor: wanted.actor.clone(),
        action: wanted.action.clone(),
        from: days::begin(&wanted.from),
        until: days::end(&wanted.until),
    };
    let entries = audit::page(&state.pool, &filter, wanted.before, PER_PAGE).await?;
    let full = i64::try_from(entries.len()).is_ok_and(|count| count == PER_PAGE);
    let older = match entries.last() {
        Some(last) if full => {
            let query = serde_html_form::to_string(Wanted { before: Some(last.id), ..wanted.clone() })
                .map_err(anyhow::Error::from)?;
            Some(format!("/admin/audit?{query}"))
        }
        _ => None,
    };
    let (actors, actions) = audit::choices(&state.pool).await?;
    Ok(Html(AuditPage { page, wanted, actors, actions, entries, older }.render()?))
}
