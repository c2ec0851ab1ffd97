//! Flags and scales that a project sets itself: offered to people, stored and exported as they were given, whatever the project
//! asks for afterwards.

use fantoccini::Locator;
use laurel::{domain::role::Role, export::Kind};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ENTER, corrections::version, exported, left_the_task};
use crate::support::{
    Browser, Client, PASSWORD, Server,
    seed::{self, Seed, assignment_in, count},
    server,
};

const SCHEME: &str = "/admin/projects/test/label-scheme";
const RANKS: [(&str, &str); 2] = [("rank_0", "1"), ("rank_1", "2")];
/// A scale from 0 to 10, as the lead's form has it.
pub const TEN: [(&str, &str); 4] =
    [("lowest", "0"), ("highest", "10"), ("lowest_word", "terrible"), ("highest_word", "excellent")];
/// How forms state it, and the scale of a project that says nothing.
pub const OF_TEN: &str = r#"{"lowest":0,"highest":10,"lowest_word":"terrible","highest_word":"excellent"}"#;
const OF_SEVEN: &str = r#"{"lowest":1,"highest":7}"#;

/// A project with one task to rank two answers, its lead, and an annotator who has the task.
async fn world() -> (Server, Client, Client, Uuid) {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    seed::ranking_task(&server.state, project, "Which?", &["first", "second"]).await;
    let ada = server.user("Ada", Role::Admin).await;
    let bob = server.user("Bob", Role::Annotator).await;
    let task = assignment_in(bob.post("/queue/next", &[]).await.leads_to());
    (server, ada, bob, task)
}

/// Sends the form of the scheme: notes and “sexual” as they were, and what else is said.
async fn set(lead: &Client, more: &[(&str, &str)]) {
    let form = [&[("rating", "optional"), ("flag", "sexual"), ("note", "1")][..], more].concat();
    lead.post(SCHEME, &form).await.assert(303);
}

#[tokio::test]
async fn a_flag_of_the_projects_own_is_offered_named_in_both_languages_stored_and_exported_by_its_word() {
    let (server, ada, bob, task) = world().await;
    set(&ada, &[("new.name.en", "Off topic"), ("new.name.zh", "跑题"), ("new.hint", "Answers something else")]).await;
    let page = bob.get(&format!("/tasks/{task}")).await.assert(200);
    for part in ["flag_0_sexual", "flag_0_off_topic", ">Off topic<", "Answers something else"] {
        page.assert_contains(part);
    }
    assert!(!page.text.contains("flag_0_opinion"), "it is not offered");
    bob.post("/preferences", &[("language", "zh"), ("next", "/queue")]).await.assert(303);
    bob.get(&format!("/tasks/{task}")).await.assert(200).assert_contains(">跑题<");
    let said = [&RANKS[..], &[("flag_1_off_topic", "1"), ("flag_0_nonsense", "1")]].concat();
    bob.post(&format!("/tasks/{task}/submit"), &said).await.assert(303);
    let rankings = exported(&server, Kind::Rankings).await;
    assert_eq!(rankings[0]["flags"], json!([[], ["off_topic"]]));
    bob.get(&format!("/tasks/{task}")).await.assert(200).assert_contains("跑题");
    let reviewer = server.user("Rosa", Role::Reviewer).await;
    let prompt: Uuid = sqlx::query_scalar("SELECT id FROM prompts").fetch_one(server.pool()).await.expect("it");
    reviewer.get(&format!("/admin/projects/test/prompts/{prompt}")).await.assert(200).assert_contains("Off topic");
    let noted =
        "SELECT count(*) FROM audit_log WHERE action = 'project.label_scheme' AND detail::text LIKE '%off_topic%'";
    assert_eq!(count(server.pool(), noted).await, 1);
}

