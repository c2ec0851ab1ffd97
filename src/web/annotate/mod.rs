//! What annotators see: the queue, demonstrations, rankings.

use axum::Router;

use super::AppState;

/// The routes of this room.
pub fn routes() -> Router<AppState> {
    Router::new()
}
