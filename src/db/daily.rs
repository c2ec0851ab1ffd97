//! Labels by day and person: what the chart of a project draws, and the pace at which its tasks are done.

use sqlx::PgPool;
use time::Date;
use uuid::Uuid;

use crate::domain::pace::DayLabels;

/// Labels of one person on one day (UTC).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonDay {
    pub day: Date,
    /// `None` for labels that came with a file.
    pub user_id: Option<Uuid>,
    pub name: Option<String>,
    pub demonstrations: i64,
    pub rankings: i64,
    /// Prompts that they wrote.
    pub prompts: i64,
}

impl PersonDay {
    /// Labels of every kind.
    pub fn total(&self) -> i64 {
        self.demonstrations + self.rankings + self.prompts
    }
}

/// Labels of the last `days` days, by day and person; days and people without any are left out. A label is of the day on which it was
/// first given: a correction changes what it says, and not how much was done on a day that is over.
pub async fn by_person(pool: &PgPool, project: Uuid, days: i32) -> Result<Vec<PersonDay>, sqlx::Error> {
    sqlx::query_as!(
        PersonDay,
        r#"
        WITH labels AS (
            SELECT (d.created_at AT TIME ZONE 'UTC')::date AS day, d.user_id, 'demonstration' AS kind
            FROM demonstrations d
            JOIN prompts p ON p.id = d.prompt_id
            WHERE p.project_id = $1
                AND d.replaces_id IS NULL
                AND d.created_at > now() - make_interval(days => $2::integer + 1)
            UNION ALL
            SELECT (r.created_at AT TIME ZONE 'UTC')::date, r.user_id, 'ranking'
            FROM rankings r
            JOIN prompts p ON p.id = r.prompt_id
            WHERE p.project_id = $1
                AND r.replaces_id IS NULL
                AND r.created_at > now() - make_interval(days => $2::integer + 1)
            UNION ALL
            SELECT (w.created_at AT TIME ZONE 'UTC')::date, w.user_id, 'prompt'
            FROM written_prompts w
            JOIN prompt_briefs b ON b.id = w.brief_id
            WHERE b.project_id = $1 AND w.replaces_id IS NULL AND w.created_at > now() - make_interval(days => $2::integer + 1)
        )
        SELECT
            labels.day AS "day!",
            labels.user_id AS "user_id?",
            u.name AS "name?",
            count(*) FILTER (WHERE labels.kind = 'demonstration') AS "demonstrations!",
            count(*) FILTER (WHERE labels.kind = 'ranking') AS "rankings!",
            count(*) FILTER (WHERE labels.kind = 'prompt') AS "prompts!"
        FROM labels
        LEFT JOIN users u ON u.id = labels.user_id
        WHERE labels.day > (now() AT TIME ZONE 'UTC')::date - $2::integer
        GROUP BY labels.day, labels.user_id, u.name
        ORDER BY labels.day, u.name NULLS LAST, labels.user_id
        "#,
        project,
        days
    )
    .fetch_all(pool)
    .await
}

/// Labels of each of the last 60 days that brought a task nearer to its overlap: neither imported ones nor extra opinions.
pub async fn counted(pool: &PgPool, project: Uuid) -> Result<Vec<DayLabels>, sqlx::Error> {
    sqlx::query_as!(
        DayLabels,
        r#"
        WITH labels AS (
            SELECT d.created_at
            FROM demonstrations d
            JOIN prompts p ON p.id = d.prompt_id
            WHERE p.project_id = $1
                AND d.created_at > now() - interval '60 days'
                AND d.assignment_id IS NOT NULL
                AND d.replaces_id IS NULL
                AND NOT d.extra_opinion
            UNION ALL
            SELECT r.created_at
            FROM rankings r
            JOIN prompts p ON p.id = r.prompt_id
            WHERE p.project_id = $1
                AND r.created_at > now() - interval '60 days'
                AND r.assignment_id IS NOT NULL
                AND r.replaces_id IS NULL
                AND NOT r.extra_opinion
            UNION ALL
            SELECT w.created_at
            FROM written_prompts w
            JOIN prompt_briefs b ON b.id = w.brief_id
            WHERE b.project_id = $1 AND w.replaces_id IS NULL AND w.created_at > now() - interval '60 days' AND NOT w.extra_opinion
        )
        SELECT
            (created_at AT TIME ZONE 'UTC')::date AS "day!",
            count(*) AS "labels!"
        FROM labels
        GROUP BY 1
        ORDER BY 1
        "#,
        project
    )
    .fetch_all(pool)
    .await
}

/// What moves when people work. Two that are equal mean that nothing has happened, but for leases of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    pub tasks: i64,
    /// Labels that count, of `wanted`.
    pub labels: i64,
    pub wanted: i64,
    /// Tasks that somebody has in hand.
    pub leases: i64,
}

impl Pulse {
    /// Labels that are still to come.
    pub fn remaining(&self) -> i64 {
        self.wanted - self.labels
    }
}

/// The pulse of a project: cheap enough to be felt every other second.
pub async fn pulse(pool: &PgPool, project: Uuid) -> Result<Pulse, sqlx::Error> {
    sqlx::query_as!(
        Pulse,
        r#"
        SELECT
            count(*) AS "tasks!",
            coalesce(sum(labels), 0) AS "labels!",
            coalesce(sum(overlap), 0) AS "wanted!",
            (
                SELECT count(*)
                FROM assignments a
                JOIN tasks held ON held.id = a.task_id
                WHERE held.project_id = $1 AND a.state = 'leased' AND a.lease_until > now()
            ) AS "leases!"
        FROM tasks
        WHERE project_id = $1 AND withdrawn_at IS NULL
        "#,
        project
    )
    .fetch_one(pool)
    .await
}
