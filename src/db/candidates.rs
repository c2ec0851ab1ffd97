//! The search for a task that a person may be given: by the plans of their projects, their languages, priority and age, with a
//! place left.

use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::gold::{self, Skipped};
use crate::domain::plan::{self, Portion};

/// Tasks that the person was given last, by which the plan sees what is owed.
const RECENT: i64 = 24;

/// A task that may be handed out, locked until the transaction ends.
pub(super) struct Candidate {
    pub task: Uuid,
    pub overlap: i32,
    pub labels: i32,
    pub lease_minutes: i32,
    /// The person's own assignment, where it is that which goes on: its lease ended, or it is a task of a course that they skipped.
    pub resumed: Option<Uuid>,
    /// Its answer is known: everybody may be given it.
    pub known: bool,
}

/// What a person can be given: a kind of task in one of their projects.
struct Offer {
    project: Uuid,
    kind: String,
    lease_minutes: i32,
    weight: i32,
    total: i32,
    recent: i64,
    /// The person has yet to pass the project's course.
    course: bool,
}

/// Who asks, and what they can be given, most owed first.
struct Wanted {
    user: Uuid,
    /// Their languages, and '' for prompts of none; empty where they work in every language.
    languages: Vec<String>,
    offers: Vec<Offer>,
}

