//! A reviewer works through the review queue with the keys alone; what becomes of it for the annotator and in the export.

use fantoccini::Locator;
use laurel::{domain::role::Role, export::Kind};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ENTER, exported};
use crate::support::{
    Browser, Client, PASSWORD, Server,
    seed::{self, Seed, assignment_in},
    server,
};

const TAB: &str = "\u{E004}";
const SPACE: &str = "\u{E00D}";
const DOWN: &str = "\u{E015}";

const QUESTIONS: [&str; 2] = ["How do bees make honey?", "Why is the sky blue?"];

/// What the reviewer says of the rankings of a task: whose, how many steps down the verdicts, and a word to them.
struct Said<'a> {
    email: &'a str,
    steps: usize,
    feedback: &'a str,
}

/// Ranks the next task's three answers, by their positions in the task.
async fn rank(who: &Client, ranks: [&str; 3]) -> Uuid {
    let assignment = assignment_in(who.post("/queue/next", &[]).await.leads_to());
    let form = [("rank_0", ranks[0]), ("rank_1", ranks[1]), ("rank_2", ranks[2]), ("then", "queue")];
    who.post(&format!("/tasks/{assignment}/submit"), &form).await.assert(303);
    assignment
}

/// Whose ranking a verdict of the page is on.
async fn email_of(server: &Server, field: &str) -> String {
    let ranking: Uuid = field.trim_start_matches("verdict_").parse().expect("a ranking");
    sqlx::query_scalar("SELECT u.email FROM rankings r JOIN users u ON u.id = r.user_id WHERE r.id = $1")
        .bind(ranking)
        .fetch_one(server.pool())
        .await
        .expect("a person")
}

/// Fills the page of a task in and decides. The people have no names there: their order is asked of the database.
async fn decide(server: &Server, browser: &Browser, order: [&str; 3], said: [Said<'_>; 2]) {
    browser.wait().for_element(Locator::Css(".review-given")).await.expect("a task to review");
    if order.iter().any(|rank| !rank.is_empty()) {
        browser.tab_to("select[name=rank_0]").await;
        // Digits choose in the list that has the focus, and Tab leads to the next.
        browser.press(&order.join(TAB)).await;
    }
    for _ in 0..said.len() {
        browser.tab_to(".review-given input[type=radio]:not(:checked)").await;
        let focused = browser.active_element().await.expect("a choice").attr("name").await.expect("read");
        let email = email_of(server, &focused.expect("a name")).await;
        let of = said.iter().find(|one| one.email == email).unwrap_or_else(|| panic!("{email} ranked nothing"));
        // A space takes the first verdict, arrows the others; Tab leads to the words.
        browser.press(&format!("{SPACE}{}{TAB}", DOWN.repeat(of.steps))).await;
        if !of.feedback.is_empty() {
            browser.press(of.feedback).await;
        }
    }
    browser.tab_to("main button[type=submit]").await;
    browser.press(ENTER).await;
}

#[tokio::test]
async fn a_reviewer_decides_by_keyboard_and_the_annotator_reads_why_and_can_correct_no_more() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed { ranking_overlap: 2, ..Seed::default() }).await;
    for question in QUESTIONS {
        seed::ranking_task(&server.state, project, question, &["one", "two", "three"]).await;
    }
    let ada = server.user("Ada", Role::Annotator).await;
    let bob = server.user("Bob", Role::Annotator).await;
    let adas = [rank(&ada, ["1", "2", "3"]).await, rank(&ada, ["1", "2", "3"]).await];
    rank(&bob, ["3", "2", "1"]).await;
    rank(&bob, ["2", "1", "3"]).await;

    // From the queue to the first dispute, from there to the next, and back to the queue when none is left.
    server.account("Rosa", Role::Reviewer).await;
    let rosa = Browser::open().await;
    rosa.log_in(&server.address, "rosa@example.org", PASSWORD).await;
    rosa.goto(&format!("{}/admin/projects/test/reviews", server.address)).await.expect("the reviews");
    rosa.tab_to("a.prompt-excerpt").await;
    rosa.press(ENTER).await;
    rosa.wait().for_element(Locator::Css(".review-given")).await.expect("a task to review");
    let text = rosa.find(Locator::Css("main")).await.expect("the page").text().await.expect("read");
    assert!(!text.contains("Ada") && !text.contains("secret-model"), "a name is on the page: {text}");
    let asked_first = usize::from(!text.contains(QUESTIONS[0]));
    let ada_is_wrong = Said { email: "ada@example.org", steps: 1, feedback: "The second is the only correct one." };
    let bob_is_right = Said { email: "bob@example.org", steps: 0, feedback: "" };
    decide(&server, &rosa, ["2", "1", "2"], [ada_is_wrong, bob_is_right]).await;
    let next = format!("//section[@class='conversation'][contains(., '{}')]", QUESTIONS[1 - asked_first]);
    rosa.wait().for_element(Locator::XPath(&next)).await.expect("the next task");
    let ada_is_right = Said { email: "ada@example.org", steps: 0, feedback: "Well seen." };
    let bob_is_of_no_use = Said { email: "bob@example.org", steps: 2, feedback: "Read the guidelines." };
    decide(&server, &rosa, ["", "", ""], [ada_is_right, bob_is_of_no_use]).await;
    let done = rosa.wait().for_element(Locator::Css(".notice-good[role=status]")).await.expect("told");
    assert_eq!(done.text().await.expect("text"), "Decided. Nothing else waits for you.");
    rosa.close().await;

    reads_why(&server, adas[asked_first]).await;
    let mut said: Vec<Value> = exported(&server, Kind::Rankings)
        .await
        .iter()
        .map(|line| json!([line["annotator"], line["ranks"], line["review"], line["adjudicated"]]))
        .collect();
    said.sort_by_key(Value::to_string);
    // What was corrected and what was rejected is left out; the reviewer's own order stands in its place.
    let kept = json!([
        ["ada@example.org", [1, 2, 3], "accepted", null],
        ["bob@example.org", if asked_first == 0 { [3, 2, 1] } else { [2, 1, 3] }, "accepted", null],
        ["rosa@example.org", [2, 1, 2], null, true],
    ]);
    assert_eq!(json!(said), kept);
}

/// Ada's own page has the verdict and the reviewer's words, and leads to the task, which can't be corrected any more.
async fn reads_why(server: &Server, corrected: Uuid) {
    let ada = Browser::open().await;
    ada.log_in(&server.address, "ada@example.org", PASSWORD).await;
    ada.goto(&format!("{}/me", server.address)).await.expect("her own page");
    let heard = ada.find_all(Locator::Css("[data-feedback] li")).await.expect("feedback");
    assert_eq!(heard.len(), 2, "one word a task");
    let why = "//*[@data-feedback]//li[contains(., 'The second is the only correct one.')]";
    let why = ada.find(Locator::XPath(why)).await.expect("the reviewer's words");
    assert!(why.text().await.expect("text").contains("Corrected"));
    why.find(Locator::Css("a")).await.expect("a way to the task").click().await.expect("followed");
    ada.wait().for_element(Locator::Css(".done-tiers")).await.expect("what she submitted");
    let address = ada.current_url().await.expect("an address");
    assert_eq!(address.path(), format!("/tasks/{corrected}"));
    assert!(ada.find_all(Locator::Css("a[href$='/correct']")).await.expect("looked").is_empty());
    ada.goto(&format!("{address}/correct")).await.expect("an answer");
    assert_eq!(ada.current_url().await.expect("an address"), address, "the form is given all the same");
    ada.close().await;
}
