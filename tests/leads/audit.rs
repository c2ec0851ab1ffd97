//! The audit log: who changed what, and from what to what.

use laurel::domain::role::Role;
use serde_json::json;

use crate::{
    SETTINGS, details, settings,
    support::{
        Reply,
        seed::{self, Seed},
        server,
    },
};

#[tokio::test]
async fn the_log_names_who_comes_and_goes_and_which_role_somebody_had_before() {
    let server = server().await;
    seed::project(server.pool(), Seed { open_to_everyone: false, ..Seed::default() }).await;
    let ada = server.user("Ada", Role::Admin).await;
    let bob = server.account("Bob", Role::Annotator).await.to_string();
    let cy = server.account("Cy", Role::Annotator).await.to_string();
    let people = "/admin/projects/test/people";
    ada.post(people, &[("member", bob.as_str())]).await.leads_to();
    ada.post(people, &[("shown", bob.as_str()), ("member", cy.as_str())]).await.leads_to();
    // Nobody comes or goes: there is nothing to note.
    ada.post(people, &[("shown", cy.as_str()), ("member", cy.as_str())]).await.leads_to();
    let noted = [
        json!({ "added": ["bob@example.org"], "removed": [] }),
        json!({ "added": ["cy@example.org"], "removed": ["bob@example.org"] }),
    ];
    assert_eq!(details(&server, "project.members").await, noted);
    ada.post(&format!("/admin/people/{bob}/role"), &[("role", "reviewer")]).await.leads_to();
    assert_eq!(details(&server, "person.role").await, [json!({ "role": ["annotator", "reviewer"] })]);

    // Into a project, and into none.
    ada.post("/admin/projects/test/invitations", &[("email", "dee@example.org")]).await.assert(200);
    ada.post("/admin/people/invite", &[("email", "eve@example.org"), ("role", "reviewer")]).await.assert(200);
    let noted = [
        json!({ "role": "annotator", "email": "dee@example.org", "project": "test" }),
        json!({ "role": "reviewer", "email": "eve@example.org" }),
    ];
    assert_eq!(details(&server, "invitation.create").await, noted);
}

