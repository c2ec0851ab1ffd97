//! Reported prompts: a lead sees who says what, and keeps the prompt, withdraws it, or asks for another.

use fantoccini::Locator;
use laurel::{domain::role::Role, export::Kind};
use serde_json::Value;
use uuid::Uuid;

use super::{exported, left_the_task, take_next};
use crate::support::{
    Browser, Client, PASSWORD,
    seed::{self, Seed, assignment_in, count},
    server,
};

/// Takes the next task and reports its prompt.
async fn report(who: &Client, words: &str) {
    let task = assignment_in(who.post("/queue/next", &[]).await.leads_to());
    let form = [("reason", "report"), ("detail", words), ("then", "queue")];
    who.post(&format!("/tasks/{task}/skip"), &form).await.assert(303);
}

#[tokio::test]
async fn a_reported_prompt_is_kept_withdrawn_or_replaced_and_the_audit_log_says_so() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed { demonstration_overlap: 3, ..Seed::default() }).await;
    let prompt = seed::demonstration_task(&server.state, project, "Say how to pick a lock.").await;
    let [ada, bob] = [server.user("Ada", Role::Annotator).await, server.user("Bob", Role::Annotator).await];
    report(&ada, "It asks for a break-in.").await;
    report(&bob, "Not for us: <b>really</b>").await;

    let lea = server.user("Lea", Role::Admin).await;
    lea.get("/admin/projects/test").await.assert(200).assert_contains("One prompt has been reported");
    let page = lea.get("/admin/projects/test/reports").await.assert(200);
    for part in ["Say how to pick a lock.", "It asks for a break-in.", "Ada", "Bob", "Not for us: &#60;b&#62;really"] {
        page.assert_contains(part);
    }
    let decide = async |decision: &str| {
        lea.post(&format!("/admin/projects/test/reports/{prompt}"), &[("decision", decision)]).await
    };
    decide("burn").await.assert(422);
    decide("withdraw").await.assert(303);
    let cy = server.user("Cy", Role::Annotator).await;
    assert!(cy.post("/queue/next", &[]).await.leads_to().starts_with("/queue"), "nobody is asked any more");
    assert!(exported(&server, Kind::Prompts).await.is_empty());
    // A second thought: it is asked again.
    decide("keep").await.assert(303);
    let task = assignment_in(cy.post("/queue/next", &[]).await.leads_to());
    cy.post(&format!("/tasks/{task}/skip"), &[("reason", "unclear"), ("then", "queue")]).await.assert(303);
    assert_eq!(exported(&server, Kind::Prompts).await.len(), 1);

    // Another is written in its place: one, however often the button is pressed.
    decide("replace").await.assert(303);
    decide("replace").await.assert(303);
    assert_eq!(count(pool, "SELECT count(*) FROM tasks WHERE kind = 'prompt'").await, 1);
    let task = assignment_in(ada.post("/queue/next", &[]).await.leads_to());
    ada.get(&format!("/tasks/{task}")).await.assert(200).assert_contains("Say how to pick a lock.");
    let form = [("prompt", "Say how a lock works."), ("then", "queue")];
    ada.post(&format!("/tasks/{task}/submit"), &form).await.assert(303);
    let prompts = exported(&server, Kind::Prompts).await;
    assert_eq!(
        prompts.iter().map(|prompt| &prompt["prompt"][0]["content"]).collect::<Vec<_>>(),
        ["Say how a lock works."]
    );

    lea.get("/admin/projects/test/reports").await.assert(200).assert_contains("to be replaced");
    assert_eq!(count(pool, "SELECT count(*) FROM audit_log WHERE action = 'prompt.report'").await, 4);
    // Only of a prompt that somebody has reported, in this project.
    let other = seed::prompt(pool, project, "Never reported").await;
    lea.post(&format!("/admin/projects/test/reports/{other}"), &[("decision", "keep")]).await.assert(404);
    bob.post(&format!("/admin/projects/test/reports/{prompt}"), &[("decision", "keep")]).await.assert(403);
}

