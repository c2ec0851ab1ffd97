//! A job's whole life as a worker leads it, call by call.

use laurel::db::{
    job_queue,
    projects::{ProjectSettings, PromotionRule},
    tokens::TokenRole,
};
use laurel_records::{HeartbeatAnswer, JobKind, ModelRecord, PromptRecord, ResponsesAnswer, Stage};
use serde_json::{Value, json};

use crate::{
    Api, registration,
    support::{
        self,
        training::{admin, claim, count, fall_silent, look, ready_project},
    },
};

#[tokio::test]
async fn a_run_from_its_start_to_ranking_tasks_of_the_better_policy() {
    let server = support::server().await;
    let pool = server.pool();
    let settings =
        ProjectSettings { promotion: PromotionRule::IfBetter, prompts_per_round: 3, ..ProjectSettings::default() };
    let project = ready_project(pool, settings, 6).await;
    let (script, worker) = (Api::of(&server, TokenRole::Admin).await, Api::of(&server, TokenRole::Trainer).await);

    let run = format!("projects/{}/jobs", project.slug);
    let put: Value = script.post(&run, &json!({})).await.assert(201).json();
    assert_eq!((put["state"].as_str(), put["kind"].as_str()), (Some("queued"), Some("nightly")));
    script.post(&run, &json!({})).await.refused(409, "conflict");

    let job = worker.claim().await;
    assert_eq!((job.id.to_string().as_str(), job.kind), (put["id"].as_str().expect("an id"), JobKind::Nightly));
    assert_eq!(worker.post("jobs/claim", &json!({ "worker": "late" })).await.assert(204).body, b"");
    let beat: HeartbeatAnswer =
        worker.post(&format!("jobs/{}/heartbeat", job.id), &json!({ "lease": job.lease })).await.assert(200).json();
    assert!(!beat.stop && beat.lease_until >= job.lease_until);

    for _ in 0..2 {
        worker.post(&format!("jobs/{}/report", job.id), &json!(support::training::report(job.lease))).await.assert(204);
    }
    assert_eq!(count(pool, "SELECT count(*) FROM job_metrics").await, 1, "the same report again changes nothing");
    assert_eq!(count(pool, "SELECT count(*) FROM job_logs").await, 1);

    worker.bring(&job, Stage::Sft, &[("config.json", b"{}"), ("model.safetensors", b"sft")]).await;
    worker.bring(&job, Stage::Reward, &[("model.safetensors", b"reward")]).await;
    let policy = worker.bring(&job, Stage::Ppo, &[("model.safetensors", b"ppo")]).await;
    let end =
        json!({ "lease": job.lease, "outcome": "done", "summary": { "win_rate": 0.62 }, "policy_is_better": true });
    for _ in 0..2 {
        worker.post(&format!("jobs/{}/finish", job.id), &end).await.assert(204);
    }
    let ended: Value = worker.get(&format!("jobs/{}", job.id)).await.assert(200).json();
    assert_eq!((ended["state"].as_str(), ended["summary"]["win_rate"].as_f64()), (Some("done"), Some(0.62)));

    let sample = worker.claim().await;
    assert_eq!((sample.kind, sample.policy.map(|model| model.id)), (JobKind::Sample, Some(policy.id)));
    let prompts = prompts(&worker, sample.id).await;
    assert_eq!(prompts.len(), 3, "as many as a round has");
    let address = format!("jobs/{}/responses?lease={}", sample.id, sample.lease);
    let first_two = answers(&prompts[..2], sample.answers_per_prompt);
    let stored: ResponsesAnswer = bring_answers(&worker, &address, &first_two).await;
    assert_eq!((stored.stored, stored.already_there), (2, 0));
    // The answer got lost: the worker sends them again, with the rest.
    let all = answers(&prompts, sample.answers_per_prompt);
    let stored: ResponsesAnswer = bring_answers(&worker, &address, &all).await;
    assert_eq!((stored.stored, stored.already_there), (1, 2));
    let end = json!({ "lease": sample.lease, "outcome": "done" });
    worker.post(&format!("jobs/{}/finish", sample.id), &end).await.assert(204);

    assert_eq!(count(pool, "SELECT count(*) FROM tasks WHERE kind = 'ranking'").await, 3, "one task a prompt");
    assert_eq!(count(pool, "SELECT count(*) FROM task_responses").await, 3 * 4);
    assert_eq!(count(pool, "SELECT count(*) FROM responses WHERE model = 'ppo-1'").await, 3 * 4);
}

async fn prompts(worker: &Api, job: uuid::Uuid) -> Vec<PromptRecord> {
    let answer = worker.get(&format!("jobs/{job}/prompts")).await.assert(200);
    let lines = String::from_utf8(answer.body).expect("text");
    lines.lines().map(|line| serde_json::from_str(line).expect("a prompt")).collect()
}

fn answers(prompts: &[PromptRecord], number: u32) -> String {
    let line = |prompt: &PromptRecord| {
        let responses: Vec<Value> = (0..number).map(|index| json!({ "content": format!("Answer {index}") })).collect();
        json!({ "prompt_id": prompt.id, "prompt": prompt.prompt, "responses": responses }).to_string()
    };
    prompts.iter().map(line).collect::<Vec<_>>().join("\n")
}

async fn bring_answers(worker: &Api, address: &str, lines: &str) -> ResponsesAnswer {
    worker.send(worker.request(reqwest::Method::POST, address).body(lines.to_owned())).await.assert(200).json()
}

