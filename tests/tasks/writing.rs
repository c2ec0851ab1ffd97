//! Prompts that people write: asked for by a lead, written by keyboard, kept as a draft, exported with kind and author.

use fantoccini::Locator;
use laurel::{domain::role::Role, export::Kind};
use serde_json::json;

use super::{exported, pictures::Gallery, take_next};
use crate::support::{
    Browser, PASSWORD, Reply,
    seed::{self, Seed, assignment_in, count},
    server,
};

/// Tab and Ctrl with Enter as WebDriver names them.
const TAB: &str = "\u{E004}";
const CTRL_ENTER: &str = "\u{E009}\u{E007}";

#[tokio::test]
async fn the_three_kinds_are_asked_for_written_and_exported() {
    let server = server().await;
    let pool = server.pool();
    seed::project(pool, Seed::default()).await;
    // What she writes asks for answers too; here she is to go on writing prompts.
    sqlx::query("UPDATE projects SET plan_demonstrations = 0").execute(pool).await.expect("set");
    let lea = server.user("Lea", Role::Admin).await;
    let ask = async |kind: &str, count: &str, about: &str| {
        let form = [("kind", kind), ("count", count), ("language", "en"), ("about", about)];
        lea.post("/admin/projects/test/writing", &form).await
    };
    ask("use_case", "1", " \n").await.assert(422).assert_contains("At least one use case is needed");
    ask("plain", "0", "").await.assert(422);
    ask("few_shot", "1", "").await.assert(303);
    ask("use_case", "1", "A shop answers its customers.\n\nA teacher makes exercises.").await.assert(303);
    assert_eq!(count(pool, "SELECT count(*) FROM tasks WHERE kind = 'prompt' AND language = 'en'").await, 3);

    let ada = server.user("Ada", Role::Annotator).await;
    ada.get("/queue").await.assert(200).assert_contains("Prompts to write");
    let task = ada.post("/queue/next", &[]).await.leads_to().to_owned();
    ada.get(&task).await.assert(200).assert_contains("Write a prompt with examples");
    let mut form = vec![
        ("instruction", "Give the sentiment."),
        ("query_1", "I love it"),
        ("response_1", "positive"),
        ("query_2", "I hate it"),
        ("query", "It is fine"),
    ];
    let refused = ada.post(&format!("{task}/submit"), &form).await.assert(422);
    refused.assert_contains("Example 2 has only one side").assert_contains("I love it</textarea>");
    form.push(("response_2", "negative"));
    // Sent twice, it is stored once.
    let next = ada.post(&format!("{task}/submit"), &form).await.leads_to().to_owned();
    ada.post(&format!("{task}/submit"), &form).await.assert(303);
    ada.get(&task).await.assert(200).assert_contains("Give the sentiment.");

    let case = ada.get(&next).await.assert(200);
    case.assert_contains("A shop answers its customers.");
    let next = next.split('?').next().expect("a path").to_owned();
    let text = [("prompt", "Where is my parcel?")];
    let last = ada.post(&format!("{next}/submit"), &text).await.leads_to().to_owned();
    let last = last.split('?').next().expect("a path").to_owned();
    // The same prompt again is none.
    ada.post(&format!("{last}/submit"), &text).await.assert(422).assert_contains("has this prompt already");
    ada.post(&format!("{last}/skip"), &[("reason", "unclear"), ("then", "queue")]).await.assert(303);

    let mut prompts = exported(&server, Kind::Prompts).await;
    assert_eq!(prompts.len(), 2);
    prompts.sort_by_key(|prompt| prompt["tags"].to_string());
    let few_shot = json!([
        { "role": "user", "content": "Give the sentiment.\n\nI love it" },
        { "role": "assistant", "content": "positive" },
        { "role": "user", "content": "I hate it" },
        { "role": "assistant", "content": "negative" },
        { "role": "user", "content": "It is fine" },
    ]);
    let [few, user] = prompts.as_slice() else { panic!("{prompts:#?}") };
    assert_eq!((&few["prompt"], &few["tags"]), (&few_shot, &json!(["few-shot"])));
    assert_eq!((&few["annotator"], &few["language"]), (&json!("ada@example.org"), &json!("en")));
    assert_eq!((&user["tags"], &user["use_case"]), (&json!(["user-based"]), &json!("A shop answers its customers.")));
    // Somebody else is asked to answer what she wrote; she may be too, and the lead sees who wrote it.
    assert_eq!(count(pool, "SELECT count(*) FROM tasks WHERE kind = 'demonstration'").await, 2);
    let prompt: uuid::Uuid = sqlx::query_scalar("SELECT id FROM prompts LIMIT 1").fetch_one(pool).await.expect("one");
    lea.get(&format!("/admin/projects/test/prompts/{prompt}")).await.assert(200).assert_contains("Written by");
    lea.get("/admin/projects/test/writing").await.assert(200).assert_contains("1 / 1");
}

