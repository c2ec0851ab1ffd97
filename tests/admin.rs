//! The dashboard over HTTP: what every form says to wrong input, who may see what, and the way from a new project to its
//! models.

mod support;

use laurel::{
    db::{
        audit::Actor,
        invitations, jobs, models,
        projects::{self, Project, ProjectSettings},
        promotions,
    },
    domain::role::Role,
};
use laurel_records::{ModelFile, RegisterModel, Stage};
use serde_json::json;
use sqlx::PgPool;
use support::Server;
use uuid::Uuid;

async fn project(server: &Server, slug: &str) -> Project {
    let settings = ProjectSettings { name: "Assistant".to_owned(), ..ProjectSettings::default() };
    projects::create(server.pool(), &Actor::program("test"), slug, &settings, false).await.expect("a project")
}

/// Prompts with a demonstration each.
async fn demonstrations(pool: &PgPool, project: &Project, number: usize) {
    for index in 0..number {
        let id = Uuid::now_v7();
        sqlx::query(
            "INSERT INTO prompts (id, project_id, conversation, language, tags, split, content_hash)
             VALUES ($1, $2, $3, 'en', '{daily}', 'train', $4)",
        )
        .bind(id)
        .bind(project.id)
        .bind(json!([{ "role": "user", "content": format!("Why is question {index} blue?") }]))
        .bind(id.as_bytes().to_vec())
        .execute(pool)
        .await
        .expect("a prompt");
        sqlx::query("INSERT INTO demonstrations (id, prompt_id, completion) VALUES ($1, $2, 'An **answer**')")
            .bind(Uuid::now_v7())
            .bind(id)
            .execute(pool)
            .await
            .expect("a demonstration");
    }
}

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

const SETTINGS: [(&str, &str); 12] = [
    ("name", "Assistant"),
    ("description", ""),
    ("access", "everyone"),
    ("answers_per_prompt", "4"),
    ("demonstration_overlap", "1"),
    ("ranking_overlap", "1"),
    ("lease_minutes", "60"),
    ("validation_percent", "10"),
    ("test_percent", "10"),
    ("promotion", "by_hand"),
    ("prompts_per_round", "100"),
    ("training", ""),
];

/// The settings' form with one field changed.
fn settings_with<'a>(field: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    SETTINGS.into_iter().map(|(name, usual)| (name, if name == field { value } else { usual })).collect()
}

#[tokio::test]
async fn an_admin_begins_with_an_invitation_to_make_a_project() {
    let server = support::server().await;
    let ada = server.user("Ada", Role::Admin).await;
    let page = ada.get("/admin").await.assert(200);
    page.assert_contains("Create your first project");
    let fields = [("name", "Helpful <assistant>"), ("slug", "helpful"), ("description", "Short answers")];
    let made = ada.post("/admin/projects/new", &fields).await;
    assert_eq!(made.leads_to(), "/admin/projects/helpful");
    let overview = ada.get("/admin/projects/helpful").await.assert(200);
    overview.assert_contains("First steps");
    overview.assert_contains("Helpful &#60;assistant&#62;");
    let again = ada.post("/admin/projects/new", &fields).await.assert(422);
    again.assert_contains("already a project with this short name");
    again.assert_contains("value=\"Helpful &#60;assistant&#62;\"");
}

#[tokio::test]
async fn a_new_project_needs_a_name_and_a_short_name_that_can_stand_in_an_address() {
    let server = support::server().await;
    let ada = server.user("Ada", Role::Admin).await;
    for slug in ["", "Upper", "has space", "-begins", "new", "ü", &"a".repeat(64)] {
        let reply = ada.post("/admin/projects/new", &[("name", "A"), ("slug", slug)]).await.assert(422);
        reply.assert_contains("Small letters, digits and hyphens");
    }
    ada.post("/admin/projects/new", &[("name", " "), ("slug", "ok")]).await.assert(422).assert_contains("be empty");
    let too_many = [("name", "A"), ("slug", "ok"), ("answers_per_prompt", "10")];
    ada.post("/admin/projects/new", &too_many).await.assert(422).assert_contains("from 2 to 9");
    let made: i64 =
        sqlx::query_scalar("SELECT count(*) FROM projects").fetch_one(server.pool()).await.expect("a number");
    assert_eq!(made, 0);
}

