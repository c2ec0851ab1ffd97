//! Accounts from outside: the first admin, invitations, log in and out, one's own account.

mod support;

use laurel::{
    db::{audit::Actor, invitations},
    domain::role::Role,
};
use support::{PASSWORD, Server, email_of, server};

async fn invited(server: &Server, role: Role, email: Option<&str>) -> String {
    let secret = invitations::create(server.pool(), &Actor::program("test"), role, email, None).await;
    format!("/invitations/{}", secret.expect("an invitation"))
}

fn form<'a>(email: &'a str, name: &'a str, password: &'a str) -> [(&'a str, &'a str); 3] {
    [("email", email), ("name", name), ("new_password", password)]
}

#[tokio::test]
async fn the_first_link_makes_an_admin_who_is_logged_in() {
    let server = server().await;
    server.client().get("/login").await.assert(200).assert_contains("This server is new");

    let old = invitations::create_first_admin(server.pool()).await.expect("a link");
    let secret = invitations::create_first_admin(server.pool()).await.expect("a link");
    server.client().get(&format!("/invitations/{old}")).await.assert(410);

    let link = format!("/invitations/{secret}");
    let client = server.client();
    client.get(&link).await.assert(200).assert_contains("Welcome to Laurel");
    let reply = client.post(&link, &form("Ada@Example.org ", "Ada Lovelace", "analytical engine")).await;
    assert_eq!(reply.leads_to(), "/");
    client.get("/admin").await.assert(200);
    client.get("/account").await.assert(200).assert_contains("ada@example.org");

    // Used up: for her, and for anyone who finds the link.
    server.client().get(&link).await.assert(410);
    client.post(&link, &form("eve@example.org", "Eve", "another password")).await.assert(410);
    let other = server.client();
    other.log_in("ada@example.org", "analytical engine").await;
    let login = server.client().get("/login").await.assert(200);
    assert!(!login.text.contains("This server is new"));
}

#[tokio::test]
async fn an_invitation_makes_one_account_of_its_role_in_the_invited_language() {
    let server = server().await;
    server.account("Ada", Role::Admin).await;
    let link = invited(&server, Role::Reviewer, None).await;
    let client = server.client();
    let reply = client.send(client.request(reqwest::Method::GET, &link).header("accept-language", "zh-CN,en;q=0.5"));
    reply.await.assert(200).assert_contains("您已受邀");
    let token = client.csrf().await;
    let mut fields = form("li@example.org", "李雷", "一二三四五六七八九十").to_vec();
    fields.push(("csrf", &token));
    let request = client.request(reqwest::Method::POST, &link).header("accept-language", "zh-CN").form(&fields);
    assert_eq!(client.send(request).await.leads_to(), "/");
    client.get("/admin").await.assert(200);
    client.get("/account").await.assert(200).assert_contains("审核员");
}

#[tokio::test]
async fn an_invitation_for_an_address_is_for_this_address_only() {
    let server = server().await;
    server.account("Ada", Role::Admin).await;
    let link = invited(&server, Role::Annotator, Some("bob@example.org")).await;
    let client = server.client();
    client.get(&link).await.assert(200).assert_contains("readonly");
    client.post(&link, &form("eve@example.org", "Bob", PASSWORD)).await;
    let email: String = sqlx::query_scalar("SELECT email FROM users WHERE name = 'Bob'")
        .fetch_one(server.pool())
        .await
        .expect("an account");
    assert_eq!(email, "bob@example.org");
}

#[tokio::test]
async fn wrong_fields_of_an_invitation_are_explained_and_use_nothing_up() {
    let server = server().await;
    server.account("Ada", Role::Admin).await;
    let link = invited(&server, Role::Annotator, None).await;
    let client = server.client();
    client.get(&link).await.assert(200);
    for (email, name, password, words) in [
        ("no address", "Bob", PASSWORD, "This is not an email address"),
        ("ada@example.org", "Bob", PASSWORD, "There is an account with this email address already"),
        ("bob@example.org", "   ", PASSWORD, "A name has 1 to 100 characters"),
        ("bob@example.org", "Bob", "short", "A password has at least 10 characters"),
    ] {
        let reply = client.post(&link, &form(email, name, password)).await.assert(422);
        reply.assert_contains(words);
        reply.assert_contains("aria-invalid");
        assert!(!reply.text.contains(PASSWORD), "a password stands in the page");
    }
    client.post(&link, &form("bob@example.org", "Bob", PASSWORD)).await.leads_to();
}

#[tokio::test]
async fn two_people_who_accept_one_invitation_at_once_make_one_account() {
    let server = server().await;
    server.account("Ada", Role::Admin).await;
    let link = invited(&server, Role::Annotator, None).await;
    let (first, second) = (server.client(), server.client());
    first.get(&link).await.assert(200);
    second.get(&link).await.assert(200);
    let (a, b) = (form("a@example.org", "A", PASSWORD), form("b@example.org", "B", PASSWORD));
    let (one, two) = tokio::join!(first.post(&link, &a), second.post(&link, &b));
    let mut codes = [one.status.as_u16(), two.status.as_u16()];
    codes.sort();
    assert_eq!(codes, [303, 410]);
    let people: i64 = sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(server.pool()).await.expect("a count");
    assert_eq!(people, 2);
}

