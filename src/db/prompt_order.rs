//! In which order the tasks of a project are handed out, and the scores that the order may follow.

use serde_json::{Value, json};
use sqlx::{PgConnection, PgExecutor, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    audit::{self, Actor},
    drawn::{DrawnWith, SaveError},
    words,
};

/// What comes next where no priority was given by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskOrder {
    /// The oldest first.
    AsMade,
    Random,
    /// What the reward model is least sure of; what has no score comes last.
    Uncertain,
}

impl TaskOrder {
    pub const ALL: [TaskOrder; 3] = [TaskOrder::AsMade, TaskOrder::Random, TaskOrder::Uncertain];

    pub fn as_str(self) -> &'static str {
        match self {
            TaskOrder::AsMade => "as_made",
            TaskOrder::Random => "random",
            TaskOrder::Uncertain => "uncertain",
        }
    }

    /// The order that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        TaskOrder::ALL.into_iter().find(|order| order.as_str() == word)
    }
}

/// What a lead decides of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct OrderSettings {
    pub order: TaskOrder,
    /// Look for near-duplicates after every import of prompts.
    pub hold_back: bool,
    /// Similarity from which on prompts are near-duplicates, 60 to 100.
    pub percent: i32,
}

impl OrderSettings {
    /// What a form of them is drawn with.
    pub fn drawn_with(&self) -> DrawnWith {
        DrawnWith::of(&json!(self))
    }
}

/// The settings of a project.
pub async fn settings(executor: impl PgExecutor<'_>, project: Uuid) -> Result<OrderSettings, sqlx::Error> {
    let row =
        sqlx::query!("SELECT task_order, hold_back_duplicates, duplicate_percent FROM projects WHERE id = $1", project)
            .fetch_one(executor)
            .await?;
    Ok(OrderSettings {
        order: words::parse(&row.task_order)?,
        hold_back: row.hold_back_duplicates,
        percent: row.duplicate_percent,
    })
}

/// Changes the settings and puts the open tasks into the new order; those with a priority by hand keep it.
pub async fn set(
    pool: &PgPool,
    actor: &Actor,
    project: (Uuid, &str),
    drawn: &DrawnWith,
    settings: &OrderSettings,
) -> Result<(), SaveError> {
    let mut transaction = pool.begin().await?;
    // Of two leads at once, the second reads what the first has stored.
    sqlx::query_scalar!("SELECT id FROM projects WHERE id = $1 FOR NO KEY UPDATE", project.0)
        .fetch_one(&mut *transaction)
        .await?;
    let (before, after) = (json!(self::settings(&mut *transaction, project.0).await?), json!(settings));
    drawn.check(&before, &after)?;
    sqlx::query!(
        "UPDATE projects SET task_order = $2, hold_back_duplicates = $3, duplicate_percent = $4 WHERE id = $1",
        project.0,
        settings.order.as_str(),
        settings.hold_back,
        settings.percent
    )
    .execute(&mut *transaction)
    .await?;
    let is_as_before = before["order"] == after["order"];
    // Where the oldest come first as before, all are in their place, and what a promotion has left behind is to stay there.
    if !is_as_before || settings.order != TaskOrder::AsMade {
        order_rounds(&mut transaction, project.0, settings.order).await?;
        put_in_order(&mut transaction, project.0, settings.order, is_as_before).await?;
    }
    let changes = audit::changes(before, after);
    if !changes.is_empty() {
        let subject = format!("project/{}", project.1);
        audit::record(&mut *transaction, actor, "project.order", &subject, Value::Object(changes)).await?;
    }
    Ok(transaction.commit().await?)
}

