//! The pages that say that something is wrong.

use fantoccini::Locator;
use laurel::sample::seed;
use serde_json::{Value, json};

use crate::{Inspector, Look, support::Browser};

/// Runs in the page: sends a form as a page of ours would, and goes where it leads.
const SEND: &str = "const [action, fields] = arguments;
    const form = document.createElement('form');
    form.method = 'post';
    form.action = action;
    const csrf = document.querySelector('meta[name=csrf]').content;
    for (const [name, value] of Object.entries({ csrf, ...fields })) {
        const field = document.createElement('input');
        Object.assign(field, { type: 'hidden', name, value });
        form.append(field);
    }
    document.body.append(form);
    form.submit();";

/// The status that the page came with.
const STATUS: &str = "return performance.getEntriesByType('navigation')[0].responseStatus";

impl Inspector<'_> {
    /// Looks at the page of an error, which came with this status.
    async fn failure(&mut self, browser: &Browser, look: &Look, status: u16) {
        browser.wait().for_element(Locator::Css(".notice-page")).await.expect("a page that says what is wrong");
        assert_eq!(browser.execute(STATUS, Vec::new()).await.expect("read"), status);
        self.examine(browser, look, &format!("error-{status}")).await;
    }

    async fn send(&self, browser: &Browser, look: &Look, action: &str, fields: Value) {
        self.go(browser, look, "/account").await;
        browser.execute(SEND, vec![json!(action), fields]).await.expect("sent");
    }
}

/// What an annotator sees of an admin's page.
pub async fn forbidden(inspector: &mut Inspector<'_>, browser: &Browser, look: &Look) {
    let (email, password) = inspector.world.annotator();
    browser.log_in(&inspector.world.server.address, email, password).await;
    inspector.go(browser, look, "/admin/people").await;
    inspector.failure(browser, look, 403).await;
}

/// The other errors, for the admin who is logged in.
pub async fn all(inspector: &mut Inspector<'_>, browser: &Browser, look: &Look) {
    inspector.go(browser, look, "/no/such/page").await;
    inspector.failure(browser, look, 404).await;
    let pool = inspector.world.server.pool().clone();
    let me: uuid::Uuid = sqlx::query_scalar("SELECT id FROM users WHERE email = $1")
        .bind(inspector.world.admin().0)
        .fetch_one(&pool)
        .await
        .expect("the admin");
    // Nobody shuts the last admin out.
    inspector.send(browser, look, &format!("/admin/people/{me}/disable"), json!({ "disabled": "yes" })).await;
    inspector.failure(browser, look, 409).await;
    let wrong = format!("/admin/projects/{}/export/rankings?minimum_reliability=600", seed::PROJECT);
    inspector.go(browser, look, &wrong).await;
    inspector.failure(browser, look, 422).await;
    // The database lacks what it should have.
    for (from, to) in [("audit_log", "lost"), ("lost", "audit_log")] {
        let rename = sqlx::AssertSqlSafe(format!("ALTER TABLE {from} RENAME TO {to}"));
        sqlx::query(rename).execute(&pool).await.expect("renamed");
        if to == "lost" {
            inspector.go(browser, look, "/admin/audit").await;
            inspector.failure(browser, look, 500).await;
        }
    }
}
