//! What a person sees of their own work: how much, how fast, how far others and known answers agree with it.

use std::collections::BTreeMap;

use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

/// Days whose work the figures are of.
const DAYS: i32 = 90;

/// Tasks finished in the person's own day and week.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    pub today: i64,
    /// From Monday.
    pub week: i64,
    pub ever: i64,
}

/// Counts what the person has submitted, choices in conversations included, since their day and their week began: moments, as
/// the database may not know the time zone by the name that a browser gives. What was corrected counts once, on the day of its
/// first version.
pub async fn done(pool: &PgPool, user: Uuid, day: OffsetDateTime, week: OffsetDateTime) -> sqlx::Result<Done> {
    sqlx::query_as!(
        Done,
        r#"
        WITH work AS (
            SELECT finished_at AS at
            FROM assignments
            WHERE user_id = $1 AND state = 'submitted'
            UNION ALL
            SELECT created_at
            FROM first_chat_choices
            WHERE user_id = $1
        )
        SELECT
            count(*) FILTER (WHERE work.at >= $2::timestamptz) AS "today!",
            count(*) FILTER (WHERE work.at >= $3::timestamptz) AS "week!",
            count(*) AS "ever!"
        FROM work
        "#,
        user,
        day,
        week
    )
    .fetch_one(pool)
    .await
}

/// Seconds that the person took for each of their newest 1,000 tasks of every kind, by kind; `chat` is choices in
/// conversations. A kind without any is left out.
pub async fn seconds(pool: &PgPool, user: Uuid) -> sqlx::Result<BTreeMap<String, Vec<f64>>> {
    let rows = sqlx::query!(
        r#"
        WITH label AS (
            SELECT assignment_id, seconds FROM demonstrations WHERE user_id = $1 AND replaces_id IS NULL
            UNION ALL
            SELECT assignment_id, seconds FROM rankings WHERE user_id = $1 AND replaces_id IS NULL
            UNION ALL
            SELECT assignment_id, seconds FROM written_prompts WHERE user_id = $1 AND replaces_id IS NULL
        ), work AS (
            SELECT t.kind, label.seconds, a.finished_at AS at
            FROM label
            JOIN assignments a ON a.id = label.assignment_id
            JOIN tasks t ON t.id = a.task_id
            UNION ALL
            SELECT 'chat', seconds, created_at
            FROM first_chat_choices
            WHERE user_id = $1
        )
        SELECT
            newest.kind AS "kind!",
            newest.seconds AS "seconds!"
        FROM (
            SELECT
                work.kind,
                work.seconds,
                row_number() OVER (PARTITION BY work.kind ORDER BY work.at DESC) AS place
            FROM work
            WHERE work.seconds IS NOT NULL AND work.at > now() - make_interval(days => $2)
        ) newest
        WHERE newest.place <= 1000
        "#,
        user,
        DAYS
    )
    .fetch_all(pool)
    .await?;
    let mut seconds: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for row in rows {
        seconds.entry(row.kind).or_default().push(row.seconds);
    }
    Ok(seconds)
}

/// Two people's ranks of one task, by the answers' positions.
#[derive(Debug, Clone)]
pub struct Shared {
    pub prompt: Uuid,
    pub mine: Vec<i32>,
    pub theirs: Vec<i32>,
}

/// What others have said of the tasks that the person judged, one entry a task and other person.
pub async fn shared(pool: &PgPool, user: Uuid) -> sqlx::Result<Vec<Shared>> {
    sqlx::query_as!(
        Shared,
        r#"
        SELECT
            mine.prompt_id AS "prompt!",
            (
                SELECT array_agg(rank ORDER BY position) FROM ranking_responses WHERE ranking_id = mine.id
            ) AS "mine!",
            (
                SELECT array_agg(rank ORDER BY position) FROM ranking_responses WHERE ranking_id = theirs.id
            ) AS "theirs!"
        FROM current_rankings mine
        JOIN current_rankings theirs ON theirs.task_id = mine.task_id AND theirs.user_id <> mine.user_id
        WHERE mine.user_id = $1
            AND mine.created_at > now() - make_interval(days => $2)
            AND NOT mine.adjudicated
            AND NOT theirs.adjudicated
        ORDER BY mine.id DESC
        LIMIT 5000
        "#,
        user,
        DAYS
    )
    .fetch_all(pool)
    .await
}

/// Pairs of each check that the person answered: those that they ordered as they are known, and all.
pub async fn checks(pool: &PgPool, user: Uuid) -> sqlx::Result<Vec<(i32, i32)>> {
    let rows = sqlx::query!(
        r#"
        SELECT agreed, pairs
        FROM gold_answers
        WHERE user_id = $1 AND purpose = 'check' AND created_at > now() - make_interval(days => $2)
        "#,
        user,
        DAYS
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.agreed, row.pairs)).collect())
}

/// How far a person is in the course of a project that demands one.
#[derive(Debug, Clone)]
pub struct Course {
    pub project: String,
    pub passed: bool,
    pub to_go: i64,
    pub agreed: i64,
    pub pairs: i64,
}

/// The courses of the person's projects, by name.
pub async fn courses(pool: &PgPool, user: Uuid) -> sqlx::Result<Vec<Course>> {
    sqlx::query_as!(
        Course,
        r#"
        SELECT
            p.name AS project,
            NOT course_is_open(p.id, $1) AS "passed!",
            course_to_go(p.id, $1) AS "to_go!",
            coalesce(given.agreed, 0) AS "agreed!",
            coalesce(given.pairs, 0) AS "pairs!"
        FROM projects p
        CROSS JOIN LATERAL (
            SELECT sum(a.agreed) AS agreed, sum(a.pairs) AS pairs
            FROM gold_answers a
            JOIN assignments had ON had.id = a.assignment_id
            JOIN tasks t ON t.id = a.task_id
            WHERE a.user_id = $1 AND a.purpose = 'course' AND t.project_id = p.id
                AND had.attempt = course_attempt(p.id, $1)
        ) AS given
        WHERE p.archived_at IS NULL
            AND p.course_tasks > 0
            AND (p.open_to_everyone OR EXISTS (
                SELECT 1 FROM memberships m WHERE m.project_id = p.id AND m.user_id = $1))
        ORDER BY p.name, p.id
        "#,
        user
    )
    .fetch_all(pool)
    .await
}
