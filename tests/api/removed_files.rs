//! The files of models that nothing needs are removed: what stays of such a model, which models stay whole, and what a program hears
//! that asks for what is gone.

use std::{collections::HashMap, path::PathBuf};

use laurel::{
    db::{
        job_queue, jobs,
        model_removal::{self, Need, RemoveError},
        models, project_settings,
        projects::{Project, ProjectSettings},
        promotions::{self, PromoteError},
        tokens::TokenRole,
    },
    jobs::model_removal as files,
};
use laurel_records::{ModelRecord, Stage};
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    Api,
    support::{
        self, Server,
        training::{admin, count, finished, ready_project},
    },
};

/// A server with a project that can be trained, and a worker.
async fn begun() -> (Server, Project, Api) {
    let server = support::server().await;
    let project = ready_project(server.pool(), ProjectSettings::default(), 4).await;
    let worker = Api::of(&server, TokenRole::Trainer).await;
    (server, project, worker)
}

/// A night that went well: its SFT model, reward model and policy.
async fn night(server: &Server, worker: &Api, project: &Project) -> [ModelRecord; 3] {
    job_queue::enqueue_nightly(server.pool(), &admin(), project.id).await.expect("queued");
    let job = worker.claim().await;
    let weights: &[(&str, &[u8])] = &[("model.safetensors", b"weights")];
    let sft = worker.bring(&job, Stage::Sft, weights).await;
    let reward = worker.bring(&job, Stage::Reward, weights).await;
    let ppo = worker.bring(&job, Stage::Ppo, weights).await;
    jobs::finish(server.pool(), job.id, &finished(&job, None)).await.expect("finished");
    [sft, reward, ppo]
}

async fn promote(pool: &PgPool, project: &Project, model: &ModelRecord) {
    promotions::promote(pool, &admin(), project.id, model.id, "by hand").await.expect("promoted");
}

async fn remove(server: &Server, project: &Project, model: &ModelRecord) -> Result<bool, RemoveError> {
    files::remove(server.pool(), &server.state.config.models_dir(), &admin(), project.id, model.id).await
}

fn folder(server: &Server, model: &ModelRecord) -> PathBuf {
    server.state.config.models_dir().join(model.id.to_string())
}

/// The names of the models that are complete, oldest first.
async fn complete(pool: &PgPool) -> Vec<String> {
    let records = models::all_complete(pool).await.expect("models");
    records.into_iter().map(|record| record.name).collect()
}

async fn base(pool: &PgPool, project: &Project) -> ModelRecord {
    models::base(pool, project.id).await.expect("an answer").expect("a base model").record
}

#[tokio::test]
async fn the_files_of_a_model_that_nothing_needs_go_and_its_record_stays() {
    let (server, project, worker) = begun().await;
    let pool = server.pool();
    let [sft, reward, policy] = night(&server, &worker, &project).await;
    let [_, newest_reward, newest_policy] = night(&server, &worker, &project).await;
    promote(pool, &project, &newest_policy).await;
    promote(pool, &project, &policy).await;
    let needed = model_removal::needs(pool, project.id).await.expect("reasons");
    let wanted = [
        (base(pool, &project).await.id, Need::Base),
        (newest_policy.id, Need::AnsweredBefore),
        (policy.id, Need::Answers),
        // The judge that the policy learned from, and the one that jobs are given.
        (reward.id, Need::Reward),
        (newest_reward.id, Need::Reward),
    ];
    assert_eq!(needed, HashMap::from(wanted));
    for (model, need) in [(&policy, Need::Answers), (&newest_policy, Need::AnsweredBefore), (&reward, Need::Reward)] {
        let refused = remove(&server, &project, model).await;
        assert!(matches!(refused, Err(RemoveError::Needed(why)) if why == need), "{}: {refused:?}", model.name);
        assert!(folder(&server, model).exists());
    }

    // Two leads at once: one of them does it.
    let (one, other) = tokio::join!(remove(&server, &project, &sft), remove(&server, &project, &sft));
    assert_ne!(one.expect("an answer"), other.expect("an answer"));
    assert!(!folder(&server, &sft).exists());
    let left = models::by_id(pool, sft.id).await.expect("its record");
    assert!(!left.record.complete && left.record.files_removed_at.is_some());
    assert_eq!((left.record.name, left.record.files.len(), left.metrics["eval/nll"]), (sft.name.clone(), 1, 1.25));
    let noted = "SELECT count(*) FROM audit_log WHERE action = 'model.remove_files' AND subject = 'model/sft-1'
        AND detail = '{\"bytes\": 7}'";
    assert_eq!(count(pool, noted).await, 1);

    let address = format!("models/{}/files/model.safetensors", sft.id);
    let told = worker.get(&address).await.refused(409, "conflict").message;
    assert!(told.contains("the files of the model “sft-1” were removed on "), "{told}");
    worker.put(&address, "weights").await.refused(409, "conflict");
    worker.post(&format!("models/{}/complete", sft.id), &json!({})).await.refused(409, "conflict");
    let script = Api::of(&server, TokenRole::Admin).await;
    let told = script.post(&format!("models/{}/promote", sft.id), &json!({})).await.refused(409, "conflict").message;
    assert!(told.contains("were removed"), "{told}");
    let refused = promotions::promote(pool, &admin(), project.id, sft.id, "by hand").await;
    assert!(matches!(refused, Err(PromoteError::FilesRemoved)));
}