#[tokio::test]
async fn a_few_shot_prompt_is_written_with_the_keys_alone_and_its_draft_is_found_again() {
    let server = server().await;
    let pool = server.pool();
    seed::project(pool, Seed { demonstration_overlap: 0, ..Seed::default() }).await;
    let lea = server.user("Lea", Role::Admin).await;
    let form = [("kind", "few_shot"), ("count", "1"), ("language", ""), ("about", "Something with bees 🐝")];
    lea.post("/admin/projects/test/writing", &form).await.assert(303);
    server.account("Ada", Role::Annotator).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    take_next(&server, &browser).await;
    // The first field waits for the keys; Tab leads from one to the next, past the summary of further examples.
    let focused = "return document.activeElement.id";
    assert_eq!(browser.execute(focused, vec![]).await.expect("read"), json!("instruction"));
    browser.press(&format!("把句子翻译成英文。{TAB}蜜蜂{TAB}bee{TAB}蜂蜜{TAB}honey{TAB}{TAB}")).await;
    browser.press("花").await;
    browser.saved().await;
    browser.refresh().await.expect("again");
    let kept = "return [...document.querySelectorAll('#task textarea')].map((field) => field.value).filter(Boolean)";
    let wanted = json!(["把句子翻译成英文。", "蜜蜂", "bee", "蜂蜜", "honey", "花"]);
    assert_eq!(browser.execute(kept, vec![]).await.expect("read"), wanted);
    browser.fill("#query", CTRL_ENTER).await;
    browser.wait().for_element(Locator::Css(".queue-head")).await.expect("the queue");
    let said: String = sqlx::query_scalar("SELECT conversation -> -1 ->> 'content' FROM prompts")
        .fetch_one(pool)
        .await
        .expect("the prompt");
    assert_eq!(said, "花");
    browser.close().await;
}

#[tokio::test]
async fn a_key_leads_on_from_a_prompt_that_is_written() {
    let server = server().await;
    seed::project(server.pool(), Seed { demonstration_overlap: 0, ..Seed::default() }).await;
    let lea = server.user("Lea", Role::Admin).await;
    let form = [("kind", "plain"), ("count", "2"), ("language", ""), ("about", "")];
    lea.post("/admin/projects/test/writing", &form).await.assert(303);
    let ada = server.user("Ada", Role::Annotator).await;
    let task = format!("/tasks/{}", assignment_in(ada.post("/queue/next", &[]).await.leads_to()));
    ada.post(&format!("{task}/submit"), &[("prompt", "How do bees sleep?"), ("then", "queue")]).await.assert(303);
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    browser.goto(&format!("{}{task}", server.address)).await.expect("what she wrote");
    browser.wait().for_element(Locator::Css("#next kbd")).await.expect("the key is named");
    browser.press("n").await;
    browser.wait().for_element(Locator::Css("form#task[data-kind=prompt]")).await.expect("the next task");
    browser.close().await;
}

