//! What reviewers said to a person about their work.

use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

/// A review that a person can read; its reviewer is not named.
#[derive(Debug, Clone)]
pub struct Feedback {
    /// The person's own page of the task.
    pub assignment: Option<Uuid>,
    pub project: String,
    /// The last message of the prompt, its beginning.
    pub excerpt: String,
    /// `accepted`, `corrected` or `rejected`.
    pub verdict: String,
    /// May be empty.
    pub feedback: String,
    pub at: OffsetDateTime,
}

/// The newest reviews of a person's rankings and texts, newest first.
pub async fn feedback_for(pool: &PgPool, user: Uuid, limit: i64) -> sqlx::Result<Vec<Feedback>> {
    sqlx::query_as!(
        Feedback,
        r#"
        SELECT
            said.assignment_id AS "assignment?",
            project.name AS project,
            left(p.conversation -> -1 ->> 'content', 200) AS "excerpt!",
            said.verdict AS "verdict!",
            said.feedback AS "feedback!",
            said.created_at AS "at!"
        FROM (
            SELECT v.id, r.prompt_id, r.assignment_id, v.verdict, v.feedback, v.created_at
            FROM rankings r
            JOIN current_reviews v ON v.ranking_id = r.id
            WHERE r.user_id = $1 AND NOT r.adjudicated
            UNION ALL
            SELECT v.id, d.prompt_id, d.assignment_id, v.verdict, v.feedback, v.created_at
            FROM demonstrations d
            JOIN current_demonstration_reviews v ON v.demonstration_id = d.id
            WHERE d.user_id = $1
        ) said
        JOIN prompts p ON p.id = said.prompt_id
        JOIN projects project ON project.id = p.project_id
        ORDER BY said.id DESC
        LIMIT $2
        "#,
        user,
        limit
    )
    .fetch_all(pool)
    .await
}

/// What a reviewer said of one label of a person.
#[derive(Debug, Clone)]
pub struct Said {
    /// `accepted`, `corrected` or `rejected`.
    pub verdict: String,
    /// May be empty.
    pub feedback: String,
    /// What stands in place of a text.
    pub text: Option<String>,
    pub at: OffsetDateTime,
}

/// What was said last of an assignment's label; `None` where nobody has looked at it. Only its maker finds it.
pub async fn said_of(pool: &PgPool, user: Uuid, assignment: Uuid) -> sqlx::Result<Option<Said>> {
    sqlx::query_as!(
        Said,
        r#"
        SELECT v.verdict AS "verdict!", v.feedback AS "feedback!", NULL AS text, v.created_at AS "at!"
        FROM rankings r
        JOIN current_reviews v ON v.ranking_id = r.id
        WHERE r.assignment_id = $1 AND r.user_id = $2
        UNION ALL
        SELECT v.verdict, v.feedback, own.completion, v.created_at
        FROM demonstrations d
        JOIN current_demonstration_reviews v ON v.demonstration_id = d.id
        LEFT JOIN demonstrations own ON own.id = v.text_id
        WHERE d.assignment_id = $1 AND d.user_id = $2
        ORDER BY 4 DESC
        LIMIT 1
        "#,
        assignment,
        user
    )
    .fetch_optional(pool)
    .await
}
