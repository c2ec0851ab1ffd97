//! Tasks with known answers: the course before real work, and checks that nobody can tell from it.

mod support;

use fantoccini::Locator;
use laurel::{
    db::{audit::Actor, projects},
    domain::role::Role,
    import::{self, ImportError, Kind},
};
use support::{
    Browser, Client, PASSWORD, Server,
    seed::{self, Seed, assignment_in, count},
    server,
};
use uuid::Uuid;

/// A server with one project and an admin who leads it.
async fn led() -> (Server, Uuid, Client) {
    let server = server().await;
    let project = seed::project(server.pool(), Seed { ranking_overlap: 2, ..Seed::default() }).await;
    let admin = server.user("Cy", Role::Admin).await;
    (server, project, admin)
}

/// Makes a task with a known answer as a lead does: good is better than poor.
async fn known(server: &Server, project: Uuid, admin: &Client, text: &str, purpose: &str) {
    let (task, _) = seed::ranking_task(&server.state, project, text, &["poor", "good"]).await;
    let prompt: Uuid = sqlx::query_scalar("SELECT prompt_id FROM tasks WHERE id = $1")
        .bind(task)
        .fetch_one(server.pool())
        .await
        .expect("a prompt");
    let form = admin.get(&format!("/admin/projects/test/gold/new?prompt={prompt}")).await.leads_to().to_owned();
    assert_eq!(form, format!("/admin/projects/test/gold/{task}"));
    admin.get(&form).await.assert(200).assert_contains(text);
    admin.post(&form, &[("rank_0", "1"), ("rank_1", "1"), ("purpose", purpose)]).await.assert(422);
    admin.post(&form, &[("rank_0", "1"), ("purpose", purpose)]).await.assert(422);
    let fields = [("rank_0", "2"), ("rank_1", "1"), ("purpose", purpose), ("explanation", "It is **kinder**.")];
    admin.post(&form, &fields).await.assert(303);
}

async fn checks(admin: &Client, percent: &str, course: &str) {
    let form = [("gold_percent", percent), ("course_tasks", course), ("course_pass_percent", "80")];
    admin.post("/admin/projects/test/gold", &form).await.assert(303);
}

async fn next(client: &Client) -> String {
    client.post("/queue/next", &[]).await.leads_to().to_owned()
}

/// Ranks “good” first, or last, and returns where that leads.
async fn answer(client: &Client, task: &str, right: bool) -> String {
    let ranks = if right { ["2", "1"] } else { ["1", "2"] };
    let form = [("rank_0", ranks[0]), ("rank_1", ranks[1]), ("seconds", "5")];
    client.post(&format!("/tasks/{}/submit", assignment_in(task)), &form).await.leads_to().to_owned()
}

/// Skips a task and returns where that leads.
async fn skip(client: &Client, task: &str, reason: &str, words: &str) -> String {
    let form = [("reason", reason), ("detail", words)];
    client.post(&format!("/tasks/{}/skip", assignment_in(task)), &form).await.leads_to().to_owned()
}

/// What the page after a skip says of the task that was skipped.
async fn said_of_skipped(client: &Client, place: &str) -> String {
    let page = client.get(place).await.assert(200).text;
    let said = page.split(" data-skipped>").nth(1).and_then(|rest| rest.split("</p>").next());
    said.expect("a notice").trim().to_owned()
}

