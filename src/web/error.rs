//! What a person sees when something went wrong: a page in their language, never a Rust type or an SQL message.

use askama::Template;
use axum::{
    extract::Request,
    http::{StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Redirect, Response},
};

use super::{Page, authorise, page, session::Visitor};

/// Why a page can't be given. Handlers return it with `?`; [`render`] draws it.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    #[error("not logged in")]
    LoginNeeded { return_to: String },
    #[error("not allowed")]
    Forbidden,
    #[error("not found")]
    NotFound,
    /// The CSRF token is not this visitor's: another log-in, an old tab, or a foreign page.
    #[error("the form has expired")]
    FormExpired,
    #[error("too large")]
    TooLarge,
    #[error("too many attempts")]
    TooManyAttempts { seconds: u64 },
    /// Wrong input that the form itself does not explain; the text is for people, in their language where we made it.
    #[error("{0}")]
    Invalid(String),
    /// A form that no page of ours sends so: a field is missing, or holds what it can't hold.
    #[error("unreadable")]
    Unreadable,
    /// Somebody else was faster, or the thing changed meanwhile; the text says what.
    #[error("{0}")]
    Conflict(String),
    /// The same, where the text is the message of a key.
    #[error("{0}")]
    ConflictAs(&'static str),
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

impl From<sqlx::Error> for PageError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::RowNotFound => PageError::NotFound,
            other => PageError::Internal(other.into()),
        }
    }
}

impl From<askama::Error> for PageError {
    fn from(error: askama::Error) -> Self {
        PageError::Internal(error.into())
    }
}

/// What [`render`] needs to draw the page; travels in the response's extensions.
#[derive(Debug, Clone)]
struct Failure {
    /// Key of the message: `error-not-found`, with `-title`.
    key: &'static str,
    detail: Option<Detail>,
}

/// What is said besides.
#[derive(Debug, Clone)]
enum Detail {
    Text(String),
    /// The message of a key, in the reader's language.
    Message(&'static str),
}

/// Whether Postgres refused the data itself (class 22): a NUL in a text, a number that is too large.
fn is_wrong_data(error: &anyhow::Error) -> bool {
    let sqlx = error.chain().find_map(|cause| cause.downcast_ref::<sqlx::Error>());
    let code = sqlx.and_then(|error| error.as_database_error()?.code());
    code.is_some_and(|code| code.starts_with("22"))
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (status, key, detail) = match self {
            PageError::LoginNeeded { return_to } => {
                return Redirect::to(&login_address(&return_to)).into_response();
            }
            PageError::Forbidden => (StatusCode::FORBIDDEN, "error-forbidden", None),
            PageError::NotFound => (StatusCode::NOT_FOUND, "error-not-found", None),
            PageError::FormExpired => (StatusCode::FORBIDDEN, "error-form-expired", None),
            PageError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "error-too-large", None),
            PageError::TooManyAttempts { seconds } => {
                (StatusCode::TOO_MANY_REQUESTS, "error-too-many", Some(Detail::Text(seconds.to_string())))
            }
            PageError::Invalid(text) => (StatusCode::UNPROCESSABLE_ENTITY, "error-invalid", Some(Detail::Text(text))),
            PageError::Unreadable => {
                (StatusCode::UNPROCESSABLE_ENTITY, "error-invalid", Some(Detail::Message("error-unreadable")))
            }
            PageError::Conflict(text) => (StatusCode::CONFLICT, "error-conflict", Some(Detail::Text(text))),
            PageError::ConflictAs(key) => (StatusCode::CONFLICT, "error-conflict", Some(Detail::Message(key))),
            PageError::Internal(error) if is_wrong_data(&error) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "error-invalid", None)
            }
            PageError::Internal(error) => {
                tracing::error!(error = format!("{error:#}"), "a request failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "error-internal", None)
            }
        };
        let mut response = status.into_response();
        response.extensions_mut().insert(Failure { key, detail });
        response
    }
}

/// The log-in page that leads back to where one was going.
fn login_address(return_to: &str) -> String {
    if return_to == "/" {
        return "/login".to_owned();
    }
    let escaped: String = return_to
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("/login?next={escaped}")
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    page: Page,
    title: String,
    text: String,
    detail: Option<String>,
}

/// What axum refuses by itself, in words about types of Rust's or in none: an address with an id that is none, or one that has no page
/// and only takes forms.
fn unexplained(response: &Response) -> Option<Failure> {
    let form = response.headers().get(header::CONTENT_TYPE);
    let is_plain = form.is_none_or(|form| form.as_bytes().starts_with(b"text/plain"));
    let is_address = matches!(response.status(), StatusCode::BAD_REQUEST | StatusCode::METHOD_NOT_ALLOWED);
    (is_plain && is_address).then_some(Failure { key: "error-not-found", detail: None })
}

/// Middleware: draws failures as pages, or as JSON `{"code", "message"}` for scripts that ask for it.
pub async fn render(request: Request, next: Next) -> Response {
    let visitor = request.extensions().get::<Visitor>().cloned().unwrap_or_default();
    // The buttons for language and theme lead back to the form, whose own address may have no page.
    let stood_on = authorise::page_of_form(request.method(), request.headers());
    let mut page = visitor.page(stood_on.as_deref().unwrap_or(request.uri().path()));
    if let Some(asked_for) = page::asked_for(request.method(), request.uri()) {
        page.back = asked_for;
    }
    // Those that want a stream of events are scripts too.
    let wants_json = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.starts_with("application/json") || accept.starts_with("text/event-stream"));
    let mut response = next.run(request).await;
    let ours = response.extensions_mut().remove::<Failure>();
    let Some(failure) = ours.or_else(|| unexplained(&response)) else {
        return response;
    };
    let status = response.status();
    let text = page.t(failure.key);
    let detail = failure.detail.map(|detail| match detail {
        Detail::Text(text) => text,
        Detail::Message(key) => page.t(key),
    });
    if wants_json {
        let message = detail.unwrap_or(text);
        return (status, axum::Json(serde_json::json!({ "code": failure.key, "message": message }))).into_response();
    }
    let title = page.t(&format!("{}-title", failure.key));
    match (ErrorPage { page, title, text, detail }).render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "the error page could not be drawn");
            status.into_response()
        }
    }
}