#[tokio::test]
async fn a_flag_that_is_renamed_or_taken_away_stays_on_the_labels_that_have_it() {
    let (server, ada, bob, task) = world().await;
    set(&ada, &[("new.name.en", "Off topic")]).await;
    set(
        &ada,
        &[
            ("own", "off_topic"),
            ("own.off_topic.name.en", "Off topic"),
            ("offered", "off_topic"),
            ("new.name.en", "Unused"),
        ],
    )
    .await;
    let said = [&RANKS[..], &[("flag_1_off_topic", "1"), ("rating_0", "6")]].concat();
    bob.post(&format!("/tasks/{task}/submit"), &said).await.assert(303);
    // Renamed, and taken away with the one that no label has.
    let rows = [
        ("own", "off_topic"),
        ("own.off_topic.name.en", "Beside the point"),
        ("own", "unused"),
        ("own.unused.name.en", "Unused"),
    ];
    set(&ada, &rows).await;
    let settings = ada.get(SCHEME).await.assert(200);
    settings.assert_contains("Beside the point").assert_contains(r#"name="offered" value="off_topic"> "#);
    assert!(!settings.text.contains("unused"), "no label needs its name");
    bob.get(&format!("/tasks/{task}")).await.assert(200).assert_contains("Beside the point");
    assert_eq!(exported(&server, Kind::Rankings).await[0]["flags"], json!([[], ["off_topic"]]));
    // A correction of something else leaves it; a label of another task is not offered it.
    let page = bob.get(&format!("/tasks/{task}/correct")).await.assert(200);
    page.assert_contains(r#"name="flag_1_off_topic" value="1" checked"#);
    let standing = version(&page);
    let form = [&said[..], &[("note", "Looked again."), ("version", &standing)]].concat();
    bob.post(&format!("/tasks/{task}/correct"), &form).await.assert(303);
    let corrected = exported(&server, Kind::Rankings).await;
    assert_eq!((&corrected[0]["flags"], &corrected[0]["note"]), (&json!([[], ["off_topic"]]), &json!("Looked again.")));
    let project: Uuid = sqlx::query_scalar("SELECT id FROM projects").fetch_one(server.pool()).await.expect("it");
    seed::ranking_task(&server.state, project, "And these?", &["one", "two"]).await;
    let next = assignment_in(bob.post("/queue/next", &[]).await.leads_to());
    let page = bob.get(&format!("/tasks/{next}")).await.assert(200);
    assert!(page.text.contains("flag_1_sexual") && !page.text.contains("off_topic"));
    // It can be offered again, under the same word.
    set(&ada, &[&rows[..2], &[("offered", "off_topic")]].concat()).await;
    bob.get(&format!("/tasks/{next}")).await.assert(200).assert_contains("flag_1_off_topic");
}

#[tokio::test]
async fn a_label_keeps_the_scale_that_it_was_given_on() {
    let (server, ada, bob, task) = world().await;
    let submit = format!("/tasks/{task}/submit");
    set(&ada, &TEN).await;
    let page = bob.get(&format!("/tasks/{task}")).await.assert(200);
    for part in [r#"name="rating_0" value="0""#, r#"name="rating_0" value="10""#, "terrible", "excellent"] {
        page.assert_contains(part);
    }
    let rated =
        |rating: &'static str, scale: &'static str| [&RANKS[..], &[("rating_1", rating), ("scale", scale)]].concat();
    bob.post(&submit, &rated("11", OF_TEN)).await.assert(422).assert_contains("is not a number from 0 to 10");
    let unknown = bob.post(&submit, &rated("3", r#"{"lowest":1,"highest":5}"#)).await.assert(422);
    unknown.assert_contains("rating scale has changed").assert_contains(r#"name="rank_0" value="1" checked"#);
    assert!(!unknown.text.contains(r#"name="rating_1" value="3" checked"#), "a 3 of 5 is no 3 of 10");
    bob.post(&submit, &rated("10", OF_TEN)).await.assert(303);
    // Another scale, and other words: the label is what it was, and so are its corrections.
    set(&ada, &[("lowest", "1"), ("highest", "5"), ("lowest_word", ""), ("highest_word", "")]).await;
    bob.post(&submit, &rated("10", OF_TEN)).await.assert(303);
    let of_ten = json!({ "lowest": 0, "highest": 10, "lowest_word": "terrible", "highest_word": "excellent" });
    let ranking = &exported(&server, Kind::Rankings).await[0];
    assert_eq!((&ranking["ratings"], &ranking["rating_scale"]), (&json!([null, 10]), &of_ten));
    bob.get(&format!("/tasks/{task}")).await.assert(200).assert_contains("Rating 10 (0 to 10)");
    let page = bob.get(&format!("/tasks/{task}/correct")).await.assert(200);
    page.assert_contains(r#"name="rating_1" value="10" checked"#);
    let standing = version(&page);
    let form = [&rated("9", OF_TEN)[..], &[("version", &standing)]].concat();
    bob.post(&format!("/tasks/{task}/correct"), &form).await.assert(303);
    let ranking = &exported(&server, Kind::Rankings).await[0];
    assert_eq!((&ranking["ratings"], &ranking["rating_scale"]), (&json!([null, 9]), &of_ten));
}

#[tokio::test]
async fn what_was_begun_on_the_scale_of_before_is_finished_on_it() {
    let (server, ada, bob, task) = world().await;
    bob.get(&format!("/tasks/{task}")).await.assert(200);
    let draft = json!({ "rank_0": "2", "rating_0": "7", "scale": OF_SEVEN });
    bob.json(Method::PUT, &format!("/tasks/{task}/draft"), &draft).await.assert(200);
    set(&ada, &TEN).await;
    let page = bob.get(&format!("/tasks/{task}")).await.assert(200);
    page.assert_contains(r#"name="rating_0" value="7" checked"#);
    assert!(!page.text.contains(r#"name="rating_0" value="10""#), "a 7 of 7 is shown among ten points");
    let form = [&RANKS[..], &[("rating_0", "7"), ("scale", OF_SEVEN)]].concat();
    bob.post(&format!("/tasks/{task}/submit"), &form).await.assert(303);
    let ranking = &exported(&server, Kind::Rankings).await[0];
    assert_eq!(ranking["rating_scale"], json!({ "lowest": 1, "highest": 7 }));
}

#[tokio::test]
async fn a_page_that_was_opened_before_ratings_were_asked_for_is_told_to_be_loaded_again() {
    let (_server, ada, bob, task) = world().await;
    let asks = async |rating: &str| ada.post(SCHEME, &[("rating", rating), ("note", "1")]).await.assert(303);
    asks("off").await;
    let page = format!("/tasks/{task}");
    assert!(!bob.get(&page).await.assert(200).text.contains("rating_0"), "there is nowhere to rate");
    asks("required").await;
    let submit = format!("{page}/submit");
    let send = async |more: &[(&str, &str)]| {
        let token = bob.csrf().await;
        let form = [&RANKS[..], more, &[("csrf", token.as_str())]].concat();
        bob.send(bob.request(Method::POST, &submit).header("accept", "application/json").form(&form)).await.assert(422)
    };
    send(&[]).await.assert_contains("Load it again");
    bob.get(&page).await.assert(200).assert_contains(r#"name="rating_0" value="7""#);
    // One that has the ratings, and none chosen, says which lack.
    send(&[("scale", OF_SEVEN)]).await.assert_contains("Not rated yet: A");
    // Without a script they stand on the page that says so.
    bob.post(&submit, &RANKS).await.assert(422).assert_contains("Not rated yet: A");
}

#[tokio::test]
async fn answers_to_known_tasks_are_rated_on_the_projects_scale_too() {
    let (server, ada, bob, task) = world().await;
    let pool = server.pool();
    sqlx::query("INSERT INTO gold_tasks (task_id, purpose, ranks) SELECT id, 'check', '{1,2}'::integer[] FROM tasks")
        .execute(pool)
        .await
        .expect("a known answer");
    set(&ada, &[&TEN[..], &[("new.name.en", "Off topic")]].concat()).await;
    let form = [&RANKS[..], &[("rating_0", "10"), ("flag_1_off_topic", "1"), ("scale", OF_TEN)]].concat();
    bob.post(&format!("/tasks/{task}/submit"), &form).await.assert(303);
    let page = bob.get(&format!("/tasks/{task}/correct")).await.assert(200);
    page.assert_contains(r#"name="rating_0" value="10" checked"#);
    page.assert_contains(r#"name="flag_1_off_topic" value="1" checked"#);
    let standing = version(&page);
    let form = [&form[..], &[("all_bad", "1"), ("version", &standing)]].concat();
    bob.post(&format!("/tasks/{task}/correct"), &form).await.assert(303);
    let scales = "SELECT count(*) FROM (SELECT rating_scale FROM gold_answers UNION ALL SELECT rating_scale FROM gold_corrections)
                  AS given WHERE rating_scale ->> 'highest' = '10'";
    assert_eq!(count(pool, scales).await, 2);
    // A flag that only such an answer has keeps its name as well.
    set(&ada, &[("own", "off_topic"), ("own.off_topic.name.en", "Off topic")]).await;
    bob.get(&format!("/tasks/{task}")).await.assert(200).assert_contains("Off topic");
}

#[tokio::test]
async fn what_is_wrong_with_a_scheme_is_said_at_its_field_and_what_was_typed_stays() {
    let (server, ada, bob, _) = world().await;
    let form = [("lowest", "3"), ("highest", "11"), ("new.name.zh", "跑题"), ("new.hint", "Answers something else")];
    let page = ada.post(SCHEME, &form).await.assert(422);
    for part in
        ["from 0 to 1", "from 2 to 10", r#"value="11""#, "跑题", "Answers something else", "No word can be made"]
    {
        page.assert_contains(part);
    }
    for (name, word, why) in
        [("Bad", "Not a word", "A word has small letters"), ("Sexual", "", "is the word of a flag already")]
    {
        let page = ada.post(SCHEME, &[("new.name.en", name), ("new.word", word)]).await.assert(422);
        page.assert_contains(why);
    }
    assert_eq!(count(server.pool(), "SELECT count(*) FROM projects WHERE label_scheme <> '{}'").await, 0);
    bob.get(SCHEME).await.assert(403);
}

/// The last guard, for whatever writes past the forms.
#[tokio::test]
async fn the_database_refuses_ratings_off_their_scale_and_what_is_no_scheme() {
    let (server, _, bob, task) = world().await;
    let pool = server.pool();
    let form = [&RANKS[..], &[("rating_0", "7")]].concat();
    bob.post(&format!("/tasks/{task}/submit"), &form).await.assert(303);
    for (statement, guard) in [
        ("UPDATE ranking_responses SET rating = 8", "ranking_responses_on_scale"),
        ("UPDATE ranking_responses SET rating = 11", "ranking_responses_rating"),
        ("UPDATE ranking_responses SET flags = '{\"a,b\"}'", "ranking_responses_flags"),
        (r#"UPDATE rankings SET rating_scale = '{"lowest": 1}'"#, "rankings_rating_scale"),
        (
            r#"UPDATE projects SET label_scheme = '{"scale": {"lowest": 2, "highest": 7}}'"#,
            "projects_label_scheme_scale",
        ),
        (
            r#"UPDATE projects SET label_scheme = '{"own_flags": [{"word": "Bad", "names": {}}]}'"#,
            "projects_label_scheme_flags",
        ),
        (
            r#"UPDATE projects SET label_scheme = '{"own_flags": [{"word": "a", "names": {}}, {"word": "a", "names": {}}]}'"#,
            "projects_label_scheme_flags",
        ),
    ] {
        let error = sqlx::query(statement).execute(pool).await.expect_err(statement);
        let constraint = error.as_database_error().and_then(|error| error.constraint());
        assert_eq!(constraint, Some(guard), "{statement}: {error}");
    }
}

#[tokio::test]
async fn every_point_of_a_scale_from_0_to_10_has_its_keys() {
    let (server, ada, _, task) = world().await;
    set(&ada, &TEN).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "bob@example.org", PASSWORD).await;
    browser.goto(&format!("{}/tasks/{task}", server.address)).await.expect("the task");
    browser.wait().for_element(Locator::Css(".chip")).await.expect("drawn");
    let position = async |letter: &str| {
        let card = browser.find(Locator::Css(&format!("article[data-letter='{letter}']"))).await.expect("a card");
        card.attr("data-position").await.expect("read").expect("a position").parse::<i32>().expect("a number")
    };
    let (a, b) = (position("A").await, position("B").await);
    // From none, the arrows begin at the nearer end: A gets the 10, B the 0; a step down and up leads A back to the 10.
    browser.press("a\u{E012}b\u{E014}a\u{E012}\u{E014}").await;
    browser.press(ENTER).await;
    left_the_task(&browser).await;
    let stored: Vec<(i32, Option<i32>)> =
        sqlx::query_as("SELECT position, rating FROM ranking_responses ORDER BY rank")
            .fetch_all(server.pool())
            .await
            .expect("it");
    assert_eq!(stored, [(a, Some(10)), (b, Some(0))]);
    let scale: Value =
        sqlx::query_scalar("SELECT rating_scale FROM rankings").fetch_one(server.pool()).await.expect("it");
    assert_eq!(scale["highest"], json!(10));
    browser.close().await;
}

/// A copy that this browser kept while it was offline says nothing on a scale that came meanwhile.
#[tokio::test]
async fn a_copy_in_the_browser_from_another_scale_keeps_its_order_and_not_its_numbers() {
    let (server, ada, _, task) = world().await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "bob@example.org", PASSWORD).await;
    browser.goto(&format!("{}/tasks/{task}", server.address)).await.expect("the task");
    browser.wait().for_element(Locator::Css(".chip")).await.expect("drawn");
    let copy = "localStorage.setItem('laurel.draft.' + arguments[0], JSON.stringify({ at: Date.now() + 1000, base: 0,
        fields: { rank_0: '2', rank_1: '1', rating_0: '7', scale: arguments[1] } }));";
    browser.execute(copy, vec![json!(task), json!(OF_SEVEN)]).await.expect("kept");
    set(&ada, &TEN).await;
    browser.refresh().await.expect("reloaded");
    browser.wait().for_element(Locator::Css(".tier:nth-child(2)")).await.expect("the order is there again");
    let rated = "return document.querySelectorAll('.rating input:checked:not([value=\"\"])').length";
    assert_eq!(browser.execute(rated, Vec::new()).await.expect("read"), json!(0), "a 7 of 7 is no 7 of 10");
    browser.press(ENTER).await;
    left_the_task(&browser).await;
    let ranking = &exported(&server, Kind::Rankings).await[0];
    assert_eq!((&ranking["ranks"], ranking.get("ratings")), (&json!([2, 1]), None));
    browser.close().await;
}

/// A draft in which nothing is rated names no scale.
#[tokio::test]
async fn a_draft_without_ratings_that_is_taken_in_the_place_of_a_rated_one_has_none() {
    let (server, ada, bob, task) = world().await;
    set(&ada, &TEN).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "bob@example.org", PASSWORD).await;
    // At home nothing is rated yet; at work, where the page knew nothing of that, one answer is.
    let unrated = json!({ "rank_0": "2", "rank_1": "1", "rating_0": "", "rating_1": "", "scale": OF_TEN });
    let rated = json!({ "rank_0": "1", "rank_1": "2", "rating_0": "9", "rating_1": "", "scale": OF_TEN });
    for draft in [&unrated, &rated] {
        bob.json(Method::PUT, &format!("/tasks/{task}/draft?base=0"), draft).await.assert(200);
    }
    browser.goto(&format!("{}/tasks/{task}", server.address)).await.expect("the task");
    let take = "[data-other-draft] button:not([data-discard])";
    let take = browser.wait().for_element(Locator::Css(take)).await.expect("offered");
    let chosen = "return [...document.querySelectorAll('#task input[type=radio]:checked')]
        .filter(({ value }) => value).map(({ name, value }) => `${name} ${value}`).sort().join(', ')";
    let chosen = async || browser.execute(chosen, Vec::new()).await.expect("read");
    assert_eq!(chosen().await, json!("rank_0 1, rank_1 2, rating_0 9"));
    take.click().await.expect("pressed");
    assert_eq!(chosen().await, json!("rank_0 2, rank_1 1"));
    // And back.
    take.click().await.expect("pressed");
    assert_eq!(chosen().await, json!("rank_0 1, rank_1 2, rating_0 9"));
    browser.close().await;
}
