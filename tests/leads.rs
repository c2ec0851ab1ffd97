//! What a lead sees of a project while people work on it.

mod support;

use fantoccini::Locator;
use laurel::domain::role::Role;
use serde_json::{Value, json};
use support::{
    Browser, Client, PASSWORD, Reply, Server,
    seed::{self, Seed, assignment_in},
    server,
};

/// A task of the queue, answered.
async fn write_one(who: &Client, answer: &str) {
    let task = assignment_in(who.post("/queue/next", &[]).await.leads_to());
    who.post(&format!("/tasks/{task}/submit"), &[("completion", answer)]).await.assert(303);
}

/// Moves every label that is there one day back, as a night would.
async fn a_night_passes(server: &Server) {
    sqlx::query("UPDATE demonstrations SET created_at = created_at - interval '1 day'")
        .execute(server.pool())
        .await
        .expect("moved");
}

#[tokio::test]
async fn the_overview_says_by_whom_and_until_when() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    for number in 0..10 {
        seed::demonstration_task(&server.state, project, &format!("Write {number}.")).await;
    }
    let ada = server.user("Ada", Role::Admin).await;
    let bob = server.user("Bob", Role::Annotator).await;
    write_one(&bob, "Today's.").await;
    // A day that is not over is no pace.
    ada.get("/admin/projects/test").await.assert(200).assert_contains("Can&#39;t be told yet");
    write_one(&bob, "One more.").await;
    write_one(&ada, "Another.").await;
    write_one(&bob, "And one.").await;
    a_night_passes(&server).await;
    // Four labels on one day; six are left: two such days, today and tomorrow.
    let page = ada.get("/admin/projects/test").await.assert(200);
    page.assert_contains("6 labels are still to come, at 4 a day").assert_contains("2 such days");
    let tomorrow = time::OffsetDateTime::now_utc().date().next_day().expect("a day");
    page.assert_contains(&format!("about {tomorrow}"));
    let file = ada.get("/admin/projects/test/labels.csv").await.assert(200);
    let mut lines: Vec<&str> = file.text.lines().collect();
    lines.sort_unstable();
    let yesterday = time::OffsetDateTime::now_utc().date().previous_day().expect("a day");
    assert_eq!(
        lines,
        [
            format!("{yesterday},Ada,1,0,0"),
            format!("{yesterday},Bob,3,0,0"),
            "day,annotator,demonstrations,rankings,prompts".to_owned()
        ]
    );
    // A correction is no further label, and takes none from the day that is over.
    sqlx::query(
        "INSERT INTO demonstrations (id, prompt_id, assignment_id, user_id, completion, replaces_id)
         SELECT gen_random_uuid(), prompt_id, assignment_id, user_id, 'Better.', id FROM demonstrations LIMIT 1",
    )
    .execute(server.pool())
    .await
    .expect("a correction");
    let corrected = ada.get("/admin/projects/test/labels.csv").await.assert(200);
    let mut after: Vec<&str> = corrected.text.lines().collect();
    after.sort_unstable();
    assert_eq!(after, lines);
}

#[tokio::test]
async fn prompts_that_people_write_are_work_that_has_a_pace() {
    let server = server().await;
    seed::project(server.pool(), Seed::default()).await;
    // Only prompts are written here.
    sqlx::query("UPDATE projects SET demonstration_overlap = 0").execute(server.pool()).await.expect("set");
    let lea = server.user("Lea", Role::Admin).await;
    let form = [("kind", "plain"), ("count", "6"), ("language", "en"), ("about", "")];
    lea.post("/admin/projects/test/writing", &form).await.assert(303);
    let bob = server.user("Bob", Role::Annotator).await;
    for number in 0..2 {
        let task = assignment_in(bob.post("/queue/next", &[]).await.leads_to());
        let text = format!("Question {number}?");
        bob.post(&format!("/tasks/{task}/submit"), &[("prompt", text.as_str())]).await.assert(303);
    }
    sqlx::query("UPDATE written_prompts SET created_at = created_at - interval '1 day'")
        .execute(server.pool())
        .await
        .expect("moved");
    let page = lea.get("/admin/projects/test").await.assert(200);
    page.assert_contains("4 labels are still to come, at 2 a day").assert_contains(">Bob");
    let yesterday = time::OffsetDateTime::now_utc().date().previous_day().expect("a day");
    let file = lea.get("/admin/projects/test/labels.csv").await.assert(200);
    file.assert_contains(&format!("{yesterday},Bob,0,0,2"));
    assert_eq!(seed::count(server.pool(), "SELECT count(*) FROM prompts").await, 2);
}

