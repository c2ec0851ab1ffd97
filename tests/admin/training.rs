//! Training: what a run needs, models that come in and answer, the schedule.

use laurel::{
    db::{jobs, models, promotions},
    domain::role::Role,
};
use laurel_records::{ModelFile, RegisterModel, Stage};
use serde_json::json;
use uuid::Uuid;

use crate::{demonstrations, project, support};

/// A directory that looks like a model's.
fn model_directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, content) in [
        ("config.json", "{}"),
        ("tokenizer.json", "{}"),
        ("model.safetensors", "weights"),
        ("notes.pdf", "not part of a model"),
    ] {
        std::fs::write(directory.path().join(name), content).expect("a file");
    }
    directory
}

#[tokio::test]
async fn run_now_explains_what_is_missing_and_starts_once_all_is_there() {
    let server = support::server().await;
    let found = project(&server, "p").await;
    let ada = server.user("Ada", Role::Admin).await;
    let refused = ada.post("/admin/projects/p/training/run", &[]).await.assert(409);
    refused.assert_contains("A run can&#39;t start yet");
    refused.assert_contains("A base model to start from: bring one");
    refused.assert_contains("0 demonstrations and 0 rankings");

    demonstrations(server.pool(), &found, 5).await;
    let directory = model_directory();
    let path = directory.path().display().to_string();
    let brought = ada.post("/admin/projects/p/models/import", &[("name", "tiny"), ("path", &path)]).await;
    assert_eq!(brought.leads_to(), "/admin/projects/p/models?done=imported");
    let started = ada.post("/admin/projects/p/training/run", &[]).await;
    let address = started.leads_to().to_owned();
    assert_eq!(ada.post("/admin/projects/p/training/run", &[]).await.leads_to(), address, "a double click is one run");
    let run = ada.get(&address).await.assert(200);
    run.assert_contains("Waiting for a worker");
    run.assert_contains("Stop this run");
    ada.post(&format!("{address}/stop"), &[]).await.leads_to();
    ada.get(&address).await.assert(200).assert_contains("stopped");

    // Beside a run stands the one before it, or the one after the first; never itself.
    let mut runs = vec![address];
    for _ in 0..2 {
        let run = ada.post("/admin/projects/p/training/run", &[]).await.leads_to().to_owned();
        ada.post(&format!("{run}/stop"), &[]).await.leads_to();
        runs.push(run);
    }
    for (named, beside) in [(0, 1), (1, 0), (2, 1)] {
        let id = runs[named].trim_start_matches("/admin/jobs/");
        let page = ada.get(&format!("/admin/projects/p/compare?b={id}")).await.assert(200);
        for run in [named, beside] {
            page.assert_contains(&format!("{}/metrics.csv", runs[run]));
        }
    }
}

#[tokio::test]
async fn of_many_runs_the_first_of_all_can_be_chosen_for_a_comparison() {
    let server = support::server().await;
    let found = project(&server, "p").await;
    let ada = server.user("Ada", Role::Admin).await;
    let mut runs = Vec::new();
    for round in 0..205 {
        let (run, kind) = (Uuid::now_v7(), if round % 2 == 0 { "nightly" } else { "sample" });
        sqlx::query("INSERT INTO jobs (id, project_id, kind, round, state) VALUES ($1, $2, $3, $4, 'done')")
            .bind(run)
            .bind(found.id)
            .bind(kind)
            .bind(round)
            .execute(server.pool())
            .await
            .expect("a job");
        runs.push((run, kind));
    }
    let (first, newest) = (runs[0].0, runs[204].0);
    let page = ada.get(&format!("/admin/projects/p/compare?a={first}&b={newest}")).await.assert(200);
    page.assert_contains(&format!("{first}/metrics.csv")).assert_contains(&format!("{newest}/metrics.csv"));
    for (run, kind) in runs {
        assert_eq!(page.text.contains(&format!("<option value=\"{run}\"")), kind == "nightly", "{run}");
    }
}

