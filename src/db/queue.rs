//! What an annotator sees: projects with what waits in them, begun and finished work, one task, the guidelines.

use laurel_records::Message;
use sqlx::{PgPool, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{assignment::TaskKind, label_scheme::LabelScheme, written_prompt::PromptKind};

/// A project and what waits there for one person.
#[derive(Debug, Clone)]
pub struct ProjectQueue {
    pub slug: String,
    pub name: String,
    pub description: String,
    pub simulated: bool,
    pub has_guidelines: bool,
    /// Tasks that this person could be given now.
    pub demonstrations: i64,
    pub rankings: i64,
    pub comparisons: i64,
    /// Prompts to write.
    pub prompts: i64,
    /// Tasks of the course that come before real work; `None` where there is none, or it is passed.
    pub course: Option<i64>,
    /// This person's labels in the project, choices in conversations included.
    pub done: i64,
}

impl ProjectQueue {
    /// Tasks of any kind.
    pub fn waiting(&self) -> i64 {
        self.demonstrations + self.rankings + self.comparisons + self.prompts + self.course.unwrap_or(0)
    }
}

/// The projects that a person may work on, those with waiting tasks first.
pub async fn projects(pool: &PgPool, user: Uuid) -> sqlx::Result<Vec<ProjectQueue>> {
    sqlx::query_as!(
        ProjectQueue,
        r#"
        SELECT
            p.slug,
            p.name,
            p.description,
            p.simulated,
            EXISTS (SELECT 1 FROM guidelines g WHERE g.project_id = p.id) AS "has_guidelines!",
            waiting.demonstrations AS "demonstrations!",
            waiting.rankings AS "rankings!",
            waiting.comparisons AS "comparisons!",
            waiting.prompts AS "prompts!",
            CASE WHEN course.open THEN course_to_go(p.id, $1) END AS course,
            (
                SELECT count(*)
                FROM assignments a
                JOIN tasks t ON t.id = a.task_id
                WHERE a.user_id = $1 AND a.state = 'submitted' AND t.project_id = p.id
            ) + (
                SELECT count(*)
                FROM chats c
                JOIN chat_turns turn ON turn.chat_id = c.id
                WHERE c.user_id = $1 AND c.project_id = p.id AND turn.ranking_id IS NOT NULL
            ) AS "done!"
        FROM projects p
        JOIN users speaker ON speaker.id = $1
        CROSS JOIN LATERAL (SELECT course_is_open(p.id, $1) AS open) course
        CROSS JOIN LATERAL (
            SELECT
                count(*) FILTER (WHERE t.kind = 'demonstration' AND p.plan_demonstrations > 0) AS demonstrations,
                count(*) FILTER (WHERE t.kind = 'ranking' AND p.plan_rankings > 0) AS rankings,
                count(*) FILTER (WHERE t.kind = 'comparison' AND p.plan_comparisons > 0) AS comparisons,
                count(*) FILTER (WHERE t.kind = 'prompt' AND p.plan_prompts > 0) AS prompts
            FROM tasks t
            LEFT JOIN (
                SELECT task_id, count(*) AS live
                FROM assignments
                WHERE state = 'leased' AND lease_until > now()
                GROUP BY task_id
            ) leases ON leases.task_id = t.id
            WHERE t.project_id = p.id
                AND NOT course.open
                AND t.withdrawn_at IS NULL
                AND t.labels < t.overlap
                AND t.labels + coalesce(leases.live, 0) < t.overlap
                AND (speaker.languages = '{}' OR t.language = '' OR t.language = ANY (speaker.languages))
                AND NOT EXISTS (SELECT 1 FROM assignments mine WHERE mine.task_id = t.id AND mine.user_id = $1)
        ) waiting
        WHERE p.archived_at IS NULL
            AND (p.open_to_everyone OR EXISTS (
                SELECT 1 FROM memberships m WHERE m.project_id = p.id AND m.user_id = $1))
        ORDER BY waiting.demonstrations + waiting.rankings + waiting.comparisons + waiting.prompts = 0 AND NOT course.open, p.name, p.id
        "#,
        user
    )
    .fetch_all(pool)
    .await
}

/// A piece of a person's own work, for a list.
#[derive(Debug, Clone)]
pub struct Work {
    /// The assignment; of a choice in a conversation, its ranking.
    pub id: Uuid,
    /// The conversation and the number of the turn, of a choice in one.
    pub chat: Option<Uuid>,
    pub turn: Option<i32>,
    /// The kind of the task, or `chat`.
    pub kind: String,
    pub state: String,
    pub project: String,
    /// The beginning of the prompt's last message.
    pub prompt: String,
    /// When it was finished; where it is not, when it was begun.
    pub at: OffsetDateTime,
    /// Begun, and its lease still runs.
    pub live: bool,
    /// Something is saved that is not submitted; of finished work, a correction.
    pub has_draft: bool,
}

impl Work {
    /// The page on which it is shown.
    pub fn address(&self) -> String {
        match (self.chat, self.turn) {
            (Some(chat), Some(turn)) => format!("/chats/{chat}/turns/{turn}"),
            _ => format!("/tasks/{}", self.id),
        }
    }
}

/// Tasks that the person has begun and neither submitted nor skipped, oldest first; one whose lease ended is there while it
/// has a draft.
pub async fn begun(pool: &PgPool, user: Uuid) -> sqlx::Result<Vec<Work>> {
    sqlx::query_as!(
        Work,
        r#"
        SELECT
            a.id,
            NULL::uuid AS chat,
            NULL::integer AS turn,
            t.kind,
            a.state,
            p.name AS project,
            left(coalesce(pr.conversation -> -1 ->> 'content', b.about), 200) AS "prompt!",
            a.created_at AS at,
            a.lease_until > now() AS "live!",
            d.assignment_id IS NOT NULL AS "has_draft!"
        FROM assignments a
        JOIN tasks t ON t.id = a.task_id
        JOIN projects p ON p.id = t.project_id
        LEFT JOIN prompt_briefs b ON b.id = t.brief_id
        LEFT JOIN current_written_prompts w ON w.assignment_id = a.id
        LEFT JOIN prompts pr ON pr.id = coalesce(t.prompt_id, w.prompt_id)
        LEFT JOIN drafts d ON d.assignment_id = a.id
        WHERE a.user_id = $1
            AND a.state = 'leased'
            AND (a.lease_until > now() OR d.assignment_id IS NOT NULL)
        ORDER BY a.created_at, a.id
        LIMIT 20
        "#,
        user
    )
    .fetch_all(pool)
    .await
}

/// What of a person's finished work is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    Submitted,
    Skipped,
}

