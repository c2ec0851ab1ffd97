//! What a lead sees of a project while people work on it.

mod support;

use fantoccini::Locator;
use laurel::domain::role::Role;
use support::{
    Browser, Client, PASSWORD, Server,
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
            format!("{yesterday},Ada,1,0"),
            format!("{yesterday},Bob,3,0"),
            "day,annotator,demonstrations,rankings".to_owned()
        ]
    );
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
