//! Projects by script: what there is, bringing a base model, starting a run, promoting.

use laurel::db::{projects::ProjectSettings, tokens::TokenRole};
use laurel_records::{JobKind, ModelRecord, Stage};
use serde_json::{Value, json};

use crate::{
    Api, listed,
    support::{
        self,
        training::{count, project, ready_project},
    },
};

#[tokio::test]
async fn a_script_brings_a_model_starts_a_run_and_promotes() {
    let server = support::server().await;
    let project = ready_project(server.pool(), ProjectSettings::default(), 4).await;
    let (script, worker) = (Api::of(&server, TokenRole::Admin).await, Api::of(&server, TokenRole::Trainer).await);
    let files = [listed("config.json", b"{}"), listed("model.safetensors", b"weights")];
    let address = format!("projects/{}/models", project.slug);
    let body = json!({ "name": "brought", "files": files });
    let model: ModelRecord = script.post(&address, &body).await.assert(200).json();
    assert_eq!((model.stage, model.complete), (Stage::Base, false));
    let again: ModelRecord = script.post(&address, &body).await.assert(200).json();
    assert_eq!(again.id, model.id);
    let taken = json!({ "name": "brought", "files": [listed("model.safetensors", b"others")] });
    script.post(&address, &taken).await.refused(409, "conflict");

    // A worker makes models of its own; where training starts is an admin's business.
    worker.put(&format!("models/{}/files/config.json", model.id), "{}").await.refused(403, "forbidden");
    worker.post(&format!("models/{}/complete", model.id), &json!({})).await.refused(403, "forbidden");
    script.post(&format!("models/{}/promote", model.id), &json!({})).await.refused(409, "conflict");
    script.put(&format!("models/{}/files/config.json", model.id), "{}").await.assert(204);
    script.put(&format!("models/{}/files/model.safetensors", model.id), "weights").await.assert(204);
    script.post(&format!("models/{}/complete", model.id), &json!({})).await.assert(200);

    let promoted: Value =
        script.post(&format!("models/{}/promote", model.id), &json!({ "reason": "a try" })).await.assert(200).json();
    let again: Value = script.post(&format!("models/{}/promote", model.id), &json!({})).await.assert(200).json();
    assert!(promoted["sample_job"].is_string() && again["sample_job"].is_null());
    let job = worker.claim().await;
    assert_eq!(
        (job.kind, job.id.to_string().as_str()),
        (JobKind::Sample, promoted["sample_job"].as_str().expect("a job"))
    );
    assert_eq!(job.policy.map(|policy| policy.id), Some(model.id));
    let shown: Value = script.get(&format!("projects/{}", project.slug)).await.assert(200).json();
    assert_eq!((shown["answering"].as_str(), shown["ready_to_train"].as_bool()), (Some("brought"), Some(true)));
    assert_eq!(shown["label_scheme"]["scale"], json!({ "lowest": 1, "highest": 7 }));
    let jobs: Value = worker.get(&format!("projects/{}/jobs", project.slug)).await.assert(200).json();
    assert_eq!(jobs.as_array().map(Vec::len), Some(1));
    let models: Vec<ModelRecord> = worker.get(&address).await.assert(200).json();
    assert_eq!(models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), ["brought", "base"]);
    assert_eq!(
        count(server.pool(), "SELECT count(*) FROM audit_log WHERE action = 'model.promote' AND actor = 'test'").await,
        1
    );
}

#[tokio::test]
async fn a_run_with_nothing_to_train_from_is_refused_with_what_is_missing() {
    let server = support::server().await;
    let empty = project(server.pool(), ProjectSettings::default()).await;
    let script = Api::of(&server, TokenRole::Admin).await;
    let error = script.post(&format!("projects/{}/jobs", empty.slug), &json!({})).await.refused(409, "conflict");
    assert_eq!(error.details.len(), 2, "{:?}", error.details);
    assert!(error.details[0].contains("base model") && error.details[1].contains("4 demonstrations"));
}

#[tokio::test]
async fn projects_are_listed_by_name_and_a_missing_one_is_said_so() {
    let server = support::server().await;
    let pool = server.pool();
    let project = project(pool, ProjectSettings { keep_models: Some(6), ..ProjectSettings::default() }).await;
    let reader = Api::of(&server, TokenRole::Annotator).await;
    let list: Value = reader.get("projects").await.assert(200).json();
    assert_eq!(list, json!([{ "slug": project.slug, "name": "Test" }]));
    let shown: Value = reader.get(&format!("projects/{}", project.slug)).await.assert(200).json();
    assert_eq!((shown["answers_per_prompt"].as_i64(), shown["answering"].is_null()), (Some(4), true));
    assert_eq!(shown["keep_models"], json!(6));
    let error = reader.get("projects/nowhere").await.refused(404, "not_found");
    assert!(error.message.contains("nowhere"));
}
