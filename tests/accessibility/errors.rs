//! The pages that say that something is wrong.

use fantoccini::Locator;
use laurel::sample::seed;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Inspector;

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

impl Inspector<'_> {
    /// Looks at the page of an error, which came with this status.
    async fn failure(&mut self, status: u16) {
        self.browser.wait().for_element(Locator::Css(".notice-page")).await.expect("a page that says what is wrong");
        self.examine(&format!("error-{status}"), status).await;
    }

    /// Sends a form as a page of ours would.
    pub async fn send(&self, action: &str, fields: Value) {
        self.go("/account").await;
        self.browser.execute(SEND, vec![json!(action), fields]).await.expect("sent");
    }
}

/// What an annotator sees of an admin's page.
pub async fn forbidden(inspector: &mut Inspector<'_>) {
    let (email, password) = inspector.world.annotator(inspector.look.language);
    inspector.log_in(email, password).await;
    inspector.go("/admin/people").await;
    inspector.failure(403).await;
}

/// The other errors, for the admin who is logged in.
pub async fn all(inspector: &mut Inspector<'_>) {
    inspector.go("/no/such/page").await;
    inspector.failure(404).await;
    let pool = inspector.world.server.pool();
    let me: Uuid = sqlx::query_scalar("SELECT id FROM users WHERE email = $1")
        .bind(&inspector.person.email)
        .fetch_one(pool)
        .await
        .expect("the admin");
    // Nobody shuts the last admin out.
    sqlx::query("UPDATE users SET disabled_at = now() WHERE role = 'admin' AND id <> $1")
        .bind(me)
        .execute(pool)
        .await
        .expect("alone");
    inspector.send(&format!("/admin/people/{me}/disable"), json!({ "disabled": "yes" })).await;
    inspector.failure(409).await;
    sqlx::query("UPDATE users SET disabled_at = NULL WHERE role = 'admin'").execute(pool).await.expect("back");
    inspector.go(&format!("/admin/projects/{}/export/rankings?minimum_reliability=600", seed::PROJECT)).await;
    inspector.failure(422).await;
    // The database lacks what it should have.
    for (from, to) in [("audit_log", "lost"), ("lost", "audit_log")] {
        let rename = sqlx::AssertSqlSafe(format!("ALTER TABLE {from} RENAME TO {to}"));
        sqlx::query(rename).execute(pool).await.expect("renamed");
        if to == "lost" {
            inspector.go("/admin/audit").await;
            inspector.failure(500).await;
        }
    }
}
