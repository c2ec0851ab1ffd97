//! The next task in a browser: it is on the screen as soon as one submits, and is worked on once that is stored.

use std::time::{Duration, Instant};

use fantoccini::Locator;
use laurel::{db::rehearsal, domain::role::Role};
use serde_json::json;

use super::writing;
use crate::support::{
    Browser, PASSWORD, Server,
    seed::{self, Seed, count},
    server,
};

/// Submissions that are timed.
const SUBMISSIONS: usize = 12;
/// Milliseconds from the key that submits to the next task on the screen, in the middle of them. A build that is not optimised has
/// room for what that costs, and for a machine that does other things.
const ON_SCREEN: f64 = if cfg!(debug_assertions) { 250.0 } else { 100.0 };
/// Connections that a server keeps ready for people.
const CONNECTIONS: u32 = 4;
/// Longest wait for what happens behind a page.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks for it: whoever asks without a pause takes the processor from what is waited for.
const PAUSE: Duration = Duration::from_millis(10);

/// Notes when Enter is pressed, when another task has been drawn, when that can be worked on, and how long the server took of that.
const STOPWATCH: &str = r#"
    const content = document.getElementById("content");
    const task = document.getElementById("task").dataset.assignment;
    const watch = window.watch = {
      from: 0, shown: 0, taken: 0,
      // The browser may note what it sent a moment after the answer is there.
      get server() {
        const sent = performance.getEntriesByType("resource").findLast((entry) => entry.name.endsWith(`${task}/submit`));
        return sent ? sent.responseEnd - sent.requestStart : 0;
      },
    };
    window.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !watch.from) watch.from = performance.now();
    }, { capture: true });
    const onceDrawn = (then) => requestAnimationFrame(() => setTimeout(() => then(performance.now() - watch.from)));
    let isShown = false;
    new MutationObserver((changes, observer) => {
      if (document.getElementById("task")?.dataset.assignment === task) return;
      if (!isShown) onceDrawn((after) => { watch.shown = after; });
      isShown = true;
      if ("underWay" in content.dataset) return;
      observer.disconnect();
      onceDrawn((after) => {
        watch.taken = after;
        watch.told?.(after);
      });
    }).observe(content, { childList: true, attributeFilter: ["data-under-way"] });
"#;

/// Waits until something is true in the page, and returns it.
async fn until(browser: &Browser, script: &str) -> serde_json::Value {
    browser.until(&format!("return ({script}) || null"), Vec::new()).await
}

/// Makes the connections ready, as a server does that people use.
async fn make_ready(server: &Server) {
    let mut held = Vec::new();
    for _ in 0..server.pool().size().max(CONNECTIONS) {
        let mut connection = server.pool().acquire().await.expect("a connection");
        rehearsal::run(&mut connection).await.expect("ready");
        held.push(connection);
    }
}

#[tokio::test]
async fn a_connection_that_is_made_ready_has_gone_through_a_submission_and_stored_nothing() {
    let server = writing(1).await;
    let mut connection = server.pool().acquire().await.expect("a connection");
    rehearsal::run(&mut connection).await.expect("ready");
    let prepared: Vec<String> = sqlx::query_scalar("SELECT statement FROM pg_prepared_statements")
        .fetch_all(&mut *connection)
        .await
        .expect("what is prepared");
    // The last of them is the one that looks for extra opinions.
    for part in ["UPDATE tasks SET labels", "INSERT INTO ranking_responses", "DELETE FROM drafts", "w.extra_opinion"] {
        assert!(prepared.iter().any(|statement| statement.contains(part)), "{part} is not in {prepared:#?}");
    }
    assert_eq!(count(server.pool(), "SELECT labels::bigint FROM tasks").await, 0);
}

/// Ada at a browser, with this many tasks of each kind, which take turns.
async fn two_kinds(of_each: usize) -> (Server, Browser) {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    for number in 0..of_each {
        seed::ranking_task(&server.state, project, &format!("Rank {number}."), &["one", "two", "three"]).await;
        seed::demonstration_task(&server.state, project, &format!("Write {number}.")).await;
    }
    server.account("Ada", Role::Annotator).await;
    make_ready(&server).await;
    let browser = Browser::open().await;
    browser.log_in_through_the_page(&server.address, "ada@example.org", PASSWORD).await;
    browser.press("n").await;
    (server, browser)
}

