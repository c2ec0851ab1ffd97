//! What leads and admins see: projects, people, exports, training, models.

use axum::Router;

use super::AppState;

/// The routes of this room.
pub fn routes() -> Router<AppState> {
    Router::new()
}