#[tokio::test]
async fn a_closed_project_hands_nothing_out_and_stays_readable_until_it_is_opened_again() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    for number in 0..3 {
        seed::demonstration_task(&server.state, project, &format!("Write {number}.")).await;
    }
    let ada = server.user("Ada", Role::Admin).await;
    let bob = server.user("Bob", Role::Annotator).await;
    write_one(&bob, "Before.").await;
    // Submitting led on to a task: Bob has it in hand.
    let task = assignment_in(bob.post("/queue/next", &[]).await.leads_to());
    let ask = ada.get("/admin/projects/test/close").await.assert(200);
    ask.assert_contains("Close Project test?").assert_contains("One person has a task in hand");
    ada.get("/admin").await.assert(200).assert_contains("Project test");
    assert_eq!(ada.post("/admin/projects/test/close", &[]).await.leads_to(), "/admin/projects/test/settings?saved=1");
    // A second press closes nothing twice.
    ada.post("/admin/projects/test/close", &[]).await.leads_to();

    let cy = server.user("Cy", Role::Annotator).await;
    assert!(cy.post("/queue/next", &[]).await.leads_to().starts_with("/queue"), "a closed project hands out tasks");
    // What Bob has in hand is handed in.
    bob.post(&format!("/tasks/{task}/submit"), &[("completion", "After."), ("then", "queue")]).await.assert(303);
    ada.get("/admin").await.assert(200).assert_contains("Closed projects");
    ada.get("/admin/projects/test/settings").await.assert(200).assert_contains("Open it again");
    let file = ada.get("/admin/projects/test/export/demonstrations").await.assert(200);
    file.assert_contains("Before.").assert_contains("After.");
    ada.post("/admin/projects/test/training/run", &[]).await.assert(409).assert_contains("nothing is trained in it");

    ada.post("/admin/projects/test/reopen", &[]).await.leads_to();
    assert!(cy.post("/queue/next", &[]).await.leads_to().starts_with("/tasks/"), "nothing is handed out");
    let log = ada.get("/admin/audit").await.assert(200);
    log.assert_contains("Closed a project").assert_contains("Opened a project again");
    assert_eq!(seed::count(server.pool(), "SELECT count(*) FROM audit_log WHERE action = 'project.close'").await, 1);
}

const SETTINGS: &str = "/admin/projects/test/settings";

