//! What a project asks of people holds for its conversations too, and nothing that was typed in one is lost.

use fantoccini::Locator;
use laurel::domain::role::Role;
use serde_json::{Value, json};

use crate::{
    KEY, begin, endpoint, settings,
    support::{
        Browser, Client, PASSWORD, Server,
        seed::{self, Seed, count},
        server,
    },
    with_chat,
};

const ENTER: &str = "\u{E007}";
const ESCAPE: &str = "\u{E00C}";

#[tokio::test]
async fn new_guidelines_are_read_before_one_speaks_and_what_was_typed_waits() {
    let (address, _) = endpoint().await;
    let server = server().await;
    seed::project(server.pool(), Seed { guidelines: Some("Be kind."), ..Seed::default() }).await;
    let ada = server.user("Ada", Role::Admin).await;
    ada.post("/admin/projects/test/chat", &settings(&address, KEY, "save")).await.assert(303);
    let bea = server.user("Bea", Role::Annotator).await;
    let to_read = bea.post("/chats", &[("slug", "test")]).await.leads_to().to_owned();
    assert_eq!(to_read, "/projects/test/guidelines?then=chats");
    bea.get(&to_read).await.assert(200).assert_contains("Please read these guidelines");
    let read = async |version: &str, then: &str| {
        bea.post("/projects/test/guidelines", &[("version", version), ("then", then)]).await.leads_to().to_owned()
    };
    assert_eq!(read("1", "chats").await, "/chats");
    let chat = begin(&bea, "Hello?").await;
    bea.get(&chat).await.assert_contains("Be kind.");
    bea.post(&format!("{chat}/answers"), &[]).await.assert(303);
    // A new version comes: the choice is kept, the next message waits.
    ada.post("/admin/projects/test/guidelines", &[("body", "Be kind and brief.")]).await.assert(303);
    bea.post(&format!("{chat}/choose"), &[("turn", "0"), ("best", "0")]).await.assert(303);
    let say = format!("{chat}/say");
    let to_read = bea.post(&say, &[("message", "And now?")]).await.leads_to().to_owned();
    assert_eq!(to_read, format!("/projects/test/guidelines?then=chat-{}", chat.trim_start_matches("/chats/")));
    bea.get(&to_read).await.assert(200).assert_contains("These guidelines have changed");
    // A blank one does not take its place.
    assert_eq!(bea.post(&say, &[("message", "  ")]).await.leads_to(), to_read);
    assert_eq!(read("2", to_read.rsplit('=').next().expect("a place")).await, chat);
    bea.get(&chat).await.assert_contains("And now?</textarea>");
    assert_eq!(bea.post(&say, &[("message", "And now?")]).await.leads_to(), chat);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM chat_turns").await, 2);
}

/// Demands a course of one task, whose known answer is that the first is better.
async fn demand_course(server: &Server) {
    let pool = server.pool();
    let project = sqlx::query_scalar("SELECT id FROM projects").fetch_one(pool).await.expect("a project");
    let (task, _) = seed::ranking_task(&server.state, project, "Which?", &["a", "b"]).await;
    sqlx::query("INSERT INTO gold_tasks (task_id, purpose, ranks) VALUES ($1, 'course', '{1,2}')")
        .bind(task)
        .execute(pool)
        .await
        .expect("a task of the course");
    sqlx::query("UPDATE projects SET course_tasks = 1").execute(pool).await.expect("demanded");
}

#[tokio::test]
async fn a_demanded_course_comes_before_conversations() {
    let (address, _) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    let bea = server.user("Bea", Role::Annotator).await;
    let chat = bea.post("/chats", &[("slug", "test")]).await.leads_to().to_owned();
    demand_course(&server).await;
    bea.get("/chats").await.assert(200).assert_contains("The training course of this project comes first");
    bea.post("/chats", &[("slug", "test")]).await.assert(409).assert_contains("training course");
    let told = bea.post(&format!("{chat}/say"), &[("message", "A long thought")]).await.assert(422);
    told.assert_contains("training course").assert_contains("A long thought</textarea>");
    sqlx::query("INSERT INTO course_passes (project_id, user_id) SELECT p.id, u.id FROM projects p, users u")
        .execute(server.pool())
        .await
        .expect("passed");
    bea.post(&format!("{chat}/say"), &[("message", "A long thought")]).await.assert(303);
}

