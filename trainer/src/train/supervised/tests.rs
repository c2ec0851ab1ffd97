//! When a run ends, what it tells, and what it holds the best weights against, with evaluations that are known beforehand.

use std::{cell::Cell, path::Path};

use burn::tensor::Device;
use serde_json::Map;

use super::*;
use crate::{
    model::ScalarHead,
    train::{Earlier, StageSettings, checkpoint::room::testing::with_free, sft::SftSettings},
};

/// Evaluations that give these numbers, one after another.
struct Scripted {
    nll: Vec<f64>,
    /// What a judge gives each time, where there is one.
    reward: Option<f64>,
    by_reward: bool,
    /// After so many steps the loss is no number.
    broken_after: usize,
    /// The loss is a number then, and only its gradient is none.
    by_gradient: bool,
    steps: Cell<usize>,
    done: Cell<usize>,
}

impl Scripted {
    fn new(nll: &[f64]) -> Self {
        let (steps, done) = (Cell::new(0), Cell::new(0));
        let (by_reward, by_gradient) = (false, false);
        Self { nll: nll.to_vec(), reward: None, by_reward, broken_after: usize::MAX, by_gradient, steps, done }
    }
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
        let loss = model.weight.val().square().sum();
        let is_broken = self.steps.replace(self.steps.get() + 1) >= self.broken_after;
        let loss = match (is_broken, self.by_gradient) {
            (false, _) => loss,
            (true, false) => loss * f64::NAN,
            // The root of 0 is 0, and rises without bound.
            (true, true) => (loss * 0.0).sqrt(),
        };
        (loss, items.len() as f64)
    }

    fn holds_out(&self) -> bool {
        true
    }

    fn evaluate(&self, _: &ScalarHead) -> BTreeMap<String, f64> {
        let nll = self.nll[self.done.replace(self.done.get() + 1)];
        let mut measured = BTreeMap::from([("eval/nll".to_owned(), nll), ("eval/perplexity".to_owned(), nll.exp())]);
        measured.extend(self.reward.map(|reward| ("eval/reward".to_owned(), reward)));
        measured
    }

    fn criterion(&self) -> &'static str {
        if self.by_reward { "eval/reward" } else { "eval/nll" }
    }

    fn higher_is_better(&self) -> bool {
        self.by_reward
    }
}

#[derive(Default)]
struct Told {
    metrics: Vec<(String, f64)>,
    log: Vec<String>,
    warnings: Vec<String>,
}

impl Reporter for Told {
    fn metric(&mut self, _: Stage, _: u64, name: &str, value: f64) {
        self.metrics.push((name.to_owned(), value));
    }

    fn log(&mut self, level: LogLevel, text: &str) {
        self.log.push(text.to_owned());
        if level == LogLevel::Warning {
            self.warnings.push(text.to_owned());
        }
    }

    fn progress(&mut self, _: Stage, _: u64, _: u64) {}
}

/// A run of `epochs` times eight steps, each judged and each followed by a checkpoint. Those stay: what removes them comes
/// after the model is written.
fn run_of(
    folder: &Path,
    objective: &Scripted,
    [epochs, patience]: [usize; 2],
    earlier: Earlier,
    told: &mut Told,
) -> Result<Learned<ScalarHead>, TrainError> {
    run_in("float32", 2, folder, objective, [epochs, patience], earlier, told)
}

/// As [`run_of`], in a precision, with so many checkpoints kept.
fn run_in(
    precision: &str,
    save_limit: usize,
    folder: &Path,
    objective: &Scripted,
    [epochs, patience]: [usize; 2],
    earlier: Earlier,
    told: &mut Told,
) -> Result<Learned<ScalarHead>, TrainError> {
    let settings =
        SftSettings { save_steps: 1, save_limit, precision: precision.parse().unwrap(), ..SftSettings::default() };
    let plan = Plan { epochs, steps: 0, batch_size: 1, eval_steps: 1, patience, shared: settings.shared() };
    let run = Run { out: folder.join("out"), device: Device::flex(), seed: 1, earlier };
    let named = Map::from_iter([("precision".to_owned(), precision.into())]);
    let identity = Identity { stage: "sft".into(), inputs: BTreeMap::new(), seed: 1, settings: named };
    learn(objective, ScalarHead::init(4, 1, &run.device), &plan, &run, identity, told)
}

