//! Samples of a run: answers of the policy as it was at a step, beside those of its reference, to a few fixed prompts.

use laurel_records::{Message, SampleRecord};
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{job_metrics::whole, words};

/// A step that has samples.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SampledStep {
    pub stage: String,
    pub step: i64,
}

impl SampledStep {
    /// Reads `ppo.20`; `None` for what is no step.
    pub fn parse(text: &str) -> Option<Self> {
        let (stage, step) = text.split_once('.')?;
        let step = step.parse().ok().filter(|step| *step >= 0)?;
        Some(SampledStep { stage: stage.to_owned(), step })
    }

    /// As [`SampledStep::parse`] reads it.
    pub fn name(&self) -> String {
        format!("{}.{}", self.stage, self.step)
    }
}

/// Stores the samples of a report. One that is there already stays as it came first.
pub(super) async fn store(
    connection: &mut PgConnection,
    job: Uuid,
    samples: &[SampleRecord],
) -> Result<(), sqlx::Error> {
    for sample in samples {
        let prompt: Vec<Message> = sample
            .prompt
            .iter()
            .map(|message| Message { role: message.role, content: without_null(&message.content) })
            .collect();
        sqlx::query!(
            r#"
            INSERT INTO job_samples (
                job_id, stage, step, position, prompt, policy, policy_reward, reference, reference_reward, at
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, clock_timestamp())
            ON CONFLICT DO NOTHING
            "#,
            job,
            words::stage(sample.stage),
            whole(sample.step),
            i32::try_from(sample.position).unwrap_or(i32::MAX),
            json!(prompt),
            without_null(&sample.policy),
            sample.policy_reward,
            without_null(&sample.reference),
            sample.reference_reward
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Postgres keeps no NUL in text.
fn without_null(text: &str) -> String {
    text.replace('\0', "")
}

/// The steps of a job that have samples, the newest first.
pub async fn steps(pool: &PgPool, job: Uuid) -> Result<Vec<SampledStep>, sqlx::Error> {
    sqlx::query_as!(
        SampledStep,
        r#"
        SELECT stage, step
        FROM job_samples
        WHERE job_id = $1
        GROUP BY stage, step
        ORDER BY min(at) DESC, step DESC
        "#,
        job
    )
    .fetch_all(pool)
    .await
}

/// The samples of one step by position.
pub async fn of_step(pool: &PgPool, job: Uuid, at: &SampledStep) -> Result<Vec<SampleRecord>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        SELECT
            stage,
            step,
            position,
            prompt,
            policy,
            policy_reward,
            reference,
            reference_reward
        FROM job_samples
        WHERE job_id = $1 AND stage = $2 AND step = $3
        ORDER BY position
        "#,
        job,
        at.stage,
        at.step
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(SampleRecord {
                stage: words::parse(&row.stage)?,
                step: u64::try_from(row.step).unwrap_or_default(),
                position: u32::try_from(row.position).unwrap_or_default(),
                prompt: words::parse_json(row.prompt)?,
                policy: row.policy,
                policy_reward: row.policy_reward,
                reference: row.reference,
                reference_reward: row.reference_reward,
            })
        })
        .collect()
}

/// When the newest sample of a job was stored; a reader that knows this time has seen all.
pub async fn newest(pool: &PgPool, job: Uuid) -> Result<Option<OffsetDateTime>, sqlx::Error> {
    sqlx::query_scalar!("SELECT max(at) FROM job_samples WHERE job_id = $1", job).fetch_one(pool).await
}
