//! An answer that is marked and not yet confirmed is no choice, and is not lost.

use fantoccini::Locator;
use laurel::domain::role::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    begin, endpoint,
    rules::conversing,
    support::{Browser, Client, PASSWORD, seed::count},
    with_chat,
};

const ENTER: &str = "\u{E007}";

#[tokio::test]
async fn a_first_choice_that_is_marked_is_found_on_another_computer_until_it_is_confirmed() {
    let (address, _) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    let pool = server.pool();
    let bea = server.user("Bea", Role::Annotator).await;
    let chat = begin(&bea, "How do bees make honey?").await;
    let mark = async |client: &Client, turn: i32, best: i32| {
        let marked = json!({ "choice": { "turn": turn, "best": best, "seconds": 4.5 } });
        client.json(Method::PUT, &format!("{chat}/draft"), &marked).await
    };
    // There is nothing to choose from yet.
    mark(&bea, 0, 0).await.assert(409);
    bea.post(&format!("{chat}/answers"), &[]).await.assert(303);
    assert!(!bea.get(&chat).await.assert(200).text.contains("required checked"), "nothing is marked");
    mark(&bea, 0, 7).await.assert(409);
    let cy = server.user("Cy", Role::Admin).await;
    mark(&cy, 0, 1).await.assert(404);
    mark(&bea, 0, 1).await.assert(200);
    assert_eq!(count(pool, "SELECT count(*) FROM rankings").await, 0, "it is no choice");

    let home = server.client();
    home.log_in("bea@example.org", PASSWORD).await;
    let page = home.get(&chat).await.assert(200);
    page.assert_contains(r#"value="1" required checked"#).assert_contains(r#"data-state="saved""#);
    page.assert_contains(r#"name="seconds" value="4.5""#);
    // It waits while the project is archived too, and until it is confirmed, with another answer even.
    sqlx::query("UPDATE projects SET archived_at = now()").execute(pool).await.expect("archived");
    mark(&home, 0, 0).await.assert(200);
    sqlx::query("UPDATE projects SET archived_at = NULL").execute(pool).await.expect("back");
    bea.get(&chat).await.assert(200).assert_contains(r#"value="0" required checked"#);
    bea.post(&format!("{chat}/choose"), &[("turn", "0"), ("best", "1")]).await.assert(303);
    assert_eq!(count(pool, "SELECT count(*) FROM chat_choice_drafts").await, 0);

    // What comes late brings nothing back: the same waits for nothing, anything else is told.
    let same: Value = serde_json::from_str(&mark(&home, 0, 1).await.assert(200).text).expect("JSON");
    assert_eq!(same["saved_at"], 0);
    mark(&home, 0, 0).await.assert(409).assert_contains("Another version");
    assert_eq!(count(pool, "SELECT count(*) FROM chat_choice_drafts").await, 0);
    // The next turn begins without one.
    bea.post(&format!("{chat}/say"), &[("message", "And wax?")]).await.assert(303);
    bea.post(&format!("{chat}/answers"), &[]).await.assert(303);
    assert!(!bea.get(&chat).await.assert(200).text.contains("required checked"), "nothing is marked");
    assert_eq!(count(pool, "SELECT count(*) FROM rankings").await, 1);
}

#[tokio::test]
async fn in_the_browser_a_marked_answer_waits_in_another_one_and_a_late_mark_leads_to_the_choice_that_stands() {
    let (address, _) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    let pool = server.pool();
    let (work, bea, chat) = conversing(&server).await;
    bea.post(&format!("{chat}/say"), &[("message", "How do bees make honey?")]).await.assert(303);
    bea.post(&format!("{chat}/answers"), &[]).await.assert(303);
    let conversation = format!("{}{chat}", server.address);
    let chosen = async |browser: &Browser| {
        let letter = "return document.querySelector('#choose article:has(input:checked)')?.dataset.letter ?? null";
        browser.until(letter, Vec::new()).await
    };
    work.goto(&conversation).await.expect("the conversation");
    work.wait().for_element(Locator::Id("choose")).await.expect("answers to choose from");
    work.press("b").await;
    work.wait().for_element(Locator::Css("[data-draft-state][data-state=saved]")).await.expect("saved");

    let home = Browser::open().await;
    home.log_in(&server.address, "bea@example.org", PASSWORD).await;
    home.goto(&conversation).await.expect("the conversation");
    assert_eq!(chosen(&home).await, json!("B"));
    home.press(ENTER).await;
    home.wait().for_element(Locator::Id("say")).await.expect("the next message");
    assert_eq!(count(pool, "SELECT count(*) FROM chat_choice_drafts").await, 0);
    let best = "SELECT count(*) FROM ranking_responses WHERE position = 1 AND rank = 1";
    assert_eq!(count(pool, best).await, 1);
    // The tab that is still open at work is led there, with what is marked on it.
    work.press("a").await;
    work.wait().for_element(Locator::Css("#choose input[name=version]")).await.expect("the choice that stands");
    assert_eq!(chosen(&work).await, json!("A"));
    assert_eq!(count(pool, "SELECT count(*) FROM rankings").await, 1);
    home.close().await;
    work.close().await;
}
