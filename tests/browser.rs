//! The annotators' pages in a real Chromium: what people do, and what is stored.

mod support;

use std::{collections::BTreeMap, time::Duration};

use fantoccini::{
    Locator,
    actions::{InputSource, MouseActions, PointerAction},
};
use laurel::domain::role::Role;
use serde_json::json;
use support::{
    Browser, PASSWORD, Server,
    seed::{self, Seed, count},
    server,
};

/// Enter, Backspace and the arrow keys as WebDriver names them.
const ENTER: &str = "\u{E007}";
const BACKSPACE: &str = "\u{E003}";
const UP: &str = "\u{E013}";

/// A server, and a browser in which Ada is logged in.
async fn opened() -> (Server, uuid::Uuid, Browser) {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    server.account("Ada", Role::Annotator).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    (server, project, browser)
}

/// Presses the queue's button and waits for the task.
async fn take_next(server: &Server, browser: &Browser) {
    browser.goto(&format!("{}/queue", server.address)).await.expect("the queue");
    browser.press("n").await;
    browser.wait().for_element(Locator::Css("form#task")).await.expect("a task");
}

/// Waits until the ranking page's script has drawn its order.
async fn order_drawn(browser: &Browser) {
    browser.wait().for_element(Locator::Css(".chip")).await.expect("the order is drawn");
}

/// The stored ranks by the answers' texts.
async fn stored(server: &Server) -> BTreeMap<String, i32> {
    sqlx::query_as::<_, (String, i32)>(
        "SELECT r.content, answer.rank FROM ranking_responses answer JOIN responses r ON r.id = answer.response_id",
    )
    .fetch_all(server.pool())
    .await
    .expect("ranks")
    .into_iter()
    .collect()
}

async fn left_the_task(browser: &Browser) {
    browser.wait().for_element(Locator::Css(".queue-head")).await.expect("the queue again");
}

#[tokio::test]
async fn four_answers_are_ranked_with_five_keys_and_stored_as_ranked() {
    let (server, project, browser) = opened().await;
    seed::ranking_task(&server.state, project, "Which is best?", &["one", "two", "three", "four"]).await;
    take_next(&server, &browser).await;
    order_drawn(&browser).await;
    let text = browser.answers_by_letter().await;
    browser.press(&format!("CADB{ENTER}")).await;
    left_the_task(&browser).await;
    let wanted: BTreeMap<String, i32> =
        "CADB".chars().zip(1..).map(|(letter, rank)| (text[&letter].clone(), rank)).collect();
    assert_eq!(stored(&server).await, wanted);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM comparisons").await, 6);
    browser.close().await;
}

#[tokio::test]
async fn ties_undo_and_arrows_store_what_the_page_shows() {
    let (server, project, browser) = opened().await;
    seed::ranking_task(&server.state, project, "Which is best?", &["one", "two", "three", "four"]).await;
    take_next(&server, &browser).await;
    order_drawn(&browser).await;
    let text = browser.answers_by_letter().await;
    // Not all are ranked: Enter says which are missing, and sends nothing.
    browser.press(&format!("D{ENTER}")).await;
    let error = browser.find(Locator::Id("task-error")).await.expect("a place for errors");
    assert_eq!(error.text().await.expect("read"), "Not ranked yet: A, B, C");
    // Who hears the page hears it each time: to screen readers the same words once more are no change.
    let said = "return document.querySelector('[data-announce]').textContent";
    let first = browser.execute(said, Vec::new()).await.expect("read");
    browser.press(ENTER).await;
    let second = browser.execute(said, Vec::new()).await.expect("read");
    assert_ne!(first, second);
    assert_eq!(second.as_str().map(str::trim_end), first.as_str());
    // D, then B = A by formula, the sign taken back and given again; C is put last, undone, put last again and moved up beside
    // nobody: D, C, A = B.
    browser.press(&format!("b={BACKSPACE}=ac{BACKSPACE}c{UP}")).await;
    let tiers = browser.find(Locator::Css("[data-tiers]")).await.expect("the order").text().await.expect("read");
    let letters: String = tiers.chars().filter(|letter| "ABCD".contains(*letter)).collect();
    assert_eq!(letters, "DCBA", "{tiers}");
    browser.press(ENTER).await;
    left_the_task(&browser).await;
    let wanted: BTreeMap<String, i32> =
        [('D', 1), ('C', 2), ('B', 3), ('A', 3)].map(|(letter, rank)| (text[&letter].clone(), rank)).into();
    assert_eq!(stored(&server).await, wanted);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM comparisons").await, 5);
    browser.close().await;
}

/// Runs in the page: where in the window the points lie that are so far down in the middle of these things.
const POINTS: &str = "return [...arguments].map(([selector, down]) => {
    const box = document.querySelector(selector).getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height * down];
});";

