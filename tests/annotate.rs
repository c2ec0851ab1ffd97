//! Writing and ranking from outside: wrong input, double submits, lost sessions, late work.

mod support;

use laurel::domain::role::Role;
use reqwest::Method;
use serde_json::json;
use support::{
    Client, Server,
    seed::{self, Seed, assignment_in, count},
    server,
};
use uuid::Uuid;

const ANSWERS: [&str; 4] = ["first", "second", "third", "fourth"];

/// A server with one ranking task of four answers, held by Ada.
async fn ranking() -> (Server, Client, Uuid, Vec<Uuid>) {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    let (_, responses) = seed::ranking_task(&server.state, project, "Which is best?", &ANSWERS).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let assignment = assignment_in(ada.post("/queue/next", &[]).await.leads_to());
    (server, ada, assignment, responses)
}

/// A server with one demonstration task, held by Ada.
async fn writing() -> (Server, Client, Uuid) {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    seed::demonstration_task(&server.state, project, "Say **hello** to <script>alert(1)</script>.").await;
    let ada = server.user("Ada", Role::Annotator).await;
    let assignment = assignment_in(ada.post("/queue/next", &[]).await.leads_to());
    (server, ada, assignment)
}

#[tokio::test]
async fn ranks_are_stored_by_the_answers_position_and_not_by_where_it_was_shown() {
    let (server, ada, assignment, responses) = ranking().await;
    let page = ada.get(&format!("/tasks/{assignment}")).await.assert(200);
    assert!(!page.text.contains("secret-model"), "the page names a model");
    for (position, answer) in ANSWERS.iter().enumerate() {
        let card =
            page.text.split(&format!(r#"<article class="answer" data-position="{position}""#)).nth(1).expect("a card");
        let source = card.split("data-source").nth(1).expect("its source");
        let source = source.split_once(">\n").expect("its text").1;
        assert!(source.starts_with(&format!("{answer}</pre>")), "{source:.80}");
    }
    // The order stays when the page is opened again.
    let letters = |text: &str| -> Vec<String> {
        text.split(r#"<article class="answer" data-position=""#).skip(1).map(|card| card[..1].to_owned()).collect()
    };
    let again = ada.get(&format!("/tasks/{assignment}")).await;
    assert_eq!(letters(&again.text), letters(&page.text));
    let form =
        [("rank_0", "2"), ("rank_1", "4"), ("rank_2", "1"), ("rank_3", "2"), ("note", " good "), ("seconds", "12.5")];
    ada.post(&format!("/tasks/{assignment}/submit"), &form).await.assert(303);
    let stored: Vec<(Uuid, i32)> = sqlx::query_as("SELECT response_id, rank FROM ranking_responses ORDER BY position")
        .fetch_all(server.pool())
        .await
        .expect("ranks");
    let wanted: Vec<(Uuid, i32)> = responses.iter().copied().zip([2, 4, 1, 2]).collect();
    assert_eq!(stored, wanted);
    let (seconds, note, annotator): (f64, String, String) =
        sqlx::query_as("SELECT seconds, note, annotator FROM rankings")
            .fetch_one(server.pool())
            .await
            .expect("a ranking");
    assert_eq!((seconds, note.as_str(), annotator.as_str()), (12.5, "good", "ada@example.org"));
    assert_eq!(count(server.pool(), "SELECT count(*) FROM comparisons").await, 5);
    ada.get(&format!("/tasks/{assignment}"))
        .await
        .assert(200)
        .assert_contains("What you submitted")
        .assert_contains("third");
}

#[tokio::test]
async fn a_ranking_with_something_missing_or_wrong_is_explained_and_kept() {
    let (server, ada, assignment, _) = ranking().await;
    let submit = format!("/tasks/{assignment}/submit");
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[], "These answers have no rank yet: A, B, C, D."),
        (&[("rank_0", "1"), ("rank_1", "2"), ("rank_2", "3")], "has no rank yet."),
        (&[("rank_0", "1"), ("rank_1", "2"), ("rank_2", "3"), ("rank_3", "best")], "is not a number from 1 up."),
        (&[("rank_0", "0"), ("rank_1", "2"), ("rank_2", "3"), ("rank_3", "4")], "is not a number from 1 up."),
        (&[("rank_0", "1"), ("rank_1", "2"), ("rank_2", "3"), ("rank_3", "-4")], "is not a number from 1 up."),
        (&[("rank_0", "1"), ("rank_1", "2"), ("rank_2", "2"), ("rank_3", "5")], "leave no gap."),
    ];
    for (form, explanation) in cases {
        ada.post(&submit, form).await.assert(422).assert_contains(explanation);
    }
    let long = "x".repeat(5001);
    let form = [("rank_0", "1"), ("rank_1", "2"), ("rank_2", "3"), ("rank_3", "4"), ("note", long.as_str())];
    ada.post(&submit, &form).await.assert(422).assert_contains("too long").assert_contains(&long);
    // The choice that was made is there again.
    let page = ada.post(&submit, &[("rank_1", "3")]).await.assert(422);
    page.assert_contains(r#"name="rank_1" value="3" checked"#);
    // A script is told the same in JSON.
    let token = ada.csrf().await;
    let request =
        ada.request(Method::POST, &submit).header("accept", "application/json").form(&[("csrf", token.as_str())]);
    let reply = ada.send(request).await.assert(422);
    let answer: serde_json::Value = serde_json::from_str(&reply.text).expect("JSON");
    assert_eq!(answer["message"], "These answers have no rank yet: A, B, C, D.");
    assert_eq!(count(server.pool(), "SELECT count(*) FROM rankings").await, 0);
}

#[tokio::test]
async fn a_demonstration_with_nothing_or_too_much_in_it_is_explained_and_kept() {
    let (server, ada, assignment) = writing().await;
    let submit = format!("/tasks/{assignment}/submit");
    ada.post(&submit, &[]).await.assert(422).assert_contains("Write an answer first");
    ada.post(&submit, &[("completion", " \r\n\t ")]).await.assert(422).assert_contains("Write an answer first");
    let long = "界".repeat(200_001);
    ada.post(&submit, &[("completion", &long)]).await.assert(422).assert_contains("too long").assert_contains(&long);
    ada.post(&submit, &[("completion", &"x".repeat(3 * 1024 * 1024))]).await.assert(413);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM demonstrations").await, 0);
    let reply = ada.post(&submit, &[("completion", "\r\nTwo\r\nlines \u{0} 你好 🌿\r\n"), ("then", "queue")]).await;
    assert_eq!(reply.leads_to(), format!("/queue?after={assignment}"));
    let text: String =
        sqlx::query_scalar("SELECT completion FROM demonstrations").fetch_one(server.pool()).await.expect("a text");
    assert_eq!(text, "Two\nlines  你好 🌿");
    ada.get(reply.leads_to()).await.assert(200).assert_contains("Stored.");
}

#[tokio::test]
async fn a_prompts_markup_is_shown_and_not_run() {
    let (_server, ada, assignment) = writing().await;
    let page = ada.get(&format!("/tasks/{assignment}")).await.assert(200);
    assert!(!page.text.contains("<script>alert"), "a script of the prompt is in the page");
    page.assert_contains("<strong>hello</strong>");
}

#[tokio::test]
async fn submitting_twice_at_once_stores_one_label() {
    let (server, ada, assignment) = writing().await;
    let tries = (0..12).map(|number| {
        let tab = ada.clone();
        tokio::spawn(async move {
            let text = format!("Try {number}");
            let reply = tab.post(&format!("/tasks/{assignment}/submit"), &[("completion", &text)]).await;
            (text, reply)
        })
    });
    let mut stored = Vec::new();
    for sent in tries {
        let (text, reply) = sent.await.expect("sent");
        if reply.status == 303 {
            stored.push(text);
        } else {
            // Nobody is told that a text is stored which is not, and it stands on the page, ready to be a correction.
            reply
                .clone()
                .assert(409)
                .assert_contains("is not stored yet")
                .assert_contains(&format!("{text}</textarea>"));
            reply.assert_contains(&format!("/tasks/{assignment}/correct"));
        }
    }
    assert_eq!(stored.len(), 1, "{stored:?}");
    // Sent once more, as after a lost answer, it is stored already.
    let submit = format!("/tasks/{assignment}/submit");
    ada.post(&submit, &[("completion", &format!("{}\r\n", stored[0])), ("seconds", "9")]).await.assert(303);
    ada.get(&format!("/tasks/{assignment}")).await.assert_contains(&stored[0]);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM demonstrations").await, 1);
    assert_eq!(count(server.pool(), "SELECT labels::bigint FROM tasks").await, 1);
    // What comes later changes nothing either, not even empty.
    ada.post(&submit, &[]).await.assert(303);
    for (text, differs) in [("late", true), (stored[0].as_str(), false)] {
        let draft = format!("/tasks/{assignment}/draft");
        let reply = ada.json(Method::PUT, &draft, &json!({ "completion": text })).await.assert(409);
        let told: serde_json::Value = serde_json::from_str(&reply.text).expect("JSON");
        assert_eq!(told["differs"], differs, "{text}");
    }
    assert_eq!(count(server.pool(), "SELECT count(*) FROM drafts").await, 0);
}

#[tokio::test]
async fn a_script_is_told_of_a_second_ranking_and_where_it_can_be_a_correction() {
    let (server, ada, assignment, _) = ranking().await;
    let token = ada.csrf().await;
    let send = async |path: &str, ranks: [&str; 4], note: &str| {
        let mut form = vec![("csrf", token.as_str()), ("note", note)];
        form.extend(["rank_0", "rank_1", "rank_2", "rank_3"].into_iter().zip(ranks));
        let path = format!("/tasks/{assignment}/{path}");
        ada.send(ada.request(Method::POST, &path).header("accept", "application/json").form(&form)).await
    };
    send("submit", ["1", "2", "2", "4"], "hm").await.assert(200);
    // The same ranking however its ties are counted.
    send("submit", ["1", "2", "2", "3"], " hm ").await.assert(200);
    for (ranks, note) in [(["2", "1", "3", "4"], "hm"), (["1", "2", "2", "4"], "but"), (["1", "", "", ""], "hm")] {
        let reply = send("submit", ranks, note).await.assert(409);
        let told: serde_json::Value = serde_json::from_str(&reply.text).expect("JSON");
        assert_eq!(told["code"], "already-submitted");
        assert_eq!(told["correct"], format!("/tasks/{assignment}/correct"));
    }
    assert_eq!(count(server.pool(), "SELECT count(*) FROM rankings").await, 1);
    // Once it is closed, nothing is offered that would be refused.
    sqlx::query("CREATE OR REPLACE FUNCTION may_be_corrected(label uuid) RETURNS boolean LANGUAGE sql RETURN false")
        .execute(server.pool())
        .await
        .expect("closed");
    let reply = send("submit", ["2", "1", "3", "4"], "hm").await.assert(409);
    let told: serde_json::Value = serde_json::from_str(&reply.text).expect("JSON");
    assert_eq!(told["correct"], serde_json::Value::Null);
}

#[tokio::test]
async fn a_lost_session_loses_no_text() {
    let (server, ada, assignment) = writing().await;
    let draft = format!("/tasks/{assignment}/draft");
    ada.json(Method::PUT, &draft, &json!({ "completion": "Half a <b>thought", "seconds": "33" })).await.assert(200);
    sqlx::query("DELETE FROM sessions").execute(server.pool()).await.expect("ended");
    let reply = ada.post(&format!("/tasks/{assignment}/submit"), &[("completion", "Half a <b>thought")]).await;
    assert_eq!(reply.leads_to(), format!("/login?next=/tasks/{assignment}/submit"));
    ada.json(Method::PUT, &draft, &json!({ "completion": "lost" })).await.assert(303);
    ada.log_in("ada@example.org", support::PASSWORD).await;
    // The way that logging in leads.
    let back = ada.get(&format!("/tasks/{assignment}/submit")).await;
    assert_eq!(back.leads_to(), format!("/tasks/{assignment}"));
    ada.get(back.leads_to())
        .await
        .assert(200)
        .assert_contains("Half a &#60;b&#62;thought</textarea>")
        .assert_contains("Draft");
    ada.get("/queue").await.assert_contains("Draft").assert_contains(&format!("/tasks/{assignment}"));
}

#[tokio::test]
async fn a_draft_is_its_owners_and_takes_only_the_forms_fields() {
    let (server, ada, assignment, _) = ranking().await;
    let bob = server.user("Bob", Role::Annotator).await;
    let draft = format!("/tasks/{assignment}/draft");
    bob.json(Method::PUT, &draft, &json!({ "note": "mine" })).await.assert(404);
    bob.post(&format!("/tasks/{assignment}/submit"), &[("rank_0", "1")]).await.assert(404);
    bob.post(&format!("/tasks/{assignment}/skip"), &[("reason", "unclear")]).await.assert(404);
    bob.post(&format!("/tasks/{assignment}/preview"), &[("completion", "x")]).await.assert(404);
    ada.json(Method::PUT, &draft, &json!(["not", "an", "object"])).await.assert(422);
    ada.json(Method::PUT, &draft, &json!({ "note": 7 })).await.assert(422);
    ada.json(Method::PUT, &draft, &json!({ "note": "x".repeat(200_001) })).await.assert(422);
    let without = ada.request(Method::PUT, &draft).json(&json!({ "note": "forged" }));
    ada.send(without).await.assert(403);
    ada.json(Method::PUT, &draft, &json!({ "note": "a \u{0} note", "rank_1": "1", "evil": "x" })).await.assert(200);
    let body: serde_json::Value =
        sqlx::query_scalar("SELECT body FROM drafts").fetch_one(server.pool()).await.expect("a draft");
    assert_eq!(body, json!({ "note": "a  note", "rank_1": "1" }));
    ada.get(&format!("/tasks/{assignment}")).await.assert_contains(r#"name="rank_1" value="1" checked"#);
}

#[tokio::test]
async fn late_work_counts_where_there_is_room_and_is_kept_as_extra_where_not() {
    let (server, ada, hers) = writing().await;
    seed::end_lease(server.pool(), hers).await;
    // Nobody took the place: it counts.
    ada.post(&format!("/tasks/{hers}/submit"), &[("completion", "Late, but alone.")]).await.assert(303);
    assert_eq!(count(server.pool(), "SELECT labels::bigint FROM tasks").await, 1);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM demonstrations WHERE NOT extra_opinion").await, 1);

    let project: Uuid =
        sqlx::query_scalar("SELECT id FROM projects").fetch_one(server.pool()).await.expect("a project");
    seed::ranking_task(&server.state, project, "Which?", &["a", "b"]).await;
    let bob = server.user("Bob", Role::Annotator).await;
    let hers = assignment_in(ada.post("/queue/next", &[]).await.leads_to());
    seed::end_lease(server.pool(), hers).await;
    let his = assignment_in(bob.post("/queue/next", &[]).await.leads_to());
    // Bob holds the place: hers is kept, and his counts.
    let form = [("rank_0", "1"), ("rank_1", "2")];
    let reply = ada.post(&format!("/tasks/{hers}/submit"), &form).await;
    ada.get(reply.leads_to()).await.assert(200).assert_contains("extra opinion");
    bob.post(&format!("/tasks/{his}/submit"), &form).await.assert(303);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM rankings WHERE extra_opinion").await, 1);
    let counted: Uuid = sqlx::query_scalar("SELECT assignment_id FROM rankings WHERE NOT extra_opinion")
        .fetch_one(server.pool())
        .await
        .expect("one that counts");
    assert_eq!(counted, his);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM tasks WHERE labels = overlap").await, 2);
}

#[tokio::test]
async fn forms_need_the_token_and_a_person() {
    let (server, ada, assignment) = writing().await;
    let stranger = server.client();
    for path in ["submit", "skip", "preview", "heartbeat"] {
        let path = format!("/tasks/{assignment}/{path}");
        ada.post_bare(&path, &[("completion", "x"), ("reason", "unclear")]).await.assert(403);
        assert!(stranger.post(&path, &[("completion", "x")]).await.leads_to().starts_with("/login"), "{path}");
    }
    ada.post_bare("/queue/next", &[]).await.assert(403);
    for page in ["/queue", "/projects/test/guidelines"] {
        assert!(stranger.get(page).await.leads_to().starts_with("/login"), "{page}");
    }
    // An address that a mail has cut off, and one that only takes forms, are explained as every other page that is not there.
    for (address, status) in [("/tasks/not-an-id".to_owned(), 400), (format!("/tasks/{assignment}/heartbeat"), 405)] {
        let page = ada.get(&address).await.assert(status);
        page.assert_contains("This page does not exist").assert_contains("To the start");
        assert!(!page.text.contains("UUID"), "{}", page.text);
    }
    ada.get(&format!("/tasks/{}", Uuid::now_v7())).await.assert(404);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM demonstrations").await, 0);
}

#[tokio::test]
async fn the_preview_is_safe_and_keeps_the_text() {
    let (_server, ada, assignment) = writing().await;
    let preview = format!("/tasks/{assignment}/preview");
    let token = ada.csrf().await;
    let request = ada
        .request(Method::POST, &preview)
        .header("accept", "application/json")
        .form(&[("csrf", token.as_str()), ("completion", "**bold** <img src=x onerror=alert(1)>")]);
    let reply = ada.send(request).await.assert(200);
    let answer: serde_json::Value = serde_json::from_str(&reply.text).expect("JSON");
    let html = answer["html"].as_str().expect("HTML");
    assert!(html.contains("<strong>bold</strong>") && !html.contains("<img"), "{html}");
    // Without JavaScript the page comes back with text and preview.
    let reply = ada.post(&preview, &[("completion", "*mine*")]).await;
    let page = ada.get(reply.leads_to().split('#').next().expect("a path")).await.assert(200);
    page.assert_contains("<em>mine</em>").assert_contains("*mine*</textarea>");
}

#[tokio::test]
async fn whoever_asks_to_skip_without_a_script_keeps_what_is_typed_while_they_say_why() {
    let (server, ada, assignment) = writing().await;
    let task = format!("/tasks/{assignment}");
    let skip = format!("{task}/skip");
    ada.get(&task).await.assert(200).assert_contains(&format!(r#"name="skip" value="ask" formaction="{skip}""#));
    // Nothing typed is no draft.
    let reply = ada.post(&skip, &[("skip", "ask"), ("completion", " "), ("base", "0")]).await;
    assert_eq!(reply.leads_to(), format!("{task}?skip=1#skip"));
    assert_eq!(count(server.pool(), "SELECT count(*) FROM drafts").await, 0);
    ada.post(&skip, &[("skip", "ask"), ("completion", "Half a thought"), ("base", "0")]).await.assert(303);
    let page = ada.get(&format!("{task}?skip=1")).await.assert(200);
    page.assert_contains(r#"<details class="drop" open>"#).assert_contains("Half a thought</textarea>");
    // What is typed from here on is in no draft: the browser itself asks for a reason, on the page where it stands.
    page.assert_contains(r#"name="reason" value="unclear" required>"#);
    // The form has no reason yet, and the text is there still.
    let page = ada.post(&skip, &[("detail", "Perhaps")]).await.assert(422);
    page.assert_contains("Choose why you skip this task.").assert_contains("Half a thought</textarea>");
    assert_eq!(count(server.pool(), "SELECT count(*) FROM assignments WHERE state = 'skipped'").await, 0);
    ada.post(&skip, &[("reason", "unclear")]).await.assert(303);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM assignments WHERE state = 'skipped'").await, 1);
    // What is submitted is not skipped: other words come back as a correction of it.
    let (_server, ada, assignment) = writing().await;
    ada.post(&format!("/tasks/{assignment}/submit"), &[("completion", "Done.")]).await.assert(303);
    let late = [("skip", "ask"), ("completion", "Half a thought"), ("base", "0")];
    let page = ada.post(&format!("/tasks/{assignment}/skip"), &late).await.assert(409);
    page.assert_contains("Half a thought</textarea>");
}
