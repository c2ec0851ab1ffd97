//! Nothing that somebody has typed is lost, and nothing is said to be stored that is not.

use fantoccini::Locator;
use laurel::domain::role::Role;

use super::{left_the_task, take_next};
use crate::support::{
    Browser, PASSWORD, Server,
    seed::{self, Seed, count},
    server,
};

/// Ctrl+Enter as WebDriver names it.
const SUBMIT: &str = "\u{E009}\u{E007}";
const ESCAPE: &str = "\u{E00C}";
const F1: &str = "\u{E031}";
const F2: &str = "\u{E032}";

/// The server is away: every request fails at once.
const AWAY: &str = "window.real ??= window.fetch; window.fetch = () => Promise.reject(new TypeError('away'))";
/// It is back, and no event of the browser's says so.
const BACK: &str = "window.fetch = window.real";

/// A server with one task to write, and Ada's browser.
async fn opened(seed: Seed<'_>) -> (Server, Browser) {
    let server = server().await;
    let project = seed::project(server.pool(), seed).await;
    seed::demonstration_task(&server.state, project, "Write a poem.").await;
    server.account("Ada", Role::Annotator).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    (server, browser)
}

async fn run(browser: &Browser, script: &str) -> serde_json::Value {
    browser.execute(script, Vec::new()).await.expect("run")
}

/// The text of the writing place.
async fn written(browser: &Browser) -> String {
    let field = browser.wait().for_element(Locator::Id("completion")).await.expect("the field");
    field.prop("value").await.expect("read").unwrap_or_default()
}

/// The words of a part of the page, once it is there.
async fn words(browser: &Browser, selector: &str) -> String {
    let part = browser.wait().for_element(Locator::Css(selector)).await.expect(selector);
    part.text().await.expect("read")
}

async fn press(browser: &Browser, selector: &str) {
    let button = browser.wait().for_element(Locator::Css(selector)).await.expect(selector);
    button.click().await.expect("pressed");
}

async fn log_in_again(browser: &Browser) {
    browser.fill("input[name=email]", "ada@example.org").await;
    browser.fill("input[name=password]", PASSWORD).await;
    press(browser, "main button[type=submit]").await;
}

/// What stands for the only task, corrections taken into account.
async fn standing(server: &Server) -> String {
    sqlx::query_scalar("SELECT completion FROM current_demonstrations")
        .fetch_one(server.pool())
        .await
        .expect("a demonstration")
}

#[tokio::test]
async fn a_correction_that_is_half_done_survives_a_closed_tab_and_a_lost_session() {
    let (server, browser) = opened(Seed::default()).await;
    take_next(&server, &browser).await;
    browser.fill("#completion", &format!("Roses are red{SUBMIT}")).await;
    press(&browser, ".after a").await;
    press(&browser, "a[href$='/correct']").await;
    let address = browser.current_url().await.expect("an address");
    browser.fill("#completion", ", violets").await;
    browser.saved().await;
    // The tab is closed; what was submitted says that something was begun on it.
    browser.goto(&format!("{}/queue", server.address)).await.expect("elsewhere");
    browser.goto(address.as_str().trim_end_matches("/correct")).await.expect("the task");
    assert!(words(&browser, "[data-beside]").await.contains("begun a correction"));
    press(&browser, "[data-beside] a").await;
    assert_eq!(written(&browser).await, "Roses are red, violets");
    // The session ends before it is saved.
    sqlx::query("DELETE FROM sessions").execute(server.pool()).await.expect("ended");
    browser.fill("#completion", &format!(" are blue{SUBMIT}")).await;
    press(&browser, "#task-error a").await;
    log_in_again(&browser).await;
    assert_eq!(written(&browser).await, "Roses are red, violets are blue");
    press(&browser, "[data-submit]").await;
    browser.wait().for_element(Locator::Css(".versions")).await.expect("two versions");
    assert_eq!(standing(&server).await, "Roses are red, violets are blue");
    assert_eq!(count(server.pool(), "SELECT count(*) FROM drafts").await, 0);
    assert!(browser.find_all(Locator::Css("[data-beside]")).await.expect("looked").is_empty(), "it is saved");
    browser.close().await;
}

