//! A person's browser without the browser: cookies, forms with their CSRF token, redirects as they come.

use std::sync::{Arc, Mutex};

use laurel::{db::sessions, domain::secret::secret_hash, web::session::SESSION_COOKIE};
use reqwest::{
    Method, StatusCode,
    cookie::{CookieStore, Jar},
    redirect::Policy,
};
use sqlx::PgPool;
use uuid::Uuid;

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: StatusCode,
    /// Where a redirect leads.
    pub location: Option<String>,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Reply {
    #[track_caller]
    pub fn assert(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    /// The place that a redirect leads to.
    #[track_caller]
    pub fn leads_to(&self) -> &str {
        assert!(self.status.is_redirection(), "no redirect: {} {}", self.status, self.text);
        self.location.as_deref().expect("a place to go")
    }

    #[track_caller]
    pub fn assert_contains(&self, wanted: &str) -> &Self {
        assert!(self.text.contains(wanted), "“{wanted}” is not in:\n{}", self.text);
        self
    }
}

/// One browser's cookies.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    address: String,
    cookies: Arc<Jar>,
    csrf: Arc<Mutex<Option<String>>>,
}

impl Client {
    pub fn new(address: &str) -> Self {
        let cookies = Arc::new(Jar::default());
        let http = reqwest::Client::builder().cookie_provider(cookies.clone()).redirect(Policy::none());
        let http = http.build().expect("a client");
        Client { http, address: address.to_owned(), cookies, csrf: Arc::default() }
    }

    /// The value of a cookie that this browser has.
    pub fn cookie(&self, name: &str) -> Option<String> {
        let all = self.cookies.cookies(&self.address.parse().expect("an address"))?;
        let pairs = all.to_str().expect("plain cookies").split("; ").filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
    }

    /// A request of one's own making, with this browser's cookies.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.address))
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let answer = request.send().await.expect("the server answers");
        let status = answer.status();
        let headers = answer.headers().clone();
        let location = headers.get("location").and_then(|place| place.to_str().ok()).map(str::to_owned);
        let text = answer.text().await.expect("text");
        if let Some(token) = csrf_in(&text) {
            *self.csrf.lock().expect("no panic elsewhere") = Some(token);
        }
        Reply { status, location, headers, text }
    }

    /// Opens a page.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    /// A page of figures of what stands now: while it says that they are under way, or are older ones, it is asked for again.
    pub async fn figures(&self, path: &str) -> Reply {
        let begun = std::time::Instant::now();
        loop {
            let page = self.get(path).await.assert(200);
            if !page.text.contains("data-under-way") && !page.text.contains("data-as-of") {
                return page;
            }
            assert!(begun.elapsed().as_secs() < 120, "the figures of {path} don't come");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }

    /// The token of the last page seen; opens the log-in page if none was.
    pub async fn csrf(&self) -> String {
        let known = self.csrf.lock().expect("no panic elsewhere").clone();
        if let Some(token) = known {
            return token;
        }
        self.get("/login").await;
        self.csrf.lock().expect("no panic elsewhere").clone().expect("a page with a token")
    }

    /// Sends a form, with the token.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let token = self.csrf().await;
        let mut fields = fields.to_vec();
        fields.push(("csrf", &token));
        self.send(self.request(Method::POST, path).form(&fields)).await
    }

    /// Sends a form without the token.
    pub async fn post_bare(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.send(self.request(Method::POST, path).form(&fields)).await
    }

    /// Sends JSON, with the token in its header.
    pub async fn json(&self, method: Method, path: &str, body: &serde_json::Value) -> Reply {
        let token = self.csrf().await;
        self.send(self.request(method, path).header("x-csrf-token", token).json(body)).await
    }

    /// Logs in through the page; fails the test if that fails.
    pub async fn log_in(&self, email: &str, password: &str) {
        self.get("/login").await.assert(200);
        let reply = self.post("/login", &[("email", email), ("password", password)]).await;
        assert!(reply.status.is_redirection(), "{email} could not log in: {} {}", reply.status, reply.text);
        // The session has a token of its own.
        self.get("/account").await.assert(200);
    }

    /// Opens a session for somebody, as logging in does once the password was right.
    pub async fn enter(&self, pool: &PgPool, person: Uuid) {
        let secret = sessions::open(pool, person).await.expect("a session");
        let token: String = sqlx::query_scalar("SELECT csrf_token FROM sessions WHERE token_hash = $1")
            .bind(secret_hash(&secret))
            .fetch_one(pool)
            .await
            .expect("the session's token");
        let cookie = format!("{SESSION_COOKIE}={secret}; HttpOnly; SameSite=Lax; Path=/");
        self.cookies.add_cookie_str(&cookie, &self.address.parse().expect("an address"));
        *self.csrf.lock().expect("no panic elsewhere") = Some(token);
    }
}

/// The token in a page's head.
fn csrf_in(page: &str) -> Option<String> {
    let rest = page.split_once("<meta name=\"csrf\" content=\"")?.1;
    Some(rest.split_once('"')?.0.to_owned())
}

/// The address of the first link whose tag has this in it.
#[track_caller]
pub fn link_with(page: &str, mark: &str) -> String {
    let tags = page.split("<a ").skip(1).filter_map(|rest| rest.split('>').next());
    let tag =
        tags.into_iter().find(|tag| tag.contains(mark)).unwrap_or_else(|| panic!("no link has {mark} in:\n{page}"));
    let address = tag.split("href=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an address");
    address.replace("&#38;", "&").replace("&amp;", "&")
}
