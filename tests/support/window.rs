//! A Chromium with its driver. One that a test has emptied is kept for the next test of the process, as starting one takes a second
//! and a half of a processor; all of them end with the process, however it ends.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde_json::json;

/// Ends a driver and its Chromium once nobody holds the other end of the pipe, and takes the profile away.
const WATCH: &str = r#"cat >/dev/null; kill -s KILL -- "-$1"; rm -rf "$2""#;

/// A driver that ends before it serves, as happens where many start at once, is started again: this many times.
const TRIES: usize = 5;

/// Windows that no test uses at the moment.
static KEPT: Mutex<Vec<Window>> = Mutex::new(Vec::new());

/// Starts a driver and gives its port.
fn start_driver() -> (Child, u16) {
    for _ in 0..TRIES {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // With its Chromium it can be ended as one.
            .process_group(0)
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

/// A Chromium with its driver; both end with it.
pub struct Window {
    driver: Child,
    /// Ends them where this process can't; it waits at the other end of a pipe.
    watcher: Child,
    /// Of the driver.
    address: String,
    session: String,
    /// Whether pages run scripts in it.
    scripts: bool,
    _profile: tempfile::TempDir,
}

impl Window {
    /// One that was kept, or a new one, of a size in CSS pixels, with a client of its own.
    pub async fn open(width: u32, height: u32, scripts: bool) -> (Window, Client) {
        let kept = {
            let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
            let place = kept.iter().position(|window| window.scripts == scripts);
            place.map(|place| kept.swap_remove(place))
        };
        if let Some(window) = kept
            && let Some(client) = window.take_up(width, height).await
        {
            return (window, client);
        }
        Self::start(width, height, scripts).await
    }

    /// Keeps it for another test.
    pub fn keep(self) {
        KEPT.lock().unwrap_or_else(PoisonError::into_inner).push(self);
    }

    /// Whether pages run scripts in it.
    pub fn runs_scripts(&self) -> bool {
        self.scripts
    }

    async fn start(width: u32, height: u32, scripts: bool) -> (Window, Client) {
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
        let preferences =
            if scripts { json!({}) } else { json!({ "profile.managed_default_content_settings.javascript": 2 }) };
        let mut capabilities = serde_json::Map::new();
        capabilities.insert("goog:chromeOptions".to_owned(), json!({ "args": arguments, "prefs": preferences }));
        let watcher = watch(&driver, profile.path());
        let address = format!("http://127.0.0.1:{port}");
        let mut window = Window { driver, watcher, address, session: String::new(), scripts, _profile: profile };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&window.address)
            .await
            .expect("a browser");
        window.session = client.session_id().await.expect("an answer").expect("a session");
        (window, client)
    }

    /// Takes a window up that was kept, by a client of its own: the one before has ended with the runtime of its test.
    async fn take_up(&self, width: u32, height: u32) -> Option<Client> {
        let client = Client::with_existing_session(&self.address, &self.session, HttpConnector::new());
        let client = client.await.ok()?;
        client.set_window_size(width, height).await.ok()?;
        Some(client)
    }
}

/// Starts what ends a driver and its Chromium with this process.
fn watch(driver: &Child, profile: &Path) -> Child {
    Command::new("sh")
        .args(["-c", WATCH, "sh"])
        .arg(driver.id().to_string())
        .arg(profile)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Out of reach of Ctrl-C, which ends the tests.
        .process_group(0)
        .spawn()
        .expect("sh")
}

impl Drop for Window {
    fn drop(&mut self) {
        // First, so that it never looks for a number that is another's by then.
        let _ = self.watcher.kill();
        let _ = self.watcher.wait();
        let _ = killpg(Pid::from_raw(self.driver.id() as i32), Signal::SIGKILL);
        let _ = self.driver.wait();
    }
}
