//! What opens over a page or in it: sheets, menus, the form for skipping a task, flags, notes.

use fantoccini::Locator;
use serde_json::json;

use crate::{Inspector, Look, support::Browser};

/// A kind of page, what opens there at once, and what is there once it is open.
const OPENED: [(&str, &str, &[(&str, &str)]); 9] = [
    ("ranking", "menus", &[(".drop summary", ".drop[open]"), (".flags summary", ".flags[open]"), MENU, NOTE]),
    ("ranking", "keys", &[KEYS]),
    ("ranking", "guidelines", &[("[popovertarget=guidelines]", "#guidelines:popover-open")]),
    ("ranking", "beside", &[BESIDE]),
    ("comparison", "keys", &[KEYS]),
    ("comparison", "beside", &[BESIDE]),
    ("demonstration", "menus", &[(".drop summary", ".drop[open]"), MENU]),
    ("demonstration", "keys", &[KEYS]),
    ("prompt", "keys", &[KEYS]),
];
const KEYS: (&str, &str) = ("[popovertarget=keys]", "#keys:popover-open");
const BESIDE: (&str, &str) = ("[data-open-beside]", "#beside:popover-open [data-side]");
const MENU: (&str, &str) = (".account-menu summary", ".account-menu[open]");
const NOTE: (&str, &str) = (".note summary", ".note[open]");

/// Looks at each of them.
pub async fn all(inspector: &mut Inspector<'_>, browser: &Browser, look: &Look) {
    let tasks = inspector.world.tasks().await;
    for (kind, name, parts) in OPENED {
        let task = tasks.iter().find(|(known, _)| *known == format!("{kind}-leased"));
        let (_, task) = task.unwrap_or_else(|| panic!("no {kind} is begun"));
        inspector.go(browser, look, &format!("/tasks/{task}")).await;
        for (opener, open) in parts {
            let press = "document.querySelector(arguments[0]).click()";
            browser.execute(press, vec![json!(opener)]).await.expect(opener);
            browser.wait().for_element(Locator::Css(open)).await.expect(open);
        }
        inspector.examine(browser, look, &format!("open-{kind}-{name}")).await;
    }
}
