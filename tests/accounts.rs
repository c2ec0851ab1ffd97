//! Accounts from outside: the first admin, invitations, log in and out, one's own account.

mod support;

use laurel::{
    db::{audit::Actor, invitations, password_resets},
    domain::role::Role,
};
use support::{
    PASSWORD, Server, email_of,
    seed::{self, Seed},
    server,
};

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
    client.post(&link, &form("Bob@Example.org ", "Bob", PASSWORD)).await.leads_to();
    let noted: String = sqlx::query_scalar("SELECT actor FROM audit_log WHERE action = 'invitation.accept'")
        .fetch_one(server.pool())
        .await
        .expect("an entry");
    assert_eq!(noted, "bob@example.org", "the log knows another person");
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
async fn whoever_sent_a_form_with_an_ended_session_comes_back_to_its_page() {
    let server = server().await;
    let client = server.user("Ada", Role::Admin).await;
    sqlx::query("DELETE FROM sessions").execute(server.pool()).await.expect("ended");
    let page = format!("{}/admin/people?saved=1", server.address);
    let form = client.request(reqwest::Method::POST, "/admin/tokens").form(&[("name", "a")]);
    assert_eq!(client.send(form.header("referer", page)).await.leads_to(), "/login?next=/admin/people");
    assert_eq!(client.post_bare("/admin/tokens", &[]).await.leads_to(), "/login?next=/admin/tokens");
}

/// The buttons for language and theme lead back to the address of the page, and so does logging in again.
#[tokio::test]
async fn a_page_that_a_form_was_answered_with_leads_back_to_the_page_of_the_form() {
    let server = server().await;
    seed::project(server.pool(), Seed::default()).await;
    let ada = server.user("Ada", Role::Admin).await;
    for (form, page) in [
        ("/account/password", "/account"),
        ("/admin/people/invite", "/admin/people"),
        ("/admin/tokens", "/admin/people"),
        ("/admin/projects/test/invitations", "/admin/projects/test/people"),
        ("/admin/projects/test/training/run", "/admin/projects/test/training"),
        ("/admin/projects/test/training/schedule", "/admin/projects/test/training"),
        ("/admin/projects/test/models/import", "/admin/projects/test/models"),
    ] {
        ada.post(form, &[]).await.assert_contains(&format!("name=\"next\" value=\"{form}\""));
        assert_eq!(ada.get(form).await.leads_to(), page);
    }
}

#[tokio::test]
async fn the_page_that_refuses_a_form_leads_back_to_the_page_of_the_form() {
    let server = server().await;
    let ada = server.user("Ada", Role::Admin).await;
    let id: String = sqlx::query_scalar("SELECT id::text FROM users").fetch_one(server.pool()).await.expect("Ada");
    let token = ada.csrf().await;
    let form = ada.request(reqwest::Method::POST, &format!("/admin/people/{id}/role"));
    let form = form.form(&[("role", "annotator"), ("csrf", token.as_str())]);
    // She is the last admin.
    let refused = ada.send(form.header("referer", format!("{}/admin/people", server.address))).await.assert(409);
    refused.assert_contains("name=\"next\" value=\"/admin/people\"");
}

#[tokio::test]
async fn a_page_that_explains_why_there_is_none_leads_back_to_its_own_address_with_the_query() {
    let server = server().await;
    let ada = server.user("Ada", Role::Admin).await;
    for (address, status) in [("/queue?before=cut-off", 400), ("/admin/projects/none/labels?q=honey", 404)] {
        let page = ada.get(address).await.assert(status);
        page.assert_contains(&format!("name=\"next\" value=\"{address}\""));
    }
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
    let bob: uuid::Uuid =
        sqlx::query_scalar("SELECT id FROM users").fetch_one(server.pool()).await.expect("the only person");
    let made = password_resets::create(server.pool(), &Actor::program("test"), bob).await.expect("an answer");
    let link = format!("/reset/{}", made.expect("a link").secret);
    server.client().get(&link).await.assert(200);

    client.post("/account/password", &change(PASSWORD, "a new password")).await.leads_to();
    server.client().get(&link).await.assert(410);
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
    page.assert_contains("lang=\"zh\" dir=\"ltr\" data-theme=\"dark\"").assert_contains("value=\"system\"");
    client.post("/preferences", &[("theme", "system"), ("next", "/login")]).await.leads_to();
    client.get("/login").await.assert(200).assert_contains("data-theme=\"system\"");
}

/// The path of the link that the answer to an admin's form shows.
fn link_in(server: &Server, page: &str) -> String {
    let rest = page.split("data-reset-link>").nth(1).expect("a link");
    let link = rest.split('<').next().expect("its end");
    link.strip_prefix(server.address.as_str()).expect("a link to this server").to_owned()
}

