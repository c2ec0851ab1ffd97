//! The loop of every stage that learns from a fixed set of items: order, accumulate, step, judge, keep the best.

mod course;

use std::{collections::BTreeMap, time::Instant};

use burn::{module::Module, tensor::Tensor};
use laurel_records::{LogLevel, Stage};

use super::{
    Run,
    checkpoint::{
        Cadence, Checkpoints, Identity, Position,
        room::{MOMENTS, NUMBER, Writes, bytes_of_model},
    },
    completion::chunks_by_tokens,
    derived_seed,
    ema::Ema,
    error::TrainError,
    metrics::Reporter,
    optimiser::Optimiser,
    settings::Shared,
    stored::{Tensors, count_learned, restore_learned, store_learned},
};
use crate::{data::Order, model::recompute::Recomputing, terminal::counted};
use course::Course;

/// What is learned from which items, and how it is judged.
pub(super) trait Objective {
    type Model: Module;

    fn stage(&self) -> Stage;

    /// How many items there are to learn from.
    fn items(&self) -> usize;

    /// Tokens of one item with its padding, for putting micro-batches together.
    fn length(&self, item: usize) -> usize;

    fn micro_batch_tokens(&self) -> usize;

    /// The items of a step as they go through the model, a few at once.
    fn micro_batches(&self, items: Vec<usize>) -> Vec<Vec<usize>> {
        chunks_by_tokens(items, |item| self.length(item), self.micro_batch_tokens())
    }

    /// The loss summed over the items, `[1]`, and what the sum over the whole batch is to be divided by.
    fn loss(&self, model: &Self::Model, items: &[usize]) -> (Tensor<1>, f64);

    /// What was watched while the losses of the last step were computed; reported with it.
    fn watched(&self) -> BTreeMap<String, f64> {
        BTreeMap::new()
    }

    /// Whether anything is held out, to tell the best weights by.
    fn holds_out(&self) -> bool;

    /// Measures on what is held out; empty when nothing is.
    fn evaluate(&self, model: &Self::Model) -> BTreeMap<String, f64>;

    /// The measure by which the best weights are told.
    fn criterion(&self) -> &'static str;

    /// Whether more of it is better.
    fn higher_is_better(&self) -> bool {
        false
    }
}

/// How long to learn, and how often to look.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub epochs: usize,
    /// At most so many steps; 0 leaves it to the epochs.
    pub steps: usize,
    pub batch_size: usize,
    /// Judge after every so many steps; 0 judges after each epoch.
    pub eval_steps: usize,
    /// The run ends after so many evaluations in a row that were no better than the best; 0 never does.
    pub patience: usize,
    pub shared: Shared,
}

/// The plan that a stage's settings make: those with passes, steps, the size of a batch and the time between evaluations.
macro_rules! plan_of {
    ($settings:expr) => {
        $crate::train::supervised::Plan {
            epochs: $settings.epochs,
            steps: $settings.steps,
            batch_size: $settings.batch_size,
            eval_steps: $settings.eval_steps,
            patience: $settings.patience,
            shared: $settings.shared(),
        }
    };
}
pub(super) use plan_of;

impl Plan {
    fn steps_an_epoch(&self, items: usize) -> usize {
        items.div_ceil(self.batch_size)
    }

    fn total(&self, items: usize) -> usize {
        let by_epochs = self.epochs * self.steps_an_epoch(items);
        if self.steps == 0 { by_epochs } else { self.steps.min(by_epochs) }
    }
}

/// A model that has learned, with its checkpoints, which are to be removed once it is written.
pub(super) struct Learned<M> {
    pub model: M,
    pub metrics: BTreeMap<String, f64>,
    pub checkpoints: Checkpoints,
}

