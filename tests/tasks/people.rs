//! Several people at their browsers: one place for two of them, and a label that a reviewer has judged.

use fantoccini::Locator;
use laurel::domain::role::Role;

use super::{left_the_task, take_next};
use crate::support::{
    Browser, PASSWORD, Server,
    seed::{self, Seed, assignment_in, count},
    server,
};

/// A browser in which somebody is logged in.
async fn browser_of(server: &Server, name: &str) -> Browser {
    server.account(name, Role::Annotator).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, &crate::support::email_of(name), PASSWORD).await;
    browser
}

#[tokio::test]
async fn of_two_people_and_one_place_the_second_waits_and_what_comes_late_is_an_extra_opinion() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed::default()).await;
    seed::demonstration_task(&server.state, project, "Write a poem.").await;
    let ada = browser_of(&server, "Ada").await;
    let bob = browser_of(&server, "Bob").await;
    take_next(&server, &ada).await;
    ada.fill("#completion", "Roses are red").await;
    bob.goto(&format!("{}/queue", server.address)).await.expect("the queue");
    let waiting = bob.find_all(Locator::Css("#next")).await.expect("looked");
    assert!(waiting.is_empty(), "the only place is taken");

    // Her time ends while she is away, and he takes the place.
    let address = ada.current_url().await.expect("an address");
    seed::end_lease(pool, assignment_in(address.path())).await;
    take_next(&server, &bob).await;
    bob.fill("#completion", "Violets are blue\u{E009}\u{E007}").await;
    left_the_task(&bob).await;
    ada.fill("#completion", ", still\u{E009}\u{E007}").await;
    let told = ada.wait().for_element(Locator::Css(".notice-warning.after")).await.expect("told what became of it");
    assert!(told.text().await.expect("text").contains("extra opinion"));
    assert_eq!(count(pool, "SELECT count(*) FROM demonstrations WHERE NOT extra_opinion").await, 1);
    let extra: String = sqlx::query_scalar("SELECT completion FROM demonstrations WHERE extra_opinion")
        .fetch_one(pool)
        .await
        .expect("hers is kept");
    assert_eq!(extra, "Roses are red, still");
    ada.close().await;
    bob.close().await;
}

#[tokio::test]
async fn a_label_can_be_corrected_until_a_reviewer_has_judged_it() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed { ranking_overlap: 2, ..Seed::default() }).await;
    let (task, _) = seed::ranking_task(&server.state, project, "Which?", &["one", "two"]).await;
    let bob = server.user("Bob", Role::Annotator).await;
    let his = assignment_in(bob.post("/queue/next", &[]).await.leads_to());
    bob.post(&format!("/tasks/{his}/submit"), &[("rank_0", "1"), ("rank_1", "2")]).await.assert(303);
    let ada = browser_of(&server, "Ada").await;
    take_next(&server, &ada).await;
    ada.wait().for_element(Locator::Css(".chip")).await.expect("drawn");
    let two = ada.find(Locator::XPath("//article[.//pre[contains(., 'two')]]")).await.expect("the answer");
    let letter = two.attr("data-letter").await.expect("read").expect("a letter");
    let other = if letter == "A" { "B" } else { "A" };
    let task_page = ada.current_url().await.expect("an address");
    ada.press(&format!("{letter}{other}\u{E007}")).await;
    left_the_task(&ada).await;

    // She has the form of her correction open when the review comes.
    ada.goto(task_page.as_str()).await.expect("what she submitted");
    let correct = Locator::Css("a[href$='/correct']");
    ada.find(correct).await.expect("may be corrected").click().await.expect("opened");
    ada.wait().for_element(Locator::Css("form#task[data-correcting] .chip")).await.expect("the form");
    let rosa = server.user("Rosa", Role::Reviewer).await;
    let judged: Vec<uuid::Uuid> =
        sqlx::query_scalar("SELECT id FROM rankings ORDER BY id").fetch_all(pool).await.expect("two rankings");
    let names: Vec<String> = judged.iter().map(|id| format!("verdict_{id}")).collect();
    let mut form: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "accepted")).collect();
    form.extend([("rank_0", "1"), ("rank_1", "2")]);
    rosa.post(&format!("/admin/projects/test/reviews/{task}"), &form).await.assert(303);

    ada.press(&format!("{other}{letter}\u{E007}")).await;
    let error = ada.wait().for_element(Locator::Css("#task-error:not([hidden])")).await.expect("an explanation");
    assert!(error.text().await.expect("text").contains("corrected"), "it says why");
    ada.goto(task_page.as_str()).await.expect("what she submitted");
    assert!(ada.find_all(correct).await.expect("looked").is_empty(), "the link is still there");
    // Hers, his, and the reviewer's decision.
    assert_eq!(count(pool, "SELECT count(*) FROM rankings").await, 3);
    ada.close().await;
}
