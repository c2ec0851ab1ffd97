//! Corrections: a new version beside the old one, never counted twice, until the label is closed.

use fantoccini::Locator;
use laurel::{domain::role::Role, export::Kind};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ENTER, exported, left_the_task, take_next};
use crate::support::{
    Browser, Client, PASSWORD, Reply, Server,
    seed::{self, Seed, assignment_in, count},
    server,
};

/// The version that a correction's page names.
pub fn version(page: &Reply) -> String {
    let field = page.text.split(r#"name="version" value=""#).nth(1).expect("a version");
    field.split('"').next().expect("an id").to_owned()
}

#[tokio::test]
async fn a_ranking_is_corrected_as_a_new_version_and_exported_once() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    seed::ranking_task(&server.state, project, "Which?", &["first", "second"]).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let task = ada.post("/queue/next", &[]).await.leads_to().to_owned();
    let correct = format!("{task}/correct");
    // Nothing is submitted yet: nothing can be corrected.
    assert_eq!(ada.get(&correct).await.leads_to(), task);
    let first = [("rank_0", "1"), ("rank_1", "2"), ("rating_1", "5"), ("flag_1_opinion", "1"), ("note", "hm")];
    ada.post(&format!("{task}/submit"), &first).await.assert(303);
    ada.get("/queue").await.assert(200).assert_contains(&format!("href=\"{task}\""));
    ada.get(&task).await.assert(200).assert_contains(&format!("href=\"{correct}\""));
    // The form has what was sent.
    let page = ada.get(&correct).await.assert(200);
    for field in [r#"name="rank_1" value="2" checked"#, r#"name="rating_1" value="5" checked"#, "hm</textarea>"] {
        page.assert_contains(field);
    }
    page.assert_contains(r#"name="flag_1_opinion" value="1" checked"#);
    let version = version(&page);
    let second = [("rank_0", "2"), ("rank_1", "1"), ("version", &version)];
    ada.post(&correct, &[("rank_0", "2"), ("version", &version)]).await.assert(422).assert_contains("has no rank yet");
    // Sent twice: one new version.
    assert_eq!(ada.post(&correct, &second).await.leads_to(), task);
    ada.post(&correct, &second).await.assert(303);
    // With other ranks from a page that is older, even with those that stood there: refused, with what was sent on the page.
    for ranks in [["1", "1"], ["1", "2"]] {
        let stale = ada.post(&correct, &[("rank_0", ranks[0]), ("rank_1", ranks[1]), ("version", &version)]).await;
        stale.assert(409).assert_contains("Another version was saved meanwhile");
    }
    let rankings = exported(&server, Kind::Rankings).await;
    assert_eq!((rankings.len(), &rankings[0]["ranks"]), (1, &json!([2, 1])));
    assert_eq!(count(server.pool(), "SELECT count(*) FROM rankings").await, 2);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM rankings WHERE replaces_id IS NOT NULL").await, 1);
    assert_eq!(count(server.pool(), "SELECT labels::bigint FROM tasks").await, 1);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM comparisons").await, 1);
    ada.get(&task).await.assert(200).assert_contains("Earlier versions");
    // Somebody else's label is nobody else's.
    let bob = server.user("Bob", Role::Admin).await;
    bob.get(&correct).await.assert(404);
    bob.post(&correct, &second).await.assert(404);
}

#[tokio::test]
async fn a_ranking_is_not_corrected_while_a_reviewer_decides_about_it() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed::default()).await;
    seed::ranking_task(&server.state, project, "Which?", &["first", "second"]).await;
    let ada = server.user("Ada", Role::Annotator).await;
    server.user("Rosa", Role::Reviewer).await;
    let task = ada.post("/queue/next", &[]).await.leads_to().to_owned();
    ada.post(&format!("{task}/submit"), &[("rank_0", "1"), ("rank_1", "2")]).await.assert(303);
    let correct = format!("{task}/correct");
    let version = version(&ada.get(&correct).await.assert(200));
    let mut deciding = pool.begin().await.expect("a transaction");
    for sql in [
        "SELECT id FROM tasks FOR UPDATE",
        "INSERT INTO reviews (id, ranking_id, reviewer_id, verdict)
         SELECT gen_random_uuid(), r.id, u.id, 'rejected' FROM rankings r, users u WHERE u.email = 'rosa@example.org'",
    ] {
        sqlx::query(sql).execute(&mut *deciding).await.expect("done");
    }
    let decide = async {
        seed::until_somebody_waits(pool).await;
        deciding.commit().await.expect("decided");
    };
    let second = [("rank_0", "2"), ("rank_1", "1"), ("version", version.as_str())];
    let (corrected, ()) = tokio::join!(ada.post(&correct, &second), decide);
    corrected.assert(409);
    assert_eq!(count(pool, "SELECT count(*) FROM rankings").await, 1);
}

