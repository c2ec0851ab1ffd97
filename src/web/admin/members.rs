//! `/admin/projects/{slug}/people`: who works on the project and who leads it, and links that bring annotators in.
//!
//! A lead invites annotators only: every other role sees more than one project.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    forms::{Button, Errors, Saved},
    people,
    project::{Frame, InProject, actor},
    show,
};
use crate::{
    db::{
        invitations::{self, Invitation},
        memberships::{self, Candidate, Difference},
        projects::Project,
    },
    domain::role::Role,
    web::{AppState, Page, PageError, authorise::Lead, csrf::CsrfForm},
};

#[derive(Template)]
#[template(path = "admin/members.html")]
struct MembersPage {
    page: Page,
    frame: Frame,
    people: Vec<Candidate>,
    open_to_everyone: bool,
    invitations: Vec<Invitation>,
    email: String,
    errors: Errors,
    /// The link of the invitation just made.
    link: Option<String>,
    valid_days: i32,
    saved: bool,
}

async fn build(state: &AppState, page: Page, project: &Project) -> Result<MembersPage, PageError> {
    Ok(MembersPage {
        frame: Frame::new(&page, project, "people"),
        page,
        people: memberships::candidates(&state.pool, project.id).await?,
        open_to_everyone: project.settings.open_to_everyone,
        invitations: invitations::open(&state.pool, Some(project.id)).await?,
        email: String::new(),
        errors: Errors::default(),
        link: None,
        valid_days: invitations::VALID_DAYS,
        saved: false,
    })
}

pub async fn get(
    _: Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(query): Query<Saved>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let shown = MembersPage { saved: query.saved.is_some(), ..build(&state, page, &project).await? };
    Ok(Html(shown.render()?))
}

/// Whoever logs in again after a form of the page, or turns what it was answered with to another language, comes here.
pub async fn back(_: Lead, InProject(project): InProject) -> Redirect {
    Redirect::to(&format!("/admin/projects/{}/people", project.slug))
}

#[derive(Debug, Deserialize)]
pub struct MembersForm {
    #[serde(default)]
    member: Vec<Uuid>,
    /// Those who were members as the form was drawn.
    #[serde(default)]
    shown: Vec<Uuid>,
}

/// Makes the people ticked members, and those no more whose tick was taken away. Whoever came in after the form was drawn stays, and
/// a lead too: nobody shuts themselves out by a slip.
pub async fn post(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    CsrfForm(MembersForm { mut member, shown }): CsrfForm<MembersForm>,
) -> Result<Redirect, PageError> {
    if user.role == Role::Lead {
        member.push(user.id);
    }
    let difference = Difference::between(&shown, &member);
    memberships::change(&state.pool, &actor(&user), (project.id, &project.slug), &difference).await?;
    Ok(Redirect::to(&format!("/admin/projects/{}/people?saved=1", project.slug)))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct InviteForm {
    email: String,
}

/// `POST /admin/projects/{slug}/invitations`: makes a link for an annotator and shows it.
pub async fn invite(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    headers: HeaderMap,
    page: Page,
    CsrfForm(form): CsrfForm<InviteForm>,
) -> Result<Response, PageError> {
    let email = match people::invited_email(&state.pool, &page, &form.email).await? {
        Ok(email) => email,
        Err(wrong) => {
            let mut errors = Errors::default();
            errors.add("email", wrong);
            let shown = MembersPage { errors, email: form.email, ..build(&state, page, &project).await? };
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, Html(shown.render()?)).into_response());
        }
    };
    let who = actor(&user);
    let secret = invitations::create(&state.pool, &who, Role::Annotator, email.as_deref(), Some(project.id)).await?;
    let link = format!("{}/invitations/{secret}", people::address(&state, &headers));
    let shown = MembersPage { link: Some(link), ..build(&state, page, &project).await? };
    Ok(Html(shown.render()?).into_response())
}

/// `POST /admin/projects/{slug}/invitations/{id}/revoke`.
pub async fn revoke(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((slug, id)): Path<(String, Uuid)>,
    CsrfForm(Button {}): CsrfForm<Button>,
) -> Result<Redirect, PageError> {
    invitations::revoke(&state.pool, &actor(&user), id, Some(project.id)).await?;
    Ok(Redirect::to(&format!("/admin/projects/{slug}/people#invitations")))
}
