//! The course before real work.

use fantoccini::Locator;
use laurel::domain::role::Role;
use uuid::Uuid;

use super::{answer, checks, known, led, next, said_of_skipped, skip};
use crate::support::{
    Browser, PASSWORD,
    seed::{self, Seed, assignment_in, count},
};

#[tokio::test]
async fn the_course_comes_before_real_work_and_explains_each_answer() {
    let (server, project, admin) = led().await;
    for number in 0..3 {
        known(&server, project, &admin, &format!("Lesson {number}."), "course").await;
    }
    seed::ranking_task(&server.state, project, "Real work.", &["poor", "good"]).await;
    checks(&admin, "0", "2").await;
    let ada = server.user("Ada", Role::Annotator).await;
    ada.get("/queue").await.assert_contains("2 tasks wait for you").assert_contains("2 tasks before real work");
    // Wrong, then right: half of the pairs, which is not enough; the third makes the last two right.
    for (number, right) in [false, true, true].into_iter().enumerate() {
        let task = next(&ada).await;
        ada.get(&task).await.assert(200).assert_contains(&format!("Lesson {number}."));
        let lesson = answer(&ada, &task, right).await;
        assert_eq!(lesson, format!("/tasks/{}", assignment_in(&task)));
        let page = ada.get(&lesson).await.assert(200);
        page.assert_contains("What was expected").assert_contains("<strong>kinder</strong>");
        page.assert_contains(if right { "1 of 1 pairs right" } else { "0 of 1 pairs right" });
        page.assert_contains(if number == 2 { "You have passed the course." } else { "One task of the course to go." });
    }
    ada.get(&next(&ada).await).await.assert(200).assert_contains("Real work.");
    assert_eq!(count(server.pool(), "SELECT count(*) FROM rankings").await, 0);
    // Bob gets everything wrong: nothing more is handed out until somebody lets him pass.
    let bob = server.user("Bob", Role::Annotator).await;
    for _ in 0..3 {
        let task = next(&bob).await;
        answer(&bob, &task, false).await;
    }
    assert!(!next(&bob).await.starts_with("/tasks/"));
    bob.get("/queue").await.assert_contains("The course is not passed.");
    let id: Uuid =
        sqlx::query_scalar("SELECT id FROM users WHERE name = 'Bob'").fetch_one(server.pool()).await.expect("Bob");
    admin.get("/admin/projects/test/gold").await.assert_contains("Not passed");
    admin.post(&format!("/admin/projects/test/gold/people/{id}/pass"), &[]).await.assert(303);
    bob.get(&next(&bob).await).await.assert(200).assert_contains("Real work.");
}

#[tokio::test]
async fn a_key_leads_on_from_a_lesson() {
    let (server, project, admin) = led().await;
    for number in 0..2 {
        known(&server, project, &admin, &format!("Lesson {number}."), "course").await;
    }
    checks(&admin, "0", "2").await;
    server.account("Ada", Role::Annotator).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    browser.goto(&format!("{}/queue", server.address)).await.expect("the queue");
    browser.press("n").await;
    browser.wait().for_element(Locator::Css(".chip")).await.expect("the order is drawn");
    assert!(browser.source().await.expect("read").contains("Lesson 0."));
    // A, then B, then Enter.
    browser.press("AB\u{E007}").await;
    browser.wait().for_element(Locator::Css(".lesson")).await.expect("a lesson");
    browser.wait().for_element(Locator::Css("#next kbd")).await.expect("the key is named");
    browser.press("n").await;
    browser.wait().for_element(Locator::Css(".chip")).await.expect("the next task");
    assert!(browser.source().await.expect("read").contains("Lesson 1."));
    browser.close().await;
}

