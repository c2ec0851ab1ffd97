//! Talking with a model, from both sides: a person at the pages and in a browser, an endpoint that streams as OpenAI's does.

#[path = "../support/mod.rs"]
mod support;

mod away;
mod choices;
mod gave_up;
mod list;
mod marked;
mod rules;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use fantoccini::Locator;
use laurel::domain::role::Role;
use serde_json::{Value, json};
use support::{
    Browser, Client, PASSWORD, Server,
    seed::{self, Seed, count},
    server, trainer,
};

const KEY: &str = "sesame";

/// What the endpoint was asked, in order.
type Asked = Arc<Mutex<Vec<Value>>>;

/// A model's server: each answer names its seed, and comes in pieces.
async fn endpoint() -> (String, Asked) {
    async fn complete(State(asked): State<Asked>, headers: HeaderMap, Json(request): Json<Value>) -> Response {
        if headers.get("authorization").and_then(|key| key.to_str().ok()) != Some("Bearer sesame") {
            let error = json!({ "error": { "message": "Incorrect API key provided" } });
            return (StatusCode::UNAUTHORIZED, Json(error)).into_response();
        }
        if request["model"] != "parrot" {
            let error = json!({ "error": { "message": "The model does not exist" } });
            return (StatusCode::NOT_FOUND, Json(error)).into_response();
        }
        let pieces = [
            "**Answer** ".to_owned(),
            format!("with seed {}", request["seed"]),
            " 你好 🦜 <script>alert(1)</script>".to_owned(),
        ];
        asked.lock().expect("no panic elsewhere").push(request);
        let chunk = |text: &String| format!("data: {}\n\n", json!({ "choices": [{ "delta": { "content": text } }] }));
        let lines: Vec<Result<String, Infallible>> =
            pieces.iter().map(|text| Ok(chunk(text))).chain([Ok("data: [DONE]\n\n".to_owned())]).collect();
        let body = Body::from_stream(futures_util::stream::iter(lines));
        ([("content-type", "text/event-stream")], body).into_response()
    }
    let asked = Asked::default();
    let app = Router::new().route("/v1/chat/completions", post(complete)).with_state(asked.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}/v1", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, asked)
}

/// The fields of the settings page.
fn settings<'a>(address: &'a str, key: &'a str, action: &'a str) -> [(&'static str, &'a str); 8] {
    [
        ("base_url", address),
        ("model", "parrot"),
        ("api_key", key),
        ("system_prompt", "Be kind."),
        ("answers", "2"),
        ("temperature", "0.9"),
        ("max_tokens", "100"),
        ("action", action),
    ]
}

/// A server with a project whose chat leads to the address; Ada runs it.
async fn with_chat(address: &str) -> (Server, Client) {
    let server = server().await;
    seed::project(server.pool(), Seed::default()).await;
    let ada = server.user("Ada", Role::Admin).await;
    ada.post("/admin/projects/test/chat", &settings(address, KEY, "save")).await.assert(303);
    (server, ada)
}

/// Begins a conversation and says something; gives its address.
async fn begin(client: &Client, words: &str) -> String {
    let chat = client.post("/chats", &[("slug", "test")]).await.leads_to().to_owned();
    client.get(&chat).await.assert(200);
    client.post(&format!("{chat}/say"), &[("message", words)]).await.assert(303);
    chat
}

