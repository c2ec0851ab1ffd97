//! `/invitations/{secret}`: a link makes one account, once. The link of the first start makes the first admin.

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
    db::{
        invitations::{self, AcceptError, Invitation},
        users,
    },
    domain::password::SHORTEST,
    web::{AppState, Page, PageError, csrf::CsrfForm, session::Visitor},
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AccountForm {
    email: String,
    name: String,
    new_password: String,
}

#[derive(Template)]
#[template(path = "auth/invitation.html")]
struct InvitationPage {
    page: Page,
    secret: String,
    /// Word of the role that the account gets.
    role: String,
    /// Nobody has an account yet: this one begins the server.
    is_first: bool,
    /// The invitation is for this address only.
    email_is_fixed: bool,
    form: AccountForm,
    shortest: usize,
    errors: Errors,
}

#[derive(Template)]
#[template(path = "auth/invitation_over.html")]
struct OverPage {
    page: Page,
}

/// `GET /invitations/{secret}`.
pub async fn get(State(state): State<AppState>, page: Page, Path(secret): Path<String>) -> Result<Response, PageError> {
    let Some(invitation) = invitations::find(&state.pool, &secret).await? else { return over(page) };
    let form = AccountForm { email: invitation.email.clone().unwrap_or_default(), ..AccountForm::default() };
    let shown = build(&state, page, secret, invitation, form, Errors::default()).await?;
    Ok(Html(shown.render()?).into_response())
}

/// `POST /invitations/{secret}`: makes the account and logs it in.
pub async fn post(
    State(state): State<AppState>,
    visitor: Visitor,
    page: Page,
    Path(secret): Path<String>,
    jar: CookieJar,
    CsrfForm(mut form): CsrfForm<AccountForm>,
) -> Result<Response, PageError> {
    let Some(invitation) = invitations::find(&state.pool, &secret).await? else { return over(page) };
    if let Some(email) = &invitation.email {
        form.email.clone_from(email);
    }
    let language = page.language();
    match invitations::accept(&state.pool, &secret, &form.email, &form.name, language, &form.new_password).await {
        Ok(user) => {
            let jar = super::begin_session(&state, &visitor, jar, user).await?;
            Ok((jar, Redirect::to("/")).into_response())
        }
        Err(AcceptError::NotValid) => over(page),
        Err(AcceptError::Account(error)) => {
            let errors = Errors::explain(&page, error)?;
            let shown = build(&state, page, secret, invitation, form, errors).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, Html(shown.render()?)).into_response())
        }
    }
}

async fn build(
    state: &AppState,
    page: Page,
    secret: String,
    invitation: Invitation,
    form: AccountForm,
    errors: Errors,
) -> Result<InvitationPage, PageError> {
    Ok(InvitationPage {
        page,
        secret,
        role: invitation.role,
        is_first: !users::any(&state.pool).await?,
        email_is_fixed: invitation.email.is_some(),
        form,
        shortest: SHORTEST,
        errors,
    })
}

/// Used, revoked, too old, or never made: nothing tells which.
fn over(page: Page) -> Result<Response, PageError> {
    Ok((StatusCode::GONE, Html(OverPage { page }.render()?)).into_response())
}