/// Does the task on the screen, a ranking or a text, once the next is there; gives the milliseconds from the key that submits until
/// the next task is drawn and until it can be worked on, and those that the server took of them.
async fn submit(server: &Server, browser: &Browser, round: usize) -> [f64; 3] {
    let kind = if round.is_multiple_of(2) { "ranking" } else { "demonstration" };
    browser.wait().for_element(Locator::Css(&format!("form#task[data-kind={kind}]"))).await.expect(kind);
    if kind == "ranking" {
        browser.wait().for_element(Locator::Css(".chip")).await.expect("the order is drawn");
    }
    until_ready(server, browser, round + 2).await;
    browser.execute(STOPWATCH, Vec::new()).await.expect("a stopwatch");
    if kind == "ranking" {
        browser.press("BCA").await;
        browser.press("\u{E007}").await;
    } else {
        browser.fill("#completion", "An answer.\u{E009}\u{E007}").await;
    }
    // Who asks again and again takes the processor from what is measured.
    let told = "const told = arguments[0]; window.watch.taken ? told(window.watch.taken) : window.watch.told = told;";
    let taken = browser.execute_async(told, Vec::new()).await.expect("taken").as_f64().expect("milliseconds");
    let noted =
        async |name: &str| until(browser, &format!("window.watch.{name}")).await.as_f64().expect("milliseconds");
    let address = browser.current_url().await.expect("an address");
    let shown = until(browser, "document.getElementById('task').dataset.assignment").await;
    assert_eq!(address.path(), format!("/tasks/{}", shown.as_str().expect("an id")));
    let focused = until(browser, "document.activeElement.id").await;
    assert_eq!(focused, if kind == "ranking" { "completion" } else { "content" });
    let said = until(browser, "document.querySelector('[data-announce]').textContent").await;
    assert!(said.as_str().expect("words").contains("Stored."), "{said}");
    [noted("shown").await, taken, noted("server").await]
}

#[tokio::test]
async fn the_next_task_is_on_the_screen_at_once_and_works() {
    let (server, browser) = two_kinds(SUBMISSIONS / 2 + 1).await;
    let mut times = [const { Vec::new() }; 3];
    // Ranking and writing take turns; every page after the first has been swapped in.
    for round in 0..SUBMISSIONS {
        times.iter_mut().zip(submit(&server, &browser, round).await).for_each(|(times, time)| times.push(time));
    }
    let [mut shown, taken, waited] = times;
    eprintln!(
        "submit → next task on the screen, milliseconds: {shown:.1?}; stored and to be worked on: {taken:.1?}, of that the server: {waited:.1?}"
    );
    shown.sort_by(f64::total_cmp);
    assert!(shown[SUBMISSIONS / 2] < ON_SCREEN, "{shown:?}");
    let half = SUBMISSIONS as i64 / 2;
    assert_eq!(count(server.pool(), "SELECT count(*) FROM rankings").await, half);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM demonstrations WHERE completion = 'An answer.'").await, half);
    // Back shows what was submitted before, forward the task again.
    browser.back().await.expect("back");
    until(&browser, "document.body.textContent.includes('What you submitted')").await;
    browser.forward().await.expect("forward");
    browser.wait().for_element(Locator::Css("form#task[data-kind=ranking]")).await.expect("the task");
    // Leaving gives back what was fetched.
    until_ready(&server, &browser, SUBMISSIONS + 2).await;
    browser.find(Locator::Css(".brand")).await.expect("a link").click().await.expect("left");
    browser.wait().for_element(Locator::Css(".queue-head")).await.expect("the queue");
    until_none_reserved(&server).await;
    browser.close().await;
}

/// Runs in the page: the next task is fetched once more, and its page comes otherwise than it is.
const OTHERWISE: &str = "window.real ??= window.fetch;
    window.came = false;
    window.fetch = async (address, ...how) => {
      const answer = await window.real(address, ...how);
      if (!address.endsWith('/ahead')) return answer;
      const text = await answer.text();
      window.came = true;
      return new Response(CHANGED, { status: answer.status });
    };
    window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));";

#[tokio::test]
async fn what_came_ahead_and_can_not_be_shown_is_given_back_and_comes_by_its_page() {
    let (server, browser) = two_kinds(1).await;
    browser.wait().for_element(Locator::Css("form#task[data-kind=ranking] .chip")).await.expect("the order is drawn");
    until_reserved(&server, 2).await;
    // Its script is gone, or another version than the one that runs here, as after an update; another language was chosen in another
    // tab.
    for changed in [
        r#"text.replace(/data-script="[^"]*"/, 'data-script="/static/js/gone.js"')"#,
        r#"text.replace(/data-script="[^"]*"/, 'data-script="/static/js/ranking.js?v=another"')"#,
        r#"text.replace('lang="en"', 'lang="zh"')"#,
    ] {
        browser.execute(&OTHERWISE.replace("CHANGED", changed), Vec::new()).await.expect("fetched");
        until(&browser, "window.came").await;
        until_none_reserved(&server).await;
    }
    browser.execute("window.fetch = window.real", Vec::new()).await.expect("as it is");
    browser.press("BCA").await;
    browser.press("\u{E007}").await;
    browser.wait().for_element(Locator::Css("form#task[data-kind=demonstration]")).await.expect("the next task");
    browser.close().await;
}