#[tokio::test]
async fn workers_that_ask_at_once_get_different_jobs() {
    let server = support::server().await;
    let pool = server.pool();
    for _ in 0..3 {
        let project = ready_project(pool, ProjectSettings::default(), 4).await;
        job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    }
    let token = server.token(TokenRole::Trainer).await;
    let claims = (0..8).map(|index| {
        let worker = Api::with(&server, Some(token.clone()));
        tokio::spawn(async move { worker.post("jobs/claim", &json!({ "worker": format!("worker {index}") })).await })
    });
    let (mut jobs, mut none) = (std::collections::HashSet::new(), 0);
    for claim in claims.collect::<Vec<_>>() {
        let answer = claim.await.expect("no panic");
        match answer.status.as_u16() {
            200 => assert!(jobs.insert(answer.json::<Value>()["id"].to_string()), "a job was given twice"),
            204 => none += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!((jobs.len(), none), (3, 5));
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_hears_so_from_every_call() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    let worker = Api::of(&server, TokenRole::Trainer).await;
    let job = worker.claim().await;
    let files: &[(&str, &[u8])] = &[("model.safetensors", b"sft")];
    let register = registration(job.lease, Stage::Sft, files);
    let model: ModelRecord = worker.post(&format!("jobs/{}/models", job.id), &register).await.assert(200).json();
    fall_silent(pool, job.id).await;
    look(pool).await;
    let next = claim(pool).await;
    assert_eq!((next.id, next.attempt), (job.id, 1));

    let lease = json!({ "lease": job.lease });
    let report = json!(support::training::report(job.lease));
    let finish = json!({ "lease": job.lease, "outcome": "failed" });
    for (path, body) in [
        (format!("jobs/{}/heartbeat", job.id), &lease),
        (format!("jobs/{}/report", job.id), &report),
        (format!("jobs/{}/finish", job.id), &finish),
        (format!("jobs/{}/models", job.id), &register),
        (format!("models/{}/complete", model.id), &lease),
    ] {
        worker.post(&path, body).await.refused(409, "lease_lost");
    }
    worker.post(&format!("jobs/{}/responses?lease={}", job.id, job.lease), &json!({})).await.assert(422);
    let empty = worker.request(reqwest::Method::POST, &format!("jobs/{}/responses?lease={}", job.id, job.lease));
    worker.send(empty).await.refused(409, "lease_lost");
    assert_eq!(count(pool, "SELECT count(*) FROM job_metrics").await, 0);
}

#[tokio::test]
async fn wrong_answers_are_refused_by_line_and_what_came_before_stays_for_the_next_try() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    let script = Api::of(&server, TokenRole::Admin).await;
    let base: Vec<ModelRecord> = script.get(&format!("projects/{}/models", project.slug)).await.assert(200).json();
    script.post(&format!("models/{}/promote", base[0].id), &json!({})).await.assert(200);
    let job = script.claim().await;
    let prompts = prompts(&script, job.id).await;
    let good = answers(&prompts[..1], 2);
    let address = format!("jobs/{}/responses?lease={}", job.id, job.lease);
    let bring = |body: String| script.send(script.request(reqwest::Method::POST, &address).body(body));

    let error = bring(format!("{good}\n\n{{\"prompt_id\":1}}")).await.refused(422, "invalid");
    assert!(error.message.starts_with("line 3: prompt_id: "), "{}", error.message);
    let error = bring(format!("{good}\n\n{}", answers(&prompts[1..2], 1))).await.refused(422, "invalid");
    assert!(error.message.starts_with("line 3: responses: "), "{}", error.message);
    let error =
        bring(answers(&prompts[..1], 2).replace(&prompts[0].id, &job.id.to_string())).await.refused(422, "invalid");
    assert!(error.message.starts_with("line 1: prompt_id: "), "{}", error.message);
    assert_eq!(count(pool, "SELECT count(*) FROM responses").await, 0);
    bring(format!("{good}\n")).await.assert(200);
    assert_eq!(count(pool, "SELECT count(*) FROM tasks WHERE kind = 'ranking'").await, 1);
}

#[tokio::test]
async fn stop_reaches_the_worker_with_its_next_heartbeat() {
    let server = support::server().await;
    let project = ready_project(server.pool(), ProjectSettings::default(), 4).await;
    let script = Api::of(&server, TokenRole::Admin).await;
    script.post(&format!("projects/{}/jobs", project.slug), &json!({})).await.assert(201);
    let job = script.claim().await;
    let stopped: Value = script.post(&format!("jobs/{}/stop", job.id), &json!({})).await.assert(200).json();
    assert_eq!((stopped["state"].as_str(), stopped["stop_requested"].as_bool()), (Some("running"), Some(true)));
    let beat: HeartbeatAnswer =
        script.post(&format!("jobs/{}/heartbeat", job.id), &json!({ "lease": job.lease })).await.assert(200).json();
    assert!(beat.stop);
    let end = json!({ "lease": job.lease, "outcome": "cancelled", "error": "stopped\u{0}" });
    script.post(&format!("jobs/{}/finish", job.id), &end).await.assert(204);
    let ended: Value = script.get(&format!("jobs/{}", job.id)).await.assert(200).json();
    assert_eq!((ended["state"].as_str(), ended["error"].as_str()), (Some("cancelled"), Some("stopped")));
}