#[tokio::test]
async fn each_choice_goes_on_and_is_a_comparison() {
    let (address, asked) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    let bea = server.user("Bea", Role::Annotator).await;
    bea.get("/chats").await.assert(200).assert_contains("Project test");
    let chat = begin(&bea, "How do bees make honey?").await;
    bea.post(&format!("{chat}/answers"), &[]).await.assert(303);
    let page = bea.get(&chat).await.assert(200);
    page.assert_contains("<strong>Answer</strong> with seed");
    assert!(!page.text.contains("<script>alert"), "what a model writes is not run");

    // B is better; sending it again, or another choice after it, changes nothing.
    for best in ["1", "1", "0"] {
        bea.post(&format!("{chat}/choose"), &[("turn", "0"), ("best", best), ("seconds", "3.5")]).await.assert(303);
    }
    bea.post(&format!("{chat}/say"), &[("message", "And wax?")]).await.assert(303);
    bea.post(&format!("{chat}/answers"), &[]).await.assert(303);
    bea.post(&format!("{chat}/choose"), &[("turn", "1"), ("best", "0")]).await.assert(303);
    bea.post(&format!("{chat}/finish"), &[]).await.assert(303);
    bea.get(&chat).await.assert(200).assert_contains("This conversation has ended");
    // Nothing more is said in it.
    bea.post(&format!("{chat}/say"), &[("message", "One more?")]).await.assert(303);
    bea.get(&chat).await.assert(200).assert_contains("One more?</pre>");

    let asked = asked.lock().expect("no panic elsewhere").clone();
    assert_eq!(asked.len(), 4, "two answers a turn");
    assert_ne!(asked[0]["seed"], asked[1]["seed"]);
    let chosen = format!("**Answer** with seed {} 你好 🦜 <script>alert(1)</script>", seed_of(&server, "1").await);
    let wanted = json!([
        { "role": "system", "content": "Be kind." },
        { "role": "user", "content": "How do bees make honey?" },
        { "role": "assistant", "content": chosen },
        { "role": "user", "content": "And wax?" },
    ]);
    assert_eq!(asked[2]["messages"], wanted);

    let pool = server.pool();
    assert_eq!(count(pool, "SELECT count(*) FROM rankings").await, 2);
    assert_eq!(count(pool, "SELECT count(*) FROM comparisons").await, 2);
    assert_eq!(count(pool, "SELECT count(DISTINCT split) FROM prompts").await, 1, "one conversation, one split");
    let token = server.token(laurel::db::tokens::TokenRole::Trainer).await;
    let export = bea.request(reqwest::Method::GET, "/api/v1/projects/test/export/comparisons").bearer_auth(token);
    let export = bea.send(export).await.assert(200).text;
    let first: Value = export.lines().map(|line| serde_json::from_str(line).expect("JSON")).next().expect("a line");
    assert_eq!(first["chosen"][0]["content"], json!(chosen));
    assert_eq!(first["annotator"], "bea@example.org");
}

/// The seed of an answer of the first turn.
async fn seed_of(server: &Server, position: &'static str) -> String {
    sqlx::query_scalar(
        "SELECT r.sampling ->> 'seed' FROM chat_answers a JOIN responses r ON r.id = a.response_id
         WHERE a.number = 0 AND a.position = $1::integer",
    )
    .bind(position)
    .fetch_one(server.pool())
    .await
    .expect("an answer")
}

#[tokio::test]
async fn a_model_that_does_not_answer_loses_nothing() {
    // An address where nobody listens, nor can meanwhile: the port is taken.
    let silent = tokio::net::TcpSocket::new_v4().expect("a socket");
    silent.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let nobody = format!("http://{}/v1", silent.local_addr().expect("an address"));
    let (server, ada) = with_chat(&nobody).await;
    let bea = server.user("Bea", Role::Annotator).await;
    let chat = begin(&bea, "Hello?").await;
    let told = bea.post(&format!("{chat}/answers"), &[]).await.assert(422);
    told.assert_contains("The model does not answer at the moment");
    assert!(!told.text.contains(&nobody), "annotators learn no addresses");
    ada.post("/admin/projects/test/chat", &settings(&nobody, "", "try")).await.assert(200).assert_contains(&nobody);

    // It comes up, with another key first.
    let (address, asked) = endpoint().await;
    ada.post("/admin/projects/test/chat", &settings(&address, "wrong", "save")).await.assert(303);
    bea.post(&format!("{chat}/answers"), &[]).await.assert(422).assert_contains("refuses the key");
    ada.post("/admin/projects/test/chat", &settings(&address, KEY, "save")).await.assert(303);
    bea.post(&format!("{chat}/answers"), &[]).await.assert(303);
    bea.get(&chat).await.assert_contains("Hello?").assert_contains("Which answer is better?");

    // Two tabs that ask at once: the answers are there once.
    let again = begin(&bea, "Twice").await;
    let path = format!("{again}/answers");
    let (first, second) = tokio::join!(bea.post(&path, &[]), bea.post(&path, &[]));
    assert!(first.status.is_redirection() && second.status.is_redirection());
    assert_eq!(count(server.pool(), "SELECT count(*) FROM chat_answers WHERE number = 0").await, 4);
    assert_eq!(asked.lock().expect("no panic elsewhere").len(), 4, "the second tab follows the first");

    // Switched off: what was typed stands on the page.
    bea.post(&format!("{chat}/choose"), &[("turn", "0"), ("best", "0")]).await.assert(303);
    ada.post("/admin/projects/test/chat", &settings(&address, "", "off")).await.assert(303);
    let off = bea.post(&format!("{chat}/say"), &[("message", "A long thought")]).await.assert(422);
    off.assert_contains("switched off").assert_contains("A long thought");
}