#[tokio::test]
async fn a_correction_that_is_typed_while_the_server_is_away_is_kept_here_and_discarded_everywhere() {
    let (server, browser) = opened(Seed::default()).await;
    let pool = server.pool();
    take_next(&server, &browser).await;
    browser.fill("#completion", &format!("Roses are red{SUBMIT}")).await;
    press(&browser, ".after a").await;
    press(&browser, "a[href$='/correct']").await;
    browser.wait().for_element(Locator::Id("completion")).await.expect("the field");
    run(&browser, AWAY).await;
    browser.fill("#completion", ", violets").await;
    browser.wait().for_element(Locator::Css("[data-draft-state][data-state=offline]")).await.expect("told");
    assert_eq!(count(pool, "SELECT count(*) FROM drafts").await, 0);
    // Opened again, it goes to the server.
    browser.refresh().await.expect("reloaded");
    assert_eq!(written(&browser).await, "Roses are red, violets");
    browser.wait().for_element(Locator::Css("[data-draft-state][data-state=saved]")).await.expect("caught up");
    assert_eq!(count(pool, "SELECT count(*) FROM drafts WHERE replaces IS NOT NULL").await, 1);
    // Left as it was, and then discarded: it is gone here and there.
    press(&browser, ".task-actions a.button").await;
    press(&browser, "[data-beside] button").await;
    browser.wait().for_element(Locator::Css("main:not(:has([data-beside]))")).await.expect("gone");
    assert_eq!(count(pool, "SELECT count(*) FROM drafts").await, 0);
    press(&browser, "a[href$='/correct']").await;
    assert_eq!(written(&browser).await, "Roses are red");
    browser.close().await;
}

#[tokio::test]
async fn why_a_task_is_skipped_survives_a_closed_tab_and_a_lost_session() {
    let (server, browser) = opened(Seed::default()).await;
    take_next(&server, &browser).await;
    let address = browser.current_url().await.expect("an address");
    let kept = "return Object.keys(localStorage).filter((key) => key.startsWith('laurel.skip.')).length";
    press(&browser, ".drop summary").await;
    press(&browser, "#skip label:has([value=report])").await;
    browser.fill("#skip-detail", "It asks for a break-in").await;
    assert_eq!(run(&browser, kept).await, 1);
    // The tab is closed: the form is open again, with what was typed.
    browser.goto(&format!("{}/queue", server.address)).await.expect("elsewhere");
    browser.goto(address.as_str()).await.expect("the task");
    let typed = async || {
        let field = browser.wait().for_element(Locator::Css(".drop[open] #skip-detail")).await.expect("open again");
        let chosen = run(&browser, "return document.querySelector('#skip :checked')?.value").await;
        assert_eq!(chosen, "report");
        field.prop("value").await.expect("read").unwrap_or_default()
    };
    assert_eq!(typed().await, "It asks for a break-in");
    // The session ends before it is sent.
    sqlx::query("DELETE FROM sessions").execute(server.pool()).await.expect("ended");
    browser.fill("#skip-detail", " at night").await;
    run(&browser, AWAY).await;
    press(&browser, "#skip button[type=submit]").await;
    assert!(words(&browser, "#skip-error:not([hidden])").await.contains("does not answer"));
    // Closed while that waits, the form opens again to say what came of it.
    browser.press(ESCAPE).await;
    run(&browser, BACK).await;
    browser.wait().for_element(Locator::Css("#skip-error a")).await.expect("told to log in again");
    press(&browser, "#skip-error a").await;
    log_in_again(&browser).await;
    assert_eq!(typed().await, "It asks for a break-in at night");
    // The keys that submit, in this form, skip.
    browser.fill("#skip-detail", SUBMIT).await;
    left_the_task(&browser).await;
    let reason: String = sqlx::query_scalar("SELECT skip_reason FROM assignments WHERE state = 'skipped'")
        .fetch_one(server.pool())
        .await
        .expect("a reason");
    assert_eq!(reason, "report: It asks for a break-in at night");
    assert_eq!(run(&browser, kept).await, 0, "it is stored");
    browser.close().await;
}

