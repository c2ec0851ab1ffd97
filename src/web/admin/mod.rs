//! What leads and admins see: projects, people, exports, training, models. One file a page or form.

mod audit;
mod chart;
mod export;
mod forms;
mod guidelines;
mod import;
mod job;
mod job_events;
mod models;
mod new_project;
mod overview;
mod people;
mod project;
mod projects;
mod prompts;
mod settings;
mod settings_form;
mod show;
mod training;

use axum::{
    extract::DefaultBodyLimit,
    routing::{get, post},
};

use super::routes::Routes;

/// The routes of this room.
pub fn routes() -> Routes {
    Routes::new()
        .route("/admin", get(projects::get))
        .route("/admin/projects/new", get(new_project::get).post(new_project::post))
        .route("/admin/projects/{slug}", get(overview::get))
        .route("/admin/projects/{slug}/settings", get(settings::get).post(settings::post))
        .route("/admin/projects/{slug}/members", post(settings::members))
        .route("/admin/projects/{slug}/guidelines", get(guidelines::get).post(guidelines::post))
        .route("/admin/projects/{slug}/prompts", get(prompts::get))
        .route("/admin/projects/{slug}/prompts/{id}", get(prompts::one))
        .route(
            "/admin/projects/{slug}/import",
            get(import::get).post(import::post).layer(DefaultBodyLimit::max(import::UPLOAD_LIMIT)),
        )
        .route("/admin/projects/{slug}/export", get(export::get))
        .route("/admin/projects/{slug}/export/{kind}", get(export::download))
        .route("/admin/projects/{slug}/training", get(training::get))
        .route("/admin/projects/{slug}/training/run", post(training::run))
        .route("/admin/projects/{slug}/training/schedule", post(training::schedule))
        .route("/admin/projects/{slug}/models", get(models::get))
        .route("/admin/projects/{slug}/models/import", post(models::import))
        .route("/admin/projects/{slug}/models/{id}/promote", get(models::ask).post(models::promote))
        .route("/admin/jobs/{id}", get(job::get))
        .route("/admin/jobs/{id}/stop", post(job::stop))
        .route("/admin/jobs/{id}/events", get(job_events::get))
        .route("/admin/people", get(people::get))
        .route("/admin/people/invite", post(people::invite))
        .route("/admin/people/{id}/role", post(people::role))
        .route("/admin/people/{id}/disable", post(people::disable))
        .route("/admin/invitations/{id}/revoke", post(people::revoke_invitation))
        .route("/admin/tokens", post(people::make_token))
        .route("/admin/tokens/{id}/revoke", post(people::revoke_token))
        .route("/admin/audit", get(audit::get))
}
