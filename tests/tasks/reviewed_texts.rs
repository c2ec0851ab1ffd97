//! What people write, under review: what is rejected trains nobody and is asked for again, and its writer hears why.

use laurel::{
    domain::role::Role,
    export::{self, Kind, Selection},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{exported, only_project, selected};
use crate::support::{
    Client, Reply, Server,
    seed::{self, Seed, assignment_in, count},
    server,
};

const QUEUE: &str = "/admin/projects/test/reviews/demonstrations";

/// Takes the next task and writes an answer to it; gives the task's address.
async fn write(person: &Client, text: &str) -> String {
    let task = format!("/tasks/{}", assignment_in(person.post("/queue/next", &[]).await.leads_to()));
    person.post(&format!("{task}/submit"), &[("completion", text), ("then", "queue")]).await.assert(303);
    task
}

/// The address of the first text that waits.
async fn first(reviewer: &Client) -> String {
    let queue = reviewer.get(QUEUE).await.assert(200);
    let rest = queue.text.split(&format!("href=\"{QUEUE}/")).nth(1).expect("a text waits").to_owned();
    format!("{QUEUE}/{}", rest.split('"').next().expect("an address"))
}

/// The value of a hidden field.
fn hidden(page: &Reply, name: &str) -> String {
    let field = page.text.split(&format!("name=\"{name}\" value=\"")).nth(1).expect("the field");
    field.split('"').next().expect("a value").to_owned()
}

/// Sends a decision from the page as it stands.
async fn decide(reviewer: &Client, address: &str, verdict: &str, feedback: &str, text: &str) -> Reply {
    let seen = hidden(&reviewer.get(address).await.assert(200), "seen");
    let form = [("verdict", verdict), ("feedback", feedback), ("text", text), ("seen", &seen)];
    reviewer.post(address, &form).await
}

/// A project that wants one answer to one prompt.
async fn asked(server: &Server) -> Uuid {
    let project = seed::project(server.pool(), Seed::default()).await;
    seed::demonstration_task(&server.state, project, "Say **hello**.").await
}

async fn with_rejected(server: &Server) -> Vec<Value> {
    let all = Selection { include_rejected: true, ..Selection::default() };
    selected(server, Kind::Demonstrations, all).await
}

/// The demonstrations that an export would hold, as its page says before.
async fn counted(server: &Server, include_rejected: bool) -> i64 {
    let project = only_project(server.pool()).await;
    let selection = Selection { include_rejected, ..Selection::default() };
    let counts = export::counts(server.pool(), project.id, &selection).await.expect("counts");
    counts.iter().map(|split| split.demonstrations).sum()
}

#[tokio::test]
async fn a_rejected_text_trains_nobody_and_somebody_else_is_asked() {
    let server = server().await;
    asked(&server).await;
    let rosa = server.user("Rosa", Role::Reviewer).await;
    rosa.get(QUEUE).await.assert(200).assert_contains("Nothing waits for a review");
    let ada = server.user("Ada", Role::Annotator).await;
    let bob = server.user("Bob", Role::Annotator).await;
    let hers = write(&ada, "Go *away*.").await;
    assert_eq!(bob.post("/queue/next", &[]).await.leads_to(), "/queue?empty=1");
    // As annotators see it, and without her name.
    let address = first(&rosa).await;
    let page = rosa.get(&address).await.assert(200);
    page.assert_contains("Say <strong>hello</strong>.").assert_contains("Go <em>away</em>.");
    assert!(!page.text.contains("Ada"), "the writer is named");

    decide(&rosa, &address, "", "", "").await.assert(422).assert_contains("Say whether you accept");
    decide(&rosa, &address, "rejected", "  ", "").await.assert(422).assert_contains("Tell the writer why");
    let done = decide(&rosa, &address, "rejected", "It is **rude**.", "").await;
    assert_eq!(done.leads_to(), format!("{QUEUE}?done=1"));
    assert_eq!(exported(&server, Kind::Demonstrations).await, Vec::<Value>::new());
    let kept = with_rejected(&server).await;
    assert_eq!((kept.len(), &kept[0]["review"]), (1, &json!("rejected")));
    assert_eq!((counted(&server, false).await, counted(&server, true).await), (0, 1));

    // She hears why, and what was reviewed stays as it is.
    ada.get("/me").await.assert(200).assert_contains("It is **rude**.").assert_contains("Rejected");
    let seen = ada.get(&hers).await.assert(200);
    seen.assert_contains("It is **rude**.");
    assert!(!seen.text.contains("/correct"), "a reviewed text can be corrected");
    let version: Uuid =
        sqlx::query_scalar("SELECT id FROM demonstrations").fetch_one(server.pool()).await.expect("hers");
    let late = [("completion", "Hello."), ("version", &version.to_string())];
    ada.post(&format!("{hers}/correct"), &late).await.assert(409).assert_contains("has been reviewed");
    assert_eq!(ada.post("/queue/next", &[]).await.leads_to(), "/queue?empty=1");

    // The prompt goes to somebody else, and its place is filled again.
    write(&bob, "Hello!").await;
    assert_eq!(count(server.pool(), "SELECT labels::bigint FROM tasks").await, 1);
    let texts = exported(&server, Kind::Demonstrations).await;
    assert_eq!((texts.len(), &texts[0]["annotator"]), (1, &json!("bob@example.org")));
    // What is taken back after that stands as an extra opinion: one was wanted.
    decide(&rosa, &address, "accepted", "On second thought it is fine.", "").await.assert(303);
    let texts = exported(&server, Kind::Demonstrations).await;
    let said: Vec<_> = texts.iter().map(|text| (&text["review"], &text["extra_opinion"])).collect();
    assert_eq!(said, [(&json!("accepted"), &json!(true)), (&Value::Null, &Value::Null)]);
    assert_eq!(count(server.pool(), "SELECT labels::bigint FROM tasks").await, 1);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM demonstration_reviews").await, 2);
    let noted = "SELECT count(*) FROM audit_log WHERE action = 'demonstration.review' AND actor = 'rosa@example.org'";
    assert_eq!(count(server.pool(), noted).await, 2);
}

#[tokio::test]
async fn a_reviewers_own_text_stands_in_its_place_until_they_think_again() {
    let server = server().await;
    let prompt = asked(&server).await;
    let rosa = server.user("Rosa", Role::Reviewer).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let hers = write(&ada, "Helo.").await;
    let address = first(&rosa).await;
    // What the writer said is no text of the reviewer's own.
    decide(&rosa, &address, "corrected", "", "Helo.\r\n").await.assert(422).assert_contains("differs from the writer");
    decide(&rosa, &address, "corrected", "Mind the spelling.", "Hello.").await.assert(303);
    let texts = exported(&server, Kind::Demonstrations).await;
    assert_eq!(texts.len(), 1);
    assert_eq!(texts[0]["completion"][0]["content"], "Hello.");
    assert_eq!((&texts[0]["annotator"], &texts[0]["adjudicated"]), (&json!("rosa@example.org"), &json!(true)));
    let all = with_rejected(&server).await;
    assert_eq!(all.iter().filter(|text| text["review"] == "corrected").count(), 1);
    assert_eq!(all.len(), 2);
    ada.get(&hers).await.assert(200).assert_contains("Mind the spelling.").assert_contains("Hello.");
    let chain = "SELECT count(*) FROM demonstrations own JOIN demonstrations hers ON hers.id = own.replaces_id
                 WHERE own.adjudicated AND NOT hers.adjudicated";
    assert_eq!(count(server.pool(), chain).await, 1, "the new version names the one it replaces");
    // One answer was wanted and one stands: nobody is asked.
    assert_eq!(count(server.pool(), "SELECT labels::bigint FROM tasks").await, 1);

    // Better words replace the first ones; then hers stands again.
    decide(&rosa, &address, "corrected", "Mind the spelling.", "Hello!").await.assert(303);
    let texts = exported(&server, Kind::Demonstrations).await;
    assert_eq!((texts.len(), &texts[0]["completion"][0]["content"]), (1, &json!("Hello!")));
    decide(&rosa, &address, "accepted", "", "").await.assert(303);
    let texts = exported(&server, Kind::Demonstrations).await;
    assert_eq!((texts.len(), &texts[0]["completion"][0]["content"]), (1, &json!("Helo.")));
    let page = rosa.get(&format!("/admin/projects/test/prompts/{prompt}")).await.assert(200);
    page.assert_contains("A reviewer’s text").assert_contains("Accepted");
    assert_eq!(count(server.pool(), "SELECT count(*) FROM demonstrations").await, 3, "no version is lost");
}

#[tokio::test]
async fn of_two_reviewers_one_decides_and_the_other_is_told() {
    let server = server().await;
    asked(&server).await;
    let rosa = server.user("Rosa", Role::Reviewer).await;
    let rudi = server.user("Rudi", Role::Reviewer).await;
    let ada = server.user("Ada", Role::Annotator).await;
    write(&ada, "Hello.").await;
    let address = first(&rosa).await;
    let accepts = [("verdict", "accepted"), ("feedback", ""), ("seen", "")];
    let rejects = [("verdict", "rejected"), ("feedback", "Too short."), ("seen", "")];
    let (one, other) = tokio::join!(rosa.post(&address, &accepts), rudi.post(&address, &rejects));
    let mut answers = [one.status.as_u16(), other.status.as_u16()];
    answers.sort_unstable();
    assert_eq!(answers, [303, 409]);
    let told = if one.status.as_u16() == 409 { &one } else { &other };
    told.assert_contains("another reviewer has decided");
    assert_eq!(count(server.pool(), "SELECT count(*) FROM demonstration_reviews").await, 1);
    // The same form once more, as after a double click, is no second decision.
    let (first, form) = if one.status.as_u16() == 303 { (&rosa, accepts) } else { (&rudi, rejects) };
    first.post(&address, &form).await.assert(303);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM demonstration_reviews").await, 1);
    // Whoever was told has seen the decision by now, and may put another in its place.
    let (second, form) = if one.status.as_u16() == 409 { (&rosa, accepts) } else { (&rudi, rejects) };
    let seen = hidden(told, "seen");
    second.post(&address, &[form[0], form[1], ("seen", &seen)]).await.assert(303);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM current_demonstration_reviews").await, 1);
    let labels = if form[0].1 == "accepted" { 1 } else { 0 };
    assert_eq!(count(server.pool(), "SELECT labels::bigint FROM tasks").await, labels);
}

#[tokio::test]
async fn a_text_that_its_writer_corrects_meanwhile_is_looked_at_again() {
    let server = server().await;
    asked(&server).await;
    let rosa = server.user("Rosa", Role::Reviewer).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let hers = write(&ada, "Helo.").await;
    let address = first(&rosa).await;
    rosa.get(&address).await.assert(200).assert_contains("Helo.");
    let version = hidden(&ada.get(&format!("{hers}/correct")).await.assert(200), "version");
    ada.post(&format!("{hers}/correct"), &[("completion", "Hello."), ("version", &version)]).await.assert(303);
    let form = [("verdict", "rejected"), ("feedback", "Mind the spelling."), ("seen", "")];
    let told = rosa.post(&address, &form).await.assert(409);
    told.assert_contains("Hello.").assert_contains("The writer has corrected this answer");
    assert_eq!(count(server.pool(), "SELECT count(*) FROM demonstration_reviews").await, 0);
    // The old address leads to what stands.
    let newer = rosa.get(&address).await.leads_to().to_owned();
    assert_eq!(first(&rosa).await, newer);
    decide(&rosa, &newer, "accepted", "", "").await.assert(303);
    rosa.get(&format!("{QUEUE}?state=decided")).await.assert(200).assert_contains("Accepted").assert_contains("Rosa");
}

#[tokio::test]
async fn nobody_reviews_their_own_text_and_the_project_says_how_many_wait() {
    let server = server().await;
    asked(&server).await;
    let rosa = server.user("Rosa", Role::Reviewer).await;
    let lea = server.user("Lea", Role::Admin).await;
    write(&rosa, "Hello.").await;
    let address = first(&rosa).await;
    rosa.get(&address).await.assert(200).assert_contains("You wrote this yourself");
    rosa.post(&address, &[("verdict", "accepted"), ("seen", "")]).await.assert(422);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM demonstration_reviews").await, 0);
    lea.get(&address).await.assert(200).assert_contains("Your decision");

    lea.post(QUEUE, &[("percent", "101")]).await.assert(422);
    lea.post(QUEUE, &[("percent", "0")]).await.assert(303);
    lea.get(QUEUE).await.assert(200).assert_contains("Nothing waits for a review");
    // It may be opened from its prompt all the same.
    decide(&lea, &address, "accepted", "Well said.", "").await.assert(303);
    // No project but its own shows it.
    seed::project(server.pool(), Seed { slug: "other", ..Seed::default() }).await;
    lea.get(&address.replace("/test/", "/other/")).await.assert(404);
    lea.post(&address.replace("/test/", "/other/"), &[("verdict", "rejected"), ("feedback", "x")]).await.assert(404);
}

#[tokio::test]
async fn where_an_imported_text_is_rejected_people_are_asked() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed::default()).await;
    let prompt = seed::prompt(pool, project, "Say hello.").await;
    let text = Uuid::now_v7();
    sqlx::query("INSERT INTO demonstrations (id, prompt_id, completion) VALUES ($1, $2, 'Go away.')")
        .bind(text)
        .bind(prompt)
        .execute(pool)
        .await
        .expect("an imported text");
    let lea = server.user("Lea", Role::Admin).await;
    lea.get(QUEUE).await.assert(200).assert_contains("Nothing waits for a review");
    let address = format!("{QUEUE}/{text}");
    lea.get(&format!("/admin/projects/test/prompts/{prompt}")).await.assert(200).assert_contains(&address);
    decide(&lea, &address, "rejected", "Rude.", "").await.assert(303);
    let ada = server.user("Ada", Role::Annotator).await;
    write(&ada, "Hello.").await;
    let texts = exported(&server, Kind::Demonstrations).await;
    assert_eq!((texts.len(), &texts[0]["annotator"]), (1, &json!("ada@example.org")));
}