/// What the settings' form was drawn with.
fn drawn_on(page: &Reply) -> String {
    let field = page.text.split(r#"name="drawn" value=""#).nth(1).expect("the field");
    field.split('"').next().expect("a value").to_owned()
}

/// The settings' form, of a page that was drawn with this.
fn settings<'a>(drawn: &'a str, name: &'a str, lease_minutes: &'a str) -> [(&'a str, &'a str); 12] {
    [
        ("drawn", drawn),
        ("name", name),
        ("lease_minutes", lease_minutes),
        ("description", "A project for tests."),
        ("access", "everyone"),
        ("answers_per_prompt", "4"),
        ("demonstration_overlap", "1"),
        ("ranking_overlap", "1"),
        ("validation_percent", "10"),
        ("test_percent", "10"),
        ("prompts_per_round", "100"),
        ("training", r#"{"sft": {"epochs": 2, "learning_rate": 0.00021}}"#),
    ]
}

#[tokio::test]
async fn of_two_leads_who_set_a_project_at_once_the_second_is_told_what_the_first_has_saved() {
    let server = server().await;
    seed::project(server.pool(), Seed::default()).await;
    let lea = server.user("Lea", Role::Admin).await;
    let leo = server.user("Leo", Role::Admin).await;
    let drawn = drawn_on(&lea.get(SETTINGS).await.assert(200));
    let (leas, leos) = (settings(&drawn, "Lea’s", "30"), settings(&drawn, "Project test", "90"));
    let (one, other) = tokio::join!(lea.post(SETTINGS, &leas), leo.post(SETTINGS, &leos));
    let mut answers = [one.status.as_u16(), other.status.as_u16()];
    answers.sort_unstable();
    assert_eq!(answers, [303, 409]);
    let stored = async || {
        let query = "SELECT lease_minutes::bigint FROM projects WHERE slug = 'test'";
        (seed::count(server.pool(), query).await, details(&server, "project.settings").await.len())
    };
    let (told, first, second, theirs, own) =
        if one.status.as_u16() == 303 { (other, leas, leos, 30, 90) } else { (one, leos, leas, 90, 30) };
    assert_eq!(stored().await, (theirs, 1));
    // What was typed is there, and what the other has saved beside it; nothing else is named.
    told.assert_contains("Somebody else has saved settings");
    told.assert_contains(&format!(r#"<strong>Minutes for a task</strong> · <span dir="auto">{theirs}</span>"#));
    told.assert_contains(&format!(r#"name="lease_minutes" value="{own}""#));
    for same in ["Description", "Training settings (JSON)", "People who rank"] {
        assert!(!told.text.contains(&format!("<strong>{same}</strong>")), "{same} is named");
    }
    // Sent once more, as by a double click, a form that is stored already is stored, and not noted again.
    let sender = if theirs == 30 { (&lea, &leo) } else { (&leo, &lea) };
    sender.0.post(SETTINGS, &first).await.assert(303);
    assert_eq!(stored().await, (theirs, 1));
    // Seen, it may be put in the place of what stands; the log has what it took the place of.
    let seen = drawn_on(&told);
    let again: Vec<(&str, &str)> =
        second.iter().map(|(name, value)| (*name, if *name == "drawn" { seen.as_str() } else { *value })).collect();
    sender.1.post(SETTINGS, &again).await.assert(303);
    assert_eq!(stored().await, (own, 2));
    assert_eq!(details(&server, "project.settings").await[1]["lease_minutes"], json!([theirs, own]));
    // Where the form says nothing of what it was drawn with, it counts as it is.
    sender.0.post(SETTINGS, &first[1..]).await.assert(303);
    assert_eq!(stored().await, (theirs, 3));
}

#[tokio::test]
async fn of_two_leads_who_set_different_things_neither_undoes_what_the_other_saved() {
    let server = server().await;
    seed::project(server.pool(), Seed::default()).await;
    let lea = server.user("Lea", Role::Admin).await;
    lea.post(SETTINGS, &settings("", "Project test", "60")).await.assert(303);
    let drawn = drawn_on(&lea.get(SETTINGS).await.assert(200));
    lea.post(SETTINGS, &settings(&drawn, "Renamed", "60")).await.assert(303);
    let told = lea.post(SETTINGS, &settings(&drawn, "Project test", "45")).await.assert(409);
    told.assert_contains(r#"<strong>Name</strong> · <span dir="auto">Renamed</span>"#);
    assert!(!told.text.contains("<strong>Minutes for a task</strong>"), "what is only here is named");
    // A form that is older, and says the same of what was saved meanwhile, undoes nothing.
    lea.post(SETTINGS, &settings(&drawn, "Renamed", "45")).await.assert(303);
    let both = "SELECT count(*) FROM projects WHERE name = 'Renamed' AND lease_minutes = 45";
    assert_eq!(seed::count(server.pool(), both).await, 1);
}

/// What the log says of an action, oldest first.
async fn details(server: &Server, action: &str) -> Vec<Value> {
    sqlx::query_scalar("SELECT detail FROM audit_log WHERE action = $1 ORDER BY id")
        .bind(action)
        .fetch_all(server.pool())
        .await
        .expect("details")
}

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

#[tokio::test]
async fn the_overview_follows_the_work_without_being_asked() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    for number in 0..2 {
        seed::demonstration_task(&server.state, project, &format!("Write {number}.")).await;
    }
    let rosa = server.user("Rosa", Role::Reviewer).await;
    let bob = server.user("Bob", Role::Annotator).await;
    let request = rosa.request(reqwest::Method::GET, "/admin/projects/test/events");
    let mut events = request.send().await.expect("an answer");
    let mut heard = String::new();
    let mut hear = async |wanted: &str| {
        while !heard.contains(wanted) {
            let piece = tokio::time::timeout(std::time::Duration::from_secs(15), events.chunk()).await;
            let piece = piece.unwrap_or_else(|_| panic!("nobody says {wanted:?} in {heard}"));
            heard.push_str(&String::from_utf8_lossy(&piece.expect("a piece").expect("not the end")));
        }
    };
    hear("0 of 2 labels").await;
    write_one(&bob, "Here.").await;
    hear("1 of 2 labels").await;
}

#[tokio::test]
async fn the_open_overview_changes_in_the_browser_without_a_reload() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    for number in 0..2 {
        seed::demonstration_task(&server.state, project, &format!("Write {number}.")).await;
    }
    server.account("Rosa", Role::Reviewer).await;
    let bob = server.user("Bob", Role::Annotator).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "rosa@example.org", PASSWORD).await;
    browser.goto(&format!("{}/admin/projects/test", server.address)).await.expect("the overview");
    browser.execute("window.sameDocument = true", Vec::new()).await.expect("marked");
    for done in 1..=2 {
        write_one(&bob, "Here.").await;
        let told = format!("//*[@data-live-events]//*[contains(text(), '{done} of 2 labels')]");
        browser.wait().for_element(Locator::XPath(&told)).await.expect("told");
    }
    let same = browser.execute("return window.sameDocument === true", Vec::new()).await.expect("read");
    assert_eq!(same, serde_json::json!(true), "the page was loaded again");
    browser.close().await;
}

/// A form of a project, with what two leads type into it.
struct Form {
    page: &'static str,
    /// Where it is sent to.
    action: &'static str,
    leas: &'static [(&'static str, &'static str)],
    leos: &'static [(&'static str, &'static str)],
    /// What a page shows that has what Leo typed.
    typed: &'static str,
    /// Counts one where Leo's stands.
    stands: &'static str,
}

/// What was typed, in a form that was drawn with this.
fn with<'a>(drawn: &'a str, typed: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("drawn", drawn)][..], typed].concat()
}

