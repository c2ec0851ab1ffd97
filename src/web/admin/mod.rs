//! What leads and admins see: projects, people, exports, training, models. One file a page or form.

mod audit;
mod audit_words;
mod blind_test_list;
mod blind_tests;
mod browse;
mod chart;
mod chat;
mod close;
mod compare;
mod days;
mod demonstration_review;
mod demonstration_reviews;
mod dots;
mod export;
mod figures;
mod forms;
mod gold;
mod gold_task;
mod guidelines;
mod import;
mod import_preview;
mod job;
mod job_events;
mod job_samples;
mod kept;
mod label_scheme;
mod label_scheme_form;
mod leaderboard;
mod live;
mod made_from;
mod members;
mod model_removal;
mod models;
mod new_project;
mod next_prompts;
mod overview;
mod parts;
mod people;
mod plan;
mod project;
mod projects;
mod prompts;
mod quality;
mod reasons;
mod reports;
mod review;
mod reviews;
mod settings;
mod settings_form;
mod show;
mod table_file;
mod tasks;
mod training;
mod under_way;
mod value_words;
mod week_plot;
mod writing;

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
        .route("/admin/projects/{slug}/label-scheme", get(label_scheme::get).post(label_scheme::post))
        .route("/admin/projects/{slug}/events", get(live::events))
        .route("/admin/projects/{slug}/labels.csv", get(live::labels))
        .route("/admin/projects/{slug}/settings", get(settings::get).post(settings::post))
        .route("/admin/projects/{slug}/close", get(close::ask).post(close::close))
        .route("/admin/projects/{slug}/reopen", post(close::reopen))
        .route("/admin/projects/{slug}/people", get(members::get).post(members::post))
        .route("/admin/projects/{slug}/invitations", get(members::back).post(members::invite))
        .route("/admin/projects/{slug}/invitations/{id}/revoke", post(members::revoke))
        .route("/admin/projects/{slug}/chat", get(chat::get).post(chat::post))
        .route("/admin/projects/{slug}/gold", get(gold::get).post(gold::post))
        .route("/admin/projects/{slug}/gold/new", get(gold_task::new))
        .route("/admin/projects/{slug}/gold/{task}", get(gold_task::get).post(gold_task::post))
        .route("/admin/projects/{slug}/gold/people/{person}/pass", post(gold::let_pass))
        .route("/admin/projects/{slug}/gold/people/{person}/again", post(gold::ask_again))
        .route("/admin/projects/{slug}/plan", get(plan::get).post(plan::post))
        .route("/admin/projects/{slug}/writing", get(writing::get).post(writing::post))
        .route("/admin/projects/{slug}/writing/{id}/withdraw", post(writing::withdraw))
        .route("/admin/projects/{slug}/guidelines", get(guidelines::get).post(guidelines::post))
        .route("/admin/projects/{slug}/prompts", get(browse::prompts))
        .route("/admin/projects/{slug}/answers", get(browse::answers))
        .route("/admin/projects/{slug}/labels", get(browse::labels))
        .route("/admin/projects/{slug}/next", get(next_prompts::get).post(next_prompts::post))
        .route("/admin/projects/{slug}/next/duplicates", post(next_prompts::look))
        .route("/admin/projects/{slug}/next/{id}/release", post(next_prompts::release))
        .route("/admin/projects/{slug}/reports", get(reports::get))
        .route("/admin/projects/{slug}/reports/{id}", post(reports::post))
        .route("/admin/projects/{slug}/tasks/{id}/priority", post(tasks::priority))
        .route("/admin/projects/{slug}/tasks/{id}/withdraw", post(tasks::withdraw))
        .route("/admin/projects/{slug}/prompts/{id}", get(prompts::one))
        .route(
            "/admin/projects/{slug}/import",
            get(import::get).post(import::post).layer(DefaultBodyLimit::max(import::UPLOAD_LIMIT)),
        )
        .route(
            "/admin/projects/{slug}/import/preview",
            post(import_preview::upload).layer(DefaultBodyLimit::max(import::UPLOAD_LIMIT)),
        )
        .route("/admin/projects/{slug}/import/{upload}", get(import_preview::get).post(import_preview::post))
        .route("/admin/projects/{slug}/import/{upload}/report.csv", get(import_preview::report))
        .route("/admin/projects/{slug}/export", get(export::get))
        .route("/admin/projects/{slug}/export/{kind}", get(export::download))
        .route("/admin/projects/{slug}/quality", get(quality::get))
        .route("/admin/projects/{slug}/quality/{table}", get(quality::table))
        .route("/admin/projects/{slug}/reviews", get(reviews::get).post(reviews::post))
        .route("/admin/projects/{slug}/reviews/{task}", get(review::get).post(review::post))
        .route(
            "/admin/projects/{slug}/reviews/demonstrations",
            get(demonstration_reviews::get).post(demonstration_reviews::post),
        )
        .route(
            "/admin/projects/{slug}/reviews/demonstrations/{id}",
            get(demonstration_review::get).post(demonstration_review::post),
        )
        .route("/admin/projects/{slug}/leaderboard", get(leaderboard::get).post(blind_tests::post))
        .route("/admin/projects/{slug}/leaderboard/{board}", get(leaderboard::table))
        .route("/admin/projects/{slug}/blind-tests/events", get(blind_test_list::events))
        .route("/admin/projects/{slug}/blind-tests/{test}", post(blind_tests::settle))
        .route("/admin/projects/{slug}/training", get(training::get))
        .route("/admin/projects/{slug}/compare", get(compare::get))
        .route("/admin/projects/{slug}/training/run", get(training::back).post(training::run))
        .route("/admin/projects/{slug}/training/schedule", get(training::back).post(training::schedule))
        .route("/admin/projects/{slug}/models", get(models::get))
        .route("/admin/projects/{slug}/models/import", get(models::back).post(models::import))
        .route("/admin/projects/{slug}/models/{id}/promote", get(models::ask).post(models::promote))
        .route("/admin/projects/{slug}/models/{id}/remove", get(model_removal::ask).post(model_removal::remove))
        .route("/admin/jobs/{job}", get(job::get))
        .route("/admin/jobs/{job}/metrics.json", get(compare::numbers))
        .route("/admin/jobs/{job}/metrics.csv", get(compare::table))
        .route("/admin/jobs/{job}/stop", post(job::stop))
        .route("/admin/jobs/{job}/events", get(job_events::get))
        .route("/admin/jobs/{job}/samples", get(job_samples::get))
        .route("/admin/people", get(people::get))
        .route("/admin/people/invite", get(people::back).post(people::invite))
        .route("/admin/people/{id}/role", post(people::role))
        .route("/admin/people/{id}/languages", post(people::languages))
        .route("/admin/people/{id}/disable", post(people::disable))
        .route("/admin/people/{id}/reset", get(people::back).post(people::reset))
        .route("/admin/invitations/{id}/revoke", post(people::revoke_invitation))
        .route("/admin/tokens", get(people::back).post(people::make_token))
        .route("/admin/tokens/{id}/revoke", post(people::revoke_token))
        .route("/admin/audit", get(audit::get))
}
