//! What reviewers said to a person about their rankings.

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

/// The newest reviews of a person's rankings, newest first.
pub async fn feedback_for(pool: &PgPool, user: Uuid, limit: i64) -> sqlx::Result<Vec<Feedback>> {
    sqlx::query_as!(
        Feedback,
        r#"
        SELECT
            r.assignment_id AS "assignment?",
            project.name AS project,
            left(p.conversation -> -1 ->> 'content', 200) AS "excerpt!",
            v.verdict AS "verdict!",
            v.feedback AS "feedback!",
            v.created_at AS "at!"
        FROM rankings r
        JOIN current_reviews v ON v.ranking_id = r.id
        JOIN prompts p ON p.id = r.prompt_id
        JOIN projects project ON project.id = p.project_id
        WHERE r.user_id = $1 AND NOT r.adjudicated
        ORDER BY v.id DESC
        LIMIT $2
        "#,
        user,
        limit
    )
    .fetch_all(pool)
    .await
}
