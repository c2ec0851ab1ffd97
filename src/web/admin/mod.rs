//! What leads and admins see: projects, people, exports, training, models. One file a page or form.

mod chart;
mod forms;
mod guidelines;
mod new_project;
mod overview;
mod project;
mod projects;
mod prompts;
mod settings;
mod settings_form;
mod show;

use axum::{
    Router,
    routing::{get, post},
};

use super::AppState;

/// The routes of this room.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/admin", get(projects::get))
        .route("/admin/projects/new", get(new_project::get).post(new_project::post))
        .route("/admin/projects/{slug}", get(overview::get))
        .route("/admin/projects/{slug}/settings", get(settings::get).post(settings::post))
        .route("/admin/projects/{slug}/members", post(settings::members))
        .route("/admin/projects/{slug}/guidelines", get(guidelines::get).post(guidelines::post))
        .route("/admin/projects/{slug}/prompts", get(prompts::get))
        .route("/admin/projects/{slug}/prompts/{id}", get(prompts::one))
}
