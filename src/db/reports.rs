//! Prompts that people have reported when they skipped a task, and what a lead decides.

use serde_json::json;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    audit::{self, Actor},
    briefs::{self, NewBrief},
};
use crate::domain::written_prompt::PromptKind;

/// Reports that the list shows.
pub const LISTED: i64 = 500;

/// What becomes of a reported prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is asked as before; one that was withdrawn is asked again.
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
    pub prompt: Uuid,
    /// The beginning of the prompt's last message.
    pub excerpt: String,
    /// Nobody is asked about the prompt any more.
    pub withdrawn: bool,
    /// In the person's words.
    pub reason: String,
    pub name: String,
    pub kind: String,
    pub at: OffsetDateTime,
    /// `kept`, `withdrawn` or `replaced`; nothing while it waits.
    pub decision: Option<String>,
    pub decided_by: Option<String>,
}

/// The reports of a project: those that wait first, the newest of them first; of one prompt together.
pub async fn of_project(pool: &PgPool, project: Uuid) -> sqlx::Result<Vec<Report>> {
    sqlx::query_as!(
        Report,
        r#"
        SELECT
            p.id AS prompt,
            left(p.conversation -> -1 ->> 'content', 240) AS "excerpt!",
            p.withdrawn_at IS NOT NULL AS "withdrawn!",
            btrim(substr(a.skip_reason, length('report:') + 1)) AS "reason!",
            u.name,
            t.kind,
            coalesce(a.finished_at, a.created_at) AS "at!",
            d.decision AS "decision?",
            decider.name AS "decided_by?"
        FROM assignments a
        JOIN tasks t ON t.id = a.task_id
        JOIN prompts p ON p.id = t.prompt_id
        JOIN users u ON u.id = a.user_id
        LEFT JOIN report_decisions d ON d.assignment_id = a.id
        LEFT JOIN users decider ON decider.id = d.by_user
        WHERE t.project_id = $1 AND a.state = 'skipped' AND a.skip_reason LIKE 'report:%'
        ORDER BY
            bool_or(d.decision IS NULL) OVER (PARTITION BY p.id) DESC,
            max(a.finished_at) OVER (PARTITION BY p.id) DESC,
            p.id,
            a.finished_at DESC
        LIMIT $2
        "#,
        project,
        LISTED
    )
    .fetch_all(pool)
    .await
}

/// How many prompts of a project have a report that waits.
pub async fn waiting(pool: &PgPool, project: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"
        SELECT count(DISTINCT t.prompt_id) AS "count!"
        FROM assignments a
        JOIN tasks t ON t.id = a.task_id
        WHERE t.project_id = $1
            AND t.prompt_id IS NOT NULL
            AND a.state = 'skipped'
            AND a.skip_reason LIKE 'report:%'
            AND NOT EXISTS (SELECT 1 FROM report_decisions d WHERE d.assignment_id = a.id)
        "#,
        project
    )
    .fetch_one(pool)
    .await
}

/// Decides on every report of a prompt, those that were decided before included, and notes who did. `RowNotFound` where nobody
/// has reported this prompt of the project.
pub async fn decide(
    pool: &PgPool,
    actor: &Actor,
    project: (Uuid, &str),
    prompt: Uuid,
    decision: Decision,
) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    let before = sqlx::query!(
        r#"SELECT withdrawn_at, language FROM prompts WHERE id = $1 AND project_id = $2 FOR UPDATE"#,
        prompt,
        project.0
    )
    .fetch_one(&mut *transaction)
    .await?;
    let decided = sqlx::query!(
        r#"
        INSERT INTO report_decisions (assignment_id, decision, by_user)
        SELECT a.id, $2, $3
        FROM assignments a
        JOIN tasks t ON t.id = a.task_id
        WHERE t.prompt_id = $1 AND a.state = 'skipped' AND a.skip_reason LIKE 'report:%'
        ON CONFLICT (assignment_id) DO UPDATE
        SET decision = excluded.decision, by_user = excluded.by_user, decided_at = now()
        "#,
        prompt,
        decision.taken(),
        actor.user
    )
    .execute(&mut *transaction)
    .await?;
    if decided.rows_affected() == 0 {
        return Err(sqlx::Error::RowNotFound);
    }
    match (decision, before.withdrawn_at) {
        (Decision::Keep, Some(at)) => {
            // What was withdrawn with the prompt is asked again, and nothing else.
            sqlx::query!("UPDATE tasks SET withdrawn_at = NULL WHERE prompt_id = $1 AND withdrawn_at = $2", prompt, at)
                .execute(&mut *transaction)
                .await?;
            sqlx::query!("UPDATE prompts SET withdrawn_at = NULL WHERE id = $1", prompt)
                .execute(&mut *transaction)
                .await?;
        }
        (Decision::Keep, None) | (Decision::Withdraw | Decision::Replace, Some(_)) => {}
        (Decision::Withdraw | Decision::Replace, None) => {
            sqlx::query!("UPDATE prompts SET withdrawn_at = now() WHERE id = $1", prompt)
                .execute(&mut *transaction)
                .await?;
            sqlx::query!("UPDATE tasks SET withdrawn_at = now() WHERE prompt_id = $1 AND withdrawn_at IS NULL", prompt)
                .execute(&mut *transaction)
                .await?;
        }
    }
    if decision == Decision::Replace {
        let brief = NewBrief {
            kind: PromptKind::Plain,
            about: String::new(),
            language: before.language,
            replaces: Some(prompt),
            count: 1,
        };
        briefs::insert(&mut transaction, actor, project, &brief).await?;
    }
    let detail = json!({ "decision": decision.taken(), "reports": decided.rows_affected() });
    audit::record(&mut *transaction, actor, "prompt.report", &format!("prompt/{prompt}"), detail).await?;
    transaction.commit().await
}
