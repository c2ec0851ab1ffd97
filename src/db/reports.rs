//! Prompts, and briefs of prompts to write, that people have reported or found unfit when they skipped a task, and what a lead decides.
//! Which reasons for a skip say something of the prompt, the database's function `skip_concerns_prompt` knows. A task of a course keeps
//! its reason when it comes again after the skip.

use serde_json::json;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    audit::{self, Actor},
    briefs::{self, NewBrief},
    tasks, written_prompts,
};
use crate::domain::written_prompt::PromptKind;

/// Reports that the list shows.
pub const LISTED: i64 = 500;

/// What becomes of a reported prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is asked as before; one that was withdrawn is asked again, unless its writer has put another in its place. People are asked
    /// no more to write one in its place.
    Keep,
    /// Nobody is asked any more, no model answers it, and exports of prompts leave it out. Labels stay.
    Withdraw,
    /// Withdrawn, and people are asked to write another in its place.
    Replace,
}

impl Decision {
    /// The decision that a form's word names.
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "keep" => Some(Decision::Keep),
            "withdraw" => Some(Decision::Withdraw),
            "replace" => Some(Decision::Replace),
            _ => None,
        }
    }

    /// What the database says once it is taken.
    fn taken(self) -> &'static str {
        match self {
            Decision::Keep => "kept",
            Decision::Withdraw => "withdrawn",
            Decision::Replace => "replaced",
        }
    }
}

/// One report.
#[derive(Debug, Clone)]
pub struct Report {
    /// The prompt; of a task to write one, the brief.
    pub subject: Uuid,
    /// The kind of prompt that a brief asks for; nothing where the report is of a prompt.
    pub brief: Option<String>,
    /// The beginning of the prompt's last message, or of what the brief is about; may be empty for a brief.
    pub excerpt: String,
    /// Nobody is asked about it any more.
    pub withdrawn: bool,
    /// The prompt that its writer has put in its place.
    pub newer: Option<Uuid>,
    /// How many people have skipped it, for whatever reason.
    pub skipped_by: i64,
    /// The word of the reason.
    pub reason: String,
    /// In the person's words; may be empty.
    pub words: String,
    pub name: String,
    pub kind: String,
    pub at: OffsetDateTime,
    /// `kept`, `withdrawn` or `replaced`; nothing while it waits.
    pub decision: Option<String>,
    pub decided_by: Option<String>,
}

/// The reports of a project: those that wait first, the newest of them first; of one prompt or brief together.
pub async fn of_project(pool: &PgPool, project: Uuid) -> sqlx::Result<Vec<Report>> {
    sqlx::query_as!(
        Report,
        r#"
        SELECT
            coalesce(t.prompt_id, t.brief_id) AS "subject!",
            b.kind AS "brief?",
            left(coalesce(p.conversation -> -1 ->> 'content', b.about), 240) AS "excerpt!",
            coalesce(p.withdrawn_at, b.withdrawn_at) IS NOT NULL AS "withdrawn!",
            (
                SELECT stands.prompt_id
                FROM written_prompts w
                JOIN current_written_prompts stands ON stands.assignment_id = w.assignment_id
                WHERE w.prompt_id = t.prompt_id AND stands.prompt_id <> t.prompt_id
                LIMIT 1
            ) AS newer,
            (
                SELECT count(DISTINCT skipped.user_id)
                FROM tasks beside
                JOIN assignments skipped ON skipped.task_id = beside.id AND skipped.skip_reason IS NOT NULL
                WHERE beside.prompt_id = t.prompt_id OR beside.brief_id = t.brief_id
            ) AS "skipped_by!",
            split_part(a.skip_reason, ':', 1) AS "reason!",
            btrim(substr(a.skip_reason, length(split_part(a.skip_reason, ':', 1)) + 2)) AS "words!",
            u.name,
            t.kind,
            coalesce(a.finished_at, a.created_at) AS "at!",
            d.decision AS "decision?",
            decider.name AS "decided_by?"
        FROM assignments a
        JOIN tasks t ON t.id = a.task_id
        LEFT JOIN prompts p ON p.id = t.prompt_id
        LEFT JOIN prompt_briefs b ON b.id = t.brief_id
        JOIN users u ON u.id = a.user_id
        LEFT JOIN report_decisions d ON d.assignment_id = a.id
        LEFT JOIN users decider ON decider.id = d.by_user
        WHERE t.project_id = $1 AND skip_concerns_prompt(a.skip_reason)
        ORDER BY
            bool_or(d.decision IS NULL) OVER (PARTITION BY coalesce(t.prompt_id, t.brief_id)) DESC,
            max(a.finished_at) OVER (PARTITION BY coalesce(t.prompt_id, t.brief_id)) DESC,
            coalesce(t.prompt_id, t.brief_id),
            a.finished_at DESC
        LIMIT $2
        "#,
        project,
        LISTED
    )
    .fetch_all(pool)
    .await
}

