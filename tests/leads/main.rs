//! What a lead sees of a project while people work on it.

#[path = "../support/mod.rs"]
mod support;

mod audit;
mod narrow;
mod together;

use fantoccini::Locator;
use laurel::domain::role::Role;
use serde_json::Value;
use support::{
    Browser, Client, PASSWORD, Server,
    seed::{self, Seed, assignment_in},
    server,
};

const SETTINGS: &str = "/admin/projects/test/settings";

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

/// What the log says of an action, oldest first.
async fn details(server: &Server, action: &str) -> Vec<Value> {
    sqlx::query_scalar("SELECT detail FROM audit_log WHERE action = $1 ORDER BY id")
        .bind(action)
        .fetch_all(server.pool())
        .await
        .expect("details")
}

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
    // Excel takes a file without a mark for the code page of its Windows; programs read records, which have none.
    let mut lines: Vec<&str> = file.text.strip_prefix('\u{feff}').expect("a byte order mark").lines().collect();
    lines.sort_unstable();
    let records = ada.get("/admin/projects/test/export/demonstrations?format=csv").await.assert(200);
    assert!(!records.text.contains('\u{feff}') && records.text.contains("Today's."), "{}", records.text);
    ada.get("/admin/projects/test/export").await.assert(200).assert_contains("without a byte order mark");
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
    let mut after: Vec<&str> = corrected.text.trim_start_matches('\u{feff}').lines().collect();
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
    let schedule = [("enabled", "on"), ("time", "02:00"), ("timezone", "UTC")];
    ada.post("/admin/projects/test/training/schedule", &schedule).await.leads_to();
    ada.get("/admin/projects/test/training").await.assert(200).assert_contains("02:00 Etc/UTC</time>");
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
    // Nor does the clock start anything, whatever the schedule says.
    ada.get("/admin/projects/test").await.assert(200).assert_contains("Not scheduled");
    assert!(!ada.get("/admin/projects/test/training").await.assert(200).text.contains("02:00 Etc/UTC</time>"));

    ada.post("/admin/projects/test/reopen", &[]).await.leads_to();
    assert!(cy.post("/queue/next", &[]).await.leads_to().starts_with("/tasks/"), "nothing is handed out");
    let log = ada.get("/admin/audit").await.assert(200);
    log.assert_contains("Closed a project").assert_contains("Opened a project again");
    assert_eq!(seed::count(server.pool(), "SELECT count(*) FROM audit_log WHERE action = 'project.close'").await, 1);
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

/// Whether the chart has room for a number of labels that a file may bring on one day.
const HAS_ROOM: &str = "const tick = document.querySelector('.stack').ownerSVGElement.querySelector('.tick');
    tick.textContent = '200000';
    return tick.getBBox().x >= tick.ownerSVGElement.viewBox.baseVal.x";

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
    let fits = browser.execute(HAS_ROOM, Vec::new()).await.expect("measured");
    assert_eq!(fits, serde_json::json!(true), "the number of the chart's axis is cut off");
    browser.close().await;
}

/// Says twice that a form is sent, as two clicks do, and gives which of them goes.
const TWICE: &str = "const form = document.querySelector('main form[method=post]');
    return [1, 2].map(() => form.dispatchEvent(new Event('submit', { bubbles: true, cancelable: true })))";

#[tokio::test]
async fn of_two_clicks_on_a_form_of_the_dashboard_one_counts() {
    let server = server().await;
    seed::project(server.pool(), Seed::default()).await;
    server.account("Lea", Role::Admin).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "lea@example.org", PASSWORD).await;
    browser.goto(&format!("{}/admin/projects/test/writing", server.address)).await.expect("the page");
    let goes = browser.execute(TWICE, Vec::new()).await.expect("sent");
    assert_eq!(goes, serde_json::json!([true, false]));
    browser.close().await;
}
