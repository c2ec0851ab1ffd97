//! Pictures of the annotators' pages in every form that they have, under `screenshots/`, and that none is wider than its window.

mod support;

use std::path::PathBuf;

use fantoccini::Locator;
use futures_util::future::join_all;
use laurel::domain::role::Role;
use support::{
    Browser, PASSWORD, Server,
    seed::{self, Seed, assignment_in},
    server,
};

const SIZES: [&str; 3] = ["wide", "laptop", "phone"];

/// Languages and themes. An account has one language at a time: all windows go from one to the other together.
const DRESSES: [(&str, &str); 2] = [("en", "light"), ("zh", "dark")];

/// A window of that size in which Ada is logged in.
async fn open(server: &Server, size: &str) -> Browser {
    let (width, height) = match size {
        "wide" => (1600, 1000),
        "laptop" => (1280, 900),
        // No window is opened as narrow as a phone; one can be made so.
        _ => (500, 844),
    };
    let browser = Browser::open_sized(width, height).await;
    browser.log_in(&server.address, "ada.lovelace@example.org", PASSWORD).await;
    if size == "phone" {
        browser.set_window_size(390, 844).await.expect("a phone");
    }
    browser
}

/// Writes a picture of the window and checks that nothing sticks out at its side.
async fn picture(browser: &Browser, name: &str) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("screenshots");
    std::fs::create_dir_all(&folder).expect("a folder");
    let image = browser.screenshot().await.expect("a picture");
    std::fs::write(folder.join(format!("{name}.png")), image).expect("written");
    let script = "return [document.documentElement.scrollWidth, innerWidth]";
    let widths = browser.execute(script, Vec::new()).await.expect("read");
    assert!(widths[0].as_i64() <= widths[1].as_i64(), "{name} is wider than its window: {widths}");
}

const ANSWERS: [&str; 4] = [
    "Bees make honey from **nectar**, which they collect from flowers.\n\n1. Foragers drink the nectar.\n2. In the hive they pass it from bee to bee.\n3. It dries in the comb until it is thick, and is sealed with wax.",
    "Honey is made by bees. They are insects. Insects have six legs.\n\n```python\ndef honey(nectar):\n    return [drop.dry() for drop in nectar]\n```\n\nThat is all there is to it.",
    "| step | who |\n|---|---|\n| collecting | foragers |\n| drying | house bees |\n\nIt takes about 2 million flowers to make one pound.",
    "I'm not sure, sorry!",
];

