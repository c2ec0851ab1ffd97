//! A real Chromium, driven through its driver; both end with the test.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use fantoccini::{ClientBuilder, Locator, wd::WebDriverCompatibleCommand};
use reqwest::{Method, Url};
use serde_json::{Value, json};

/// Runs in the page: sends the form of the bar at the top.
const DRESS: &str = "const [language, theme, done] = arguments;
    const csrf = document.querySelector('meta[name=csrf]').content;
    const body = new URLSearchParams({ csrf, language, theme, next: '/login' });
    fetch('/preferences', { method: 'POST', body }).then(answer => done(answer.status), error => done(String(error)));";

/// A driver that ends before it serves, as happens where many start at once, is started again: this many times.
const TRIES: usize = 5;

/// No page has so many places that Tab stops at.
const MOST_TABS: usize = 100;

/// Starts a driver and gives its port.
fn start_driver() -> (Child, u16) {
    for _ in 0..TRIES {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver: install chromium-driver");
        let output = BufReader::new(driver.stdout.take().expect("a pipe"));
        let named = |line: String| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok();
        if let Some(port) = output.lines().map_while(Result::ok).find_map(named) {
            return (driver, port);
        }
        let _ = driver.kill();
        let _ = driver.wait();
    }
    panic!("chromedriver does not start");
}

/// A command of the DevTools protocol.
#[derive(Debug)]
struct DevTools {
    name: &'static str,
    parameters: Value,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as std::str::FromStr>::Err> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({ "cmd": self.name, "params": self.parameters }).to_string()))
    }
}

/// A browser window. Dereferences to fantoccini's client.
pub struct Browser {
    pub client: fantoccini::Client,
    driver: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Opens a window of 1280 × 900.
    pub async fn open() -> Browser {
        Self::open_sized(1280, 900).await
    }

    /// Opens a window in which pages run no scripts.
    pub async fn open_without_scripts() -> Browser {
        Self::open_with(1280, 900, json!({ "profile.managed_default_content_settings.javascript": 2 })).await
    }

    /// Opens a window of a size in CSS pixels.
    pub async fn open_sized(width: u32, height: u32) -> Browser {
        Self::open_with(width, height, json!({})).await
    }

    async fn open_with(width: u32, height: u32, preferences: Value) -> Browser {
        let (driver, port) = start_driver();
        let profile = tempfile::tempdir().expect("a directory");
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            // Software compositing in the browser itself: no process for graphics that could stop answering.
            "--disable-software-rasterizer".to_owned(),
            "--disable-renderer-backgrounding".to_owned(),
            "--disable-background-timer-throttling".to_owned(),
            "--disable-backgrounding-occluded-windows".to_owned(),
            "--disable-quic".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--lang=en-US".to_owned(),
            format!("--window-size={width},{height}"),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        let mut capabilities = serde_json::Map::new();
        capabilities.insert("goog:chromeOptions".to_owned(), json!({ "args": arguments, "prefs": preferences }));
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("a browser");
        Browser { client, driver, _profile: profile }
    }

    /// Logs in through the page and waits for what comes after it.
    pub async fn log_in(&self, address: &str, email: &str, password: &str) {
        self.client.goto(&format!("{address}/login")).await.expect("the log-in page");
        self.fill("input[name=email]", email).await;
        self.fill("input[name=password]", password).await;
        let button = self.client.find(Locator::Css("main button[type=submit]")).await.expect("a button");
        button.click().await.expect("pressed");
        self.client.wait().for_element(Locator::Css(".account-menu")).await.expect("logged in");
    }

    /// Sets language and theme through the form of the bar at the top, where the page has others.
    pub async fn dress(&self, address: &str, language: &str, theme: &str) {
        let worn = "return [document.documentElement.lang, document.documentElement.dataset.theme]";
        if self.execute(worn, Vec::new()).await.expect("read") == json!([language, theme]) {
            return;
        }
        self.goto(&format!("{address}/account")).await.expect("a page with the form");
        let status = self.execute_async(DRESS, vec![json!(language), json!(theme)]).await.expect("sent");
        assert_eq!(status, json!(200), "the preferences were not taken");
    }

    /// Types into a field.
    pub async fn fill(&self, selector: &str, text: &str) {
        let field = self.client.wait().for_element(Locator::Css(selector)).await.expect(selector);
        field.send_keys(text).await.expect("typed");
    }

    /// Presses keys as a person does, wherever the focus is.
    pub async fn press(&self, keys: &str) {
        let place = self.client.active_element().await.expect("a place that has the focus");
        place.send_keys(keys).await.expect("pressed");
    }

    /// Presses Tab until a part of the page has the focus, as who has no mouse gets there.
    pub async fn tab_to(&self, selector: &str) {
        let there = "return document.activeElement.matches(arguments[0])";
        for _ in 0..MOST_TABS {
            if self.execute(there, vec![json!(selector)]).await.expect("read") == json!(true) {
                return;
            }
            self.press("\u{E004}").await;
        }
        panic!("Tab does not lead to {selector}");
    }

    /// Says something to Chromium itself, for what WebDriver has no words for: `Input.imeSetComposition`.
    pub async fn devtools(&self, name: &'static str, parameters: Value) {
        self.client.issue_cmd(DevTools { name, parameters }).await.expect(name);
    }

    /// The answers' texts by their letters on the ranking page.
    pub async fn answers_by_letter(&self) -> BTreeMap<char, String> {
        let mut found = BTreeMap::new();
        for card in self.find_all(Locator::Css("article.answer")).await.expect("answers") {
            let letter = card.attr("data-letter").await.expect("read").expect("a letter");
            let source = card.find(Locator::Css("[data-source]")).await.expect("a source");
            let text = source.prop("textContent").await.expect("read").expect("a text");
            found.insert(letter.chars().next().expect("a letter"), text);
        }
        found
    }

    /// Ends the window politely.
    pub async fn close(self) {
        let _ = self.client.clone().close().await;
    }
}

impl std::ops::Deref for Browser {
    type Target = fantoccini::Client;

    fn deref(&self) -> &Self::Target {
        &self.client
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