#[tokio::test]
async fn a_submission_that_waits_is_sent_once_the_server_is_back_and_not_after_it_was_changed() {
    let (server, browser) = opened(Seed::default()).await;
    take_next(&server, &browser).await;
    run(&browser, AWAY).await;
    browser.fill("#completion", &format!("Half a poem{SUBMIT}")).await;
    assert!(words(&browser, "#task-error:not([hidden])").await.contains("does not answer"));
    // Whoever goes on writing has not submitted that.
    browser.fill("#completion", ", and").await;
    assert!(words(&browser, "#task-error:not([hidden])").await.contains("not sent by itself"));
    run(&browser, BACK).await;
    browser.wait().for_element(Locator::Css("[data-draft-state][data-state=saved]")).await.expect("saved as a draft");
    assert_eq!(count(server.pool(), "SELECT count(*) FROM demonstrations").await, 0);
    assert_eq!(written(&browser).await, "Half a poem, and");
    // A server that hangs is one that is away, and the form can be worked on again.
    let hangs = "window.fetch = (_, { signal }) => new Promise((_, lost) => signal.addEventListener('abort', () => lost(signal.reason)));
        window.patience = AbortSignal.timeout; AbortSignal.timeout = () => window.patience.call(AbortSignal, 50)";
    run(&browser, hangs).await;
    browser.fill("#completion", &format!(" another half{SUBMIT}")).await;
    assert!(words(&browser, "#task-error:not([hidden])").await.contains("does not answer"));
    run(&browser, "AbortSignal.timeout = window.patience").await;
    run(&browser, BACK).await;
    left_the_task(&browser).await;
    assert_eq!(standing(&server).await, "Half a poem, and another half");
    browser.close().await;
}

#[tokio::test]
async fn a_slow_submit_says_that_it_is_on_its_way_and_takes_no_more_words() {
    let (server, browser) = opened(Seed::default()).await;
    take_next(&server, &browser).await;
    let slow = "window.real = window.fetch; window.fetch = (...of) => new Promise((go) => { window.go = () => go(window.real(...of)); })";
    browser.fill("#completion", "A poem").await;
    browser.saved().await;
    run(&browser, slow).await;
    press(&browser, "[data-submit]").await;
    assert_eq!(words(&browser, "[data-draft-state][data-state=sending]").await, "Sending…");
    assert_eq!(run(&browser, "return document.getElementById('task').inert").await, true);
    run(&browser, "window.fetch = window.real; window.go()").await;
    left_the_task(&browser).await;
    assert_eq!(standing(&server).await, "A poem");
    browser.close().await;
}

