//! The next task, fetched while one works: who has it, who gets it back, and how soon it is on the screen.

mod support;

use std::time::{Duration, Instant};

use fantoccini::Locator;
use laurel::{db::rehearsal, domain::role::Role};
use reqwest::Method;
use serde_json::json;
use support::{
    Browser, Client, PASSWORD, Reply, Server,
    seed::{self, Seed, assignment_in, count},
    server,
};
use uuid::Uuid;

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

/// A server with this many demonstration tasks.
async fn writing(tasks: usize) -> Server {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    for number in 0..tasks {
        seed::demonstration_task(&server.state, project, &format!("Write number {number}.")).await;
    }
    server
}

async fn next(client: &Client) -> String {
    client.post("/queue/next", &[]).await.leads_to().to_owned()
}

/// What the page's script asks for while one works.
async fn ahead(client: &Client, address: &str) -> Reply {
    client.json(Method::POST, &format!("/tasks/{}/ahead", assignment_in(address)), &json!({})).await
}

/// The assignment of the page that came ahead.
fn assignment_of(page: &Reply) -> Uuid {
    let rest = page.text.split_once(r#"data-assignment=""#).expect("a task page").1;
    rest[..36].parse().expect("an assignment")
}

#[tokio::test]
async fn the_page_that_came_ahead_is_the_task_that_comes_and_its_lease_starts_when_it_is_shown() {
    let server = writing(2).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let first = next(&ada).await;
    let page = ahead(&ada, &first).await.assert(200);
    page.assert_contains("Write number 1.");
    let second = assignment_of(&page);
    assert_eq!(assignment_of(&ahead(&ada, &first).await), second, "asked twice, two tasks");
    // Nobody holds it yet, and nothing can be done with it.
    assert_eq!(count(server.pool(), "SELECT count(*) FROM assignments").await, 1);
    ada.get(&format!("/tasks/{second}")).await.assert(404);
    ada.post(&format!("/tasks/{second}/submit"), &[("completion", "early")]).await.assert(404);
    ada.json(Method::PUT, &format!("/tasks/{second}/draft"), &json!({ "completion": "early" })).await.assert(404);
    let then = ada.post(&format!("/tasks/{}/submit", assignment_in(&first)), &[("completion", "One.")]).await;
    assert_eq!(assignment_in(then.leads_to()), second);
    let whole =
        "SELECT count(*) FROM assignments WHERE state = 'leased' AND lease_until > now() + interval '59 minutes'";
    assert_eq!(count(server.pool(), whole).await, 1);
    assert_eq!(ahead(&ada, then.leads_to()).await.status, 204, "there is no third task");
}

#[tokio::test]
async fn a_ranking_stands_in_the_order_in_which_it_came_ahead() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    for number in 0..2 {
        seed::ranking_task(&server.state, project, &format!("Rank {number}."), &["a", "b", "c", "d", "e", "f"]).await;
    }
    let ada = server.user("Ada", Role::Annotator).await;
    let first = next(&ada).await;
    let order = |page: &Reply| -> Vec<String> {
        page.text.split(r#"<article class="answer" data-position=""#).skip(1).map(|card| card[..1].to_owned()).collect()
    };
    let came = order(&ahead(&ada, &first).await.assert(200));
    assert_eq!(came.len(), 6);
    let ranks = [("rank_0", "1"), ("rank_1", "2"), ("rank_2", "3"), ("rank_3", "4"), ("rank_4", "5"), ("rank_5", "6")];
    let then = ada.post(&format!("/tasks/{}/submit", assignment_in(&first)), &ranks).await;
    assert_eq!(order(&ada.get(then.leads_to()).await.assert(200)), came);
}

#[tokio::test]
async fn two_people_and_one_place_whoever_asks_for_it_first_gets_it() {
    let server = writing(2).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let bob = server.user("Bob", Role::Annotator).await;
    let cy = server.user("Cy", Role::Annotator).await;
    let hers = next(&ada).await;
    ahead(&ada, &hers).await.assert(200);
    // Bob is there now, and she is not: nothing that she has not seen is kept from him.
    let his = next(&bob).await;
    assert!(his.starts_with("/tasks/"), "{his}");
    assert!(!next(&cy).await.starts_with("/tasks/"), "one place was given twice");
    let then = ada.post(&format!("/tasks/{}/submit", assignment_in(&hers)), &[("completion", "One.")]).await;
    assert!(then.leads_to().starts_with("/queue"), "{then:?}");
    bob.post(&format!("/tasks/{}/submit", assignment_in(&his)), &[("completion", "Two.")]).await.assert(303);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM demonstrations WHERE NOT extra_opinion").await, 2);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM reservations").await, 0);
}

#[tokio::test]
async fn others_are_given_something_else_while_there_is_something_else() {
    let server = writing(4).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let bob = server.user("Bob", Role::Annotator).await;
    let hers = next(&ada).await;
    let reserved = assignment_of(&ahead(&ada, &hers).await.assert(200));
    let his = next(&bob).await;
    ahead(&bob, &his).await.assert(200).assert_contains("Write number 3.");
    let then = ada.post(&format!("/tasks/{}/submit", assignment_in(&hers)), &[("completion", "One.")]).await;
    assert_eq!(assignment_in(then.leads_to()), reserved);
}

#[tokio::test]
async fn leaving_or_stopping_gives_it_back_at_once() {
    let server = writing(3).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let bob = server.user("Bob", Role::Annotator).await;
    let hers = next(&ada).await;
    let reserved = assignment_of(&ahead(&ada, &hers).await.assert(200));
    let leave = format!("/tasks/{reserved}/leave");
    // Only by its holder.
    bob.json(Method::POST, &leave, &json!({})).await.assert(204);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM reservations").await, 1);
    ada.json(Method::POST, &leave, &json!({})).await.assert(204);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM reservations").await, 0);
    bob.get(&next(&bob).await).await.assert(200).assert_contains("Write number 1.");
    // “Submit and stop” keeps nothing either.
    ahead(&ada, &hers).await.assert(200).assert_contains("Write number 2.");
    let form = [("completion", "One."), ("then", "queue")];
    ada.post(&format!("/tasks/{}/submit", assignment_in(&hers)), &form).await.assert(303);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM reservations").await, 0);
}

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