#[tokio::test]
async fn wrong_input_is_explained_and_the_key_stays_secret() {
    let (address, _) = endpoint().await;
    let (server, ada) = with_chat(&address).await;
    let wrong = |field: &'static str, value: &'static str| {
        let mut fields = settings(&address, KEY, "save");
        fields.iter_mut().filter(|(name, _)| *name == field).for_each(|(_, old)| *old = value);
        fields
    };
    for (field, value) in [
        ("base_url", "ftp://x"),
        ("base_url", ""),
        ("model", " "),
        ("answers", "1"),
        ("temperature", "hot"),
        ("max_tokens", "0"),
    ] {
        let fields = wrong(field, value);
        ada.post("/admin/projects/test/chat", &fields).await.assert(422).assert_contains("aria-invalid");
    }
    let page = ada.get("/admin/projects/test/chat").await.assert(200);
    assert!(!page.text.contains(KEY), "the key is never shown");
    assert_eq!(count(server.pool(), "SELECT count(*) FROM audit_log WHERE detail::text LIKE '%sesame%'").await, 0);
    let log = ada.get("/admin/audit?action=chat.endpoint").await.assert(200);
    log.assert_contains("<dt>Key</dt><dd><bdi>–</bdi> ").assert_contains("</span> <bdi>yes</bdi></dd>");
    log.assert_contains("<bdi>Be kind.</bdi>");
    // Kept when left empty, for the same address.
    ada.post("/admin/projects/test/chat", &settings(&address, "", "save")).await.assert(303);
    ada.post("/admin/projects/test/chat", &settings(&address, "", "try"))
        .await
        .assert(200)
        .assert_contains("with seed 1");
    // But not sent to another.
    let (other, _) = endpoint().await;
    ada.post("/admin/projects/test/chat", &settings(&other, "", "try")).await.assert_contains("refuses the key");

    let bea = server.user("Bea", Role::Annotator).await;
    let chat = bea.post("/chats", &[("slug", "test")]).await.leads_to().to_owned();
    bea.post(&format!("{chat}/say"), &[("message", "  ")]).await.assert(422).assert_contains("Write a message first");
    let long = "x".repeat(20_001);
    bea.post(&format!("{chat}/say"), &[("message", &long)])
        .await
        .assert(422)
        .assert_contains("at most 20000 characters");
    bea.post(&format!("{chat}/choose"), &[("turn", "0"), ("best", "0")]).await.assert(409);
    bea.post("/chats", &[("slug", "other")]).await.assert(404);
    // Another person's conversation is nobody else's.
    let cy = server.user("Cy", Role::Reviewer).await;
    cy.get(&chat).await.assert(404);
    cy.post(&format!("{chat}/say"), &[("message", "Hello")]).await.assert(404);
}

