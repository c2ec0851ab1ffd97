//! What a project's settings say about a job: the JSON object that comes with it.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{generate::SamplingSettings, model::Precision};

/// Sections of a job's settings, as given: stages lay them over their own defaults.
#[derive(Debug, Clone)]
pub struct JobSettings {
    pub sft: Map<String, Value>,
    pub reward: Map<String, Value>,
    pub ppo: Map<String, Value>,
    pub sampling: SamplingSettings,
    pub evaluate: EvaluateSettings,
    /// `auto`, `cpu`, `wgpu`, `cuda` or `cuda:N`.
    pub device: String,
    /// Where random numbers start.
    pub seed: u64,
}

/// Settings of the evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluateSettings {
    /// Most held-out prompts that the policies answer.
    pub prompts: usize,
    /// Texts that go through a model together.
    pub batch: usize,
    /// Most prompts with answers that wait to be ranked of which the reward model says how unsure it is; 0: none.
    pub waiting: usize,
    /// What matrix products are computed in where models are only asked: here, and when answers are sampled.
    pub precision: Precision,
}

impl Default for EvaluateSettings {
    fn default() -> Self {
        Self { prompts: 200, batch: 8, waiting: 500, precision: Precision::Float32 }
    }
}

/// Settings that can't be used, in words for the dashboard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the project's training settings: {0}")]
pub struct WrongSettings(String);

impl JobSettings {
    /// Reads the sections. `lora` is laid under all stages: `{"lora": {"rank": 8}}` is `lora_rank: 8` in each of them.
    pub fn read(config: &Map<String, Value>) -> Result<Self, WrongSettings> {
        const KNOWN: [&str; 8] = ["sft", "reward", "ppo", "lora", "sampling", "evaluate", "device", "seed"];
        // Pages took it for long, and nothing was made of it.
        if config.contains_key("pretrain") {
            let text = "pretrain: a night begins at the base model and pretrains nothing; take the section out, and bring a \
                        base model that `laurel-trainer pretrain` made";
            return Err(WrongSettings(text.to_owned()));
        }
        if let Some(other) = config.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            return Err(WrongSettings(format!("there is no section “{other}”")));
        }
        let adapters = adapters(object(config, "lora")?);
        let stage = |name: &str| {
            let mut layer = adapters.clone();
            layer.extend(object(config, name)?);
            Ok(layer)
        };
        let sampling: SamplingSettings = section(config, "sampling")?;
        sampling.check().map_err(|reason| WrongSettings(format!("sampling: {reason}")))?;
        Ok(Self {
            sft: stage("sft")?,
            reward: stage("reward")?,
            ppo: stage("ppo")?,
            sampling,
            evaluate: section(config, "evaluate")?,
            device: field(config, "device")?.unwrap_or_else(|| "auto".to_owned()),
            seed: field(config, "seed")?.unwrap_or_default(),
        })
    }

    /// Settings that were given and of which a night makes nothing: they are for what only the commands have.
    pub fn idle(&self) -> Vec<String> {
        const SFT: [&str; 2] = ["eval_prompts", "eval_max_new_tokens"];
        const PPO: [&str; 4] = ["ptx_coefficient", "ptx_batch_size", "ptx_block_length", "keep_policy_steps"];
        let given = |stage: &'static str, section: &Map<String, Value>, names: &[&str]| -> Vec<String> {
            let given = names.iter().filter(|name| section.contains_key(**name));
            given.map(|name| format!("{stage}.{name}")).collect()
        };
        [given("sft", &self.sft, &SFT), given("ppo", &self.ppo, &PPO)].concat()
    }
}

/// Naming any setting of adapters switches them on, unless `"on"` says otherwise.
fn adapters(section: Map<String, Value>) -> Map<String, Value> {
    let mut layer = Map::new();
    if !section.is_empty() {
        layer.insert("lora".to_owned(), "on".into());
    }
    for (name, value) in section {
        match (name.as_str(), value) {
            ("enabled" | "on", Value::Bool(on)) => {
                layer.insert("lora".to_owned(), if on { "on" } else { "off" }.into());
            }
            (_, value) => {
                layer.insert(format!("lora_{name}"), value);
            }
        }
    }
    layer
}

fn object(config: &Map<String, Value>, name: &str) -> Result<Map<String, Value>, WrongSettings> {
    match config.get(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object.clone()),
        Some(_) => Err(WrongSettings(format!("“{name}” must be an object, {{…}}"))),
    }
}

fn section<T: DeserializeOwned>(config: &Map<String, Value>, name: &str) -> Result<T, WrongSettings> {
    let object = Value::Object(object(config, name)?);
    serde_json::from_value(object).map_err(|error| WrongSettings(format!("{name}: {error}")))
}

fn field<T: DeserializeOwned>(config: &Map<String, Value>, name: &str) -> Result<Option<T>, WrongSettings> {
    let value = config.get(name).filter(|value| !value.is_null()).cloned();
    value.map(serde_json::from_value).transpose().map_err(|error| WrongSettings(format!("{name}: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(config: Value) -> Result<JobSettings, String> {
        JobSettings::read(config.as_object().expect("an object")).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_object_is_fine_and_wrong_names_are_said() {
        let settings = read(json!({})).expect("defaults");
        assert_eq!((settings.device.as_str(), settings.seed, settings.evaluate.prompts), ("auto", 0, 200));
        for (config, said) in [
            (json!({"sftt": {}}), "sftt"),
            (json!({"sft": 3}), "sft"),
            (json!({"pretrain": {"epochs": 2}}), "take the section out"),
            (json!({"evaluate": {"prompt": 3}}), "unknown field `prompt`"),
            (json!({"sampling": {"temperature": "hot"}}), "sampling"),
        ] {
            let error = read(config).expect_err("refused");
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn settings_that_only_a_command_has_a_use_for_are_named() {
        let config = json!({"sft": {"epochs": 1, "eval_prompts": 8}, "ppo": {"ptx_coefficient": 2, "steps": 9}});
        assert_eq!(read(config).expect("settings").idle(), ["sft.eval_prompts", "ppo.ptx_coefficient"]);
        assert!(read(json!({"ppo": {"steps": 9}})).expect("settings").idle().is_empty());
    }

    #[test]
    fn adapters_are_laid_under_every_stage() {
        let settings = read(json!({"lora": {"rank": 8}, "ppo": {"lora_rank": 4}})).expect("settings");
        assert_eq!((&settings.sft["lora_rank"], &settings.sft["lora"]), (&json!(8), &json!("on")));
        assert_eq!(settings.ppo["lora_rank"], json!(4));
        assert!(read(json!({"sft": {}})).expect("settings").sft.is_empty());
    }
}