const FORMS: [Form; 8] = [
    Form {
        page: "label-scheme",
        action: "label-scheme",
        leas: &[("rating", "required"), ("lowest", "0"), ("highest", "10")],
        leos: &[("rating", "off"), ("lowest", "1"), ("highest", "4")],
        typed: r#"value="off" checked"#,
        stands: "SELECT count(*) FROM projects WHERE label_scheme ->> 'rating' = 'off'",
    },
    Form {
        page: "plan",
        action: "plan",
        leas: &[("rankings", "7"), ("demonstrations", "3"), ("comparisons", "0"), ("prompts", "0")],
        leos: &[("rankings", "9"), ("demonstrations", "2"), ("comparisons", "0"), ("prompts", "0")],
        typed: r#"name="rankings" value="9""#,
        stands: "SELECT count(*) FROM projects WHERE plan_rankings = 9 AND plan_demonstrations = 2",
    },
    Form {
        page: "gold",
        action: "gold",
        leas: &[("gold_percent", "7"), ("course_tasks", "0"), ("course_pass_percent", "70")],
        leos: &[("gold_percent", "9"), ("course_tasks", "0"), ("course_pass_percent", "90")],
        typed: r#"name="gold_percent" value="9""#,
        stands: "SELECT count(*) FROM projects WHERE gold_percent = 9 AND course_pass_percent = 90",
    },
    Form {
        page: "next",
        action: "next",
        leas: &[("order", "random"), ("percent", "77")],
        leos: &[("order", "uncertain"), ("percent", "99")],
        typed: r#"name="percent" value="99""#,
        stands: "SELECT count(*) FROM projects WHERE task_order = 'uncertain' AND duplicate_percent = 99",
    },
    Form {
        page: "chat",
        action: "chat",
        leas: &[
            ("action", "save"),
            ("base_url", "https://one.example.org/v1"),
            ("model", "parrot"),
            ("api_key", "a-key-of-leas"),
            ("answers", "2"),
            ("temperature", "0.7"),
            ("max_tokens", "100"),
        ],
        leos: &[
            ("action", "save"),
            ("base_url", "https://two.example.org/v1"),
            ("model", "starling"),
            ("api_key", "a-key-of-leos"),
            ("answers", "2"),
            ("temperature", "0.7"),
            ("max_tokens", "100"),
        ],
        typed: r#"name="model" value="starling""#,
        stands: "SELECT count(*) FROM chat_endpoints WHERE model = 'starling' AND api_key = 'a-key-of-leos'",
    },
    Form {
        page: "reviews",
        action: "reviews",
        leas: &[("audit_percent", "33")],
        leos: &[("audit_percent", "44")],
        typed: r#"max="100" value="44""#,
        stands: "SELECT count(*) FROM projects WHERE audit_percent = 44",
    },
    Form {
        page: "reviews/demonstrations",
        action: "reviews/demonstrations",
        leas: &[("percent", "33")],
        leos: &[("percent", "44")],
        typed: r#"max="100" value="44""#,
        stands: "SELECT count(*) FROM projects WHERE demonstration_review_percent = 44",
    },
    Form {
        page: "training",
        action: "training/schedule",
        leas: &[("enabled", "on"), ("time", "01:30"), ("timezone", "UTC")],
        leos: &[("time", "03:30"), ("timezone", "Asia/Shanghai")],
        typed: r#"name="time" value="03:30""#,
        stands: "SELECT count(*) FROM schedules WHERE minute = 210 AND timezone = 'Asia/Shanghai' AND NOT enabled",
    },
];