#[tokio::test]
async fn a_base_model_comes_in_whole_from_the_servers_disk() {
    let server = support::server().await;
    let found = project(&server, "p").await;
    let ada = server.user("Ada", Role::Admin).await;
    let page = "/admin/projects/p/models/import";
    let directory = model_directory();
    let path = directory.path().display().to_string();
    ada.post(page, &[("name", ""), ("path", &path)]).await.assert(422).assert_contains("be empty");
    ada.post(page, &[("name", "a"), ("path", "/nowhere")]).await.assert(422).assert_contains("nothing at this path");
    ada.post(page, &[("name", "a"), ("path", "/proc/self/status")]).await.assert(422).assert_contains(".gguf");
    std::fs::rename(directory.path().join("tokenizer.json"), directory.path().join("kept")).expect("renamed");
    ada.post(page, &[("name", "a"), ("path", &path)]).await.assert(422).assert_contains("lacks tokenizer.json");
    std::fs::rename(directory.path().join("kept"), directory.path().join("tokenizer.json")).expect("renamed");

    // As transformers saves a tokenizer that has several chat templates.
    let templates = directory.path().join("additional_chat_templates");
    std::fs::create_dir(&templates).expect("a folder");
    std::fs::write(templates.join("tool_use.jinja"), "{{ tools }}").expect("a file");
    std::fs::write(templates.join("notes.json"), "{}").expect("a file");
    ada.post(page, &[("name", "tiny"), ("path", &path)]).await.leads_to();
    ada.post(page, &[("name", "tiny"), ("path", &path)]).await.leads_to();
    let all = models::of_project(server.pool(), found.id).await.expect("models");
    assert_eq!(all.len(), 1, "the same again is the same");
    assert!(all[0].record.complete);
    let names: Vec<_> = all[0].record.files.iter().map(|file| file.name.as_str()).collect();
    let template = "additional_chat_templates/tool_use.jinja";
    assert_eq!(names, [template, "config.json", "model.safetensors", "tokenizer.json"]);
    let stored = server.state.config.models_dir().join(all[0].record.id.to_string());
    let stored = |name: &str| std::fs::read_to_string(stored.join(name)).expect("the file");
    assert_eq!((stored("model.safetensors"), stored(template)), ("weights".to_owned(), "{{ tools }}".to_owned()));
    std::fs::write(directory.path().join("config.json"), "{\"other\":1}").expect("a file");
    ada.post(page, &[("name", "tiny"), ("path", &path)])
        .await
        .assert(422)
        .assert_contains("different model of this name");
}

#[tokio::test]
async fn promotion_asks_first_then_names_who_answers_and_can_be_taken_back() {
    let server = support::server().await;
    let pool = server.pool();
    let found = project(&server, "p").await;
    let ada = server.user("Ada", Role::Admin).await;
    demonstrations(pool, &found, 5).await;
    let directory = model_directory();
    let path = directory.path().display().to_string();
    ada.post("/admin/projects/p/models/import", &[("name", "tiny"), ("path", &path)]).await.leads_to();
    ada.post("/admin/projects/p/training/run", &[]).await.leads_to();
    let job = jobs::claim(pool, "worker").await.expect("an answer").expect("a job");
    let mut made = Vec::new();
    for stage in [Stage::Sft, Stage::Reward] {
        let model = RegisterModel {
            lease: job.lease,
            stage,
            parent: job.base.as_ref().map(|base| base.id),
            digest: "b".repeat(64),
            files: vec![ModelFile { name: "model.safetensors".to_owned(), bytes: 1, sha256: "c".repeat(64) }],
            metrics: [("eval/nll".to_owned(), 1.25)].into(),
            lineage: json!({ "data": "d".repeat(64), "settings": { "epochs": 3, "lora": { "rank": 8 } } }),
        };
        let record = models::register(pool, job.id, &model).await.expect("registered");
        made.push(models::complete(pool, record.id, job.lease).await.expect("complete").id);
    }
    let [sft, reward] = made[..] else { panic!("two models") };
    let ask = ada.get(&format!("/admin/projects/p/models/{sft}/promote")).await.assert(200);
    ask.assert_contains("Let sft-1 answer from now on?");
    assert_eq!(promotions::current(pool, found.id).await.expect("an answer"), None, "asking changes nothing");
    let promote = format!("/admin/projects/p/models/{sft}/promote");
    assert_eq!(ada.post(&promote, &[]).await.leads_to(), "/admin/projects/p/models?done=promoted");
    assert_eq!(ada.post(&promote, &[]).await.leads_to(), "/admin/projects/p/models?done=already");
    ada.post(&format!("/admin/projects/p/models/{reward}/promote"), &[]).await.assert(409);
    ada.post(&format!("/admin/projects/p/models/{}/promote", Uuid::now_v7()), &[]).await.assert(404);
    let base = models::base(pool, found.id).await.expect("an answer").expect("a base model").record.id;
    ada.post(&format!("/admin/projects/p/models/{base}/promote"), &[]).await.leads_to();
    let registry = ada.get("/admin/projects/p/models").await.assert(200);
    registry.assert_contains("Go back to it");
    registry.assert_contains("eval/nll");
    registry.assert_contains("How it was made").assert_contains("dddddddddddd").assert_contains("LoRA · rank");
    project(&server, "other").await;
    ada.post(&format!("/admin/projects/other/models/{sft}/promote"), &[]).await.assert(404);
}