/// Nothing is made up here but the words of the person: the trainer serves the sample's tiny model.
#[tokio::test]
async fn a_trainer_that_serves_a_model_streams_two_answers_and_the_choice_is_a_comparison() {
    let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sample/tiny-model");
    let serving = trainer::serve(&model);
    let (server, ada) = with_chat(&serving.address).await;
    let mut fields = settings(&serving.address, "", "try");
    fields[5].1 = "0.5";
    // The model of the fake endpoint: the trainer names the one that it has.
    ada.post("/admin/projects/test/chat", &fields).await.assert(200).assert_contains("tiny-model");
    (fields[1].1, fields[7].1) = ("tiny-model", "save");
    ada.post("/admin/projects/test/chat", &fields).await.assert(303);

    let bea = server.user("Bea", Role::Annotator).await;
    let chat = begin(&bea, "How do I make a good cup of tea?").await;
    let ask = bea.request(reqwest::Method::POST, &format!("{chat}/answers")).header("accept", "text/event-stream");
    let told = bea.send(ask.form(&[("csrf", bea.csrf().await)])).await.assert(200).text;
    let mut answers = [String::new(), String::new()];
    let mut pieces = 0;
    for event in told.split("\n\n").filter_map(|event| event.strip_prefix("event: more\ndata: ")) {
        let event: Value = serde_json::from_str(event).expect("JSON");
        let place = usize::try_from(event["answer"].as_u64().expect("a place")).expect("small");
        answers[place] += event["text"].as_str().expect("text");
        pieces += 1;
    }
    assert!(told.contains("event: kept"), "{told}");
    // Drawn by chance, an answer may be a word.
    assert!(pieces > 2 && answers.iter().all(|answer| !answer.trim().is_empty()), "{answers:?}");

    bea.post(&format!("{chat}/choose"), &[("turn", "0"), ("best", "1")]).await.assert(303);
    let token = server.token(laurel::db::tokens::TokenRole::Trainer).await;
    let export = bea.request(reqwest::Method::GET, "/api/v1/projects/test/export/comparisons").bearer_auth(token);
    let export = bea.send(export).await.assert(200).text;
    let comparison: Value = serde_json::from_str(export.trim()).expect("one line");
    assert_eq!(comparison["chosen"][0]["content"], answers[1].trim());
    assert_eq!(comparison["rejected"][0]["content"], answers[0].trim());
}

#[tokio::test]
async fn in_the_browser_answers_stream_in_and_a_letter_chooses() {
    let (address, _) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    server.account("Bea", Role::Annotator).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "bea@example.org", PASSWORD).await;
    browser.goto(&format!("{}/chats", server.address)).await.expect("the list");
    browser.find(Locator::Css("button[name=slug]")).await.expect("a button").click().await.expect("pressed");
    browser.fill("#message", "How do bees make honey?").await;
    browser.find(Locator::Css("#say button")).await.expect("a button").click().await.expect("pressed");
    browser.wait().for_element(Locator::Css("#choose .answer strong")).await.expect("answers to choose from");
    let second = browser.answers_by_letter().await[&'B'].clone();
    browser.find(Locator::Css("body")).await.expect("a page").send_keys("b").await.expect("pressed");
    browser.press("\u{e007}").await;
    browser.wait().for_element(Locator::Css("#say")).await.expect("the next message");
    let said = browser.find_all(Locator::Css("[data-role=assistant] [data-source]")).await.expect("messages");
    let text = said[0].prop("textContent").await.expect("read").expect("a text");
    assert_eq!(text, second, "the conversation goes on with what was chosen");

    // What is typed and not sent is there after the page was closed, on another computer too.
    browser.fill("#message", "And what about wax").await;
    let chat = browser.current_url().await.expect("an address");
    browser.saved().await;
    let elsewhere = server.client();
    elsewhere.log_in("bea@example.org", PASSWORD).await;
    elsewhere.get(chat.path()).await.assert(200).assert_contains("And what about wax</textarea>");
    let late = json!({ "turns": 0, "message": "too late" });
    elsewhere.json(reqwest::Method::PUT, &format!("{}/draft", chat.path()), &late).await.assert(409);
    browser.goto(&format!("{}/queue", server.address)).await.expect("elsewhere");
    browser.goto(chat.as_str()).await.expect("back");
    let field = browser.wait().for_element(Locator::Css("#message")).await.expect("a field");
    assert_eq!(field.prop("value").await.expect("read").as_deref(), Some("And what about wax"));
    browser.close().await;
}
