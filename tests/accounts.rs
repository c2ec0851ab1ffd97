//! Accounts from outside: log in, log out, invitations, one's own account.

mod support;

#[tokio::test]
async fn the_server_answers() {
    let server = support::server().await;
    server.client().get("/healthz").await.assert(200);
}