#[tokio::test]
async fn every_setting_says_what_is_wrong_with_it_and_keeps_what_was_typed() {
    let server = support::server().await;
    project(&server, "p").await;
    let ada = server.user("Ada", Role::Admin).await;
    let cases = [
        ("name", "", "be empty"),
        ("answers_per_prompt", "1", "from 2 to 9"),
        ("answers_per_prompt", "four", "from 2 to 9"),
        ("demonstration_overlap", "10", "from 0 to 9"),
        ("ranking_overlap", "0", "from 1 to 9"),
        ("lease_minutes", "1441", "from 1 to 1440"),
        ("validation_percent", "51", "from 0 to 50"),
        ("test_percent", "-1", "from 0 to 40"),
        ("prompts_per_round", "0", "from 1 to 100000"),
        ("training", "{\"sft\": ", "line 1"),
        ("training", "[]", "A JSON object is needed"),
        ("training", "{\"sfft\": {}}", "is no section"),
        ("training", "{\"sft\": 3}", "has the wrong form"),
    ];
    for (field, value, message) in cases {
        let reply = ada.post("/admin/projects/p/settings", &settings_with(field, value)).await.assert(422);
        reply.assert_contains(message);
        reply.assert_contains("aria-invalid=\"true\"");
        if field.ends_with("minutes") {
            reply.assert_contains("value=\"1441\"");
        }
    }
    let saved = ada.post("/admin/projects/p/settings", &settings_with("training", "{\"sft\":{\"epochs\":3}}")).await;
    assert_eq!(saved.leads_to(), "/admin/projects/p/settings?saved=1");
    let stored = projects::by_slug(server.pool(), "p").await.expect("the project");
    assert_eq!(stored.settings.training["sft"]["epochs"], 3);
    let audit = ada.get("/admin/audit?q=project.settings").await.assert(200);
    audit.assert_contains("ada@example.org");
    audit.assert_contains("training");
}

#[tokio::test]
async fn members_are_chosen_where_a_project_is_not_open() {
    let server = support::server().await;
    project(&server, "p").await;
    let ada = server.user("Ada", Role::Admin).await;
    let bob = server.account("Bob", Role::Annotator).await;
    ada.post("/admin/projects/p/settings", &settings_with("access", "members")).await.leads_to();
    ada.get("/admin/projects/p/people").await.assert(200).assert_contains("bob@example.org");
    ada.post("/admin/projects/p/people", &[("member", &bob.to_string()), ("member", &Uuid::now_v7().to_string())])
        .await
        .leads_to();
    let members: Vec<Uuid> =
        sqlx::query_scalar("SELECT user_id FROM memberships").fetch_all(server.pool()).await.expect("members");
    assert_eq!(members, [bob]);
    // Cy accepts an invitation while the form that takes Bob's tick away is open: Cy stays.
    let page = ada.get("/admin/projects/p/people").await.assert(200);
    page.assert_contains(&format!("name=\"shown\" value=\"{bob}\""));
    let project = projects::by_slug(server.pool(), "p").await.expect("the project").id;
    let link = invitations::create(server.pool(), &Actor::program("test"), Role::Annotator, None, Some(project)).await;
    let accept = [("email", "cy@example.org"), ("name", "Cy"), ("new_password", support::PASSWORD)];
    let invited = server.client();
    invited.post(&format!("/invitations/{}", link.expect("a link")), &accept).await.leads_to();
    ada.post("/admin/projects/p/people", &[("shown", &bob.to_string())]).await.leads_to();
    let members: Vec<String> = sqlx::query_scalar("SELECT u.email FROM memberships m JOIN users u ON u.id = m.user_id")
        .fetch_all(server.pool())
        .await
        .expect("members");
    assert_eq!(members, ["cy@example.org"]);
    let cy: Uuid = sqlx::query_scalar("SELECT user_id FROM memberships").fetch_one(server.pool()).await.expect("Cy");
    ada.post("/admin/projects/p/people", &[("shown", &cy.to_string())]).await.leads_to();
    let members: i64 =
        sqlx::query_scalar("SELECT count(*) FROM memberships").fetch_one(server.pool()).await.expect("a number");
    assert_eq!(members, 0);
}