#[tokio::test]
async fn of_two_computers_the_second_is_told_that_the_first_has_submitted_and_corrects_with_its_text() {
    let (server, work) = opened(Seed::default()).await;
    take_next(&server, &work).await;
    let address = work.current_url().await.expect("an address");
    let home = Browser::open().await;
    home.log_in(&server.address, "ada@example.org", PASSWORD).await;
    home.goto(address.as_str()).await.expect("the task");
    home.wait().for_element(Locator::Id("completion")).await.expect("the field");
    // At home the connection is lost while she writes, and at work she submits something else.
    run(&home, AWAY).await;
    home.fill("#completion", "Written at home").await;
    home.wait().for_element(Locator::Css("[data-draft-state][data-state=offline]")).await.expect("told");
    work.fill("#completion", &format!("Written at work{SUBMIT}")).await;
    left_the_task(&work).await;
    // The autosave learns of it: the text stays where it is.
    run(&home, BACK).await;
    assert!(words(&home, "[data-beside]").await.contains("is not stored"));
    assert_eq!(written(&home).await, "Written at home");
    home.fill("#completion", ", and longer").await;
    // So does a submit.
    run(&home, "document.querySelector('[data-beside]').remove()").await;
    press(&home, "[data-submit]").await;
    assert!(words(&home, "[data-beside]").await.contains("is not stored"));
    assert_eq!(standing(&server).await, "Written at work");
    press(&home, "[data-beside] a").await;
    home.wait().for_element(Locator::Css("form#task[data-correcting]")).await.expect("a correction");
    assert_eq!(written(&home).await, "Written at home, and longer");
    // What was submitted is one press away, and so is this again.
    press(&home, "[data-other-draft] button").await;
    assert_eq!(written(&home).await, "Written at work");
    press(&home, "[data-other-draft] button").await;
    press(&home, "[data-submit]").await;
    home.wait().for_element(Locator::Css(".versions")).await.expect("two versions");
    assert_eq!(standing(&server).await, "Written at home, and longer");
    home.close().await;
    work.close().await;
}

#[tokio::test]
async fn a_text_of_a_closed_tab_is_found_on_the_task_that_was_submitted_elsewhere() {
    let (server, work) = opened(Seed::default()).await;
    take_next(&server, &work).await;
    let address = work.current_url().await.expect("an address");
    run(&work, AWAY).await;
    work.fill("#completion", "Never sent").await;
    work.wait().for_element(Locator::Css("[data-draft-state][data-state=offline]")).await.expect("told");
    work.goto(&format!("{}/queue", server.address)).await.expect("closed");
    let client = server.client();
    client.log_in("ada@example.org", PASSWORD).await;
    client.post(&format!("{}/submit", address.path()), &[("completion", "Sent")]).await.assert(303);
    work.goto(address.as_str()).await.expect("the task");
    press(&work, "[data-beside] a").await;
    assert_eq!(written(&work).await, "Never sent");
    work.close().await;
}

#[tokio::test]
async fn guidelines_and_source_are_a_key_away_while_one_writes_and_escape_gives_the_keys_back() {
    let (server, browser) = opened(Seed { guidelines: Some("Be kind."), ..Seed::default() }).await;
    seed::everyone_has_read(server.pool()).await;
    take_next(&server, &browser).await;
    browser.fill("#completion", &format!("A poem{F1}")).await;
    assert!(words(&browser, "#guidelines:popover-open").await.contains("Be kind."));
    // The first Escape closes them, the second leaves the field.
    browser.press(ESCAPE).await;
    assert_eq!(run(&browser, "return document.querySelector(':popover-open')").await, serde_json::Value::Null);
    browser.press(F2).await;
    browser.wait().for_element(Locator::Css(".source-box[open]")).await.expect("the source");
    assert_eq!(run(&browser, "return document.activeElement.id").await, "completion");
    browser.press(ESCAPE).await;
    browser.press("g").await;
    browser.wait().for_element(Locator::Css("#guidelines:popover-open")).await.expect("a single key again");
    assert_eq!(written(&browser).await, "A poem");
    browser.close().await;
}

#[tokio::test]
async fn what_no_place_keeps_is_not_said_to_be_kept() {
    let (server, browser) = opened(Seed::default()).await;
    take_next(&server, &browser).await;
    run(&browser, "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }").await;
    run(&browser, AWAY).await;
    browser.fill("#completion", "A poem").await;
    let told = words(&browser, "[data-draft-state][data-state=offline]").await;
    assert!(told.contains("Not kept"), "{told}");
    // Nor is it where the session has ended; the page stays open while one logs in again.
    sqlx::query("DELETE FROM sessions").execute(server.pool()).await.expect("ended");
    run(&browser, BACK).await;
    browser.fill("#completion", " of bees").await;
    let told = words(&browser, "[data-draft-state][data-state=login]").await;
    assert!(told.contains("Not kept"), "{told}");
    browser.fill("#completion", SUBMIT).await;
    let told = words(&browser, "#task-error:not([hidden])").await;
    assert!(told.contains("Not kept"), "{told}");
    browser.wait().for_element(Locator::Css("#task-error a[target=_blank]")).await.expect("a link beside the page");
    browser.close().await;
}

