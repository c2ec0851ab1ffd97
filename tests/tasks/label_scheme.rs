//! Ratings, flags and “all bad”: as far as the project asks for them, stored by the answers' positions and exported.

use laurel::{domain::role::Role, export::Kind};
use serde_json::json;
use uuid::Uuid;

use super::{ENTER, corrections::version, exported, left_the_task, take_next};
use crate::support::{
    Browser, Client, PASSWORD, Server,
    seed::{self, Seed, assignment_in, count},
    server,
};

async fn ranking() -> (Server, Client, Uuid) {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    seed::ranking_task(&server.state, project, "Which?", &["first", "second", "third"]).await;
    let ada = server.user("Ada", Role::Admin).await;
    let assignment = assignment_in(ada.post("/queue/next", &[]).await.leads_to());
    (server, ada, assignment)
}

const RANKS: [(&str, &str); 3] = [("rank_0", "2"), ("rank_1", "1"), ("rank_2", "3")];

#[tokio::test]
async fn ratings_flags_and_all_bad_are_stored_by_position_and_exported() {
    let (server, ada, assignment) = ranking().await;
    let submit = format!("/tasks/{assignment}/submit");
    let said = [("rating_0", "3"), ("rating_2", "7"), ("flag_1_hallucination", "1"), ("flag_1_other", "1")];
    let form = [&RANKS[..], &said, &[("all_bad", "1")]].concat();
    ada.post(&submit, &form).await.assert(422).assert_contains("say in the note what it is");
    let eight = [&RANKS[..], &[("rating_1", "8")]].concat();
    ada.post(&submit, &eight).await.assert(422).assert_contains("is not a number from 1 to 7");
    let noted = [&form[..], &[("note", "It stops in the middle.")]].concat();
    ada.post(&submit, &noted).await.assert(303);
    let rankings = exported(&server, Kind::Rankings).await;
    assert_eq!(rankings[0]["ranks"], json!([2, 1, 3]));
    assert_eq!(rankings[0]["ratings"], json!([3, null, 7]));
    assert_eq!(rankings[0]["rating_scale"], json!({ "lowest": 1, "highest": 7 }));
    assert_eq!(rankings[0]["flags"], json!([[], ["hallucination", "other"], []]));
    assert_eq!(rankings[0]["all_bad"], json!(true));
    let comparisons = exported(&server, Kind::Comparisons).await;
    assert_eq!(comparisons.iter().filter(|pair| pair["all_bad"] == json!(true)).count(), 3, "it ranks all the same");
    let page = ada.get(&format!("/tasks/{assignment}")).await.assert(200);
    page.assert_contains("Rating 7 of 7").assert_contains("Hallucination on a closed task");
    // A lead sees all of it on the prompt's page.
    let cy = server.user("Cy", Role::Admin).await;
    let prompt: Uuid = sqlx::query_scalar("SELECT id FROM prompts").fetch_one(server.pool()).await.expect("it");
    let page = cy.get(&format!("/admin/projects/test/prompts/{prompt}")).await.assert(200);
    for part in ["Rating 7 of 7", "Rating 3 of 7", "Hallucination on a closed task", "All answers are bad"] {
        page.assert_contains(part);
    }
    page.assert_contains("It stops in the middle.");
}

#[tokio::test]
async fn an_earlier_version_is_shown_with_all_that_it_said() {
    let (server, ada, assignment) = ranking().await;
    let task = format!("/tasks/{assignment}");
    let said = [("rating_0", "3"), ("flag_1_hallucination", "1"), ("all_bad", "1"), ("note", "Read in haste.")];
    ada.post(&format!("{task}/submit"), &[&RANKS[..], &said].concat()).await.assert(303);
    let standing = version(&ada.get(&format!("{task}/correct")).await.assert(200));
    let form = [&RANKS[..], &[("rating_0", "6"), ("version", &standing)]].concat();
    ada.post(&format!("{task}/correct"), &form).await.assert(303);
    let all = ["Rating 3 of 7", "Hallucination on a closed task", "All answers are bad", "Read in haste."];
    let page = ada.get(&task).await.assert(200);
    let (standing, earlier) = page.text.split_once("Earlier versions").expect("a list of them");
    for part in all {
        assert!(earlier.contains(part), "“{part}” is not in:\n{earlier}");
        assert!(!standing.contains(part), "{part}");
    }
    // So do those who review read it.
    let rosa = server.user("Rosa", Role::Reviewer).await;
    let prompt: Uuid = sqlx::query_scalar("SELECT id FROM prompts").fetch_one(server.pool()).await.expect("it");
    let page = rosa.get(&format!("/admin/projects/test/prompts/{prompt}")).await.assert(200);
    let (_, earlier) = page.text.split_once("corrected since").expect("a corrected version");
    for part in all {
        assert!(earlier.contains(part), "“{part}” is not in:\n{earlier}");
    }
}

