//! A person's own work: what they have begun, and what they submitted or skipped.

use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

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
