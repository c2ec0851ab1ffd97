//! Language and theme, chosen from the bar at the top by anyone, logged in or not.

use axum::{extract::State, response::Redirect};
use axum_extra::extract::cookie::{Cookie, CookieJar};
use serde::Deserialize;
use time::Duration;
use uuid::Uuid;

use super::{
    AppState, PageError,
    csrf::CsrfForm,
    i18n::Language,
    session::{LANGUAGE_COOKIE, THEME_COOKIE, Visitor, cookie},
};
use crate::db::users;

#[derive(Deserialize)]
pub struct Preferences {
    language: Option<String>,
    theme: Option<String>,
    #[serde(default)]
    next: String,
}

/// `POST /preferences`: remembers the choice in a cookie, and the language with the account, and goes back.
pub async fn post(
    State(state): State<AppState>,
    visitor: Visitor,
    mut jar: CookieJar,
    CsrfForm(form): CsrfForm<Preferences>,
) -> Result<(CookieJar, Redirect), PageError> {
    if let Some(language) = form.language.as_deref().and_then(Language::from_tag) {
        jar = remember_language(&state, jar, visitor.user.map(|user| user.id), language).await?;
    }
    if let Some(theme @ ("light" | "dark" | "system")) = form.theme.as_deref() {
        jar = jar.add(kept(cookie(&state, THEME_COOKIE, theme.to_owned())));
    }
    Ok((jar, Redirect::to(local_path(&form.next))))
}

/// Keeps the language in the browser and, for a person, with the account.
pub async fn remember_language(
    state: &AppState,
    jar: CookieJar,
    user: Option<Uuid>,
    language: Language,
) -> Result<CookieJar, sqlx::Error> {
    if let Some(user) = user {
        users::set_language(&state.pool, user, language.tag()).await?;
    }
    Ok(jar.add(kept(cookie(state, LANGUAGE_COOKIE, language.tag().to_owned()))))
}

/// Lasts a year.
fn kept(mut cookie: Cookie<'static>) -> Cookie<'static> {
    cookie.set_max_age(Duration::days(365));
    cookie
}

/// A path on this server, whatever was sent: `//evil.example` and full addresses lead to the start. So does what has a control
/// character: browsers leave tabs out of an address, and what is left may begin with two slashes.
pub fn local_path(wanted: &str) -> &str {
    let strange = |letter: char| letter == '\\' || letter.is_control();
    let local = wanted.starts_with('/') && !wanted.starts_with("//") && !wanted.contains(strange);
    if local { wanted } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::local_path;

    #[test]
    fn only_paths_of_this_server_are_followed() {
        assert_eq!(local_path("/queue?x=1"), "/queue?x=1");
        let strange = ["/\\evil.example", "/\t/evil.example", "/\n/evil.example", "/queue\0"];
        for wanted in ["//evil.example", "https://evil.example", "", "queue"].into_iter().chain(strange) {
            assert_eq!(local_path(wanted), "/", "{wanted}");
        }
    }
}
