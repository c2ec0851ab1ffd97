//! `GET /admin/audit`: everything that anyone changed, in words, newest first; each entry exactly as it is stored is a fold away.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::{Html, IntoResponse},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    audit_words::{self, Line, Said},
    days, show,
};
use crate::{
    db::{
        audit::{self, Entry, Filter},
        audit_names::{self, Names},
    },
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

/// An entry as the page shows it.
struct Shown {
    entry: Entry,
    who: Said,
    /// What kind of thing was changed, and which.
    what: String,
    thing: Said,
    lines: Vec<Line>,
    /// The entry as JSON.
    exact: String,
}

impl Shown {
    fn new(page: &Page, names: &Names, entry: Entry) -> Self {
        let (what, thing) = audit_words::thing(page, names, &entry.subject);
        let exact = json!({
            "id": entry.id,
            "at": show::machine_time(entry.at),
            "actor": entry.actor,
            "action": entry.action,
            "subject": entry.subject,
            "detail": entry.detail,
        });
        Shown {
            who: audit_words::actor(page, names, &entry.actor),
            what,
            thing,
            lines: audit_words::lines(page, names, &entry.action, &entry.detail),
            exact: serde_json::to_string_pretty(&exact).unwrap_or_default(),
            entry,
        }
    }
}

#[derive(Template)]
#[template(path = "admin/audit.html")]
struct AuditPage {
    page: Page,
    wanted: Wanted,
    actors: Vec<String>,
    actions: Vec<String>,
    entries: Vec<Shown>,
    /// Address of what is older.
    older: Option<String>,
}

impl AuditPage {
    /// What an action is called; its own word where nobody has named it yet.
    fn action(&self, word: &str) -> String {
        self.page.translator.known(&message_of(word)).unwrap_or_else(|| word.to_owned())
    }

    /// Who can be chosen: a person's address, the name of a token, or what a part of the program is called.
    fn actor(&self, name: &str) -> String {
        audit_words::program(&self.page, name).unwrap_or_else(|| name.to_owned())
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
    // One more than is shown: whether there is anything older.
    let mut entries = audit::page(&state.pool, &filter, wanted.before, PER_PAGE + 1).await?;
    let more = i64::try_from(entries.len()).is_ok_and(|count| count > PER_PAGE);
    if more {
        entries.pop();
    }
    let older = match entries.last() {
        Some(last) if more => {
            let query = serde_html_form::to_string(Wanted { before: Some(last.id), ..wanted.clone() })
                .map_err(anyhow::Error::from)?;
            Some(format!("/admin/audit?{query}"))
        }
        _ => None,
    };
    let (actors, actions) = audit::choices(&state.pool).await?;
    let names = audit_names::of(&state.pool, &entries).await?;
    let entries = entries.into_iter().map(|entry| Shown::new(&page, &names, entry)).collect();
    Ok(Html(AuditPage { page, wanted, actors, actions, entries, older }.render()?))
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        path::{Path, PathBuf},
    };

    use super::message_of;
    use crate::{
        db::audit_kinds::{self, KINDS},
        web::i18n::Translator,
    };

    fn sources(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                sources(&path, ending, found);
            } else if path.extension().is_some_and(|found| found == ending) {
                found.push(path);
            }
        }
    }

    /// The words of the form `project.create` that stand between quotes.
    fn actions(text: &str, quote: char) -> Vec<&str> {
        let word = |part: &str| !part.is_empty() && part.chars().all(|sign| sign.is_ascii_lowercase() || sign == '_');
        let is_action = |text: &&str| text.split_once('.').is_some_and(|(of, done)| word(of) && word(done));
        text.split(quote).filter(is_action).collect()
    }

    #[test]
    fn every_action_that_is_noted_is_a_kind_with_a_name() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = Vec::new();
        sources(&root.join("src"), "rs", &mut files);
        sources(&root.join("migrations"), "sql", &mut files);
        let mut seen = BTreeSet::new();
        for file in files {
            let text = std::fs::read_to_string(&file).expect("a source");
            let found = match text.split_once("INSERT INTO audit_log") {
                Some((_, trigger)) if file.extension().is_some_and(|ending| ending == "sql") => actions(trigger, '\''),
                _ if text.contains("audit::record(") => actions(&text, '"'),
                _ => Vec::new(),
            };
            for action in found {
                assert!(audit_kinds::of(action).is_some(), "audit_kinds.rs lacks {action} of {}", file.display());
                seen.insert(action.to_owned());
            }
        }
        for kind in KINDS {
            assert!(Translator::default().known(&message_of(kind.action)).is_some(), "{} has no name", kind.action);
            assert!(seen.contains(kind.action), "{} is not written any more", kind.action);
        }
    }
}
