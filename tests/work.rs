//! What decides which task comes next: the plan, people's languages, guidelines that have to be read.

mod support;

use std::time::{Duration, Instant};

use laurel::{
    db::{assignments, audit::Actor, drawn::DrawnWith, guidelines, queue},
    domain::role::Role,
};
use support::{
    Client, Server,
    seed::{self, Seed, assignment_in, count},
    server,
};
use uuid::Uuid;

/// The kinds of task that a person is given, one letter each: r, w or c; each is submitted.
async fn kinds(client: &Client, most: usize) -> String {
    let mut kinds = String::new();
    let mut place = client.post("/queue/next", &[]).await.leads_to().to_owned();
    while place.starts_with("/tasks/") && kinds.len() < most {
        let page = client.get(&place).await.assert(200);
        kinds.push(if page.text.contains(r#"data-kind="ranking""#) { 'r' } else { 'w' });
        let form = [("completion", "x"), ("rank_0", "1"), ("rank_1", "2")];
        place = client.post(&format!("/tasks/{}/submit", assignment_in(&place)), &form).await.leads_to().to_owned();
    }
    kinds
}

async fn tasks(server: &Server, project: Uuid, each: usize) {
    for number in 0..each {
        seed::demonstration_task(&server.state, project, &format!("Write {number}.")).await;
        seed::ranking_task(&server.state, project, &format!("Rank {number}."), &["a", "b"]).await;
    }
}

#[tokio::test]
async fn a_lead_sets_the_plan_and_tasks_come_in_its_shares() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    tasks(&server, project, 9).await;
    let admin = server.user("Cy", Role::Admin).await;
    let plan = "/admin/projects/test/plan";
    let none = [("rankings", "0"), ("demonstrations", "0"), ("comparisons", "0")];
    admin.post(plan, &none).await.assert(422).assert_contains("At least one kind of task needs a weight.");
    let wrong = [("rankings", "101"), ("demonstrations", "x"), ("comparisons", "0")];
    admin.post(plan, &wrong).await.assert(422).assert_contains("101");
    admin.post(plan, &[("rankings", "3"), ("demonstrations", "1"), ("comparisons", "0")]).await.assert(303);
    admin.get(plan).await.assert(200).assert_contains(r#"name="rankings" value="3""#);
    let ada = server.user("Ada", Role::Annotator).await;
    let given = kinds(&ada, 8).await;
    assert_eq!(given.matches('r').count(), 6, "{given}");
    // Weight 0 hands out none, and the queue does not say that they wait.
    admin.post(plan, &[("rankings", "1"), ("demonstrations", "0"), ("comparisons", "0")]).await.assert(303);
    let bob = server.user("Bob", Role::Annotator).await;
    let waiting = count(server.pool(), "SELECT count(*) FROM tasks WHERE kind = 'ranking' AND labels = 0").await;
    // One of them is Ada's at the moment.
    let held = count(server.pool(), "SELECT count(*) FROM assignments a JOIN tasks t ON t.id = a.task_id WHERE a.state = 'leased' AND t.kind = 'ranking'").await;
    let words = ["No", "One task", "2 tasks", "3 tasks"];
    bob.get("/queue").await.assert_contains(words[usize::try_from(waiting - held).expect("few")]);
    assert_eq!(kinds(&bob, 20).await.len() as i64, waiting - held);
}

#[tokio::test]
async fn tasks_in_other_languages_are_not_handed_out_and_not_counted() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    for (text, language) in [("Write one.", "'en-GB'"), ("写一首诗。", "'zh'"), ("∫ x dx", "NULL")] {
        let prompt = seed::demonstration_task(&server.state, project, text).await;
        sqlx::query(sqlx::AssertSqlSafe(format!("UPDATE prompts SET language = {language} WHERE id = $1")))
            .bind(prompt)
            .execute(server.pool())
            .await
            .expect("set");
    }
    let ada = server.user("Ada", Role::Annotator).await;
    ada.get("/queue").await.assert_contains("3 tasks wait for you");
    ada.post("/account/languages", &[("others", "中文")]).await.assert(422).assert_contains("中文");
    ada.post("/account/languages", &[("spoken", "zh"), ("others", "")]).await.assert(303);
    ada.get("/account").await.assert_contains(r#"name="spoken" value="zh" checked"#);
    ada.get("/queue").await.assert_contains("2 tasks wait for you");
    let mut seen = Vec::new();
    let mut place = ada.post("/queue/next", &[]).await.leads_to().to_owned();
    while place.starts_with("/tasks/") {
        let page = ada.get(&place).await.assert(200);
        seen.push(["Write one.", "写一首诗。", "∫ x dx"].map(|text| page.text.contains(text)));
        let submit = format!("/tasks/{}/submit", assignment_in(&place));
        place = ada.post(&submit, &[("completion", "x")]).await.leads_to().to_owned();
    }
    assert_eq!(seen, [[false, true, false], [false, false, true]]);
    // An admin may set them too: every language again.
    let admin = server.user("Cy", Role::Admin).await;
    let id: Uuid =
        sqlx::query_scalar("SELECT id FROM users WHERE name = 'Ada'").fetch_one(server.pool()).await.expect("Ada");
    admin.post(&format!("/admin/people/{id}/languages"), &[("languages", "")]).await.assert(303);
    assert!(ada.post("/queue/next", &[]).await.leads_to().starts_with("/tasks/"));
}

#[tokio::test]
async fn new_guidelines_are_read_before_going_on_and_nothing_is_lost_by_them() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed { guidelines: Some("Be kind."), ..Seed::default() }).await;
    tasks(&server, project, 2).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let task = ada.post("/queue/next", &[]).await.leads_to().to_owned();
    let first = assignment_in(&task);
    let to_read = ada.get(&task).await.leads_to().to_owned();
    assert_eq!(to_read, format!("/projects/test/guidelines?then={first}"));
    let page = ada.get(&to_read).await.assert(200);
    page.assert_contains("Be kind.").assert_contains("I have read this");
    // In the other language too they lead on to the task.
    page.assert_contains(&format!(r#"name="next" value="{to_read}""#));
    let read = "/projects/test/guidelines";
    let then = first.to_string();
    ada.post(read, &[("version", "7"), ("then", &then)]).await.assert(404);
    assert_eq!(ada.post(read, &[("version", "1"), ("then", &then)]).await.leads_to(), task);
    ada.get(&task).await.assert(200);
    // A new version while she works: what she does is stored, and the new version comes before the next task.
    let (actor, drawn) = (Actor::program("test"), DrawnWith::default());
    guidelines::save(server.pool(), &actor, (project, "test"), &drawn, "Be kind and brief.").await.expect("saved");
    let ahead = ada.json(reqwest::Method::POST, &format!("/tasks/{first}/ahead"), &serde_json::json!({})).await;
    assert_eq!(ahead.status, 204, "its page would be shown before the guidelines are read");
    let form = [("completion", "x"), ("rank_0", "1"), ("rank_1", "2")];
    let next = ada.post(&format!("/tasks/{first}/submit"), &form).await.leads_to().to_owned();
    let then = next.strip_prefix("/projects/test/guidelines?then=").and_then(|rest| rest.split_once("&after="));
    let (then, after) = then.unwrap_or_else(|| panic!("{next}"));
    assert_eq!(after, first.to_string());
    assert_eq!(count(server.pool(), "SELECT count(*) FROM rankings").await, 1);
    let page = ada.get(&next).await.assert(200);
    page.assert_contains("These guidelines have changed").assert_contains("Be kind and brief.");
    page.assert_contains(&format!(r#"name="after" value="{after}""#));
    page.assert_contains(&format!(r#"name="next" value="{}""#, next.replace('&', "&#38;")));
    // Whoever goes straight to the task is led back with both.
    assert_eq!(ada.get(&format!("/tasks/{then}?after={after}")).await.leads_to(), next);
    // Her lead sees that she is behind, and then that she is not.
    let lead = server.user("Cy", Role::Admin).await;
    let readers = "/admin/projects/test/guidelines";
    lead.get(readers).await.assert(200).assert_contains("ada@example.org").assert_contains("behind");
    let form = [("version", "2"), ("then", then), ("after", after)];
    let task = ada.post(read, &form).await.leads_to().to_owned();
    assert_eq!(task, format!("/tasks/{then}?after={after}"));
    // What became of the task before is said all the same.
    ada.get(&task).await.assert(200).assert_contains(&format!(r#"data-finished="{first}""#));
    assert!(!lead.get(readers).await.text.contains("behind"));
    ada.get(read).await.assert_contains("You have read this version.");
}

#[tokio::test]
async fn the_own_page_says_what_can_be_said_and_no_more() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed { ranking_overlap: 2, ..Seed::default() }).await;
    for number in 0..10 {
        seed::ranking_task(&server.state, project, &format!("Rank {number}."), &["a", "b"]).await;
    }
    let ada = server.user("Ada", Role::Annotator).await;
    let bob = server.user("Bob", Role::Annotator).await;
    ada.get("/me")
        .await
        .assert(200)
        .assert_contains("others have judged 0 of your tasks")
        .assert_contains("Too few yet");
    // Ada finds the first answer better every time, in 61 to 70 seconds; Bob does in eight of ten.
    for (person, other_way) in [(&ada, 0), (&bob, 2)] {
        let mut place = person.post("/queue/next", &[]).await.leads_to().to_owned();
        for number in 0..10 {
            let ranks = if number < other_way { ["2", "1"] } else { ["1", "2"] };
            let seconds = (61 + number).to_string();
            let form = [("rank_0", ranks[0]), ("rank_1", ranks[1]), ("seconds", seconds.as_str())];
            let submit = format!("/tasks/{}/submit", assignment_in(&place));
            place = person.post(&submit, &form).await.leads_to().to_owned();
        }
    }
    let page = ada.get("/me").await.assert(200);
    // By hand: the variance between ten prompts, 10/9 · 1.6/100, leaves 0.16/0.0178 = 9 of them, of which Wilson's interval
    // is 47 % to 95 %; the median of 61 to 70 lies between the second and the ninth.
    page.assert_contains("80 %").assert_contains("47 %–95 %").assert_contains("over 10 tasks that others judged too");
    page.assert_contains("1:06").assert_contains("(1:02–1:09)");
    page.assert_contains("<dd>10</dd>");
    // The day is that of the browser's time zone; a zone that there is not is UTC.
    sqlx::query("UPDATE assignments SET finished_at = date_trunc('day', now() AT TIME ZONE 'Asia/Tokyo') AT TIME ZONE 'Asia/Tokyo' - interval '1 minute'")
        .execute(server.pool())
        .await
        .expect("moved");
    let tokyo = ada.request(reqwest::Method::GET, "/me").header("cookie", zone(&ada, "Asia/Tokyo"));
    ada.send(tokyo).await.assert(200).assert_contains("Asia/Tokyo").assert_contains("<dd>0</dd>");
    let nowhere = ada.request(reqwest::Method::GET, "/me").header("cookie", zone(&ada, "Nowhere/Town"));
    ada.send(nowhere).await.assert(200).assert_contains("UTC");
}

/// The cookies of a browser that names its time zone.
fn zone(client: &Client, name: &str) -> String {
    format!("laurel_session={}; laurel_zone={name}", client.cookie("laurel_session").expect("a session"))
}

/// Time within which the next task is found, and how many searches may be made again that take longer.
const AT_ONCE: Duration = Duration::from_millis(100);
const AGAIN: usize = 3;

/// A hundred thousand tasks wait; a person's next one is found at once, in every language and in one that few have.
#[tokio::test]
async fn the_next_of_a_hundred_thousand_tasks_is_found_at_once() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed { ranking_overlap: 3, ..Seed::default() }).await;
    let mut seeding = pool.begin().await.expect("a transaction");
    // No trigger and no foreign key looks at each of them: what triggers would write is written here.
    sqlx::query("SET LOCAL session_replication_role = replica").execute(&mut *seeding).await.expect("set");
    sqlx::query(
        "INSERT INTO prompts (id, project_id, conversation, language, split, content_hash)
         SELECT gen_random_uuid(), $1, '[{\"role\": \"user\", \"content\": \"x\"}]',
             CASE WHEN n % 10000 = 9999 THEN 'zh' ELSE 'en' END, 'train', sha256(n::text::bytea)
         FROM generate_series(1, 100000) AS n",
    )
    .bind(project)
    .execute(&mut *seeding)
    .await
    .expect("prompts");
    sqlx::query(
        "INSERT INTO tasks (id, project_id, prompt_id, kind, overlap, language)
         SELECT gen_random_uuid(), project_id, id, 'demonstration', 3, language FROM prompts",
    )
    .execute(&mut *seeding)
    .await
    .expect("tasks");
    seeding.commit().await.expect("stored");
    sqlx::query("ANALYZE").execute(pool).await.expect("analysed");
    let mut times = Vec::new();
    // The last of them comes first. A machine that does other things at that moment only makes a search longer: such a search is
    // made again, for somebody else.
    let mut who = vec![("Di", "{fr}"), ("Cy", "{zh,en}"), ("Bo", "{zh}"), ("Ada", "{}")];
    let mut again = AGAIN;
    while let Some((name, languages)) = who.pop() {
        let person = server.account(&format!("{name} {again}"), Role::Annotator).await;
        sqlx::query("UPDATE users SET languages = $2::text[] WHERE id = $1")
            .bind(person)
            .bind(languages)
            .execute(pool)
            .await
            .expect("set");
        let begun = Instant::now();
        let given = assignments::lease_next(pool, person).await.expect("an answer");
        let leased = begun.elapsed();
        assert_eq!(given.is_some(), name != "Di");
        let begun = Instant::now();
        let waiting: i64 =
            queue::projects(pool, person).await.expect("counts").iter().map(|queue| queue.demonstrations).sum();
        let counted = begun.elapsed();
        assert!(match name {
            "Ada" | "Cy" => waiting > 99_000,
            "Bo" => waiting == 9,
            _ => waiting == 0,
        });
        if leased >= AT_ONCE && again > 0 {
            again -= 1;
            who.push((name, languages));
            continue;
        }
        times.push((name, leased, counted));
    }
    eprintln!("of 100,000 tasks, next found and waiting counted: {times:?}");
    // A search that went through all of them would take longer than this.
    assert!(times.iter().all(|(_, leased, _)| *leased < AT_ONCE), "{times:?}");
}
