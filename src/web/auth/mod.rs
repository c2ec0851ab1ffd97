//! Log in and out, invitations, the first admin, new passwords by link, one's own account.

mod account;
mod address;
mod fields;
mod invitation;
mod languages;
mod login;
mod logout;
mod reset;

use axum::routing::{get, post};
use axum_extra::extract::cookie::{Cookie, CookieJar};
use time::Duration;
use uuid::Uuid;

use super::{
    AppState,
    routes::Routes,
    session::{SESSION_COOKIE, Visitor, cookie},
};
use crate::db::sessions;

/// The routes of this room.
pub fn routes() -> Routes {
    Routes::new()
        .route("/login", get(login::get).post(login::post))
        .route("/logout", post(logout::post))
        .route("/invitations/{secret}", get(invitation::get).post(invitation::post))
        .route("/reset/{secret}", get(reset::get).post(reset::post))
        .route("/account", get(account::get).post(account::post))
        .route("/account/languages", get(account::back).post(languages::post))
        .route("/account/password", get(account::back).post(account::password))
        .route("/account/sessions", post(account::end_other_sessions))
}

/// Opens a session for a person whose password was right, in the place of the visitor's earlier one, and gives its cookie. The
/// server ends the session by its idle time; the cookie lives longer than that.
async fn begin_session(state: &AppState, visitor: &Visitor, jar: CookieJar, user: Uuid) -> anyhow::Result<CookieJar> {
    if let Some(earlier) = &visitor.session {
        sessions::end(&state.pool, earlier).await?;
    }
    let secret = sessions::open(&state.pool, user).await?;
    let mut cookie: Cookie<'static> = cookie(state, SESSION_COOKIE, secret);
    cookie.set_max_age(Duration::days(365));
    Ok(jar.add(cookie))
}
