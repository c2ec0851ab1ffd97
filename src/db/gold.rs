//! Tasks with known answers as people meet them: handed out in the course and as unannounced checks, answered, explained.

use sqlx::{PgExecutor, PgPool, Postgres, Transaction, types::Json};
use uuid::Uuid;

use super::{
    label_versions::Correction,
    labels::{self, Columns, Held, NewRanking, SubmitError},
};
use crate::domain::gold::Agreement;

/// An unannounced check of the project that the person has not seen, as often as the project wants one.
pub(super) async fn next_check(
    tx: &mut Transaction<'_, Postgres>,
    user: Uuid,
    project: Uuid,
    languages: &[String],
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        r#"
        SELECT g.task_id
        FROM gold_tasks g
        JOIN tasks t ON t.id = g.task_id
        JOIN projects p ON p.id = t.project_id
        WHERE p.id = $2
            AND random() * 100 < p.gold_percent
            AND g.purpose = 'check'
            AND g.retired_at IS NULL
            AND ($3::text[] = '{}' OR t.language = ANY ($3))
            AND NOT EXISTS (
                SELECT 1
                FROM assignments mine
                JOIN tasks same ON same.id = mine.task_id
                WHERE mine.user_id = $1 AND same.prompt_id = t.prompt_id AND same.kind = t.kind
            )
        ORDER BY random()
        LIMIT 1
        "#,
        user,
        project,
        languages
    )
    .fetch_optional(&mut **tx)
    .await
}

/// The next task of the project's course that the person has not seen.
pub(super) async fn next_of_course(
    tx: &mut Transaction<'_, Postgres>,
    user: Uuid,
    project: Uuid,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        r#"
        SELECT g.task_id
        FROM gold_tasks g
        JOIN tasks t ON t.id = g.task_id
        WHERE t.project_id = $2
            AND g.purpose = 'course'
            AND g.retired_at IS NULL
            AND NOT EXISTS (
                SELECT 1 FROM assignments mine
                WHERE mine.task_id = t.id AND mine.user_id = $1 AND mine.attempt = course_attempt($2, $1))
        ORDER BY g.created_at, g.task_id
        LIMIT 1
        "#,
        user,
        project
    )
    .fetch_optional(&mut **tx)
    .await
}

/// A task of a course that a person has skipped.
pub(super) struct Skipped {
    pub task: Uuid,
    pub assignment: Uuid,
}

/// The task of the project's course that the person skipped longest ago, locked until the transaction ends: it comes again.
/// Where other work may wait, `at_once` is false, and they have to have submitted something since: whoever can't do this task
/// is not kept from the rest.
pub(super) async fn skipped_of_course(
    tx: &mut Transaction<'_, Postgres>,
    user: Uuid,
    project: Uuid,
    at_once: bool,
) -> sqlx::Result<Option<Skipped>> {
    sqlx::query_as!(
        Skipped,
        r#"
        SELECT mine.task_id AS task, mine.id AS assignment
        FROM assignments mine
        JOIN gold_tasks g ON g.task_id = mine.task_id
        JOIN tasks t ON t.id = mine.task_id
        WHERE mine.user_id = $1
            AND mine.state = 'skipped'
            AND mine.attempt = course_attempt($2, $1)
            AND t.project_id = $2
            AND g.purpose = 'course'
            AND g.retired_at IS NULL
            AND ($3 OR EXISTS (
                SELECT 1
                FROM assignments since
                WHERE since.user_id = $1 AND since.state = 'submitted' AND since.finished_at > mine.finished_at
            ))
        ORDER BY mine.finished_at, mine.id
        LIMIT 1
        FOR UPDATE OF mine
        "#,
        user,
        project,
        at_once
    )
    .fetch_optional(&mut **tx)
    .await
}

