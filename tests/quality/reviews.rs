//! The review queue over real HTTP: what is disputed, what a reviewer decides, and what becomes of it.

use laurel::{
    db::{job_queue, overview, reviews},
    domain::role::Role,
    export::{Kind, Selection},
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    project, rank, ranking_of, records,
    support::{
        Client, Reply, Server,
        seed::{self, Seed, assignment_in},
        server,
    },
};

/// The address of the first task of the review queue.
async fn first_review(client: &Client) -> String {
    let queue = client.get("/admin/projects/test/reviews").await.assert(200);
    // Beside the way to what people wrote.
    let mut links = queue.text.split("href=\"/admin/projects/test/reviews/").skip(1);
    let rest = links.find(|rest| !rest.starts_with("demonstrations")).expect("a task waits");
    format!("/admin/projects/test/reviews/{}", rest.split('"').next().expect("an address"))
}

/// The decision that a task's page was drawn beside; empty where there was none.
fn seen_on(page: &Reply) -> String {
    let field = page.text.split(r#"name="seen" value=""#).nth(1).expect("the field");
    field.split('"').next().expect("a value").to_owned()
}

/// Sends a decision from the page as it stands.
async fn decide(reviewer: &Client, address: &str, form: &[(&str, &str)]) -> Reply {
    let seen = seen_on(&reviewer.get(address).await.assert(200));
    let form = [form, &[("seen", seen.as_str())]].concat();
    reviewer.post(address, &form).await
}

/// Names of the fields with the verdict and the word on a person's ranking.
async fn fields_on(server: &Server, email: &str) -> (String, String) {
    let ranking = ranking_of(server, email).await;
    (format!("verdict_{ranking}"), format!("feedback_{ranking}"))
}

#[tokio::test]
async fn a_dispute_is_decided_without_names_and_the_decision_is_exported_in_place_of_what_was_rejected() {
    let server = server().await;
    let project = project(&server, 1).await;
    let root = server.user("Root", Role::Admin).await;
    root.post("/admin/projects/test/reviews", &[("audit_percent", "0")]).await.assert(303);
    root.post("/admin/projects/test/reviews", &[("audit_percent", "101")]).await.assert(422);
    let rosa = server.user("Rosa", Role::Reviewer).await;
    rosa.get("/admin/projects/test/reviews").await.assert(200).assert_contains("Nothing waits for a review");
    let ada = server.user("Ada", Role::Annotator).await;
    let bob = server.user("Bob", Role::Annotator).await;
    rank(&ada, &[1, 2, 3]).await;
    rank(&bob, &[3, 2, 1]).await;

    rosa.get("/admin/projects/test/reviews").await.assert(200).assert_contains("Best answer disputed");
    let address = first_review(&rosa).await;
    let page = rosa.get(&address).await.assert(200);
    page.assert_contains("Ranking 1").assert_contains("Ranking 2").assert_contains("100.0 %");
    for secret in ["Ada", "ada@", "Bob", "secret-model"] {
        assert!(!page.text.contains(secret), "{secret} is named");
    }

    let (adas, bobs) = (ranking_of(&server, "ada@example.org").await, ranking_of(&server, "bob@example.org").await);
    let names = [format!("verdict_{adas}"), format!("verdict_{bobs}"), format!("feedback_{bobs}")];
    rosa.post(&address, &[(names[0].as_str(), "accepted")]).await.assert(422).assert_contains("Say of each ranking");
    let corrected = [(names[0].as_str(), "accepted"), (names[1].as_str(), "corrected")];
    rosa.post(&address, &corrected).await.assert(422).assert_contains("needs the right one");
    let gap = [corrected[0], corrected[1], ("rank_0", "1"), ("rank_1", "3"), ("rank_2", "3")];
    rosa.post(&address, &gap).await.assert(422).assert_contains("leave a gap");
    let form = [
        (names[0].as_str(), "accepted"),
        (names[1].as_str(), "rejected"),
        (names[2].as_str(), "Read the guidelines on tone."),
        ("rank_0", "1"),
        ("rank_1", "2"),
        ("rank_2", "2"),
    ];
    let done = rosa.post(&address, &form).await;
    assert_eq!(done.leads_to(), "/admin/projects/test/reviews?done=1");
    rosa.get("/admin/projects/test/reviews?state=decided").await.assert(200).assert_contains("Rosa");

    let rankings = records(&server, Kind::Rankings, Selection::default()).await;
    let said: Vec<(&str, &Value, &Value)> = rankings
        .iter()
        .map(|record| (record["annotator"].as_str().expect("a name"), &record["review"], &record["adjudicated"]))
        .collect();
    let (accepted, yes, none) = (Value::from("accepted"), Value::from(true), Value::Null);
    assert_eq!(said, [("ada@example.org", &accepted, &none), ("rosa@example.org", &none, &yes)]);
    assert_eq!(rankings[1]["ranks"], serde_json::json!([1, 2, 2]));
    assert_eq!(records(&server, Kind::Comparisons, Selection::default()).await.len(), 3 + 2);
    let all = records(&server, Kind::Rankings, Selection { include_rejected: true, ..Selection::default() }).await;
    assert_eq!(all.len(), 3);
    assert!(all.iter().any(|record| record["review"] == "rejected" && record["annotator"] == "bob@example.org"));
    // Nor is what was rejected counted, on the dashboard or as something to train from.
    let counted = overview::progress(server.pool(), project).await.expect("counts");
    assert_eq!((counted.rankings, counted.comparisons), (2, 5));
    sqlx::query("UPDATE prompts SET split = 'train'").execute(server.pool()).await.expect("moved");
    let mut connection = server.pool().acquire().await.expect("a connection");
    assert_eq!(job_queue::readiness(&mut connection, project).await.expect("counts").rankings, 2);
    drop(connection);

    let bob = sqlx::query_scalar("SELECT id FROM users WHERE email = 'bob@example.org'")
        .fetch_one(server.pool())
        .await
        .expect("Bob");
    let heard = reviews::feedback_for(server.pool(), bob, 10).await.expect("feedback");
    assert_eq!(heard.len(), 1);
    assert_eq!((heard[0].verdict.as_str(), heard[0].feedback.as_str()), ("rejected", "Read the guidelines on tone."));
    // The decision is no third opinion.
    let table = rosa.get("/admin/projects/test/quality/annotators.csv").await.assert(200);
    assert_eq!(table.text.lines().count(), 3, "{}", table.text);

    // A second thought counts; the first stays in the history.
    let form = [
        (names[0].as_str(), "accepted"),
        (names[1].as_str(), "accepted"),
        ("rank_0", "1"),
        ("rank_1", "1"),
        ("rank_2", "3"),
    ];
    decide(&rosa, &address, &form).await.assert(303);
    let rankings = records(&server, Kind::Rankings, Selection::default()).await;
    assert_eq!(rankings.len(), 3);
    let decision = rankings.iter().find(|record| record["adjudicated"] == true).expect("a decision");
    assert_eq!(decision["ranks"], serde_json::json!([1, 1, 3]));
    assert_eq!(seed::count(server.pool(), "SELECT count(*) FROM reviews").await, 4);
}

#[tokio::test]
async fn an_order_that_is_taken_back_is_exported_no_more_and_stays_on_record() {
    let server = server().await;
    project(&server, 1).await;
    let rosa = server.user("Rosa", Role::Reviewer).await;
    rank(&server.user("Ada", Role::Annotator).await, &[1, 2, 3]).await;
    rank(&server.user("Bob", Role::Annotator).await, &[3, 2, 1]).await;
    let address = first_review(&rosa).await;
    let (ada, _) = fields_on(&server, "ada@example.org").await;
    let (bob, _) = fields_on(&server, "bob@example.org").await;
    let verdicts = [(ada.as_str(), "accepted"), (bob.as_str(), "accepted")];
    let order = |ranks: [&'static str; 3]| [("rank_0", ranks[0]), ("rank_1", ranks[1]), ("rank_2", ranks[2])];
    let decisions = async || {
        let rankings = records(&server, Kind::Rankings, Selection::default()).await;
        let theirs = rankings.iter().filter(|record| record["adjudicated"] == true);
        (rankings.len(), theirs.map(|record| record["ranks"].clone()).collect::<Vec<_>>())
    };
    decide(&rosa, &address, &[&verdicts[..], &order(["1", "2", "2"])].concat()).await.assert(303);
    assert_eq!(decisions().await, (3, vec![serde_json::json!([1, 2, 2])]));

    // Everything is accepted, and the order is cleared.
    decide(&rosa, &address, &[&verdicts[..], &order(["", "", ""])].concat()).await.assert(303);
    assert_eq!(decisions().await, (2, Vec::new()));
    let all = Selection { include_rejected: true, ..Selection::default() };
    assert_eq!(records(&server, Kind::Rankings, all).await.len(), 2);
    assert_eq!(seed::count(server.pool(), "SELECT count(*) FROM rankings WHERE adjudicated").await, 1, "it is lost");
    assert!(!rosa.get(&address).await.assert(200).text.contains("Order decided"));
    let prompt: Uuid = sqlx::query_scalar("SELECT prompt_id FROM tasks").fetch_one(server.pool()).await.expect("one");
    let shown = rosa.get(&format!("/admin/projects/test/prompts/{prompt}")).await.assert(200);
    shown.assert_contains("taken back by the reviewer");
    let listed = rosa.get("/admin/projects/test/labels").await.assert(200);
    assert!(!listed.text.contains("a reviewer&#39;s decision</span>"), "it is listed as if it stood");

    // Given again, an order stands again, as the next version of the one before.
    decide(&rosa, &address, &[&verdicts[..], &order(["2", "1", "3"])].concat()).await.assert(303);
    assert_eq!(decisions().await, (3, vec![serde_json::json!([2, 1, 3])]));
    let chain = "SELECT count(*) FROM rankings WHERE adjudicated AND replaces_id IS NOT NULL";
    assert_eq!(seed::count(server.pool(), chain).await, 1);
    assert_eq!(seed::count(server.pool(), "SELECT count(*) FROM ranking_decisions").await, 3);
}

#[tokio::test]
async fn of_two_reviewers_of_a_task_one_decides_and_the_other_is_told() {
    let server = server().await;
    project(&server, 1).await;
    let rosa = server.user("Rosa", Role::Reviewer).await;
    let rudi = server.user("Rudi", Role::Reviewer).await;
    rank(&server.user("Ada", Role::Annotator).await, &[1, 2, 3]).await;
    rank(&server.user("Bob", Role::Annotator).await, &[3, 2, 1]).await;
    let address = first_review(&rosa).await;
    let (ada, for_ada) = fields_on(&server, "ada@example.org").await;
    let (bob, for_bob) = fields_on(&server, "bob@example.org").await;
    let (order, other_order) =
        ([("rank_0", "1"), ("rank_1", "2"), ("rank_2", "3")], [("rank_0", "3"), ("rank_1", "2"), ("rank_2", "1")]);
    let rosas = [(ada.as_str(), "accepted"), (bob.as_str(), "rejected"), (for_bob.as_str(), "Rosa says no.")];
    let rudis = [(ada.as_str(), "rejected"), (bob.as_str(), "accepted"), (for_ada.as_str(), "Rudi says no.")];
    let rosas = [&rosas[..], &order, &[("seen", "")]].concat();
    let rudis = [&rudis[..], &other_order, &[("seen", "")]].concat();
    let decided = async || seed::count(server.pool(), "SELECT count(*) FROM ranking_decisions").await;

    let (one, other) = tokio::join!(rosa.post(&address, &rosas), rudi.post(&address, &rudis));
    let mut answers = [one.status.as_u16(), other.status.as_u16()];
    answers.sort_unstable();
    assert_eq!(answers, [303, 409]);
    assert_eq!((decided().await, seed::count(server.pool(), "SELECT count(*) FROM reviews").await), (1, 2));
    // Whoever was told sees who has decided and what, beside what they wrote themselves.
    let rosa_was_first = one.status.as_u16() == 303;
    let told = if rosa_was_first { &other } else { &one };
    told.assert_contains("Another reviewer has decided").assert_contains("Order decided");
    told.assert_contains("Rosa says no.").assert_contains("Rudi says no.");
    told.assert_contains(if rosa_was_first { ">Rosa<" } else { ">Rudi<" });
    // The same form once more, as after a double click, is no second decision.
    let (first, second) =
        if rosa_was_first { ((&rosa, &rosas), (&rudi, &rudis)) } else { ((&rudi, &rudis), (&rosa, &rosas)) };
    first.0.post(&address, first.1).await.assert(303);
    assert_eq!(decided().await, 1);
    second.0.post(&address, second.1).await.assert(409);
    // They have seen the decision by now, and may put another in its place.
    let seen = seen_on(told);
    let again: Vec<(&str, &str)> = second
        .1
        .iter()
        .map(|(name, value)| if *name == "seen" { (*name, seen.as_str()) } else { (*name, *value) })
        .collect();
    second.0.post(&address, &again).await.assert(303);
    assert_eq!(decided().await, 2);
    let rankings = records(&server, Kind::Rankings, Selection::default()).await;
    let standing: Vec<&Value> = rankings.iter().filter(|record| record["adjudicated"] == true).collect();
    assert_eq!(standing.len(), 1);
    let theirs = if rosa_was_first { serde_json::json!([3, 2, 1]) } else { serde_json::json!([1, 2, 3]) };
    assert_eq!(standing[0]["ranks"], theirs);
}

#[tokio::test]
async fn a_ranking_that_comes_after_the_decision_brings_the_task_back() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed { ranking_overlap: 3, ..Seed::default() }).await;
    seed::ranking_task(&server.state, project, "Which?", &["one", "two", "three"]).await;
    let root = server.user("Root", Role::Admin).await;
    root.post("/admin/projects/test/reviews", &[("audit_percent", "0")]).await.assert(303);
    let rosa = server.user("Rosa", Role::Reviewer).await;
    rank(&server.user("Ada", Role::Annotator).await, &[1, 2, 3]).await;
    rank(&server.user("Bob", Role::Annotator).await, &[3, 2, 1]).await;
    let address = first_review(&rosa).await;
    let (ada, _) = fields_on(&server, "ada@example.org").await;
    let (bob, _) = fields_on(&server, "bob@example.org").await;
    let verdicts = [(ada.as_str(), "accepted"), (bob.as_str(), "rejected")];
    let order = [("rank_0", "1"), ("rank_1", "2"), ("rank_2", "3")];
    decide(&rosa, &address, &[&verdicts[..], &order].concat()).await.assert(303);
    let queue = "/admin/projects/test/reviews";
    rosa.get(queue).await.assert(200).assert_contains("Nothing waits for a review");

    // Nothing disputes the decision, and yet no reviewer has seen it.
    rank(&server.user("Cy", Role::Annotator).await, &[1, 2, 3]).await;
    rosa.get(queue).await.assert(200).assert_contains("Another ranking since the decision");
    assert_eq!(first_review(&rosa).await, address);
    let reviewer: Uuid = sqlx::query_scalar("SELECT id FROM users WHERE email = 'rosa@example.org'")
        .fetch_one(server.pool())
        .await
        .expect("Rosa");
    let next = reviews::next_waiting(server.pool(), project, reviewer).await.expect("an answer");
    assert!(next.is_some(), "her own decision keeps the task from her");
    // What was decided stands meanwhile.
    let rankings = records(&server, Kind::Rankings, Selection::default()).await;
    assert_eq!(rankings.iter().filter(|record| record["adjudicated"] == true).count(), 1);
    let (cy, _) = fields_on(&server, "cy@example.org").await;
    let form = [&verdicts[..], &[(cy.as_str(), "accepted")], &order].concat();
    assert_eq!(decide(&rosa, &address, &form).await.leads_to(), format!("{queue}?done=1"));
    rosa.get(queue).await.assert(200).assert_contains("Nothing waits for a review");
    rosa.get(&format!("{queue}?state=decided")).await.assert(200).assert_contains("Another ranking since the decision");
}

