//! The page routes as a list: what the router serves and what the tests of roles go through is the same.

use axum::{Router, routing::MethodRouter};

use super::AppState;

/// Routes of a room, with their paths kept beside them: axum's router can't be asked for its own.
#[derive(Default)]
pub struct Routes {
    router: Router<AppState>,
    paths: Vec<&'static str>,
}

impl Routes {
    pub fn new() -> Self {
        Routes::default()
    }

    /// Adds a path with its methods, as [`Router::route`] does.
    pub fn route(self, path: &'static str, methods: MethodRouter<AppState>) -> Self {
        let Routes { router, mut paths } = self;
        paths.push(path);
        Routes { router: router.route(path, methods), paths }
    }

    /// Adds the routes of another room.
    pub fn merge(self, room: Routes) -> Self {
        let Routes { router, mut paths } = self;
        paths.extend(room.paths);
        Routes { router: router.merge(room.router), paths }
    }

    /// The paths, with their parameters in braces.
    pub fn paths(&self) -> &[&'static str] {
        &self.paths
    }

    /// The router of these routes.
    pub fn into_router(self) -> Router<AppState> {
        self.router
    }
}
