//! The first labels of the demo: its simulated annotators work through the pages of the server that has just started.

use sqlx::PgPool;

use super::{
    accounts::Account,
    annotators::{Annotator, KnownAnswers, Login},
};

/// Labels that each simulated annotator of the demo gives, once.
const LABELS_EACH: usize = 12;
/// Their error, in units of the gold reward.
const NOISE: f64 = 0.5;

/// Lets each simulated annotator give what is left of its labels.
pub async fn give(pool: &PgPool, server: &str, accounts: &[Account]) -> anyhow::Result<()> {
    let known = KnownAnswers::of_sample()?;
    for (account, seed) in accounts.iter().filter(|account| account.simulated).zip(1..) {
        let left = LABELS_EACH.saturating_sub(labels_of(pool, &account.email).await?);
        if left > 0 {
            let login = Login { email: account.email.clone(), password: account.password.clone() };
            Annotator::log_in(server, &login, NOISE, seed).await?.work(left, &known).await?;
        }
    }
    Ok(())
}

async fn labels_of(pool: &PgPool, email: &str) -> anyhow::Result<usize> {
    let labels = sqlx::query_scalar!(
        r#"
        SELECT count(*) AS "count!"
        FROM assignments a
        JOIN users u ON u.id = a.user_id
        WHERE u.email = $1 AND a.state = 'submitted'
        "#,
        email
    )
    .fetch_one(pool)
    .await?;
    Ok(usize::try_from(labels)?)
}
