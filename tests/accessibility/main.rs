//! axe-core (Deque Systems) finds nothing to mend on any page: every route that shows a page, both themes, both languages, wide
//! and on a phone; the pages of errors; whatever opens over a page, what answers a form, and what scripts say. Leaves a picture
//! of each under `screenshots/pages/`.

#[path = "../support/mod.rs"]
mod support;

mod answered;
mod endpoint;
mod errors;
mod opened;
mod person;
mod said;
mod world;

use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use person::Person;
use serde_json::json;
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

static LOOKS: [Look; 3] = [
    Look { name: "wide-en-light", language: "en", theme: "light", width: 1280, height: 900 },
    Look { name: "phone-en-dark", language: "en", theme: "dark", width: 390, height: 844 },
    Look { name: "wide-zh-dark", language: "zh", theme: "dark", width: 1280, height: 900 },
];

/// Runs in the page: what is wrong with it, one line a finding. How it came, what it says of itself, what stands out at its side
/// (without the scroll bar there, and what scrolls in a box of its own), which box that scrolls has no name, and what axe says.
const EXAMINE: &str = "const [language, theme, status, done] = arguments;
    const root = document.documentElement;
    const wrong = [];
    const came = performance.getEntriesByType('navigation')[0].responseStatus;
    if (came !== status) wrong.push(`it came with ${came}`);
    if (!document.querySelector('main')) wrong.push('it has no main part');
    if (root.lang !== language) wrong.push(`it says that it is ${root.lang}`);
    if (root.dataset.theme !== theme) wrong.push(`its theme is ${root.dataset.theme}`);
    if (root.scrollWidth > root.clientWidth) {
        const outside = [...document.querySelectorAll('main *')]
            .filter(part => part.getBoundingClientRect().right > root.clientWidth && !part.closest('.table-scroll, .chart, pre'))
            .slice(0, 5).map(part => `${part.localName}.${part.className}: ${part.textContent.trim().slice(0, 60)}`);
        wrong.push(`wider than its window, ${root.scrollWidth} of ${root.clientWidth}: ${outside.join(' | ')}`);
    }
    for (const box of document.querySelectorAll('.table-scroll, pre[tabindex]')) {
        if (!box.getAttribute('role') || !box.getAttribute('aria-label')) wrong.push(`a box that scrolls has no name: ${box.outerHTML.slice(0, 120)}`);
    }
    if (!window.axe) window.bringAxe();
    axe.run(document, { resultTypes: ['violations'] }).then(
        found => done([...wrong, ...found.violations.flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.target} (${rule.help})`))]),
        error => done([...wrong, String(error)]));";

/// Looks at pages and notes what is wrong with them.
pub struct Inspector<'a> {
    world: &'a World,
    /// Whose pages are looked at, but for those of strangers.
    person: &'a Person,
    look: &'static Look,
    browser: Browser,
    pictures: PathBuf,
    wrong: Vec<String>,
    looked: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn axe_finds_nothing_on_any_page() {
    let axe =
        std::fs::read_to_string(sample_data("axe.min.js")).expect("`scripts/sample_data.py --only axe` fetches it");
    let world = World::make().await;
    // Side by side, as most of the time is one browser's.
    let looks = join_all(LOOKS.iter().map(async |look| {
        let mut inspector = Inspector::new(&world, look, &axe).await;
        inspector.all_pages().await;
        inspector
    }));
    let (mut looked, mut wrong) = (0, Vec::new());
    for mut inspector in looks.await {
        // These take something away from everybody for a while.
        errors::all(&mut inspector).await;
        looked += inspector.looked;
        wrong.append(&mut inspector.wrong);
        inspector.browser.close().await;
    }
    assert!(looked > 200, "only {looked} pages were there to look at");
    assert!(wrong.is_empty(), "{} findings on {looked} pages:\n{}", wrong.len(), wrong.join("\n"));
}

impl<'a> Inspector<'a> {
    /// One with a browser of the look's size, in which every page can bring axe.
    async fn new(world: &'a World, look: &'static Look, axe: &str) -> Self {
        // No window is opened as narrow as a phone; one can be made so.
        let browser = Browser::open_sized(look.width.max(500), look.height).await;
        browser.set_window_size(look.width, look.height).await.expect("a window");
        // Half a megabyte: the browser is told it once, and not with every page.
        let source = format!("window.bringAxe = function () {{ {axe}\n}};");
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": source })).await;
        let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("screenshots/pages").join(look.name);
        std::fs::create_dir_all(&pictures).expect("a folder");
        let person = world.person(look.language);
        Inspector { world, person, look, browser, pictures, wrong: Vec::new(), looked: 0 }
    }

    /// Looks at every page, as a stranger, as an annotator and as the admin, who stays logged in.
    async fn all_pages(&mut self) {
        let (world, person) = (self.world, self.person);
        self.dress().await;
        for (name, path, status) in world.for_strangers() {
            self.go(&path).await;
            self.examine(name, status).await;
        }
        errors::forbidden(self).await;
        self.log_in(&person.email, &person.password).await;
        for (name, path) in world.pages(person).await {
            self.go(&path).await;
            self.examine(&name, 200).await;
        }
        opened::all(self).await;
        said::all(self).await;
        answered::all(self).await;
    }

    /// Becomes somebody, in the language and the theme of the look.
    async fn log_in(&self, email: &str, password: &str) {
        self.browser.log_in(&self.world.server.address, email, password).await;
        self.dress().await;
    }

    /// Puts on the language and the theme of the look.
    async fn dress(&self) {
        self.go("/account").await;
        self.browser.wear(self.look.language, self.look.theme).await;
    }

    async fn go(&self, path: &str) {
        self.browser.goto(&format!("{}{path}", self.world.server.address)).await.expect("an answer");
    }

    /// Takes a picture of what is shown and notes what is wrong with it; it should have come with this status.
    async fn examine(&mut self, name: &str, status: u16) {
        let image = self.browser.screenshot().await.expect("a picture");
        std::fs::write(self.pictures.join(format!("{name}.png")), image).expect("written");
        self.looked += 1;
        let wanted = vec![json!(self.look.language), json!(self.look.theme), json!(status)];
        let found = self.browser.execute_async(EXAMINE, wanted).await.expect("axe answers");
        let found: Vec<String> = serde_json::from_value(found).expect("lines");
        let look = self.look.name;
        self.wrong.extend(found.into_iter().map(|finding| format!("{look} {name}: {finding}")));
    }
}

/// A file of `make sample-data`.
fn sample_data(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sample-data");
    std::env::var_os("LAUREL_SAMPLE_DATA").map_or(root, PathBuf::from).join(name)
}
