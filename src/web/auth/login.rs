//! `/login`: email and password open a session. Whoever guesses has to wait.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use axum_extra::extract::CookieJar;
use serde::Deserialize;

use super::address::ClientAddress;
use crate::{
    db::{sessions, users},
    web::{AppState, Page, PageError, csrf::CsrfForm, preferences::local_path, session::Visitor},
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct LoginForm {
    email: String,
    password: String,
    /// Where the visitor was going.
    next: String,
}

#[derive(Debug, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    next: String,
}

#[derive(Template)]
#[template(path = "auth/login.html")]
struct LoginPage {
    page: Page,
    email: String,
    next: String,
    error: Option<String>,
    /// Nobody has an account yet.
    is_new: bool,
}

/// `GET /login`: the form; whoever is logged in goes on.
pub async fn get(
    State(state): State<AppState>,
    visitor: Visitor,
    page: Page,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let next = local_path(&wanted.next).to_owned();
    if visitor.user.is_some() {
        return Ok(Redirect::to(&next).into_response());
    }
    let is_new = !users::any(&state.pool).await?;
    let shown = LoginPage { page, email: String::new(), next, error: None, is_new };
    Ok(Html(shown.render()?).into_response())
}

/// `POST /login`.
pub async fn post(
    State(state): State<AppState>,
    visitor: Visitor,
    page: Page,
    address: ClientAddress,
    jar: CookieJar,
    CsrfForm(form): CsrfForm<LoginForm>,
) -> Result<Response, PageError> {
    let email = form.email.trim().to_lowercase();
    let next = local_path(&form.next).to_owned();
    if let Some(seconds) = sessions::count_attempt(&state.pool, &email, &address.0).await? {
        let error = Some(page.t1("auth-login-wait", "minutes", seconds.div_ceil(60)));
        let shown = LoginPage { page, email: form.email, next, error, is_new: false };
        let wait = [(header::RETRY_AFTER, seconds.to_string())];
        return Ok((StatusCode::TOO_MANY_REQUESTS, wait, Html(shown.render()?)).into_response());
    }
    let Some(user) = users::by_password(&state.pool, &email, &form.password).await? else {
        let error = Some(page.t("auth-login-wrong"));
        let shown = LoginPage { page, email: form.email, next, error, is_new: false };
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, Html(shown.render()?)).into_response());
    };
    sessions::forget_attempts(&state.pool, &email, &address.0).await?;
    let jar = super::begin_session(&state, &visitor, jar, user).await?;
    Ok((jar, Redirect::to(&next)).into_response())
}
