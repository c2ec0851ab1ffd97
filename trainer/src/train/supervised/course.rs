//! What a run knows of its way so far: the best evaluation, how many came after it, how much was read.

use std::collections::BTreeMap;

use laurel_records::Stage;
use serde::{Deserialize, Serialize};

/// What a checkpoint holds beyond weights and step.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Course {
    pub before: BTreeMap<String, f64>,
    pub best: BTreeMap<String, f64>,
    pub best_step: Option<usize>,
    /// Evaluations since the best one.
    #[serde(default)]
    pub since_best: usize,
    pub tokens: f64,
}

impl Course {
    /// The course of a checkpoint as a run goes on with it: where the best weights are told by another measure now, those of
    /// before are no longer held against those to come.
    pub fn taken_up(mut self, stage: Stage, criterion: &str, changed: &[String]) -> Self {
        let is_of_measure = |change: &String| {
            let setting = change.split(' ').next().unwrap_or_default();
            match stage {
                Stage::Sft if criterion == "eval/reward" => {
                    ["best_by", "eval_prompts", "eval_max_new_tokens"].contains(&setting)
                }
                Stage::Sft => setting == "best_by",
                // What is held out is judged by the loss itself.
                Stage::Dpo => ["beta", "label_smoothing"].contains(&setting),
                _ => false,
            }
        };
        if changed.iter().any(is_of_measure) {
            self.best.clear();
            (self.best_step, self.since_best) = (None, 0);
        }
        self
    }
}