#[tokio::test]
async fn checks_come_unannounced_are_scored_and_are_no_data() {
    let (server, project, admin) = led().await;
    known(&server, project, &admin, "A check.", "check").await;
    for number in 0..3 {
        seed::ranking_task(&server.state, project, &format!("Rank {number}."), &["poor", "good"]).await;
    }
    checks(&admin, "100", "0").await;
    let ada = server.user("Ada", Role::Annotator).await;
    let bob = server.user("Bob", Role::Annotator).await;
    for (person, right) in [(&ada, true), (&bob, false)] {
        // The task that it was made from is handed out no more, and the queue does not count the check.
        person.get("/queue").await.assert_contains("3 tasks wait for you");
        let mut place = next(person).await;
        let mut pages = Vec::new();
        while place.starts_with("/tasks/") {
            let task = place.clone();
            let page = person.get(&task).await.assert(200).text;
            place = answer(person, &task, right).await;
            // Twice is once, and it leads on as every label does; another order is refused as for every label.
            answer(person, &task, right).await;
            let ranks = if right { ["1", "2"] } else { ["2", "1"] };
            let submit = format!("/tasks/{}/submit", assignment_in(&task));
            person.post(&submit, &[("rank_0", ranks[0]), ("rank_1", ranks[1])]).await.assert(409);
            let done = person.get(&format!("/tasks/{}", assignment_in(&task))).await.assert(200).text;
            assert!(done.contains("What you submitted") && !done.contains("kinder"), "it tells that it was a check");
            pages.push(page);
        }
        assert_eq!(pages.len(), 4);
        assert_eq!(pages.iter().filter(|page| page.contains("A check.")).count(), 1);
        for page in &pages {
            assert!(!page.contains("kinder") && !page.contains("gold"), "the page gives the check away");
        }
    }
    let pool = server.pool();
    assert_eq!(count(pool, "SELECT count(*) FROM rankings").await, 6);
    assert_eq!(count(pool, "SELECT count(*) FROM gold_answers").await, 2);
    assert_eq!(count(pool, "SELECT count(*) FROM rankings r JOIN gold_tasks g ON g.task_id = r.task_id").await, 0);
    // Beside how far people agree stands how far they agree with what is known.
    admin.figures("/admin/projects/test/quality").await.assert_contains("100 %");
    let table = admin.get("/admin/projects/test/quality/annotators.csv").await.assert(200).text;
    let of = |email: &str| table.lines().find(|line| line.starts_with(email)).expect("a line").to_owned();
    assert!(of("ada@example.org").ends_with(",1,1,1"), "{table}");
    assert!(of("bob@example.org").ends_with(",1,0,1"), "{table}");
    let page = admin.get("/admin/projects/test/gold").await.assert(200);
    page.assert_contains("B &#62; A")
        .assert_contains("50 %")
        .assert_contains("100 %")
        .assert_contains("ada@example.org");
}

#[tokio::test]
async fn two_leads_who_make_a_known_answer_of_one_task_make_one() {
    let (server, project, admin) = led().await;
    let other = server.user("Di", Role::Admin).await;
    let (task, _) = seed::ranking_task(&server.state, project, "A check.", &["poor", "good"]).await;
    let form = format!("/admin/projects/test/gold/{task}");
    let fields = [("rank_0", "2"), ("rank_1", "1"), ("purpose", "course")];
    let (one, two) = tokio::join!(admin.post(&form, &fields), other.post(&form, &fields));
    one.assert(303);
    two.assert(303);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM gold_tasks").await, 1);
}

