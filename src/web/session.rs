//! Who is asking: the session cookie, looked up once a request.

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderValue, header, request::Parts},
    middleware::Next,
    response::Response,
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    AppState, Page, PageError,
    i18n::{Language, Translator},
};
use crate::{
    db::sessions::SESSION_DAYS,
    domain::{
        role::Role,
        secret::{new_secret, secret_hash},
    },
};

/// Carries the session's secret; the database knows only its hash.
pub const SESSION_COOKIE: &str = "laurel_session";
/// Ties forms of people who are not logged in to their browser.
pub const ANONYMOUS_COOKIE: &str = "laurel_form";
pub const LANGUAGE_COOKIE: &str = "laurel_language";
pub const THEME_COOKIE: &str = "laurel_theme";

/// A person who is logged in.
#[derive(Debug, Clone)]
pub struct User {
    pub id: Uuid,
    pub email: String,
    pub name: String,
    pub role: Role,
    pub language: Language,
    pub simulated: bool,
}

/// Whoever asks, known or not.
#[derive(Debug, Clone, Default)]
pub struct Visitor {
    pub user: Option<User>,
    /// Hash of the session's secret, to end it or spare it.
    pub session: Option<Vec<u8>>,
    pub csrf: String,
    pub theme: String,
    pub language: Language,
}

impl Visitor {
    /// The frame of a page for this visitor.
    pub fn page(&self, path: &str) -> Page {
        Page {
            user: self.user.clone(),
            csrf: self.csrf.clone(),
            theme: self.theme.clone(),
            path: path.to_owned(),
            back: path.to_owned(),
            translator: Translator { language: self.language },
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Visitor>().cloned().unwrap_or_default())
    }
}

/// Middleware: finds the visitor before the page runs and gives strangers their form cookie.
pub async fn load(State(state): State<AppState>, jar: CookieJar, mut request: Request, next: Next) -> Response {
    let visitor = match find(&state.pool, &jar, request.headers().get(header::ACCEPT_LANGUAGE).cloned()).await {
        Ok(visitor) => visitor,
        Err(error) => return axum::response::IntoResponse::into_response(PageError::from(error)),
    };
    let stranger_needs_cookie = visitor.user.is_none() && jar.get(ANONYMOUS_COOKIE).is_none();
    let csrf = visitor.csrf.clone();
    request.extensions_mut().insert(visitor);
    let mut response = next.run(request).await;
    if stranger_needs_cookie {
        let cookie = cookie(&state, ANONYMOUS_COOKIE, csrf);
        if let Ok(value) = HeaderValue::from_str(&cookie.to_string()) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

/// A cookie of ours: HttpOnly, SameSite=Lax, Secure where the server is reached by https.
pub fn cookie(state: &AppState, name: &'static str, value: String) -> Cookie<'static> {
    Cookie::build((name, value))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(state.config.secure_cookies)
        .build()
}

async fn find(pool: &PgPool, jar: &CookieJar, accept_language: Option<HeaderValue>) -> anyhow::Result<Visitor> {
    let chosen = jar.get(LANGUAGE_COOKIE).and_then(|cookie| Language::from_tag(cookie.value()));
    let accepted = || Language::from_accept_language(accept_language.as_ref()?.to_str().ok()?);
    let theme = match jar.get(THEME_COOKIE).map(Cookie::value) {
        Some(theme @ ("light" | "dark")) => theme.to_owned(),
        _ => "system".to_owned(),
    };
    if let Some(secret) = jar.get(SESSION_COOKIE) {
        let hash = secret_hash(secret.value());
        if let Some((user, csrf)) = by_hash(pool, &hash).await? {
            let language = user.language;
            return Ok(Visitor { user: Some(user), session: Some(hash), csrf, theme, language });
        }
    }
    let csrf = match jar.get(ANONYMOUS_COOKIE) {
        Some(cookie) if cookie.value().len() == 64 => cookie.value().to_owned(),
        _ => new_secret()?,
    };
    let language = chosen.or_else(accepted).unwrap_or_default();
    Ok(Visitor { user: None, session: None, csrf, theme, language })
}

/// The user of a session that has not ended, with the session's CSRF token. Renews the session, at most once a minute.
async fn by_hash(pool: &PgPool, hash: &[u8]) -> anyhow::Result<Option<(User, String)>> {
    let row = sqlx::query!(
        r#"
        SELECT
            u.id,
            u.email,
            u.name,
            u.role,
            u.language,
            u.simulated,
            s.csrf_token,
            s.last_seen_at < now() - interval '1 minute' AS "stale!"
        FROM sessions s
        JOIN users u ON u.id = s.user_id
        WHERE s.token_hash = $1 AND s.expires_at > now() AND u.disabled_at IS NULL
        "#,
        hash
    )
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    if row.stale {
        sqlx::query!(
            "UPDATE sessions SET last_seen_at = now(), expires_at = now() + make_interval(days => $2) WHERE token_hash = $1",
            hash,
            SESSION_DAYS
        )
        .execute(pool)
        .await?;
    }
    let user = User {
        id: row.id,
        email: row.email,
        name: row.name,
        role: row.role.parse()?,
        language: Language::from_tag(&row.language).unwrap_or_default(),
        simulated: row.simulated,
    };
    Ok(Some((user, row.csrf_token)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{chat::UnderWay, config::Config};

    #[tokio::test]
    async fn cookies_are_secure_where_the_server_is_reached_by_https() {
        for secure_cookies in [true, false] {
            let pool = PgPool::connect_lazy("postgres://localhost/none").expect("an address");
            let config = Arc::new(Config { secure_cookies, ..Config::in_directory("none") });
            let state = AppState { pool, config, chats: UnderWay::default() };
            let written = cookie(&state, SESSION_COOKIE, "secret".to_owned()).to_string();
            assert_eq!(written.contains("; Secure"), secure_cookies, "{written}");
        }
    }
}