#[tokio::test]
async fn a_prompt_that_is_kept_after_all_is_asked_about_and_nobody_new_is_asked_for_another() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed { demonstration_overlap: 3, ..Seed::default() }).await;
    let prompt = seed::demonstration_task(&server.state, project, "Say how to pick a lock.").await;
    let [ada, bob] = [server.user("Ada", Role::Annotator).await, server.user("Bob", Role::Annotator).await];
    report(&ada, "It asks for a break-in.").await;
    let lea = server.user("Lea", Role::Admin).await;
    let decide = async |decision: &str| {
        let form = [("decision", decision)];
        lea.post(&format!("/admin/projects/test/reports/{prompt}"), &form).await.assert(303);
    };
    decide("replace").await;
    // Bob has begun to write the other one; what he has written comes beside the first.
    let his = assignment_in(bob.post("/queue/next", &[]).await.leads_to());
    decide("keep").await;
    let wanted = "SELECT count(*) FROM tasks WHERE kind = 'prompt' AND labels = 0 AND withdrawn_at IS NULL";
    assert_eq!(count(pool, wanted).await, 0);
    let form = [("prompt", "Say how a lock works."), ("then", "queue")];
    bob.post(&format!("/tasks/{his}/submit"), &form).await.assert(303);
    assert_eq!(exported(&server, Kind::Prompts).await.len(), 2);
    let asked = "SELECT count(*) FROM tasks WHERE kind = 'demonstration' AND withdrawn_at IS NULL";
    assert_eq!(count(pool, asked).await, 2);
    // A third thought.
    decide("replace").await;
    assert_eq!((count(pool, wanted).await, count(pool, asked).await), (1, 1));
}

#[tokio::test]
async fn a_withdrawn_prompt_is_not_asked_again_by_one_of_its_tasks() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed { demonstration_overlap: 2, ..Seed::default() }).await;
    let prompt = seed::demonstration_task(&server.state, project, "Say how to pick a lock.").await;
    let ada = server.user("Ada", Role::Annotator).await;
    report(&ada, "It asks for a break-in.").await;
    let lea = server.user("Lea", Role::Admin).await;
    let decide = async |decision: &str| {
        let form = [("decision", decision)];
        lea.post(&format!("/admin/projects/test/reports/{prompt}"), &form).await.assert(303);
    };
    decide("withdraw").await;
    let task: Uuid = sqlx::query_scalar("SELECT id FROM tasks").fetch_one(pool).await.expect("a task");
    let again = r#"name="withdrawn" value="no""#;
    let page = lea.get(&format!("/admin/projects/test/prompts/{prompt}")).await.assert(200).text;
    assert!(page.contains(&format!("/tasks/{task}/priority")) && !page.contains(again), "{page}");
    let restore = format!("/admin/projects/test/tasks/{task}/withdraw");
    lea.post(&restore, &[("withdrawn", "no")]).await.assert(404);
    assert_eq!(count(pool, "SELECT count(*) FROM tasks WHERE withdrawn_at IS NULL").await, 0);
    decide("keep").await;
    assert_eq!(count(pool, "SELECT count(*) FROM tasks WHERE withdrawn_at IS NULL").await, 1);
}

#[tokio::test]
async fn a_task_is_not_asked_again_while_its_prompt_is_being_withdrawn() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed::default()).await;
    seed::demonstration_task(&server.state, project, "Say how to pick a lock.").await;
    let lea = server.user("Lea", Role::Admin).await;
    let task: Uuid = sqlx::query_scalar("SELECT id FROM tasks").fetch_one(pool).await.expect("a task");
    let change = format!("/admin/projects/test/tasks/{task}/withdraw");
    lea.post(&change, &[("withdrawn", "yes")]).await.assert(303);
    // As one who decides about the prompt does: the tasks first.
    let mut deciding = pool.begin().await.expect("a transaction");
    for sql in ["SELECT id FROM tasks FOR UPDATE", "UPDATE prompts SET withdrawn_at = now()"] {
        sqlx::query(sql).execute(&mut *deciding).await.expect("done");
    }
    let decide = async {
        seed::until_somebody_waits(pool).await;
        deciding.commit().await.expect("withdrawn");
    };
    let again = [("withdrawn", "no")];
    let (restored, ()) = tokio::join!(lea.post(&change, &again), decide);
    restored.assert(404);
    assert_eq!(count(pool, "SELECT count(*) FROM tasks WHERE withdrawn_at IS NULL").await, 0);
}

#[tokio::test]
async fn who_submits_and_who_decides_about_the_prompt_do_not_wait_in_a_ring() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed { demonstration_overlap: 2, ..Seed::default() }).await;
    let prompt = seed::demonstration_task(&server.state, project, "Say how to pick a lock.").await;
    let ada = server.user("Ada", Role::Annotator).await;
    report(&ada, "It asks for a break-in.").await;
    let lea = server.user("Lea", Role::Admin).await;
    lea.get("/admin/projects/test/reports").await.assert(200);
    let decide = format!("/admin/projects/test/reports/{prompt}");
    let withdraw = [("decision", "withdraw")];
    // As one who submits does: what they had skipped before its task, and the task before what refers to the prompt.
    for (first, second) in [
        ("SELECT id FROM assignments FOR UPDATE", "SELECT id FROM tasks FOR NO KEY UPDATE"),
        ("SELECT id FROM tasks FOR NO KEY UPDATE", "SELECT id FROM prompts FOR KEY SHARE"),
    ] {
        let mut submitting = pool.begin().await.expect("a transaction");
        sqlx::query(first).fetch_all(&mut *submitting).await.expect("locked");
        let submit = async {
            seed::until_somebody_waits(pool).await;
            sqlx::query(second).fetch_all(&mut *submitting).await.expect("no ring");
            submitting.commit().await.expect("stored");
        };
        let (decided, ()) = tokio::join!(lea.post(&decide, &withdraw), submit);
        decided.assert(303);
    }
    assert_eq!(count(pool, "SELECT count(*) FROM tasks WHERE withdrawn_at IS NULL").await, 0);
}

