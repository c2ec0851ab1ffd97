//! What a program gets when its request is refused: a status and an [`ApiError`], never a Rust type or an SQL message.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use laurel_records::ApiError;

use crate::db::jobs::JobError;

/// Why a request is refused. Handlers return it with `?`.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    Unauthorised(String),
    #[error("{0}")]
    Forbidden(String),
    #[error("{0}")]
    NotFound(String),
    #[error("this address takes other methods")]
    WrongMethod,
    /// The request is understood and wrong; `details` names each fault where there are several.
    #[error("{message}")]
    Invalid { message: String, details: Vec<String> },
    /// The job went to another worker, or was stopped.
    #[error("{0}")]
    LeaseLost(String),
    /// It is right, but not now.
    #[error("{message}")]
    Conflict { message: String, details: Vec<String> },
    #[error("{0}")]
    TooLarge(String),
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

impl Refusal {
    pub fn unauthorised(message: impl Into<String>) -> Self {
        Refusal::Unauthorised(message.into())
    }

    pub fn not_found(what: &str) -> Self {
        Refusal::NotFound(format!("there is no such {what}"))
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Refusal::Invalid { message: message.into(), details: Vec::new() }
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Refusal::Conflict { message: message.into(), details: Vec::new() }
    }
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::RowNotFound) {
            return Refusal::NotFound("there is nothing of this name".to_owned());
        }
        // Class 22 is what Postgres finds wrong in the data itself: a NUL in a text, a number that is too large.
        let is_data =
            error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code.starts_with("22"));
        if is_data {
            tracing::info!(%error, "a request held what can't be stored");
            return Refusal::invalid("the request holds a NUL character or a number that can't be stored");
        }
        Refusal::Internal(error.into())
    }
}

impl From<JobError> for Refusal {
    fn from(error: JobError) -> Self {
        match error {
            JobError::LeaseLost => Refusal::LeaseLost(error.to_string()),
            JobError::NotFound => Refusal::NotFound(error.to_string()),
            JobError::Invalid(reason) => Refusal::invalid(reason),
            JobError::Database(error) => error.into(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let message = self.to_string();
        let (status, code, message, details) = match self {
            Refusal::Unauthorised(_) => (StatusCode::UNAUTHORIZED, "unauthorised", message, Vec::new()),
            Refusal::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden", message, Vec::new()),
            Refusal::NotFound(_) => (StatusCode::NOT_FOUND, "not_found", message, Vec::new()),
            Refusal::WrongMethod => (StatusCode::METHOD_NOT_ALLOWED, "wrong_method", message, Vec::new()),
            Refusal::Invalid { details, .. } => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", message, details),
            Refusal::LeaseLost(_) => (StatusCode::CONFLICT, "lease_lost", message, Vec::new()),
            Refusal::Conflict { details, .. } => (StatusCode::CONFLICT, "conflict", message, details),
            Refusal::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", message, Vec::new()),
            Refusal::Internal(error) => {
                tracing::error!(error = format!("{error:#}"), "a request failed");
                let message = "something went wrong here; the server's log has the cause".to_owned();
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", message, Vec::new())
            }
        };
        let body = Json(ApiError { code: code.to_owned(), message, details });
        if status == StatusCode::UNAUTHORIZED {
            return (status, [(header::WWW_AUTHENTICATE, "Bearer")], body).into_response();
        }
        (status, body).into_response()
    }
}