#[tokio::test]
async fn a_text_is_corrected_until_the_label_is_closed() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    seed::demonstration_task(&server.state, project, "Say hello.").await;
    let ada = server.user("Ada", Role::Annotator).await;
    let assignment = assignment_in(ada.post("/queue/next", &[]).await.leads_to());
    let task = format!("/tasks/{assignment}");
    let correct = format!("{task}/correct");
    ada.post(&format!("{task}/submit"), &[("completion", "Helo")]).await.assert(303);
    let page = ada.get(&correct).await.assert(200);
    page.assert_contains("Helo</textarea>");
    ada.post(&correct, &[("completion", "Hello"), ("version", &version(&page))]).await.assert(303);
    let page = ada.get(&correct).await.assert(200);
    let standing = version(&page);
    let texts = exported(&server, Kind::Demonstrations).await;
    assert_eq!((texts.len(), &texts[0]["completion"][0]["content"]), (1, &json!("Hello")));
    ada.get(&task).await.assert_contains("Earlier versions").assert_contains("Helo");
    // Whatever closes labels says so in one place; then the link is gone and the form is refused.
    sqlx::query("CREATE OR REPLACE FUNCTION may_be_corrected(label uuid) RETURNS boolean LANGUAGE sql RETURN false")
        .execute(server.pool())
        .await
        .expect("closed");
    assert!(!ada.get(&task).await.text.contains(&correct), "the link is still there");
    assert_eq!(ada.get(&correct).await.leads_to(), task);
    ada.post(&correct, &[("completion", "Hi"), ("version", &standing)]).await.assert(409);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM demonstrations").await, 2);
}

/// A server on which Ada has written “Helo”; she, and the task's address.
async fn written() -> (Server, Client, String) {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    seed::demonstration_task(&server.state, project, "Say hello.").await;
    let ada = server.user("Ada", Role::Annotator).await;
    let task = format!("/tasks/{}", assignment_in(ada.post("/queue/next", &[]).await.leads_to()));
    ada.post(&format!("{task}/submit"), &[("completion", "Helo")]).await.assert(303);
    (server, ada, task)
}

/// Saves what is typed so far as a correction of a version, as its page does.
async fn keep(client: &Client, task: &str, version: &str, base: i64, fields: &Value) -> Reply {
    client.json(Method::PUT, &format!("{task}/draft?base={base}&version={version}"), fields).await
}

/// What a script is told.
fn told(reply: &Reply) -> Value {
    serde_json::from_str(&reply.text).expect("JSON")
}

fn saved_at(reply: &Reply) -> i64 {
    told(reply)["saved_at"].as_i64().expect("milliseconds")
}

