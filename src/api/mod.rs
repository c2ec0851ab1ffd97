//! `/api/v1` for programs: the rules of the pages, with JSON instead of HTML.

use axum::Router;

use crate::web::AppState;

/// The routes of this room.
pub fn routes() -> Router<AppState> {
    Router::new()
}
