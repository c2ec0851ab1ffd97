//! What every page needs around its own content: the visitor, the language, the theme, the CSRF token.

use axum::{
    extract::FromRequestParts,
    http::{Method, Uri, request::Parts},
};

use super::{
    i18n::{Argument, Language, Translator},
    session::{User, Visitor},
};
use crate::domain::role::Role;

/// Handed to every template as `page`; `layout.html` draws the frame from it.
#[derive(Debug, Clone)]
pub struct Page {
    pub user: Option<User>,
    pub csrf: String,
    /// `light`, `dark`, or `system`.
    pub theme: String,
    /// Path of this request, to mark the place in the navigation.
    pub path: String,
    /// Where whoever chooses a language or a theme comes back to: this page, with the same filter and the same part of a list.
    pub back: String,
    pub translator: Translator,
}

impl Page {
    /// The message of a key in the visitor's language: `{{ page.t("login-title") }}`.
    pub fn t(&self, key: &str) -> String {
        self.translator.t(key)
    }

    /// A message with one argument: `{{ page.t1("queue-waiting", "count", count) }}`.
    pub fn t1(&self, key: &str, name: &'static str, value: impl Into<Argument>) -> String {
        self.translator.with(key, &[(name, value.into())])
    }

    /// A message with two arguments.
    pub fn t2(
        &self,
        key: &str,
        first: &'static str,
        first_value: impl Into<Argument>,
        second: &'static str,
        second_value: impl Into<Argument>,
    ) -> String {
        self.translator.with(key, &[(first, first_value.into()), (second, second_value.into())])
    }

    /// A message whose key ends in a word of the data: `{{ page.word("admin-split", prompt.split) }}`.
    pub fn word(&self, prefix: &str, word: &str) -> String {
        self.t(&format!("{prefix}-{word}"))
    }

    pub fn language(&self) -> &'static str {
        self.translator.language.tag()
    }

    /// `ltr` or `rtl`: where the interface's lines begin.
    pub fn direction(&self) -> &'static str {
        self.translator.language.direction()
    }

    /// Every language of the interface.
    pub fn languages(&self) -> Vec<Language> {
        Language::all().collect()
    }

    /// Address of a static file, with a version that changes with its content.
    pub fn asset(&self, path: &str) -> String {
        super::assets::address(path)
    }

    pub fn is_admin(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.role == Role::Admin)
    }

    /// A lead or an admin. Of which projects, `authorise` has seen to before the page is drawn.
    pub fn is_lead(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.role.allows(Role::Lead))
    }

    pub fn is_reviewer(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.role.allows(Role::Reviewer))
    }

    /// `page` where the navigation's link leads here, for `aria-current`.
    pub fn here(&self, prefix: &str) -> &'static str {
        let below = self.path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if below { "page" } else { "false" }
    }

    /// Initials for the round badge of the account menu.
    pub fn initials(&self) -> String {
        self.user
            .as_ref()
            .map(|user| {
                let words = user.name.split(|sign: char| !sign.is_alphanumeric());
                words.filter_map(|word| word.chars().next()).take(2).collect()
            })
            .unwrap_or_default()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let visitor = parts.extensions.get::<Visitor>().cloned().unwrap_or_default();
        let mut page = visitor.page(parts.uri.path());
        if let Some(back) = asked_for(&parts.method, &parts.uri) {
            page.back = back;
        }
        Ok(page)
    }
}

/// The address of a page as it was asked for, without what is said once. `None` of a form: what takes it may be no page with the same
/// query.
pub(super) fn asked_for(method: &Method, uri: &Uri) -> Option<String> {
    let is_page = matches!(*method, Method::GET | Method::HEAD);
    is_page.then(|| with_query(uri.path(), uri.query().unwrap_or_default()))
}

/// Fields of a query by which a page says once what became of a form: the last ones of an import.
const SAID_ONCE: [&str; 11] =
    ["asked", "done", "empty", "found", "made", "saved", "records", "added", "duplicates", "prompts_added", "tasks"];

/// A path with the query that it was asked for with, without what is said once.
fn with_query(path: &str, query: &str) -> String {
    // To an annotator's page it names the task that was just finished, to a list of the dashboard the line after which it goes on.
    let is_finished = |name: &str| name == "after" && !path.starts_with("/admin/");
    let is_kept = |field: &&str| {
        let name = field.split('=').next().unwrap_or_default();
        !name.is_empty() && !SAID_ONCE.contains(&name) && !is_finished(name)
    };
    // Browsers write none with a backslash, and nobody is sent to an address that has one.
    let query = if query.contains('\\') { "" } else { query };
    let kept: Vec<&str> = query.split('&').filter(is_kept).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::with_query;

    #[test]
    fn a_choice_of_language_leads_back_to_the_same_part_of_a_list_and_says_nothing_again() {
        for (path, query, back) in [
            ("/queue", "", "/queue"),
            ("/chats", "before=7", "/chats?before=7"),
            ("/queue", "before=7&after=9&empty=1", "/queue?before=7"),
            ("/tasks/9", "after=7", "/tasks/9"),
            ("/admin/x/labels", "q=a%26b&after=7", "/admin/x/labels?q=a%26b&after=7"),
            ("/admin/x/reviews", "state=decided&page=2&done=1", "/admin/x/reviews?state=decided&page=2"),
            ("/admin/x/settings", "saved=1", "/admin/x/settings"),
            (
                "/admin/x/import",
                "kind=prompts&records=4&added=3&duplicates=1&prompts_added=3&tasks=3",
                "/admin/x/import?kind=prompts",
            ),
            ("/admin/x/labels", r"q=a\b&split=test", "/admin/x/labels"),
            ("/login", "next=%2Fqueue", "/login?next=%2Fqueue"),
        ] {
            assert_eq!(with_query(path, query), back, "{path}?{query}");
        }
    }
}