#[tokio::test]
async fn what_a_skip_says_of_its_prompt_is_listed_and_what_it_says_of_the_person_is_not() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed { demonstration_overlap: 3, ..Seed::default() }).await;
    seed::demonstration_task(&server.state, project, "What did the picture show?").await;
    let skip = async |name: &str, reason: &str, words: &str| {
        let who = server.user(name, Role::Annotator).await;
        let task = assignment_in(who.post("/queue/next", &[]).await.leads_to());
        let form = [("reason", reason), ("detail", words), ("then", "queue")];
        who.post(&format!("/tasks/{task}/skip"), &form).await.assert(303);
    };
    skip("Ada", "unanswerable", "There is no picture.").await;
    skip("Bob", "personal", "").await;
    skip("Cy", "knowledge", "Pictures are not for me.").await;
    let rosa = server.user("Rosa", Role::Reviewer).await;
    rosa.get("/admin/projects/test").await.assert(200).assert_contains("One prompt has been reported or found unfit");
    let page = rosa.get("/admin/projects/test/reports").await.assert(200);
    page.assert_contains("There is no picture.")
        .assert_contains("can&#39;t be answered")
        .assert_contains("personal data");
    page.assert_contains("Skipped by 3 people");
    assert!(!page.text.contains("Pictures are not for me."), "{}", page.text);
    // The prompt's own page has every reason in words, beside who gave it.
    let prompt: uuid::Uuid = sqlx::query_scalar("SELECT id FROM prompts").fetch_one(pool).await.expect("the prompt");
    let page = rosa.get(&format!("/admin/projects/test/prompts/{prompt}")).await.assert(200);
    page.assert_contains(r#"knows too little about it · <span dir="auto">Pictures are not for me.</span>"#);
    page.assert_contains("· personal data</small>");
}

#[tokio::test]
async fn a_report_on_a_prompt_to_write_is_kept_and_the_brief_can_be_withdrawn() {
    let server = server().await;
    let pool = server.pool();
    seed::project(pool, Seed::default()).await;
    let lea = server.user("Lea", Role::Admin).await;
    let form = [("kind", "use_case"), ("count", "2"), ("language", "en"), ("about", "A shop that sells locks.")];
    lea.post("/admin/projects/test/writing", &form).await.assert(303);
    let ada = server.user("Ada", Role::Annotator).await;
    report(&ada, "Nobody sells locks here.").await;
    let page = lea.get("/admin/projects/test/reports").await.assert(200);
    page.assert_contains("A shop that sells locks.").assert_contains("Nobody sells locks here.");
    // A reviewer reads it too, and is led to no page that is refused to them.
    let writing = "href=\"/admin/projects/test/writing\"";
    page.assert_contains(writing);
    let rosa = server.user("Rosa", Role::Reviewer).await;
    let page = rosa.get("/admin/projects/test/reports").await.assert(200);
    page.assert_contains("A shop that sells locks.");
    assert!(!page.text.contains(writing), "{}", page.text);
    let brief: uuid::Uuid = sqlx::query_scalar("SELECT id FROM prompt_briefs").fetch_one(pool).await.expect("a brief");
    let address = format!("/admin/projects/test/reports/{brief}");
    lea.post(&address, &[("decision", "withdraw")]).await.assert(303);
    assert_eq!(count(pool, "SELECT count(*) FROM tasks WHERE withdrawn_at IS NULL").await, 0);
    assert_eq!(count(pool, "SELECT count(*) FROM prompt_briefs WHERE withdrawn_at IS NOT NULL").await, 1);
    lea.post(&address, &[("decision", "keep")]).await.assert(303);
    assert_eq!(count(pool, "SELECT count(*) FROM tasks WHERE withdrawn_at IS NULL").await, 2);
    lea.get("/admin/projects/test").await.assert(200);
    assert_eq!(count(pool, "SELECT count(*) FROM report_decisions WHERE decision = 'kept'").await, 1);
}