/// Stores the answer to a task whose answer is known, with how far both agree; `None` where it is an ordinary task, whose answer
/// is a label.
pub(super) async fn store(
    tx: &mut Transaction<'_, Postgres>,
    held: &Held,
    (user, assignment): (Uuid, Uuid),
    new: NewRanking<'_>,
) -> Result<Option<Uuid>, SubmitError> {
    let known = sqlx::query!("SELECT purpose, ranks FROM gold_tasks WHERE task_id = $1", held.task)
        .fetch_optional(&mut **tx)
        .await?;
    let Some(known) = known else { return Ok(None) };
    let Columns { ranks, ratings, flags } = labels::columns(tx, held, new).await?;
    let agreement = Agreement::of(&known.ranks, &ranks);
    let id = Uuid::now_v7();
    sqlx::query!(
        r#"
        INSERT INTO gold_answers (
            id, task_id, assignment_id, user_id, purpose, ranks, confidence, ratings, flags, all_bad, note, seconds, agreed,
            pairs, rating_scale
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
        "#,
        id,
        held.task,
        assignment,
        user,
        known.purpose,
        &ranks,
        new.confidence.map(|confidence| i32::from(confidence.point())),
        &ratings as &[Option<i32>],
        &flags,
        new.assessment.all_bad,
        new.note,
        new.seconds,
        agreement.agreed,
        agreement.pairs,
        Json(&new.assessment.scale) as _
    )
    .execute(&mut **tx)
    .await?;
    if known.purpose == "course" {
        pass_if_reached(tx, held.task, user).await?;
    }
    Ok(Some(id))
}

/// Stores a correction of an answer to a task with a known answer, which looks to its maker as every other one does: whether
/// it is stored, or another version has taken the place of the one that it would replace; `None` where it is an ordinary task.
pub(super) async fn correct(
    tx: &mut Transaction<'_, Postgres>,
    held: &Held,
    correction: Correction,
    new: NewRanking<'_>,
) -> Result<Option<bool>, SubmitError> {
    let standing = sqlx::query_scalar!(
        r#"
        SELECT id AS "id!"
        FROM (
            SELECT id FROM gold_answers WHERE assignment_id = $1
            UNION ALL
            SELECT id FROM gold_corrections WHERE assignment_id = $1
        ) AS versions
        ORDER BY id DESC
        LIMIT 1
        "#,
        correction.assignment
    )
    .fetch_optional(&mut **tx)
    .await?;
    let Some(standing) = standing else { return Ok(None) };
    if standing != correction.replaces {
        return Ok(Some(false));
    }
    let Columns { ranks, ratings, flags } = labels::columns(tx, held, new).await?;
    sqlx::query!(
        r#"
        INSERT INTO gold_corrections (id, assignment_id, ranks, confidence, ratings, flags, all_bad, note, rating_scale)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        "#,
        Uuid::now_v7(),
        correction.assignment,
        &ranks,
        new.confidence.map(|confidence| i32::from(confidence.point())),
        &ratings as &[Option<i32>],
        &flags,
        new.assessment.all_bad,
        new.note,
        Json(&new.assessment.scale) as _
    )
    .execute(&mut **tx)
    .await?;
    Ok(Some(true))
}

/// Lets the person pass the course where their last answers reach its mark.
async fn pass_if_reached(tx: &mut Transaction<'_, Postgres>, task: Uuid, user: Uuid) -> sqlx::Result<()> {
    let last = sqlx::query!(
        r#"
        SELECT
            p.id AS project,
            p.course_pass_percent,
            least(p.course_tasks, (
                SELECT count(*) FROM gold_tasks g JOIN tasks t ON t.id = g.task_id
                WHERE t.project_id = p.id AND g.purpose = 'course' AND g.retired_at IS NULL
            )) AS "demanded!",
            given.answers AS "answers!",
            given.agreed AS "agreed!",
            given.pairs AS "pairs!"
        FROM tasks of
        JOIN projects p ON p.id = of.project_id
        CROSS JOIN LATERAL (
            SELECT
                count(*) AS answers,
                coalesce(sum(last.agreed), 0)::integer AS agreed,
                coalesce(sum(last.pairs), 0)::integer AS pairs
            FROM (
                SELECT a.agreed, a.pairs
                FROM gold_answers a
                JOIN assignments had ON had.id = a.assignment_id
                JOIN tasks t ON t.id = a.task_id
                WHERE a.user_id = $2 AND a.purpose = 'course' AND t.project_id = p.id
                    AND had.attempt = course_attempt(p.id, $2)
                ORDER BY a.id DESC
                LIMIT p.course_tasks
            ) AS last
        ) AS given
        WHERE of.id = $1
        "#,
        task,
        user
    )
    .fetch_one(&mut **tx)
    .await?;
    let agreement = Agreement { agreed: last.agreed, pairs: last.pairs };
    if last.answers >= last.demanded && agreement.reaches(last.course_pass_percent) {
        sqlx::query!(
            "INSERT INTO course_passes (project_id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            last.project,
            user
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Whether a task of the course that the person has skipped comes again; `None` where it is none, so that a check stays unannounced.
pub async fn comes_again(pool: &PgPool, user: Uuid, assignment: Uuid) -> sqlx::Result<Option<bool>> {
    sqlx::query_scalar!(
        r#"
        SELECT
            g.retired_at IS NULL
                AND course_is_open(t.project_id, mine.user_id)
                AND mine.attempt = course_attempt(t.project_id, mine.user_id) AS "again!"
        FROM assignments mine
        JOIN gold_tasks g ON g.task_id = mine.task_id
        JOIN tasks t ON t.id = mine.task_id
        WHERE mine.id = $2 AND mine.user_id = $1 AND mine.state = 'skipped' AND g.purpose = 'course'
        "#,
        user,
        assignment
    )
    .fetch_optional(pool)
    .await
}

/// What is shown after a task of the course.
#[derive(Debug, Clone)]
pub struct Lesson {
    /// The known ranks, by the answers' positions.
    pub ranks: Vec<i32>,
    /// Markdown.
    pub explanation: String,
    pub agreed: i32,
    pub pairs: i32,
    /// Tasks of the course that are still to come before the mark is looked at; 0 where it has been.
    pub to_go: i64,
    pub passed: bool,
}

/// Whether a lesson comes after this assignment: it is a task of a course.
pub async fn teaches(executor: impl PgExecutor<'_>, assignment: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        SELECT EXISTS (
            SELECT FROM assignments a
            JOIN gold_tasks g ON g.task_id = a.task_id
            WHERE a.id = $1 AND g.purpose = 'course'
        ) AS "teaches!"
        "#,
        assignment
    )
    .fetch_one(executor)
    .await
}

/// The lesson of an assignment; `None` where it was no task of the course, so that a check stays unannounced.
pub async fn lesson(executor: impl PgExecutor<'_>, user: Uuid, assignment: Uuid) -> sqlx::Result<Option<Lesson>> {
    sqlx::query_as!(
        Lesson,
        r#"
        SELECT
            g.ranks,
            g.explanation,
            a.agreed,
            a.pairs,
            course_to_go(t.project_id, a.user_id) AS "to_go!",
            NOT course_is_open(t.project_id, a.user_id) AS "passed!"
        FROM gold_answers a
        JOIN gold_tasks g ON g.task_id = a.task_id
        JOIN tasks t ON t.id = a.task_id
        WHERE a.assignment_id = $2 AND a.user_id = $1 AND a.purpose = 'course'
        "#,
        user,
        assignment
    )
    .fetch_optional(executor)
    .await
}
