//! Where a run stands: what a checkpoint holds beyond weights, how a run is taken up again, and how it ends badly.

use std::collections::BTreeMap;

use laurel_records::LogLevel;
use serde::{Deserialize, Serialize};

use super::{EMA, KL_COEFFICIENT, Method, scoring::Scale};
use crate::{
    rlhf::kl::KlController,
    train::{
        TrainError,
        checkpoint::{Checkpoints, Loaded, Position},
        ema::Ema,
        metrics::Reporter,
        stored::Tensors,
    },
};

/// How much the newest rollout counts in the figure that the best checkpoint is told by: about the last five make it.
const NEWEST: f64 = 0.2;

/// How settings begin that decide what an answer is worth, or by which law answers are drawn: where one of them has changed,
/// rewards of before are no measure of those to come.
const OF_REWARD: [&str; 6] = ["kl_", "score_clip", "missing_eos_", "temperature", "top_k", "top_p"];

/// How settings begin that decide how far a policy may be from its reference, or by which law that is measured: where one of
/// them has changed, a policy that was near enough before may be too far at once.
const OF_BOUND: [&str; 4] = ["max_kl", "temperature", "top_k", "top_p"];

/// Steps done, and what they left.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Course {
    #[serde(skip)]
    pub step: usize,
    /// The step at which the run was taken up with another bound: that the policy of there is beyond it is said of the new bound,
    /// not of the weights.
    #[serde(skip)]
    bounded_anew: Option<usize>,
    /// The same for another precision: numbers that are none, or too large, are said of it.
    #[serde(skip)]
    computed_anew: Option<usize>,
    pub kl: KlController,
    /// Of the reference policy's scores, once known.
    pub scale: Option<Scale>,
    /// `objective/rlhf_reward` of the rollouts, an exponential moving mean: what one rollout says is mostly noise.
    #[serde(default)]
    reward: Option<f64>,
    /// The checkpoint that was written when that was highest.
    #[serde(default)]
    best: Option<Best>,
    before: BTreeMap<String, f64>,
    last: BTreeMap<String, f64>,
}

/// A checkpoint by its step, with the moving mean of `objective/rlhf_reward` when it was written.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Best {
    step: usize,
    reward: f64,
}

impl Course {
    pub fn new(kl: KlController) -> Self {
        Self {
            step: 0,
            bounded_anew: None,
            computed_anew: None,
            kl,
            scale: None,
            reward: None,
            best: None,
            before: BTreeMap::new(),
            last: BTreeMap::new(),
        }
    }

    /// Notes the metrics of the step under way.
    pub fn note(&mut self, metrics: &BTreeMap<String, f64>) {
        // JSON, and so a checkpoint, has no word for the others.
        self.last =
            metrics.iter().filter(|(_, value)| value.is_finite()).map(|(name, value)| (name.clone(), *value)).collect();
        if let Some(reward) = self.last.get("objective/rlhf_reward") {
            self.reward = Some(self.reward.map_or(*reward, |mean| mean + NEWEST * (reward - mean)));
        }
        if self.step == 0 {
            for name in ["objective/scores", "objective/length"] {
                self.before.extend(metrics.get(name).map(|value| (format!("{name}_before"), *value)));
            }
        }
    }

    /// Replaces what is known of the policy's answers by what those of the policy as it is written say. What is no number there
    /// is not known, and not what it was before.
    pub fn note_last(&mut self, metrics: &BTreeMap<String, f64>) {
        self.last.extend(metrics.clone());
        self.last.retain(|_, value| value.is_finite());
    }

    /// β as it was in the last step, which has steered it since; before the first step, as it stands.
    pub fn last_coefficient(&self) -> f64 {
        self.last.get(KL_COEFFICIENT).copied().unwrap_or_else(|| self.kl.coefficient())
    }

