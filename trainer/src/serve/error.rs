//! Refusals and failures in the form of OpenAI's API: `{"error": {"message", "type", "param", "code"}}`.

use axum::{
    Json,
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    pub status: StatusCode,
    pub message: String,
    /// The field of the request that is at fault.
    pub param: Option<String>,
    /// A word that programs decide on.
    pub code: Option<&'static str>,
    /// Seconds after which it may be tried again.
    pub retry_after: Option<u32>,
}

impl ApiError {
    fn new(status: StatusCode, code: Option<&'static str>, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), param: None, code, retry_after: None }
    }

    /// A field whose value can't be taken.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, Some("invalid_value"), message);
        Self { param: Some(param.into()), ..error }
    }

    /// A field that must be there.
    pub fn missing(param: &str) -> Self {
        let message = format!("you must provide {param}");
        Self {
            param: Some(param.into()),
            ..Self::new(StatusCode::BAD_REQUEST, Some("missing_required_parameter"), message)
        }
    }

    /// Something that OpenAI's API has and this server has not.
    pub fn unsupported(param: impl Into<String>, message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, Some("unsupported_parameter"), message);
        Self { param: Some(param.into()), ..error }
    }

    /// A body that is no JSON object.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Some("invalid_json"), message)
    }

    /// A field that neither OpenAI's API nor this server knows.
    pub fn unknown_field(param: &str) -> Self {
        let message = format!("unknown field {param}");
        Self { param: Some(param.into()), ..Self::new(StatusCode::BAD_REQUEST, Some("unknown_parameter"), message) }
    }

    /// A prompt that leaves no room for an answer.
    pub fn too_long(param: &str, tokens: usize, context: usize) -> Self {
        let message = format!(
            "this model's maximum context length is {context} tokens, and the prompt has {tokens}: please shorten it, so \
             that there is room for an answer"
        );
        let error = Self::new(StatusCode::BAD_REQUEST, Some("context_length_exceeded"), message);
        Self { param: Some(param.into()), ..error }
    }

    pub fn no_such_model(name: &str, served: &str) -> Self {
        let message = format!("the model {name:?} does not exist here; this server has {served:?}");
        Self { param: Some("model".into()), ..Self::new(StatusCode::NOT_FOUND, Some("model_not_found"), message) }
    }

    pub fn wrong_key() -> Self {
        let message = "incorrect or missing API key: send it as `Authorization: Bearer KEY`";
        Self::new(StatusCode::UNAUTHORIZED, Some("invalid_api_key"), message)
    }

    pub fn no_such_path(method: &str, path: &str) -> Self {
        let message = format!("there is no {method} {path} here");
        Self::new(StatusCode::NOT_FOUND, Some("unknown_url"), message)
    }

    pub fn wrong_method(method: &str, path: &str) -> Self {
        let message = format!("{path} does not take {method}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, Some("method_not_allowed"), message)
    }

    pub fn too_large(limit: usize) -> Self {
        let message = format!("the request has more than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Some("request_too_large"), message)
    }

    pub fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, Some("request_timeout"), "the request did not arrive in time")
    }

    /// As many wait as may wait.
    pub fn busy() -> Self {
        let message = "the server is busy: too many requests wait; try again shortly";
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, Some("overloaded"), message);
        Self { retry_after: Some(1), ..error }
    }

    /// The model has failed; the reason is for whoever runs the server.
    pub fn broken() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Some("server_error"), "the server failed while it was answering")
    }

    /// The body of the answer.
    pub fn body(&self) -> Value {
        let kind = match self.status.as_u16() {
            401 => "authentication_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        json!({"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}})
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}
