//! The pages of quality over real HTTP: people rank, and what they agree on is shown as it can be counted by hand.

mod support;

use futures_util::TryStreamExt;
use laurel::{
    db::{projects, reviews},
    domain::role::Role,
    export::{self, Format, Kind, Selection},
};
use serde_json::Value;
use support::{
    Client, Server,
    seed::{self, Seed, assignment_in},
    server,
};
use uuid::Uuid;

/// Takes the next task and ranks its answers, by their positions in the task.
async fn rank(client: &Client, ranks: &[u32]) -> Uuid {
    let assignment = assignment_in(client.post("/queue/next", &[]).await.leads_to());
    let names: Vec<String> = (0..ranks.len()).map(|position| format!("rank_{position}")).collect();
    let ranks: Vec<String> = ranks.iter().map(u32::to_string).collect();
    let mut form: Vec<(&str, &str)> =
        names.iter().zip(&ranks).map(|(name, rank)| (name.as_str(), rank.as_str())).collect();
    form.extend([("seconds", "40"), ("then", "queue")]);
    client.post(&format!("/tasks/{assignment}/submit"), &form).await.assert(303);
    assignment
}

/// A project in which two people rank the same `tasks` tasks of three answers.
async fn project(server: &Server, tasks: usize) -> Uuid {
    let project = seed::project(server.pool(), Seed { ranking_overlap: 2, ..Seed::default() }).await;
    for task in 0..tasks {
        seed::ranking_task(&server.state, project, &format!("Question {task}?"), &["one", "two", "three"]).await;
    }
    project
}

#[tokio::test]
async fn what_two_people_agree_on_is_counted_and_shown_beside_the_yardstick() {
    let server = server().await;
    project(&server, 2).await;
    let rosa = server.user("Rosa", Role::Reviewer).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let bob = server.user("Bob", Role::Annotator).await;
    for _ in 0..2 {
        rank(&ada, &[1, 2, 3]).await;
        rank(&bob, &[1, 3, 2]).await;
    }
    let before = rosa.get("/admin/projects/test").await.assert(200);
    let page = rosa.figures("/admin/projects/test/quality").await;
    // Two of three pairs alike, twice; τ-b = (2 − 1) / 3.
    page.assert_contains("66.7 %").assert_contains("0.33").assert_contains("72.6 ± 1.5 %");
    page.assert_contains("Ada").assert_contains("Bob").assert_contains("Fewer than 10 prompts");
    // The overview draws what is reckoned by now, and reckons nothing itself.
    before.assert_contains("It is reckoned when somebody asks for it.");
    let overview = rosa.get("/admin/projects/test").await.assert(200);
    overview.assert_contains("class=\"yardstick-band\"").assert_contains("Agreement by week");
    let table = rosa.get("/admin/projects/test/quality/annotators.csv").await.assert(200);
    assert_eq!(table.headers["content-type"], "text/csv; charset=utf-8");
    let ada = table.text.lines().find(|line| line.starts_with("ada@example.org,")).expect("a row for Ada");
    assert!(ada.starts_with("ada@example.org,false,2,2,0.666667,"), "{ada}");
    let pairs = rosa.get("/admin/projects/test/quality/pairs.csv").await.assert(200);
    pairs.assert_contains("ada@example.org,bob@example.org,2,0.666667");
    rosa.get("/admin/projects/test/quality/weeks.csv").await.assert(200).assert_contains(",2,0.666667,");
    rosa.get("/admin/projects/test/quality/poems.csv").await.assert(404);
}

#[tokio::test]
async fn without_labels_or_without_a_second_opinion_the_page_says_so() {
    let server = server().await;
    project(&server, 1).await;
    let rosa = server.user("Rosa", Role::Reviewer).await;
    rosa.figures("/admin/projects/test/quality").await.assert_contains("No rankings yet");
    let ada = server.user("Ada", Role::Annotator).await;
    rank(&ada, &[1, 2, 3]).await;
    let page = rosa.figures("/admin/projects/test/quality").await;
    page.assert_contains("No answers have been ranked by two people yet");
    assert!(!page.text.contains("NaN"), "{}", page.text);
}