impl Finished {
    fn as_str(self) -> &'static str {
        match self {
            Finished::Submitted => "submitted",
            Finished::Skipped => "skipped",
        }
    }
}

/// What the person submitted or skipped last, newest first: `most` of what was finished before the work of the id `before`. Choices
/// in conversations are among what they submitted.
pub async fn finished(
    pool: &PgPool,
    user: Uuid,
    what: Finished,
    before: Option<Uuid>,
    most: i64,
) -> sqlx::Result<Vec<Work>> {
    sqlx::query_as!(
        Work,
        r#"
        WITH seen AS (
            SELECT id, finished_at AS at FROM assignments WHERE id = $3 AND user_id = $1
            UNION ALL
            SELECT id, created_at FROM rankings WHERE id = $3 AND user_id = $1 AND task_id IS NULL
        ), tasks_done AS (
            SELECT
                a.id,
                NULL::uuid AS chat,
                NULL::integer AS turn,
                t.kind,
                a.state,
                p.name AS project,
                left(coalesce(pr.conversation -> -1 ->> 'content', b.about), 200) AS prompt,
                coalesce(a.finished_at, a.created_at) AS at,
                d.replaces IS NOT NULL AS has_draft
            FROM assignments a
            JOIN tasks t ON t.id = a.task_id
            JOIN projects p ON p.id = t.project_id
            LEFT JOIN prompt_briefs b ON b.id = t.brief_id
            LEFT JOIN current_written_prompts w ON w.assignment_id = a.id
            LEFT JOIN prompts pr ON pr.id = coalesce(t.prompt_id, w.prompt_id)
            LEFT JOIN drafts d ON d.assignment_id = a.id
            WHERE a.user_id = $1
                AND a.state = $2
                AND ($3::uuid IS NULL OR (a.finished_at, a.id) < (SELECT seen.at, seen.id FROM seen))
            ORDER BY a.finished_at DESC, a.id DESC
            LIMIT $4
        ), choices AS (
            SELECT
                r.id,
                c.id AS chat,
                turn.number AS turn,
                'chat' AS kind,
                'submitted' AS state,
                p.name AS project,
                left(pr.conversation -> -1 ->> 'content', 200) AS prompt,
                r.created_at AS at,
                d.chat_id IS NOT NULL AS has_draft
            FROM chats c
            JOIN chat_turns turn ON turn.chat_id = c.id
            JOIN rankings r ON r.id = turn.ranking_id
            JOIN prompts pr ON pr.id = turn.prompt_id
            JOIN projects p ON p.id = c.project_id
            LEFT JOIN chat_choice_drafts d
                ON d.chat_id = turn.chat_id AND d.number = turn.number AND d.replaces = turn.ranking_id
            WHERE c.user_id = $1
                AND $2 = 'submitted'
                AND ($3::uuid IS NULL OR (r.created_at, r.id) < (SELECT seen.at, seen.id FROM seen))
            ORDER BY r.created_at DESC, r.id DESC
            LIMIT $4
        )
        SELECT
            id AS "id!",
            chat,
            turn,
            kind AS "kind!",
            state AS "state!",
            project AS "project!",
            prompt AS "prompt!",
            at AS "at!",
            false AS "live!",
            has_draft AS "has_draft!"
        FROM (TABLE tasks_done UNION ALL TABLE choices) AS work
        ORDER BY at DESC, id DESC
        LIMIT $4
        "#,
        user,
        what.as_str(),
        before,
        most
    )
    .fetch_all(pool)
    .await
}

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

/// A project's newest guidelines.
#[derive(Debug, Clone)]
pub struct Guidelines {
    pub project: String,
    pub version: Option<i32>,
    pub body: Option<String>,
    pub written_at: Option<OffsetDateTime>,
}

/// The newest guidelines of a project that the person may work on, or of any for someone who `sees_all`; `None` where there is
/// no such project for them.
pub async fn guidelines(pool: &PgPool, user: Uuid, sees_all: bool, slug: &str) -> sqlx::Result<Option<Guidelines>> {
    sqlx::query_as!(
        Guidelines,
        r#"
        SELECT p.name AS project, g.version AS "version?", g.body AS "body?", g.created_at AS "written_at?"
        FROM projects p
        LEFT JOIN guidelines g ON g.project_id = p.id
        WHERE p.slug = $2
            AND ($3 OR p.open_to_everyone OR EXISTS (
                SELECT 1 FROM memberships m WHERE m.project_id = p.id AND m.user_id = $1))
        ORDER BY g.version DESC NULLS LAST
        LIMIT 1
        "#,
        user,
        slug,
        sees_all
    )
    .fetch_optional(pool)
    .await
}
