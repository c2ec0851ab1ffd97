//! Changing a project's settings: what changed is noted, and of two leads at once the second is told what the first has saved.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    audit::{self, Actor},
    drawn::digest,
    projects::{self, ProjectSettings},
};

/// What a form was drawn with: of each setting, by its name, a digest. As text it is a field of the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn(BTreeMap<String, String>);

impl Drawn {
    pub fn of(settings: &ProjectSettings) -> Self {
        Drawn(by_name(settings).into_iter().map(|(name, value)| (name, digest(&value))).collect())
    }

    /// From its text. A setting that is missing there counts as one that the form did not show.
    pub fn read(text: &str) -> Self {
        let pairs = text.split(' ').filter_map(|pair| pair.split_once(':'));
        Drawn(pairs.map(|(name, digest)| (name.to_owned(), digest.to_owned())).collect())
    }

    /// Whether the form showed a setting as it is.
    fn shows(&self, name: &str, value: &Value) -> bool {
        self.0.get(name).is_some_and(|drawn| *drawn == digest(value))
    }
}

impl fmt::Display for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> = self.0.iter().map(|(name, digest)| format!("{name}:{digest}")).collect();
        f.write_str(&pairs.join(" "))
    }
}

/// Why settings were not stored.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// `names` are those of the settings that the form would change back.
    #[error("somebody has saved other settings since the form was drawn: {}", .names.join(", "))]
    Changed { names: Vec<String>, standing: Box<ProjectSettings> },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Changes a project's settings and notes what changed. Tasks that are there keep their overlap, prompts their split.
///
/// With `drawn`, nothing is stored where somebody has saved a setting since the form was drawn and the form says something else of it.
/// Without, the form counts as it is.
pub async fn update(
    pool: &PgPool,
    actor: &Actor,
    project: Uuid,
    drawn: Option<&Drawn>,
    settings: &ProjectSettings,
) -> Result<(), UpdateError> {
    let mut transaction = pool.begin().await?;
    // Of two leads at once, the second reads what the first has stored.
    sqlx::query_scalar!("SELECT id FROM projects WHERE id = $1 FOR NO KEY UPDATE", project)
        .fetch_one(&mut *transaction)
        .await?;
    let before = projects::by_id(&mut *transaction, project).await?;
    let changes = audit::changes(Value::Object(by_name(&before.settings)), Value::Object(by_name(settings)));
    if changes.is_empty() {
        return Ok(());
    }
    if let Some(drawn) = drawn {
        let standing = by_name(&before.settings);
        let shown = |name: &str| standing.get(name).is_some_and(|value| drawn.shows(name, value));
        let names: Vec<String> = changes.keys().filter(|name| !shown(name.as_str())).cloned().collect();
        if !names.is_empty() {
            return Err(UpdateError::Changed { names, standing: Box::new(before.settings) });
        }
    }
    sqlx::query!(
        r#"
        UPDATE projects
        SET
            name = $2,
            description = $3,
            open_to_everyone = $4,
            answers_per_prompt = $5,
            demonstration_overlap = $6,
            ranking_overlap = $7,
            lease_minutes = $8,
            validation_percent = $9,
            test_percent = $10,
            promotion = $11,
            prompts_per_round = $12,
            training = $13,
            judgement = $14,
            keep_models = $15,
            -- A rule is about nights that end after it was made.
            models_pruned_at = CASE WHEN keep_models IS DISTINCT FROM $15 THEN now() ELSE models_pruned_at END
        WHERE id = $1
        "#,
        project,
        settings.name,
        settings.description,
        settings.open_to_everyone,
        settings.answers_per_prompt,
        settings.demonstration_overlap,
        settings.ranking_overlap,
        settings.lease_minutes,
        settings.validation_percent,
        settings.test_percent,
        settings.promotion.as_str(),
        settings.prompts_per_round,
        Value::Object(settings.training.clone()),
        settings.judgement.as_str(),
        settings.keep_models,
    )
    .execute(&mut *transaction)
    .await?;
    let subject = format!("project/{}", before.slug);
    audit::record(&mut *transaction, actor, "project.settings", &subject, Value::Object(changes)).await?;
    transaction.commit().await?;
    Ok(())
}

/// The settings by their names, in the order of the form.
fn by_name(settings: &ProjectSettings) -> Map<String, Value> {
    let value = json!({
        "name": settings.name,
        "description": settings.description,
        "open_to_everyone": settings.open_to_everyone,
        "judgement": settings.judgement.as_str(),
        "answers_per_prompt": settings.answers_per_prompt,
        "demonstration_overlap": settings.demonstration_overlap,
        "ranking_overlap": settings.ranking_overlap,
        "lease_minutes": settings.lease_minutes,
        "validation_percent": settings.validation_percent,
        "test_percent": settings.test_percent,
        "promotion": settings.promotion.as_str(),
        "prompts_per_round": settings.prompts_per_round,
        "keep_models": settings.keep_models,
        "training": settings.training,
    });
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_form_was_drawn_with_survives_its_text() {
        let settings = ProjectSettings { description: "Short: one, two.".to_owned(), ..ProjectSettings::default() };
        let drawn = Drawn::read(&Drawn::of(&settings).to_string());
        assert_eq!(drawn, Drawn::of(&settings));
        assert!(drawn.shows("lease_minutes", &json!(60)) && !drawn.shows("lease_minutes", &json!(30)));
        assert!(!Drawn::read("").shows("lease_minutes", &json!(60)), "an unknown setting counts as shown");
    }
}