/// How many prompts and briefs of a project have a report that waits.
pub async fn waiting(pool: &PgPool, project: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"
        SELECT count(DISTINCT coalesce(t.prompt_id, t.brief_id)) AS "count!"
        FROM assignments a
        JOIN tasks t ON t.id = a.task_id
        WHERE t.project_id = $1
            AND skip_concerns_prompt(a.skip_reason)
            AND NOT EXISTS (SELECT 1 FROM report_decisions d WHERE d.assignment_id = a.id)
        "#,
        project
    )
    .fetch_one(pool)
    .await
}

/// Decides on every report of a prompt or a brief, those that were decided before included, and notes who did. `RowNotFound` where
/// nobody has reported one of this id in the project.
pub async fn decide(
    pool: &PgPool,
    actor: &Actor,
    project: (Uuid, &str),
    subject: Uuid,
    decision: Decision,
) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    // This refers to the assignments, and comes before the tasks: whoever submits what they had skipped holds the one before the other.
    let decided = sqlx::query!(
        r#"
        INSERT INTO report_decisions (assignment_id, decision, by_user)
        SELECT a.id, $2, $3
        FROM assignments a
        JOIN tasks t ON t.id = a.task_id
        WHERE t.project_id = $4
            AND (t.prompt_id = $1 OR t.brief_id = $1)
            AND skip_concerns_prompt(a.skip_reason)
        ORDER BY a.id
        ON CONFLICT (assignment_id) DO UPDATE
        SET decision = excluded.decision, by_user = excluded.by_user, decided_at = now()
        "#,
        subject,
        decision.taken(),
        actor.user,
        project.0
    )
    .execute(&mut *transaction)
    .await?;
    if decided.rows_affected() == 0 {
        return Err(sqlx::Error::RowNotFound);
    }
    tasks::lock_of_prompt(&mut transaction, subject).await?;
    let before = sqlx::query!(
        r#"SELECT withdrawn_at, language FROM prompts WHERE id = $1 AND project_id = $2 FOR UPDATE"#,
        subject,
        project.0
    )
    .fetch_optional(&mut *transaction)
    .await?;
    match before {
        Some(before) => {
            settle_prompt(&mut transaction, subject, before.withdrawn_at, decision).await?;
            let replacements = replacements(&mut transaction, project.0, subject).await?;
            if decision == Decision::Keep {
                for brief in &replacements {
                    briefs::withdraw(&mut transaction, actor, project.0, *brief, true).await?;
                }
            }
            // Asked for twice, by two clicks or two leads, one prompt takes its place.
            if decision == Decision::Replace && replacements.is_empty() {
                let brief = NewBrief {
                    kind: PromptKind::Plain,
                    about: String::new(),
                    language: before.language,
                    replaces: Some(subject),
                    count: 1,
                };
                briefs::insert(&mut transaction, actor, project, &brief).await?;
            }
            let detail = json!({ "decision": decision.taken(), "reports": decided.rows_affected() });
            audit::record(&mut *transaction, actor, "prompt.report", &format!("prompt/{subject}"), detail).await?;
        }
        // A brief: nothing takes its place, so that to replace it is to withdraw it.
        None => settle_brief(&mut transaction, actor, project.0, subject, decision).await?,
    }
    transaction.commit().await
}

