//! Models' files: they arrive whole and right, or not at all, and go out as they came.

use std::path::PathBuf;

use futures_util::stream;
use laurel::db::{job_queue, projects::ProjectSettings, tokens::TokenRole};
use laurel_records::{ClaimedJob, ModelRecord, Stage};
use reqwest::Method;
use serde_json::json;

use crate::{
    Api, registration,
    support::{
        self, Server,
        training::{admin, fall_silent, look, ready_project},
    },
};

async fn worker_with_job() -> (Server, Api, ClaimedJob) {
    let server = support::server().await;
    let project = ready_project(server.pool(), ProjectSettings::default(), 4).await;
    job_queue::enqueue_nightly(server.pool(), &admin(), project.id).await.expect("queued");
    let worker = Api::of(&server, TokenRole::Trainer).await;
    let job = worker.claim().await;
    (server, worker, job)
}

async fn register(worker: &Api, job: &ClaimedJob, stage: Stage, files: &[(&str, &[u8])]) -> ModelRecord {
    let body = registration(job.lease, stage, files);
    worker.post(&format!("jobs/{}/models", job.id), &body).await.assert(200).json()
}

/// Names of what lies on the disk of a model.
fn on_disk(server: &Server, model: &ModelRecord) -> Vec<String> {
    let folder: PathBuf = server.state.config.models_dir().join(model.id.to_string());
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn a_wrong_file_is_refused_and_leaves_nothing() {
    let (server, worker, job) = worker_with_job().await;
    let model = register(&worker, &job, Stage::Sft, &[("model.safetensors", b"right")]).await;
    let address = format!("models/{}/files/model.safetensors", model.id);
    let error = worker.put(&address, "wrong").await.refused(422, "invalid");
    assert!(error.message.contains("digest"), "{}", error.message);
    let error = worker.put(&address, "longer than announced").await.refused(422, "invalid");
    assert!(error.message.contains("21 bytes instead of 5"), "{}", error.message);
    // Without a length, the bytes are counted as they come.
    let endless = stream::iter((0..1000).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 1000])));
    worker.put(&address, reqwest::Body::wrap_stream(endless)).await.refused(422, "invalid");
    worker.put(&format!("models/{}/files/other.json", model.id), "{}").await.refused(404, "not_found");
    worker.put(&format!("models/{}/files/..%2F..%2Fescaped", model.id), "{}").await.refused(404, "not_found");
    assert_eq!(on_disk(&server, &model), Vec::<String>::new());

    worker.get(&address).await.refused(404, "not_found");
    let missing = worker.post(&format!("models/{}/complete", model.id), &json!({ "lease": job.lease })).await;
    assert_eq!(missing.refused(409, "conflict").details, ["model.safetensors"]);
    let error = worker.post(&format!("models/{}/complete", model.id), &json!({})).await.refused(422, "invalid");
    assert!(error.message.contains("lease"), "{}", error.message);

    worker.put(&address, "right").await.assert(204);
    worker.put(&address, "right").await.assert(204);
    assert_eq!(on_disk(&server, &model), ["model.safetensors"]);
    let whole: ModelRecord =
        worker.post(&format!("models/{}/complete", model.id), &json!({ "lease": job.lease })).await.assert(200).json();
    assert!(whole.complete);
}

#[tokio::test]
async fn a_file_in_a_folder_has_its_path_or_as_older_workers_write_it_one_name() {
    let (_server, worker, job) = worker_with_job().await;
    let (name, content) = ("additional_chat_templates/tool_use.jinja", "Tools: none");
    let model = register(&worker, &job, Stage::Sft, &[(name, content.as_bytes())]).await;
    let files = format!("models/{}/files", model.id);
    for name in [name.to_owned(), name.replace('/', "%2F")] {
        let address = format!("{files}/{name}");
        worker.put(&address, content).await.assert(204);
        assert_eq!(worker.get(&address).await.assert(200).body, content.as_bytes());
    }
    worker.get(&format!("{files}/tool_use.jinja")).await.refused(404, "not_found");
    worker.get(&format!("{files}/additional_chat_templates")).await.refused(404, "not_found");
}