#[tokio::test]
async fn the_plan_says_how_often_and_a_withdrawn_brief_asks_nobody() {
    let server = server().await;
    let pool = server.pool();
    seed::project(pool, Seed::default()).await;
    let lea = server.user("Lea", Role::Admin).await;
    let form = [("kind", "plain"), ("count", "3"), ("language", ""), ("about", "")];
    lea.post("/admin/projects/test/writing", &form).await.assert(303);
    let plan = async |weight: &str| {
        let weights = [("demonstrations", "1"), ("rankings", "1"), ("comparisons", "1"), ("prompts", weight)];
        lea.post("/admin/projects/test/plan", &weights).await.assert(303);
    };
    let ada = server.user("Ada", Role::Annotator).await;
    plan("0").await;
    assert!(ada.post("/queue/next", &[]).await.leads_to().starts_with("/queue"));
    plan("5").await;
    assignment_in(ada.post("/queue/next", &[]).await.leads_to());
    let brief: uuid::Uuid = sqlx::query_scalar("SELECT id FROM prompt_briefs").fetch_one(pool).await.expect("it");
    let withdraw = format!("/admin/projects/test/writing/{brief}/withdraw");
    lea.post(&withdraw, &[("withdrawn", "yes")]).await.assert(303);
    let bob = server.user("Bob", Role::Annotator).await;
    assert!(bob.post("/queue/next", &[]).await.leads_to().starts_with("/queue"));
    lea.post(&withdraw, &[("withdrawn", "no")]).await.assert(303);
    assignment_in(bob.post("/queue/next", &[]).await.leads_to());
    assert_eq!(count(pool, "SELECT count(*) FROM audit_log WHERE action LIKE 'prompts.ask%'").await, 3);
    let lea_task = lea.post("/queue/next", &[]).await.leads_to().to_owned();
    let gallery = Gallery::open(&server, "lea@example.org").await;
    gallery.picture(&lea_task, "writing", async |_| {}).await;
    gallery.close().await;
}

