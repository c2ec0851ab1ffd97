//! The rankings that stand, as the measures of quality need them.

use std::collections::{HashMap, hash_map::Entry};

use futures_util::TryStreamExt;
use sqlx::PgPool;
use time::{Date, Duration, OffsetDateTime, UtcOffset};
use uuid::Uuid;

use crate::domain::quality::Label;

/// Somebody who ranked, as exports name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotator {
    /// Email, or the name that a file gave.
    pub key: String,
    pub name: String,
    /// By its account; without one, as the project is.
    pub simulated: bool,
    /// An account here.
    pub user: Option<Uuid>,
}

/// A project's rankings and their makers; a label names its maker by index.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    pub labels: Vec<Label>,
    pub annotators: Vec<Annotator>,
}

impl Labels {
    /// Without the labels of programs that stand in for people.
    pub fn of_people(mut self) -> Self {
        let simulated: Vec<bool> = self.annotators.iter().map(|annotator| annotator.simulated).collect();
        self.labels.retain(|label| label.annotator.is_none_or(|annotator| !simulated[annotator]));
        self
    }
}

/// Every ranking of a project that stands. Labels of reviewers who adjudicated are not opinions beside the others and are left out.
pub async fn labels(pool: &PgPool, project: Uuid) -> sqlx::Result<Labels> {
    let mut found = Labels::default();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut rows = sqlx::query!(
        r#"
        WITH answers AS (
            SELECT
                place.ranking_id,
                array_agg(place.response_id ORDER BY place.position) AS ids,
                array_agg(place.rank ORDER BY place.position) AS ranks,
                sum(octet_length(answer.content))::bigint AS bytes
            FROM prompts p
            JOIN rankings r ON r.prompt_id = p.id
            JOIN ranking_responses place ON place.ranking_id = r.id
            JOIN responses answer ON answer.id = place.response_id
            WHERE p.project_id = $1
            GROUP BY place.ranking_id
        )
        SELECT
            r.prompt_id AS "prompt_id!",
            coalesce(u.email, r.annotator) AS annotator,
            u.id AS "user?",
            u.name AS "name?",
            coalesce(u.simulated, project.simulated) AS "simulated!",
            -- How long reading and ranking took, the first version says: a correction takes a moment.
            CASE WHEN r.replaces_id IS NULL THEN r.seconds ELSE first.seconds END AS seconds,
            r.created_at AS "created_at!",
            a.shown_order AS "shown_order?",
            answers.ids AS "ids!",
            answers.ranks AS "ranks!",
            answers.bytes AS "bytes!"
        FROM answers
        JOIN current_rankings r ON r.id = answers.ranking_id
        JOIN projects project ON project.id = $1
        LEFT JOIN users u ON u.id = r.user_id
        LEFT JOIN assignments a ON a.id = r.assignment_id
        LEFT JOIN rankings first ON first.assignment_id = r.assignment_id AND first.replaces_id IS NULL
        WHERE NOT r.adjudicated
        ORDER BY r.id
        "#,
        project
    )
    .fetch(pool);
    while let Some(row) = rows.try_next().await? {
        let annotator = row.annotator.map(|key| {
            let name = row.name.unwrap_or_else(|| key.clone());
            let annotator = Annotator { key: key.clone(), name, simulated: row.simulated, user: row.user };
            match places.entry(key) {
                Entry::Vacant(place) => {
                    found.annotators.push(annotator);
                    *place.insert(found.annotators.len() - 1)
                }
                Entry::Occupied(place) => {
                    // Labels that came with a file don't know the account that their maker has here.
                    let known = &mut found.annotators[*place.get()];
                    if known.user.is_none() {
                        *known = annotator;
                    }
                    *place.get()
                }
            }
        });
        found.labels.push(Label {
            prompt: row.prompt_id,
            annotator,
            answers: row.ids,
            ranks: row.ranks.into_iter().filter_map(|rank| u32::try_from(rank).ok()).collect(),
            week: monday(row.created_at),
            seconds: row.seconds,
            bytes: u64::try_from(row.bytes).unwrap_or_default(),
            shown_order: row
                .shown_order
                .unwrap_or_default()
                .into_iter()
                .filter_map(|at| usize::try_from(at).ok())
                .collect(),
        });
    }
    Ok(found)
}

/// A number that changes with every ranking and review that comes: labels are never changed or taken away.
pub async fn stamp(pool: &PgPool, project: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"
        SELECT
            (SELECT count(*) FROM rankings r JOIN prompts p ON p.id = r.prompt_id WHERE p.project_id = $1)
            + (
                SELECT count(*)
                FROM reviews v
                JOIN rankings r ON r.id = v.ranking_id
                JOIN prompts p ON p.id = r.prompt_id
                WHERE p.project_id = $1
            ) AS "stamp!"
        "#,
        project
    )
    .fetch_one(pool)
    .await
}

fn monday(at: OffsetDateTime) -> Date {
    let day = at.to_offset(UtcOffset::UTC).date();
    day.saturating_sub(Duration::days(i64::from(day.weekday().number_days_from_monday())))
}
