//! `/reset/{secret}`: a link that an admin made sets a new password, once.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use axum_extra::extract::CookieJar;
use serde::Deserialize;

use super::fields::Errors;
use crate::{
    db::password_resets::{self, Reset, ResetError},
    domain::password::SHORTEST,
    web::{AppState, Page, PageError, csrf::CsrfForm, session::Visitor},
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ResetForm {
    new_password: String,
}

#[derive(Template)]
#[template(path = "auth/reset.html")]
struct ResetPage {
    page: Page,
    secret: String,
    reset: Reset,
    shortest: usize,
    errors: Errors,
}

#[derive(Template)]
#[template(path = "auth/reset_over.html")]
struct OverPage {
    page: Page,
}

/// `GET /reset/{secret}`.
pub async fn get(State(state): State<AppState>, page: Page, Path(secret): Path<String>) -> Result<Response, PageError> {
    let Some(reset) = password_resets::find(&state.pool, &secret).await? else { return over(page) };
    let shown = ResetPage { page, secret, reset, shortest: SHORTEST, errors: Errors::default() };
    Ok(Html(shown.render()?).into_response())
}

/// `POST /reset/{secret}`: sets the password and logs the person in, here only.
pub async fn post(
    State(state): State<AppState>,
    visitor: Visitor,
    page: Page,
    Path(secret): Path<String>,
    jar: CookieJar,
    CsrfForm(form): CsrfForm<ResetForm>,
) -> Result<Response, PageError> {
    let Some(reset) = password_resets::find(&state.pool, &secret).await? else { return over(page) };
    match password_resets::accept(&state.pool, &secret, &form.new_password).await {
        Ok(user) => {
            let jar = super::begin_session(&state, &visitor, jar, user).await?;
            Ok((jar, Redirect::to("/")).into_response())
        }
        Err(ResetError::NotValid) => over(page),
        Err(ResetError::Account(error)) => {
            let errors = Errors::explain(&page, error)?;
            let shown = ResetPage { page, secret, reset, shortest: SHORTEST, errors };
            Ok((StatusCode::UNPROCESSABLE_ENTITY, Html(shown.render()?)).into_response())
        }
    }
}

/// Used, replaced, too old, or never made: nothing tells which.
fn over(page: Page) -> Result<Response, PageError> {
    Ok((StatusCode::GONE, Html(OverPage { page }.render()?)).into_response())
}