/// Corrects what was submitted for an assignment.
pub async fn correct(client: &Client, assignment: Uuid, ranks: [&str; 3]) {
    let page = client.get(&format!("/tasks/{assignment}/correct")).await.assert(200);
    let version = page.text.split(r#"name="version" value=""#).nth(1).and_then(|rest| rest.split('"').next());
    let form = [
        ("rank_0", ranks[0]),
        ("rank_1", ranks[1]),
        ("rank_2", ranks[2]),
        ("version", version.expect("the version that it corrects")),
    ];
    client.post(&format!("/tasks/{assignment}/correct"), &form).await.assert(303);
}

#[tokio::test]
async fn a_correction_that_begins_or_ends_a_dispute_moves_the_task_into_the_queue_or_out() {
    let server = server().await;
    project(&server, 1).await;
    let root = server.user("Root", Role::Admin).await;
    root.post("/admin/projects/test/reviews", &[("audit_percent", "0")]).await.assert(303);
    let rosa = server.user("Rosa", Role::Reviewer).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let bob = server.user("Bob", Role::Annotator).await;
    rank(&ada, &[1, 2, 3]).await;
    let bobs = rank(&bob, &[1, 2, 3]).await;
    // They agree, and the task was looked at.
    rosa.get("/admin/projects/test/reviews").await.assert(200).assert_contains("Nothing waits for a review");
    correct(&bob, bobs, ["3", "2", "1"]).await;
    rosa.get("/admin/projects/test/reviews").await.assert(200).assert_contains("Best answer disputed");
    correct(&bob, bobs, ["1", "2", "3"]).await;
    rosa.get("/admin/projects/test/reviews").await.assert(200).assert_contains("Nothing waits for a review");
    let noted = "SELECT count(*) FROM audit_log WHERE action = 'label.correct' AND actor = 'bob@example.org'";
    assert_eq!(seed::count(server.pool(), noted).await, 2);
}

#[tokio::test]
async fn a_reviewer_sees_what_is_said_of_each_answer_and_decides_on_nine_points() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed { ranking_overlap: 2, ..Seed::default() }).await;
    sqlx::query("UPDATE projects SET judgement = 'comparison', answers_per_prompt = 2")
        .execute(pool)
        .await
        .expect("set");
    seed::ranking_task(&server.state, project, "Which?", &["one", "two"]).await;
    let rosa = server.user("Rosa", Role::Reviewer).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let bob = server.user("Bob", Role::Annotator).await;
    let judge = async |who: &Client, point: &str, more: &[(&str, &str)]| {
        let task = assignment_in(who.post("/queue/next", &[]).await.leads_to());
        // What is shown first differs from person to person: all see the task's own order here.
        sqlx::query("UPDATE assignments SET shown_order = '{0,1}' WHERE id = $1")
            .bind(task)
            .execute(pool)
            .await
            .expect("set");
        let form = [&[("confidence", point), ("then", "queue")][..], more].concat();
        who.post(&format!("/tasks/{task}/submit"), &form).await.assert(303);
    };
    judge(&ada, "2", &[("rating_0", "6"), ("flag_1_violent", "1")]).await;
    judge(&bob, "9", &[("all_bad", "1")]).await;
    let address = first_review(&rosa).await;
    let page = rosa.get(&address).await.assert(200);
    page.assert_contains("A much better").assert_contains("B far better").assert_contains("All answers are bad");
    page.assert_contains("Rating 6 of 7").assert_contains("Violent content").assert_contains("Your judgement");

    let names = [
        format!("verdict_{}", ranking_of(&server, "ada@example.org").await),
        format!("verdict_{}", ranking_of(&server, "bob@example.org").await),
    ];
    let verdicts = [(names[0].as_str(), "corrected"), (names[1].as_str(), "rejected")];
    rosa.post(&address, &[&verdicts[..], &[("confidence", "10")]].concat()).await.assert(422);
    rosa.post(&address, &[&verdicts[..], &[("confidence", "1")]].concat()).await.assert(303);
    let margins = async || {
        let said = records(&server, Kind::Comparisons, Selection::default()).await;
        said.iter().map(|record| record["margin"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(margins().await, [4], "the decision's own margin");
    rosa.get(&address).await.assert(200).assert_contains("value=\"1\" selected");
    // A side alone means that it is better, plainly.
    decide(&rosa, &address, &[&verdicts[..], &[("rank_0", "2"), ("rank_1", "1")]].concat()).await.assert(303);
    assert_eq!(margins().await, [2]);
    let rankings = records(&server, Kind::Rankings, Selection::default()).await;
    assert_eq!((&rankings[0]["confidence"], &rankings[0]["ranks"]), (&Value::from(7), &serde_json::json!([2, 1])));
}

#[tokio::test]
async fn nobody_reviews_their_own_work() {
    let server = server().await;
    project(&server, 1).await;
    let rosa = server.user("Rosa", Role::Reviewer).await;
    let ada = server.user("Ada", Role::Annotator).await;
    rank(&ada, &[1, 2, 3]).await;
    rank(&rosa, &[3, 2, 1]).await;
    let address = first_review(&rosa).await;
    rosa.get(&address).await.assert(200).assert_contains("You ranked this task yourself");
    let mut names = Vec::new();
    for email in ["ada@example.org", "rosa@example.org"] {
        names.push(format!("verdict_{}", ranking_of(&server, email).await));
    }
    let form: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "accepted")).collect();
    rosa.post(&address, &form).await.assert(422);
    assert_eq!(seed::count(server.pool(), "SELECT count(*) FROM reviews").await, 0);
}
