//! What opens over a page or in it: sheets, the account's menu, the form for skipping and reporting, flags, notes; and answers of a
//! conversation, which come once its page is there.

use std::collections::BTreeMap;

use fantoccini::Locator;
use serde_json::json;
use uuid::Uuid;

use crate::Inspector;

/// What opens something, and what is there once it is open.
type Opening = (&'static str, &'static str);

/// A kind of page, a name, and what opens there at once.
const OPENED: [(&str, &str, &[Opening]); 11] = [
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
const KEYS: Opening = ("[popovertarget=keys]", "#keys:popover-open");
const BESIDE: Opening = ("[data-open-beside]", "#beside:popover-open [data-side]");
const SKIP: Opening = (".drop summary", ".drop[open]");

/// What becomes of a conversation whose answers are asked for, and what is there then.
const ANSWERED: [(&str, &str); 2] =
    [("answers", "#ask [data-coming]:not(:empty)"), ("failure", "#ask [data-failed]:not([hidden])")];

/// Looks at each of them.
pub async fn all(inspector: &mut Inspector<'_>) {
    let tasks: BTreeMap<String, Uuid> = inspector.world.tasks(inspector.person).await.into_iter().collect();
    for (kind, name, parts) in OPENED {
        let task = tasks.get(&format!("{kind}-leased")).unwrap_or_else(|| panic!("no {kind} is begun"));
        inspector.go(&format!("/tasks/{task}")).await;
        for (opener, open) in parts {
            let press = "document.querySelector(arguments[0]).click()";
            inspector.browser.execute(press, vec![json!(opener)]).await.expect(opener);
            inspector.browser.wait().for_element(Locator::Css(open)).await.expect(open);
        }
        inspector.examine(&format!("open-{kind}-{name}"), 200).await;
    }
    for (next, there) in ANSWERED {
        let chat = inspector.person.chat(next);
        inspector.go(&format!("/chats/{chat}")).await;
        inspector.browser.wait().for_element(Locator::Css(there)).await.expect(there);
        inspector.examine(&format!("chat-{next}"), 200).await;
    }
    let chat = inspector.person.chat("choice");
    inspector.go(&format!("/chats/{chat}")).await;
    inspector.browser.execute("document.querySelector('.drop summary').click()", Vec::new()).await.expect("pressed");
    inspector.browser.wait().for_element(Locator::Css(".drop[open]")).await.expect("open");
    inspector.examine("open-chat-finish", 200).await;
}