#[tokio::test]
async fn the_log_says_what_a_setting_was_and_notes_nothing_where_nothing_was_changed() {
    let server = server().await;
    seed::project(server.pool(), Seed::default()).await;
    let ada = server.user("Ada", Role::Admin).await;
    let schedule = [("enabled", "on"), ("time", "02:30"), ("timezone", "Asia/Shanghai")];
    for _ in 0..2 {
        ada.post("/admin/projects/test/training/schedule", &schedule).await.leads_to();
    }
    let noted = json!({ "enabled": [false, true], "minute": [120, 150], "timezone": ["UTC", "Asia/Shanghai"] });
    assert_eq!(details(&server, "schedule.set").await, [noted]);
    for rankings in ["4", "4", "2"] {
        let plan = [("demonstrations", "1"), ("rankings", rankings), ("comparisons", "1"), ("prompts", "1")];
        ada.post("/admin/projects/test/plan", &plan).await.leads_to();
    }
    let noted = details(&server, "project.plan").await;
    assert_eq!(noted.iter().map(|detail| &detail["rankings"]).collect::<Vec<_>>(), [&json!([1, 4]), &json!([4, 2])]);
    let log = ada.get("/admin/audit?action=project.plan").await.assert(200);
    log.assert_contains(r#"<dt>Rankings</dt><dd><bdi>4</bdi> <span class="audit-arrow" aria-hidden="true">→</span>"#);
}

/// The page of the log without its exact entries.
fn in_words(page: &Reply) -> String {
    let mut parts = page.text.split(r#"<details class="audit-exact">"#);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |words, part| words + part.split_once("</details>").expect("the end of an entry").1)
}

#[tokio::test]
async fn the_log_tells_in_words_what_was_changed_and_has_the_exact_entry_beside() {
    let server = server().await;
    seed::project(server.pool(), Seed { open_to_everyone: false, ..Seed::default() }).await;
    let ada = server.user("Ada", Role::Admin).await;
    let bob = server.account("Bob", Role::Annotator).await.to_string();
    ada.post("/admin/projects/test/people", &[("member", bob.as_str())]).await.leads_to();
    ada.post(&format!("/admin/people/{bob}/role"), &[("role", "reviewer")]).await.leads_to();
    ada.post(&format!("/admin/people/{bob}/languages"), &[("languages", "ar, zh")]).await.leads_to();
    ada.post(SETTINGS, &settings("", "Project test", "30")).await.assert(303);
    // As a version of tomorrow may write it.
    sqlx::query("INSERT INTO audit_log (actor, action, subject, detail) VALUES ('moon', 'moon.land', 'moon/1', $1)")
        .bind(json!({ "new_thing": { "is_on": true }, "said": "a {brace}" }))
        .execute(server.pool())
        .await
        .expect("an entry");
    let log = ada.get("/admin/audit").await.assert(200);
    let told = [
        r#"<dt>Role</dt><dd><bdi>Annotator</bdi> <span class="audit-arrow" aria-hidden="true">→</span>"#,
        r#"</span> <bdi>Reviewer</bdi></dd>"#,
        r#"<dt>Came in</dt><dd><ul class="audit-list"><li><bdi>Bob</bdi> <small><bdi>bob@example.org</bdi></small></li></ul>"#,
        r#"<li><bdi>Arabic</bdi></li><li><bdi>Chinese</bdi></li>"#,
        r#"<a href="/admin/projects/test"><bdi>Project test</bdi></a>"#,
        r#"<dt>Training · SFT · learning rate</dt>"#,
        r#"<dt>new thing</dt><dd><bdi>is on: yes</bdi></dd>"#,
    ];
    let words = in_words(&log);
    for part in told {
        assert!(words.contains(part), "“{part}” is not in:\n{words}");
    }
    for raw in ["&#34;", "open_to_everyone", "annotator</bdi>"] {
        assert!(!words.contains(raw), "“{raw}” is in:\n{words}");
    }
    log.assert_contains("&#34;action&#34;: &#34;person.role&#34;").assert_contains("&#34;new_thing&#34;");
    ada.post("/preferences", &[("language", "zh"), ("next", "/")]).await.leads_to();
    let log = ada.get("/admin/audit").await.assert(200);
    log.assert_contains("<dt>角色</dt><dd><bdi>标注员</bdi>").assert_contains("<bdi>阿拉伯语</bdi>");
}

/// The fields of the chat's form.
fn chat<'a>(model: &'a str, key: &'a str) -> [(&'static str, &'a str); 7] {
    [
        ("action", "save"),
        ("base_url", "https://m.example.org/v1"),
        ("model", model),
        ("api_key", key),
        ("answers", "2"),
        ("temperature", "0.7"),
        ("max_tokens", "100"),
    ]
}

#[tokio::test]
async fn the_log_says_what_a_chat_a_scheme_guidelines_languages_and_a_priority_were() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    let (task, _) = seed::ranking_task(&server.state, project, "Which?", &["one", "two"]).await;
    let ada = server.user("Ada", Role::Admin).await;
    let bob = server.account("Bob", Role::Annotator).await;
    let address = |page: &str| format!("/admin/projects/test/{page}");

    // A key is never in the log: only that there is one, or another.
    for (model, key) in [("parrot", "sesame-1"), ("parrot", "sesame-1"), ("starling", ""), ("starling", "sesame-2")] {
        ada.post(&address("chat"), &chat(model, key)).await.assert(303);
    }
    let noted = details(&server, "chat.endpoint").await;
    assert_eq!(noted[0]["model"], json!([null, "parrot"]));
    assert_eq!(noted[0]["has_key"], json!([null, true]));
    assert_eq!(noted[1..], [json!({ "model": ["parrot", "starling"] }), json!({ "key_replaced": true })]);
    let secret = "SELECT count(*) FROM audit_log WHERE detail::text LIKE '%sesame%'";
    assert_eq!(seed::count(server.pool(), secret).await, 0);

    let scheme = |rating: &'static str| [("rating", rating), ("lowest", "1"), ("highest", "7"), ("flag", "sexual")];
    for rating in ["optional", "off", "off"] {
        ada.post(&address("label-scheme"), &scheme(rating)).await.assert(303);
    }
    let noted = details(&server, "project.label_scheme").await;
    assert_eq!(noted.len(), 2, "the same again is no change");
    assert_eq!(noted[0]["flags"][1], json!(["sexual"]));
    assert_eq!(noted[1], json!({ "rating": ["optional", "off"] }));

    for text in ["Be kind.", "Be kind and brief."] {
        ada.post(&address("guidelines"), &[("body", text), ("action", "save")]).await.assert(303);
    }
    let noted = [json!({ "version": [null, 1] }), json!({ "version": [1, 2] })];
    assert_eq!(details(&server, "guidelines.save").await, noted);

    for languages in ["ar, zh", "ar, zh", "ar"] {
        ada.post(&format!("/admin/people/{bob}/languages"), &[("languages", languages)]).await.leads_to();
    }
    let noted = [json!({ "languages": [[], ["ar", "zh"]] }), json!({ "languages": [["ar", "zh"], ["ar"]] })];
    assert_eq!(details(&server, "person.languages").await, noted);

    for priority in ["5", "5", "0"] {
        let set = ada.post(&address(&format!("tasks/{task}/priority")), &[("priority", priority)]).await;
        set.leads_to();
    }
    assert_eq!(details(&server, "task.priority").await, [json!({ "priority": [0, 5] }), json!({ "priority": [5, 0] })]);
    let words = in_words(&ada.get("/admin/audit").await.assert(200));
    for part in
        ["<dt>Another key in its place</dt>", "<dt>Version</dt><dd><bdi>1</bdi> ", "<dt>Priority</dt><dd><bdi>0</bdi> "]
    {
        assert!(words.contains(part), "“{part}” is not in:\n{words}");
    }
}

#[tokio::test]
async fn older_entries_are_offered_only_where_there_are_some() {
    let server = server().await;
    let ada = server.user("Ada", Role::Admin).await;
    let insert = "INSERT INTO audit_log (actor, action, subject, detail)
        SELECT 'clock', 'job.start', 'job/' || number, '{}' FROM generate_series(1, 100) AS number";
    sqlx::query(insert).execute(server.pool()).await.expect("entries");
    let full = ada.get("/admin/audit?action=job.start").await.assert(200);
    assert!(!full.text.contains("rel=\"next\""), "{}", full.text);
    sqlx::query(insert).execute(server.pool()).await.expect("entries");
    let first = ada.get("/admin/audit?action=job.start").await.assert(200);
    first.assert_contains("rel=\"next\"");
}