/// Looks for a task without waiting for anybody; only where all that is left is locked or reserved does it wait and take what
/// is reserved, so that a queue which looks empty is empty.
pub(super) async fn candidate(tx: &mut Transaction<'_, Postgres>, user: Uuid) -> sqlx::Result<Option<Candidate>> {
    if let Some(own) = own_expired(tx, user).await? {
        return Ok(Some(own));
    }
    let wanted = wanted(tx, user).await?;
    if let Some(free) = unlocked(tx, &wanted).await? {
        return Ok(Some(free));
    }
    for offer in wanted.offers.iter().filter(|offer| !offer.course) {
        let found = match wanted.languages.is_empty() {
            true => any_task(tx, offer, &wanted).await?,
            false => any_task_in_language(tx, offer, &wanted).await?,
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    for offer in wanted.offers.iter().filter(|offer| offer.course) {
        if let Some(skipped) = gold::skipped_of_course(tx, user, offer.project, true).await? {
            return Ok(Some(offer.again(skipped)));
        }
    }
    Ok(None)
}

/// A task that nobody is just being given and nobody has reserved: a new one, or one of a course that the person skipped.
pub(super) async fn free_task(tx: &mut Transaction<'_, Postgres>, user: Uuid) -> sqlx::Result<Option<Candidate>> {
    let wanted = wanted(tx, user).await?;
    unlocked(tx, &wanted).await
}

/// Before real work comes the course; and in place of some real work a check, where work waits, so that nothing tells it apart.
async fn unlocked(tx: &mut Transaction<'_, Postgres>, wanted: &Wanted) -> sqlx::Result<Option<Candidate>> {
    for offer in &wanted.offers {
        if offer.course {
            if let Some(task) = gold::next_of_course(tx, wanted.user, offer.project).await? {
                return Ok(Some(offer.known(task)));
            }
            if let Some(skipped) = gold::skipped_of_course(tx, wanted.user, offer.project, false).await? {
                return Ok(Some(offer.again(skipped)));
            }
            continue;
        }
        let found = match wanted.languages.is_empty() {
            true => unlocked_task(tx, offer, wanted).await?,
            false => unlocked_task_in_language(tx, offer, wanted).await?,
        };
        if found.is_some() {
            let check = gold::next_check(tx, wanted.user, offer.project, &wanted.languages).await?;
            return Ok(check.map(|task| offer.known(task)).or(found));
        }
    }
    Ok(None)
}

/// The kinds of task of the person's projects, by what each plan owes them.
async fn wanted(tx: &mut Transaction<'_, Postgres>, user: Uuid) -> sqlx::Result<Wanted> {
    let mut languages =
        sqlx::query_scalar!("SELECT languages FROM users WHERE id = $1", user).fetch_one(&mut **tx).await?;
    if !languages.is_empty() {
        languages.push(String::new());
    }
    let offers = sqlx::query_as!(
        Offer,
        r#"
        SELECT
            p.id AS project,
            plan.kind AS "kind!",
            p.lease_minutes,
            plan.weight AS "weight!",
            p.plan_demonstrations + p.plan_rankings + p.plan_comparisons + p.plan_prompts AS "total!",
            coalesce(recent.given, 0) AS "recent!",
            course_is_open(p.id, $1) AS "course!"
        FROM projects p
        CROSS JOIN LATERAL (
            VALUES
                (1, 'ranking', p.plan_rankings),
                (2, 'demonstration', p.plan_demonstrations),
                (3, 'comparison', p.plan_comparisons),
                (4, 'prompt', p.plan_prompts)
        ) AS plan (place, kind, weight)
        LEFT JOIN (
            SELECT last.project_id, last.kind, count(*) AS given
            FROM (
                SELECT t.project_id, t.kind
                FROM assignments a
                JOIN tasks t ON t.id = a.task_id
                WHERE a.user_id = $1
                ORDER BY a.id DESC
                LIMIT $2
            ) AS last
            GROUP BY last.project_id, last.kind
        ) AS recent ON recent.project_id = p.id AND recent.kind = plan.kind
        WHERE p.archived_at IS NULL
            AND (p.open_to_everyone OR EXISTS (
                SELECT 1 FROM memberships m WHERE m.project_id = p.id AND m.user_id = $1))
        ORDER BY p.id, plan.place
        "#,
        user,
        RECENT
    )
    .fetch_all(&mut **tx)
    .await?;
    let portion = |offer: &Offer| Portion { weight: offer.weight, total: offer.total, recent: offer.recent };
    Ok(Wanted { user, languages, offers: plan::in_turn(offers, portion) })
}

/// A task that the person has begun, whose lease ended, and that still has room. One with a known answer always has. The assignment is
/// locked before the task, as by whoever submits it late; while that is under way in another tab, it is passed over.
pub(super) async fn own_expired(tx: &mut Transaction<'_, Postgres>, user: Uuid) -> sqlx::Result<Option<Candidate>> {
    sqlx::query_as!(
        Candidate,
        r#"
        SELECT
            t.id AS task,
            t.overlap,
            t.labels,
            p.lease_minutes,
            a.id AS "resumed?",
            EXISTS (SELECT 1 FROM gold_tasks g WHERE g.task_id = t.id) AS "known!"
        FROM assignments a
        JOIN tasks t ON t.id = a.task_id
        JOIN projects p ON p.id = t.project_id
        WHERE a.user_id = $1
            AND a.state = 'leased'
            AND a.lease_until <= now()
            AND (
                EXISTS (SELECT 1 FROM gold_tasks g WHERE g.task_id = t.id)
                OR t.withdrawn_at IS NULL AND t.labels + (
                    SELECT count(*) FROM assignments other
                    WHERE other.task_id = t.id AND other.state = 'leased' AND other.lease_until > now()
                ) < t.overlap
            )
            AND p.archived_at IS NULL
            AND (p.open_to_everyone OR EXISTS (
                SELECT 1 FROM memberships m WHERE m.project_id = p.id AND m.user_id = $1))
        ORDER BY a.created_at, a.id
        LIMIT 1
        FOR UPDATE OF a, t SKIP LOCKED
        "#,
        user
    )
    .fetch_optional(&mut **tx)
    .await
}

/// One search in two forms, as SQL has no parameter for how to lock; each for people of every language and of some. With
/// languages, the first task of each is looked at, so that the index gives them in order.
macro_rules! task_search {
    ($name:ident, $in_language:ident, $about:literal, $more:tt) => {
        #[doc = $about]
        async fn $name(
            tx: &mut Transaction<'_, Postgres>,
            offer: &Offer,
            wanted: &Wanted,
        ) -> sqlx::Result<Option<Candidate>> {
            let found = sqlx::query!(
                r#"
                SELECT t.id, t.overlap, t.labels
                FROM tasks t
                WHERE t.project_id = $2
                    AND t.kind = $3
                    AND t.labels < t.overlap
                    AND t.withdrawn_at IS NULL
                    AND NOT EXISTS (
                        SELECT 1 FROM assignments mine WHERE mine.task_id = t.id AND mine.user_id = $1)
                    AND t.labels + (
                        SELECT count(*) FROM assignments other
                        WHERE other.task_id = t.id AND other.state = 'leased' AND other.lease_until > now()
                    ) < t.overlap
                "#
                    + $more,
                wanted.user,
                offer.project,
                offer.kind
            )
            .fetch_optional(&mut **tx)
            .await?;
            Ok(found.map(|found| offer.candidate(found.id, found.overlap, found.labels)))
        }

        #[doc = $about]
        async fn $in_language(
            tx: &mut Transaction<'_, Postgres>,
            offer: &Offer,
            wanted: &Wanted,
        ) -> sqlx::Result<Option<Candidate>> {
            let found = sqlx::query!(
                r#"
                SELECT first.id, first.overlap, first.labels
                FROM unnest($4::text[]) AS spoken (language)
                CROSS JOIN LATERAL (
                    SELECT t.id, t.overlap, t.labels, t.priority
                    FROM tasks t
                    WHERE t.project_id = $2
                        AND t.kind = $3
                        AND t.language = spoken.language
                        AND t.labels < t.overlap
                        AND t.withdrawn_at IS NULL
                        AND NOT EXISTS (
                            SELECT 1 FROM assignments mine WHERE mine.task_id = t.id AND mine.user_id = $1)
                        AND t.labels + (
                            SELECT count(*) FROM assignments other
                            WHERE other.task_id = t.id AND other.state = 'leased' AND other.lease_until > now()
                        ) < t.overlap
                "#
                    + $more
                    + r#"
                ) AS first
                ORDER BY first.priority DESC, first.id
                LIMIT 1
                "#,
                wanted.user,
                offer.project,
                offer.kind,
                &wanted.languages
            )
            .fetch_optional(&mut **tx)
            .await?;
            Ok(found.map(|found| offer.candidate(found.id, found.overlap, found.labels)))
        }
    };
}
task_search!(
    unlocked_task,
    unlocked_task_in_language,
    "A task of this kind that nobody is just being given and that has a place beside those that others have reserved.",
    r#"
    AND t.labels + (
        SELECT count(*) FROM assignments other
        WHERE other.task_id = t.id AND other.state = 'leased' AND other.lease_until > now()
    ) + (
        SELECT count(*) FROM reservations r
        WHERE r.task_id = t.id AND r.user_id <> $1 AND r.reserved_until > now()
    ) < t.overlap
    ORDER BY t.priority DESC, t.id
    LIMIT 1
    FOR UPDATE OF t SKIP LOCKED
    "#
);
task_search!(
    any_task,
    any_task_in_language,
    "A task of this kind, after waiting for whoever has it locked: what others have reserved counts as free.",
    "ORDER BY t.priority DESC, t.id LIMIT 1 FOR UPDATE OF t"
);

impl Offer {
    fn candidate(&self, task: Uuid, overlap: i32, labels: i32) -> Candidate {
        Candidate { task, overlap, labels, lease_minutes: self.lease_minutes, resumed: None, known: false }
    }

    fn known(&self, task: Uuid) -> Candidate {
        Candidate { known: true, ..self.candidate(task, 0, 0) }
    }

    fn again(&self, skipped: Skipped) -> Candidate {
        Candidate { resumed: Some(skipped.assignment), ..self.known(skipped.task) }
    }
}

/// Running leases of others on a task, as they stand now.
pub(super) async fn live_leases(tx: &mut Transaction<'_, Postgres>, task: Uuid, user: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"
        SELECT count(*) AS "count!"
        FROM assignments
        WHERE task_id = $1 AND user_id <> $2 AND state = 'leased' AND lease_until > now()
        "#,
        task,
        user
    )
    .fetch_one(&mut **tx)
    .await
}
