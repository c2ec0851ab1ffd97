//! Who may see a page: one extractor a role. A handler that takes none of them is open to everyone.
//!
//! A lead is more than an annotator only in the projects that they are a member of: wherever an address names a project
//! (`{slug}`) or a run of one (`{job}`), the extractors look the membership up before the page runs.

use axum::{
    extract::{FromRef, FromRequestParts, RawPathParams},
    http::{HeaderMap, Method, Uri, header, request::Parts},
};
use uuid::Uuid;

use super::{
    AppState, PageError,
    session::{User, Visitor},
};
use crate::{db::memberships, domain::role::Role};

/// Somebody who is logged in, of any role.
#[derive(Debug, Clone)]
pub struct Annotator(pub User);

/// A reviewer, the project's lead or an admin.
#[derive(Debug, Clone)]
pub struct Reviewer(pub User);

/// The project's lead or an admin.
#[derive(Debug, Clone)]
pub struct Lead(pub User);

/// An admin.
#[derive(Debug, Clone)]
pub struct Admin(pub User);

async fn user_with_role(parts: &mut Parts, state: &AppState, needed: Role) -> Result<User, PageError> {
    let visitor = parts.extensions.get::<Visitor>().cloned().unwrap_or_default();
    let Some(user) = visitor.user else {
        return Err(PageError::LoginNeeded { return_to: way_back(parts) });
    };
    let here = user.role != Role::Lead || needed == Role::Annotator || leads(parts, state, user.id).await?;
    if user.role.allows(needed) && here { Ok(user) } else { Err(PageError::Forbidden) }
}

/// Where logging in leads: to the page that was asked for; after a form, to the page that it stood on. What was in a form is
/// found again through its draft.
fn way_back(parts: &Parts) -> String {
    let asked = parts.uri.path_and_query().map(|path| path.as_str()).unwrap_or("/");
    page_of_form(&parts.method, &parts.headers).unwrap_or_else(|| asked.to_owned())
}

/// The path of the page that a form stood on, where this is one and the browser says which: its own address may have no page.
pub fn page_of_form(method: &Method, headers: &HeaderMap) -> Option<String> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let page: Uri = headers.get(header::REFERER)?.to_str().ok()?.parse().ok()?;
    // Its query may say that an earlier form was saved.
    Some(page.path().to_owned())
}

/// Whether the project that the address names has this member. An address without a project is nobody's in particular.
async fn leads(parts: &mut Parts, state: &AppState, user: Uuid) -> Result<bool, PageError> {
    let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| PageError::NotFound)?;
    let named = |wanted: &str| params.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned());
    if let Some(slug) = named("slug") {
        return Ok(memberships::in_project(&state.pool, user, &slug).await?);
    }
    match named("job").map(|job| job.parse()) {
        Some(Ok(job)) => Ok(memberships::in_project_of_job(&state.pool, user, job).await?),
        Some(Err(_)) => Ok(false),
        None => Ok(true),
    }
}

macro_rules! extractor {
    ($name:ident, $role:expr) => {
        impl<S> FromRequestParts<S> for $name
        where
            S: Send + Sync,
            AppState: FromRef<S>,
        {
            type Rejection = PageError;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
                user_with_role(parts, &AppState::from_ref(state), $role).await.map($name)
            }
        }
    };
}
extractor!(Annotator, Role::Annotator);
extractor!(Reviewer, Role::Reviewer);
extractor!(Lead, Role::Lead);
extractor!(Admin, Role::Admin);