#[tokio::test]
async fn a_skipped_task_of_the_course_comes_again_and_its_report_reaches_the_lead() {
    let (server, project, admin) = led().await;
    for number in 0..2 {
        known(&server, project, &admin, &format!("Lesson {number}."), "course").await;
    }
    seed::ranking_task(&server.state, project, "Real work.", &["poor", "good"]).await;
    checks(&admin, "0", "2").await;
    let reported = async || {
        admin.get("/admin/projects/test").await.assert(200).assert_contains("One prompt has been reported");
        admin.get("/admin/projects/test/reports").await.assert(200).assert_contains("It asks for a break-in.");
    };
    let ada = server.user("Ada", Role::Annotator).await;
    let first = next(&ada).await;
    // What she has not seen comes before what she skipped, which is still to go.
    let second = skip(&ada, &first, "report", "It asks for a break-in.").await;
    ada.get(&second).await.assert(200).assert_contains("Lesson 1.");
    let said = said_of_skipped(&ada, &second).await;
    assert_eq!(said, "Skipped. It is a task of the course, so it comes again.");
    ada.get("/queue").await.assert_contains("one task before real work");
    ada.get(&answer(&ada, &second, true).await).await.assert_contains("One task of the course to go.");
    let again = next(&ada).await;
    assert_eq!(assignment_in(&again), assignment_in(&first));
    ada.get(&again).await.assert(200).assert_contains("Lesson 0.").assert_contains("so it comes again");
    reported().await;
    // Nothing else waits: skipped once more, it is there again, and says the same of its prompt.
    let again = skip(&ada, &again, "knowledge", "").await;
    assert_eq!(assignment_in(&again), assignment_in(&first));
    ada.get(&answer(&ada, &again, true).await).await.assert_contains("You have passed the course.");
    reported().await;
    ada.get(&next(&ada).await).await.assert(200).assert_contains("Real work.");
}

#[tokio::test]
async fn no_course_asks_about_a_prompt_that_a_lead_has_withdrawn() {
    let (server, project, admin) = led().await;
    for number in 0..2 {
        known(&server, project, &admin, &format!("Lesson {number}."), "course").await;
    }
    checks(&admin, "0", "2").await;
    let ada = server.user("Ada", Role::Annotator).await;
    let first = next(&ada).await;
    skip(&ada, &first, "report", "It asks for a break-in.").await;
    let prompt: Uuid =
        sqlx::query_scalar("SELECT id FROM prompts WHERE conversation -> -1 ->> 'content' = 'Lesson 0.'")
            .fetch_one(server.pool())
            .await
            .expect("the prompt");
    for (decision, in_use) in [("withdraw", 1), ("keep", 2)] {
        let form = [("decision", decision)];
        admin.post(&format!("/admin/projects/test/reports/{prompt}"), &form).await.assert(303);
        let counted = count(server.pool(), "SELECT count(*) FROM gold_tasks WHERE retired_at IS NULL").await;
        assert_eq!(counted, in_use, "{decision}");
    }
}

#[tokio::test]
async fn whoever_skips_the_whole_course_is_on_the_leads_list() {
    let (server, project, admin) = led().await;
    for number in 0..2 {
        known(&server, project, &admin, &format!("Lesson {number}."), "course").await;
    }
    seed::ranking_task(&server.state, project, "Real work.", &["poor", "good"]).await;
    checks(&admin, "0", "2").await;
    let bob = server.user("Bob", Role::Annotator).await;
    let mut task = next(&bob).await;
    for _ in 0..2 {
        task = skip(&bob, &task, "knowledge", "").await;
    }
    bob.get(&task).await.assert(200).assert_contains("Lesson 0.");
    let list = admin.get("/admin/projects/test/gold").await.assert(200);
    list.assert_contains("bob@example.org").assert_contains("Not passed");
    let id: Uuid =
        sqlx::query_scalar("SELECT id FROM users WHERE name = 'Bob'").fetch_one(server.pool()).await.expect("Bob");
    admin.post(&format!("/admin/projects/test/gold/people/{id}/again"), &[]).await.assert(303);
    let list = admin.get("/admin/projects/test/gold").await.assert(200);
    list.assert_contains("bob@example.org").assert_contains("taken again once");
    admin.post(&format!("/admin/projects/test/gold/people/{id}/pass"), &[]).await.assert(303);
    // What he has in hand comes first.
    let held = next(&bob).await;
    let work = skip(&bob, &held, "knowledge", "").await;
    assert_eq!(said_of_skipped(&bob, &work).await, "Skipped.", "it does not come again once he may do real work");
    bob.get(&next(&bob).await).await.assert(200).assert_contains("Real work.");
}

#[tokio::test]
async fn whoever_skips_the_course_of_one_project_gets_the_work_of_another_in_between() {
    let (server, project, admin) = led().await;
    known(&server, project, &admin, "Lesson.", "course").await;
    checks(&admin, "0", "1").await;
    let other = seed::project(server.pool(), Seed { slug: "other", ..Seed::default() }).await;
    for number in 0..2 {
        seed::ranking_task(&server.state, other, &format!("Other {number}."), &["poor", "good"]).await;
    }
    let ada = server.user("Ada", Role::Annotator).await;
    let lesson = next(&ada).await;
    ada.get(&lesson).await.assert(200).assert_contains("Lesson.");
    let work = skip(&ada, &lesson, "knowledge", "").await;
    ada.get(&work).await.assert(200).assert_contains("Project other");
    let again = answer(&ada, &work, true).await;
    assert_eq!(assignment_in(&again), assignment_in(&lesson));
    let work = skip(&ada, &again, "knowledge", "").await;
    ada.get(&work).await.assert(200).assert_contains("Project other");
}

