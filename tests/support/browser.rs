//! A real Chromium, driven through its driver: what people do with a page, and what is read from it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use fantoccini::{Locator, elements::Element, error::CmdError, wd::WebDriverCompatibleCommand};
use laurel::web::session::SESSION_COOKIE;
use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::{Client, window::Window};

/// Runs in the page: sends the form of the bar at the top.
const DRESS: &str = "const [language, theme, done] = arguments;
    const csrf = document.querySelector('meta[name=csrf]').content;
    const body = new URLSearchParams({ csrf, language, theme, next: '/login' });
    fetch('/preferences', { method: 'POST', body, redirect: 'manual' }).then(answer => done(answer.type), error => done(String(error)));";

/// Runs in the page: whether a part is there, and the page's scripts have begun.
const THERE: &str = "const [by, what] = arguments;
    if (document.readyState !== 'complete') return false;
    if (by === 'css') return document.querySelector(what) !== null;
    if (by === 'id') return document.getElementById(what) !== null;
    return document.evaluate(what, document, null, XPathResult.FIRST_ORDERED_NODE_TYPE, null).singleNodeValue !== null;";

/// Runs in the page: whether it is all there.
const COMPLETE: &str = "return document.readyState === 'complete'";

/// Runs in the page: whether the server has what was typed, the last of it too: this browser keeps a copy until then.
const SAVED: &str = "if (!document.querySelector('[data-draft-state][data-state=saved]')) return false;
    const copies = ['laurel.draft.', 'laurel.correction.', 'laurel.chat.'];
    return !Object.keys(localStorage).some((key) => copies.some((copy) => key.startsWith(copy)));";

/// Runs in the page: the letters of the answers with their texts.
const ANSWERS: &str = "return [...document.querySelectorAll('article.answer')].map((card) =>
    [card.dataset.letter, card.querySelector('[data-source]').textContent])";

/// No page has so many places that Tab stops at.
const MOST_TABS: usize = 100;

/// Longest wait for a part of a page, and the pauses between two looks: the first ones short, as most parts come soon.
const PATIENCE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

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
    client: fantoccini::Client,
    /// None once it is kept for others.
    window: Option<Window>,
}

impl Browser {
    /// Opens a window of 1280 × 900.
    pub async fn open() -> Browser {
        Self::open_with(1280, 900, true).await
    }

    /// Opens a window in which pages run no scripts.
    pub async fn open_without_scripts() -> Browser {
        Self::open_with(1280, 900, false).await
    }

    /// Opens a window of a size in CSS pixels.
    pub async fn open_sized(width: u32, height: u32) -> Browser {
        Self::open_with(width, height, true).await
    }

    async fn open_with(width: u32, height: u32, scripts: bool) -> Browser {
        let (window, client) = Window::open(width, height, scripts).await;
        Browser { client, window: Some(window) }
    }

    /// Logs in as the page does it, but for the typing; the next page that is opened is that of somebody who is logged in.
    pub async fn log_in(&self, address: &str, email: &str, password: &str) {
        let visitor = Client::new(address);
        visitor.post("/login", &[("email", email), ("password", password)]).await.leads_to();
        let secret = visitor.cookie(SESSION_COOKIE).expect("a session");
        let cookie =
            json!({ "name": SESSION_COOKIE, "value": secret, "url": address, "httpOnly": true, "sameSite": "Lax" });
        self.devtools("Network.setCookie", cookie).await;
    }

    /// Logs in through the page and waits for what comes after it.
    pub async fn log_in_through_the_page(&self, address: &str, email: &str, password: &str) {
        self.client.goto(&format!("{address}/login")).await.expect("the log-in page");
        self.fill("input[name=email]", email).await;
        self.fill("input[name=password]", password).await;
        let button = self.wait().for_element(Locator::Css("main button[type=submit]")).await.expect("a button");
        button.click().await.expect("pressed");
        self.wait().for_element(Locator::Css(".account-menu")).await.expect("logged in");
    }

    /// Sets language and theme through the form of the bar at the top, where the page has others.
    pub async fn dress(&self, address: &str, language: &str, theme: &str) {
        let worn = "return [document.documentElement.lang, document.documentElement.dataset.theme]";
        if self.execute(worn, Vec::new()).await.expect("read") == json!([language, theme]) {
            return;
        }
        self.goto(&format!("{address}/account")).await.expect("a page with the form");
        self.wear(language, theme).await;
    }

    /// Sets language and theme through that form of the page that is open, whatever it has; the next page has them.
    pub async fn wear(&self, language: &str, theme: &str) {
        let answer = self.execute_async(DRESS, vec![json!(language), json!(theme)]).await.expect("sent");
        assert_eq!(answer, json!("opaqueredirect"), "the preferences were not taken");
    }

    /// Goes to a page and waits until its scripts have begun: now and then the driver answers before that.
    pub async fn goto(&self, address: &str) -> Result<(), CmdError> {
        self.client.goto(address).await?;
        self.begun().await;
        Ok(())
    }