#[tokio::test]
async fn weights_of_any_size_pass_in_both_directions_as_they_are() {
    let (_server, worker, job) = worker_with_job().await;
    // Beyond every limit on bodies of JSON; compressible, so that compression would show.
    let weights: Vec<u8> = (0..24 * 1024 * 1024_u32).map(|index| (index / 4096) as u8).collect();
    let model = worker.bring(&job, Stage::Sft, &[("model.safetensors", &weights)]).await;
    let request = worker
        .request(Method::GET, &format!("models/{}/files/model.safetensors", model.id))
        .header("accept-encoding", "gzip");
    let answer = worker.send(request).await.assert(200);
    assert_eq!(answer.headers["content-length"], weights.len().to_string());
    assert!(!answer.headers.contains_key("content-encoding"));
    assert!(answer.body == weights, "the bytes are others");
    let head = worker.send(worker.request(Method::HEAD, &format!("models/{}/files/model.safetensors", model.id))).await;
    assert_eq!(head.assert(200).headers["content-length"], weights.len().to_string());
}

#[tokio::test]
async fn a_model_is_registered_once_a_stage() {
    let (_server, worker, job) = worker_with_job().await;
    let first = worker.bring(&job, Stage::Sft, &[("model.safetensors", b"first")]).await;
    let again = register(&worker, &job, Stage::Sft, &[("model.safetensors", b"second")]).await;
    assert_eq!((again.id, again.digest, again.complete), (first.id, first.digest, true));
    assert_eq!(worker.get(&format!("models/{}/files/model.safetensors", first.id)).await.assert(200).body, b"first");
    let shown: ModelRecord = worker.get(&format!("models/{}", first.id)).await.assert(200).json();
    assert_eq!((shown.name.as_str(), shown.files.len()), ("sft-1", 1));
}

#[tokio::test]
async fn files_of_a_worker_that_died_are_not_mixed_with_those_of_the_next() {
    let (server, first, job) = worker_with_job().await;
    let old: &[(&str, &[u8])] = &[("config.json", b"old"), ("model.safetensors", b"old!")];
    let model = register(&first, &job, Stage::Sft, old).await;
    first.put(&format!("models/{}/files/config.json", model.id), "old").await.assert(204);
    fall_silent(server.pool(), job.id).await;
    look(server.pool()).await;

    let second = Api::of(&server, TokenRole::Trainer).await;
    let job = second.claim().await;
    let new: &[(&str, &[u8])] = &[("config.json", b"new"), ("model.safetensors", b"new!")];
    assert_eq!(register(&second, &job, Stage::Sft, new).await.id, model.id);
    assert_eq!(on_disk(&server, &model), Vec::<String>::new(), "a file of the same size would pass for the new one");
    first.put(&format!("models/{}/files/model.safetensors", model.id), "old!").await.refused(422, "invalid");
    second.put(&format!("models/{}/files/config.json", model.id), "new").await.assert(204);
    // Registering again because the answer was lost keeps what has arrived.
    register(&second, &job, Stage::Sft, new).await;
    assert_eq!(on_disk(&server, &model), ["config.json"]);
}

#[tokio::test]
async fn what_a_killed_server_left_of_a_file_goes_when_the_model_is_whole() {
    let (server, worker, job) = worker_with_job().await;
    let model = register(&worker, &job, Stage::Sft, &[("model.safetensors", b"right")]).await;
    worker.put(&format!("models/{}/files/model.safetensors", model.id), "right").await.assert(204);
    let folder = server.state.config.models_dir().join(model.id.to_string());
    std::fs::write(folder.join(".incoming-Ab3dE6"), "ri").expect("written");
    worker.post(&format!("models/{}/complete", model.id), &json!({ "lease": job.lease })).await.assert(200);
    assert_eq!(on_disk(&server, &model), ["model.safetensors"]);
}

#[tokio::test]
async fn what_a_job_makes_has_plain_names_and_a_stage() {
    let (_server, worker, job) = worker_with_job().await;
    let address = format!("jobs/{}/models", job.id);
    let mut body = registration(job.lease, Stage::Sft, &[("../../etc/passwd", b"x")]);
    worker.post(&address, &body).await.refused(422, "invalid");
    body["files"] = json!([]);
    worker.post(&address, &body).await.refused(422, "invalid");
    let base = registration(job.lease, Stage::Base, &[("model.safetensors", b"x")]);
    worker.post(&address, &base).await.refused(422, "invalid");
    let mut stranger = registration(job.lease, Stage::Sft, &[("model.safetensors", b"x")]);
    stranger["parent"] = json!(job.id);
    worker.post(&address, &stranger).await.refused(422, "invalid");
}
