//! What keeps people's accounts and browsers safe: headers, scripts in texts, foreign sites, guessing, sessions.

mod support;

use std::time::Duration;

use fantoccini::Locator;
use laurel::{
    db::{audit::Actor, drawn::DrawnWith, guidelines, projects, tasks},
    domain::role::Role,
    web::{
        self,
        serve::{Patience, serve},
    },
};
use reqwest::Method;
use serde_json::json;
use support::{
    Browser, Client, PASSWORD, Reply, Server, email_of,
    seed::{self, Seed, assignment_in, count},
    server,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Texts that would run a script in a page that trusts them. Each sets `window.pwned` where it succeeds.
const ATTACKS: [&str; 12] = [
    "<script>window.pwned = 1</script>",
    "<img src=x onerror=\"window.pwned = 2\">",
    "<svg/onload=window.pwned=3>",
    "[click](javascript:window.pwned=4)",
    "[click](data:text/html;base64,PHNjcmlwdD53aW5kb3cucHduZWQ9NTwvc2NyaXB0Pg==)",
    "![x](x\" onerror=\"window.pwned=6)",
    "```\"><script>window.pwned=7</script>\n</code></pre><script>window.pwned=7</script>\n```",
    "</textarea></pre></article><script>window.pwned=8</script>",
    "<iframe srcdoc=\"<script>parent.pwned=9</script>\"></iframe>",
    "<details open ontoggle=window.pwned=10>x</details>",
    "<a href=\"java&#10;script:window.pwned=11\">x</a> <style>*{display:none}</style>",
    "'\"><form action=//evil.example><button>Log in again</button></form>",
];

/// A server whose every text that people or programs can set is an attack, and a ranking and a writing task of them.
async fn hostile() -> (Server, uuid::Uuid) {
    let server = server().await;
    let pool = server.pool();
    let all = ATTACKS.join("\n\n");
    let project = seed::project(pool, Seed { guidelines: None, ranking_overlap: 2, ..Seed::default() }).await;
    sqlx::query("UPDATE projects SET name = $1, description = $2")
        .bind(ATTACKS[1])
        .bind(&all)
        .execute(pool)
        .await
        .expect("renamed");
    let actor = Actor::program(ATTACKS[0]);
    guidelines::save(pool, &actor, (project, "test"), &DrawnWith::default(), &all).await.expect("guidelines");
    seed::ranking_task(&server.state, project, &all, &[&all, ATTACKS[6], ATTACKS[1]]).await;
    sqlx::query("UPDATE prompts SET language = $1, tags = ARRAY[$1]")
        .bind(ATTACKS[1])
        .execute(pool)
        .await
        .expect("set");
    sqlx::query("UPDATE responses SET model = $1").bind(ATTACKS[1]).execute(pool).await.expect("set");
    (server, project)
}

/// Nothing in a page is a script, a style or a handler of its own, or leads to one.
#[track_caller]
fn assert_harmless(page: &Reply, what: &str) {
    let lower = page.text.to_lowercase();
    for tag in lower.split('<').skip(1) {
        let Some((tag, _)) = tag.split_once('>') else { continue };
        let name = tag.split(|sign: char| !sign.is_ascii_alphanumeric()).next().unwrap_or_default();
        assert!(!matches!(name, "iframe" | "object" | "embed" | "style" | "base"), "{what} has a <{tag}>");
        if name == "script" {
            assert!(tag.contains(" src=\"/static/js/"), "{what} has a script of its own: <{tag}>");
        }
        if name == "img" || name == "form" {
            let ours = [" src=\"/static/", " action=\"/"].iter().any(|start| tag.contains(start));
            assert!(ours && !tag.contains("action=\"//"), "{what} has a foreign <{tag}>");
        }
        for (attribute, value) in attributes(tag) {
            assert!(!attribute.starts_with("on"), "{what} has a handler: <{tag}>");
            assert!(attribute != "style" && attribute != "srcdoc", "{what} has <{tag}>");
            let address = matches!(attribute.as_str(), "href" | "src" | "action" | "formaction");
            let local = value.starts_with('/') || value.starts_with('#') || value.starts_with("http") || value == "x";
            assert!(!address || local || value.starts_with("mailto:"), "{what} leads to {value}: <{tag}>");
        }
    }
}

/// Name and value of a tag's attributes; values stand in double quotes in every page of ours.
fn attributes(tag: &str) -> Vec<(String, String)> {
    let mut parts = tag.split('"');
    let mut found = Vec::new();
    while let Some(before) = parts.next() {
        let words: Vec<&str> = before.split_whitespace().collect();
        let value = parts.next().unwrap_or_default();
        for (index, word) in words.iter().enumerate() {
            let last = index + 1 == words.len();
            let (name, plain) = word.split_once('=').unwrap_or((word, ""));
            found.push((name.to_owned(), if last && plain.is_empty() { value.to_owned() } else { plain.to_owned() }));
        }
    }
    found
}

#[tokio::test]
async fn texts_of_people_and_models_are_shown_and_never_run() {
    let (server, project) = hostile().await;
    let admin = server.user("Ada", Role::Admin).await;
    sqlx::query("UPDATE users SET name = $1").bind(ATTACKS[1]).execute(server.pool()).await.expect("renamed");
    admin.get("/queue").await.assert(200);
    // What is written comes back: as a draft, in the page that explains an error, once submitted, on the dashboard.
    seed::everyone_has_read(server.pool()).await;
    let task = assignment_in(admin.post("/queue/next", &[]).await.leads_to());
    let note = ATTACKS.join(" ");
    admin.json(Method::PUT, &format!("/tasks/{task}/draft"), &json!({ "note": &note })).await.assert(200);
    let mut pages = vec![
        ("a ranking", admin.get(&format!("/tasks/{task}")).await.assert(200)),
        ("an error", admin.post(&format!("/tasks/{task}/submit"), &[("note", &note)]).await.assert(422)),
        ("a skip", admin.post(&format!("/tasks/{task}/skip"), &[("detail", &note)]).await.assert(422)),
    ];
    let ranks = [("rank_0", "1"), ("rank_1", "2"), ("rank_2", "2"), ("note", note.as_str())];
    admin.post(&format!("/tasks/{task}/submit"), &ranks).await.leads_to();
    pages.push(("a ranking once submitted", admin.get(&format!("/tasks/{task}")).await.assert(200)));

    let mut connection = server.pool().acquire().await.expect("a connection");
    let prompt = seed::prompt(server.pool(), project, &note).await;
    tasks::create_demonstration_task(&mut connection, project, prompt).await.expect("a task");
    drop(connection);
    let task = assignment_in(admin.post("/queue/next", &[]).await.leads_to());
    admin.json(Method::PUT, &format!("/tasks/{task}/draft"), &json!({ "completion": &note })).await.assert(200);
    pages.push(("writing", admin.get(&format!("/tasks/{task}?preview=1")).await.assert(200)));
    admin.post(&format!("/tasks/{task}/submit"), &[("completion", &note)]).await.leads_to();
    pages.push(("a demonstration once submitted", admin.get(&format!("/tasks/{task}")).await.assert(200)));

    let escaped =
        note.replace(' ', "%20").replace('<', "%3C").replace('"', "%22").replace('#', "%23").replace('&', "%26");
    for path in ["/queue", "/projects/test/guidelines", "/admin", "/admin/people", "/admin/audit", "/account"] {
        pages.push((path, admin.get(path).await.assert(200)));
    }
    for tab in ["", "/prompts", "/guidelines", "/settings", "/training", "/models"] {
        pages.push(("a tab", admin.get(&format!("/admin/projects/test{tab}")).await.assert(200)));
    }
    let prompts: Vec<uuid::Uuid> =
        sqlx::query_scalar("SELECT id FROM prompts").fetch_all(server.pool()).await.expect("prompts");
    for prompt in prompts {
        pages.push(("a prompt", admin.get(&format!("/admin/projects/test/prompts/{prompt}")).await.assert(200)));
    }
    pages.push(("a search", admin.get(&format!("/admin/projects/test/prompts?q={escaped}")).await.assert(200)));
    pages.push(("the audit log", admin.get(&format!("/admin/audit?q={escaped}")).await.assert(200)));
    pages.push(("the log-in page", server.client().get(&format!("/login?next=/{escaped}")).await.assert(200)));
    pages.push(("a failed log-in", wrong_password(&server.client(), &note).await));
    for (what, page) in &pages {
        assert_harmless(page, what);
    }
}

#[tokio::test]
async fn a_browser_runs_nothing_of_a_hostile_task() {
    let (server, _) = hostile().await;
    server.account("Ada", Role::Admin).await;
    seed::everyone_has_read(server.pool()).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    let visit = async |path: &str| {
        browser.goto(&format!("{}{path}", server.address)).await.expect(path);
        let pwned = browser.execute("return window.pwned === undefined", Vec::new()).await.expect("read");
        assert_eq!(pwned, json!(true), "{path} ran a script of a text");
    };
    visit("/queue").await;
    browser.press("n").await;
    browser.wait().for_element(Locator::Css(".chip")).await.expect("a ranking");
    let pwned = browser.execute("return window.pwned === undefined", Vec::new()).await.expect("read");
    assert_eq!(pwned, json!(true), "the ranking ran a script of a text");
    // What a text would have run is there to be read.
    let texts = browser.find_all(Locator::Css("article.answer .prose")).await.expect("answers");
    let mut seen = false;
    for text in texts {
        seen |= text.text().await.expect("read").contains("<script>window.pwned = 1</script>");
    }
    assert!(seen, "the attack is not shown as text");
    for path in ["/projects/test/guidelines", "/admin", "/admin/projects/test", "/admin/projects/test/prompts"] {
        visit(path).await;
    }
    browser.close().await;
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let server = server().await;
    let ada = server.user("Ada", Role::Admin).await;
    for path in ["/login", "/queue", "/admin", "/nowhere", "/healthz", "/static/css/base.css", "/api/v1/nowhere"] {
        let reply = ada.get(path).await;
        let header =
            |name: &str| reply.headers.get(name).map(|value| value.to_str().expect("text")).unwrap_or_default();
        let policy = header("content-security-policy");
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        assert_eq!(header("referrer-policy"), "same-origin", "{path}");
    }
    assert_eq!(ada.get("/queue").await.headers["cache-control"], "no-store", "pages of a person stay in no cache");
}

#[tokio::test]
async fn forms_of_foreign_sites_do_nothing_even_with_the_token() {
    let server = server().await;
    let ada = server.user("Ada", Role::Admin).await;
    let token = ada.csrf().await;
    let form = [("csrf", token.as_str()), ("name", "Evil"), ("slug", "evil")];
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let request = ada.request(Method::POST, "/admin/projects/new").header(name, value).form(&form);
        ada.send(request).await.assert(403).assert_contains("This form has expired");
    }
    // Somebody else's token is no token.
    let bob = server.user("Bob", Role::Admin).await;
    let theirs = bob.csrf().await;
    let refused = ada.post_bare("/admin/projects/new", &[("csrf", &theirs), ("name", "Evil"), ("slug", "evil")]).await;
    // A form of the dashboard has no draft: nobody is told that one is kept.
    refused.assert(403).assert_contains("copy any other text");
    assert_eq!(count(server.pool(), "SELECT count(*) FROM projects").await, 0);
    let own = ada.request(Method::POST, "/admin/projects/new").header("sec-fetch-site", "same-origin").form(&form);
    assert_eq!(ada.send(own).await.leads_to(), "/admin/projects/evil");
    projects::by_slug(server.pool(), "evil").await.expect("the project");
}

