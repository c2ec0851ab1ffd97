//! `/admin/people`: who is here, in which role; invitations and new passwords by link; API tokens. Secrets are shown once, in the answer to
//! the form that made them.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    forms::{Button, Errors},
    project::actor,
    show,
};
use crate::{
    db::{
        invitations::{self, Invitation},
        password_resets,
        people::{self, ChangeError, Person},
        plans, projects,
        tokens::{self, Token, TokenRole},
        users,
    },
    domain::{language, role::Role},
    web::{AppState, Page, PageError, authorise::Admin, csrf::CsrfForm},
};

/// An invitation as typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct InviteForm {
    email: String,
    role: String,
    project: String,
}

/// A token as typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct TokenForm {
    name: String,
    role: String,
}

#[derive(Template)]
#[template(path = "admin/people.html")]
struct PeoplePage {
    page: Page,
    me: Uuid,
    people: Vec<Person>,
    invitations: Vec<Invitation>,
    tokens: Vec<Token>,
    projects: Vec<(Uuid, String, String)>,
    invite: InviteForm,
    token: TokenForm,
    errors: Errors,
    /// The link of the invitation just made.
    link: Option<String>,
    /// The link for a new password just made, and whose it is.
    reset: Option<(String, String)>,
    reset_hours: i32,
    /// The secret of the token just made.
    secret: Option<String>,
    valid_days: i32,
}

impl PeoplePage {
    fn roles(&self) -> [&'static str; 4] {
        Role::ALL.map(Role::as_str)
    }

    fn project_name(&self, id: &Uuid) -> Option<&str> {
        self.projects.iter().find(|(project, _, _)| project == id).map(|(_, _, name)| name.as_str())
    }
}

async fn build(state: &AppState, page: Page, me: Uuid) -> Result<PeoplePage, PageError> {
    Ok(PeoplePage {
        page,
        me,
        people: people::list(&state.pool).await?,
        invitations: invitations::open(&state.pool, None).await?,
        tokens: tokens::list(&state.pool).await?,
        projects: projects::names(&state.pool).await?,
        invite: InviteForm { role: Role::Annotator.as_str().to_owned(), ..InviteForm::default() },
        token: TokenForm { role: TokenRole::Trainer.as_str().to_owned(), ..TokenForm::default() },
        errors: Errors::default(),
        link: None,
        reset: None,
        reset_hours: password_resets::VALID_HOURS,
        secret: None,
        valid_days: invitations::VALID_DAYS,
    })
}

pub async fn get(
    Admin(user): Admin,
    State(state): State<AppState>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    Ok(Html(build(&state, page, user.id).await?.render()?))
}

/// Whoever logs in again after a form of the page, or turns what it was answered with to another language, comes here.
pub async fn back(_: Admin) -> Redirect {
    Redirect::to("/admin/people")
}

/// `POST /admin/people/invite`: makes a link and shows it.
pub async fn invite(
    Admin(user): Admin,
    State(state): State<AppState>,
    headers: HeaderMap,
    page: Page,
    CsrfForm(form): CsrfForm<InviteForm>,
) -> Result<Response, PageError> {
    let mut errors = Errors::default();
    let email = invited_email(&state.pool, &page, &form.email).await?.unwrap_or_else(|wrong| {
        errors.add("email", wrong);
        None
    });
    let role: Option<Role> = form.role.parse().ok();
    if role.is_none() {
        errors.add("role", page.t("people-error-role"));
    }
    let shown = build(&state, page, user.id).await?;
    let project = Uuid::parse_str(&form.project).ok().filter(|id| shown.project_name(id).is_some());
    if !form.project.is_empty() && project.is_none() {
        errors.add("project", shown.page.t("people-error-project"));
    }
    let (Some(role), true) = (role, errors.is_empty()) else {
        let shown = PeoplePage { invite: form, errors, ..shown };
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, Html(shown.render()?)).into_response());
    };
    let secret = invitations::create(&state.pool, &actor(&user), role, email.as_deref(), project).await?;
    let link = format!("{}/invitations/{secret}", address(&state, &headers));
    let invitations = invitations::open(&state.pool, None).await?;
    Ok(Html(PeoplePage { invitations, link: Some(link), ..shown }.render()?).into_response())
}

/// The address that an invitation is for, where it names one; or what is wrong with it. Nobody could use a link for an address that
/// has an account.
pub async fn invited_email(
    pool: &PgPool,
    page: &Page,
    typed: &str,
) -> Result<Result<Option<String>, String>, sqlx::Error> {
    if typed.trim().is_empty() {
        return Ok(Ok(None));
    }
    let Ok(email) = users::normal_email(typed) else { return Ok(Err(page.t("people-error-email"))) };
    let has_account = users::by_email(pool, &email).await?.is_some();
    Ok(if has_account { Err(page.t("people-error-has-account")) } else { Ok(Some(email)) })
}