/// Learns. `model` is on the device without gradients and comes back there, with the best weights that were seen.
pub(super) fn learn<O: Objective>(
    objective: &O,
    model: O::Model,
    plan: &Plan,
    run: &Run,
    identity: Identity,
    reporter: &mut dyn Reporter,
) -> Result<Learned<O::Model>, TrainError> {
    let (checkpoints, earlier) = Checkpoints::open(&run.out, identity, plan.shared.save_limit, run.earlier)?;
    let mut learner = Learner {
        objective,
        plan,
        run,
        checkpoints,
        optimiser: Optimiser::of(&plan.shared),
        order: Order::new(objective.items(), run.seed),
        course: Course::default(),
        total: plan.total(objective.items()),
        ema: None,
        cadence: Cadence::new(plan.shared.save_steps, plan.shared.save_minutes),
        computed_anew: None,
        // What a run that was stopped left too much is removed at the first step, too.
        unproven: true,
    };
    let _recomputing = Recomputing::new(plan.shared.gradient_checkpointing);
    let mut model = model.train();
    learner.ema = Ema::of(&model, plan.shared.ema_decay);
    let mut step = earlier.as_ref().map_or(0, |loaded| loaded.position.step);
    learner.ensure_room(&model, step)?;
    match earlier {
        Some(mut loaded) => {
            model = restore_learned("model.", model, &mut loaded.tensors)?;
            learner.optimiser.restore("adam.", &model, &mut loaded.tensors);
            if let Some(ema) = &mut learner.ema {
                ema.restore("ema.", &mut loaded.tensors);
            }
            let (stage, criterion) = (objective.stage(), objective.criterion());
            let course = loaded.state::<Course>()?;
            // With nothing left to learn nothing is judged either: the best of before is the only one that there is.
            let goes_on = step < learner.total;
            learner.course = if goes_on { course.taken_up(stage, criterion, &loaded.changed) } else { course };
            let has_precision = |change: &String| change.starts_with("precision ");
            learner.computed_anew = loaded.changed.iter().any(has_precision).then_some(step);
            reporter.log(LogLevel::Info, &format!("going on from the checkpoint at step {step}"));
            for change in loaded.changed {
                reporter.log(LogLevel::Warning, &format!("a setting is not what it was: {change}"));
            }
        }
        None => learner.course.before = learner.judge(&model, 0, reporter)?,
    }
    learner.checkpoints.begin()?;
    reporter.progress(objective.stage(), step as u64, learner.total as u64);
    // A run that was killed after its patience was over has nothing more to learn when it is resumed.
    while step < learner.total && !learner.is_patience_over() {
        model = learner.step(model, step, reporter)?;
        step += 1;
        learner.after_step(&model, step, reporter)?;
        reporter.progress(objective.stage(), step as u64, learner.total as u64);
        if reporter.stop_requested() && step < learner.total && !learner.is_patience_over() {
            learner.save(&model, step)?;
            return Err(TrainError::Stopped { step });
        }
    }
    if step < learner.total {
        let evaluations = counted(learner.course.since_best, "evaluation");
        let text = format!("no better for {evaluations}: the run ends after step {step}");
        reporter.log(LogLevel::Info, &text);
    }
    learner.finish(model, step)
}

struct Learner<'a, O: Objective> {
    objective: &'a O,
    plan: &'a Plan,
    run: &'a Run,
    checkpoints: Checkpoints,
    optimiser: Optimiser,
    order: Order,
    course: Course,
    total: usize,
    ema: Option<Ema>,
    cadence: Cadence,
    /// The step at which the run was taken up in another precision.
    computed_anew: Option<usize>,
    /// No step has shown yet that the weights of the newest checkpoint are good: those before it stay until then.
    unproven: bool,
}