#[tokio::test]
async fn the_next_task_is_read_while_the_submission_is_on_its_way_and_worked_on_once_that_is_stored() {
    let (server, browser) = two_kinds(2).await;
    browser.wait().for_element(Locator::Css(".chip")).await.expect("a ranking");
    until_ready(&server, &browser, 2).await;
    let first = browser.current_url().await.expect("an address");
    // The server can't store anything for a while.
    let mut held = server.pool().begin().await.expect("a transaction");
    sqlx::query("SELECT id FROM assignments FOR UPDATE").fetch_all(&mut *held).await.expect("locked");
    browser.press("BCA").await;
    browser.press("\u{E007}").await;
    until(&browser, "document.getElementById('task').dataset.kind === 'demonstration'").await;
    until(&browser, "document.querySelector('[data-draft-state]').textContent === 'Sending…'").await;
    assert_eq!(
        browser.execute("return document.querySelector('[data-under-way]') !== null", Vec::new()).await.expect("run"),
        json!(true)
    );
    // No key is for it yet, and the page is still that of the task that is on its way.
    browser.press("?").await;
    assert_eq!(until(&browser, "document.querySelectorAll('#keys:not(:popover-open)').length").await, json!(1));
    assert_eq!(browser.current_url().await.expect("an address"), first);
    held.rollback().await.expect("given back");
    until(&browser, "document.activeElement.id === 'completion' && !document.querySelector('[data-under-way]')").await;
    assert_ne!(browser.current_url().await.expect("an address"), first);
    until(&browser, "document.querySelector('[data-draft-state]').textContent === ''").await;
    assert_eq!(count(server.pool(), "SELECT count(*) FROM rankings").await, 1);
    browser.close().await;
}

#[tokio::test]
async fn what_was_not_stored_is_on_the_screen_again_as_it_was_and_the_next_task_still_comes() {
    let (server, browser) = two_kinds(2).await;
    browser.wait().for_element(Locator::Css(".chip")).await.expect("a ranking");
    until_ready(&server, &browser, 2).await;
    let first = browser.current_url().await.expect("an address");
    sqlx::query("UPDATE sessions SET expires_at = now() - interval '1 second'")
        .execute(server.pool())
        .await
        .expect("ended");
    browser.press("BCA").await;
    browser.press("\u{E007}").await;
    until(&browser, "!document.getElementById('task-error').hidden").await;
    assert_eq!(until(&browser, "document.querySelectorAll('.tier').length").await, json!(3));
    assert_eq!(
        browser.execute("return document.querySelector('[data-under-way]') !== null", Vec::new()).await.expect("run"),
        json!(false)
    );
    assert_eq!(browser.current_url().await.expect("an address"), first);
    // Logged in again in another tab, one goes on.
    sqlx::query("UPDATE sessions SET expires_at = now() + interval '1 hour'")
        .execute(server.pool())
        .await
        .expect("begun");
    browser.press("\u{E007}").await;
    until(&browser, "document.getElementById('task').dataset.kind === 'demonstration'").await;
    until(&browser, "document.activeElement.id === 'completion' && !document.querySelector('[data-under-way]')").await;
    assert_eq!(count(server.pool(), "SELECT count(*) FROM rankings").await, 1);
    browser.close().await;
}

/// Waits until the next task can be shown: the page has fetched it, and with it all that its kind needs.
async fn until_ready(server: &Server, browser: &Browser, tasks: usize) {
    until_reserved(server, tasks).await;
    until(browser, "document.querySelector('#content[data-next-ready]') !== null").await;
}

/// Waits for the server to have kept the next task for the page: one more than those that were given out.
async fn until_reserved(server: &Server, tasks: usize) {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let known = "SELECT (SELECT count(*) FROM assignments) + (SELECT count(*) FROM reservations)";
        if count(server.pool(), known).await == tasks as i64 {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("nothing was fetched ahead");
}

async fn until_none_reserved(server: &Server) {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if count(server.pool(), "SELECT count(*) FROM reservations").await == 0 {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("the task was not given back");
}
