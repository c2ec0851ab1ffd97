//! Two answers head to head: each point is stored by the answers' positions, whatever order was shown, and exported with its margin.

use laurel::{
    domain::role::Role,
    export::Kind,
    import::{self, Kind as Import},
};
use serde_json::json;
use uuid::Uuid;

use super::{ENTER, compared, exported, left_the_task, only_project, take_next};
use crate::support::{
    Browser, Client, PASSWORD,
    seed::{self, assignment_in, count},
    server,
};

/// Whether the page shows the answer of position 0 first.
fn as_stored(page: &str) -> bool {
    let first = page.split(r#"<article class="answer" data-position=""#).nth(1).expect("an answer");
    first.starts_with('0')
}

async fn next(person: &Client) -> Uuid {
    assignment_in(person.post("/queue/next", &[]).await.leads_to())
}

#[tokio::test]
async fn every_point_is_stored_by_position_and_exported_with_its_margin() {
    let server = server().await;
    let project = compared(server.pool()).await;
    for number in 1..=9 {
        seed::ranking_task(&server.state, project, &format!("Which? {number}"), &["first", "second"]).await;
    }
    let ada = server.user("Ada", Role::Annotator).await;
    for point in 1..=9_i64 {
        let assignment = next(&ada).await;
        let page = ada.get(&format!("/tasks/{assignment}")).await.assert(200);
        page.assert_contains(r#"data-kind="comparison""#);
        let straight = as_stored(&page.text);
        let sent = point.to_string();
        ada.post(&format!("/tasks/{assignment}/submit"), &[("confidence", &sent), ("then", "queue")]).await.assert(303);
        let (stored, first, second): (i32, i32, i32) = sqlx::query_as(
            "SELECT r.confidence, one.rank, two.rank
             FROM rankings r
             JOIN ranking_responses one ON one.ranking_id = r.id AND one.position = 0
             JOIN ranking_responses two ON two.ranking_id = r.id AND two.position = 1
             WHERE r.assignment_id = $1",
        )
        .bind(assignment)
        .fetch_one(server.pool())
        .await
        .expect("a ranking");
        let wanted = if straight { point } else { 10 - point };
        assert_eq!(i64::from(stored), wanted, "the page shows the first answer first: {straight}");
        let ranks = match wanted {
            1..=4 => (1, 2),
            5 => (1, 1),
            _ => (2, 1),
        };
        assert_eq!((first, second), ranks);
        // Seen again, it says what was said.
        ada.get(&format!("/tasks/{assignment}")).await.assert(200).assert_contains(&format!("{point} of 9"));
    }
    let rankings = exported(&server, Kind::Rankings).await;
    let comparisons = exported(&server, Kind::Comparisons).await;
    assert_eq!((rankings.len(), comparisons.len()), (9, 8), "the tie is no comparison");
    for comparison in comparisons {
        let ranking = rankings.iter().find(|ranking| ranking["id"] == comparison["ranking_id"]).expect("its ranking");
        let point = ranking["confidence"].as_i64().expect("a point");
        assert_eq!(comparison["margin"], json!((point - 5).abs()));
        let chosen = if point < 5 { "first" } else { "second" };
        assert_eq!(comparison["chosen"][0]["content"], json!(chosen));
    }
    let margins = "SELECT count(*) FROM comparisons c JOIN rankings r ON r.id = c.ranking_id
                   WHERE c.margin = abs(r.confidence - 5)";
    assert_eq!(count(server.pool(), margins).await, 8);
}

#[tokio::test]
async fn a_comparison_without_a_point_is_explained_and_a_second_submit_changes_nothing() {
    let server = server().await;
    let project = compared(server.pool()).await;
    seed::ranking_task(&server.state, project, "Which?", &["first", "second"]).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let assignment = next(&ada).await;
    let submit = format!("/tasks/{assignment}/submit");
    for wrong in ["", "0", "10", "-1", "A"] {
        let form = [("confidence", wrong), ("note", "<kept>")];
        let page = ada.post(&submit, &form).await.assert(422);
        page.assert_contains("Say which answer is better").assert_contains("&#60;kept&#62;");
    }
    let draft = json!({ "confidence": "7", "rank_0": "1" });
    ada.json(reqwest::Method::PUT, &format!("/tasks/{assignment}/draft"), &draft).await.assert(200);
    ada.get(&format!("/tasks/{assignment}")).await.assert_contains(r#"name="confidence" value="7" checked"#);
    ada.post(&submit, &[("confidence", "2")]).await.assert(303);
    ada.post(&submit, &[("confidence", "2")]).await.assert(303);
    // Another point is no repetition: nobody is told that it is stored.
    ada.post(&submit, &[("confidence", "8")]).await.assert(409);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM rankings").await, 1);
    assert_eq!(count(server.pool(), "SELECT labels::bigint FROM tasks").await, 1);
}

#[tokio::test]
async fn only_two_answers_are_judged_head_to_head_and_an_import_keeps_the_point() {
    let server = server().await;
    compared(server.pool()).await;
    let project = only_project(server.pool()).await;
    let actor = laurel::db::audit::Actor::program("test");
    let answers = |prompt: &str, texts: &[&str]| json!({ "prompt": prompt, "responses": texts }).to_string();
    let file = [answers("Two?", &["a", "b"]), answers("Three?", &["a", "b", "c"])].join("\n");
    import::import(server.pool(), &actor, &project, Import::Responses, &mut file.as_bytes()).await.expect("imported");
    let kinds: Vec<(String, i64)> = sqlx::query_as(
        "SELECT t.kind, count(*) FROM tasks t JOIN task_responses a ON a.task_id = t.id GROUP BY t.id, t.kind ORDER BY 2",
    )
    .fetch_all(server.pool())
    .await
    .expect("tasks");
    assert_eq!(kinds, [("comparison".to_owned(), 2), ("ranking".to_owned(), 3)]);

    let ranking = |id: &str, ranks: [i32; 2], confidence: i32| {
        json!({ "id": id, "prompt": "Two?", "responses": ["a", "b"], "ranks": ranks, "confidence": confidence,
                "annotator": id })
        .to_string()
    };
    let bring = async |file: String| {
        import::import(server.pool(), &actor, &project, Import::Rankings, &mut file.as_bytes()).await
    };
    assert!(bring(ranking("r1", [1, 2], 8)).await.is_err(), "the point and the ranks say different things");
    assert!(bring(ranking("r1", [1, 2], 0)).await.is_err(), "no point");
    bring(ranking("r1", [2, 1], 8)).await.expect("imported");
    let comparisons = exported(&server, Kind::Comparisons).await;
    assert_eq!((comparisons.len(), &comparisons[0]["margin"]), (1, &json!(3)));
}

#[tokio::test]
async fn an_admin_chooses_how_answers_are_judged() {
    let server = server().await;
    compared(server.pool()).await;
    let ada = server.user("Ada", Role::Admin).await;
    let page = ada.get("/admin/projects/test/settings").await.assert(200);
    page.assert_contains(r#"name="judgement" value="comparison" checked"#);
    let form = [
        ("name", "Project"),
        ("access", "everyone"),
        ("answers_per_prompt", "7"),
        ("demonstration_overlap", "1"),
        ("ranking_overlap", "1"),
        ("lease_minutes", "60"),
        ("validation_percent", "10"),
        ("test_percent", "10"),
        ("promotion", "by_hand"),
        ("prompts_per_round", "100"),
        ("judgement", "comparison"),
    ];
    ada.post("/admin/projects/test/settings", &form).await.assert(303);
    let settings = only_project(server.pool()).await.settings;
    assert_eq!((settings.judgement.as_str(), settings.answers_per_prompt), ("comparison", 2));
}

/// Runs in the page: presses a letter, and says whether the rating that it leads to is seen there, and nothing lies over it.
const SEEN: &str = "const key = { key: arguments[0], bubbles: true, cancelable: true };
    document.activeElement.dispatchEvent(new KeyboardEvent('keydown', key));
    const point = document.activeElement.closest('.rating-point');
    const box = point.getBoundingClientRect();
    return point.contains(document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2))";

#[tokio::test]
async fn the_rating_that_a_key_leads_to_does_not_lie_under_the_scale() {
    let server = server().await;
    let project = compared(server.pool()).await;
    // Just too long for the window: the end of the answer is where the scale stays in view.
    let text = ["A line of it."; 14].join("\n\n");
    seed::ranking_task(&server.state, project, "Which?", &[text.as_str(), "second"]).await;
    server.account("Ada", Role::Annotator).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    take_next(&server, &browser).await;
    // Whichever of the two is the long one here.
    for letter in ["a", "b"] {
        assert_eq!(browser.execute(SEEN, vec![json!(letter)]).await.expect("looked"), true, "{letter}");
    }
    browser.close().await;
}

#[tokio::test]
async fn a_digit_and_enter_are_enough_with_a_keyboard_and_a_button_without_scripts() {
    let server = server().await;
    let project = compared(server.pool()).await;
    for number in 1..=2 {
        seed::ranking_task(&server.state, project, &format!("Which? {number}"), &["first", "second"]).await;
    }
    server.account("Ada", Role::Annotator).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    take_next(&server, &browser).await;
    // Nothing chosen: Enter explains, and sends nothing.
    browser.press(ENTER).await;
    let error = browser.wait().for_element(fantoccini::Locator::Css("#task-error:not([hidden])")).await.expect("told");
    assert!(error.text().await.expect("read").contains("Say which answer is better"));
    // However long a key is held, it says once that both are bad; only the next press takes that back.
    let held = "for (const repeat of [false, true]) {
            document.body.dispatchEvent(new KeyboardEvent('keydown', { key: '0', repeat, bubbles: true, cancelable: true }));
        }
        return document.getElementById('task').elements.all_bad.checked";
    assert_eq!(browser.execute(held, Vec::new()).await.expect("held"), true);
    browser.press("0").await;
    let said = "return document.querySelector('[data-announce]').textContent";
    assert_eq!(browser.execute(said, Vec::new()).await.expect("read"), "Undone");
    let straight = as_stored(&browser.source().await.expect("the page"));
    let first = browser.current_url().await.expect("an address");
    browser.press(&format!("8{ENTER}")).await;
    // On to the next task; who leaves while it is only seen ahead gives it back.
    let second = "#content:not([data-under-way]) form#task:not([action*='ASSIGNMENT'])"
        .replace("ASSIGNMENT", first.path_segments().and_then(Iterator::last).expect("an assignment"));
    let form = browser.wait().for_element(fantoccini::Locator::Css(&second)).await.expect("the next task");
    let action = form.attr("action").await.expect("read").expect("where it is sent");
    let stored = count(server.pool(), "SELECT confidence::bigint FROM rankings").await;
    assert_eq!(stored, if straight { 8 } else { 2 });
    let address = format!("{}{}", server.address, action.trim_end_matches("/submit"));
    browser.close().await;
    let plain = Browser::open_without_scripts().await;
    plain.log_in_through_the_page(&server.address, "ada@example.org", PASSWORD).await;
    plain.goto(&address).await.expect("the task");
    // The driver may answer before the page is all there.
    plain.wait().for_element(fantoccini::Locator::Css("[data-submit]")).await.expect("the form's end");
    let straight = as_stored(&plain.source().await.expect("the page"));
    let press = async |selector: &str| {
        plain.find(fantoccini::Locator::Css(selector)).await.expect(selector).click().await.expect("pressed");
    };
    press("input[name=confidence][value='1']").await;
    press("[data-submit]").await;
    left_the_task(&plain).await;
    let stored = count(server.pool(), "SELECT confidence::bigint FROM rankings ORDER BY id DESC LIMIT 1").await;
    assert_eq!(stored, if straight { 1 } else { 9 });
    plain.close().await;
}
