//! Pictures of these pages under `screenshots/`, and that none is wider than its window.

use fantoccini::Locator;
use futures_util::future::join_all;
use laurel::domain::role::Role;

use super::{
    compared,
    own_scheme::{OF_TEN, TEN},
};
use crate::support::{
    Browser, PASSWORD, Server,
    seed::{self, Seed, assignment_in},
    server,
};

/// Window, language and theme of each picture.
const FORMS: [(&str, u32, &str, &str); 2] = [("laptop", 1280, "en", "light"), ("phone", 390, "zh", "dark")];

/// Windows of every form in which somebody is logged in.
pub struct Gallery<'a> {
    server: &'a Server,
    browsers: Vec<Browser>,
}

impl<'a> Gallery<'a> {
    pub async fn open(server: &'a Server, email: &str) -> Self {
        let open = async |(_, width, _, _): (&str, u32, &str, &str)| {
            let browser = Browser::open_sized(width.max(500), 900).await;
            browser.log_in(&server.address, email, PASSWORD).await;
            browser.goto(&format!("{}/account", server.address)).await.expect("a page");
            browser
        };
        Gallery { server, browsers: join_all(FORMS.map(open)).await }
    }

    /// Opens the page in every form, does `first` there, and writes a picture of the whole page.
    pub async fn picture(&self, path: &str, name: &str, first: impl AsyncFn(&Browser)) {
        let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("screenshots");
        std::fs::create_dir_all(&folder).expect("a folder");
        for ((size, width, language, theme), browser) in FORMS.into_iter().zip(&self.browsers) {
            browser.set_window_size(width, 900).await.expect("a window");
            // The account has the language of the form before.
            browser.wear(language, theme).await;
            browser.goto(&format!("{}{path}", self.server.address)).await.expect("the page");
            first(browser).await;
            let script = "return document.documentElement.scrollHeight";
            let height = browser.execute(script, Vec::new()).await.expect("read");
            let height = u32::try_from(height.as_u64().unwrap_or(900).clamp(900, 4000)).unwrap_or(900);
            browser.set_window_size(width, height + 140).await.expect("a window");
            let image = browser.screenshot().await.expect("a picture");
            std::fs::write(folder.join(format!("{name}-{size}-{language}-{theme}.png")), image).expect("written");
            let script = "return [document.documentElement.scrollWidth, innerWidth]";
            let widths = browser.execute(script, Vec::new()).await.expect("read");
            assert!(widths[0].as_i64() <= widths[1].as_i64(), "{name} {size} is wider than its window: {widths}");
        }
    }

    pub async fn close(self) {
        join_all(self.browsers.into_iter().map(Browser::close)).await;
    }
}

#[tokio::test]
async fn the_head_to_head_pages_fit() {
    let server = server().await;
    let project = compared(server.pool()).await;
    let answers = [
        "Bees make honey from **nectar**, which they collect from flowers.\n\n1. Foragers drink the nectar.\n2. In the hive they pass it on.\n3. It dries in the comb.",
        "Honey is made by bees. They are insects.\n\n```python\ndef honey(nectar):\n    return [drop.dry() for drop in nectar]\n```",
    ];
    seed::ranking_task(&server.state, project, "How do bees make honey?", &answers).await;
    let ada = server.user("Ada", Role::Admin).await;
    let assignment = assignment_in(ada.post("/queue/next", &[]).await.leads_to());
    let path = format!("/tasks/{assignment}");
    let gallery = Gallery::open(&server, "ada@example.org").await;
    gallery.picture(&path, "compare", async |browser| browser.press("7").await).await;
    gallery.picture("/admin/projects/test/settings", "compare-settings", async |_| {}).await;
    ada.post(&format!("{path}/submit"), &[("confidence", "7")]).await.assert(303);
    gallery.picture(&path, "compare-done", async |_| {}).await;
    gallery.close().await;
}

#[tokio::test]
async fn the_pages_with_ratings_flags_and_versions_fit() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    let answers = ["Bees make honey from **nectar**.", "Honey is made by bees. They are insects.", "I'm not sure!"];
    seed::ranking_task(&server.state, project, "How do bees make honey?", &answers).await;
    let ada = server.user("Ada", Role::Admin).await;
    // The longest scale, with words at its ends, and a flag of the project's own.
    let scheme =
        [("rating", "optional"), ("note", "1"), ("flag", "not_following"), ("flag", "sexual"), ("flag", "other")];
    let own = [("new.name.en", "Too long"), ("new.name.zh", "太长"), ("new.hint", "More than two short sentences.")];
    ada.post("/admin/projects/test/label-scheme", &[&scheme[..], &TEN, &own].concat()).await.assert(303);
    let gallery = Gallery::open(&server, "ada@example.org").await;
    gallery.picture("/admin/projects/test/label-scheme", "label-scheme", async |_| {}).await;
    let path = format!("/tasks/{}", assignment_in(ada.post("/queue/next", &[]).await.leads_to()));
    gallery
        .picture(&path, "assessment", async |browser| {
            browser.wait().for_element(Locator::Css(".chip, .tier")).await.expect("drawn");
            browser.press("\u{E003}\u{E003}\u{E003}b5m").await;
            browser.press(" ").await;
        })
        .await;
    let said = [("rank_0", "1"), ("rank_1", "2"), ("rank_2", "3"), ("rating_1", "5"), ("scale", OF_TEN)];
    let said = [&said[..], &[("flag_2_not_following", "1"), ("flag_2_too_long", "1")]].concat();
    ada.post(&format!("{path}/submit"), &said).await.assert(303);
    let page = ada.get(&format!("{path}/correct")).await.assert(200);
    let version = page.text.split(r#"name="version" value=""#).nth(1).expect("a version");
    let version = version.split('"').next().expect("an id");
    gallery.picture(&format!("{path}/correct"), "correct", async |_| {}).await;
    let said = [&said[..], &[("version", version), ("all_bad", "1")]].concat();
    ada.post(&format!("{path}/correct"), &said).await.assert(303);
    gallery.picture(&path, "versions", async |_| {}).await;
    gallery.picture("/admin/projects/test/labels?flag=too_long", "labels", async |_| {}).await;
    gallery.close().await;
}