    /// Loads the page again, and waits as [`Browser::goto`] does.
    pub async fn refresh(&self) -> Result<(), CmdError> {
        self.client.refresh().await?;
        self.begun().await;
        Ok(())
    }

    /// Waits until the page is all there, where it runs scripts.
    async fn begun(&self) {
        if self.runs_scripts() {
            let mut looks = Looks::begin();
            while self.execute(COMPLETE, Vec::new()).await.ok() != Some(json!(true)) && looks.again().await {}
        }
    }

    /// Waits for a part of the page.
    pub fn wait(&self) -> Wait<'_> {
        Wait(self)
    }

    /// Runs a script in the page again and again, until it gives something, and gives that.
    pub async fn until(&self, script: &str, arguments: Vec<Value>) -> Value {
        let mut looks = Looks::begin();
        loop {
            // A look at a page that is just being left, or of which hardly anything is there yet, sees nothing.
            let looked = self.execute(script, arguments.clone()).await;
            if let Ok(found) = &looked
                && !matches!(found, Value::Null | Value::Bool(false))
            {
                return found.clone();
            }
            assert!(looks.again().await, "never: {script}: {looked:?}");
        }
    }

    /// Waits until the server has all that was typed, and the page says so: while the last of it waits, it says so of the rest.
    pub async fn saved(&self) {
        self.until(SAVED, Vec::new()).await;
    }

    /// Types into a field.
    pub async fn fill(&self, selector: &str, text: &str) {
        let field = self.wait().for_element(Locator::Css(selector)).await.expect(selector);
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
            for kind in ["rawKeyDown", "keyUp"] {
                let tab = json!({ "type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9 });
                self.devtools("Input.dispatchKeyEvent", tab).await;
            }
        }
        panic!("Tab does not lead to {selector}");
    }

    /// Says something to Chromium itself, for what WebDriver has no words for: `Input.imeSetComposition`.
    pub async fn devtools(&self, name: &'static str, parameters: Value) {
        self.client.issue_cmd(DevTools { name, parameters }).await.expect(name);
    }

    /// The answers' texts by their letters on the ranking page.
    pub async fn answers_by_letter(&self) -> BTreeMap<char, String> {
        let answers = self.execute(ANSWERS, Vec::new()).await.expect("read");
        let answers: Vec<(String, String)> = serde_json::from_value(answers).expect("letters and texts");
        answers.into_iter().map(|(letter, text)| (letter.chars().next().expect("a letter"), text)).collect()
    }

    /// Empties the window and keeps it for another test; one that can't be emptied ends.
    pub async fn close(mut self) {
        if self.empty().await.is_ok()
            && let Some(window) = self.window.take()
        {
            window.keep();
        }
    }

    /// Leaves the page and forgets whatever it has kept. The next test has a server of its own, at another port: only cookies are
    /// for both.
    async fn empty(&self) -> Result<(), CmdError> {
        if self.runs_scripts() {
            self.execute("try { localStorage.clear(); sessionStorage.clear() } catch {}", Vec::new()).await?;
        }
        self.goto("about:blank").await?;
        let forget = DevTools { name: "Network.clearBrowserCookies", parameters: json!({}) };
        self.client.issue_cmd(forget).await?;
        self.client.persist().await
    }

    fn runs_scripts(&self) -> bool {
        self.window.as_ref().is_some_and(Window::runs_scripts)
    }
}

impl std::ops::Deref for Browser {
    type Target = fantoccini::Client;

    fn deref(&self) -> &Self::Target {
        &self.client
    }
}

/// A wait for a part of the page in a window.
pub struct Wait<'b>(&'b Browser);

impl Wait<'_> {
    /// The first such part, once it is there and the page's scripts have begun. A look by script is cheaper than one by the driver.
    pub async fn for_element(self, place: Locator<'_>) -> Result<Element, CmdError> {
        let Wait(browser) = self;
        let (by, what) = match place {
            Locator::Css(selector) => ("css", selector),
            Locator::Id(id) => ("id", id),
            Locator::XPath(path) => ("xpath", path),
            Locator::LinkText(_) => return browser.client.wait().for_element(place).await,
        };
        if !browser.runs_scripts() {
            return browser.client.wait().for_element(place).await;
        }
        let mut looks = Looks::begin();
        loop {
            // A look at a page that is just being left sees nothing.
            let looked = browser.execute(THERE, vec![json!(by), json!(what)]).await;
            if looked.as_ref().is_ok_and(|there| *there == json!(true)) {
                match browser.find(place).await {
                    Err(error) if error.is_no_such_element() => {}
                    found => return found,
                }
            }
            if !looks.again().await {
                return Err(looked.err().unwrap_or(CmdError::WaitTimeout));
            }
        }
    }
}

/// Looks at a page, with pauses between them.
struct Looks {
    begun: Instant,
    pause: Duration,
}

impl Looks {
    fn begin() -> Looks {
        Looks { begun: Instant::now(), pause: FIRST_PAUSE }
    }

    /// Pauses before the next look; false where there have been enough.
    async fn again(&mut self) -> bool {
        if self.begun.elapsed() > PATIENCE {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 3 / 2).min(LONGEST_PAUSE);
        true
    }
}
