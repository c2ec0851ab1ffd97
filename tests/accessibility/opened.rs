//! What opens over a page or in it: sheets, the account's menu, the form for skipping and reporting, flags, notes.

use fantoccini::Locator;
use serde_json::json;

use crate::{Inspector, Look, support::Browser};

/// A kind of page, what opens there at once, and what is there once it is open.
const OPENED: [(&str, &str, &[(&str, &str)]); 11] = [
    // What would lie over another part is looked at alone: of what is covered axe can't say whether it can be read.
    ("ranking", "flags", &[(".flags summary", ".flags[open]"), (".note summary", ".note[open]")]),
    ("ranking", "skip", &[SKIP]),
    ("ranking", "keys", &[KEYS]),
    ("ranking", "guidelines", &[("[popovertarget=guidelines]", "#guidelines:popover-open")]),
    ("ranking", "beside", &[BESIDE]),
    ("comparison", "keys", &[KEYS]),
    ("comparison", "beside", &[BESIDE]),
    ("demonstration", "account", &[(".account-menu summary", ".account-menu[open]")]),
    ("demonstration", "skip", &[SKIP]),
    ("demonstration", "keys", &[KEYS]),
    ("prompt", "keys", &[KEYS]),
];
const KEYS: (&str, &str) = ("[popovertarget=keys]", "#keys:popover-open");
const BESIDE: (&str, &str) = ("[data-open-beside]", "#beside:popover-open [data-side]");
const SKIP: (&str, &str) = (".drop summary", ".drop[open]");

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