#[tokio::test]
async fn an_escape_of_an_input_method_or_of_a_sheet_leaves_the_skip_form_open() {
    let (server, browser) = opened(Seed { guidelines: Some("Be kind."), ..Seed::default() }).await;
    seed::everyone_has_read(server.pool()).await;
    take_next(&server, &browser).await;
    press(&browser, ".drop summary").await;
    let field = "document.getElementById('skip-detail')";
    let composing = "new KeyboardEvent('keydown', { key: 'Escape', isComposing: true, bubbles: true })";
    run(&browser, &format!("{field}.focus(); {field}.dispatchEvent({composing})")).await;
    let open = "return document.querySelector('.drop').open";
    assert_eq!(run(&browser, open).await, true);
    browser.press(&format!("{F1}{ESCAPE}")).await;
    assert_eq!(run(&browser, open).await, true);
    browser.press(ESCAPE).await;
    assert_eq!(run(&browser, open).await, false);
    browser.close().await;
}

#[tokio::test]
async fn single_keys_are_switched_off_for_every_page() {
    let (server, browser) = opened(Seed::default()).await;
    // Whether the page takes a key for itself.
    let taken = "return !document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'n', bubbles: true, cancelable: true }))";
    browser.goto(&format!("{}/account", server.address)).await.expect("the account");
    press(&browser, "#single-keys").await;
    browser.goto(&format!("{}/queue", server.address)).await.expect("the queue");
    browser.wait().for_element(Locator::Id("next")).await.expect("a button");
    assert_eq!(run(&browser, taken).await, false);
    browser.goto(&format!("{}/account", server.address)).await.expect("the account");
    assert_eq!(run(&browser, "return document.getElementById('single-keys').checked").await, false);
    press(&browser, "#single-keys").await;
    browser.goto(&format!("{}/queue", server.address)).await.expect("the queue");
    browser.wait().for_element(Locator::Id("next")).await.expect("a button");
    assert_eq!(run(&browser, taken).await, true);
    browser.close().await;
}

#[tokio::test]
async fn the_list_of_ones_labels_goes_back_to_the_first() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    for number in 0..14 {
        seed::demonstration_task(&server.state, project, &format!("Write number {number}.")).await;
    }
    let ada = server.user("Ada", Role::Annotator).await;
    let mut place = ada.post("/queue/next", &[]).await.leads_to().to_owned();
    for number in 0..14 {
        let task = place.split('?').next().expect("a path").to_owned();
        let (what, form) = match number {
            3 => ("skip", [("reason", "unclear")]),
            _ => ("submit", [("completion", "x")]),
        };
        place = ada.post(&format!("{task}/{what}"), &form).await.leads_to().to_owned();
    }
    let listed = |page: &str| -> Vec<u32> {
        let list = page.split("id=\"recent\"").nth(1).expect("a list").split("</section>").next().expect("its end");
        let prompts = list.split("Write number ").skip(1);
        prompts.map(|rest| rest.split('.').next().expect("a number").parse().expect("a number")).collect()
    };
    let first = ada.get("/queue").await.assert(200);
    assert_eq!(listed(&first.text), (4..14).rev().collect::<Vec<_>>(), "labels, and not what was skipped");
    first.assert_contains("Tasks that you skipped");
    let older = first.text.split("/queue?before=").nth(1).expect("a link").split('#').next().expect("an id");
    let second = ada.get(&format!("/queue?before={older}")).await.assert(200);
    assert_eq!(listed(&second.text), [2, 1, 0]);
    assert!(!second.text.contains("href=\"/queue?before="), "there is nothing older");
}
