//! When a run ends, what it tells, and what it holds the best weights against, with evaluations that are known beforehand.

use std::cell::Cell;

use burn::tensor::Device;
use serde_json::Map;

use super::*;
use crate::{
    model::ScalarHead,
    train::{Earlier, StageSettings, sft::SftSettings},
};

/// Evaluations that give these numbers, one after another.
struct Scripted {
    nll: Vec<f64>,
    done: Cell<usize>,
}

impl Objective for Scripted {
    type Model = ScalarHead;

    fn stage(&self) -> Stage {
        Stage::Sft
    }

    fn items(&self) -> usize {
        8
    }

    fn length(&self, _: usize) -> usize {
        1
    }

    fn micro_batch_tokens(&self) -> usize {
        8
    }

    fn loss(&self, model: &ScalarHead, items: &[usize]) -> (Tensor<1>, f64) {
        (model.weight.val().square().sum(), items.len() as f64)
    }

    fn evaluate(&self, _: &ScalarHead) -> BTreeMap<String, f64> {
        let nll = self.nll[self.done.replace(self.done.get() + 1)];
        BTreeMap::from([("eval/nll".to_owned(), nll), ("eval/perplexity".to_owned(), nll.exp())])
    }

    fn criterion(&self) -> &'static str {
        "eval/nll"
    }
}

#[derive(Default)]
struct Told {
    metrics: Vec<(String, f64)>,
    log: Vec<String>,
}

impl Reporter for Told {
    fn metric(&mut self, _: Stage, _: u64, name: &str, value: f64) {
        self.metrics.push((name.to_owned(), value));
    }

    fn log(&mut self, _: LogLevel, text: &str) {
        self.log.push(text.to_owned());
    }

    fn progress(&mut self, _: Stage, _: u64, _: u64) {}
}

/// What a run of at most eight steps ends with, each judged and each followed by a checkpoint. Those stay: what removes them comes
/// after the model is written.
fn learned(folder: &std::path::Path, nll: &[f64], earlier: Earlier, told: &mut Told) -> BTreeMap<String, f64> {
    let settings = SftSettings { save_steps: 1, ..SftSettings::default() };
    let plan = Plan { epochs: 1, steps: 0, batch_size: 1, eval_steps: 1, patience: 2, shared: settings.shared() };
    let run = Run { out: folder.join("out"), device: Device::flex(), seed: 1, earlier };
    let identity = Identity { stage: "sft".into(), inputs: BTreeMap::new(), seed: 1, settings: Map::new() };
    let objective = Scripted { nll: nll.to_vec(), done: Cell::new(0) };
    let model = ScalarHead::init(4, 1, &run.device);
    learn(&objective, model, &plan, &run, identity, told).unwrap().metrics
}

#[test]
fn a_run_that_was_killed_after_its_patience_was_over_learns_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = Told::default();
    // Before learning; then the best one and two that are worse.
    let whole = learned(folder.path(), &[2.0, 1.0, 1.5, 1.25], Earlier::Refuse, &mut told);
    assert_eq!((whole["train/steps"], whole["train/best_step"], whole["eval/nll"]), (3.0, 1.0, 1.0));
    // Nothing was written yet, and the checkpoint of the last step is there. What is not judged again needs no numbers.
    let mut told = Told::default();
    let resumed = learned(folder.path(), &[], Earlier::Resume, &mut told);
    assert_eq!(resumed, whole);
    assert!(told.log.iter().any(|line| line.ends_with("the run ends after step 3")), "{:?}", told.log);
}

#[test]
fn a_perplexity_beyond_all_numbers_is_not_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = Told::default();
    let metrics = learned(folder.path(), &[800.0, 750.0, 1.0, 2.0, 3.0], Earlier::Refuse, &mut told);
    assert!(told.metrics.iter().all(|(_, value)| value.is_finite()), "{:?}", told.metrics);
    assert!(told.log.iter().all(|line| !line.contains("eval/")), "{:?}", told.log);
    let of = |name: &str| told.metrics.iter().filter(|(found, _)| found == name).count();
    assert_eq!((of("eval/nll"), of("eval/perplexity")), (5, 3));
    assert!(metrics.contains_key("eval/nll_before") && !metrics.contains_key("eval/perplexity_before"));
}

#[test]
fn the_best_by_another_measure_is_not_held_against_what_comes() {
    let course = Course { best_step: Some(3), since_best: 2, ..Course::default() };
    let best_of = |stage, criterion, change: &str| {
        course.clone().taken_up(stage, criterion, &[format!("{change} was 1 and is 2")]).best_step
    };
    assert_eq!(best_of(Stage::Dpo, "eval/loss", "beta"), None);
    assert_eq!(best_of(Stage::Sft, "eval/reward", "eval_prompts"), None);
    assert_eq!(best_of(Stage::Sft, "eval/nll", "best_by"), None);
    for (stage, criterion, change) in [
        (Stage::Sft, "eval/nll", "eval_prompts"),
        (Stage::Reward, "eval/loss", "label_smoothing"),
        (Stage::Dpo, "eval/loss", "learning_rate"),
    ] {
        assert_eq!(best_of(stage, criterion, change), Some(3), "{change}");
    }
}