/// What a run of at most eight steps ends with.
fn learned(folder: &Path, nll: &[f64], earlier: Earlier, told: &mut Told) -> BTreeMap<String, f64> {
    run_of(folder, &Scripted::new(nll), [1, 2], earlier, told).unwrap().metrics
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
fn a_run_that_the_disk_has_no_room_for_is_refused_before_anything_is_computed() {
    let folder = tempfile::tempdir().unwrap();
    let objective = Scripted::new(&[2.0; 9]);
    let run = || run_of(folder.path(), &objective, [1, 0], Earlier::Refuse, &mut Told::default());
    let error = with_free(140, run).err().unwrap();
    assert!(matches!(error, TrainError::NoRoom(_)) && !error.is_wrong_input(), "{error}");
    let said = error.to_string();
    // Four weights of four bytes, with two moments; two checkpoints are kept, and a third is written before one of them goes.
    let needed = "would write 144 B there (3 checkpoints of 48 B)";
    assert!(said.contains("has room for 140 B") && said.contains(needed) && said.contains("save_limit"), "{said}");
    assert_eq!((objective.steps.get(), objective.done.get()), (0, 0));
    assert!(!folder.path().join("out.checkpoints").exists());
    with_free(144, run).unwrap();
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

#[test]
fn a_measure_that_is_no_number_is_warned_of_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = Told::default();
    let objective = Scripted { reward: Some(f64::NAN), ..Scripted::new(&[3.0, 2.0, 1.0, 2.0, 3.0]) };
    let metrics = run_of(folder.path(), &objective, [1, 2], Earlier::Refuse, &mut told).unwrap().metrics;
    let warned = |step: usize| format!("eval/reward is NaN at step {step}, no number to go by: it is left out");
    assert_eq!(told.warnings, (0..=4).map(warned).collect::<Vec<_>>());
    assert!(told.metrics.iter().all(|(name, value)| value.is_finite() && name != "eval/reward"), "{:?}", told.metrics);
    assert!(metrics["eval/nll"] == 1.0 && !metrics.contains_key("eval/reward"), "{metrics:?}");
}

#[test]
fn a_measure_that_the_best_is_told_by_and_that_is_no_number_ends_the_run_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let by_nll = Scripted { reward: Some(1.0), ..Scripted::new(&[3.0, f64::NAN]) };
    let by_reward = Scripted { reward: Some(f64::NAN), by_reward: true, ..Scripted::new(&[3.0]) };
    for (name, objective, at, what) in [("nll", by_nll, 1, "the loss on"), ("reward", by_reward, 0, "the reward of")] {
        let folder = folder.path().join(name);
        let error = run_of(&folder, &objective, [1, 2], Earlier::Refuse, &mut Told::default()).err().unwrap();
        assert!(matches!(error, TrainError::Diverged { step, .. } if step == at), "{error}");
        assert!(error.to_string().contains(what), "{error}");
        // Weights that the run was given are none that a rate has made.
        assert_eq!(error.to_string().contains("a lower learning rate"), at > 0, "{error}");
    }
}