#[tokio::test]
async fn guidelines_are_previewed_without_saving_and_every_save_is_a_version() {
    let server = support::server().await;
    project(&server, "p").await;
    let ada = server.user("Ada", Role::Admin).await;
    let page = "/admin/projects/p/guidelines";
    ada.post(page, &[("body", "  \n "), ("action", "save")]).await.assert(422).assert_contains("be empty");
    let preview = ada.post(page, &[("body", "# Be <b>kind</b>"), ("action", "preview")]).await.assert(200);
    preview.assert_contains("<h1>Be &lt;b&gt;kind&lt;/b&gt;</h1>");
    preview.assert_contains("not saved");
    assert_eq!(ada.post(page, &[("body", "one"), ("action", "save")]).await.leads_to(), format!("{page}?saved=1"));
    assert_eq!(ada.post(page, &[("body", "one"), ("action", "save")]).await.leads_to(), format!("{page}?saved=1"));
    assert_eq!(ada.post(page, &[("body", "two"), ("action", "save")]).await.leads_to(), format!("{page}?saved=2"));
    ada.get(&format!("{page}?version=1")).await.assert(200).assert_contains("This is version 1");
    ada.get(&format!("{page}?version=9")).await.assert(404);
}

#[tokio::test]
async fn prompts_are_found_by_text_filter_and_page() {
    let server = support::server().await;
    let found = project(&server, "p").await;
    let ada = server.user("Ada", Role::Admin).await;
    ada.get("/admin/projects/p/prompts").await.assert(200).assert_contains("No prompts yet");
    demonstrations(server.pool(), &found, 60).await;
    let first = ada.get("/admin/projects/p/prompts").await.assert(200);
    first.assert_contains("60 prompts");
    assert!(!first.text.contains("question 59 blue"), "the page has them all");
    let next = support::client::link_with(&first.text, "rel=\"next\"");
    ada.get(&next).await.assert(200).assert_contains("question 59 blue");
    let searched = ada.get("/admin/projects/p/prompts?q=QUESTION+7+blue").await.assert(200);
    searched.assert_contains("1 prompt");
    assert!(!searched.text.contains("question 8 blue"));
    ada.get("/admin/projects/p/prompts?split=test").await.assert(200).assert_contains("Nothing matches");
    ada.get("/admin/projects/p/prompts?state=done&tag=daily&language=en")
        .await
        .assert(200)
        .assert_contains("60 prompts");
    // Wrong numbers and signs that mean something to SQL find nothing and break nothing.
    ada.get("/admin/projects/p/prompts?after=-3&from=soon&q=%25%27%00").await.assert(200);

    let id: Uuid =
        sqlx::query_scalar("SELECT id FROM prompts LIMIT 1").fetch_one(server.pool()).await.expect("a prompt");
    let one = ada.get(&format!("/admin/projects/p/prompts/{id}")).await.assert(200);
    one.assert_contains("<strong>answer</strong>");
    project(&server, "other").await;
    ada.get(&format!("/admin/projects/other/prompts/{id}")).await.assert(404);
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

    ada.post(page, &[("name", "tiny"), ("path", &path)]).await.leads_to();
    ada.post(page, &[("name", "tiny"), ("path", &path)]).await.leads_to();
    let all = models::of_project(server.pool(), found.id).await.expect("models");
    assert_eq!(all.len(), 1, "the same again is the same");
    assert!(all[0].record.complete);
    let names: Vec<_> = all[0].record.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["config.json", "model.safetensors", "tokenizer.json"]);
    let stored = server.state.config.models_dir().join(all[0].record.id.to_string()).join("model.safetensors");
    assert_eq!(std::fs::read_to_string(stored).expect("the file"), "weights");
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