#[tokio::test]
async fn logging_in_leads_to_the_page_that_was_asked_for_and_never_elsewhere() {
    let server = server().await;
    server.account("Bob", Role::Annotator).await;
    let client = server.client();
    assert_eq!(client.get("/account").await.leads_to(), "/login?next=/account");
    client.get("/login?next=/account").await.assert(200).assert_contains("name=\"next\" value=\"/account\"");
    let login = |next| [("email", "bob@example.org"), ("password", PASSWORD), ("next", next)];
    assert_eq!(client.post("/login", &login("/account")).await.leads_to(), "/account");
    assert_eq!(client.get("/login?next=/account").await.leads_to(), "/account");

    let client = server.client();
    assert_eq!(client.post("/login", &login("//evil.example")).await.leads_to(), "/");
}

#[tokio::test]
async fn logging_out_ends_the_session_for_whoever_has_its_cookie() {
    let server = server().await;
    let client = server.user("Bob", Role::Annotator).await;
    let session = client.cookie("laurel_session").expect("a session");
    assert_eq!(client.post("/logout", &[]).await.leads_to(), "/login");
    client.get("/account").await.leads_to();
    let thief = server.client();
    let request = thief.request(reqwest::Method::GET, "/account");
    let reply = thief.send(request.header("cookie", format!("laurel_session={session}"))).await;
    assert_eq!(reply.leads_to(), "/login?next=/account");
}

#[tokio::test]
async fn a_disabled_account_is_out_at_once_and_stays_out() {
    let server = server().await;
    let client = server.user("Bob", Role::Annotator).await;
    sqlx::query("UPDATE users SET disabled_at = now()").execute(server.pool()).await.expect("disabled");
    client.get("/account").await.leads_to();
    let reply = server.client().post("/login", &[("email", "bob@example.org"), ("password", PASSWORD)]).await;
    reply.assert(422).assert_contains("do not belong together");
}

#[tokio::test]
async fn a_person_changes_name_and_language() {
    let server = server().await;
    let client = server.user("Bob", Role::Annotator).await;
    let reply = client.post("/account", &[("name", " 李雷 "), ("language", "zh")]).await;
    let page = client.get(reply.leads_to()).await.assert(200);
    page.assert_contains("已保存");
    page.assert_contains("value=\"李雷\"");
    client.post("/account", &[("name", ""), ("language", "zh")]).await.assert(422).assert_contains("姓名应为");
    client.post("/account", &[("name", "Bob"), ("language", "xx")]).await.assert(422);
}

#[tokio::test]
async fn a_new_password_needs_the_present_one_and_ends_other_sessions() {
    let server = server().await;
    let client = server.user("Bob", Role::Annotator).await;
    let elsewhere = server.client();
    elsewhere.log_in(&email_of("Bob"), PASSWORD).await;

    let change = |present, new| [("password", present), ("new_password", new)];
    let wrong = client.post("/account/password", &change("not this one", "a new password")).await.assert(422);
    wrong.assert_contains("This is not your present password");
    client.post("/account/password", &change(PASSWORD, "short")).await.assert(422).assert_contains("at least 10");
    elsewhere.get("/account").await.assert(200).assert_contains("one other browser");

    client.post("/account/password", &change(PASSWORD, "a new password")).await.leads_to();
    client.get("/account").await.assert(200).assert_contains("You are logged in here only");
    elsewhere.get("/account").await.leads_to();
    server.client().log_in(&email_of("Bob"), "a new password").await;
    server.client().post("/login", &[("email", &email_of("Bob")), ("password", PASSWORD)]).await.assert(422);
}

#[tokio::test]
async fn a_person_logs_out_everywhere_else() {
    let server = server().await;
    let client = server.user("Bob", Role::Annotator).await;
    let elsewhere = server.client();
    elsewhere.log_in(&email_of("Bob"), PASSWORD).await;
    client.post("/account/sessions", &[]).await.leads_to();
    client.get("/account").await.assert(200);
    elsewhere.get("/account").await.leads_to();
}

#[tokio::test]
async fn strangers_choose_language_and_theme_and_keep_them() {
    let server = server().await;
    let client = server.client();
    client.get("/login").await.assert(200).assert_contains("data-theme=\"system\"");
    let reply = client.post("/preferences", &[("language", "zh"), ("next", "/login")]).await;
    assert_eq!(reply.leads_to(), "/login");
    client.post("/preferences", &[("theme", "dark"), ("next", "/login")]).await.leads_to();
    let page = client.get("/login").await.assert(200);
    page.assert_contains("lang=\"zh\" data-theme=\"dark\"");
}
