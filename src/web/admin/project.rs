//! The project that an address names, and the frame that its pages share.

use axum::{
    extract::{FromRef, FromRequestParts, RawPathParams},
    http::request::Parts,
};

use crate::{
    db::{
        audit::Actor,
        projects::{self, Project},
    },
    web::{AppState, Page, PageError, session::User},
};

/// The project of `{slug}` in the address. Take it after the role's extractor: a stranger learns nothing of names.
#[derive(Debug, Clone)]
pub struct InProject(pub Project);

impl<S> FromRequestParts<S> for InProject
where
    S: Send + Sync,
    AppState: FromRef<S>,
{
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| PageError::NotFound)?;
        let slug = params.iter().find(|(name, _)| *name == "slug").ok_or(PageError::NotFound)?.1.to_owned();
        let state = AppState::from_ref(state);
        Ok(InProject(projects::by_slug(&state.pool, &slug).await?))
    }
}

/// What `admin/project.html` draws around a project's page.
#[derive(Debug, Clone)]
pub struct Frame {
    pub slug: String,
    pub name: String,
    pub simulated: bool,
    /// Nobody is given a task of it any more.
    pub closed: bool,
    /// Which tab is open.
    pub tab: &'static str,
    /// The visitor manages the project: its lead, or an admin. Reviewers see less.
    pub manages: bool,
}

impl Frame {
    pub fn new(page: &Page, project: &Project, tab: &'static str) -> Self {
        Frame {
            slug: project.slug.clone(),
            name: project.settings.name.clone(),
            simulated: project.simulated,
            closed: project.archived_at.is_some(),
            tab,
            manages: page.is_lead(),
        }
    }

    /// `page` for the open tab, for `aria-current`.
    pub fn here(&self, tab: &str) -> &'static str {
        if self.tab == tab { "page" } else { "false" }
    }

    /// `page` or `true` for the settings' tab, which stands for several pages.
    pub fn within_settings(&self) -> &'static str {
        match self.tab {
            "settings" => "page",
            "label-scheme" | "plan" | "writing" | "gold" | "people" | "chat" => "true",
            _ => "false",
        }
    }
}

/// The person as the audit log names them.
pub fn actor(user: &User) -> Actor {
    Actor::person(user.id, &user.email)
}