#[tokio::test]
async fn an_admin_gives_a_link_that_sets_a_new_password_once_and_ends_every_session() {
    let server = server().await;
    let ada = server.user("Ada", Role::Admin).await;
    let bob = server.account("Bob", Role::Annotator).await;
    let before = server.client();
    before.log_in(&email_of("Bob"), PASSWORD).await;
    let old = link_in(&server, &ada.post(&format!("/admin/people/{bob}/reset"), &[]).await.assert(200).text);
    let made = ada.post(&format!("/admin/people/{bob}/reset"), &[]).await.assert(200);
    made.assert_contains("Give this link to Bob.");
    let link = link_in(&server, &made.text);
    assert!(!ada.get("/admin/people").await.text.contains(&link), "it is shown once");
    let stored: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT token_hash FROM password_resets").fetch_all(server.pool()).await.expect("hashes");
    let secret = link.trim_start_matches("/reset/");
    assert!(stored.iter().all(|hash| hash.as_slice() != secret.as_bytes()), "the secret itself is stored");

    // The newer link takes the place of the older one; a password that is too short uses nothing up.
    let browser = server.client();
    browser.get(&old).await.assert(410);
    browser.get(&link).await.assert(200).assert_contains("bob@example.org");
    before.get("/account").await.assert(200);
    browser.post(&link, &[("new_password", "short")]).await.assert(422).assert_contains("at least 10");
    assert_eq!(browser.post(&link, &[("new_password", "quite another one")]).await.leads_to(), "/");
    browser.get("/account").await.assert(200).assert_contains("You are logged in here only");
    before.get("/account").await.leads_to();
    server.client().log_in(&email_of("Bob"), "quite another one").await;
    server.client().post("/login", &[("email", &email_of("Bob")), ("password", PASSWORD)]).await.assert(422);
    server.client().get(&link).await.assert(410);

    let log = ada.get("/admin/audit").await.assert(200);
    log.assert_contains("Made a link for a new password").assert_contains("Set a new password by link");
    assert!(!log.text.contains(secret), "the secret is in the log");
}

#[tokio::test]
async fn a_link_for_a_new_password_ends_with_its_day_and_with_the_account() {
    let server = server().await;
    let bob = server.account("Bob", Role::Annotator).await;
    let actor = Actor::program("test");
    let make = async || password_resets::create(server.pool(), &actor, bob).await.expect("an answer");
    let link = format!("/reset/{}", make().await.expect("a link").secret);
    sqlx::query("UPDATE password_resets SET expires_at = now()").execute(server.pool()).await.expect("late");
    server.client().get(&link).await.assert(410);
    let link = format!("/reset/{}", make().await.expect("a link").secret);
    sqlx::query("UPDATE users SET disabled_at = now()").execute(server.pool()).await.expect("shut out");
    server.client().post(&link, &[("new_password", "quite another one")]).await.assert(410);
    assert!(make().await.is_none(), "nobody who is shut out gets a link");
}

#[tokio::test]
async fn who_uses_a_link_while_another_is_made_finds_it_over() {
    let server = server().await;
    let pool = server.pool();
    let bob = server.account("Bob", Role::Annotator).await;
    let made = password_resets::create(pool, &Actor::program("test"), bob).await.expect("an answer");
    let link = format!("/reset/{}", made.expect("a link").secret);
    let client = server.client();
    client.get(&link).await.assert(200);
    // As where one is made: the person first, then the links that are there.
    let mut making = pool.begin().await.expect("a transaction");
    sqlx::query("SELECT id FROM users FOR NO KEY UPDATE").fetch_all(&mut *making).await.expect("locked");
    let make = async {
        seed::until_somebody_waits(pool).await;
        let revoke = "UPDATE password_resets SET revoked_at = now()";
        sqlx::query(revoke).execute(&mut *making).await.expect("no ring");
        making.commit().await.expect("made");
    };
    let password = [("new_password", "quite another one")];
    let (used, ()) = tokio::join!(client.post(&link, &password), make);
    used.assert(410);
}

#[tokio::test]
async fn what_people_change_of_their_account_is_in_the_log_without_its_secrets() {
    let server = server().await;
    let ada = server.user("Ada", Role::Admin).await;
    let bob = server.user("Bob", Role::Annotator).await;
    let elsewhere = server.client();
    elsewhere.log_in(&email_of("Bob"), PASSWORD).await;
    bob.post("/account/sessions", &[]).await.leads_to();
    bob.post("/account", &[("name", "Bobby"), ("language", "en")]).await.leads_to();
    bob.post("/preferences", &[("language", "zh"), ("next", "/")]).await.leads_to();
    // Nothing changes, nothing is noted.
    bob.post("/account", &[("name", "Bobby"), ("language", "zh")]).await.leads_to();
    bob.post("/account/password", &[("password", PASSWORD), ("new_password", "correct horse")]).await.leads_to();
    let noted: Vec<(String, String)> =
        sqlx::query_as("SELECT action, detail::text FROM audit_log WHERE actor = 'bob@example.org' ORDER BY id")
            .fetch_all(server.pool())
            .await
            .expect("entries");
    let actions: Vec<&str> = noted.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, ["account.sessions", "account.name", "account.language", "account.password"]);
    assert_eq!(noted[1].1, r#"{"name": ["Bob", "Bobby"]}"#);
    let page = ada.get("/admin/audit?action=account.password").await.assert(200);
    page.assert_contains("Changed their password");
    assert!(!page.text.contains("horse"), "{}", page.text);
}
