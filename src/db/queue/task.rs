//! One task as its holder works on it.

use laurel_records::Message;
use sqlx::{PgPool, types::Json};
use uuid::Uuid;

use crate::domain::{assignment::TaskKind, label_scheme::LabelScheme, written_prompt::PromptKind};

/// A task as its holder works on it.
#[derive(Debug, Clone)]
pub struct Task {
    pub assignment: Uuid,
    pub kind: TaskKind,
    /// `reserved`, `leased`, `submitted` or `skipped`.
    pub state: String,
    /// A task of a course that this person skipped and that has come again.
    pub again: bool,
    pub project_slug: String,
    pub project_name: String,
    pub project_simulated: bool,
    /// The newest guidelines, in Markdown.
    pub guidelines: Option<String>,
    pub lease_minutes: i32,
    /// What the project asks people to say of each answer.
    pub label_scheme: LabelScheme,
    pub language: Option<String>,
    /// What is asked; of a prompt to write, the one that it is to replace, or nothing.
    pub conversation: Vec<Message>,
    /// What prompt is to be written.
    pub brief: Option<Brief>,
    /// The answers in the order in which this person sees them; empty for demonstrations.
    pub answers: Vec<Answer>,
}

/// What prompt is to be written.
#[derive(Debug, Clone)]
pub struct Brief {
    pub kind: PromptKind,
    /// The use case; of the other kinds a hint, or nothing.
    pub about: String,
}

/// A candidate answer without what must not be seen of it: the model.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Place in the task, which ranks are stored by; not the place on the page.
    pub position: i32,
    pub response: Uuid,
    pub content: String,
}

/// The task of an assignment, or of one that is reserved; `None` where it is not this person's.
pub async fn task(pool: &PgPool, user: Uuid, assignment: Uuid) -> sqlx::Result<Option<Task>> {
    let row = sqlx::query!(
        r#"
        SELECT
            t.id AS task,
            t.kind,
            a.state AS "state!",
            a.again AS "again!",
            a.shown_order AS "shown_order!",
            p.slug,
            p.name,
            p.simulated,
            p.lease_minutes,
            p.label_scheme AS "label_scheme: Json<LabelScheme>",
            coalesce(pr.language, b.language) AS language,
            coalesce(pr.conversation, '[]') AS "conversation!: Json<Vec<Message>>",
            b.kind AS "brief?",
            b.about AS "about?",
            (
                SELECT g.body FROM guidelines g WHERE g.project_id = p.id ORDER BY g.version DESC LIMIT 1
            ) AS guidelines
        FROM (
            SELECT task_id, state, state = 'leased' AND skip_reason IS NOT NULL AS again, shown_order
            FROM assignments
            WHERE id = $1 AND user_id = $2
            UNION ALL
            SELECT task_id, 'reserved', false, shown_order
            FROM reservations WHERE assignment_id = $1 AND user_id = $2
        ) a
        JOIN tasks t ON t.id = a.task_id
        JOIN projects p ON p.id = t.project_id
        LEFT JOIN prompt_briefs b ON b.id = t.brief_id
        LEFT JOIN prompts pr ON pr.id = coalesce(t.prompt_id, b.replaces_prompt)
        "#,
        assignment,
        user
    )
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let answers = sqlx::query_as!(
        Answer,
        r#"
        SELECT answer.position, answer.response_id AS response, r.content
        FROM task_responses answer
        JOIN responses r ON r.id = answer.response_id
        WHERE answer.task_id = $1
        ORDER BY array_position($2::integer[], answer.position), answer.position
        "#,
        row.task,
        &row.shown_order
    )
    .fetch_all(pool)
    .await?;
    let brief = match row.brief {
        Some(kind) => Some(Brief {
            kind: kind.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            about: row.about.unwrap_or_default(),
        }),
        None => None,
    };
    Ok(Some(Task {
        assignment,
        brief,
        kind: row.kind.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        state: row.state,
        again: row.again,
        project_slug: row.slug,
        project_name: row.name,
        project_simulated: row.simulated,
        guidelines: row.guidelines,
        lease_minutes: row.lease_minutes,
        label_scheme: row.label_scheme.0,
        language: row.language,
        conversation: row.conversation.0,
        answers,
    }))
}