/// Drags from the middle of one thing to a point of another, as a mouse does.
async fn drag(browser: &Browser, from: &str, to: &str, down: f64) {
    let points = browser.execute(POINTS, vec![json!([from, 0.5]), json!([to, down])]).await.expect("both are there");
    let [start, end]: [(f64, f64); 2] = serde_json::from_value(points).expect("two points");
    let moved = |(x, y): (f64, f64), milliseconds: u64| PointerAction::MoveTo {
        duration: Some(Duration::from_millis(milliseconds)),
        x,
        y,
    };
    let actions = MouseActions::new("mouse".to_owned())
        .then(moved(start, 0))
        .then(PointerAction::Down { button: 0 })
        .then(moved((start.0 + 10.0, start.1 + 10.0), 30))
        .then(moved(end, 80))
        .then(PointerAction::Up { button: 0 });
    browser.perform_actions(actions).await.expect("dragged");
}

#[tokio::test]
async fn four_answers_are_dragged_into_order_and_onto_each_other() {
    let (server, project, browser) = opened().await;
    seed::ranking_task(&server.state, project, "Which is best?", &["one", "two", "three", "four"]).await;
    take_next(&server, &browser).await;
    order_drawn(&browser).await;
    let text = browser.answers_by_letter().await;
    let card = |letter: char| format!("article[data-letter='{letter}'] .letter");
    // B onto the empty order, A from its card above it, C onto A, D below all: A = C, then B, then D.
    drag(&browser, &card('B'), "[data-tiers]", 0.5).await;
    browser.wait().for_element(Locator::Css(".tier")).await.expect("B is ranked");
    drag(&browser, &card('A'), ".tier:first-child", 0.08).await;
    browser.wait().for_element(Locator::Css(".tier:nth-child(2)")).await.expect("A is ranked");
    drag(&browser, ".pool .chip", ".tier:first-child", 0.5).await;
    browser.wait().for_element(Locator::Css(".tier:first-child .chip:nth-child(2)")).await.expect("C is tied");
    drag(&browser, ".pool .chip", ".tier:last-child", 0.92).await;
    browser.wait().for_element(Locator::Css(".tier:nth-child(3)")).await.expect("D is last");
    browser.find(Locator::Css("[data-submit]")).await.expect("a button").click().await.expect("pressed");
    left_the_task(&browser).await;
    let wanted: BTreeMap<String, i32> =
        [('A', 1), ('C', 1), ('B', 3), ('D', 4)].map(|(letter, rank)| (text[&letter].clone(), rank)).into();
    assert_eq!(stored(&server).await, wanted);
    browser.close().await;
}

#[tokio::test]
async fn buttons_alone_rank_and_a_half_done_order_survives_a_reload() {
    let (server, project, browser) = opened().await;
    seed::ranking_task(&server.state, project, "Which is best?", &["one", "two", "three"]).await;
    take_next(&server, &browser).await;
    order_drawn(&browser).await;
    let text = browser.answers_by_letter().await;
    let press = async |selector: &str| {
        browser.find(Locator::Css(selector)).await.expect(selector).click().await.expect("pressed");
    };
    press("article[data-letter='C'] [data-place]").await;
    press("article[data-letter='A'] [data-place]").await;
    browser.saved().await;
    browser.refresh().await.expect("reloaded");
    browser.wait().for_element(Locator::Css(".tier:nth-child(2)")).await.expect("the order is there again");
    press("article[data-letter='B'] [data-place]").await;
    press("[data-action=up]").await;
    press("[data-submit]").await;
    left_the_task(&browser).await;
    let wanted: BTreeMap<String, i32> =
        [('C', 1), ('B', 2), ('A', 3)].map(|(letter, rank)| (text[&letter].clone(), rank)).into();
    assert_eq!(stored(&server).await, wanted);
    browser.close().await;
}