#[tokio::test]
async fn what_a_worker_was_given_stays_until_its_job_has_ended() {
    let (server, project, worker) = begun().await;
    let pool = server.pool();
    let [sft, _, policy] = night(&server, &worker, &project).await;
    promote(pool, &project, &sft).await;
    let sampling = worker.claim().await;
    jobs::finish(pool, sampling.id, &finished(&sampling, None)).await.expect("finished");
    job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    let job = worker.claim().await;
    assert_eq!(job.policy.as_ref().map(|model| model.id), Some(sft.id));
    // The night goes on with the one that answered when it began.
    promote(pool, &project, &policy).await;
    promote(pool, &project, &base(pool, &project).await).await;
    let refused = remove(&server, &project, &sft).await;
    assert!(matches!(refused, Err(RemoveError::Needed(Need::Job))), "{refused:?}");
    worker.get(&format!("models/{}/files/model.safetensors", sft.id)).await.assert(200);
    jobs::finish(pool, job.id, &finished(&job, None)).await.expect("finished");
    assert!(remove(&server, &project, &sft).await.expect("removed"));
}

#[tokio::test]
async fn the_database_removes_no_files_that_are_needed_and_asks_no_model_without_its_files() {
    let (server, project, worker) = begun().await;
    let pool = server.pool();
    let [sft, ..] = night(&server, &worker, &project).await;
    let mark = "UPDATE models SET complete = false, files_removed_at = now(), files_removed_by = 'x' WHERE id = $1";
    let promote = "INSERT INTO promotions (id, project_id, model_id, reason)
        SELECT $2, project_id, id, 'x' FROM models WHERE id = $1";
    let sample = "INSERT INTO jobs (id, project_id, kind, round, model_id)
        SELECT $2, project_id, 'sample', 1, id FROM models WHERE id = $1";
    let whole = "UPDATE models SET complete = true WHERE id = $1";
    let needed = base(pool, &project).await.id;
    let broken = async |sql: &'static str, model: Uuid| {
        let query = sqlx::query(sql).bind(model);
        let query = if sql.contains("$2") { query.bind(Uuid::now_v7()) } else { query };
        let error = query.execute(pool).await.expect_err("refused");
        error.as_database_error().and_then(|error| error.constraint()).unwrap_or_default().to_owned()
    };
    assert_eq!(broken(mark, needed).await, "models_needed_keep_their_files");
    assert!(remove(&server, &project, &sft).await.expect("removed"));
    assert_eq!(broken(promote, sft.id).await, "promotions_model_has_files");
    assert_eq!(broken(sample, sft.id).await, "jobs_model_has_files");
    assert_eq!(broken(whole, sft.id).await, "models_complete_have_files");
}

