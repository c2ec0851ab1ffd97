//! Who may call: one extractor a role, by the bearer token. Cookies count for nothing here, so no foreign page can make a
//! browser call the API for its user.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};

use super::error::Refusal;
use crate::{
    db::{
        audit::Actor,
        tokens::{self, TokenError, TokenRole},
    },
    web::AppState,
};

/// Any token: reads projects.
#[derive(Debug, Clone)]
pub struct Reader;

/// A token of role trainer or admin: works on jobs, reads records and models.
#[derive(Debug, Clone)]
pub struct Trainer(pub Caller);

/// A token of role admin.
#[derive(Debug, Clone)]
pub struct Admin(pub Caller);

/// The program that calls.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Name of its token.
    pub name: String,
    pub role: TokenRole,
}

impl Caller {
    /// As the audit log names it.
    pub fn actor(&self) -> Actor {
        Actor::program(&self.name)
    }
}

fn allows(role: TokenRole, needed: TokenRole) -> bool {
    match needed {
        TokenRole::Annotator => true,
        TokenRole::Trainer => role != TokenRole::Annotator,
        TokenRole::Admin => role == TokenRole::Admin,
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, secret) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

async fn caller_with_role(parts: &Parts, state: &AppState, needed: TokenRole) -> Result<Caller, Refusal> {
    let secret = bearer(&parts.headers)
        .ok_or_else(|| Refusal::unauthorised("a token is needed: send the header Authorization: Bearer TOKEN"))?;
    let (token, role) = tokens::find(&state.pool, secret).await.map_err(|error| match error {
        TokenError::Database(error) => error.into(),
        unusable => Refusal::unauthorised(unusable.to_string()),
    })?;
    if !allows(role, needed) {
        let (role, needed) = (role.as_str(), needed.as_str());
        return Err(Refusal::Forbidden(format!("this takes a token of role {needed}, and this one has role {role}")));
    }
    Ok(Caller { name: token.name, role })
}

macro_rules! extractor {
    ($name:ident, $role:expr, $make:expr) => {
        impl FromRequestParts<AppState> for $name {
            type Rejection = Refusal;

            async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Self::Rejection> {
                caller_with_role(parts, state, $role).await.map($make)
            }
        }
    };
}
extractor!(Reader, TokenRole::Annotator, |_| Reader);
extractor!(Trainer, TokenRole::Trainer, Trainer);
extractor!(Admin, TokenRole::Admin, Admin);