#[tokio::test]
async fn a_text_survives_a_reload_and_a_lost_session() {
    let (server, project, browser) = opened().await;
    seed::demonstration_task(&server.state, project, "Write a poem.").await;
    take_next(&server, &browser).await;
    browser.fill("#completion", "Roses are red").await;
    browser.saved().await;
    // A key that went down elsewhere and is still held writes nothing into the text; one that went down in it does.
    let held = "const text = document.getElementById('completion');
        const press = (place, repeat) =>
            place.dispatchEvent(new KeyboardEvent('keydown', { key: 'n', repeat, bubbles: true, cancelable: true }));
        press(document.body, false);
        const elsewhere = press(text, true);
        press(text, false);
        return [elsewhere, press(text, true)];";
    assert_eq!(browser.execute(held, Vec::new()).await.expect("held"), json!([false, true]));
    browser.refresh().await.expect("reloaded");
    let value = async || {
        let field = browser.wait().for_element(Locator::Id("completion")).await.expect("the field");
        field.prop("value").await.expect("read").unwrap_or_default()
    };
    assert_eq!(value().await, "Roses are red");
    // The session ends in the middle: the page says so, keeps the text, and has it after logging in again.
    sqlx::query("DELETE FROM sessions").execute(server.pool()).await.expect("ended");
    browser.fill("#completion", ", violets").await;
    let link = browser
        .wait()
        .for_element(Locator::Css("[data-draft-state][data-state=login] a"))
        .await
        .expect("told to log in again");
    link.click().await.expect("followed");
    browser.fill("input[name=email]", "ada@example.org").await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.find(Locator::Css("main button[type=submit]")).await.expect("a button").click().await.expect("pressed");
    browser.wait().for_element(Locator::Id("completion")).await.expect("the task again");
    assert_eq!(value().await, "Roses are red, violets");
    browser.wait().for_element(Locator::Css("[data-draft-state][data-state=saved]")).await.expect("caught up");
    // Ctrl+Enter submits.
    browser.fill("#completion", " are blue\u{E009}\u{E007}").await;
    left_the_task(&browser).await;
    let text: String = sqlx::query_scalar("SELECT completion FROM demonstrations")
        .fetch_one(server.pool())
        .await
        .expect("a demonstration");
    assert_eq!(text, "Roses are red, violets are blue");
    assert_eq!(count(server.pool(), "SELECT count(*) FROM drafts").await, 0);
    browser.close().await;
}

#[tokio::test]
async fn the_preview_shows_the_text_as_it_will_look() {
    let (server, project, browser) = opened().await;
    seed::demonstration_task(&server.state, project, "Write **boldly**.").await;
    take_next(&server, &browser).await;
    browser.fill("#completion", "so *very* bold").await;
    browser.find(Locator::Css("[data-preview]")).await.expect("a button").click().await.expect("pressed");
    let shown = browser.wait().for_element(Locator::Css("#preview:not([hidden]) em")).await.expect("a preview");
    assert_eq!(shown.text().await.expect("read"), "very");
    let length = browser.find(Locator::Css("[data-length]")).await.expect("a length").text().await.expect("read");
    assert_eq!(length, "3 words · 14 characters");
    browser.close().await;
}

/// Runs in the page: the first preview that is asked for from now on comes once `window.held` is called, with what was written then.
const HELD_BACK: &str = "window.real = window.fetch;
    window.fetch = (address, ...how) => {
      if (window.held || !address.endsWith('/preview')) return window.real(address, ...how);
      return new Promise((go) => {
        window.held = async () => {
          const answer = await window.real(address, ...how);
          go(answer.clone());
          await answer.text();
        };
      });
    }";

#[tokio::test]
async fn a_preview_that_comes_late_is_not_taken_for_the_newest() {
    let (server, project, browser) = opened().await;
    seed::demonstration_task(&server.state, project, "Write **boldly**.").await;
    take_next(&server, &browser).await;
    browser.fill("#completion", "first").await;
    browser.find(Locator::Css("[data-preview]")).await.expect("a button").click().await.expect("pressed");
    browser.wait().for_element(Locator::Css("#preview:not([hidden])")).await.expect("a preview");
    browser.execute(HELD_BACK, Vec::new()).await.expect("held back");
    browser.fill("#completion", " second").await;
    browser.until("return Boolean(window.held)", Vec::new()).await;
    browser.fill("#completion", " third").await;
    let shown = "return document.querySelector('[data-preview-body]').textContent.trim()";
    browser.until(&format!("{shown} === 'first second third'"), Vec::new()).await;
    let late = "const done = arguments[0]; window.held().then(() => setTimeout(done, 100))";
    browser.execute_async(late, Vec::new()).await.expect("come");
    assert_eq!(browser.execute(shown, Vec::new()).await.expect("read"), "first second third");
    browser.close().await;
}

