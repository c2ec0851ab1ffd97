//! A choice in a conversation is listed among the last submissions and corrected as a new version; the conversation stays.

use laurel::{
    db::chat_turns::{self, NewAnswer},
    domain::role::Role,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    begin, endpoint,
    support::{Client, PASSWORD, Reply, Server, client::link_with, seed::count},
    with_chat,
};

/// Says something, lets the model answer and chooses.
async fn turn(client: &Client, chat: &str, number: &str, best: &str) {
    client.post(&format!("{chat}/answers"), &[]).await.assert(303);
    client.post(&format!("{chat}/choose"), &[("turn", number), ("best", best)]).await.assert(303);
}

fn version(page: &Reply) -> String {
    let field = page.text.split(r#"name="version" value=""#).nth(1).expect("a version");
    field.split('"').next().expect("an id").to_owned()
}

/// The comparisons that programs get.
async fn comparisons(server: &Server, client: &Client) -> Vec<Value> {
    let token = server.token(laurel::db::tokens::TokenRole::Trainer).await;
    let export = client.request(reqwest::Method::GET, "/api/v1/projects/test/export/comparisons").bearer_auth(token);
    let export = client.send(export).await.assert(200).text;
    export.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn an_earlier_choice_is_corrected_and_the_conversation_stays_as_it_went_on() {
    let (address, _) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    let bea = server.user("Bea", Role::Annotator).await;
    let chat = begin(&bea, "How do bees make honey?").await;
    let first = format!("{chat}/turns/0");
    // Nothing is chosen yet.
    assert_eq!(bea.get(&first).await.leads_to(), chat);
    turn(&bea, &chat, "0", "0").await;
    bea.post(&format!("{chat}/say"), &[("message", "And wax?")]).await.assert(303);
    turn(&bea, &chat, "1", "0").await;
    let before = comparisons(&server, &bea).await;

    // Both are among what she submitted last, and on the conversation's page.
    let queue = bea.get("/queue").await.assert(200);
    assert_eq!(link_with(&queue.text, "/turns/1"), format!("{chat}/turns/1"));
    assert_eq!(link_with(&queue.text, "/turns/0"), first);
    bea.get(&chat).await.assert(200).assert_contains(&format!("href=\"{first}\""));
    let page = bea.get(&first).await.assert(200);
    page.assert_contains("The conversation went on with A").assert_contains(r#"value="0" required checked"#);
    let version = version(&page);
    let other = [("best", "1"), ("version", &version), ("seconds", "2")];
    // Sent twice, it is one new version.
    for _ in 0..2 {
        assert_eq!(bea.post(&first, &other).await.leads_to(), format!("{first}?saved=1"));
    }
    // From an older page, another choice is refused and told.
    bea.post(&first, &[("best", "0"), ("version", &version)]).await.assert(409).assert_contains("Another version");
    bea.post(&first, &[("version", &version)]).await.assert(422).assert_contains("Choose an answer first");
    let pool = server.pool();
    assert_eq!(count(pool, "SELECT count(*) FROM rankings").await, 3);
    assert_eq!(count(pool, "SELECT count(*) FROM rankings WHERE replaces_id IS NOT NULL").await, 1);
    let noted = "SELECT count(*) FROM audit_log WHERE action = 'label.correct' AND detail ->> 'kind' = 'choice'";
    assert_eq!(count(pool, noted).await, 1);

    let after = comparisons(&server, &bea).await;
    assert_eq!(after.len(), 2);
    let of = |records: &[Value], messages: usize| {
        let found = records.iter().find(|record| record["prompt"].as_array().expect("messages").len() == messages);
        found.expect("a comparison").clone()
    };
    // The system's message and hers; two more in the second turn.
    let (was, is) = (of(&before, 2), of(&after, 2));
    assert_eq!(
        (&was["chosen"], &was["rejected"]),
        (&is["rejected"], &is["chosen"]),
        "the comparison is the corrected one"
    );
    assert_eq!(of(&before, 4), of(&after, 4), "what came after it carries the answer that was chosen then");
    bea.get(&first)
        .await
        .assert_contains("The conversation went on with A")
        .assert_contains(r#"value="1" required checked"#);
    // Nobody else finds it.
    let ada = server.user("Cy", Role::Admin).await;
    ada.get(&first).await.assert(404);
    ada.post(&first, &other).await.assert(404);
}

#[tokio::test]
async fn choices_are_among_what_one_has_done_and_a_corrected_one_counts_once() {
    let (address, _) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    let bea = server.user("Bea", Role::Annotator).await;
    let figures = async |wanted: usize| {
        let own = bea.get("/me").await.assert(200).text;
        let done = format!("<dd>{wanted}</dd>");
        assert_eq!(own.matches(&done).count(), 3, "today, this week and altogether: {own}");
        let queue = bea.get("/queue").await.assert(200);
        queue.assert_contains(&format!("<dt>done by you</dt>{done}"));
        own
    };
    assert!(!figures(0).await.contains("<dt>Chat</dt>"), "no time is said of what was not done");
    // The same is said in two conversations: each has its own choice.
    let chat = begin(&bea, "How do bees make honey?").await;
    turn(&bea, &chat, "0", "0").await;
    let other = begin(&bea, "How do bees make honey?").await;
    bea.post(&format!("{other}/answers"), &[]).await.assert(303);
    figures(1).await;
    let choice = [("turn", "0"), ("best", "1"), ("seconds", "65")];
    bea.post(&format!("{other}/choose"), &choice).await.assert(303);
    assert!(figures(2).await.contains("<dt>Chat</dt>"));
    let page = bea.get(&format!("{other}/turns/0")).await.assert(200);
    let correction = [("best", "0"), ("version", &version(&page)), ("seconds", "9")];
    bea.post(&format!("{other}/turns/0"), &correction).await.assert(303);
    figures(2).await;
    // Nobody else has done them.
    let cy = server.user("Cy", Role::Annotator).await;
    cy.get("/queue").await.assert_contains("<dt>done by you</dt><dd>0</dd>");
}

#[tokio::test]
async fn while_nothing_was_said_after_it_the_conversation_goes_on_with_the_corrected_choice() {
    let (address, asked) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    let bea = server.user("Bea", Role::Annotator).await;
    let chat = begin(&bea, "How do bees make honey?").await;
    turn(&bea, &chat, "0", "0").await;
    let first = format!("{chat}/turns/0");
    let page = bea.get(&first).await.assert(200);
    page.assert_contains("the conversation goes on with it");
    bea.post(&first, &[("best", "1"), ("version", &version(&page))]).await.assert(303);
    bea.post(&format!("{chat}/say"), &[("message", "And wax?")]).await.assert(303);
    bea.post(&format!("{chat}/answers"), &[]).await.assert(303);
    let second: String = sqlx::query_scalar(
        "SELECT r.content FROM chat_answers a JOIN responses r ON r.id = a.response_id WHERE a.number = 0 AND a.position = 1",
    )
    .fetch_one(server.pool())
    .await
    .expect("the other answer");
    let asked = asked.lock().expect("no panic elsewhere").clone();
    assert_eq!(asked[2]["messages"][2]["content"], json!(second));
    // Ended, its choices can still be corrected, until one was reviewed.
    bea.post(&format!("{chat}/finish"), &[]).await.assert(303);
    let page = bea.get(&first).await.assert(200);
    let standing = version(&page);
    sqlx::query("CREATE OR REPLACE FUNCTION may_be_corrected(label uuid) RETURNS boolean LANGUAGE sql RETURN false")
        .execute(server.pool())
        .await
        .expect("closed");
    bea.post(&first, &[("best", "0"), ("version", &standing)]).await.assert(409).assert_contains("has been reviewed");
    assert!(!bea.get(&first).await.assert(200).text.contains("Save correction"), "the form is still there");
    assert_eq!(count(server.pool(), "SELECT count(*) FROM rankings").await, 2);
}

#[tokio::test]
async fn a_choice_that_is_about_to_be_corrected_is_found_on_another_computer_until_it_is_saved() {
    let (address, _) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    let pool = server.pool();
    let bea = server.user("Bea", Role::Annotator).await;
    let chat = begin(&bea, "How do bees make honey?").await;
    turn(&bea, &chat, "0", "0").await;
    let place = format!("{chat}/turns/0");
    let first = version(&bea.get(&place).await.assert(200));
    let keep = async |client: &Client, version: &str, best: i32| {
        let marked = json!({ "choice": { "turn": 0, "version": version, "best": best } });
        client.json(reqwest::Method::PUT, &format!("{chat}/draft"), &marked).await
    };
    let saved_at = |reply: &Reply| -> i64 {
        let told: Value = serde_json::from_str(&reply.text).expect("JSON");
        told["saved_at"].as_i64().expect("milliseconds")
    };
    // The one that stands is no correction, and there are two answers.
    assert_eq!(saved_at(&keep(&bea, &first, 0).await.assert(200)), 0);
    keep(&bea, &first, 7).await.assert(409);
    assert!(saved_at(&keep(&bea, &first, 1).await.assert(200)) > 0);
    let cy = server.user("Cy", Role::Admin).await;
    keep(&cy, &first, 1).await.assert(404);

    let home = server.client();
    home.log_in("bea@example.org", PASSWORD).await;
    home.get("/queue").await.assert(200).assert_contains("Unsaved correction");
    let page = home.get(&place).await.assert(200);
    page.assert_contains(r#"value="1" required checked"#).assert_contains(r#"data-state="saved""#);
    // It is no message that waits to be said.
    assert!(!home.get(&chat).await.assert(200).text.contains(r#"data-state="saved""#));
    // Marked back, and once more; saved, it is gone.
    keep(&home, &first, 0).await.assert(200);
    assert_eq!(count(pool, "SELECT count(*) FROM chat_choice_drafts").await, 0);
    keep(&home, &first, 1).await.assert(200);
    home.post(&place, &[("best", "1"), ("version", &first)]).await.assert(303);
    assert_eq!(count(pool, "SELECT count(*) FROM chat_choice_drafts").await, 0);
    // What comes late is told so.
    keep(&bea, &first, 1).await.assert(409);
    assert_eq!(count(pool, "SELECT count(*) FROM chat_choice_drafts").await, 0);
    assert_eq!(count(pool, "SELECT count(*) FROM rankings").await, 2);
}

#[tokio::test]
async fn answers_that_come_after_the_conversation_has_gone_on_are_none_to_what_was_said_since() {
    let (address, _) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    let pool = server.pool();
    let bea = server.user("Bea", Role::Annotator).await;
    let chat = begin(&bea, "How do bees make honey?").await;
    turn(&bea, &chat, "0", "0").await;
    bea.post(&format!("{chat}/say"), &[("message", "And wax?")]).await.assert(303);
    // Asked for the first turn too, by a second server say, and slower.
    let (id, user): (Uuid, Uuid) =
        sqlx::query_as("SELECT id, user_id FROM chats").fetch_one(pool).await.expect("the conversation");
    let late = |content: &str| NewAnswer { content: content.to_owned(), model: "p".to_owned(), sampling: json!({}) };
    chat_turns::keep_answers(pool, user, (id, 0), &[late("Of nectar.")]).await.expect("dropped");
    assert_eq!(count(pool, "SELECT count(*) FROM chat_answers").await, 2);
    assert_eq!(count(pool, "SELECT count(*) FROM responses WHERE content = 'Of nectar.'").await, 0);
    chat_turns::keep_answers(pool, user, (id, 1), &[late("They sweat it.")]).await.expect("kept");
    assert_eq!(count(pool, "SELECT count(*) FROM chat_answers WHERE number = 1").await, 1);
}

#[tokio::test]
async fn the_time_that_a_choice_took_is_believed_within_a_day() {
    let (address, _) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    let pool = server.pool();
    let bea = server.user("Bea", Role::Annotator).await;
    let chat = begin(&bea, "How do bees make honey?").await;
    bea.post(&format!("{chat}/answers"), &[]).await.assert(303);
    let choice = [("turn", "0"), ("best", "0"), ("seconds", "86401")];
    bea.post(&format!("{chat}/choose"), &choice).await.assert(303);
    let unknown = "SELECT count(*) FROM rankings WHERE seconds IS NULL";
    assert_eq!(count(pool, unknown).await, 1);
    let first = format!("{chat}/turns/0");
    for (best, seconds, wanted) in [("1", "1e9", 2), ("0", "-1", 3), ("1", "86400", 3)] {
        let page = bea.get(&first).await.assert(200);
        let correction = [("best", best), ("version", &version(&page)), ("seconds", seconds)];
        assert_eq!(bea.post(&first, &correction).await.leads_to(), format!("{first}?saved=1"));
        assert_eq!(count(pool, unknown).await, wanted, "{seconds}");
    }
    assert_eq!(count(pool, "SELECT count(*) FROM rankings WHERE seconds = 86400").await, 1);
}
