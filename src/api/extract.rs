//! What a request holds: its JSON, its address, its query, its lines. Each refuses what is wrong in words for the caller.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{StatusCode, request::Parts},
};
use futures_util::TryStreamExt;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt};
use tokio_util::io::StreamReader;

use super::error::Refusal;
use crate::{db::projects::Project, web::AppState};

/// Bytes of a refused body that are read before the answer: most clients listen only when they have sent all.
const READ_AFTER_REFUSAL: u64 = 64 * 1024 * 1024;
/// Time for that.
const READ_AFTER_REFUSAL_TIME: Duration = Duration::from_secs(20);

/// A body of JSON. An empty body counts as `{}`.
#[derive(Debug, Clone)]
pub struct Told<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Told<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let body = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Refusal::TooLarge("the body is too large".to_owned()),
            _ => Refusal::invalid("the body broke off"),
        })?;
        let body = if body.is_empty() { b"{}" } else { body.as_ref() };
        from_json(body).map(Told).map_err(Refusal::invalid)
    }
}

/// The parts of an address.
#[derive(Debug, Clone)]
pub struct Place<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Place<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let Path(place) = Path::<T>::from_request_parts(parts, state)
            .await
            .map_err(|_| Refusal::NotFound("the address has an id that is none".to_owned()))?;
        Ok(Place(place))
    }
}

/// The query of an address.
#[derive(Debug, Clone)]
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let Query(query) = Query::<T>::from_request_parts(parts, state).await.map_err(|rejection| {
            let text = rejection.body_text();
            let reason = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            Refusal::invalid(format!("the query after “?”: {}", plain(reason)))
        })?;
        Ok(Asked(query))
    }
}

/// The project of the address.
pub async fn project(state: &AppState, slug: &str) -> Result<Project, Refusal> {
    match crate::db::projects::by_slug(&state.pool, slug).await {
        Err(sqlx::Error::RowNotFound) => Err(Refusal::NotFound(format!("there is no project “{slug}”"))),
        other => Ok(other?),
    }
}

/// A body as a reader, for what is too long to be held.
pub fn reader(body: Body) -> impl AsyncBufRead + Unpin + Send {
    StreamReader::new(body.into_data_stream().map_err(std::io::Error::other))
}

/// Reads on after a refusal, within limits, so that the client comes to hear of it.
pub async fn read_on(rest: impl AsyncRead + Unpin) {
    let mut rest = rest.take(READ_AFTER_REFUSAL);
    let mut nowhere = tokio::io::sink();
    let reading = tokio::io::copy(&mut rest, &mut nowhere);
    let _ = tokio::time::timeout(READ_AFTER_REFUSAL_TIME, reading).await;
}

/// The next line, without its end, and `None` after the last one; a line has at most `limit` bytes.
pub async fn next_line(reader: &mut (impl AsyncBufRead + Unpin), limit: usize) -> Result<Option<Vec<u8>>, Refusal> {
    let mut line = Vec::new();
    let mut bounded = reader.take(limit as u64 + 1);
    let read = bounded.read_until(b'\n', &mut line).await.map_err(|_| Refusal::invalid("the body broke off"))?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > limit {
        return Err(Refusal::TooLarge(format!("a line has more than {limit} bytes")));
    }
    Ok(Some(line))
}

/// JSON to a record, or what is wrong with it and where.
pub fn from_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        match inner.classify() {
            serde_json::error::Category::Data if path == "." => plain(&inner.to_string()),
            serde_json::error::Category::Data => format!("{path}: {}", plain(&inner.to_string())),
            _ => no_json(&inner),
        }
    })?;
    json.end().map_err(|error| no_json(&error))?;
    Ok(value)
}

fn no_json(error: &serde_json::Error) -> String {
    format!("this is no JSON: see line {}, column {}", error.line(), error.column())
}

/// A message of the parser in words that name no type of ours.
fn plain(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    let Some((found, expected)) = message.rsplit_once(", expected ") else { return message.to_owned() };
    let expected = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        other if other == "a map" || other.starts_with("struct ") => "an object",
        other if other.contains("OffsetDateTime") => "a time such as 2026-11-24T02:00:00Z",
        other => other,
    };
    format!("{found}, expected {expected}")
}

#[cfg(test)]
mod tests {
    use laurel_records::{JobReport, Lease};

    use super::*;

    #[test]
    fn wrong_json_is_explained_by_place_and_without_names_of_types() {
        let of = |text: &str| from_json::<JobReport>(text.as_bytes()).expect_err("wrong");
        assert_eq!(of("{}"), "missing field `lease`");
        assert_eq!(of("[]"), "invalid length 0, expected an object");
        assert_eq!(of("{\"lease\""), "this is no JSON: see line 1, column 8");
        let lease = "0198c5f0-0000-7000-8000-000000000000";
        let wrong = format!(
            r#"{{"lease":"{lease}","progress":null,"metrics":[{{"stage":"sft","step":-1,"name":"x","value":1}}]}}"#
        );
        assert_eq!(of(&wrong), "metrics[0].step: invalid value: integer `-1`, expected a whole number, 0 or more");
        assert!(from_json::<Lease>(format!(r#"{{"lease":"{lease}"}} x"#).as_bytes()).is_err());
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_refused_before_it_is_held() {
        let mut body: &[u8] = b"abc\n\nabcd";
        assert_eq!(next_line(&mut body, 4).await.expect("a line"), Some(b"abc".to_vec()));
        assert_eq!(next_line(&mut body, 4).await.expect("a line"), Some(Vec::new()));
        assert_eq!(next_line(&mut body, 4).await.expect("a line"), Some(b"abcd".to_vec()));
        assert_eq!(next_line(&mut body, 4).await.expect("an end"), None);
        let mut body: &[u8] = b"abcde\n";
        assert!(matches!(next_line(&mut body, 4).await, Err(Refusal::TooLarge(_))));
    }
}