#[tokio::test]
async fn of_two_leads_at_any_form_of_a_project_the_second_is_told_and_saves_over_it_knowingly() {
    let server = server().await;
    seed::project(server.pool(), Seed::default()).await;
    let lea = server.user("Lea", Role::Admin).await;
    let leo = server.user("Leo", Role::Admin).await;
    for form in FORMS {
        let (page, action) =
            (format!("/admin/projects/test/{}", form.page), format!("/admin/projects/test/{}", form.action));
        let drawn = drawn_on(&lea.get(&page).await.assert(200));
        assert_eq!(drawn_on(&leo.get(&page).await.assert(200)), drawn, "{page}");
        lea.post(&action, &with(&drawn, form.leas)).await.assert(303);
        let told = leo.post(&action, &with(&drawn, form.leos)).await.assert(409);
        told.assert_contains("Somebody else has saved this form").assert_contains(form.typed);
        assert!(!told.text.contains("a-key-of-"), "a key is on the page");
        assert_eq!(told.text.contains("type it again"), form.page == "chat", "{page}");
        assert_eq!(seed::count(server.pool(), form.stands).await, 0, "{page}: stored though it was refused");
        // Sent once more, as by a double click, what stands already undoes nothing.
        lea.post(&action, &with(&drawn, form.leas)).await.assert(303);
        let seen = drawn_on(&told);
        leo.post(&action, &with(&seen, form.leos)).await.assert(303);
        assert_eq!(seed::count(server.pool(), form.stands).await, 1, "{page}");
        // Where a form says nothing of what it was drawn with, it counts as it is.
        lea.post(&action, form.leas).await.assert(303);
        assert_eq!(seed::count(server.pool(), form.stands).await, 0, "{page}");
    }
}