#[tokio::test]
async fn a_conversation_ends_with_the_persons_place_in_the_project_and_says_so_in_their_language() {
    let (address, asked) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    let bea = server.user("Bea", Role::Annotator).await;
    let chat = begin(&bea, "Hello?").await;
    let turn = [("turn", "0"), ("best", "0")];
    // Out of turn: told in the language of the page.
    bea.post("/preferences", &[("language", "zh"), ("next", "/queue")]).await.assert(303);
    bea.post(&format!("{chat}/choose"), &turn).await.assert(409).assert_contains("还没有可供选择的回答");
    bea.post(&format!("{chat}/choose"), &[("turn", "x")]).await.assert(422).assert_contains("表单缺少某个字段");
    bea.post("/preferences", &[("language", "en"), ("next", "/queue")]).await.assert(303);
    sqlx::query("UPDATE projects SET open_to_everyone = false").execute(server.pool()).await.expect("closed");
    bea.post(&format!("{chat}/answers"), &[]).await.assert(409).assert_contains("work on this project any more");
    assert_eq!(asked.lock().expect("no panic elsewhere").len(), 0, "the model is not asked");
    let member = "INSERT INTO memberships (project_id, user_id) SELECT p.id, u.id FROM projects p, users u";
    sqlx::query(member).execute(server.pool()).await.expect("a member");
    bea.post(&format!("{chat}/answers"), &[]).await.assert(303);
    sqlx::query("UPDATE projects SET archived_at = now()").execute(server.pool()).await.expect("archived");
    bea.post(&format!("{chat}/choose"), &turn).await.assert(409);
    sqlx::query("UPDATE projects SET archived_at = NULL").execute(server.pool()).await.expect("back");
    bea.post(&format!("{chat}/choose"), &turn).await.assert(303);
    sqlx::query("DELETE FROM memberships").execute(server.pool()).await.expect("gone");
    let told = bea.post(&format!("{chat}/say"), &[("message", "Still here")]).await.assert(422);
    told.assert_contains("work on this project any more").assert_contains("Still here</textarea>");
}

#[tokio::test]
async fn a_message_from_an_old_tab_is_not_said_and_comes_back_when_it_is_its_turn() {
    let (address, _) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    let bea = server.user("Bea", Role::Annotator).await;
    let chat = begin(&bea, "Hello?").await;
    let say = async |words: &str| {
        assert_eq!(bea.post(&format!("{chat}/say"), &[("message", words)]).await.leads_to(), chat);
    };
    say("Hello?").await;
    say("From the old tab").await;
    bea.post(&format!("{chat}/answers"), &[]).await.assert(303);
    bea.post(&format!("{chat}/choose"), &[("turn", "0"), ("best", "0")]).await.assert(303);
    bea.get(&chat).await.assert_contains("From the old tab</textarea>");
    say("Something else").await;
    bea.post(&format!("{chat}/answers"), &[]).await.assert(303);
    bea.post(&format!("{chat}/choose"), &[("turn", "1"), ("best", "0")]).await.assert(303);
    assert!(!bea.get(&chat).await.text.contains("old tab"), "it was looked at and left");
    let said = "SELECT count(*) FROM prompts WHERE conversation::text LIKE '%old tab%'";
    assert_eq!(count(server.pool(), said).await, 0);
}

#[tokio::test]
async fn a_blank_message_from_an_old_tab_does_not_take_the_place_of_what_is_typed_elsewhere() {
    let (address, _) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    let bea = server.user("Bea", Role::Annotator).await;
    let chat = begin(&bea, "Hello?").await;
    let typed = json!({ "turns": 1, "message": "And wax?" });
    bea.json(reqwest::Method::PUT, &format!("{chat}/draft"), &typed).await.assert(200);
    assert_eq!(bea.post(&format!("{chat}/say"), &[("message", "  ")]).await.leads_to(), chat);
    bea.post(&format!("{chat}/answers"), &[]).await.assert(303);
    bea.post(&format!("{chat}/choose"), &[("turn", "0"), ("best", "0")]).await.assert(303);
    bea.get(&chat).await.assert(200).assert_contains("And wax?</textarea>");
}