/// Gives the open tasks the priorities of an order, but for those of rounds and those with one by hand.
///
/// A task that moves can be given to nobody until this is over: those that are in their place are left alone, and who saves the
/// other settings keeps nobody waiting for all of them.
async fn put_in_order(
    connection: &mut PgConnection,
    project: Uuid,
    order: TaskOrder,
    is_as_before: bool,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        UPDATE tasks t
        SET priority = ordered_priority($2, s.uncertainty)
        FROM tasks open
        LEFT JOIN prompt_scores s ON s.prompt_id = open.prompt_id
        WHERE open.id = t.id
            AND t.project_id = $1
            AND t.labels < t.overlap
            AND t.priority <= 0
            AND CASE
                WHEN $3::boolean AND $2 = 'random' THEN t.priority = 0
                ELSE t.priority <> ordered_priority($2, s.uncertainty)
            END
        "#,
        project,
        order.as_str(),
        is_as_before
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Where the oldest comes first, tasks of a round have its number as their priority, so that what answers now is ranked before what is
/// left of earlier rounds. Nobody has given them that by hand, or has taken it back: another order moves them too, and that one gives it
/// back, but for rounds beyond that of the model that answers now: somebody has gone back to it. The log has the priority before and
/// after; entries of earlier versions have the one after alone.
async fn order_rounds(connection: &mut PgConnection, project: Uuid, order: TaskOrder) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        UPDATE tasks t
        SET priority = CASE WHEN $2::boolean THEN t.round ELSE 0 END
        WHERE t.project_id = $1
            AND t.labels < t.overlap
            AND t.round > 0
            AND CASE WHEN $2::boolean THEN t.priority <= 0 ELSE t.priority = t.round END
            AND (NOT $2::boolean OR t.round <= coalesce(
                (
                    SELECT m.round
                    FROM promotions answering
                    JOIN models m ON m.id = answering.model_id
                    WHERE answering.project_id = $1
                    ORDER BY answering.id DESC
                    LIMIT 1
                ),
                t.round
            ))
            AND NOT is_put_by_hand(t.id)
        "#,
        project,
        order == TaskOrder::AsMade
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Where the oldest comes first, the priority of what is left of a round once somebody has gone back to a model of an earlier one, or
/// on to another of the same: behind all else.
pub(super) const LEFT_BEHIND: i32 = -1;

/// Puts what is left of this round and later ones behind what a model of it brings from now on: by its number it would come before.
/// What somebody has put first stays, unless that was taken back, and a task that is just being given to somebody is passed over.
pub(super) async fn leave_rounds_behind(
    connection: &mut PgConnection,
    project: Uuid,
    from_round: i32,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        UPDATE tasks
        SET priority = $3
        WHERE id IN (
            SELECT t.id
            FROM tasks t
            JOIN projects p ON p.id = t.project_id
            WHERE p.id = $1
                AND p.task_order = 'as_made'
                AND t.labels < t.overlap
                AND t.round > 0
                AND t.round >= $2
                AND t.priority = t.round
                AND NOT is_put_by_hand(t.id)
            FOR NO KEY UPDATE OF t SKIP LOCKED
        )
        "#,
        project,
        from_round,
        LEFT_BEHIND
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Stores how unsure a model is of prompts, in the place of earlier scores; where the order follows the scores, tasks move at
/// once. Gives the ids that are no prompts of the project.
pub async fn store_scores(
    pool: &PgPool,
    project: Uuid,
    model: Option<&str>,
    scores: &[(Uuid, f64)],
) -> Result<Vec<Uuid>, sqlx::Error> {
    let (ids, values): (Vec<Uuid>, Vec<f64>) = scores.iter().copied().unzip();
    let mut transaction = pool.begin().await?;
    // Who sets another order meanwhile sees these scores, or is seen here.
    sqlx::query_scalar!("SELECT id FROM projects WHERE id = $1 FOR NO KEY UPDATE", project)
        .fetch_one(&mut *transaction)
        .await?;
    let stored = sqlx::query_scalar!(
        r#"
        INSERT INTO prompt_scores (prompt_id, uncertainty, model)
        SELECT DISTINCT ON (p.id) p.id, score.uncertainty, $4
        FROM unnest($2::uuid[], $3::double precision[]) WITH ORDINALITY AS score (prompt_id, uncertainty, place)
        JOIN prompts p ON p.id = score.prompt_id AND p.project_id = $1
        ORDER BY p.id, score.place DESC
        ON CONFLICT (prompt_id) DO UPDATE
        SET uncertainty = excluded.uncertainty, model = excluded.model, scored_at = now()
        RETURNING prompt_id
        "#,
        project,
        &ids,
        &values,
        model
    )
    .fetch_all(&mut *transaction)
    .await?;
    sqlx::query!(
        r#"
        UPDATE tasks t
        SET priority = ordered_priority(p.task_order, s.uncertainty)
        FROM projects p, prompt_scores s
        WHERE p.id = $1
            AND p.task_order = 'uncertain'
            AND t.project_id = p.id
            AND t.prompt_id = ANY ($2)
            AND s.prompt_id = t.prompt_id
            AND t.labels < t.overlap
            AND t.priority <= 0
        "#,
        project,
        &stored
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    let stored: std::collections::HashSet<Uuid> = stored.into_iter().collect();
    Ok(ids.into_iter().filter(|id| !stored.contains(id)).collect())
}

/// How far the scores of a project go.
#[derive(Debug, Clone)]
pub struct Scored {
    pub prompts: i64,
    pub scored: i64,
    pub newest: Option<OffsetDateTime>,
    pub model: Option<String>,
}

/// How many prompts have a score, and from which model the newest is.
pub async fn scored(pool: &PgPool, project: Uuid) -> Result<Scored, sqlx::Error> {
    sqlx::query_as!(
        Scored,
        r#"
        SELECT
            count(*) AS "prompts!",
            count(s.prompt_id) AS "scored!",
            max(s.scored_at) AS newest,
            (array_agg(s.model ORDER BY s.scored_at DESC) FILTER (WHERE s.model IS NOT NULL))[1] AS model
        FROM prompts p
        LEFT JOIN prompt_scores s ON s.prompt_id = p.id
        WHERE p.project_id = $1
        "#,
        project
    )
    .fetch_one(pool)
    .await
}

/// A task that waits.
#[derive(Debug, Clone)]
pub struct Next {
    pub prompt_id: Uuid,
    pub kind: String,
    pub excerpt: String,
    /// Given by hand.
    pub priority: Option<i32>,
    pub uncertainty: Option<f64>,
}

/// The tasks that are handed out first.
pub async fn next(pool: &PgPool, project: Uuid, limit: i64) -> Result<Vec<Next>, sqlx::Error> {
    sqlx::query_as!(
        Next,
        r#"
        SELECT
            p.id AS prompt_id,
            t.kind,
            left(p.conversation -> -1 ->> 'content', 160) AS "excerpt!",
            -- The number of its round, which a sampling job gives a task, is none; see `order_rounds`.
            priority_by_hand(t) AS priority,
            s.uncertainty AS "uncertainty?"
        FROM tasks t
        JOIN prompts p ON p.id = t.prompt_id
        LEFT JOIN prompt_scores s ON s.prompt_id = t.prompt_id
        WHERE t.project_id = $1 AND t.labels < t.overlap AND t.withdrawn_at IS NULL
        ORDER BY t.priority DESC, t.id
        LIMIT $2
        "#,
        project,
        limit
    )
    .fetch_all(pool)
    .await
}