#[tokio::test]
async fn offline_work_is_kept_in_the_browser_and_sent_when_the_server_is_back() {
    let (server, project, browser) = opened().await;
    seed::demonstration_task(&server.state, project, "Write a poem.").await;
    take_next(&server, &browser).await;
    let away = "window.real = window.fetch; window.fetch = () => Promise.reject(new TypeError('away'))";
    browser.execute(away, Vec::new()).await.expect("the server is away");
    browser.fill("#completion", "Written on a train").await;
    browser.wait().for_element(Locator::Css("[data-draft-state][data-state=offline]")).await.expect("told");
    assert_eq!(count(server.pool(), "SELECT count(*) FROM drafts").await, 0);
    // The tab is closed and opened again: the text was kept here, and goes to the server now.
    browser.refresh().await.expect("reloaded");
    let field = browser.wait().for_element(Locator::Id("completion")).await.expect("the field");
    browser.wait().for_element(Locator::Css("[data-draft-state][data-state=saved]")).await.expect("caught up");
    assert_eq!(field.prop("value").await.expect("read").as_deref(), Some("Written on a train"));
    assert_eq!(count(server.pool(), "SELECT count(*) FROM drafts").await, 1);
    // Submitted while away: sent by itself once the connection is back.
    browser.execute(away, Vec::new()).await.expect("the server is away");
    browser.find(Locator::Css("[data-submit]")).await.expect("a button").click().await.expect("pressed");
    let error = browser.wait().for_element(Locator::Css("#task-error:not([hidden])")).await.expect("told");
    assert!(error.text().await.expect("read").contains("You are offline"));
    let back = "window.fetch = window.real; window.dispatchEvent(new Event('online'))";
    browser.execute(back, Vec::new()).await.expect("the server is back");
    left_the_task(&browser).await;
    assert_eq!(
        count(server.pool(), "SELECT count(*) FROM demonstrations WHERE completion = 'Written on a train'").await,
        1
    );
    browser.close().await;
}

#[tokio::test]
async fn the_newest_of_two_computers_counts_and_the_other_text_is_not_lost() {
    let (server, project, browser) = opened().await;
    seed::demonstration_task(&server.state, project, "Write a poem.").await;
    take_next(&server, &browser).await;
    browser.fill("#completion", "At work").await;
    browser.saved().await;
    let address = browser.current_url().await.expect("an address");
    // At home the draft is there, and goes on.
    let home = Browser::open().await;
    home.log_in(&server.address, "ada@example.org", PASSWORD).await;
    home.goto(address.as_str()).await.expect("the task");
    let value = async |browser: &Browser| {
        let field = browser.wait().for_element(Locator::Id("completion")).await.expect("the field");
        field.prop("value").await.expect("read").unwrap_or_default()
    };
    assert_eq!(value(&home).await, "At work");
    home.fill("#completion", " and at home").await;
    stored_draft(&server, "At work and at home").await;
    // The tab that was left open at work knows nothing of it: what is written there last counts, with a word.
    browser.fill("#completion", " again").await;
    let word = browser.wait().for_element(Locator::Css("[data-other-draft] button")).await.expect("told");
    stored_draft(&server, "At work again").await;
    assert_eq!(value(&browser).await, "At work again");
    word.click().await.expect("pressed");
    assert_eq!(value(&browser).await, "At work and at home");
    stored_draft(&server, "At work and at home").await;
    home.close().await;
    browser.close().await;
}

/// Waits until the server has this text as the draft.
async fn stored_draft(server: &Server, wanted: &str) {
    for _ in 0..400 {
        let text: Option<String> = sqlx::query_scalar("SELECT body ->> 'completion' FROM drafts")
            .fetch_optional(server.pool())
            .await
            .expect("read")
            .flatten();
        if text.as_deref() == Some(wanted) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("“{wanted}” was never stored");
}

#[tokio::test]
async fn a_ranking_works_without_javascript() {
    let (server, project, browser) = opened().await;
    seed::ranking_task(&server.state, project, "Which is best?", &["one", "two", "three"]).await;
    take_next(&server, &browser).await;
    order_drawn(&browser).await;
    let text = browser.answers_by_letter().await;
    let address = browser.current_url().await.expect("an address");
    browser.close().await;
    // The same page in a browser that runs no scripts.
    let plain = Browser::open_without_scripts().await;
    plain.log_in_through_the_page(&server.address, "ada@example.org", PASSWORD).await;
    plain.goto(address.as_str()).await.expect("the task");
    // The driver may answer before the page is all there.
    plain.wait().for_element(Locator::Css("[data-submit]")).await.expect("the form's end");
    for (letter, rank) in [('B', 1), ('A', 2), ('C', 2)] {
        let choice = format!("article[data-letter='{letter}'] input[name^='rank_'][value='{rank}']");
        plain.find(Locator::Css(&choice)).await.expect("a choice").click().await.expect("chosen");
    }
    plain.find(Locator::Css("[data-submit]")).await.expect("a button").click().await.expect("pressed");
    left_the_task(&plain).await;
    let wanted: BTreeMap<String, i32> =
        [('B', 1), ('A', 2), ('C', 2)].map(|(letter, rank)| (text[&letter].clone(), rank)).into();
    assert_eq!(stored(&server).await, wanted);
    plain.close().await;
}