#[tokio::test]
async fn what_was_changed_before_it_was_said_does_not_come_back_and_what_was_typed_elsewhere_since_does() {
    let (address, _) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    let bea = server.user("Bea", Role::Annotator).await;
    let chat = bea.post("/chats", &[("slug", "test")]).await.leads_to().to_owned();
    let draft = async |turn: i32, message: &str| -> i64 {
        let typed = json!({ "turns": turn, "message": message });
        let told = bea.json(reqwest::Method::PUT, &format!("{chat}/draft"), &typed).await.assert(200).text;
        serde_json::from_str::<Value>(&told).expect("JSON")["saved_at"].as_i64().expect("milliseconds")
    };
    let say = async |turn: &str, base: i64, message: &str| {
        let base = base.to_string();
        let form = [("turn", turn), ("base", base.as_str()), ("message", message)];
        bea.post(&format!("{chat}/say"), &form).await.assert(303);
        bea.post(&format!("{chat}/answers"), &[]).await.assert(303);
        bea.post(&format!("{chat}/choose"), &[("turn", turn), ("best", "0")]).await.assert(303);
    };
    let base = draft(0, "How do beez make honey?").await;
    bea.get(&chat).await.assert(200).assert_contains(&format!(r#"name="base" value="{base}""#));
    say("0", base, "How do bees make honey?").await;
    assert!(!bea.get(&chat).await.assert(200).text.contains("beez"), "it was corrected, and said");
    let base = draft(1, "And waks?").await;
    // The page knows nothing of what is typed at home.
    say("1", base - 1, "And wax?").await;
    bea.get(&chat).await.assert(200).assert_contains("And waks?</textarea>");
}

#[tokio::test]
async fn of_two_first_messages_at_once_one_is_said_and_no_prompt_is_made_of_the_other() {
    let (address, _) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    let pool = server.pool();
    let bea = server.user("Bea", Role::Annotator).await;
    let chat = bea.post("/chats", &[("slug", "test")]).await.leads_to().to_owned();
    // Both have looked at the conversation before either says anything in it.
    let mut held = pool.begin().await.expect("a transaction");
    sqlx::query("SELECT id FROM chats FOR UPDATE").fetch_all(&mut *held).await.expect("locked");
    let release = async {
        seed::until_they_wait(pool, 2).await;
        held.rollback().await.expect("given back");
    };
    let say = format!("{chat}/say");
    let (hello, wax) = ([("message", "Hello?")], [("message", "And wax?")]);
    let (one, other, ()) = tokio::join!(bea.post(&say, &hello), bea.post(&say, &wax), release);
    assert_eq!((one.leads_to(), other.leads_to()), (chat.as_str(), chat.as_str()));
    assert_eq!(count(pool, "SELECT count(*) FROM chat_turns").await, 1);
    assert_eq!(count(pool, "SELECT count(*) FROM prompts").await, 1, "nobody has said the other one");
    // It comes back when it is its turn.
    bea.post(&format!("{chat}/answers"), &[]).await.assert(303);
    bea.post(&format!("{chat}/choose"), &[("turn", "0"), ("best", "0")]).await.assert(303);
    let page = bea.get(&chat).await.assert(200).text;
    assert_ne!(page.contains("Hello?</textarea>"), page.contains("And wax?</textarea>"));
}

/// A browser in which Bea is logged in and has begun a conversation; its address on the server.
pub async fn conversing(server: &Server) -> (Browser, Client, String) {
    let bea = server.user("Bea", Role::Annotator).await;
    let chat = bea.post("/chats", &[("slug", "test")]).await.leads_to().to_owned();
    let browser = Browser::open().await;
    browser.log_in(&server.address, "bea@example.org", PASSWORD).await;
    (browser, bea, chat)
}

#[tokio::test]
async fn a_conversation_ends_once_that_was_asked_for_twice_and_with_the_keys_alone() {
    let (address, _) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    let (browser, bea, chat) = conversing(&server).await;
    bea.post(&format!("{chat}/say"), &[("message", "Hello?")]).await.assert(303);
    bea.post(&format!("{chat}/answers"), &[]).await.assert(303);
    browser.goto(&format!("{}{chat}", server.address)).await.expect("the conversation");
    browser.wait().for_element(Locator::Id("choose")).await.expect("answers to choose from");
    let ended = "SELECT count(*) FROM chats WHERE finished_at IS NOT NULL";
    browser.tab_to(".drop summary").await;
    browser.press(ENTER).await;
    let sure = browser.wait().for_element(Locator::Css(".drop[open] p")).await.expect("asked");
    assert!(sure.text().await.expect("read").contains("which of these answers is better"));
    // Thought of again, it goes on where it was.
    browser.press(ESCAPE).await;
    let closed = "return document.activeElement.matches('.drop:not([open]) > summary')";
    assert_eq!(browser.execute(closed, Vec::new()).await.expect("read"), true);
    assert_eq!(count(server.pool(), ended).await, 0);
    browser.press(ENTER).await;
    browser.tab_to("#finish button").await;
    browser.press(ENTER).await;
    browser.wait().for_element(Locator::Css(".queue-projects")).await.expect("the list");
    assert_eq!(count(server.pool(), ended).await, 1);
    browser.close().await;
}

#[tokio::test]
async fn a_conversation_whose_model_was_switched_off_says_so_and_stands_still() {
    let (address, _) = endpoint().await;
    let (server, ada) = with_chat(&address).await;
    let (browser, bea, chat) = conversing(&server).await;
    bea.post(&format!("{chat}/say"), &[("message", "Hello?")]).await.assert(303);
    ada.post("/admin/projects/test/chat", &settings(&address, "", "off")).await.assert(303);
    browser.goto(&format!("{}{chat}", server.address)).await.expect("the conversation");
    let told = browser.wait().for_element(Locator::Css("[data-failed]:not([hidden])")).await.expect("told");
    assert!(told.text().await.expect("read").contains("switched off"));
    // On again, the same page gets the answers.
    ada.post("/admin/projects/test/chat", &settings(&address, KEY, "save")).await.assert(303);
    browser.find(Locator::Css("[data-ask]")).await.expect("a button").click().await.expect("pressed");
    browser.wait().for_element(Locator::Id("choose")).await.expect("answers to choose from");
    browser.close().await;
}

#[tokio::test]
async fn a_message_that_was_sent_with_an_ended_session_is_in_the_field_again() {
    let (address, _) = endpoint().await;
    let (server, _) = with_chat(&address).await;
    let (browser, bea, chat) = conversing(&server).await;
    browser.goto(&format!("{}{chat}", server.address)).await.expect("the conversation");
    browser.wait().for_element(Locator::Id("message")).await.expect("the field");
    // The server never gets a draft of it, and the browser's clock is an hour behind.
    let alone = "const real = window.fetch;
        window.fetch = (address, ...how) =>
            address.endsWith('/draft') ? Promise.reject(new TypeError('away')) : real(address, ...how);
        const now = Date.now; Date.now = () => now() - 3600000";
    browser.execute(alone, Vec::new()).await.expect("run");
    browser.fill("#message", "How do bees make honey?").await;
    sqlx::query("DELETE FROM sessions").execute(server.pool()).await.expect("ended");
    browser.find(Locator::Css("#say button")).await.expect("a button").click().await.expect("pressed");
    let link = browser.wait().for_element(Locator::Css("[data-send-error] a")).await.expect("the way back");
    link.click().await.expect("pressed");
    browser.fill("input[name=email]", "bea@example.org").await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.find(Locator::Css("main button[type=submit]")).await.expect("a button").click().await.expect("pressed");
    let field = browser.wait().for_element(Locator::Id("message")).await.expect("the field");
    let value = field.prop("value").await.expect("read");
    assert_eq!(value.as_deref(), Some("How do bees make honey?"));
    browser.wait().for_element(Locator::Css("[data-draft-state][data-state=saved]")).await.expect("caught up");
    // Said in another tab meanwhile, with other words: what the server has of it stands in the field again once one can speak,
    // and what only this browser has is offered.
    browser.execute("window.fetch = () => Promise.reject(new TypeError('away'))", Vec::new()).await.expect("run");
    browser.fill("#message", " And wax?").await;
    browser.wait().for_element(Locator::Css("[data-draft-state][data-state=offline]")).await.expect("kept here");
    bea.log_in("bea@example.org", PASSWORD).await;
    bea.post(&format!("{chat}/say"), &[("message", "Hello?")]).await.assert(303);
    bea.post(&format!("{chat}/answers"), &[]).await.assert(303);
    bea.post(&format!("{chat}/choose"), &[("turn", "0"), ("best", "0")]).await.assert(303);
    browser.goto(&format!("{}{chat}", server.address)).await.expect("the conversation");
    let field = browser.wait().for_element(Locator::Id("message")).await.expect("the field");
    assert_eq!(field.prop("value").await.expect("read").as_deref(), Some("How do bees make honey?"));
    let take = browser.wait().for_element(Locator::Css("[data-other-draft] button")).await.expect("offered");
    take.click().await.expect("pressed");
    browser.find(Locator::Css("#say button")).await.expect("a button").click().await.expect("pressed");
    browser.wait().for_element(Locator::Id("choose")).await.expect("answers to choose from");
    let said = browser.find_all(Locator::Css("[data-role=user] [data-source]")).await.expect("messages");
    let last = said.last().expect("a message").prop("textContent").await.expect("read");
    assert_eq!(last.as_deref(), Some("How do bees make honey? And wax?"));
    // Shown as it was typed, it is kept here no more.
    let left = browser
        .execute("return Object.keys(localStorage).filter((key) => key.startsWith('laurel.chat.')).length", Vec::new());
    assert_eq!(left.await.expect("read"), json!(0));
    browser.close().await;
}

#[tokio::test]
async fn a_script_that_asks_for_a_stream_is_told_in_words_why_there_is_none() {
    let (address, _) = endpoint().await;
    let (server, ada) = with_chat(&address).await;
    let bea = server.user("Bea", Role::Annotator).await;
    let chat = begin(&bea, "Hello?").await;
    ada.post("/admin/projects/test/chat", &settings(&address, "", "off")).await.assert(303);
    let ask = bea.request(reqwest::Method::POST, &format!("{chat}/answers")).header("accept", "text/event-stream");
    let told = bea.send(ask.form(&[("csrf", bea.csrf().await)])).await.assert(409);
    let told: Value = serde_json::from_str(&told.text).expect("JSON");
    assert!(told["message"].as_str().expect("words").contains("switched off"));
}