#[tokio::test]
async fn a_task_of_the_course_whose_lease_ended_is_still_to_go() {
    let (server, project, admin) = led().await;
    known(&server, project, &admin, "Lesson.", "course").await;
    checks(&admin, "0", "1").await;
    let ada = server.user("Ada", Role::Annotator).await;
    let lesson = assignment_in(&next(&ada).await);
    seed::end_lease(server.pool(), lesson).await;
    ada.get("/queue").await.assert_contains("one task before real work").assert_contains("action=\"/queue/next\"");
    assert_eq!(assignment_in(&next(&ada).await), lesson);
}

#[tokio::test]
async fn a_lead_asks_somebody_to_take_the_course_again() {
    let (server, project, admin) = led().await;
    for number in 0..2 {
        known(&server, project, &admin, &format!("Lesson {number}."), "course").await;
    }
    seed::ranking_task(&server.state, project, "Real work.", &["poor", "good"]).await;
    checks(&admin, "0", "2").await;
    let ada = server.user("Ada", Role::Annotator).await;
    for _ in 0..2 {
        answer(&ada, &next(&ada).await, true).await;
    }
    let id: Uuid =
        sqlx::query_scalar("SELECT id FROM users WHERE name = 'Ada'").fetch_one(server.pool()).await.expect("Ada");
    let again = format!("/admin/projects/test/gold/people/{id}/again");
    admin.get("/admin/projects/test/gold").await.assert_contains("Passed");
    admin.post(&again, &[]).await.assert(303);
    ada.get("/queue").await.assert_contains("2 tasks before real work");
    // The same lessons, wrong this time: what she knew before does not count any more.
    for number in 0..2 {
        let task = next(&ada).await;
        ada.get(&task).await.assert(200).assert_contains(&format!("Lesson {number}."));
        answer(&ada, &task, false).await;
    }
    assert!(!next(&ada).await.starts_with("/tasks/"));
    admin.get("/admin/projects/test/gold").await.assert_contains("Not passed").assert_contains("taken again once");
    admin.post(&again, &[]).await.assert(303);
    for _ in 0..2 {
        answer(&ada, &next(&ada).await, true).await;
    }
    ada.get(&next(&ada).await).await.assert(200).assert_contains("Real work.");
    let pool = server.pool();
    assert_eq!(count(pool, "SELECT count(*) FROM gold_answers").await, 6, "what she answered before stays on record");
    assert_eq!(count(pool, "SELECT count(*) FROM audit_log WHERE action = 'course.ask_again'").await, 2);
}

#[tokio::test]
async fn a_whole_team_in_a_course_leaves_room_for_whoever_took_a_break() {
    let (server, project, admin) = led().await;
    known(&server, project, &admin, "Lesson.", "course").await;
    checks(&admin, "0", "1").await;
    let ada = server.user("Ada", Role::Annotator).await;
    let hers = assignment_in(&next(&ada).await);
    // Ten others have the same task in hand: more than a task's overlap can be.
    for sql in [
        "INSERT INTO users (id, email, name, password_hash, role)
         SELECT gen_random_uuid(), n || '@team.example.org', 'P' || n, 'none', 'annotator' FROM generate_series(1, 10) AS n",
        "INSERT INTO assignments (id, task_id, user_id, lease_until, shown_order)
         SELECT gen_random_uuid(), a.task_id, u.id, now() + interval '1 hour', '{0,1}'
         FROM assignments a, users u WHERE u.email LIKE '%@team.example.org'",
    ] {
        sqlx::query(sql).execute(server.pool()).await.expect(sql);
    }
    seed::end_lease(server.pool(), hers).await;
    assert_eq!(assignment_in(&next(&ada).await), hers, "her lesson is gone");
    seed::end_lease(server.pool(), hers).await;
    let ada_id = sqlx::query_scalar("SELECT id FROM users WHERE email = 'ada@example.org'")
        .fetch_one(server.pool())
        .await
        .expect("Ada");
    let lease = laurel::db::assignments::renew(server.pool(), ada_id, hers).await.expect("an answer");
    assert_eq!(lease, laurel::db::assignments::Lease::Live, "others have been given it");
}
