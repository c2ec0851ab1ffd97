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

impl AuditPage {
    /// What an action is called; its own word where nobody has named it yet.
    fn action(&self, word: &str) -> String {
        self.page.translator.known(&message_of(word)).unwrap_or_else(|| word.to_owned())
    }
}

/// The key of the message that names an action: `project.create` is `audit-action-project-create`.
fn message_of(action: &str) -> String {
    format!("audit-action-{}", action.replace('.', "-"))
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

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::message_of;
    use crate::web::i18n::Translator;

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }

    #[test]
    fn every_action_that_is_noted_has_a_name() {
        let mut files = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
        let mut seen = 0;
        for file in files {
            let text = std::fs::read_to_string(&file).expect("a source");
            if !text.contains("audit::record(") {
                continue;
            }
            let word =
                |part: &str| !part.is_empty() && part.chars().all(|sign| sign.is_ascii_lowercase() || sign == '_');
            let quoted = text.split('"');
            for action in quoted.filter(|text| text.split_once('.').is_some_and(|(of, done)| word(of) && word(done))) {
                seen += 1;
                let name = Translator::default().known(&message_of(action));
                assert!(name.is_some(), "{action} of {} has no name", file.display());
            }
        }
        assert!(seen > 30, "only {seen} actions were found");
    }
}