#[tokio::test]
async fn of_a_skipped_check_the_page_says_what_it_says_of_every_task() {
    let (server, project, admin) = led().await;
    known(&server, project, &admin, "A check.", "check").await;
    for number in 0..2 {
        seed::ranking_task(&server.state, project, &format!("Rank {number}."), &["poor", "good"]).await;
    }
    checks(&admin, "100", "0").await;
    let ada = server.user("Ada", Role::Annotator).await;
    let check = next(&ada).await;
    ada.get(&check).await.assert(200).assert_contains("A check.");
    let task = skip(&ada, &check, "knowledge", "").await;
    assert_eq!(said_of_skipped(&ada, &task).await, "Skipped. The task goes to somebody else.");
    let other = skip(&ada, &task, "knowledge", "").await;
    assert_eq!(said_of_skipped(&ada, &other).await, "Skipped. The task goes to somebody else.");
}

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
async fn a_check_that_came_ahead_is_the_task_that_comes() {
    let (server, project, admin) = led().await;
    known(&server, project, &admin, "A check.", "check").await;
    for number in 0..2 {
        seed::ranking_task(&server.state, project, &format!("Rank {number}."), &["poor", "good"]).await;
    }
    let ada = server.user("Ada", Role::Annotator).await;
    let first = next(&ada).await;
    checks(&admin, "100", "0").await;
    let ahead = format!("/tasks/{}/ahead", assignment_in(&first));
    let page = ada.json(reqwest::Method::POST, &ahead, &serde_json::json!({})).await.assert(200);
    page.assert_contains("A check.");
    let then = answer(&ada, &first, true).await;
    ada.get(&then).await.assert(200).assert_contains("A check.");
    // Its lease ended and she comes back: it is still hers.
    seed::end_lease(server.pool(), assignment_in(&then)).await;
    assert_eq!(assignment_in(&next(&ada).await), assignment_in(&then));
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
async fn known_answers_come_in_from_a_file_whole_or_not_at_all() {
    let (server, _, admin) = led().await;
    let pool = server.pool();
    let project = projects::by_slug(pool, "test").await.expect("the project");
    let bring = async |lines: &str| {
        let mut reader = lines.as_bytes();
        import::import(pool, &Actor::program("test"), &project, Kind::KnownAnswers, &mut reader).await
    };
    let good = concat!(
        r#"{"prompt": "Lesson 0.", "responses": ["poor", {"content": "good", "model": "a"}], "ranks": [2, 1], "#,
        r#""purpose": "course", "explanation": "It is **kinder**."}"#,
        "\n",
        r#"{"prompt": "A check.", "responses": ["one", "two", "three"], "ranks": [1, 2, 2]}"#,
        "\n",
    );
    let wrong = [
        (r#"{"prompt": "x", "responses": ["a", "b"], "ranks": [1, 1]}"#, "ranks"),
        (r#"{"prompt": "x", "responses": ["a", "b"], "ranks": [1, 2], "purpose": "fun"}"#, "purpose"),
        (r#"{"prompt": "x", "responses": ["a"], "ranks": [1]}"#, "responses"),
        (r#"{"prompt": "x", "responses": ["a", "b"], "ranks": [1, 2], "colour": "red"}"#, "colour"),
    ];
    for (line, field) in wrong {
        let Err(ImportError::BadRecords(bad)) = bring(&format!("{good}{line}\n")).await else { panic!("{line}") };
        assert_eq!((bad[0].line, bad[0].field.as_str()), (3, field), "{bad:?}");
    }
    assert_eq!(count(pool, "SELECT count(*) FROM gold_tasks").await, 0);
    let report = bring(good).await.expect("imported");
    assert_eq!((report.added, report.duplicates, report.tasks), (2, 0, 2));
    let again = bring(good).await.expect("nothing new");
    assert_eq!((again.added, again.duplicates), (0, 2));
    let turned = r#"{"prompt": "A check.", "responses": ["two", "one", "three"], "ranks": [1, 2, 2]}"#;
    let Err(ImportError::BadRecords(bad)) = bring(turned).await else { panic!("another order of the same answers") };
    assert_eq!(bad[0].field, "ranks");

    checks(&admin, "0", "1").await;
    let ada = server.user("Ada", Role::Annotator).await;
    let task = next(&ada).await;
    ada.get(&task).await.assert(200).assert_contains("Lesson 0.");
    ada.get(&answer(&ada, &task, true).await).await.assert_contains("<strong>kinder</strong>");
    assert!(!next(&ada).await.starts_with("/tasks/"), "nothing of it is an ordinary task");
    let page = admin.get("/admin/projects/test/import?kind=known-answers").await.assert(200);
    page.assert_contains(r#"<option value="known-answers" selected>"#);
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
