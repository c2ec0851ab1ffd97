//! Who may see a page: one extractor a role. A handler that takes none of them is open to everyone.

use axum::{extract::FromRequestParts, http::request::Parts};

use super::{
    PageError,
    session::{User, Visitor},
};
use crate::domain::role::Role;

/// Somebody who is logged in, of any role.
#[derive(Debug, Clone)]
pub struct Annotator(pub User);

/// A reviewer or an admin.
#[derive(Debug, Clone)]
pub struct Reviewer(pub User);

/// An admin.
#[derive(Debug, Clone)]
pub struct Admin(pub User);

fn user_with_role(parts: &Parts, needed: Role) -> Result<User, PageError> {
    let visitor = parts.extensions.get::<Visitor>().cloned().unwrap_or_default();
    let Some(user) = visitor.user else {
        // Only a page that was asked for can be returned to; a lost form is found again through its draft.
        let wanted = parts.uri.path_and_query().map(|path| path.as_str()).unwrap_or("/");
        return Err(PageError::LoginNeeded { return_to: wanted.to_owned() });
    };
    if user.role.allows(needed) { Ok(user) } else { Err(PageError::Forbidden) }
}

macro_rules! extractor {
    ($name:ident, $role:expr) => {
        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = PageError;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
                user_with_role(parts, $role).map($name)
            }
        }
    };
}
extractor!(Annotator, Role::Annotator);
extractor!(Reviewer, Role::Reviewer);
extractor!(Admin, Role::Admin);
