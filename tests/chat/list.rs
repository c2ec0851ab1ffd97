//! The list of one's conversations: every one of them can be reached from it.

use laurel::domain::role::Role;
use serde_json::json;

use crate::{
    endpoint,
    support::{Browser, PASSWORD, client::link_with},
    with_chat,
};

/// Says twice that a conversation is to begin, as two clicks do, and gives which of them goes.
const TWICE: &str = "const form = document.querySelector('main form[action=\"/chats\"]');
    return [1, 2].map(() => form.dispatchEvent(new Event('submit', { bubbles: true, cancelable: true })))";

/// The conversations that a page lists, in its order.
fn listed(page: &str) -> Vec<String> {
    let links = page.split("<a class=\"work\" href=\"").skip(1);
    links.map(|rest| rest.split('"').next().expect("an address").to_owned()).collect()
}

#[tokio::test]
async fn the_list_of_ones_conversations_goes_back_to_the_first() {
    let (address, _) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    let bea = server.user("Bea", Role::Annotator).await;
    let none = bea.get("/chats").await.assert(200);
    assert!(!none.text.contains("Your conversations"), "{}", none.text);
    let mut begun = Vec::new();
    for _ in 0..61 {
        begun.push(bea.post("/chats", &[("slug", "test")]).await.leads_to().to_owned());
    }
    begun.reverse();

    let first = bea.get("/chats").await.assert(200);
    first.assert_contains("Your conversations");
    assert_eq!(listed(&first.text), begun[..30]);
    assert!(!first.text.contains(">Newest</a>"), "these are the newest");
    let second = bea.get(&link_with(&first.text, "/chats?before=")).await.assert(200);
    assert_eq!(listed(&second.text), begun[30..60]);
    // Whoever turns to another language stays there.
    let (_, last) = begun[29].rsplit_once('/').expect("an id");
    second.assert_contains(&format!(r#"name="next" value="/chats?before={last}""#));
    let third = bea.get(&link_with(&second.text, "/chats?before=")).await.assert(200);
    assert_eq!(listed(&third.text), begun[60..]);
    assert!(!third.text.contains("href=\"/chats?before="), "there is nothing older");
    let newest = bea.get(&link_with(&third.text, "#recent")).await.assert(200);
    assert_eq!(listed(&newest.text), begun[..30]);
    bea.get(&begun[60]).await.assert(200);
    // Thirty are a page of their own: nothing older is promised.
    let cy = server.user("Cy", Role::Annotator).await;
    for _ in 0..30 {
        cy.post("/chats", &[("slug", "test")]).await.assert(303);
    }
    let page = cy.get("/chats").await.assert(200);
    assert_eq!(listed(&page.text).len(), 30);
    assert!(!page.text.contains("href=\"/chats?before="), "there is nothing older");
}

#[tokio::test]
async fn of_two_clicks_one_begins_a_conversation() {
    let (address, _) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    server.account("Bea", Role::Annotator).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "bea@example.org", PASSWORD).await;
    browser.goto(&format!("{}/chats", server.address)).await.expect("the list");
    let goes = browser.execute(TWICE, Vec::new()).await.expect("sent");
    assert_eq!(goes, json!([true, false]));
    browser.close().await;
}