    /// What the run ends with.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let mut metrics = self.last.clone();
        metrics.extend(self.before.clone());
        metrics.insert("train/steps".into(), self.step as f64);
        metrics
    }

    /// Step of the best checkpoint so far.
    pub fn best_step(&self) -> Option<usize> {
        self.best.map(|best| best.step)
    }

    /// Notes that a checkpoint is written now, as the best one where no earlier one was better.
    fn note_checkpoint(&mut self) {
        // Before the first rollout nothing is known.
        let Some(reward) = self.reward else { return };
        if self.best.is_none_or(|best| reward > best.reward) {
            self.best = Some(Best { step: self.step, reward });
        }
    }

    /// Writes a checkpoint. Those before it stay until the next step has shown that its weights are good.
    pub fn save<M: Method>(
        &mut self,
        method: &M,
        learners: &M::Learners,
        ema: Option<&Ema>,
        checkpoints: &Checkpoints,
    ) -> Result<(), TrainError> {
        let mut tensors = Tensors::new();
        method.store(learners, &mut tensors);
        if let Some(ema) = ema {
            ema.store(EMA, &mut tensors);
        }
        self.note_checkpoint();
        checkpoints.add(Position::new(self.step, &*self, None)?, &tensors)
    }

    /// The learners and the course of a checkpoint.
    pub fn resume<M: Method>(
        self,
        method: &M,
        learners: M::Learners,
        mut loaded: Loaded,
        reporter: &mut dyn Reporter,
    ) -> Result<(M::Learners, Self), TrainError> {
        let learners = method.restore(learners, &mut loaded.tensors)?;
        let step = loaded.position.step;
        reporter.log(LogLevel::Info, &format!("going on from the checkpoint at step {step}"));
        for change in &loaded.changed {
            reporter.log(LogLevel::Warning, &format!("a setting is not what it was: {change}"));
        }
        let stored = Self { step, ..loaded.state::<Self>()? };
        Ok((learners, stored.taken_up(self.kl, &loaded.changed)))
    }

    /// The course of a checkpoint as a run goes on with it; `kl` is the price that is asked for now.
    fn taken_up(mut self, kl: KlController, changed: &[String]) -> Self {
        let has_changed =
            |names: &[&str]| changed.iter().any(|change| names.iter().any(|name| change.starts_with(name)));
        if has_changed(&["kl_coefficient"]) {
            // A new price was asked for, perhaps because the old one let the policy run away.
            self.kl = kl;
        } else if has_changed(&["kl_"]) {
            // It is to be steered otherwise, from where it stands: back at its beginning it would let go what it holds.
            self.kl = kl.at(self.kl.coefficient());
        }
        if has_changed(&OF_REWARD) {
            (self.reward, self.best) = (None, None);
        }
        self.bounded_anew = has_changed(&OF_BOUND).then_some(self.step);
        self.computed_anew = has_changed(&["precision"]).then_some(self.step);
        self
    }

    /// Numbers beyond use end the run at `step`. The weights of now gave them: their checkpoint is removed, and the one before
    /// it named. The weights of step 0 are those that the run was given, and as good as they were; so are those of a run that was
    /// taken up with another bound, or in another precision, and fails by it at once, and those that a step learned from until
    /// what it made of them failed.
    pub fn diverged(&self, step: usize, error: TrainError, checkpoints: &Checkpoints) -> TrainError {
        let (error, has_moved) = match error {
            TrainError::WithinStep(error) => (*error, true),
            error => (error, false),
        };
        let changed_at = match error {
            TrainError::Diverged { .. } => self.bounded_anew,
            _ => self.computed_anew,
        };
        let reason = match error {
            // The first rollout is judged before anything is learned from it: the models that were given make them so.
            TrainError::NotFinite { what: "score" | "divergence" } if self.step == 0 => {
                format!("{error} before anything is learned")
            }
            TrainError::NotFinite { .. } => format!("{error}; a lower learning rate may help"),
            TrainError::BeyondFloat16 => error.to_string(),
            TrainError::Diverged { reason, .. } => reason,
            other => return other,
        };
        let is_good = has_moved || self.step == 0 || changed_at == Some(self.step);
        let checkpoint = if is_good { checkpoints.newest() } else { checkpoints.without(self.step..=self.step) };
        TrainError::Diverged { step, reason, checkpoint }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{
        checkpoint::{Earlier, Identity},
        stored::Stored,
    };

    #[test]
    fn the_best_checkpoint_is_told_by_several_rollouts() {
        let mut course = Course::new(KlController::Fixed { coefficient: 0.05 });
        let mut best_after = |rewards: &[f64]| {
            for reward in rewards {
                course.note(&BTreeMap::from([("objective/rlhf_reward".to_owned(), *reward)]));
                course.step += 1;
            }
            course.note_checkpoint();
            course.best_step()
        };
        assert_eq!(best_after(&[]), None);
        // 1, then 1 + 0.2 · 1.
        assert_eq!(best_after(&[1.0, 2.0]), Some(2));
        // 1.2 − 0.2 · 5 = 0.2, then 0.2 + 0.2 · 2 = 0.6: one good rollout is not enough.
        assert_eq!(best_after(&[-3.8]), Some(2));
        assert_eq!(best_after(&[2.2]), Some(2));
        // 0.6 + 0.2 · 4 = 1.4
        assert_eq!(best_after(&[4.6]), Some(5));
    }

    #[test]
    fn rewards_under_another_price_or_another_law_are_not_held_against_those_to_come() {
        let [old, new] = [0.05, 0.2].map(|coefficient| KlController::Fixed { coefficient });
        let stored = Course { reward: Some(1.0), best: Some(Best { step: 3, reward: 1.0 }), ..Course::new(old) };
        let taken_up = |setting: &str| stored.clone().taken_up(new, &[format!("{setting} was 1 and is 2")]);
        for setting in ["kl_coefficient", "missing_eos_penalty", "score_clip", "temperature", "top_k", "top_p"] {
            let found = taken_up(setting);
            assert_eq!((found.best_step(), found.reward), (None, None), "{setting}");
            assert_eq!(found.kl == new, setting == "kl_coefficient", "{setting}");
        }
        let found = taken_up("learning_rate");
        assert_eq!((found.best_step(), found.kl), (Some(3), old));
    }

    #[test]
    fn a_price_that_is_steered_otherwise_goes_on_from_where_it_stands() {
        let steered = |coefficient: f64, target: f64| KlController::Adaptive { coefficient, target, horizon: 1000.0 };
        let stored = Course::new(steered(0.3, 6.0));
        let taken_up = |setting: &str, kl| stored.clone().taken_up(kl, &[format!("{setting} was 1 and is 2")]).kl;
        assert_eq!(taken_up("kl_target", steered(0.05, 9.0)), steered(0.3, 9.0));
        assert_eq!(taken_up("kl_coefficient", steered(0.1, 6.0)), steered(0.1, 6.0));
        let fixed = |coefficient| KlController::Fixed { coefficient };
        assert_eq!(taken_up("kl_target", fixed(0.05)), fixed(0.3));
    }

    #[test]
    fn a_checkpoint_is_kept_that_only_a_new_setting_or_the_step_under_way_makes_look_bad() {
        let beyond = || TrainError::Diverged { step: 5, reason: "too far".into(), checkpoint: None };
        let no_number = || TrainError::NotFinite { what: "divergence" };
        let named = |setting: &str, of: usize, error: TrainError| {
            let folder = tempfile::tempdir().unwrap();
            let identity =
                Identity { stage: "ppo".into(), inputs: BTreeMap::new(), seed: 1, settings: serde_json::Map::new() };
            let out = folder.path().join("out");
            let (checkpoints, _) = Checkpoints::open(&out, identity, 2, Earlier::Refuse).unwrap();
            let tensors = Tensors::from([("one".to_owned(), Stored::number(1.0))]);
            for step in [3, 4] {
                checkpoints.add(Position::new(step, &(), None).unwrap(), &tensors).unwrap();
            }
            let kl = KlController::Fixed { coefficient: 0.05 };
            let stored = Course { step: 4, ..Course::new(kl) };
            let mut course = stored.taken_up(kl, &[format!("{setting} was 1 and is 2")]);
            course.step = of;
            let ended = course.diverged(of + 1, error, &checkpoints);
            let TrainError::Diverged { checkpoint: Some(path), .. } = &ended else { panic!("{setting}: {ended}") };
            assert_eq!(checkpoints.newest().as_ref(), Some(path), "{setting}");
            path.file_name().unwrap().to_string_lossy().into_owned()
        };
        let [before, newest] = ["step-00000003.safetensors", "step-00000004.safetensors"];
        assert_eq!(named("max_kl", 4, beyond()), newest);
        assert_eq!(named("temperature", 4, beyond()), newest);
        assert_eq!(named("precision", 4, no_number()), newest);
        // Under the bound of before it is the weights that are too far; what is no number comes of them whatever the bound.
        assert_eq!(named("learning_rate", 4, beyond()), before);
        assert_eq!(named("max_kl", 4, no_number()), before);
        assert_eq!(named("precision", 4, beyond()), before);
        // An update of the step itself made the weights that give no number, or none had been made.
        assert_eq!(named("learning_rate", 4, no_number().within_step(true)), newest);
        assert_eq!(named("learning_rate", 4, no_number().within_step(false)), before);
        // A step later nothing is saved yet: the one before it is good.
        assert_eq!(named("max_kl", 5, beyond()), newest);
    }

    #[test]
    fn models_that_give_no_numbers_from_the_start_are_not_blamed_on_the_rate() {
        let folder = tempfile::tempdir().unwrap();
        let settings = serde_json::Map::new();
        let identity = Identity { stage: "ppo".into(), inputs: BTreeMap::new(), seed: 1, settings };
        let (checkpoints, _) = Checkpoints::open(&folder.path().join("out"), identity, 2, Earlier::Refuse).unwrap();
        let mut course = Course::new(KlController::Fixed { coefficient: 0.05 });
        let mut told = |step: usize, what: &'static str| {
            course.step = step;
            course.diverged(step + 1, TrainError::NotFinite { what }, &checkpoints).to_string()
        };
        let first = told(0, "score");
        assert!(first.contains("the score is not a finite number before anything is learned"), "{first}");
        for (step, what) in [(1, "score"), (0, "gradient")] {
            let later = told(step, what);
            assert!(later.contains("a lower learning rate may help"), "{later}");
        }
    }

    #[test]
    fn the_price_of_the_last_step_is_the_one_that_it_learned_under() {
        let mut course = Course::new(KlController::Adaptive { coefficient: 0.2, target: 6.0, horizon: 100.0 });
        assert_eq!(course.last_coefficient(), 0.2);
        course.kl.observe(12.0, 50);
        course.note(&BTreeMap::from([(KL_COEFFICIENT.to_owned(), 0.2)]));
        assert_eq!(course.last_coefficient(), 0.2);
        assert!(course.kl.coefficient() > 0.2);
    }

    #[test]
    fn what_is_no_number_at_the_end_is_not_told_and_neither_is_what_it_was() {
        let mut course = Course::new(KlController::Fixed { coefficient: 0.05 });
        let of =
            |kl: f64, k3: f64| BTreeMap::from([("objective/kl".to_owned(), kl), ("objective/kl_k3".to_owned(), k3)]);
        course.note(&of(1.0, 1.5));
        course.note_last(&of(2.0, f64::INFINITY));
        let metrics = course.metrics();
        assert_eq!((metrics.get("objective/kl"), metrics.get("objective/kl_k3")), (Some(&2.0), None));
    }
}
