//! People and programs: invited, changed, shut out; tokens that are shown once.

use laurel::{
    db::{audit::Actor, invitations, password_resets},
    domain::role::Role,
};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{project, support};

/// What stands between two marks of a page.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split_once(before).expect(before).1.split_once(after).expect(after).0
}

#[tokio::test]
async fn people_are_invited_changed_and_shut_out_and_an_admin_is_always_left() {
    let server = support::server().await;
    let ada = server.user("Ada", Role::Admin).await;
    let bob_id = server.account("Bob", Role::Annotator).await;
    let bob = server.client();
    bob.log_in("bob@example.org", support::PASSWORD).await;

    let wrong = ada.post("/admin/people/invite", &[("email", "nobody"), ("role", "king")]).await.assert(422);
    wrong.assert_contains("no email address");
    wrong.assert_contains("Choose one of the roles");
    let missing = [("role", "annotator"), ("project", "5f7d3d0e-0000-7000-8000-000000000000")];
    ada.post("/admin/people/invite", &missing).await.assert(422).assert_contains("no such project");
    // A link for an address that has an account could be used by nobody.
    project(&server, "p").await;
    for form in ["/admin/people/invite", "/admin/projects/p/invitations"] {
        let there = ada.post(form, &[("email", "Bob@Example.org"), ("role", "annotator")]).await.assert(422);
        there.assert_contains("an account with this address already").assert_contains("value=\"Bob@Example.org\"");
    }
    let invited =
        ada.post("/admin/people/invite", &[("email", "Cy@Example.org"), ("role", "reviewer")]).await.assert(200);
    let link = between(&invited.text, "data-invitation-link>", "</code>").to_owned();
    assert!(link.starts_with(&server.address), "{link}");
    server.client().get(&link[server.address.len()..]).await.assert(200);
    let id: Uuid = sqlx::query_scalar("SELECT id FROM invitations").fetch_one(server.pool()).await.expect("one");
    assert!(!ada.get("/admin/people").await.text.contains(&link), "it is shown once");
    ada.post(&format!("/admin/invitations/{id}/revoke"), &[]).await.leads_to();
    assert!(!ada.get("/admin/people").await.text.contains("cy@example.org"));

    ada.post(&format!("/admin/people/{bob_id}/role"), &[("role", "king")]).await.assert(422);
    for _ in 0..2 {
        ada.post(&format!("/admin/people/{bob_id}/role"), &[("role", "reviewer")]).await.leads_to();
    }
    let noted: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_log WHERE action = 'person.role'")
        .fetch_one(server.pool())
        .await
        .expect("a number");
    assert_eq!(noted, 1, "who has the role already is not changed");
    bob.get("/admin").await.assert(200);
    ada.post(&format!("/admin/people/{bob_id}/disable"), &[("disabled", "yes")]).await.leads_to();
    assert!(bob.get("/admin").await.leads_to().starts_with("/login"), "shut out at once");
    ada.post(&format!("/admin/people/{bob_id}/disable"), &[("disabled", "no")]).await.leads_to();

    let ada_id: Uuid = sqlx::query_scalar("SELECT id FROM users WHERE email = 'ada@example.org'")
        .fetch_one(server.pool())
        .await
        .expect("Ada");
    ada.post(&format!("/admin/people/{ada_id}/role"), &[("role", "annotator")])
        .await
        .assert(409)
        .assert_contains("last admin");
    ada.post(&format!("/admin/people/{ada_id}/disable"), &[("disabled", "yes")]).await.assert(409);
    ada.post(&format!("/admin/people/{}/role", Uuid::now_v7()), &[("role", "admin")]).await.assert(404);
}