#[tokio::test]
async fn a_text_that_is_half_corrected_is_found_on_another_computer_until_it_is_saved() {
    let (server, ada, task) = written().await;
    let pool = server.pool();
    let correct = format!("{task}/correct");
    let first = version(&ada.get(&correct).await.assert(200));
    let typed = |text: &str| json!({ "completion": text, "seconds": "3", "version": "x", "base": "1" });
    let begun = saved_at(&keep(&ada, &task, &first, 0, &typed("Hello, wor")).await.assert(200));

    let home = server.client();
    home.log_in("ada@example.org", PASSWORD).await;
    home.get("/queue").await.assert(200).assert_contains("Unsaved correction");
    home.get(&task).await.assert(200).assert_contains("data-draft-of=").assert_contains("Hello, wor");
    let page = home.get(&correct).await.assert(200);
    page.assert_contains("Hello, wor</textarea>").assert_contains(r#"data-state="saved""#);
    page.assert_contains("the correction that you have begun");
    page.assert_contains(&format!(r#"name="base" value="{begun}""#));
    // Of two computers the newest counts, and whoever did not know of the other text is given it.
    keep(&home, &task, &first, begun, &typed("Hello, world")).await.assert(200);
    let reply = keep(&ada, &task, &first, begun, &typed("Hello you")).await.assert(200);
    assert_eq!(told(&reply)["displaced"]["completion"], "Hello, world");
    let last = saved_at(&reply);
    // It is Ada's alone, and no longer than a text may be.
    let bob = server.user("Bob", Role::Admin).await;
    keep(&bob, &task, &first, last, &typed("Mine")).await.assert(404);
    keep(&ada, &task, &first, last, &typed(&"x".repeat(200_001))).await.assert(422);
    // Without the version it is what came too late to be the label.
    ada.json(Method::PUT, &format!("{task}/draft"), &typed("Late")).await.assert(409);
    let body: Value = sqlx::query_scalar("SELECT body FROM drafts").fetch_one(pool).await.expect("one draft");
    assert_eq!(body, json!({ "completion": "Hello you", "seconds": "3" }));

    let base = last.to_string();
    let form = [("completion", "Hello you"), ("version", first.as_str()), ("base", base.as_str())];
    ada.post(&correct, &form).await.assert(303);
    assert_eq!(count(pool, "SELECT count(*) FROM drafts").await, 0);
    // An autosave that comes late brings nothing back, and is told what stands.
    let late = keep(&ada, &task, &first, last, &typed("Hello yo")).await.assert(409);
    assert_eq!(told(&late)["code"], "version-replaced");
    let second = version(&ada.get(&correct).await);
    assert_eq!(told(&late)["version"], second.as_str());
    // What says nothing new is no correction.
    assert_eq!(saved_at(&keep(&ada, &task, &second, 0, &typed("Hello you\n")).await.assert(200)), 0);
    assert_eq!(count(pool, "SELECT count(*) FROM drafts").await, 0);
    assert!(!ada.get("/queue").await.text.contains("Unsaved correction"));
}

#[tokio::test]
async fn a_correction_that_was_begun_on_an_earlier_version_is_offered_and_not_lost() {
    let (server, ada, task) = written().await;
    let pool = server.pool();
    let correct = format!("{task}/correct");
    let first = version(&ada.get(&correct).await.assert(200));
    let typed = |text: &str| json!({ "completion": text });
    let begun = saved_at(&keep(&ada, &task, &first, 0, &typed("Begun at home")).await.assert(200));
    // A page at work that was open before knows nothing of it, and saves something else.
    let form = [("completion", "Saved at work"), ("version", first.as_str()), ("base", "0")];
    ada.post(&correct, &form).await.assert(303);
    let page = ada.get(&correct).await.assert(200);
    page.assert_contains("Saved at work</textarea>").assert_contains(r#"data-state="none""#);
    page.assert_contains("data-older=").assert_contains("Begun at home");
    ada.get(&task).await.assert_contains("data-draft-of=").assert_contains("Begun at home");
    // Undone changes of this version are not that draft; a draft of this version takes its place, and keeps it beside.
    let second = version(&page);
    keep(&ada, &task, &second, begun, &typed("Saved at work")).await.assert(200);
    assert_eq!(count(pool, "SELECT count(*) FROM drafts WHERE body ->> 'completion' = 'Begun at home'").await, 1);
    let reply = keep(&ada, &task, &second, begun, &typed("Begun at work")).await.assert(200);
    assert_eq!(told(&reply)["displaced"], Value::Null, "its page had it");
    let beside = "SELECT count(*) FROM drafts WHERE displaced -> 0 -> 'fields' ->> 'completion' = 'Begun at home'";
    assert_eq!(count(pool, beside).await, 1);
    ada.get(&correct).await.assert_contains("data-displaced=").assert_contains("Begun at work</textarea>");

    // Reviewed meanwhile: nothing more is saved, and what was begun is still there to be read.
    sqlx::query("CREATE OR REPLACE FUNCTION may_be_corrected(label uuid) RETURNS boolean LANGUAGE sql RETURN false")
        .execute(pool)
        .await
        .expect("closed");
    let last = saved_at(&reply);
    keep(&ada, &task, &second, last, &typed("Begun at work, and")).await.assert(409);
    let page = ada.get(&task).await.assert(200);
    page.assert_contains("had begun a correction").assert_contains("data-draft-of=").assert_contains("Begun at work");
    // Discarded where something newer is not known of, it stays; else it is gone, and what waited beside it comes in its place.
    assert_eq!(saved_at(&keep(&ada, &task, &second, begun, &json!({})).await.assert(200)), last);
    let reply = keep(&ada, &task, &second, last, &json!({})).await.assert(200);
    assert_eq!(told(&reply)["displaced"]["completion"], "Begun at home");
    let page = ada.get(&task).await.assert(200);
    page.assert_contains(&format!(r#"data-draft-of="{first}""#)).assert_contains("Begun at home");
    assert_eq!(saved_at(&keep(&ada, &task, &first, saved_at(&reply), &json!({})).await.assert(200)), 0);
    assert_eq!(count(pool, "SELECT count(*) FROM drafts").await, 0);
}

/// The answers' texts as the order on the page has them, best first; ties in one.
async fn order_shown(browser: &Browser) -> Vec<String> {
    browser.wait().for_element(Locator::Css(".tier .chip")).await.expect("the order is drawn");
    let script = "return [...document.querySelectorAll('.tier')].map((tier) =>
        [...tier.querySelectorAll('.chip-text')].map((text) => text.textContent).sort().join(' = '))";
    serde_json::from_value(browser.execute(script, Vec::new()).await.expect("read")).expect("texts")
}

/// Opens what was submitted last, from the queue, and its correction.
async fn open_correction(browser: &Browser, address: &str) {
    browser.goto(&format!("{address}/queue")).await.expect("the queue");
    browser.tab_to("#recent a.work").await;
    browser.press(ENTER).await;
    browser.wait().for_element(Locator::Css("a[href$='/correct']")).await.expect("may be corrected");
    browser.tab_to("a[href$='/correct']").await;
    browser.press(ENTER).await;
    browser.wait().for_element(Locator::Css("form#task[data-correcting]")).await.expect("the form");
}

#[tokio::test]
async fn what_was_submitted_last_is_corrected_with_the_keys_alone() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    seed::ranking_task(&server.state, project, "Which?", &["one", "two", "three"]).await;
    server.account("Ada", Role::Annotator).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    take_next(&server, &browser).await;
    browser.wait().for_element(Locator::Css(".chip")).await.expect("drawn");
    let text = browser.answers_by_letter().await;
    let [a, b, c] = ['A', 'B', 'C'].map(|letter| text[&letter].clone());
    browser.press(&format!("b3ac{ENTER}")).await;
    left_the_task(&browser).await;

    // What she sent stands there. C, picked, goes up and is tied with B; the rating is another.
    open_correction(&browser, &server.address).await;
    assert_eq!(order_shown(&browser).await, [b.clone(), a.clone(), c.clone()]);
    assert_eq!(exported(&server, Kind::Rankings).await[0]["ratings"].as_array().map(Vec::len), Some(3));
    browser.press("c\u{E013}=b6").await;
    let mut tied = [b.clone(), c.clone()];
    tied.sort();
    assert_eq!(order_shown(&browser).await, [tied.join(" = "), a.clone()]);
    browser.press(ENTER).await;
    let earlier = browser.wait().for_element(Locator::Css(".version-order")).await.expect("the version before");
    assert!(!earlier.text().await.expect("text").is_empty());
    let rankings = exported(&server, Kind::Rankings).await;
    assert_eq!(rankings.len(), 1, "{rankings:#?}");
    let of = |field: &str| -> std::collections::BTreeMap<String, serde_json::Value> {
        let texts = rankings[0]["responses"].as_array().expect("answers").iter();
        let values = rankings[0][field].as_array().unwrap_or_else(|| panic!("no {field} in {rankings:#?}"));
        texts.map(|one| one["content"].as_str().expect("text").to_owned()).zip(values.iter().cloned()).collect()
    };
    let ranks = of("ranks");
    assert_eq!((&ranks[&a], &ranks[&b], &ranks[&c]), (&json!(3), &json!(1), &json!(1)));
    let ratings = of("ratings");
    assert_eq!((&ratings[&a], &ratings[&b], &ratings[&c]), (&json!(null), &json!(6), &json!(null)));

    // A text: left as it was by the way back, then replaced as a whole.
    seed::demonstration_task(&server.state, project, "Say hello.").await;
    take_next(&server, &browser).await;
    browser.fill("#completion", "Helo\u{E009}\u{E007}").await;
    left_the_task(&browser).await;
    open_correction(&browser, &server.address).await;
    browser.tab_to(".task-actions a.button").await;
    browser.press(ENTER).await;
    browser.wait().for_element(Locator::Css("a[href$='/correct']")).await.expect("what she submitted");
    assert_eq!(exported(&server, Kind::Demonstrations).await[0]["completion"][0]["content"], "Helo");
    open_correction(&browser, &server.address).await;
    browser.fill("#completion", "\u{E009}a\u{E009}Hello there\u{E009}\u{E007}").await;
    browser.wait().for_element(Locator::Css(".versions")).await.expect("two versions");
    let texts = exported(&server, Kind::Demonstrations).await;
    assert_eq!((texts.len(), &texts[0]["completion"][0]["content"]), (1, &json!("Hello there")));
    browser.close().await;
}

#[tokio::test]
async fn a_ranking_that_is_half_corrected_goes_on_in_another_browser_and_is_saved_once() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed::default()).await;
    seed::ranking_task(&server.state, project, "Which?", &["one", "two", "three"]).await;
    server.account("Ada", Role::Annotator).await;
    let work = Browser::open().await;
    work.log_in(&server.address, "ada@example.org", PASSWORD).await;
    take_next(&server, &work).await;
    work.wait().for_element(Locator::Css(".chip")).await.expect("drawn");
    let text = work.answers_by_letter().await;
    let [a, b, c] = ['A', 'B', 'C'].map(|letter| text[&letter].clone());
    work.press(&format!("abc{ENTER}")).await;
    left_the_task(&work).await;
    open_correction(&work, &server.address).await;
    assert_eq!(order_shown(&work).await, [a.clone(), b.clone(), c.clone()]);
    work.press("c\u{E013}").await;
    work.saved().await;

    let home = Browser::open().await;
    home.log_in(&server.address, "ada@example.org", PASSWORD).await;
    open_correction(&home, &server.address).await;
    assert_eq!(order_shown(&home).await, [a.clone(), c.clone(), b.clone()]);
    let saved = Locator::Css("[data-draft-state][data-state=saved]");
    home.wait().for_element(saved).await.expect("it is a draft");
    home.press(ENTER).await;
    home.wait().for_element(Locator::Css(".version-order")).await.expect("the version before");
    assert!(home.find_all(Locator::Css("[data-beside]")).await.expect("looked").is_empty(), "it is saved");
    assert_eq!(count(pool, "SELECT count(*) FROM drafts").await, 0);
    assert_eq!(count(pool, "SELECT count(*) FROM rankings").await, 2);
    let second: String = sqlx::query_scalar(
        "SELECT answer.content
         FROM current_rankings r
         JOIN ranking_responses given ON given.ranking_id = r.id
         JOIN responses answer ON answer.id = given.response_id
         WHERE given.rank = 2",
    )
    .fetch_one(pool)
    .await
    .expect("the second answer");
    assert_eq!(second, c);

    // The tab that is still open at work is told, and goes on from there.
    work.press("c\u{E013}").await;
    let error = work.wait().for_element(Locator::Css("#task-error:not([hidden])")).await.expect("told");
    assert!(error.text().await.expect("read").contains("Another version was saved meanwhile"));
    work.wait().for_element(saved).await.expect("a draft of the version that stands");
    work.press(ENTER).await;
    work.wait().for_element(Locator::Css(".versions li:nth-child(2)")).await.expect("two earlier versions");
    assert_eq!(count(pool, "SELECT count(*) FROM rankings").await, 3);
    assert_eq!(count(pool, "SELECT count(*) FROM drafts").await, 0);
    home.close().await;
    work.close().await;
}
