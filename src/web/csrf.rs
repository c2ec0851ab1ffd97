//! Forms that only our own pages can send: [`CsrfForm`] reads a form and refuses it without the visitor's token.

use axum::{
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{BytesRejection, FailedToBufferBody},
    },
    http::{HeaderMap, request::Parts},
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{PageError, session::Visitor};

/// Header that scripts send the token in, where there is no form.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// A form of type `T`, sent by a page of ours: its field `csrf` (or the header `x-csrf-token`) has the visitor's token.
pub struct CsrfForm<T>(pub T);

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    csrf: String,
}

impl<S, T> FromRequest<S> for CsrfForm<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = PageError;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let visitor = request.extensions().get::<Visitor>().cloned().unwrap_or_default();
        let in_header = header_token(request.headers());
        let body = axum::body::Bytes::from_request(request, state).await.map_err(|rejection| match rejection {
            BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => PageError::TooLarge,
            // It broke off, or came too slowly.
            _ => PageError::Unreadable,
        })?;
        let sent = match in_header {
            Some(token) => token,
            None => from_bytes::<Token>(&body)?.csrf,
        };
        check(&visitor, &sent)?;
        from_bytes(&body).map(CsrfForm)
    }
}

/// A request of a script of ours: its header `x-csrf-token` has the visitor's token.
pub struct TokenInHeader;

impl<S: Send + Sync> FromRequestParts<S> for TokenInHeader {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let visitor = parts.extensions.get::<Visitor>().cloned().unwrap_or_default();
        check(&visitor, &header_token(&parts.headers).unwrap_or_default())?;
        Ok(TokenInHeader)
    }
}

/// Refuses a token that is not the visitor's. For multipart uploads and scripts, which [`CsrfForm`] can't read.
pub fn check(visitor: &Visitor, sent: &str) -> Result<(), PageError> {
    if !visitor.csrf.is_empty() && same(visitor.csrf.as_bytes(), sent.as_bytes()) {
        Ok(())
    } else {
        Err(PageError::FormExpired)
    }
}

/// The token in the header, for requests by script.
fn header_token(headers: &HeaderMap) -> Option<String> {
    headers.get(CSRF_HEADER)?.to_str().ok().map(str::to_owned)
}

/// Repeated fields make lists, as checkboxes and answers of one name do.
fn from_bytes<T: DeserializeOwned>(body: &[u8]) -> Result<T, PageError> {
    serde_html_form::from_bytes(body).map_err(|error| {
        // In words of Rust's, which are for the log.
        tracing::debug!(%error, "a form can't be read");
        PageError::Unreadable
    })
}

/// Compares in a time that does not tell how much is alike.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
}