#[tokio::test]
async fn what_an_adapter_is_loaded_on_stays_with_it() {
    let (server, project, worker) = begun().await;
    let pool = server.pool();
    let [sft, _, policy] = night(&server, &worker, &project).await;
    let adapter = json!([{ "name": "adapter_config.json", "bytes": 1, "sha256": "a".repeat(64) }]);
    sqlx::query("UPDATE models SET parent_id = $2, files = $3 WHERE id = $1")
        .bind(policy.id)
        .bind(sft.id)
        .bind(adapter)
        .execute(pool)
        .await
        .expect("an adapter");
    let refused = remove(&server, &project, &sft).await;
    assert!(matches!(refused, Err(RemoveError::Needed(Need::Adapter))), "{refused:?}");
    assert!(remove(&server, &project, &policy).await.expect("removed"));
    assert!(remove(&server, &project, &sft).await.expect("removed"));
}

#[tokio::test]
async fn files_that_a_killed_server_left_go_later_and_not_while_a_backup_reads_them() {
    let (server, project, worker) = begun().await;
    let (pool, models_dir) = (server.pool(), server.state.config.models_dir());
    let [sft, _, policy] = night(&server, &worker, &project).await;
    // It was killed between the mark and the disk.
    assert!(model_removal::remove(pool, &admin(), project.id, sft.id).await.expect("marked"));
    assert!(folder(&server, &sft).exists());
    let mut backup = pool.begin().await.expect("a transaction");
    model_removal::hold_files(&mut backup).await.expect("held");
    assert!(remove(&server, &project, &policy).await.expect("removed"));
    assert!(folder(&server, &sft).exists() && folder(&server, &policy).exists());
    backup.rollback().await.expect("ended");
    // What can't be deleted is told of, and keeps nothing else from going.
    std::fs::remove_dir_all(folder(&server, &sft)).expect("deleted");
    std::fs::write(folder(&server, &sft), "no directory").expect("written");
    let error = files::after_nights(pool, &models_dir).await.expect_err("it can't be deleted").to_string();
    assert!(error.contains(&sft.id.to_string()) && error.ends_with("can't be deleted"), "{error}");
    assert!(!folder(&server, &policy).exists());
    std::fs::remove_file(folder(&server, &sft)).expect("deleted");
    files::after_nights(pool, &models_dir).await.expect("a look");
}

#[tokio::test]
async fn a_download_under_way_comes_to_its_end() {
    let (server, project, worker) = begun().await;
    job_queue::enqueue_nightly(server.pool(), &admin(), project.id).await.expect("queued");
    let job = worker.claim().await;
    // More than lies in the buffers on the way.
    let weights: Vec<u8> = (0..24 * 1024 * 1024_u32).map(|index| (index / 4096) as u8).collect();
    let model = worker.bring(&job, Stage::Sft, &[("model.safetensors", &weights)]).await;
    jobs::finish(server.pool(), job.id, &finished(&job, None)).await.expect("finished");
    let address = format!("models/{}/files/model.safetensors", model.id);
    let mut answer = worker.request(Method::GET, &address).send().await.expect("an answer");
    let mut fetched = answer.chunk().await.expect("bytes").expect("a first piece").to_vec();
    assert!(remove(&server, &project, &model).await.expect("removed"));
    while let Some(piece) = answer.chunk().await.expect("bytes") {
        fetched.extend_from_slice(&piece);
    }
    assert!(fetched == weights, "the bytes are others");
}

#[tokio::test]
async fn after_a_night_the_rule_keeps_the_newest_beside_those_that_are_needed() {
    let (server, project, worker) = begun().await;
    let (pool, models_dir) = (server.pool(), server.state.config.models_dir());
    let look = async || files::after_nights(pool, &models_dir).await.expect("a look of the clock");
    let [sft, ..] = night(&server, &worker, &project).await;
    look().await;
    assert_eq!(complete(pool).await, ["base", "sft-1", "reward-1", "ppo-1"], "there is no rule");
    let rule = ProjectSettings { keep_models: Some(1), ..project.settings.clone() };
    project_settings::update(pool, &admin(), project.id, None, &rule).await.expect("a rule");
    look().await;
    assert_eq!(complete(pool).await, ["base", "sft-1", "reward-1", "ppo-1"], "no night has ended since");

    night(&server, &worker, &project).await;
    look().await;
    assert_eq!(complete(pool).await, ["base", "reward-2", "ppo-2"]);
    assert!(!folder(&server, &sft).exists());
    let noted = "SELECT count(*) FROM audit_log WHERE action = 'model.remove_files' AND actor = 'clock'
        AND detail = '{\"bytes\": 7, \"keep\": 1}'";
    assert_eq!(count(pool, noted).await, 4);
}
