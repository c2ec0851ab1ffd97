//! `/account`: one's name, language and password, and the browsers where one is logged in.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use axum_extra::extract::CookieJar;
use serde::Deserialize;

use super::{address::ClientAddress, fields::Errors};
use crate::{
    db::{
        audit::Actor,
        plans, sessions,
        users::{self, AccountError},
    },
    domain::password::SHORTEST,
    web::{
        AppState, Page, PageError,
        authorise::Annotator,
        csrf::CsrfForm,
        i18n::Language,
        preferences,
        session::{User, Visitor},
    },
};

#[derive(Debug, Deserialize)]
pub struct ProfileForm {
    name: String,
    language: String,
}

#[derive(Debug, Deserialize)]
pub struct PasswordForm {
    password: String,
    new_password: String,
}

#[derive(Debug, Deserialize)]
pub struct Button {}

#[derive(Debug, Deserialize)]
pub struct Done {
    /// What was just done.
    done: Option<String>,
}

#[derive(Template)]
#[template(path = "auth/account.html")]
struct AccountPage {
    page: Page,
    user: User,
    typed_name: String,
    /// Every language that can be ticked, with whether it is.
    languages: Vec<(String, bool)>,
    other_sessions: i64,
    shortest: usize,
    /// Key of the message that says what was done.
    done: Option<&'static str>,
    errors: Errors,
}

impl AccountPage {
    async fn build(state: &AppState, page: Page, user: User) -> Result<Self, PageError> {
        let other_sessions = (sessions::count(&state.pool, user.id).await? - 1).max(0);
        let spoken = plans::languages(&state.pool, user.id).await?;
        let mut known = plans::known_languages(&state.pool, user.id).await?;
        known.extend(Language::all().map(|language| language.tag().to_owned()));
        known.sort();
        known.dedup();
        let languages = known.into_iter().map(|tag| (tag.clone(), spoken.contains(&tag))).collect();
        let typed_name = user.name.clone();
        let (shortest, errors) = (SHORTEST, Errors::default());
        Ok(AccountPage { page, user, typed_name, languages, other_sessions, shortest, done: None, errors })
    }

    fn refused(self, status: StatusCode, errors: Errors) -> Result<Response, PageError> {
        Ok((status, Html(AccountPage { errors, ..self }.render()?)).into_response())
    }
}

/// `GET /account`.
pub async fn get(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    page: Page,
    Query(query): Query<Done>,
) -> Result<Html<String>, PageError> {
    let shown = AccountPage::build(&state, page, user).await?;
    let done = match query.done.as_deref() {
        Some("profile") => Some("auth-done-profile"),
        Some("password") => Some("auth-done-password"),
        Some("languages") => Some("work-languages-done"),
        Some("sessions") => Some("auth-done-sessions"),
        _ => None,
    };
    Ok(Html(AccountPage { done, ..shown }.render()?))
}

/// `POST /account`: name and language.
pub async fn post(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    page: Page,
    jar: CookieJar,
    CsrfForm(form): CsrfForm<ProfileForm>,
) -> Result<Response, PageError> {
    let Some(language) = Language::from_tag(&form.language) else {
        return Err(PageError::Invalid(page.t("auth-error-language")));
    };
    match users::rename(&state.pool, user.id, &form.name).await {
        Ok(()) => {}
        Err(error) => {
            let errors = Errors::explain(&page, error)?;
            let shown = AccountPage::build(&state, page, user).await?;
            return AccountPage { typed_name: form.name, ..shown }.refused(StatusCode::UNPROCESSABLE_ENTITY, errors);
        }
    }
    let jar = preferences::remember_language(&state, jar, Some(user.id), language).await?;
    Ok((jar, Redirect::to("/account?done=profile")).into_response())
}

/// `POST /account/password`: asks for the present one, and ends the sessions in other browsers.
pub async fn password(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    visitor: Visitor,
    page: Page,
    address: ClientAddress,
    CsrfForm(form): CsrfForm<PasswordForm>,
) -> Result<Response, PageError> {
    if let Some(seconds) = sessions::count_attempt(&state.pool, &user.email, &address.0).await? {
        let text = page.t1("auth-login-wait", "minutes", seconds.div_ceil(60));
        let shown = AccountPage::build(&state, page, user).await?;
        let refused = shown.refused(StatusCode::TOO_MANY_REQUESTS, Errors::one("password", text))?;
        return Ok(([(header::RETRY_AFTER, seconds.to_string())], refused).into_response());
    }
    if users::by_password(&state.pool, &user.email, &form.password).await? != Some(user.id) {
        let text = page.t("auth-error-password-present");
        let shown = AccountPage::build(&state, page, user).await?;
        return shown.refused(StatusCode::UNPROCESSABLE_ENTITY, Errors::one("password", text));
    }
    sessions::forget_attempts(&state.pool, &user.email, &address.0).await?;
    match users::set_password(&state.pool, user.id, &form.new_password, visitor.session.as_deref()).await {
        Ok(()) => Ok(Redirect::to("/account?done=password").into_response()),
        Err(error @ AccountError::Password(_)) => {
            let errors = Errors::explain(&page, error)?;
            let shown = AccountPage::build(&state, page, user).await?;
            shown.refused(StatusCode::UNPROCESSABLE_ENTITY, errors)
        }
        Err(error) => Err(anyhow::Error::from(error).into()),
    }
}

/// Whoever logs in again after a form of the page, or turns what it was answered with to another language, comes here.
pub async fn back() -> Redirect {
    Redirect::to("/account")
}

/// `POST /account/sessions`: logs out everywhere else.
pub async fn end_other_sessions(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    visitor: Visitor,
    CsrfForm(Button {}): CsrfForm<Button>,
) -> Result<Redirect, PageError> {
    let who = Actor::person(user.id, &user.email);
    sessions::end_others(&state.pool, &who, user.id, &visitor.session.unwrap_or_default()).await?;
    Ok(Redirect::to("/account?done=sessions"))
}