#[tokio::test]
async fn a_project_asks_for_what_its_lead_has_chosen() {
    let (server, ada, assignment) = ranking().await;
    let scheme = "/admin/projects/test/label-scheme";
    ada.post(scheme, &[("rating", "required"), ("flag", "sexual"), ("flag", "nonsense")]).await.assert(303);
    let settings = ada.get(scheme).await.assert(200);
    settings.assert_contains(r#"name="rating" value="required" checked"#);
    let page = ada.get(&format!("/tasks/{assignment}")).await.assert(200);
    page.assert_contains("flag_0_sexual");
    for absent in ["flag_0_opinion", r#"name="note""#, "No rating"] {
        assert!(!page.text.contains(absent), "{absent}");
    }
    let submit = format!("/tasks/{assignment}/submit");
    let half = [&RANKS[..], &[("rating_0", "3"), ("rating_1", "3")]].concat();
    ada.post(&submit, &half).await.assert(422).assert_contains("Not rated yet:");
    let whole = [&half[..], &[("rating_2", "1"), ("flag_0_opinion", "1")]].concat();
    ada.post(&submit, &whole).await.assert(303);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM ranking_responses WHERE flags <> '{}'").await, 0);
    assert_eq!(count(server.pool(), "SELECT sum(rating) FROM ranking_responses").await, 7);
    let noted = "SELECT count(*) FROM audit_log WHERE action = 'project.label_scheme'";
    assert_eq!(count(server.pool(), noted).await, 1);
}

/// Runs in the page: presses the first words of what opens the note, and says whether it is open.
const NOTE: &str = "const summary = document.querySelector('.note summary');
    summary.scrollIntoView({ block: 'center' });
    const words = document.createRange();
    words.selectNodeContents(summary);
    const [box] = words.getClientRects();
    document.elementFromPoint(box.left + 4, box.top + box.height / 2).click();
    return summary.parentElement.open";

/// Runs in the page: presses keys of the row of digits that say these signs there, and gives the ratings that answer A has after each.
const SIGNS: &str = "const press = (key, code) =>
        document.body.dispatchEvent(new KeyboardEvent('keydown', { key, code, bubbles: true, cancelable: true }));
    press('a', 'KeyA');
    return arguments[0].map(([sign, digit]) => {
        press(sign, `Digit${digit}`);
        return document.querySelector('article[data-letter=A] .rating input:checked').value;
    })";

#[tokio::test]
async fn a_digit_rates_where_the_keyboard_has_a_sign_in_its_place() {
    let (server, _, _) = ranking().await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    take_next(&server, &browser).await;
    browser.wait().for_element(fantoccini::Locator::Css(".chip")).await.expect("drawn");
    // Czech, then French.
    let signs = json!([["+", 1], ["ě", 2], ["\"", 3], ["é", 2], ["(", 5], ["6", 6]]);
    let rated = browser.execute(SIGNS, vec![signs]).await.expect("pressed");
    assert_eq!(rated, json!(["1", "2", "3", "2", "5", "6"]));
    browser.close().await;
}

#[tokio::test]
async fn a_press_on_the_words_opens_the_note() {
    let (server, _, _) = ranking().await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    take_next(&server, &browser).await;
    assert_eq!(browser.execute(NOTE, Vec::new()).await.expect("pressed"), true);
    browser.close().await;
}

#[tokio::test]
async fn answers_are_rated_and_flagged_by_keyboard() {
    let (server, _, assignment) = ranking().await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    take_next(&server, &browser).await;
    browser.wait().for_element(fantoccini::Locator::Css(".chip")).await.expect("drawn");
    let position = async |letter: &str| {
        let card = format!("article[data-letter='{letter}']");
        let card = browser.find(fantoccini::Locator::Css(&card)).await.expect("a card");
        card.attr("data-position").await.expect("read").expect("a position").parse::<i32>().expect("a number")
    };
    let (a, b) = (position("A").await, position("B").await);
    // A is best and gets a 6, B is next, gets a 2 and its first flag; none is good.
    browser.press("a6b2m").await;
    browser.press(" \u{E00C}").await;
    browser.press("0c").await;
    // A draft keeps it: after a reload all of it is there.
    browser.saved().await;
    browser.refresh().await.expect("reloaded");
    browser.wait().for_element(fantoccini::Locator::Css(".tier:nth-child(3)")).await.expect("the order is there again");
    browser.press(ENTER).await;
    left_the_task(&browser).await;
    let stored: Vec<(i32, Option<i32>, Vec<String>)> =
        sqlx::query_as("SELECT position, rating, flags FROM ranking_responses ORDER BY rank")
            .fetch_all(server.pool())
            .await
            .expect("what is stored");
    assert_eq!(stored[0], (a, Some(6), vec![]));
    assert_eq!(stored[1], (b, Some(2), vec!["not_following".to_owned()]));
    assert_eq!((stored[2].1, &stored[2].2), (None, &vec![]));
    let all_bad: bool = sqlx::query_scalar("SELECT all_bad FROM rankings WHERE assignment_id = $1")
        .bind(assignment)
        .fetch_one(server.pool())
        .await
        .expect("a ranking");
    assert!(all_bad);
    browser.close().await;
}