#[test]
fn the_best_of_a_finished_run_is_held_against_the_steps_that_are_added_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let run = |epochs: usize, nll: &[f64], earlier| {
        let learned = run_of(folder.path(), &Scripted::new(nll), [epochs, 0], earlier, &mut Told::default()).unwrap();
        let weights: Vec<f32> = learned.model.weight.val().into_data().try_to_vec().unwrap();
        let told = ["train/steps", "train/best_step", "eval/nll", "eval/nll_before"];
        (told.map(|name| learned.metrics[name]), weights)
    };
    let (first, best) = run(1, &[4.0, 3.0, 2.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0], Earlier::Refuse);
    assert_eq!(first, [8.0, 3.0, 1.0, 4.0]);
    // The newest checkpoint is of the step before the last. What comes is no better: the weights of step 3 are still there.
    let (second, weights) = run(2, &[1.5; 9], Earlier::Resume);
    assert_eq!(second, [16.0, 3.0, 1.0, 4.0]);
    assert_eq!(weights, best);
    let (third, weights) = run(3, &[1.5, 1.5, 1.5, 0.5, 1.5, 1.5, 1.5, 1.5, 1.5], Earlier::Resume);
    assert_eq!(third, [24.0, 19.0, 0.5, 4.0]);
    assert_ne!(weights, best);
}

#[test]
fn a_checkpoint_in_which_only_another_precision_finds_no_number_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    run_of(folder.path(), &Scripted::new(&[2.0; 9]), [1, 0], Earlier::Refuse, &mut Told::default()).unwrap();
    let named = |precision: &str| {
        let broken = Scripted { broken_after: 0, ..Scripted::new(&[]) };
        let ended = run_in(precision, 2, folder.path(), &broken, [2, 0], Earlier::Resume, &mut Told::default());
        let error = ended.err().unwrap();
        let TrainError::Diverged { step: 8, checkpoint: Some(path), .. } = &error else { panic!("{error}") };
        assert!(path.exists(), "{error}");
        path.file_name().unwrap().to_string_lossy().into_owned()
    };
    assert_eq!(named("float16"), "step-00000007.safetensors");
    // In the precision that they were learned in, the weights themselves are to blame.
    assert_eq!(named("float32"), "step-00000006.safetensors");
}

#[test]
fn where_one_checkpoint_is_kept_the_one_before_it_stays_until_its_weights_are_found_good() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, broken_after: usize| {
        let objective = Scripted { broken_after, ..Scripted::new(&[2.0; 9]) };
        let folder = folder.path().join(name);
        let ended = run_in("float32", 1, &folder, &objective, [1, 0], Earlier::Refuse, &mut Told::default());
        let place = Checkpoints::place(&folder.join("out"));
        let names = std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        (ended.err(), names.filter(|name| name.starts_with("step-")).collect::<Vec<_>>())
    };
    // Three steps are done, and each is followed by a checkpoint.
    let (error, left) = run("broken", 3);
    let Some(TrainError::Diverged { step: 4, checkpoint: Some(path), .. }) = &error else { panic!("{error:?}") };
    assert!(path.ends_with("step-00000002.safetensors") && path.exists(), "{error:?}");
    assert_eq!(left, ["step-00000002.safetensors"]);
    let (error, left) = run("whole", usize::MAX);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(left, ["step-00000007.safetensors"]);
}

/// A step that float16 leaves out changes nothing: the checkpoints after it hold the weights of before, which are to blame.
#[test]
fn steps_that_are_left_out_find_no_weights_good_and_make_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let objective = Scripted { broken_after: 3, by_gradient: true, ..Scripted::new(&[2.0; 33]) };
    let ended = run_in("float16", 1, folder.path(), &objective, [4, 0], Earlier::Refuse, &mut Told::default());
    let error = ended.err().unwrap();
    // Three steps are done; then the scale is halved sixteen times, each followed by a checkpoint.
    let TrainError::Diverged { step: 20, checkpoint: Some(path), .. } = &error else { panic!("{error}") };
    assert!(path.ends_with("step-00000002.safetensors") && path.exists(), "{error}");
    let left = std::fs::read_dir(path.parent().unwrap()).unwrap();
    let names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with("step-")).collect::<Vec<_>>(), ["step-00000002.safetensors"]);
}