async fn wrong_password(client: &Client, email: &str) -> Reply {
    client.post("/login", &[("email", email), ("password", "not the password")]).await
}

#[tokio::test]
async fn whoever_guesses_has_to_wait_and_nobody_else() {
    let server = server().await;
    server.account("Ada", Role::Annotator).await;
    server.account("Bob", Role::Annotator).await;
    let thief = server.client();
    for _ in 0..5 {
        wrong_password(&thief, "ada@example.org").await.assert(422).assert_contains("do not belong together");
    }
    // The sixth is refused unread, even with the right password, in whatever way the address is written.
    for email in ["ada@example.org", " ADA@example.org "] {
        let reply = thief.post("/login", &[("email", email), ("password", PASSWORD)]).await.assert(429);
        let seconds: u64 = reply.headers["retry-after"].to_str().expect("text").parse().expect("a number");
        assert!((1..=900).contains(&seconds), "{seconds}");
        reply.assert_contains("Too many attempts");
        assert!(thief.cookie("laurel_session").is_none());
    }
    server.client().log_in("bob@example.org", PASSWORD).await;
    // A quarter of an hour later.
    sqlx::query("UPDATE login_failures SET failed_at = failed_at - interval '15 minutes'")
        .execute(server.pool())
        .await
        .expect("time passes");
    server.client().log_in("ada@example.org", PASSWORD).await;
}

