//! `POST /logout`: ends the session, here and in the database.

use axum::{extract::State, response::Redirect};
use axum_extra::extract::CookieJar;
use serde::Deserialize;

use crate::{
    db::sessions,
    web::{
        AppState, PageError,
        csrf::CsrfForm,
        session::{SESSION_COOKIE, Visitor, cookie},
    },
};

#[derive(Debug, Deserialize)]
pub struct Button {}

pub async fn post(
    State(state): State<AppState>,
    visitor: Visitor,
    jar: CookieJar,
    CsrfForm(Button {}): CsrfForm<Button>,
) -> Result<(CookieJar, Redirect), PageError> {
    if let Some(session) = &visitor.session {
        sessions::end(&state.pool, session).await?;
    }
    Ok((jar.remove(cookie(&state, SESSION_COOKIE, String::new())), Redirect::to("/login")))
}