/// The version that a correction's page names.
fn version(page: &Reply) -> String {
    let field = page.text.split(r#"name="version" value=""#).nth(1).expect("a version");
    field.split('"').next().expect("an id").to_owned()
}

#[tokio::test]
async fn a_prompt_is_corrected_until_somebody_begins_to_work_with_it() {
    let server = server().await;
    let pool = server.pool();
    seed::project(pool, Seed::default()).await;
    sqlx::query("UPDATE projects SET hold_back_duplicates = true").execute(pool).await.expect("set");
    let lea = server.user("Lea", Role::Admin).await;
    let form = [("kind", "few_shot"), ("count", "1"), ("language", "en"), ("about", "")];
    lea.post("/admin/projects/test/writing", &form).await.assert(303);
    let ada = server.user("Ada", Role::Annotator).await;
    let task = format!("/tasks/{}", assignment_in(ada.post("/queue/next", &[]).await.leads_to()));
    let with = |query: &'static str| {
        let examples = [("query_1", "love"), ("response_1", "good"), ("query_2", "hate"), ("response_2", "bad")];
        [&[("instruction", "Give the sentiment."), ("query", query), ("then", "queue")][..], &examples].concat()
    };
    ada.post(&format!("{task}/submit"), &with("fine")).await.assert(303);
    ada.get("/queue").await.assert(200).assert_contains(&format!("href=\"{task}\""));
    let correct = format!("{task}/correct");
    ada.get(&task).await.assert(200).assert_contains(&format!("href=\"{correct}\""));
    let page = ada.get(&correct).await.assert(200);
    for typed in ["Give the sentiment.</textarea>", "love</textarea>", "bad</textarea>", "fine</textarea>"] {
        page.assert_contains(typed);
    }
    let first = version(&page);
    let say = async |query: &'static str, version: &str| {
        let form = [with(query), vec![("version", version)]].concat();
        ada.post(&correct, &form).await
    };
    // Sent twice, it is stored once; the words that it replaced are exported no more, and nobody is asked about them.
    assert_eq!(say("so fine", &first).await.leads_to(), task);
    say("so fine", &first).await.assert(303);
    say("finest", &first).await.assert(409).assert_contains("Another version was saved meanwhile");
    let asked = async || {
        let prompts = exported(&server, Kind::Prompts).await;
        let said = prompts.iter().map(|prompt| prompt["prompt"].as_array().expect("messages").last().cloned());
        said.map(|message| message.expect("a message")["content"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(asked().await, ["so fine"]);
    assert_eq!(count(pool, "SELECT count(*) FROM prompts").await, 2, "the earlier version stays on record");
    assert_eq!(count(pool, "SELECT labels::bigint FROM tasks WHERE kind = 'prompt'").await, 1);
    let open = "SELECT count(*) FROM tasks WHERE kind = 'demonstration' AND withdrawn_at IS NULL";
    assert_eq!(count(pool, open).await, 1);
    let noted = "SELECT count(*) FROM audit_log WHERE action = 'label.correct' AND detail ->> 'kind' = 'prompt'";
    assert_eq!(count(pool, noted).await, 1);
    ada.get(&task).await.assert_contains("Earlier versions").assert_contains("so fine");
    ada.get("/queue").await.assert(200).assert_contains("so fine");
    lea.get("/admin/projects/test/writing").await.assert(200).assert_contains("1 / 1");
    // The first words again are the first prompt again.
    let second = version(&ada.get(&correct).await);
    say("fine", &second).await.assert(303);
    assert_eq!(asked().await, ["fine"]);
    assert_eq!(count(pool, "SELECT count(*) FROM prompts").await, 2);
    assert_eq!(count(pool, open).await, 1);
    let replaced: uuid::Uuid =
        sqlx::query_scalar("SELECT id FROM prompts WHERE withdrawn_at IS NOT NULL").fetch_one(pool).await.expect("one");
    lea.get(&format!("/admin/projects/test/prompts/{replaced}")).await.assert_contains("has corrected this prompt");

    // Somebody begins to answer it.
    let third = version(&ada.get(&correct).await);
    let bob = server.user("Bob", Role::Annotator).await;
    let his = format!("/tasks/{}", assignment_in(bob.post("/queue/next", &[]).await.leads_to()));
    bob.get(&his).await.assert(200).assert_contains("fine");
    let told = say("finest", &third).await.assert(409);
    told.assert_contains("Somebody has begun to work with this prompt").assert_contains("finest</textarea>");
    let page = ada.get(&task).await.assert(200);
    page.assert_contains("can’t be corrected any more");
    assert!(!page.text.contains(&correct), "the link is still there");
    assert_eq!(ada.get(&correct).await.leads_to(), task);
    // Given back with a word on it, it may be made better.
    bob.post(&format!("{his}/skip"), &[("reason", "unclear"), ("then", "queue")]).await.assert(303);
    say("finest", &third).await.assert(303);
    assert_eq!(asked().await, ["finest"]);
    // To keep what the word was on does not bring it back beside the better one.
    lea.get("/admin/projects/test/reports").await.assert_contains("has corrected this prompt");
    let reported: uuid::Uuid = sqlx::query_scalar(
        "SELECT id FROM prompts WHERE conversation -> -1 ->> 'content' = 'fine' AND withdrawn_at IS NOT NULL",
    )
    .fetch_one(pool)
    .await
    .expect("the one that was given back");
    let decide = format!("/admin/projects/test/reports/{reported}");
    lea.post(&decide, &[("decision", "keep")]).await.assert(303);
    assert_eq!(asked().await, ["finest"]);
    assert_eq!(count(pool, open).await, 1);
}