#[tokio::test]
async fn guesses_at_once_do_not_slip_through_together() {
    let server = server().await;
    server.account("Ada", Role::Annotator).await;
    let thief = server.client();
    thief.csrf().await;
    let guesses = (0..20).map(|_| {
        let thief = thief.clone();
        tokio::spawn(async move { wrong_password(&thief, "ada@example.org").await.status.as_u16() })
    });
    let mut looked_at = 0;
    for guess in guesses {
        looked_at += usize::from(guess.await.expect("an answer") == 422);
    }
    assert_eq!(looked_at, 5);
}

#[tokio::test]
async fn an_account_that_is_not_there_looks_like_a_wrong_password() {
    let server = server().await;
    server.account("Ada", Role::Annotator).await;
    let known = wrong_password(&server.client(), "ada@example.org").await.assert(422);
    let unknown = wrong_password(&server.client(), "eve@example.org").await.assert(422);
    let without = |reply: &Reply, client: &str| {
        let text = reply.text.replace(client, "");
        let csrf = text.split("name=\"csrf\" content=\"").nth(1).and_then(|rest| rest.split('"').next());
        text.replace(csrf.expect("a token"), "")
    };
    assert_eq!(without(&known, "ada@example.org"), without(&unknown, "eve@example.org"));
}

