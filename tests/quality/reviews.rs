//! The review queue over real HTTP: what is disputed, what a reviewer decides, and what becomes of it.

use laurel::{
    db::reviews,
    domain::role::Role,
    export::{Kind, Selection},
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    project, rank, ranking_of, records,
    support::{
        Client,
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

#[tokio::test]
async fn a_dispute_is_decided_without_names_and_the_decision_is_exported_in_place_of_what_was_rejected() {
    let server = server().await;
    project(&server, 1).await;
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
    rosa.post(&address, &form).await.assert(303);
    let rankings = records(&server, Kind::Rankings, Selection::default()).await;
    assert_eq!(rankings.len(), 3);
    let decision = rankings.iter().find(|record| record["adjudicated"] == true).expect("a decision");
    assert_eq!(decision["ranks"], serde_json::json!([1, 1, 3]));
    assert_eq!(seed::count(server.pool(), "SELECT count(*) FROM reviews").await, 4);
}

/// Corrects what was submitted for an assignment.
async fn correct(client: &Client, assignment: Uuid, ranks: [&str; 3]) {
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
    rosa.post(&address, &[&verdicts[..], &[("rank_0", "2"), ("rank_1", "1")]].concat()).await.assert(303);
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
