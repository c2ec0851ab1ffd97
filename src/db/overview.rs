//! The counts of the dashboard: what waits, what is under way, what is done.

use sqlx::PgPool;
use uuid::Uuid;

/// A project in the list of projects.
#[derive(Debug, Clone)]
pub struct Listed {
    pub slug: String,
    pub name: String,
    pub description: String,
    pub simulated: bool,
    pub prompts: i64,
    pub labels_done: i64,
    pub labels_wanted: i64,
    /// A nightly run is queued or running.
    pub training: bool,
    /// Name of the model promoted last.
    pub answering: Option<String>,
}

/// Every project that is not archived, with its progress, newest first; of one person's projects only with `member`.
pub async fn projects(pool: &PgPool, member: Option<Uuid>) -> Result<Vec<Listed>, sqlx::Error> {
    sqlx::query_as!(
        Listed,
        r#"
        SELECT
            p.slug,
            p.name,
            p.description,
            p.simulated,
            (SELECT count(*) FROM prompts WHERE project_id = p.id) AS "prompts!",
            coalesce(t.done, 0) AS "labels_done!",
            coalesce(t.wanted, 0) AS "labels_wanted!",
            EXISTS (
                SELECT 1 FROM jobs j WHERE j.project_id = p.id AND j.kind = 'nightly' AND j.state IN ('queued', 'running')
            ) AS "training!",
            (
                SELECT m.name
                FROM promotions pr
                JOIN models m ON m.id = pr.model_id
                WHERE pr.project_id = p.id
                ORDER BY pr.id DESC
                LIMIT 1
            ) AS answering
        FROM projects p
        LEFT JOIN LATERAL (
            SELECT sum(labels) AS done, sum(overlap) AS wanted
            FROM tasks
            WHERE project_id = p.id AND withdrawn_at IS NULL
        ) t ON true
        WHERE p.archived_at IS NULL
            AND ($1::uuid IS NULL OR EXISTS (
                SELECT 1 FROM memberships m WHERE m.project_id = p.id AND m.user_id = $1))
        ORDER BY p.id DESC
        "#,
        member
    )
    .fetch_all(pool)
    .await
}

/// How far a project is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub prompts: i64,
    /// Labels that stand, imported ones and extra opinions included; not those that a reviewer set aside.
    pub demonstrations: i64,
    pub rankings: i64,
    pub comparisons: i64,
    pub demonstrations_done: i64,
    pub demonstrations_wanted: i64,
    pub rankings_done: i64,
    pub rankings_wanted: i64,
    pub comparisons_done: i64,
    pub comparisons_wanted: i64,
    /// Prompts that people write.
    pub prompts_done: i64,
    pub prompts_wanted: i64,
}

/// The totals of a project.
pub async fn progress(pool: &PgPool, project: Uuid) -> Result<Progress, sqlx::Error> {
    sqlx::query_as!(
        Progress,
        r#"
        WITH ranked AS (
            SELECT
                -- Every ranking has a first answer.
                count(*) FILTER (WHERE place.position = 0) AS rankings,
                -- An answer is the worse one in as many pairs as there are answers before it: one less than its rank.
                coalesce(sum(place.rank - 1), 0) AS comparisons
            FROM current_rankings r
            JOIN prompts p ON p.id = r.prompt_id
            JOIN ranking_responses place ON place.ranking_id = r.id
            WHERE p.project_id = $1
                AND NOT EXISTS (SELECT 1 FROM rankings_set_aside aside WHERE aside.ranking_id = r.id)
        )
        SELECT
            (SELECT count(*) FROM prompts WHERE project_id = $1) AS "prompts!",
            (SELECT count(*) FROM standing_demonstrations d JOIN prompts p ON p.id = d.prompt_id
                WHERE p.project_id = $1) AS "demonstrations!",
            (SELECT rankings FROM ranked) AS "rankings!",
            (SELECT comparisons FROM ranked) AS "comparisons!",
            coalesce(sum(labels) FILTER (WHERE kind = 'demonstration'), 0) AS "demonstrations_done!",
            coalesce(sum(overlap) FILTER (WHERE kind = 'demonstration'), 0) AS "demonstrations_wanted!",
            coalesce(sum(labels) FILTER (WHERE kind = 'ranking'), 0) AS "rankings_done!",
            coalesce(sum(overlap) FILTER (WHERE kind = 'ranking'), 0) AS "rankings_wanted!",
            coalesce(sum(labels) FILTER (WHERE kind = 'comparison'), 0) AS "comparisons_done!",
            coalesce(sum(overlap) FILTER (WHERE kind = 'comparison'), 0) AS "comparisons_wanted!",
            coalesce(sum(labels) FILTER (WHERE kind = 'prompt'), 0) AS "prompts_done!",
            coalesce(sum(overlap) FILTER (WHERE kind = 'prompt'), 0) AS "prompts_wanted!"
        FROM tasks
        WHERE project_id = $1 AND withdrawn_at IS NULL
        "#,
        project
    )
    .fetch_one(pool)
    .await
}