impl<O: Objective> Learner<'_, O> {
    /// Refuses a run from step `step` on whose checkpoints and model the disk has no room for.
    fn ensure_room(&self, model: &O::Model, step: usize) -> Result<(), TrainError> {
        let weights = NUMBER * count_learned(model);
        let averages = if self.ema.is_some() { weights } else { 0 };
        self.checkpoints.ensure_room(&Writes {
            checkpoint: weights * (1 + MOMENTS) + averages,
            checkpoints: self.cadence.due_between(step, self.total),
            best: if self.objective.holds_out() { weights } else { 0 },
            model: bytes_of_model(&self.plan.shared, model.num_params() as u64, weights / NUMBER),
            models: 0,
        })
    }

    /// One step of the optimiser over one batch, micro-batch by micro-batch.
    fn step(&mut self, model: O::Model, step: usize, reporter: &mut dyn Reporter) -> Result<O::Model, TrainError> {
        let started = Instant::now();
        let shared = &self.plan.shared;
        if shared.lora.as_ref().is_some_and(|lora| lora.dropout > 0.0) {
            // Dropout draws from the device's generator: set by the step, so that a resumed run draws the same.
            self.run.device.seed(derived_seed(self.run.seed, "dropout", step as u64));
        }
        let an_epoch = self.plan.steps_an_epoch(self.objective.items());
        let order = self.order.epoch((step / an_epoch) as u64);
        let first = step % an_epoch * self.plan.batch_size;
        let items = order[first..order.len().min(first + self.plan.batch_size)].to_vec();
        let tokens: usize = items.iter().map(|&item| self.objective.length(item)).sum();

        let mut accumulated = self.optimiser.accumulator();
        for micro_batch in self.objective.micro_batches(items) {
            let (sum, weight) = self.objective.loss(&model, &micro_batch);
            accumulated.add(&model, sum, weight);
        }
        let warmup = (shared.warmup_ratio * self.total as f64).round() as usize;
        let rate = shared.schedule.rate(shared.learning_rate, step, self.total, warmup);
        let loss = accumulated.mean_loss();
        let (model, norm) =
            self.optimiser.step(model, accumulated, rate).map_err(|error| self.diverged(step + 1, step, error))?;
        if self.optimiser.left_out() == 0 && std::mem::take(&mut self.unproven) {
            self.checkpoints.tidy(self.course.best_step)?;
        }

        if let Some(ema) = &mut self.ema {
            ema.update(&model);
        }
        self.course.tokens += tokens as f64;
        let (stage, now) = (self.objective.stage(), step as u64 + 1);
        reporter.metric(stage, now, "train/loss", loss);
        reporter.metric(stage, now, "train/grad_norm", norm);
        if let Some(scale) = self.optimiser.loss_scale() {
            reporter.metric(stage, now, "train/loss_scale", scale);
        }
        reporter.metric(stage, now, "lr", rate);
        reporter.metric(stage, now, "epoch", (step + 1) as f64 / an_epoch as f64);
        for (name, value) in self.objective.watched() {
            reporter.metric(stage, now, &name, value);
        }
        reporter.metric(stage, now, "train/tokens_per_second", tokens as f64 / started.elapsed().as_secs_f64());
        Ok(model)
    }

    /// Judges and writes a checkpoint where one is due.
    fn after_step(&mut self, model: &O::Model, step: usize, reporter: &mut dyn Reporter) -> Result<(), TrainError> {
        let every = match self.plan.eval_steps {
            0 => self.plan.steps_an_epoch(self.objective.items()),
            steps => steps,
        };
        if step.is_multiple_of(every) || step == self.total {
            let measured = self.judge(model, step, reporter)?;
            self.keep_if_best(model, step, measured)?;
        }
        if self.cadence.is_due(step) && step < self.total {
            self.save(model, step)?;
        }
        Ok(())
    }

    fn judge(
        &self,
        model: &O::Model,
        step: usize,
        reporter: &mut dyn Reporter,
    ) -> Result<BTreeMap<String, f64>, TrainError> {
        let mut measured = self.objective.evaluate(&self.judged(model).valid());
        if measured.get(self.objective.criterion()).is_some_and(|value| !value.is_finite()) {
            let by_reward = self.objective.higher_is_better();
            let what = if by_reward { "reward of answers to what is held out" } else { "loss on what is held out" };
            return Err(self.diverged(step, step, TrainError::NotFinite { what }));
        }
        for (name, value) in &measured {
            if !value.is_finite() && name != "eval/perplexity" {
                let text = format!("{name} is {value} at step {step}, no number to go by: it is left out");
                reporter.log(LogLevel::Warning, &text);
            }
        }
        // A perplexity may be beyond all numbers where its logarithm is not. Neither a checkpoint nor a curve has a word for it.
        measured.retain(|_, value| value.is_finite());
        for (name, value) in &measured {
            reporter.metric(self.objective.stage(), step as u64, name, *value);
        }
        Ok(measured)
    }

    fn keep_if_best(
        &mut self,
        model: &O::Model,
        step: usize,
        measured: BTreeMap<String, f64>,
    ) -> Result<(), TrainError> {
        let criterion = self.objective.criterion();
        let sign = if self.objective.higher_is_better() { -1.0 } else { 1.0 };
        let best = self.course.best.get(criterion).map_or(f64::INFINITY, |best| sign * best);
        let Some(&found) = measured.get(criterion) else { return Ok(()) };
        if sign * found < best {
            let mut tensors = Tensors::new();
            store_learned("model.", &self.judged(model), &mut tensors);
            self.checkpoints.save_best(step, &tensors)?;
            self.course.best = measured;
            self.course.best_step = Some(step);
            self.course.since_best = 0;
        } else {
            self.course.since_best += 1;
        }
        Ok(())
    }

    fn is_patience_over(&self) -> bool {
        self.plan.patience > 0 && self.course.since_best >= self.plan.patience
    }

    /// The weights that are judged and written: the averages where there are some.
    fn judged(&self, model: &O::Model) -> O::Model {
        self.ema.as_ref().map_or_else(|| model.clone(), |ema| ema.averaged(model))
    }

    fn save(&mut self, model: &O::Model, step: usize) -> Result<(), TrainError> {
        let mut tensors = Tensors::new();
        store_learned("model.", model, &mut tensors);
        self.optimiser.store("adam.", &mut tensors);
        if let Some(ema) = &self.ema {
            ema.store("ema.", &mut tensors);
        }
        self.unproven = true;
        self.checkpoints.add(Position::new(step, &self.course, self.course.best_step)?, &tensors)
    }

    /// Turns numbers beyond use at `step` into the end of the run. The weights that gave them, those after `weights` steps and before
    /// those left out, are nothing to go on from, unless just taken up in another precision; no rate made those that a run is given.
    fn diverged(&self, step: usize, weights: usize, error: TrainError) -> TrainError {
        let first = weights - self.optimiser.left_out();
        let reason = match error {
            TrainError::NotFinite { .. } if first > 0 => format!("{error}; a lower learning rate may help"),
            TrainError::NotFinite { .. } | TrainError::BeyondFloat16 => error.to_string(),
            other => return other,
        };
        let is_good = self.computed_anew == Some(first);
        let checkpoint = if is_good { self.checkpoints.newest() } else { self.checkpoints.without(first..=weights) };
        TrainError::Diverged { step, reason, checkpoint }
    }

    /// The best weights in the model, and what was measured with them.
    fn finish(self, model: O::Model, steps: usize) -> Result<Learned<O::Model>, TrainError> {
        let mut model = self.judged(&model);
        if let Some(step) = self.course.best_step {
            model = restore_learned("model.", model, &mut self.checkpoints.load_best(step)?)?;
        }
        let mut metrics = self.course.best;
        metrics.extend(self.course.before.into_iter().map(|(name, value)| (format!("{name}_before"), value)));
        metrics.insert("train/steps".into(), steps as f64);
        metrics.insert("train/tokens".into(), self.course.tokens);
        if let Some(step) = self.course.best_step {
            metrics.insert("train/best_step".into(), step as f64);
        }
        Ok(Learned { model: model.valid(), metrics, checkpoints: self.checkpoints })
    }
}

#[cfg(test)]
mod tests;