/// The briefs by which people are asked to write another in a prompt's place.
async fn replacements(connection: &mut PgConnection, project: Uuid, prompt: Uuid) -> sqlx::Result<Vec<Uuid>> {
    let mut briefs = briefs::of_project(connection, project).await?;
    briefs.retain(|brief| brief.replaces == Some(prompt) && !brief.withdrawn && brief.written < brief.wanted);
    Ok(briefs.into_iter().map(|brief| brief.id).collect())
}

/// Withdraws a prompt, or asks about it again, as a decision says.
async fn settle_prompt(
    connection: &mut PgConnection,
    prompt: Uuid,
    withdrawn_at: Option<OffsetDateTime>,
    decision: Decision,
) -> sqlx::Result<()> {
    match (decision, withdrawn_at) {
        // What its writer has corrected stays on record only.
        (Decision::Keep, Some(_)) if written_prompts::newer(&mut *connection, prompt).await?.is_some() => {}
        (Decision::Keep, Some(at)) => {
            // What was withdrawn with the prompt is asked again, and nothing else.
            sqlx::query!("UPDATE tasks SET withdrawn_at = NULL WHERE prompt_id = $1 AND withdrawn_at = $2", prompt, at)
                .execute(&mut *connection)
                .await?;
            sqlx::query!(
                r#"
                UPDATE gold_tasks g
                SET retired_at = NULL
                FROM tasks t
                WHERE t.id = g.task_id AND t.prompt_id = $1 AND g.retired_at = $2
                "#,
                prompt,
                at
            )
            .execute(&mut *connection)
            .await?;
            sqlx::query!("UPDATE prompts SET withdrawn_at = NULL WHERE id = $1", prompt).execute(connection).await?;
        }
        (Decision::Keep, None) => {}
        (Decision::Withdraw | Decision::Replace, Some(_)) => retire_known(connection, prompt).await?,
        (Decision::Withdraw | Decision::Replace, None) => {
            sqlx::query!("UPDATE prompts SET withdrawn_at = now() WHERE id = $1", prompt)
                .execute(&mut *connection)
                .await?;
            sqlx::query!("UPDATE tasks SET withdrawn_at = now() WHERE prompt_id = $1 AND withdrawn_at IS NULL", prompt)
                .execute(&mut *connection)
                .await?;
            retire_known(connection, prompt).await?;
        }
    }
    Ok(())
}

/// Checks and courses ask about a withdrawn prompt no more: their tasks are outside the ordinary queue.
async fn retire_known(connection: &mut PgConnection, prompt: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        UPDATE gold_tasks g
        SET retired_at = p.withdrawn_at
        FROM tasks t
        JOIN prompts p ON p.id = t.prompt_id
        WHERE t.id = g.task_id AND p.id = $1 AND g.retired_at IS NULL
        "#,
        prompt
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Withdraws a brief, or asks for its prompts again, as a decision says.
async fn settle_brief(
    connection: &mut PgConnection,
    actor: &Actor,
    project: Uuid,
    brief: Uuid,
    decision: Decision,
) -> sqlx::Result<()> {
    let withdraw = decision != Decision::Keep;
    // Whoever submits a prompt for the brief holds its task, which is withdrawn after this, and then refers to the brief: they are
    // not kept from that.
    let withdrawn = sqlx::query_scalar!(
        r#"
        SELECT withdrawn_at IS NOT NULL AS "withdrawn!"
        FROM prompt_briefs
        WHERE id = $1 AND project_id = $2
        FOR NO KEY UPDATE
        "#,
        brief,
        project
    )
    .fetch_one(&mut *connection)
    .await?;
    if withdrawn != withdraw {
        briefs::withdraw(&mut *connection, actor, project, brief, withdraw).await?;
    }
    let detail = json!({ "decision": decision.taken() });
    audit::record(&mut *connection, actor, "prompt.report", &format!("brief/{brief}"), detail).await
}