#[tokio::test]
async fn a_session_ends_after_two_idle_weeks_and_its_cookie_is_out_of_reach() {
    let server = server().await;
    server.account("Ada", Role::Annotator).await;
    let ada = server.client();
    ada.get("/login").await.assert(200);
    let reply = ada.post("/login", &[("email", &email_of("Ada")), ("password", PASSWORD)]).await;
    let cookies: Vec<&str> =
        reply.headers.get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok()).collect();
    let session = cookies.iter().find(|cookie| cookie.starts_with("laurel_session=")).expect("a session's cookie");
    for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(session.contains(part), "{session}");
    }
    let secret = ada.cookie("laurel_session").expect("a secret");
    let stored: Vec<u8> =
        sqlx::query_scalar("SELECT token_hash FROM sessions").fetch_one(server.pool()).await.expect("one");
    assert_ne!(stored, secret.as_bytes(), "the database knows the secret itself");
    ada.get("/queue").await.assert(200);
    let pass = async |days: i32| {
        sqlx::query(
            "UPDATE sessions SET last_seen_at = last_seen_at - make_interval(days => $1), expires_at = expires_at - make_interval(days => $1)",
        )
        .bind(days)
        .execute(server.pool())
        .await
        .expect("time passes");
    };
    // Each use renews it; two weeks without one end it.
    for _ in 0..2 {
        pass(13).await;
        ada.get("/queue").await.assert(200);
    }
    pass(14).await;
    assert_eq!(ada.get("/queue").await.leads_to(), "/login?next=/queue");
}

#[tokio::test]
async fn who_never_ends_a_request_is_not_waited_for() {
    let server = server().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let patience = Patience { head: Duration::from_millis(200), body: Duration::from_millis(200) };
    tokio::spawn(serve(listener, web::router(server.state.clone()), patience, stopped));
    let form = "POST /login HTTP/1.1\r\nHost: here\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nemail=a";
    for begun in ["GET /healthz HTTP/1.1\r\nHost: here\r\nX-Slow: a", form] {
        let mut slow = TcpStream::connect(address).await.expect("connected");
        slow.write_all(begun.as_bytes()).await.expect("said");
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), slow.read_to_end(&mut answer)).await;
        ended.expect("it is waited for").expect("closed in order");
        assert!(!answer.starts_with(b"HTTP/1.1 5"), "{}", String::from_utf8_lossy(&answer));
    }
    // Whoever says all that belongs to a head is answered, in however many pieces.
    let mut whole = TcpStream::connect(address).await.expect("connected");
    for piece in ["GET /healthz HTTP/1.1\r\n", "Host: here\r\nConnection: close\r\n", "\r\n"] {
        whole.write_all(piece.as_bytes()).await.expect("said");
    }
    let mut answer = String::new();
    whole.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_request_that_is_under_way_when_the_server_is_to_stop_is_answered_whole() {
    let server = server().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let client = Client::new(&format!("http://{}", listener.local_addr().expect("an address")));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let serving = tokio::spawn(serve(listener, web::router(server.state.clone()), Patience::default(), stopped));
    // Its page waits for what somebody else has locked.
    let mut held = server.pool().begin().await.expect("a transaction");
    sqlx::query("LOCK TABLE users IN ACCESS EXCLUSIVE MODE").execute(&mut *held).await.expect("locked");
    let end = async {
        seed::until_somebody_waits(server.pool()).await;
        stop.send_replace(true);
        held.rollback().await.expect("let go");
    };
    let (page, ()) = tokio::join!(client.get("/login"), end);
    page.assert(200).assert_contains("</html>");
    tokio::time::timeout(Duration::from_secs(20), serving).await.expect("it ends").expect("no panic");
}
