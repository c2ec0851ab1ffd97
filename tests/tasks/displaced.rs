//! Of two computers at one task the newest draft counts, and what it displaced is offered until somebody has looked at it.

use std::time::Duration;

use fantoccini::Locator;
use laurel::domain::role::Role;
use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::take_next;
use crate::support::{
    Browser, Client, PASSWORD, Server,
    seed::{self, Seed, assignment_in, count},
    server,
};

/// Drafts beside which something waits.
const WAITING: &str = "SELECT count(*) FROM drafts WHERE displaced IS NOT NULL";

/// A server with one task to write.
async fn opened() -> Server {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    seed::demonstration_task(&server.state, project, "Write a poem.").await;
    server
}

/// Saves a draft as a page does that had the one of `base` before it, and has settled others; what it is told.
async fn keep(client: &Client, task: &str, (base, settled): (i64, &str), text: &str) -> Value {
    let path = format!("{task}/draft?base={base}&settled={settled}");
    let reply = client.json(Method::PUT, &path, &json!({ "completion": text, "seconds": "1" })).await;
    serde_json::from_str(&reply.assert(200).text).expect("JSON")
}

fn saved_at(told: &Value) -> i64 {
    told["saved_at"].as_i64().expect("milliseconds")
}

/// The texts that a page is told of and does not show, oldest first.
async fn waiting(client: &Client, task: &str) -> Vec<String> {
    let page = client.get(task).await.assert(200).text;
    let Some(list) = page.split(r#"data-displaced=""#).nth(1) else { return Vec::new() };
    let list = list.split('"').next().expect("its end").replace("&#34;", "\"");
    let list: Vec<Value> = serde_json::from_str(&list).expect("JSON");
    list.iter().map(|one| one["fields"]["completion"].as_str().expect("a text").to_owned()).collect()
}

#[tokio::test]
async fn what_was_displaced_waits_on_every_page_until_it_is_taken_or_discarded() {
    let server = opened().await;
    let pool = server.pool();
    let ada = server.user("Ada", Role::Annotator).await;
    let task = format!("/tasks/{}", assignment_in(ada.post("/queue/next", &[]).await.leads_to()));
    let work = saved_at(&keep(&ada, &task, (0, ""), "At work").await);
    assert!(waiting(&ada, &task).await.is_empty());
    // At home the page was open before that.
    let told = keep(&ada, &task, (0, ""), "At home").await;
    assert_eq!((&told["displaced"]["completion"], &told["displaced_at"]), (&json!("At work"), &json!(work)));
    let home = saved_at(&told);
    let other = server.client();
    other.log_in("ada@example.org", PASSWORD).await;
    assert_eq!(waiting(&other, &task).await, ["At work"]);
    other.get(&task).await.assert_contains("At home</textarea>");

    // Whoever goes on at home has not looked at it. At work one goes on from it: now the other one waits.
    let home = saved_at(&keep(&ada, &task, (home, ""), "At home, at night").await);
    assert_eq!(waiting(&ada, &task).await, ["At work"]);
    let again = saved_at(&keep(&ada, &task, (work, ""), "At work again").await);
    assert_eq!(waiting(&ada, &task).await, ["At home, at night"]);
    // From a third place something else comes, and neither takes the other's place.
    let told = keep(&ada, &task, (0, ""), "On a train").await;
    assert_eq!(told["beside"], json!([home, again]));
    let train = saved_at(&told);
    assert_eq!(waiting(&ada, &task).await, ["At home, at night", "At work again"]);

    // One is discarded, the other taken over, and then nothing waits.
    let told = keep(&ada, &task, (train, &home.to_string()), "On a train").await;
    assert_eq!(waiting(&ada, &task).await, ["At work again"]);
    let told = keep(&ada, &task, (saved_at(&told), ""), "At work again").await;
    assert_eq!((&told["displaced"], &told["beside"]), (&Value::Null, &json!([])));
    assert!(waiting(&ada, &task).await.is_empty());
    assert_eq!(count(pool, WAITING).await, 0);
    // An empty field hides nothing that could be lost.
    let told = keep(&ada, &task, (saved_at(&told), ""), "").await;
    assert!(saved_at(&told) > 0);
    keep(&ada, &task, (0, ""), "At last").await;
    assert_eq!(count(pool, WAITING).await, 0);

    // Submitting ends it all.
    keep(&ada, &task, (0, ""), "And yet").await;
    assert_eq!(waiting(&ada, &task).await, ["At last"]);
    ada.post(&format!("{task}/submit"), &[("completion", "And yet")]).await.assert(303);
    assert_eq!(count(pool, "SELECT count(*) FROM drafts").await, 0);
}

/// Waits until nothing waits.
async fn settled(server: &Server) {
    for _ in 0..400 {
        if count(server.pool(), WAITING).await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("something still waits");
}

/// Ada at work, in a browser in which a draft is saved, and at home; and the task's address.
async fn at_two_computers(server: &Server) -> (Browser, Client, Url) {
    server.account("Ada", Role::Annotator).await;
    let home = server.client();
    home.log_in("ada@example.org", PASSWORD).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    take_next(server, &browser).await;
    let address = browser.current_url().await.expect("an address");
    browser.fill("#completion", "At work").await;
    browser.saved().await;
    (browser, home, address)
}

#[tokio::test]
async fn a_page_that_is_opened_later_offers_what_was_displaced_once_it_is_taken_or_discarded_no_more() {
    let server = opened().await;
    let (browser, home, address) = at_two_computers(&server).await;
    let open = async || {
        browser.goto(&format!("{}/queue", server.address)).await.expect("elsewhere");
        browser.goto(address.as_str()).await.expect("the task");
        let field = browser.wait().for_element(Locator::Id("completion")).await.expect("the field");
        field.prop("value").await.expect("read").unwrap_or_default()
    };
    let press = async |selector: &str| {
        let button = browser.wait().for_element(Locator::Css(selector)).await.expect(selector);
        button.click().await.expect("pressed");
    };
    let offers = async || browser.find_all(Locator::Css("[data-other-draft]")).await.expect("looked").len();
    // The page at home that displaced it was closed before anybody looked.
    keep(&home, address.path(), (0, ""), "At home").await;
    assert_eq!(open().await, "At home");
    browser.wait().for_element(Locator::Css("[data-other-draft] [data-discard]")).await.expect("offered");
    // Left alone, it is offered again; taken, it is the draft.
    assert_eq!(open().await, "At home");
    press("[data-other-draft] button:not([data-discard])").await;
    settled(&server).await;
    let told = "return !Object.keys(localStorage).some((key) => key.startsWith('laurel.draft.'))";
    browser.until(told, Vec::new()).await;
    assert_eq!(open().await, "At work");
    assert_eq!(offers().await, 0);

    keep(&home, address.path(), (0, ""), "At home again").await;
    assert_eq!(open().await, "At home again");
    press("[data-other-draft] [data-discard]").await;
    assert_eq!(offers().await, 0);
    settled(&server).await;
    assert_eq!(open().await, "At home again");
    assert_eq!(offers().await, 0);
    browser.close().await;
}

#[tokio::test]
async fn a_page_that_knows_less_than_the_draft_submits_only_once_that_was_offered() {
    let server = opened().await;
    let (browser, home, address) = at_two_computers(&server).await;
    // At home one goes on, and back at work the page has not heard of it.
    let drafts = "SELECT floor(extract(epoch FROM updated_at) * 1000)::bigint FROM drafts";
    keep(&home, address.path(), (count(server.pool(), drafts).await, ""), "At work, and much more at home").await;
    browser.fill("#completion", "\u{E009}\u{E007}").await;
    let take = "[data-other-draft] button:not([data-discard])";
    let button = browser.wait().for_element(Locator::Css(take)).await.expect("offered");
    let error = browser.find(Locator::Id("task-error")).await.expect("the word").text().await.expect("read");
    assert!(error.contains("Not submitted yet"), "{error}");
    let labels = "SELECT count(*) FROM demonstrations";
    assert_eq!(count(server.pool(), labels).await, 0);
    // Taken over, it is what is submitted.
    button.click().await.expect("pressed");
    browser.fill("#completion", "\u{E009}\u{E007}").await;
    browser.wait().for_element(Locator::Css(".queue-head")).await.expect("the queue");
    let stored = "SELECT count(*) FROM demonstrations WHERE completion = 'At work, and much more at home'";
    assert_eq!((count(server.pool(), labels).await, count(server.pool(), stored).await), (1, 1));
    browser.close().await;
}

/// A slow connection: the draft has arrived, and its page has not heard of that.
#[tokio::test]
async fn what_a_page_has_just_sent_to_be_saved_is_its_own_though_nothing_is_rated_in_it() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    seed::ranking_task(&server.state, project, "Which?", &["first", "second"]).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let task = format!("/tasks/{}", assignment_in(ada.post("/queue/next", &[]).await.leads_to()));
    // As a script reads the form: with its scale.
    let scale = r#"{"lowest":1,"highest":7}"#;
    let draft = json!({ "scale": scale, "rank_0": "1", "rating_0": "", "rating_1": "", "note": "", "seconds": "1" });
    ada.json(Method::PUT, &format!("{task}/draft?base=0"), &draft).await.assert(200);
    let submit = async |own: &str| {
        let token = ada.csrf().await;
        let ranks = [("rank_0", "1"), ("rank_1", "2"), ("scale", scale)];
        let form = [&ranks[..], &[("base", "0"), ("own", own), ("then", "queue"), ("csrf", token.as_str())]].concat();
        let request = ada.request(Method::POST, &format!("{task}/submit"));
        ada.send(request.header("accept", "application/json").form(&form)).await
    };
    submit(&json!({ "scale": scale, "rank_1": "1" }).to_string()).await.assert(409).assert_contains("newer-draft");
    submit(&draft.to_string()).await.assert(200);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM rankings").await, 1);
}

#[tokio::test]
async fn whoever_takes_another_draft_while_a_submission_waits_has_not_submitted() {
    let server = opened().await;
    let (browser, home, address) = at_two_computers(&server).await;
    keep(&home, address.path(), (0, ""), "At home").await;
    browser.goto(&format!("{}/queue", server.address)).await.expect("elsewhere");
    browser.goto(address.as_str()).await.expect("the task");
    let take = "[data-other-draft] button:not([data-discard])";
    let button = browser.wait().for_element(Locator::Css(take)).await.expect("offered");
    // Only after a while is it known that the server is away.
    let away = "window.real = window.fetch; const failed = new TypeError('away');
        window.fetch = () => new Promise((_, fail) => setTimeout(fail, 3000, failed))";
    browser.execute(away, Vec::new()).await.expect("run");
    let told = async |words: &str| {
        let place = format!("//*[@id='task-error'][not(@hidden)][contains(., '{words}')]");
        browser.wait().for_element(Locator::XPath(&place)).await.expect(words);
    };
    browser.fill("#completion", "\u{E009}\u{E007}").await;
    browser.wait().for_element(Locator::Css("#task[inert]")).await.expect("on its way");
    let locked = "return document.querySelector('[data-other-draft]').inert";
    assert_eq!(browser.execute(locked, Vec::new()).await.expect("read"), true, "it goes as it was");
    told("You are offline").await;
    button.click().await.expect("pressed");
    told("You have changed it").await;
    // Nor is it sent once the server is back: what stands in the form now is not what was submitted.
    let back = "window.fetch = window.real; window.dispatchEvent(new Event('online'))";
    browser.execute(back, Vec::new()).await.expect("run");
    settled(&server).await;
    assert_eq!(count(server.pool(), "SELECT count(*) FROM demonstrations").await, 0);
    let field = browser.find(Locator::Id("completion")).await.expect("the field");
    assert_eq!(field.prop("value").await.expect("read").as_deref(), Some("At work"));
    browser.close().await;
}

/// The draft that a page without a script says it had before it.
fn base_in(page: &str) -> String {
    let field = page.split(r#"name="base" value=""#).nth(1).and_then(|rest| rest.split('"').next());
    field.expect("a base").to_owned()
}

#[tokio::test]
async fn a_look_at_the_text_without_a_script_displaces_what_another_computer_has_saved_and_does_not_lose_it() {
    let server = opened().await;
    let ada = server.user("Ada", Role::Annotator).await;
    let task = format!("/tasks/{}", assignment_in(ada.post("/queue/next", &[]).await.leads_to()));
    // Both pages were drawn before anything was typed.
    keep(&ada, &task, (0, ""), "At work").await;
    let preview = format!("{task}/preview");
    ada.post(&preview, &[("completion", "At home"), ("base", "0")]).await.assert(303);
    ada.get(&task).await.assert(200).assert_contains("At home</textarea>");
    assert_eq!(waiting(&ada, &task).await, ["At work"]);
    // The page that comes back has its own draft before it: looked at again, that waits beside nothing.
    let base = base_in(&ada.get(&task).await.assert(200).text);
    ada.post(&preview, &[("completion", "At home, at night"), ("base", &base)]).await.assert(303);
    assert_eq!(waiting(&ada, &task).await, ["At work"]);
}

#[tokio::test]
async fn a_look_from_a_page_that_explains_an_error_without_a_script_displaces_nothing_of_ones_own() {
    let server = opened().await;
    let ada = server.user("Ada", Role::Annotator).await;
    let task = format!("/tasks/{}", assignment_in(ada.post("/queue/next", &[]).await.leads_to()));
    let preview = format!("{task}/preview");
    let told = keep(&ada, &task, (0, ""), "At work").await;
    let mut base = saved_at(&told).to_string();
    for (way, text) in [("submit", "At work, by day"), ("skip", "At work, by night")] {
        // Nothing to submit, and no reason to skip.
        let sent = [("completion", " "), ("base", base.as_str())];
        let explained = ada.post(&format!("{task}/{way}"), &sent).await.assert(422).text;
        assert_eq!(base_in(&explained), base, "{way}");
        let state = if way == "skip" { "saved" } else { "none" };
        assert!(explained.contains(&format!(r#"data-draft-state data-state="{state}""#)), "{explained}");
        ada.post(&preview, &[("completion", text), ("base", &base)]).await.assert(303);
        let page = ada.get(&task).await.assert(200);
        page.assert_contains(&format!("{text}</textarea>"));
        assert!(waiting(&ada, &task).await.is_empty(), "{way}");
        base = base_in(&page.text);
    }
}
