//! A message or a choice that is sent while the server is away waits on the page, and arrives once.

use fantoccini::Locator;
use laurel::domain::role::Role;
use serde_json::{Value, json};

use crate::{
    endpoint,
    rules::conversing,
    support::{Browser, PASSWORD, line::Line, seed::count},
    with_chat,
};

const ENTER: &str = "\u{E007}";
/// As the browser does when the network is there again: nobody waits for the next try.
const ONLINE: &str = "window.dispatchEvent(new Event('online'))";
/// What is sent arrives, and the answer to it does not.
const LOST: &str = "window.real ??= window.fetch;
    window.fetch = (...of) => window.real(...of).then(() => Promise.reject(new TypeError('lost')))";
/// It arrives again, but for what is marked: the page is led on by what is sent, at the time that this is about.
const FOUND: &str = "window.fetch = (to, ...how) =>
    to.endsWith('/draft') ? Promise.reject(new TypeError('away')) : window.real(to, ...how)";

async fn run(browser: &Browser, script: &str) -> Value {
    browser.execute(script, Vec::new()).await.expect("run")
}

/// Waits until the page that a script has gone to is there with its own scripts.
async fn loaded(browser: &Browser) {
    while run(browser, "return document.readyState").await != "complete" {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn press_send(browser: &Browser) {
    browser.find(Locator::Css("#say button")).await.expect("a button").click().await.expect("pressed");
}

/// Waits until the page says so of what was sent.
async fn told(browser: &Browser, words: &str) {
    let place = format!("//*[@data-send-error][not(@hidden)][contains(., '{words}')]");
    browser.wait().for_element(Locator::XPath(&place)).await.expect(words);
}

async fn text_in_field(browser: &Browser) -> String {
    let field = browser.wait().for_element(Locator::Id("message")).await.expect("the field");
    field.prop("value").await.expect("read").unwrap_or_default()
}

/// The letter of the answer that is chosen in the form.
async fn chosen(browser: &Browser) -> Value {
    run(browser, "return document.querySelector('#choose article:has(input:checked)')?.dataset.letter ?? null").await
}

#[tokio::test]
async fn what_is_sent_while_the_server_is_away_stays_on_the_page_and_arrives_once_when_it_is_back() {
    let (address, _) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    let pool = server.pool();
    let bea = server.user("Bea", Role::Annotator).await;
    let chat = bea.post("/chats", &[("slug", "test")]).await.leads_to().to_owned();
    let line = Line::to(&server.address).await;
    let browser = Browser::open().await;
    browser.log_in(&line.address, "bea@example.org", PASSWORD).await;
    browser.goto(&format!("{}{chat}", line.address)).await.expect("the conversation");
    browser.fill("#message", "How do bees make honey?").await;
    line.cut();
    press_send(&browser).await;
    told(&browser, "You are offline").await;
    assert_eq!(text_in_field(&browser).await, "How do bees make honey?");
    // Whoever goes on writing has not sent that.
    browser.fill("#message", " Briefly.").await;
    told(&browser, "You have changed it").await;
    press_send(&browser).await;
    told(&browser, "You are offline").await;
    assert_eq!(count(pool, "SELECT count(*) FROM chat_turns").await, 0);
    line.mend();
    run(&browser, ONLINE).await;
    browser.wait().for_element(Locator::Css("#choose .answer strong")).await.expect("answers to choose from");
    assert_eq!(count(pool, "SELECT count(*) FROM chat_turns").await, 1);
    let said = "SELECT count(*) FROM prompts WHERE conversation::text LIKE '%honey? Briefly.%'";
    assert_eq!(count(pool, said).await, 1);

    // A choice is there again after the page was loaded anew, and goes by itself too.
    loaded(&browser).await;
    line.cut();
    browser.press("b").await;
    browser.press(ENTER).await;
    told(&browser, "You are offline").await;
    assert_eq!(count(pool, "SELECT count(*) FROM rankings").await, 0);
    browser.goto("about:blank").await.expect("elsewhere");
    line.mend();
    browser.goto(&format!("{}{chat}", line.address)).await.expect("the conversation");
    browser.wait().for_element(Locator::Css("#choose input:checked")).await.expect("what was chosen");
    assert_eq!(chosen(&browser).await, json!("B"));
    line.cut();
    browser.press(ENTER).await;
    told(&browser, "You are offline").await;
    line.mend();
    run(&browser, ONLINE).await;
    browser.wait().for_element(Locator::Id("say")).await.expect("the next message");
    assert_eq!(count(pool, "SELECT count(*) FROM rankings").await, 1);
    let best = "SELECT count(*) FROM ranking_responses WHERE position = 1 AND rank = 1";
    assert_eq!(count(pool, best).await, 1);
    let left = "return Object.keys(localStorage).filter((key) => key.startsWith('laurel.choice.')).length";
    assert_eq!(run(&browser, left).await, json!(0), "it stands, and is kept here no more");
    browser.close().await;
}

#[tokio::test]
async fn what_was_stored_and_not_answered_is_not_stored_again() {
    let (address, _) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    let pool = server.pool();
    let (browser, bea, chat) = conversing(&server).await;
    browser.goto(&format!("{}{chat}", server.address)).await.expect("the conversation");
    browser.fill("#message", "How do bees make honey?").await;
    run(&browser, LOST).await;
    press_send(&browser).await;
    told(&browser, "You are offline").await;
    assert_eq!(count(pool, "SELECT count(*) FROM chat_turns").await, 1);
    // In another tab it has gone on before the page tries again.
    bea.post(&format!("{chat}/answers"), &[]).await.assert(303);
    bea.post(&format!("{chat}/choose"), &[("turn", "0"), ("best", "0")]).await.assert(303);
    run(&browser, FOUND).await;
    run(&browser, ONLINE).await;
    browser.wait().for_element(Locator::Css("[data-turns='1'] #say")).await.expect("the next message");
    loaded(&browser).await;
    assert_eq!(text_in_field(&browser).await, "");
    assert_eq!(count(pool, "SELECT count(*) FROM chat_turns").await, 1);

    // Of a choice, the first one stands. Whoever has changed their mind since is told, and corrects it.
    browser.fill("#message", "And wax?").await;
    press_send(&browser).await;
    browser.wait().for_element(Locator::Css("#choose .answer strong")).await.expect("answers to choose from");
    loaded(&browser).await;
    run(&browser, LOST).await;
    browser.press("b").await;
    browser.press(ENTER).await;
    told(&browser, "You are offline").await;
    assert_eq!(count(pool, "SELECT count(*) FROM rankings").await, 2);
    browser.press("a").await;
    told(&browser, "You have changed it").await;
    run(&browser, FOUND).await;
    browser.press(ENTER).await;
    browser.wait().for_element(Locator::Css("#choose input[name=version]")).await.expect("the choice that stands");
    let error = browser.find(Locator::Css(".notice-error:not([hidden])")).await.expect("told");
    assert!(error.text().await.expect("read").contains("Another version was saved"));
    assert_eq!(chosen(&browser).await, json!("A"));
    loaded(&browser).await;
    browser.press(ENTER).await;
    browser.wait().for_element(Locator::Css(".notice-good")).await.expect("corrected");
    assert_eq!(chosen(&browser).await, json!("A"));
    assert_eq!(count(pool, "SELECT count(*) FROM rankings").await, 3);
    assert_eq!(count(pool, "SELECT count(*) FROM rankings WHERE replaces_id IS NOT NULL").await, 1);
    browser.close().await;
}

#[tokio::test]
async fn a_script_is_told_where_to_go_and_in_words_what_is_wrong() {
    let (address, _) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    let bea = server.user("Bea", Role::Annotator).await;
    let chat = bea.post("/chats", &[("slug", "test")]).await.leads_to().to_owned();
    let send = async |path: String, fields: Vec<(&str, &str)>, status: u16| -> Value {
        let request = bea.request(reqwest::Method::POST, &path).header("accept", "application/json");
        let request = request.header("x-csrf-token", bea.csrf().await).form(&fields);
        serde_json::from_str(&bea.send(request).await.assert(status).text).expect("JSON")
    };
    let say = format!("{chat}/say");
    let empty = send(say.clone(), vec![("turn", "0"), ("message", " ")], 422).await;
    assert_eq!(empty["message"], "Write a message first.");
    for _ in 0..2 {
        let next = send(say.clone(), vec![("turn", "0"), ("message", "Hello?")], 200).await;
        assert_eq!(next["next"], json!(chat));
    }
    bea.post(&format!("{chat}/answers"), &[]).await.assert(303);
    let choose = format!("{chat}/choose");
    assert_eq!(send(choose.clone(), vec![("turn", "0")], 422).await["message"], "Choose an answer first.");
    assert_eq!(send(choose.clone(), vec![("turn", "0"), ("best", "1")], 200).await["next"], json!(chat));
    // Chosen already, and something else.
    let there = send(choose.clone(), vec![("turn", "0"), ("best", "0")], 200).await;
    assert_eq!(there["next"], json!(format!("{chat}/turns/0?other=0")));
    assert_eq!(send(choose, vec![("turn", "4"), ("best", "0")], 409).await["code"], "error-conflict");
    // What was said before the choice is not said again after it.
    send(say, vec![("turn", "0"), ("message", "Hello?")], 200).await;
    assert_eq!(count(server.pool(), "SELECT count(*) FROM chat_turns").await, 1);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM chat_drafts").await, 0);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM rankings").await, 1);
}