/// Prompts of one split and language, by how far they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptCounts {
    pub split: String,
    pub language: Option<String>,
    /// Nobody has begun.
    pub waiting: i64,
    /// Somebody has a task of it, or some but not all labels are there.
    pub under_way: i64,
    /// All labels that were wanted are there.
    pub done: i64,
    /// Nothing is asked of people: no task yet.
    pub idle: i64,
}

/// Prompts per split, language and state. The states are those of the view `prompt_states`, computed for all prompts at once.
pub async fn prompt_counts(pool: &PgPool, project: Uuid) -> Result<Vec<PromptCounts>, sqlx::Error> {
    sqlx::query_as!(
        PromptCounts,
        r#"
        WITH asked AS (
            SELECT
                prompt_id,
                count(*) FILTER (WHERE labels < overlap) AS open,
                sum(labels) AS labels
            FROM tasks
            WHERE project_id = $1 AND withdrawn_at IS NULL
            GROUP BY prompt_id
        ), leased AS (
            SELECT DISTINCT t.prompt_id
            FROM assignments a
            JOIN tasks t ON t.id = a.task_id
            WHERE t.project_id = $1 AND t.withdrawn_at IS NULL AND a.state = 'leased' AND a.lease_until > now()
        -- Materialized, or the state is worked out once for each of the four counts.
        ), states AS MATERIALIZED (
            SELECT
                p.split,
                p.language,
                CASE
                    WHEN asked.open > 0 AND (asked.labels > 0 OR p.id IN (SELECT prompt_id FROM leased)) THEN 'under_way'
                    WHEN asked.open > 0 THEN 'waiting'
                    WHEN asked.labels > 0
                        OR EXISTS (SELECT 1 FROM standing_demonstrations d WHERE d.prompt_id = p.id)
                        OR EXISTS (SELECT 1 FROM rankings r WHERE r.prompt_id = p.id) THEN 'done'
                    ELSE 'idle'
                END AS state
            FROM prompts p
            LEFT JOIN asked ON asked.prompt_id = p.id
            WHERE p.project_id = $1
        )
        SELECT
            split AS "split!",
            language,
            count(*) FILTER (WHERE state = 'waiting') AS "waiting!",
            count(*) FILTER (WHERE state = 'under_way') AS "under_way!",
            count(*) FILTER (WHERE state = 'done') AS "done!",
            count(*) FILTER (WHERE state = 'idle') AS "idle!"
        FROM states
        GROUP BY split, language
        ORDER BY array_position(ARRAY['train', 'validation', 'test'], split), language NULLS LAST
        "#,
        project
    )
    .fetch_all(pool)
    .await
}

/// People with the most labels in the last 30 days.
#[derive(Debug, Clone)]
pub struct PersonCount {
    pub name: String,
    pub simulated: bool,
    /// In the last 24 hours.
    pub today: i64,
    pub week: i64,
    pub month: i64,
}

/// Labels by person, most first; prompts that they wrote are among them. Corrections are no further labels.
pub async fn labels_by_person(pool: &PgPool, project: Uuid) -> Result<Vec<PersonCount>, sqlx::Error> {
    sqlx::query_as!(
        PersonCount,
        r#"
        WITH labels AS (
            SELECT d.user_id, d.created_at
            FROM demonstrations d
            JOIN prompts p ON p.id = d.prompt_id
            WHERE p.project_id = $1 AND d.replaces_id IS NULL AND d.created_at > now() - interval '30 days'
            UNION ALL
            SELECT r.user_id, r.created_at
            FROM rankings r
            JOIN prompts p ON p.id = r.prompt_id
            WHERE p.project_id = $1 AND r.replaces_id IS NULL AND r.created_at > now() - interval '30 days'
            UNION ALL
            SELECT w.user_id, w.created_at
            FROM written_prompts w
            JOIN prompt_briefs b ON b.id = w.brief_id
            WHERE b.project_id = $1 AND w.replaces_id IS NULL AND w.created_at > now() - interval '30 days'
        )
        SELECT
            u.name,
            u.simulated,
            count(*) FILTER (WHERE labels.created_at > now() - interval '1 day') AS "today!",
            count(*) FILTER (WHERE labels.created_at > now() - interval '7 days') AS "week!",
            count(*) AS "month!"
        FROM labels
        JOIN users u ON u.id = labels.user_id
        GROUP BY u.id, u.name, u.simulated
        ORDER BY count(*) DESC, u.name
        LIMIT 50
        "#,
        project
    )
    .fetch_all(pool)
    .await
}