#[tokio::test]
async fn every_page_fits_from_phone_to_wide_in_both_themes_and_languages() {
    let server = server().await;
    let guidelines = Some("# Be kind\n\nHelpful first.");
    let project = seed::project(server.pool(), Seed { guidelines, ..Seed::default() }).await;
    seed::ranking_task(&server.state, project, "How do bees make honey? Explain it to a child of ten.", &ANSWERS).await;
    seed::demonstration_task(&server.state, project, "Write a short poem about a bee that is afraid of flowers.").await;
    let arabic = format!(
        "النحل يصنع العسل من رحيق الأزهار. {}",
        "يجمع النحل الرحيق من الأزهار ويعود به إلى الخلية. ".repeat(1100)
    );
    let chinese = "蜜蜂从花朵中采集花蜜，带回蜂巢，经过反复吞吐和扇风，使水分蒸发，最终变成蜂蜜。🐝🍯".to_owned();
    let wide = format!("{}\n\n`{}`", "Pneumonoultramicroscopicsilicovolcanoconiosis".repeat(6), "x".repeat(300));
    seed::ranking_task(&server.state, project, "كيف يصنع النحل العسل؟", &[&arabic, &chinese, &wide]).await;
    server.account("Ada Lovelace", Role::Annotator).await;
    let ada = server.client();
    seed::everyone_has_read(server.pool()).await;
    ada.log_in("ada.lovelace@example.org", PASSWORD).await;
    let ranking = assignment_in(ada.post("/queue/next", &[]).await.leads_to());

    let windows = join_all(SIZES.map(async |size| (size, open(&server, size).await))).await;
    let laptop = &windows[1].1;
    laptop.goto(&format!("{}/tasks/{ranking}", server.address)).await.expect("the ranking");
    laptop.wait().for_element(Locator::Css(".chip")).await.expect("drawn");
    laptop.press("CA=B").await;
    laptop.wait().for_element(Locator::Css("[data-state=saved]")).await.expect("saved");
    for (language, theme) in DRESSES {
        join_all(windows.iter().map(async |(size, browser)| {
            browser.dress(&server.address, language, theme).await;
            let name = |page: &str| format!("annotate-{page}-{size}-{language}-{theme}");
            browser.goto(&format!("{}/queue", server.address)).await.expect("the queue");
            picture(browser, &name("queue")).await;
            browser.goto(&format!("{}/tasks/{ranking}", server.address)).await.expect("the ranking");
            browser.wait().for_element(Locator::Css(".chip")).await.expect("drawn");
            picture(browser, &name("ranking")).await;
            browser.press("?").await;
            picture(browser, &name("keys")).await;
        }))
        .await;
    }

    // On to the other tasks.
    let then = ada
        .post(
            &format!("/tasks/{ranking}/submit"),
            &[("rank_0", "1"), ("rank_1", "2"), ("rank_2", "2"), ("rank_3", "4")],
        )
        .await;
    let writing = assignment_in(then.leads_to());
    for (language, theme) in DRESSES {
        join_all(windows.iter().map(async |(size, browser)| {
            browser.dress(&server.address, language, theme).await;
            let name = |page: &str| format!("annotate-{page}-{size}-{language}-{theme}");
            browser.goto(&format!("{}/tasks/{writing}", server.address)).await.expect("writing");
            if language == "en" && *size == "wide" {
                browser
                    .fill("#completion", "A bee named *Bertha* feared the rose,\nits scent was tickling in her nose.")
                    .await;
                browser.wait().for_element(Locator::Css("[data-state=saved]")).await.expect("saved");
                browser.find(Locator::Css("[data-preview]")).await.expect("a button").click().await.expect("pressed");
                browser.wait().for_element(Locator::Css("#preview:not([hidden])")).await.expect("a preview");
            }
            picture(browser, &name("writing")).await;
            browser.find(Locator::Css(".drop summary")).await.expect("skip").click().await.expect("opened");
            picture(browser, &name("skip")).await;
            browser.goto(&format!("{}/tasks/{ranking}", server.address)).await.expect("done");
            picture(browser, &name("done")).await;
            browser.goto(&format!("{}/projects/test/guidelines", server.address)).await.expect("guidelines");
            picture(browser, &name("guidelines")).await;
        }))
        .await;
    }

    let then = ada.post(&format!("/tasks/{writing}/submit"), &[("completion", "A bee.")]).await;
    let long = assignment_in(then.leads_to());
    join_all(windows.iter().map(async |(size, browser)| {
        browser.dress(&server.address, "en", "light").await;
        browser.goto(&format!("{}/tasks/{long}", server.address)).await.expect("the ranking");
        browser.wait().for_element(Locator::Css(".chip")).await.expect("drawn");
        picture(browser, &format!("annotate-long-{size}")).await;
        browser.press("x").await;
        picture(browser, &format!("annotate-long-unfolded-{size}")).await;
        browser.press("s").await;
        picture(browser, &format!("annotate-long-source-{size}")).await;
    }))
    .await;
    ada.post(&format!("/tasks/{long}/submit"), &[("rank_0", "1"), ("rank_1", "2"), ("rank_2", "3")]).await.assert(303);
    laptop.goto(&format!("{}/queue", server.address)).await.expect("the queue");
    picture(laptop, "annotate-queue-empty").await;
    join_all(windows.into_iter().map(|(_, browser)| browser.close())).await;
}
