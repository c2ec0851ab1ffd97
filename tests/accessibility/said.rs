//! What scripts say on a task's page: that something was found here, that the server is away, that the task was submitted elsewhere,
//! that a text is in another language. Each in one look, as it looks like what other pages say.

use std::collections::BTreeMap;

use fantoccini::Locator;
use serde_json::json;
use uuid::Uuid;

use crate::Inspector;

/// What is said, and how it comes to be.
struct Said {
    name: &'static str,
    look: &'static str,
    /// The state of the task, and which of its pages it is.
    task: &'static str,
    page: &'static str,
    /// Runs on the page before, with the assignment.
    before: &'static str,
    /// Run on this one.
    then: &'static [&'static str],
    there: &'static [&'static str],
}

const ALL: [Said; 3] = [
    Said {
        name: "found",
        look: "wide-en-light",
        task: "demonstration-submitted",
        page: "/correct",
        before: KEPT,
        then: &[],
        there: &["[data-other-draft]"],
    },
    Said {
        name: "away",
        look: "phone-en-dark",
        task: "demonstration-leased",
        page: "",
        before: "",
        then: &[AWAY, SUBMIT],
        there: &[OTHER_LANGUAGE, "#task-error:not([hidden])"],
    },
    Said {
        name: "elsewhere",
        look: "wide-zh-dark",
        task: "demonstration-leased",
        page: "",
        before: "",
        then: &[ELSEWHERE, SUBMIT],
        there: &[OTHER_LANGUAGE, "[data-beside]"],
    },
];

/// A text that came too late is in this browser.
const KEPT: &str = "localStorage.setItem(`laurel.correction.${arguments[0]}`,
    JSON.stringify({ at: Date.now(), version: null, fields: { completion: 'A text that came too late.' } }));";
const AWAY: &str = "window.fetch = () => Promise.reject(new TypeError('away'));";
const ELSEWHERE: &str = "const told = { code: 'already-submitted', message: document.title, differs: true,
        correct: `${location.pathname}/correct`, look: document.title };
    window.fetch = async () => new Response(JSON.stringify(told), { status: 409 });";
/// Writes something in another language than the task's, and submits it.
const SUBMIT: &str = "const text = document.getElementById('completion');
    text.value = text.lang.startsWith('zh') ? 'Bees collect nectar and dry it in the comb.' : '蜜蜂从花朵中采集花蜜，带回蜂巢。';
    text.dispatchEvent(new Event('input', { bubbles: true }));
    document.getElementById('task').requestSubmit(document.querySelector('[data-submit]'));";
const OTHER_LANGUAGE: &str = "[data-other-script]:not([hidden])";

/// Looks at what is said in this look.
pub async fn all(inspector: &mut Inspector<'_>) {
    let tasks: BTreeMap<String, Uuid> = inspector.world.tasks(inspector.person).await.into_iter().collect();
    let look = inspector.look.name;
    for Said { name, task, page, before, then, there, .. } in ALL.into_iter().filter(|said| said.look == look) {
        let assignment = tasks.get(task).unwrap_or_else(|| panic!("no task is {task}"));
        inspector.browser.execute(before, vec![json!(assignment)]).await.expect(before);
        inspector.go(&format!("/tasks/{assignment}{page}")).await;
        for script in then {
            inspector.browser.execute(script, Vec::new()).await.expect(script);
        }
        for part in there {
            inspector.browser.wait().for_element(Locator::Css(part)).await.expect(part);
        }
        inspector.examine(&format!("said-{name}"), 200).await;
    }
}