/// The records of the test project.
async fn records(server: &Server, kind: Kind, selection: Selection) -> Vec<Value> {
    let project = projects::by_slug(server.pool(), "test").await.expect("the project");
    let pieces: Vec<bytes::Bytes> = export::stream(server.pool().clone(), &project, kind, Format::Jsonl, selection)
        .try_collect()
        .await
        .expect("an export");
    let text = String::from_utf8(pieces.concat()).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

async fn ranking_of(server: &Server, email: &str) -> Uuid {
    sqlx::query_scalar("SELECT id FROM rankings WHERE annotator = $1")
        .bind(email)
        .fetch_one(server.pool())
        .await
        .expect("a ranking")
}

/// The address of the first task of the review queue.
async fn first_review(client: &Client) -> String {
    let queue = client.get("/admin/projects/test/reviews").await.assert(200);
    let rest = queue.text.split("href=\"/admin/projects/test/reviews/").nth(1).expect("a task waits");
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

#[tokio::test]
async fn models_stand_by_what_people_preferred_and_two_can_be_tested_blindly() {
    let server = server().await;
    project(&server, 2).await;
    let rosa = server.user("Rosa", Role::Reviewer).await;
    rosa.figures("/admin/projects/test/leaderboard").await.assert_contains("Nothing to compare yet");
    let ada = server.user("Ada", Role::Annotator).await;
    rank(&ada, &[1, 2, 3]).await;
    rank(&ada, &[1, 3, 2]).await;
    let page = rosa.figures("/admin/projects/test/leaderboard").await;
    page.assert_contains("secret-model-0").assert_contains("6 comparisons on 2 prompts");
    let table = rosa.get("/admin/projects/test/leaderboard/models.csv").await.assert(200);
    let first = table.text.lines().nth(1).expect("a model");
    assert!(first.starts_with("secret-model-0,") && first.ends_with(",1.000000,4,0,0"), "{first}");
    let pairs = rosa.get("/admin/projects/test/leaderboard/win-rates.csv").await.assert(200);
    pairs.assert_contains("secret-model-1,secret-model-2,0.500000,2");
    rosa.figures("/admin/projects/test/leaderboard?language=zh").await.assert_contains("Nothing to compare yet");

    let root = server.user("Root", Role::Admin).await;
    let form = [("first", "secret-model-0"), ("second", "secret-model-2"), ("prompts", "50")];
    let twins = [("first", "secret-model-0"), ("second", "secret-model-0"), ("prompts", "50")];
    root.post("/admin/projects/test/leaderboard", &twins).await.assert(422);
    let made = root.post("/admin/projects/test/leaderboard", &form).await;
    assert_eq!(made.leads_to(), "/admin/projects/test/leaderboard?made=2#blind-tests");
    root.post("/admin/projects/test/leaderboard", &form).await.assert(422).assert_contains("no prompt in common");
    // Handed out before anything else, and the page names no model.
    let bob = server.user("Bob", Role::Annotator).await;
    let assignment = rank(&bob, &[2, 1]).await;
    let page = bob.get(&format!("/tasks/{assignment}")).await.assert(200);
    assert!(!page.text.contains("secret-model"), "the page names a model");
    let page = rosa.figures("/admin/projects/test/leaderboard").await;
    page.assert_contains("secret-model-0 : secret-model-2").assert_contains("1 of 4 labels").assert_contains("0.0 %");
}

#[tokio::test]
async fn exports_weigh_and_leave_out_by_reliability() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed { ranking_overlap: 3, ..Seed::default() }).await;
    for task in 0..10 {
        seed::ranking_task(&server.state, project, &format!("Question {task}?"), &["one", "two", "three"]).await;
    }
    for (name, ranks) in [("Ada", [1, 2, 3]), ("Bob", [1, 2, 3]), ("Cy", [3, 2, 1])] {
        let person = server.user(name, Role::Annotator).await;
        for _ in 0..10 {
            rank(&person, &ranks).await;
        }
    }
    let plain = records(&server, Kind::Rankings, Selection::default()).await;
    assert!(plain.len() == 30 && plain.iter().all(|record| record.get("weight").is_none()));
    let weighed = records(&server, Kind::Rankings, Selection { weights: true, ..Selection::default() }).await;
    for record in &weighed {
        let weight = record["weight"].as_f64().expect("a weight");
        if record["annotator"] == "cy@example.org" {
            assert_eq!(weight, 0.0)
        } else {
            assert!(weight > 0.9, "{weight}")
        }
    }
    let strict = Selection { minimum_reliability: Some(0.6), ..Selection::default() };
    assert_eq!(records(&server, Kind::Rankings, strict).await.len(), 20);
    assert_eq!(records(&server, Kind::Comparisons, strict).await.len(), 60);

    let root = server.user("Root", Role::Admin).await;
    // Thirty rankings of three pairs each, and without those of the one who says the opposite of everybody.
    let counted = async |options: &str| {
        let page = root.get(&format!("/admin/projects/test/export{options}")).await.assert(200);
        let totals = page.text.split("<td class=\"number\"><strong>").skip(1);
        totals.filter_map(|rest| rest.split('<').next().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(counted("").await, ["10", "0", "30", "90"]);
    assert_eq!(counted("?minimum_reliability=60").await, ["10", "0", "20", "60"]);
    root.get("/admin/projects/test/export?minimum_reliability=600").await.assert(422);
    let page = root.get("/admin/projects/test/export?minimum_reliability=60&weights=1").await.assert(200);
    page.assert_contains("type=\"hidden\" name=\"minimum_reliability\" value=\"60\"");
    let down = "/admin/projects/test/export/rankings?format=csv&split=&weights=1&minimum_reliability=60";
    assert_eq!(root.get(down).await.assert(200).text.lines().count(), 21);
    root.get("/admin/projects/test/export/rankings?minimum_reliability=600").await.assert(422);
}

/// Times of the pages that reckon over all labels, at 50,000 rankings of four answers by 20 people:
/// `cargo test --release -p laurel --test quality -- --ignored --nocapture fifty_thousand`.
#[tokio::test]
#[ignore = "a measurement, for an optimised build"]
async fn fifty_thousand_rankings_are_measured_and_shown() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed { ranking_overlap: 2, ..Seed::default() }).await;
    let ada = server.user("Ada", Role::Admin).await;
    for sql in [
        "INSERT INTO prompts (id, project_id, conversation, language, split, content_hash)
         SELECT gen_random_uuid(), p.id, '[{\"role\": \"user\", \"content\": \"x\"}]', 'en', 'train', sha256(n::text::bytea)
         FROM projects p, generate_series(1, 25000) AS n",
        "INSERT INTO responses (id, prompt_id, content, model)
         SELECT gen_random_uuid(), p.id, repeat('an answer ', 40), 'model-' || n FROM prompts p, generate_series(0, 3) AS n",
        "INSERT INTO rankings (id, prompt_id, annotator, seconds)
         SELECT gen_random_uuid(), p.id, 'person-' || (abs(hashtext(p.id::text || n)) % 20), 40
         FROM prompts p, generate_series(0, 1) AS n",
        "INSERT INTO ranking_responses (ranking_id, position, response_id, rank)
         SELECT r.id, place.position, place.id, row_number() OVER (PARTITION BY r.id ORDER BY random())
         FROM rankings r
         JOIN (SELECT id, prompt_id, row_number() OVER (PARTITION BY prompt_id ORDER BY model) - 1 AS position
               FROM responses) AS place ON place.prompt_id = r.prompt_id",
        "ANALYZE",
    ] {
        sqlx::query(sql).execute(pool).await.expect(sql);
    }
    assert_eq!(seed::count(pool, "SELECT count(*) FROM rankings").await, 50_000);
    let timed = async |path: &str| {
        let begun = std::time::Instant::now();
        ada.get(path).await.assert(200);
        begun.elapsed()
    };
    for path in ["/admin/projects/test/quality", "/admin/projects/test/leaderboard"] {
        println!("{path}: {:?}, again {:?}", timed(path).await, timed(path).await);
        let prompt = seed::prompt(pool, project, path).await;
        sqlx::query("INSERT INTO rankings (id, prompt_id, annotator) VALUES (gen_random_uuid(), $1, 'person-1')")
            .bind(prompt)
            .execute(pool)
            .await
            .expect("one more");
        println!("{path}: after one more label {:?}", timed(path).await);
    }
}