/// What stands between two marks of a page.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split_once(before).expect(before).1.split_once(after).expect(after).0
}

#[tokio::test]
async fn people_are_invited_changed_and_shut_out_and_an_admin_is_always_left() {
    let server = support::server().await;
    let ada = server.user("Ada", Role::Admin).await;
    let bob_id = server.account("Bob", Role::Annotator).await;
    let bob = server.client();
    bob.log_in("bob@example.org", support::PASSWORD).await;

    let wrong = ada.post("/admin/people/invite", &[("email", "nobody"), ("role", "king")]).await.assert(422);
    wrong.assert_contains("no email address");
    wrong.assert_contains("Choose one of the roles");
    let missing = [("role", "annotator"), ("project", "5f7d3d0e-0000-7000-8000-000000000000")];
    ada.post("/admin/people/invite", &missing).await.assert(422).assert_contains("no such project");
    let invited =
        ada.post("/admin/people/invite", &[("email", "Cy@Example.org"), ("role", "reviewer")]).await.assert(200);
    let link = between(&invited.text, "data-invitation-link>", "</code>").to_owned();
    assert!(link.starts_with(&server.address), "{link}");
    server.client().get(&link[server.address.len()..]).await.assert(200);
    let id: Uuid = sqlx::query_scalar("SELECT id FROM invitations").fetch_one(server.pool()).await.expect("one");
    assert!(!ada.get("/admin/people").await.text.contains(&link), "it is shown once");
    ada.post(&format!("/admin/invitations/{id}/revoke"), &[]).await.leads_to();
    assert!(!ada.get("/admin/people").await.text.contains("cy@example.org"));

    ada.post(&format!("/admin/people/{bob_id}/role"), &[("role", "king")]).await.assert(422);
    ada.post(&format!("/admin/people/{bob_id}/role"), &[("role", "reviewer")]).await.leads_to();
    bob.get("/admin").await.assert(200);
    ada.post(&format!("/admin/people/{bob_id}/disable"), &[("disabled", "yes")]).await.leads_to();
    assert!(bob.get("/admin").await.leads_to().starts_with("/login"), "shut out at once");
    ada.post(&format!("/admin/people/{bob_id}/disable"), &[("disabled", "no")]).await.leads_to();

    let ada_id: Uuid = sqlx::query_scalar("SELECT id FROM users WHERE email = 'ada@example.org'")
        .fetch_one(server.pool())
        .await
        .expect("Ada");
    ada.post(&format!("/admin/people/{ada_id}/role"), &[("role", "annotator")])
        .await
        .assert(409)
        .assert_contains("last admin");
    ada.post(&format!("/admin/people/{ada_id}/disable"), &[("disabled", "yes")]).await.assert(409);
    ada.post(&format!("/admin/people/{}/role", Uuid::now_v7()), &[("role", "admin")]).await.assert(404);
}

#[tokio::test]
async fn a_token_is_shown_once_and_works_until_it_is_revoked() {
    let server = support::server().await;
    let ada = server.user("Ada", Role::Admin).await;
    let wrong = ada.post("/admin/tokens", &[("name", ""), ("role", "king")]).await.assert(422);
    wrong.assert_contains("be empty");
    wrong.assert_contains("Choose one of the roles");
    let made = ada.post("/admin/tokens", &[("name", "gpu-box"), ("role", "trainer")]).await.assert(200);
    let secret = between(&made.text, "data-token-secret>", "</code>").to_owned();
    let known = |pool: PgPool, secret: String| async move { laurel::db::tokens::find(&pool, &secret).await.is_ok() };
    assert!(known(server.pool().clone(), secret.clone()).await);
    assert!(!ada.get("/admin/people").await.text.contains(&secret));
    let id: Uuid = sqlx::query_scalar("SELECT id FROM api_tokens").fetch_one(server.pool()).await.expect("one");
    ada.post(&format!("/admin/tokens/{id}/revoke"), &[]).await.leads_to();
    assert!(!known(server.pool().clone(), secret).await);
}