#[tokio::test]
async fn who_changes_a_role_while_a_link_is_made_for_the_person_waits_in_no_ring() {
    let server = support::server().await;
    let pool = server.pool();
    let ada = server.user("Ada", Role::Admin).await;
    let bob = server.account("Bob", Role::Annotator).await;
    let [person, maker] = [
        "SELECT id FROM users WHERE role = 'annotator' FOR NO KEY UPDATE",
        "SELECT id FROM users WHERE role = 'admin' FOR KEY SHARE",
    ];
    // As where an admin makes one: the person first, then what refers to the admin.
    let mut making = pool.begin().await.expect("a transaction");
    sqlx::query(person).fetch_all(&mut *making).await.expect("locked");
    let make = async {
        support::seed::until_somebody_waits(pool).await;
        sqlx::query(maker).fetch_all(&mut *making).await.expect("no ring");
        making.commit().await.expect("made");
    };
    let change = format!("/admin/people/{bob}/role");
    let role = [("role", "reviewer")];
    let (changed, ()) = tokio::join!(ada.post(&change, &role), make);
    changed.leads_to();
}

#[tokio::test]
async fn a_token_is_shown_once_and_works_until_it_is_revoked() {
    let server = support::server().await;
    let ada = server.user("Ada", Role::Admin).await;
    let wrong = ada.post("/admin/tokens", &[("name", ""), ("role", "king")]).await.assert(422);
    wrong.assert_contains("be empty");
    wrong.assert_contains("Choose one of the roles");
    let made = ada.post("/admin/tokens", &[("name", "gpu-box"), ("role", "trainer")]).await.assert(200);
    let secret = between(&made.text, "data-token-secret>", "</code>").to_owned();
    let known = |pool: PgPool, secret: String| async move { laurel::db::tokens::find(&pool, &secret).await.is_ok() };
    assert!(known(server.pool().clone(), secret.clone()).await);
    assert!(!ada.get("/admin/people").await.text.contains(&secret));
    let id: Uuid = sqlx::query_scalar("SELECT id FROM api_tokens").fetch_one(server.pool()).await.expect("one");
    ada.post(&format!("/admin/tokens/{id}/revoke"), &[]).await.leads_to();
    assert!(!known(server.pool().clone(), secret).await);
}

#[tokio::test]
async fn links_that_an_admin_made_let_nobody_in_while_the_admin_is_shut_out_or_none_any_more() {
    let server = support::server().await;
    let pool = server.pool();
    let ada = server.user("Ada", Role::Admin).await;
    let bob_id = server.account("Bob", Role::Admin).await;
    let cy = server.account("Cy", Role::Admin).await;
    let bob = Actor::person(bob_id, "bob@example.org");
    let admins = invitations::create(pool, &bob, Role::Admin, None, None).await.expect("an invitation");
    let annotators = invitations::create(pool, &bob, Role::Annotator, None, None).await.expect("an invitation");
    let reset = password_resets::create(pool, &bob, cy).await.expect("an answer").expect("a link").secret;
    let links = [format!("/invitations/{admins}"), format!("/reset/{reset}"), format!("/invitations/{annotators}")];
    let lead_to = async |expected: [u16; 3]| {
        for (link, status) in links.iter().zip(expected) {
            server.client().get(link).await.assert(status);
        }
    };
    lead_to([200, 200, 200]).await;
    ada.post(&format!("/admin/people/{bob_id}/role"), &[("role", "lead")]).await.leads_to();
    lead_to([410, 410, 200]).await;
    server.client().post(&links[1], &[("new_password", "quite another one")]).await.assert(410);
    let account = [("email", "eve@example.org"), ("name", "Eve"), ("new_password", "quite another one")];
    server.client().post(&links[0], &account).await.assert(410);
    ada.post(&format!("/admin/people/{bob_id}/disable"), &[("disabled", "yes")]).await.leads_to();
    lead_to([410, 410, 410]).await;
    assert!(!ada.get("/admin/people").await.text.contains("/admin/invitations/"), "none of them is open");
    ada.post(&format!("/admin/people/{bob_id}/disable"), &[("disabled", "no")]).await.leads_to();
    ada.post(&format!("/admin/people/{bob_id}/role"), &[("role", "admin")]).await.leads_to();
    lead_to([200, 200, 200]).await;
}
