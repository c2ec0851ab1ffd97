//! Log in and out, invitations, the first admin, one's own account.

use axum::Router;

use super::AppState;

/// The routes of this room.
pub fn routes() -> Router<AppState> {
    Router::new()
}
