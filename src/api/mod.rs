//! `/api/v1` for programs: the rules of the pages, with JSON instead of HTML.

mod answers;
mod error;
mod extract;
mod jobs;
mod models;
mod openapi;
mod projects;
mod records;
mod scores;
mod token;
mod views;

use axum::{Router, extract::DefaultBodyLimit, http::header, routing::get};

use crate::{db::tokens::TokenRole, web::AppState};
use error::Refusal;
use openapi::{
    Call,
    Content::{Bytes, Exported, Json, Lines, List},
};

/// Bytes that a body of JSON may have. Files and records are streamed, with limits of their own.
const JSON_LIMIT: usize = 16 * 1024 * 1024;

const LEASE_LOST: &str = "The lease is lost";

fn calls() -> Vec<Call> {
    let mut calls = Vec::new();
    calls.extend(job_calls());
    calls.extend(model_calls());
    calls.extend(project_calls());
    calls
}

fn job_calls() -> [Call; 10] {
    [
        Call::post("/jobs/claim", jobs::claim)
            .says("Claim the job that waits longest; nobody else gets the same.")
            .takes(Json("ClaimRequest"))
            .answers(200, "The job", Json("ClaimedJob"))
            .answers(204, "Nothing waits", None),
        Call::get("/jobs/{id}", jobs::show).says("Show a job.").answers(200, "The job as it stands", Json("Job")),
        Call::post("/jobs/{id}/heartbeat", jobs::heartbeat)
            .says("Renew the lease, and hear whether somebody pressed stop.")
            .takes(Json("Lease"))
            .answers(200, "Still held", Json("HeartbeatAnswer"))
            .answers(409, LEASE_LOST, None),
        Call::post("/jobs/{id}/report", jobs::report)
            .says("Report metrics, log lines, samples and progress; the same report again changes nothing.")
            .takes(Json("JobReport"))
            .answers(204, "Stored", None)
            .answers(409, LEASE_LOST, None),
        Call::get("/jobs/{id}/samples", jobs::samples)
            .says("Fetch what the policy and its reference answered to a few fixed prompts, at one step.")
            .asks(&[("at", "The step as stage and number, ppo.20; the newest that has samples where none is given")])
            .answers(200, "The samples; none where the run has none yet", List("SampleRecord")),
        Call::post("/jobs/{id}/finish", jobs::finish)
            .says("End a job; a better policy is promoted where the project's rule says so.")
            .takes(Json("FinishRequest"))
            .answers(204, "Ended", None)
            .answers(409, LEASE_LOST, None),
        Call::post("/jobs/{id}/stop", jobs::stop)
            .of(TokenRole::Admin)
            .says("Stop a job: one that waits at once, one that runs with its next heartbeat.")
            .answers(200, "The job as it stands", Json("Job")),
        Call::get("/jobs/{id}/prompts", answers::prompts)
            .says("Fetch the prompts that a sampling job still has to answer.")
            .answers(200, "One prompt a line", Lines("PromptRecord")),
        Call::get("/jobs/{id}/waiting", answers::waiting)
            .says("Fetch the project's prompts whose answers wait to be ranked, newest first, with those answers.")
            .answers(200, "The answers to one prompt a line", Lines("ResponsesRecord")),
        Call::post("/jobs/{id}/responses", answers::responses)
            .says("Bring sampled answers; a prompt that has its answers of this job keeps them.")
            .asks(&[("lease!", "The lease that the claim gave")])
            .takes(Lines("ResponsesRecord"))
            .answers(
                200,
                "Stored; each record is a ranking task, or half of a pair of a blind test",
                Json("ResponsesAnswer"),
            )
            .answers(409, LEASE_LOST, None),
    ]
}

