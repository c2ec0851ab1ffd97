//! What a run is known by: whether another may go on from what it left.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a run must agree in with the run that it continues, and what it may change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    pub stage: String,
    /// Digests of the models and of the data, by what they are for.
    pub inputs: BTreeMap<String, String>,
    pub seed: u64,
    pub settings: Map<String, Value>,
}

/// A setting that is not what it was.
#[derive(Debug)]
pub struct ChangedSetting<'a> {
    name: &'a str,
    before: &'a Value,
    now: &'a Value,
}

/// Settings that decide weights' shapes, what is learned from and in which order, or the scale of what was measured before: a
/// run cannot go on with others. (Pretraining text that PPO mixes in is drawn anew at each step, so its blocks may change.)
const FIXED: [&str; 16] = [
    "ensemble",
    "lora",
    "lora_rank",
    "lora_targets",
    "lora_alpha",
    "freeze_embeddings",
    "freeze_layers",
    "ema_decay",
    "batch_size",
    "max_length",
    "max_new_tokens",
    "block_length",
    "packing",
    "num_generations",
    "value_model",
    "normalise_scores",
];

/// Settings that by being above 0 decide what is learned from: above it a run goes on with another amount.
const FIXED_AT_ZERO: [&str; 1] = ["rating_coefficient"];

impl Identity {
    /// What else than settings tells the run that `theirs` is of from this one, in words; nothing where both do the same work.
    pub fn other_work(&self, theirs: &Self) -> Vec<String> {
        let mut different = Vec::new();
        if self.stage != theirs.stage {
            different.push(format!("it is of {}", theirs.stage));
        }
        if self.seed != theirs.seed {
            different.push(format!("its seed is {}", theirs.seed));
        }
        let names: BTreeSet<_> = self.inputs.keys().chain(theirs.inputs.keys()).collect();
        for name in names {
            if self.inputs.get(name) != theirs.inputs.get(name) {
                different.push(format!("its {name} is another"));
            }
        }
        different
    }

    /// This run's settings that the other has otherwise.
    pub fn changed_settings<'a>(&'a self, theirs: &'a Self) -> impl Iterator<Item = ChangedSetting<'a>> {
        self.settings.iter().filter_map(move |(name, now)| {
            let before = theirs.settings.get(name).unwrap_or(&Value::Null);
            (now != before).then_some(ChangedSetting { name, before, now })
        })
    }
}

impl ChangedSetting<'_> {
    /// Whether a run of a stage cannot go on with the new value.
    pub fn is_fixed(&self) -> bool {
        let is_above_0 = |value: &Value| value.as_f64().is_some_and(|number| number > 0.0);
        FIXED.contains(&self.name)
            || (FIXED_AT_ZERO.contains(&self.name) && is_above_0(self.before) != is_above_0(self.now))
    }
}

/// As in `seed was 1 and is 2`.
impl fmt::Display for ChangedSetting<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} was {} and is {}", self.name, self.before, self.now)
    }
}