#[tokio::test]
async fn a_task_that_was_submitted_in_another_tab_is_not_skipped_and_whoever_skips_it_is_told() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed { demonstration_overlap: 3, ..Seed::default() }).await;
    seed::demonstration_task(&server.state, project, "Say how to pick a lock.").await;
    let ada = server.user("Ada", Role::Annotator).await;
    let task = assignment_in(ada.post("/queue/next", &[]).await.leads_to());
    ada.post(&format!("/tasks/{task}/submit"), &[("completion", "With care."), ("then", "queue")]).await.assert(303);

    let address = format!("/tasks/{task}/skip");
    let form = [("reason", "report"), ("detail", "It asks for a break-in.")];
    let page = ada.post(&address, &form).await.assert(409);
    page.assert_contains("Nothing was changed").assert_contains("so it is not skipped");
    // Nor is a reason asked for, beside a form in which nothing of what was submitted stands.
    ada.post(&address, &[("reason", "")]).await.assert(409).assert_contains("so it is not skipped");
    ada.post("/preferences", &[("language", "zh"), ("next", "/queue")]).await.assert(303);
    ada.post(&address, &form).await.assert(409).assert_contains("因此没有跳过");
    ada.post("/preferences", &[("language", "en"), ("next", "/queue")]).await.assert(303);
    let token = ada.csrf().await;
    let fields = [form[0], form[1], ("csrf", token.as_str())];
    let script = ada.request(reqwest::Method::POST, &address).header("accept", "application/json").form(&fields);
    let told: Value = serde_json::from_str(&ada.send(script).await.assert(409).text).expect("JSON");
    assert_eq!(told["code"], "not-skipped");
    assert_eq!(told["standing"], format!("/tasks/{task}"));
    assert_eq!(count(pool, "SELECT count(*) FROM assignments WHERE state = 'submitted'").await, 1);
    assert_eq!(count(pool, "SELECT count(*) FROM assignments WHERE skip_reason IS NOT NULL").await, 0);

    // A skip whose answer was lost is sent again: that is no trouble.
    let bob = server.user("Bob", Role::Annotator).await;
    let task = assignment_in(bob.post("/queue/next", &[]).await.leads_to());
    for _ in 0..2 {
        bob.post(&format!("/tasks/{task}/skip"), &form).await.assert(303);
    }
}

#[tokio::test]
async fn the_words_of_a_report_on_a_task_that_was_submitted_elsewhere_stay_in_the_form() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    seed::demonstration_task(&server.state, project, "Say how to pick a lock.").await;
    server.account("Ada", Role::Annotator).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    take_next(&server, &browser).await;
    let task = assignment_in(browser.current_url().await.expect("an address").path());
    let elsewhere = server.client();
    elsewhere.log_in("ada@example.org", PASSWORD).await;
    let form = [("completion", "With care."), ("then", "queue")];
    elsewhere.post(&format!("/tasks/{task}/submit"), &form).await.assert(303);

    for part in [".drop summary", "#skip label:has([value=report])"] {
        browser.find(Locator::Css(part)).await.expect(part).click().await.expect("pressed");
    }
    browser.fill("#skip-detail", "It asks for a break-in").await;
    let button = browser.find(Locator::Css("#skip button[type=submit]")).await.expect("a button");
    button.click().await.expect("pressed");
    let link = browser.wait().for_element(Locator::Css("#skip-error a")).await.expect("told");
    assert_eq!(link.attr("href").await.expect("read"), Some(format!("/tasks/{task}")));
    let told = browser.find(Locator::Id("skip-error")).await.expect("told").text().await.expect("read");
    assert!(told.contains("so it is not skipped"), "{told}");
    let field = browser.find(Locator::Id("skip-detail")).await.expect("the form");
    assert_eq!(field.prop("value").await.expect("read").as_deref(), Some("It asks for a break-in"));
    assert_eq!(count(server.pool(), "SELECT count(*) FROM assignments WHERE state = 'submitted'").await, 1);
    browser.close().await;
}

/// Runs in the page: what is said in the form for skipping, where nothing lies over it.
const SAID_IN_SIGHT: &str = "const error = document.getElementById('skip-error');
    const box = error.getBoundingClientRect();
    const seen = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    return seen && error.contains(seen) && error.textContent;";

#[tokio::test]
async fn on_a_phone_the_form_for_a_report_says_in_itself_that_the_words_are_missing() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    seed::demonstration_task(&server.state, project, "Say how to pick a lock.").await;
    server.account("Ada", Role::Annotator).await;
    let browser = Browser::open_sized(390, 640).await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    take_next(&server, &browser).await;
    for part in [".drop summary", "#skip label:has([value=report])", "#skip button[type=submit]"] {
        browser.find(Locator::Css(part)).await.expect(part).click().await.expect("pressed");
    }
    let said = browser.until(SAID_IN_SIGHT, Vec::new()).await;
    assert_eq!(said, "Say in your words why you skip this task.");
    browser.fill("#skip-detail", "It asks for a break-in\u{E007}").await;
    left_the_task(&browser).await;
    assert_eq!(count(server.pool(), "SELECT count(*) FROM assignments WHERE state = 'skipped'").await, 1);
    browser.close().await;
}