fn model_calls() -> [Call; 8] {
    [
        Call::post("/jobs/{id}/models", models::register)
            .says("Register a model that a job made; a second call for its stage gives the first one's record.")
            .takes(Json("RegisterModel"))
            .answers(200, "The model; its files follow", Json("ModelRecord"))
            .answers(409, LEASE_LOST, None),
        Call::get("/models/{id}", models::show).says("Show a model.").answers(200, "The model", Json("ModelRecord")),
        Call::put("/models/{id}/files/{*name}", models::put_file)
            .says("Send a file of a model; it is checked against the size and digest that were announced.")
            .takes(Bytes)
            .answers(204, "Stored", None)
            .answers(409, "The model's files are others meanwhile, or were removed", None),
        Call::get("/models/{id}/files/{*name}", models::get_file)
            .says("Fetch a file of a model.")
            .answers(200, "The file as it is", Bytes)
            .answers(409, "The model's files were removed", None),
        Call::post("/models/{id}/complete", models::complete)
            .says("Mark a model as complete; a base model takes an admin's token and no lease.")
            .takes(Json("Complete"))
            .answers(200, "The model", Json("ModelRecord"))
            .answers(409, "A file is missing (`details` names those) or was removed, or the lease is lost", None),
        Call::post("/models/{id}/promote", models::promote)
            .of(TokenRole::Admin)
            .says("Make a model the one that answers, and queue the job that samples its answers.")
            .takes(Json("Promote"))
            .answers(200, "It answers", Json("Promotion"))
            .answers(409, "It can't answer", None),
        Call::post("/projects/{slug}/models", projects::bring_model)
            .of(TokenRole::Admin)
            .says("Bring a base model: register it, send its files, mark it as complete.")
            .takes(Json("BringModel"))
            .answers(200, "The model; its files follow", Json("ModelRecord"))
            .answers(409, "The name is taken, also by a model whose files were removed", None),
        Call::get("/projects/{slug}/models", projects::list_models)
            .says("List a project's models, newest first.")
            .answers(200, "The models", List("ModelRecord")),
    ]
}

fn project_calls() -> [Call; 7] {
    [
        Call::get("/projects", projects::list)
            .of(TokenRole::Annotator)
            .says("List the projects that are not archived, by name.")
            .answers(200, "The projects", List("ProjectName")),
        Call::get("/projects/{slug}", projects::show)
            .of(TokenRole::Annotator)
            .says("Show a project with its settings and what it has to train from.")
            .answers(200, "The project", Json("Project")),
        Call::post("/projects/{slug}/jobs", projects::start)
            .of(TokenRole::Admin)
            .says("Start a training run: one at a time, and only with a base model and labels.")
            .answers(201, "The job that waits for a worker", Json("Job"))
            .answers(409, "A run is under way, or there is nothing to train from", None),
        Call::get("/projects/{slug}/jobs", projects::list_jobs)
            .says("List a project's 100 newest jobs, newest first.")
            .answers(200, "The jobs", List("Job")),
        Call::post("/projects/{slug}/prompt-scores", scores::store)
            .says("Tell how unsure the reward model is of prompts; where the project's order follows it, tasks move at once.")
            .takes(Json("PromptScores"))
            .answers(200, "Stored; `unknown` are ids that are no prompts of the project", Json("PromptScoresAnswer")),
        Call::get("/projects/{slug}/export/{kind}", records::export)
            .says("Export prompts, demonstrations, rankings or comparisons, all of one moment.")
            .asks(&[
                ("format", "jsonl (the default), csv or parquet"),
                ("split", "train, validation or test; all where none is given"),
                ("include_rejected", "true: also rankings and demonstrations that a reviewer rejected or corrected"),
                ("minimum_reliability", "0 to 1: without rankings of annotators who are known to be less reliable"),
                ("weights", "true: rankings and comparisons get a field weight, from their annotator's reliability"),
            ])
            .answers(200, "The records: one a line, or CSV, or Parquet", Exported),
        Call::post("/projects/{slug}/import/{kind}", records::import)
            .of(TokenRole::Admin)
            .says("Import a file of prompts, responses, demonstrations, rankings, comparisons or known-answers: all or nothing.")
            .takes(Bytes)
            .answers(200, "What came in", Json("ImportReport")),
    ]
}

/// The routes of this room, with their description at `/api/v1/openapi.json`.
pub fn routes() -> Router<AppState> {
    let (router, description) = openapi::assemble(calls());
    let description = description.to_string();
    let router = router
        .route("/openapi.json", get(async move || ([(header::CONTENT_TYPE, "application/json")], description)))
        .fallback(async || Refusal::NotFound("the API has no such address; see /api/v1/openapi.json".to_owned()))
        .method_not_allowed_fallback(async || Refusal::WrongMethod)
        .layer(DefaultBodyLimit::max(JSON_LIMIT));
    Router::new().nest("/api/v1", router)
}
