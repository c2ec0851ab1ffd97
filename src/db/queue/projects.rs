//! The projects of a person: what waits for them in each, and what they are to read.

use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

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
