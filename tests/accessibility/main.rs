//! axe-core (Deque Systems) finds nothing to mend on any page: every route that shows a page, both themes, both languages, wide
//! and on a phone; the pages of errors; and whatever opens over a page. Leaves a picture of each under `screenshots/pages/`.

#[path = "../support/mod.rs"]
mod support;

mod errors;
mod opened;
mod world;

use std::path::{Path, PathBuf};

use fantoccini::Locator;
use laurel::web;
use support::Browser;
use world::World;

/// How a page is looked at.
struct Look {
    name: &'static str,
    language: &'static str,
    theme: &'static str,
    width: u32,
    height: u32,
}

const LOOKS: [Look; 3] = [
    Look { name: "wide-en-light", language: "en", theme: "light", width: 1280, height: 900 },
    Look { name: "wide-zh-dark", language: "zh", theme: "dark", width: 1280, height: 900 },
    Look { name: "phone-en-dark", language: "en", theme: "dark", width: 390, height: 844 },
];

/// Runs in the page: what axe says, one line a finding.
const FINDINGS: &str = "const done = arguments[arguments.length - 1];
    axe.run(document, { resultTypes: ['violations'] }).then(
        found => done(found.violations.flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.target} (${rule.help})`))),
        error => done([String(error)]));";

/// Runs in the page: what stands out at its side, not counting what scrolls in a box of its own.
const OUTSIDE: &str = "const width = document.documentElement.clientWidth;
    return [...document.querySelectorAll('main *')]
        .filter(part => part.getBoundingClientRect().right > width && !part.closest('.table-scroll, .chart, pre'))
        .slice(0, 5).map(part => `${part.localName}.${part.className}: ${part.textContent.trim().slice(0, 60)}`);";

/// Looks at pages and notes what is wrong with them.
pub struct Inspector<'a> {
    world: &'a World,
    axe: String,
    wrong: Vec<String>,
    looked: usize,
}

#[tokio::test]
async fn axe_finds_nothing_on_any_page() {
    let axe =
        std::fs::read_to_string(sample_data("axe.min.js")).expect("`scripts/sample_data.py --only axe` fetches it");
    let world = World::make().await;
    let mut inspector = Inspector { world: &world, axe, wrong: Vec::new(), looked: 0 };
    for look in &LOOKS {
        let stranger = look.window().await;
        for (name, path) in world.for_strangers() {
            inspector.open(&stranger, look, &name, &path).await;
        }
        errors::forbidden(&mut inspector, &stranger, look).await;
        stranger.close().await;
        let browser = look.window().await;
        let (email, password) = world.admin();
        browser.log_in(&world.server.address, email, password).await;
        for path in web::pages().paths() {
            for (name, path) in world.addresses(path).await {
                inspector.open(&browser, look, &name, &path).await;
            }
        }
        opened::all(&mut inspector, &browser, look).await;
        errors::all(&mut inspector, &browser, look).await;
        browser.close().await;
    }
    let Inspector { wrong, looked, .. } = inspector;
    assert!(looked > 60, "only {looked} pages were there to look at");
    assert!(wrong.is_empty(), "{} findings on {looked} pages:\n{}", wrong.len(), wrong.join("\n"));
}

impl Look {
    /// A browser of this size.
    async fn window(&self) -> Browser {
        let browser = Browser::open_sized(self.width.max(500), self.height).await;
        browser.set_window_size(self.width, self.height).await.expect("a window");
        browser
    }
}

impl Inspector<'_> {
    /// Goes to a page, in the language and the theme of the look.
    async fn go(&self, browser: &Browser, look: &Look, path: &str) {
        browser.dress(&self.world.server.address, look.language, look.theme).await;
        browser.goto(&format!("{}{path}", self.world.server.address)).await.expect("an answer");
        browser.wait().for_element(Locator::Css("main")).await.expect(path);
    }

    /// Goes to a page and looks at it.
    async fn open(&mut self, browser: &Browser, look: &Look, name: &str, path: &str) {
        self.go(browser, look, path).await;
        self.examine(browser, look, name).await;
    }

    /// Takes a picture of what is shown and notes what is wrong with it.
    async fn examine(&mut self, browser: &Browser, look: &Look, name: &str) {
        let image = browser.screenshot().await.expect("a picture");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("screenshots/pages").join(look.name);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(format!("{name}.png")), image).expect("written");
        self.looked += 1;

        let mut wrong = Vec::new();
        let tongue = browser.execute("return document.documentElement.lang", Vec::new()).await.expect("read");
        if tongue != look.language {
            wrong.push(format!("the page says that it is {tongue}"));
        }
        // Without the scroll bar at its side.
        let script = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]";
        let widths = browser.execute(script, Vec::new()).await.expect("read");
        if widths[0].as_i64() > widths[1].as_i64() {
            let outside = browser.execute(OUTSIDE, Vec::new()).await.expect("read");
            wrong.push(format!("wider than its window: {widths}: {outside}"));
        }
        browser.execute(&self.axe, Vec::new()).await.expect("axe is there");
        let found = browser.execute_async(FINDINGS, Vec::new()).await.expect("axe answers");
        wrong.extend(serde_json::from_value::<Vec<String>>(found).expect("lines"));
        self.wrong.extend(wrong.iter().map(|finding| format!("{} {name}: {finding}", look.name)));
    }
}

/// A file of `make sample-data`.
fn sample_data(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sample-data");
    std::env::var_os("LAUREL_SAMPLE_DATA").map_or(root, PathBuf::from).join(name)
}
