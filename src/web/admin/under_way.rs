//! In place of a page whose figures take more than a moment: it says so, and turns into the page when they are there.

use askama::Template;
use axum::{
    http::header,
    response::{Html, IntoResponse, Response},
};

use super::project::Frame;
use crate::web::{Page, PageError};

#[derive(Template)]
#[template(path = "admin/under_way.html")]
struct UnderWayPage {
    page: Page,
    frame: Frame,
}

/// The page that waits.
pub fn page(page: Page, frame: Frame) -> Result<Response, PageError> {
    let html = UnderWayPage { page, frame }.render()?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Html(html)).into_response())
}

/// For who waited for a file as long as anybody does.
pub fn too_long(page: &Page) -> PageError {
    PageError::Invalid(page.t("quality-under-way-too-long"))
}