/// The address of this server as people reach it: the setting, else as this request did.
pub fn address(state: &AppState, headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    state.config.public_url.clone().unwrap_or_else(|| format!("http://{host}"))
}

/// `POST /admin/invitations/{id}/revoke`.
pub async fn revoke_invitation(
    Admin(user): Admin,
    State(state): State<AppState>,
    Path(id): Path<Uuid>,
    CsrfForm(Button {}): CsrfForm<Button>,
) -> Result<Redirect, PageError> {
    invitations::revoke(&state.pool, &actor(&user), id, None).await?;
    Ok(Redirect::to("/admin/people#invitations"))
}

#[derive(Debug, Deserialize)]
pub struct RoleForm {
    role: String,
}

/// `POST /admin/people/{id}/role`.
pub async fn role(
    Admin(user): Admin,
    State(state): State<AppState>,
    Path(id): Path<Uuid>,
    page: Page,
    CsrfForm(form): CsrfForm<RoleForm>,
) -> Result<Redirect, PageError> {
    let role: Role = form.role.parse().map_err(|_| PageError::Invalid(page.t("people-error-role")))?;
    people::set_role(&state.pool, &actor(&user), id, role).await.map_err(|error| refused(&page, error))?;
    Ok(Redirect::to("/admin/people"))
}

#[derive(Debug, Deserialize)]
pub struct LanguagesForm {
    /// Tags, separated by commas.
    languages: String,
}

/// `POST /admin/people/{id}/languages`.
pub async fn languages(
    Admin(user): Admin,
    State(state): State<AppState>,
    Path(id): Path<Uuid>,
    page: Page,
    CsrfForm(form): CsrfForm<LanguagesForm>,
) -> Result<Redirect, PageError> {
    let languages = language::list([form.languages.as_str()])
        .map_err(|wrong| PageError::Invalid(page.t1("work-error-language", "tag", wrong.0)))?;
    plans::set_languages(&state.pool, &actor(&user), id, &languages).await?;
    Ok(Redirect::to("/admin/people"))
}

#[derive(Debug, Deserialize)]
pub struct DisableForm {
    /// `yes` shuts out, anything else lets in.
    disabled: String,
}

/// `POST /admin/people/{id}/disable`.
pub async fn disable(
    Admin(user): Admin,
    State(state): State<AppState>,
    Path(id): Path<Uuid>,
    page: Page,
    CsrfForm(form): CsrfForm<DisableForm>,
) -> Result<Redirect, PageError> {
    people::set_disabled(&state.pool, &actor(&user), id, form.disabled == "yes")
        .await
        .map_err(|error| refused(&page, error))?;
    Ok(Redirect::to("/admin/people"))
}

/// `POST /admin/people/{id}/reset`: makes a link for a new password and shows it.
pub async fn reset(
    Admin(user): Admin,
    State(state): State<AppState>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    page: Page,
    CsrfForm(Button {}): CsrfForm<Button>,
) -> Result<Response, PageError> {
    let made = password_resets::create(&state.pool, &actor(&user), id).await?.ok_or(PageError::NotFound)?;
    let link = format!("{}/reset/{}", address(&state, &headers), made.secret);
    let shown = PeoplePage { reset: Some((made.name, link)), ..build(&state, page, user.id).await? };
    Ok(Html(shown.render()?).into_response())
}

fn refused(page: &Page, error: ChangeError) -> PageError {
    match error {
        ChangeError::NotFound => PageError::NotFound,
        ChangeError::LastAdmin => PageError::Conflict(page.t("people-error-last-admin")),
        ChangeError::Database(error) => error.into(),
    }
}

/// `POST /admin/tokens`: makes a token and shows its secret, once.
pub async fn make_token(
    Admin(user): Admin,
    State(state): State<AppState>,
    page: Page,
    CsrfForm(form): CsrfForm<TokenForm>,
) -> Result<Response, PageError> {
    let mut errors = Errors::default();
    let name = errors.text(&page, "token-name", &form.name, 100);
    let role = TokenRole::from_word(&form.role);
    if role.is_none() {
        errors.add("token-role", page.t("people-error-role"));
    }
    let (Some(role), true) = (role, errors.is_empty()) else {
        let shown = PeoplePage { token: form, errors, ..build(&state, page, user.id).await? };
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, Html(shown.render()?)).into_response());
    };
    let secret = tokens::create(&state.pool, &actor(&user), &name, role).await?;
    let shown = PeoplePage { secret: Some(secret), ..build(&state, page, user.id).await? };
    Ok(Html(shown.render()?).into_response())
}

/// `POST /admin/tokens/{id}/revoke`.
pub async fn revoke_token(
    Admin(user): Admin,
    State(state): State<AppState>,
    Path(id): Path<Uuid>,
    CsrfForm(Button {}): CsrfForm<Button>,
) -> Result<Redirect, PageError> {
    tokens::revoke(&state.pool, &actor(&user), id).await?;
    Ok(Redirect::to("/admin/people#tokens"))
}
