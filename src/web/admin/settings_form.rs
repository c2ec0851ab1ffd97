//! The settings of a project as a form: what was typed, and what it means.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::forms::Errors;
use crate::{
    db::{
        project_settings::Drawn,
        projects::{Judgement, ProjectSettings, PromotionRule},
    },
    web::Page,
};

/// The sections that a job's config may have, each an object; `device`, a word; and `seed`, a number.
const TRAINING_SECTIONS: [&str; 6] = ["sft", "reward", "ppo", "sampling", "evaluate", "lora"];
const DEVICE: &str = "device";
const SEED: &str = "seed";

/// The fields as typed.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct SettingsForm {
    pub name: String,
    pub description: String,
    /// `everyone` or `members`.
    pub access: String,
    /// `ranking` or `comparison`.
    pub judgement: String,
    pub answers_per_prompt: String,
    pub demonstration_overlap: String,
    pub ranking_overlap: String,
    pub lease_minutes: String,
    pub validation_percent: String,
    pub test_percent: String,
    pub promotion: String,
    pub prompts_per_round: String,
    /// Empty keeps all.
    pub keep_models: String,
    pub training: String,
    /// What it was drawn with, as [`Drawn`] writes it; empty where it does not say.
    pub drawn: String,
}

impl Default for SettingsForm {
    fn default() -> Self {
        SettingsForm::from(&ProjectSettings::default())
    }
}

impl From<&ProjectSettings> for SettingsForm {
    fn from(settings: &ProjectSettings) -> Self {
        let training = match settings.training.is_empty() {
            true => String::new(),
            false => serde_json::to_string_pretty(&settings.training).unwrap_or_default(),
        };
        SettingsForm {
            name: settings.name.clone(),
            description: settings.description.clone(),
            access: if settings.open_to_everyone { "everyone" } else { "members" }.to_owned(),
            judgement: settings.judgement.as_str().to_owned(),
            answers_per_prompt: settings.answers_per_prompt.to_string(),
            demonstration_overlap: settings.demonstration_overlap.to_string(),
            ranking_overlap: settings.ranking_overlap.to_string(),
            lease_minutes: settings.lease_minutes.to_string(),
            validation_percent: settings.validation_percent.to_string(),
            test_percent: settings.test_percent.to_string(),
            promotion: settings.promotion.as_str().to_owned(),
            prompts_per_round: settings.prompts_per_round.to_string(),
            keep_models: settings.keep_models.map(|keep| keep.to_string()).unwrap_or_default(),
            training,
            drawn: String::new(),
        }
    }
}

impl SettingsForm {
    /// The form of settings that stand: saved from it, they take the place of no others.
    pub fn drawn_with(settings: &ProjectSettings) -> Self {
        SettingsForm { drawn: Drawn::of(settings).to_string(), ..SettingsForm::from(settings) }
    }

    /// What a setting is called and what it says, by its name in the log.
    pub fn in_words(&self, page: &Page, name: &str) -> (String, String) {
        let (label, says) = match name {
            "name" => ("admin-name", self.name.clone()),
            "description" => ("admin-description", self.description.clone()),
            "open_to_everyone" => ("admin-access", page.word("admin-access", &self.access)),
            "judgement" => ("admin-judgement", page.word("admin-judgement", &self.judgement)),
            "answers_per_prompt" => ("admin-answers", self.answers_per_prompt.clone()),
            "demonstration_overlap" => ("admin-demonstration-overlap", self.demonstration_overlap.clone()),
            "ranking_overlap" => ("admin-ranking-overlap", self.ranking_overlap.clone()),
            "lease_minutes" => ("admin-lease", self.lease_minutes.clone()),
            "validation_percent" => ("admin-validation", self.validation_percent.clone()),
            "test_percent" => ("admin-test", self.test_percent.clone()),
            "promotion" => ("admin-promotion", page.word("admin-promotion", &self.promotion.replace('_', "-"))),
            "prompts_per_round" => ("admin-prompts-per-round", self.prompts_per_round.clone()),
            "keep_models" => ("admin-keep-models", self.keep_models.clone()),
            "training" => ("admin-training-settings", self.training.clone()),
            // A setting that this page does not know yet.
            _ => return (name.to_owned(), String::new()),
        };
        (page.t(label), says)
    }

    /// The settings that were typed, or what is wrong with each field.
    pub fn read(&self, page: &Page) -> Result<ProjectSettings, Errors> {
        let mut errors = Errors::default();
        let judgement = match self.judgement.as_str() {
            "comparison" => Judgement::Comparison,
            _ => Judgement::Ranking,
        };
        let settings = ProjectSettings {
            name: errors.text(page, "name", &self.name, 200),
            description: self.description.trim().to_owned(),
            open_to_everyone: self.access != "members",
            judgement,
            answers_per_prompt: match judgement {
                Judgement::Ranking => errors.number(page, "answers_per_prompt", &self.answers_per_prompt, 2..=9),
                Judgement::Comparison => 2,
            },
            demonstration_overlap: errors.number(page, "demonstration_overlap", &self.demonstration_overlap, 0..=9),
            ranking_overlap: errors.number(page, "ranking_overlap", &self.ranking_overlap, 1..=9),
            lease_minutes: errors.number(page, "lease_minutes", &self.lease_minutes, 1..=1440),
            validation_percent: errors.number(page, "validation_percent", &self.validation_percent, 0..=50),
            test_percent: errors.number(page, "test_percent", &self.test_percent, 0..=40),
            promotion: match self.promotion.as_str() {
                "if_better" => PromotionRule::IfBetter,
                _ => PromotionRule::ByHand,
            },
            prompts_per_round: errors.number(page, "prompts_per_round", &self.prompts_per_round, 1..=100_000),
            keep_models: match self.keep_models.trim() {
                "" => None,
                number => Some(errors.number(page, "keep_models", number, 1..=100_000)),
            },
            training: match training(page, &self.training) {
                Ok(training) => training,
                Err(message) => {
                    errors.add("training", message);
                    Map::new()
                }
            },
        };
        if settings.description.chars().count() > 10_000 {
            errors.add("description", page.t1("admin-error-long", "most", 10_000));
        }
        if errors.is_empty() { Ok(settings) } else { Err(errors) }
    }
}

/// Training settings: a JSON object of the known sections. Nothing at all means the trainer's own values.
fn training(page: &Page, text: &str) -> Result<Map<String, Value>, String> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    let value: Value = serde_json::from_str(text)
        .map_err(|error| page.t2("admin-error-json", "line", error.line(), "column", error.column()))?;
    let Value::Object(map) = value else {
        return Err(page.t("admin-error-json-object"));
    };
    for (key, value) in &map {
        let right_form = match key.as_str() {
            DEVICE => value.is_string(),
            SEED => value.is_u64(),
            section if TRAINING_SECTIONS.contains(&section) => value.is_object(),
            _ => {
                let known = format!("{}, {DEVICE}, {SEED}", TRAINING_SECTIONS.join(", "));
                return Err(page.t2("admin-error-json-section", "section", key.as_str(), "known", known));
            }
        };
        if !right_form {
            return Err(page.t1("admin-error-json-form", "section", key.as_str()));
        }
    }
    Ok(map)
}