#[tokio::test]
async fn the_files_of_a_model_that_nothing_needs_are_removed_after_being_asked_and_never_offered_again() {
    let server = support::server().await;
    let pool = server.pool();
    let found = project(&server, "p").await;
    let ada = server.user("Ada", Role::Admin).await;
    let directory = model_directory();
    let path = directory.path().display().to_string();
    let import = async |name: &str| {
        ada.post("/admin/projects/p/models/import", &[("name", name), ("path", path.as_str())]).await
    };
    for name in ["old", "new"] {
        import(name).await.leads_to();
    }
    let of =
        async |name: &str| models::by_name(pool, found.id, name).await.expect("an answer").expect("a model").record;
    let (old, new) = (of("old").await.id, of("new").await.id);
    let registry = ada.get("/admin/projects/p/models").await.assert(200);
    registry
        .assert_contains("The files of 2 models take 22 B together.")
        .assert_contains("stay: training starts from it");
    let [remove, kept] = [old, new].map(|id| format!("/admin/projects/p/models/{id}/remove"));
    registry.assert_contains(&format!("href=\"{remove}\""));
    assert!(!registry.text.contains(&kept), "what is needed is offered for removal");

    ada.get(&remove).await.assert(200).assert_contains("Remove the files of old?").assert_contains("11 B");
    assert!(of("old").await.complete, "asking changes nothing");
    assert_eq!(ada.post(&remove, &[]).await.leads_to(), "/admin/projects/p/models?done=removed");
    assert_eq!(ada.post(&remove, &[]).await.leads_to(), "/admin/projects/p/models?done=removed-before");
    ada.get(&remove).await.assert(200).assert_contains("were removed before");
    assert!(!server.state.config.models_dir().join(old.to_string()).exists());
    ada.get(&kept).await.assert(200).assert_contains("training starts from it");
    ada.post(&kept, &[]).await.assert(409).assert_contains("training starts from it");
    assert!(of("new").await.complete);

    let registry = ada.get("/admin/projects/p/models").await.assert(200);
    registry.assert_contains("files removed").assert_contains("<span dir=\"auto\">Ada</span>");
    registry.assert_contains("The files of one model take 11 B.");
    let promote = format!("/admin/projects/p/models/{old}/promote");
    assert!(!registry.text.contains(&promote), "it can't answer");
    ada.get(&promote).await.assert(409);
    ada.post(&promote, &[]).await.assert(409).assert_contains("were removed");
    // Labels know it by its name: another model does not get that.
    import("old").await.assert(422).assert_contains("its files were removed");
    ada.get("/admin/audit").await.assert(200).assert_contains("Removed the files of a model");
    project(&server, "other").await;
    for answer in
        [ada.get(&remove.replace("/p/", "/other/")).await, ada.post(&kept.replace("/p/", "/other/"), &[]).await]
    {
        answer.assert(404);
    }
}

#[tokio::test]
async fn a_schedule_needs_a_time_and_a_zone_that_exist() {
    let server = support::server().await;
    project(&server, "p").await;
    let ada = server.user("Ada", Role::Admin).await;
    let page = "/admin/projects/p/training/schedule";
    let wrong = ada.post(page, &[("enabled", "on"), ("time", "25:00"), ("timezone", "Mars/Olympus")]).await.assert(422);
    wrong.assert_contains("A time of day is needed");
    wrong.assert_contains("no time zone of the IANA list");
    wrong.assert_contains("value=\"Mars/Olympus\"");
    ada.post(page, &[("enabled", "on"), ("time", "02:30"), ("timezone", "Asia/Shanghai")]).await.leads_to();
    let shown = ada.get("/admin/projects/p/training").await.assert(200);
    shown.assert_contains("02:30 Asia/Shanghai");
    ada.post(page, &[("time", "02:30"), ("timezone", "Asia/Shanghai")]).await.leads_to();
    ada.get("/admin/projects/p/training").await.assert(200).assert_contains("nothing runs by itself");
}

#[tokio::test]
async fn a_run_that_found_nothing_new_claims_no_stage_and_awaits_no_numbers() {
    let server = support::server().await;
    let found = project(&server, "p").await;
    let ada = server.user("Ada", Role::Admin).await;
    for (round, stage, stages_done) in [(1, None, 0), (2, Some("evaluate"), 4)] {
        let run = Uuid::now_v7();
        sqlx::query(
            "INSERT INTO jobs (id, project_id, kind, round, state, stage) VALUES ($1, $2, 'nightly', $3, 'done', $4)",
        )
        .bind(run)
        .bind(found.id)
        .bind(round)
        .bind(stage)
        .execute(server.pool())
        .await
        .expect("a job");
        let page = ada.get(&format!("/admin/jobs/{run}")).await.assert(200);
        assert_eq!(page.text.matches("data-state=\"done\"").count(), stages_done, "{stage:?}");
        page.assert_contains("The worker reported no numbers of this run.");
        page.assert_contains("There are none of this run");
        assert!(!page.text.contains("No numbers yet") && !page.text.contains("No samples yet"), "more is promised");
    }
}
