//! Which model's answers were ranked where, for the leaderboard.

use std::collections::HashMap;

use futures_util::TryStreamExt;
use sqlx::PgPool;
use uuid::Uuid;

use crate::domain::leaderboard::Judged;

/// Rankings with the models behind them, by index into their names.
#[derive(Debug, Clone, Default)]
pub struct Judgements {
    pub judged: Vec<Judged>,
    pub models: Vec<String>,
    /// Whether programs that stand in for people gave some of them, counted or left out.
    pub has_simulated: bool,
}

/// Which rankings the leaderboard counts; all where empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Which {
    /// Only of prompts with this tag, in this language.
    pub tag: String,
    pub language: String,
    /// Without those of programs that stand in for people.
    pub people_only: bool,
}

/// The rankings of a project that stand, were not set aside by a reviewer and are wanted, the oldest first. Answers of no known
/// model are left out.
pub async fn judgements(pool: &PgPool, project: Uuid, which: &Which) -> sqlx::Result<Judgements> {
    let mut found = Judgements::default();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut rows = sqlx::query!(
        r#"
        SELECT
            r.prompt_id AS "prompt_id!",
            array_agg(answer.model ORDER BY place.position) AS "models!",
            array_agg(place.rank ORDER BY place.position) AS "ranks!",
            coalesce(u.simulated, project.simulated) AS "simulated!"
        FROM current_rankings r
        JOIN prompts p ON p.id = r.prompt_id
        JOIN projects project ON project.id = p.project_id
        LEFT JOIN users u ON u.id = r.user_id
        JOIN ranking_responses place ON place.ranking_id = r.id
        JOIN responses answer ON answer.id = place.response_id
        WHERE p.project_id = $1
            AND ($2 = '' OR $2 = ANY (p.tags))
            AND ($3 = '' OR p.language = $3)
            AND answer.model IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM rankings_set_aside aside WHERE aside.ranking_id = r.id)
        GROUP BY r.id, r.prompt_id, u.simulated, project.simulated
        HAVING count(DISTINCT answer.model) > 1
        ORDER BY r.id
        "#,
        project,
        which.tag,
        which.language
    )
    .fetch(pool);
    while let Some(row) = rows.try_next().await? {
        found.has_simulated |= row.simulated;
        if row.simulated && which.people_only {
            continue;
        }
        let mut index = |model: String| {
            *places.entry(model.clone()).or_insert_with(|| {
                found.models.push(model);
                found.models.len() - 1
            })
        };
        let entries = row.models.into_iter().zip(row.ranks);
        let entries = entries.filter_map(|(model, rank)| Some((index(model), u32::try_from(rank).ok()?))).collect();
        found.judged.push(Judged { prompt: row.prompt_id, entries });
    }
    Ok(found)
}

/// Names of the models that answered prompts of a project, with how many prompts, and of those of its registry that could.
pub async fn models(pool: &PgPool, project: Uuid) -> sqlx::Result<Vec<(String, i64)>> {
    let rows = sqlx::query!(
        r#"
        SELECT known.model AS "model!", max(known.prompts) AS "prompts!"
        FROM (
            SELECT answer.model, count(DISTINCT p.id) AS prompts
            FROM responses answer
            JOIN prompts p ON p.id = answer.prompt_id
            WHERE p.project_id = $1 AND answer.model IS NOT NULL
            GROUP BY answer.model
            UNION ALL
            SELECT name, 0 FROM models WHERE project_id = $1 AND complete AND stage <> 'reward'
        ) known
        GROUP BY known.model
        ORDER BY known.model
        "#,
        project
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.model, row.prompts)).collect())
}
