//! Pages that answer a form: what a lead is asked before answers are written for a blind test, and a form that another lead has
//! saved meanwhile.

use fantoccini::Locator;
use laurel::sample::seed;
use serde_json::{Value, json};

use crate::{Inspector, LOOKS};

/// Runs in the page: the first two models that the loop has made.
const MODELS: &str = "return [...document.querySelectorAll('select[name=first] option')]
    .map((option) => option.value).filter((value) => value && !value.startsWith('sample:')).slice(0, 2)";
/// Runs in the page: what its form was drawn with.
const DRAWN: &str = "return document.querySelector('form[action$=schedule] input[name=drawn]').value";

/// Looks at each of them.
pub async fn all(inspector: &mut Inspector<'_>) {
    let project = format!("/admin/projects/{}", seed::PROJECT);
    blind_test(inspector, &format!("{project}/leaderboard")).await;
    schedule(inspector, &project).await;
}

async fn blind_test(inspector: &mut Inspector<'_>, board: &str) {
    inspector.go(board).await;
    let models = inspector.browser.execute(MODELS, Vec::new()).await.expect("models");
    let [first, second]: [String; 2] = serde_json::from_value(models).expect("two models");
    inspector.send(board, json!({ "first": first, "second": second, "prompts": "5" })).await;
    inspector.browser.wait().for_element(Locator::Css("input[name=test]")).await.expect("a question");
    inspector.examine("answered-blind-test", 200).await;
}

/// Looks stand side by side: each saves a time of its own, and the form that it drew before is the older one in any case.
async fn schedule(inspector: &mut Inspector<'_>, project: &str) {
    let (page, action) = (format!("{project}/training"), format!("{project}/training/schedule"));
    inspector.go(&page).await;
    let drawn: Value = inspector.browser.execute(DRAWN, Vec::new()).await.expect("a form");
    let minute = LOOKS.iter().position(|look| look.name == inspector.look.name).expect("a look");
    let form = |hour: u32| json!({ "drawn": drawn, "time": format!("{hour:02}:{minute:02}"), "timezone": "UTC" });
    inspector.send(&action, form(1)).await;
    inspector.browser.wait().for_element(Locator::Css("form[action$=schedule]")).await.expect("saved");
    inspector.send(&action, form(3)).await;
    inspector.browser.wait().for_element(Locator::Css(".notice-error[role=alert]")).await.expect("told");
    inspector.examine("answered-meanwhile", 409).await;
}
