//! What the methods share that learn from a policy's own answers (PPO, RLOO, GRPO): prompts, sampling, scores, how far the
//! policy is from its reference, samples to look at, checkpoints, when to stop. A [`Method`] learns from each rollout.

mod course;
mod episode;
mod kept;
mod prompts;
mod rollout;
mod room;
mod samples;
mod scoring;
mod settings;
mod step;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use burn::module::Module;
use laurel_records::{LogLevel, Stage};
use serde_json::Value;

pub(super) use episode::{Episode, Reading, Rows};
pub(super) use prompts::bounded_by;
pub(crate) use prompts::same_tokens;
pub(super) use rollout::{Rollout, ScoreScale, mean, mean_and_deviation, number, numbers};
pub(super) use scoring::{Scoring, raw_scores};
pub(super) use settings::{
    OnlineSettings, check_amounts, check_counts, check_dropout, check_sampling, check_steering, kl_controller,
};
pub(super) use step::{Start, Step};

use super::{
    Run, StageOutcome, StageSettings, TrainError,
    checkpoint::{Cadence, Checkpoints},
    derived_seed,
    ema::Ema,
    metrics::{Reporter, warn_of_cut_prompts},
    provenance::{digest_of_data, identity_of, lineage_of},
    stored::Tensors,
    written::write_policy,
};
use crate::{
    data::{ModelTokenizer, Order, records},
    generate::{Generated, generate_in_batches, row_seed},
    model::{Decoder, recompute::Recomputing},
};
use course::Course;
use prompts::Prompts;
use samples::Answer;

/// A mean divergence below this is no noise: sampling and scoring differ (TRL warns at the same number).
const NEGATIVE_KL: f64 = -1.0;

/// β as it is reported, by TRL's name: as it was in the step, before the step steered it.
const KL_COEFFICIENT: &str = "objective/kl_coef";

/// What the averages of the policy's weights are called in a checkpoint.
const EMA: &str = "policy_ema.";

/// Models that learn nothing read so many times the tokens at once of those that do: they keep no activations.
const READ_AT_ONCE: usize = 4;

/// So many times are sampled at once: of a token only its keys and values are kept, and the more rows there are, the
/// less the reading of the weights weighs.
const SAMPLED_AT_ONCE: usize = 16;

/// Where a method starts from, and what it answers.
#[derive(Debug, Clone)]
pub struct OnlineInputs {
    /// The policy to improve; as it is now, it is also the reference.
    pub policy: PathBuf,
    /// Scores the answers.
    pub reward: PathBuf,
    /// Prompts, JSONL.
    pub prompts: PathBuf,
}

/// What is learned from a rollout, and by whom.
pub(super) trait Method {
    /// The models that learn, with their optimisers.
    type Learners;

    /// The learners before the first step.
    fn start(&self, online: &Online) -> Result<Self::Learners, TrainError>;

    fn policy<'a>(&self, learners: &'a Self::Learners) -> &'a Decoder;

    /// How many numbers learn, in all models together.
    fn learned(&self, learners: &Self::Learners) -> u64;

    /// Learns from one rollout and says what is to be reported of it. The first error leaves the learners unusable: the run
    /// is over.
    fn learn(
        &self,
        learners: Self::Learners,
        rollout: &Rollout,
        step: &Step,
    ) -> Result<(Self::Learners, BTreeMap<String, f64>), TrainError>;

    fn store(&self, learners: &Self::Learners, tensors: &mut Tensors);

    fn restore(&self, learners: Self::Learners, tensors: &mut Tensors) -> Result<Self::Learners, TrainError>;
}

/// A run with all that stays the same in it.
pub(super) struct Online<'a> {
    pub stage: Stage,
    pub settings: OnlineSettings,
    pub run: &'a Run,
    pub start: Start,
    pub tokenizer: ModelTokenizer,
    prompts: Prompts,
    /// Of the prompts.
    data: String,
}

impl<'a> Online<'a> {
    /// Reads the prompts.
    pub fn new(
        stage: Stage,
        settings: OnlineSettings,
        start: Start,
        prompts: &Path,
        run: &'a Run,
    ) -> Result<Self, TrainError> {
        let tokenizer = start.tokenizer(&settings.shared)?;
        let records = records::prompts(prompts)?;
        let data = digest_of_data(prompts, &records)?;
        let prompts = Prompts::new(records, &tokenizer, settings.sampling.max_new_tokens, prompts)?;
        Ok(Self { stage, settings, run, start, tokenizer, prompts, data })
    }

    /// Improves the policy and writes it to the run's place. `name` is the stage as `laurel.json` calls it; `more` are
    /// digests of inputs that only this method has.
    ///
    /// Metrics under TRL's names: those of learning are of the last step, those of the objective are of answers that the
    /// policy gives as it is written; `objective/scores_before` and `objective/length_before` are of the first rollout, which
    /// the reference policy wrote.
    pub fn run<M: Method>(
        &self,
        name: &str,
        method: &M,
        settings: &impl StageSettings,
        more: Vec<(&'static str, String)>,
        reporter: &mut dyn Reporter,
    ) -> Result<StageOutcome, TrainError> {
        self.prompts.tell(reporter);
        if self.tokenizer.stop_ids().is_empty() {
            reporter.log(LogLevel::Warning, &self.settings.scoring.without_an_end());
        }
        if let Some(text) = self.start.bounded(&self.settings.shared) {
            reporter.log(LogLevel::Info, &text);
        }
        warn_of_cut_prompts(self.tokenizer.cuts(), reporter);
        let (parent, judge) = (self.start.directory.digest()?, self.start.reward_directory.digest()?);
        let mut digests =
            vec![("policy", parent.clone()), ("reward model", judge.clone()), ("data", self.data.clone())];
        digests.extend(more);
        let identity = identity_of(name, digests, settings, self.run.seed);
        let keep = self.settings.shared.save_limit;
        let (mut checkpoints, earlier) = Checkpoints::open(&self.run.out, identity, keep, self.run.earlier)?;
        let from = earlier.as_ref().map(|loaded| loaded.position.step);
        if self.settings.keep_policy_steps > 0 {
            kept::ensure_clear(&self.run.out, self.run.earlier, from)?;
        }
        let mut learners = method.start(self)?;
        let mut course = Course::new(self.settings.kl);
        let mut ema = Ema::of(method.policy(&learners), self.settings.shared.ema_decay);
        self.ensure_room(method, &learners, &checkpoints, from.unwrap_or(0))?;
        if let Some(mut loaded) = earlier {
            if let Some(ema) = &mut ema {
                ema.restore(EMA, &mut loaded.tensors);
            }
            (learners, course) = course.resume(method, learners, loaded, reporter)?;
        }
        // What an earlier run left is removed when there is nothing more to refuse.
        if self.settings.keep_policy_steps > 0 {
            kept::clear(&self.run.out, self.run.earlier, from)?;
        }
        checkpoints.begin()?;
        let write = |policy: &Decoder, metrics: &BTreeMap<String, f64>, out: PathBuf| -> Result<(), TrainError> {
            let mut lineage = lineage_of(name, parent.clone(), self.data.clone(), settings, self.run.seed, metrics);
            if let Value::Object(settings) = &mut lineage.settings {
                settings.insert("reward_model".into(), judge.clone().into());
            }
            let run = Run { out, ..self.run.clone() };
            write_policy(&run, policy, &self.start.directory, &self.tokenizer, &lineage, &self.settings.shared)
                .map_err(|error| checkpoints.model_not_written(error))
        };
        let keep = |policy: &Decoder, course: &Course| {
            write(policy, &course.metrics(), kept::place(&self.run.out, course.step)?)
        };
        let policy = self.learn(method, learners, ema, &mut course, &checkpoints, &keep, reporter)?;
        self.look_at(&policy, &mut course, reporter)
            .map_err(|error| course.diverged(course.step, error, &checkpoints))?;
        let metrics = course.metrics();
        write(&policy, &metrics, self.run.out.clone())?;
        checkpoints.remove()?;
        Ok(StageOutcome { metrics, out: self.run.out.clone() })
    }

    #[expect(clippy::too_many_arguments, reason = "all that changes in a run, and where it goes")]
    fn learn<M: Method>(
        &self,
        method: &M,
        mut learners: M::Learners,
        mut ema: Option<Ema>,
        course: &mut Course,
        checkpoints: &Checkpoints,
        keep: &dyn Fn(&Decoder, &Course) -> Result<(), TrainError>,
        reporter: &mut dyn Reporter,
    ) -> Result<Decoder, TrainError> {
        let (total, shared) = (self.settings.steps, &self.settings.shared);
        let mut cadence = Cadence::new(shared.save_steps, shared.save_minutes);
        let _recomputing = Recomputing::new(shared.gradient_checkpointing);
        let order = Order::new(self.prompts.tokens.len(), self.run.seed);
        // The reference does not learn: its answers to the fixed prompts are written once.
        let references = self.answers(&self.start.reference);
        let show = |learners: &M::Learners, step: usize, reporter: &mut dyn Reporter| {
            let answers = if step == 0 { references.clone() } else { self.answers(method.policy(learners)) };
            let conversations = &self.prompts.conversations[..answers.len()];
            samples::tell(self.stage, step, conversations, [&answers, &references], reporter);
        };
        // The policy as it would be written now.
        let policy_of = |learners: &M::Learners, ema: &Option<Ema>| {
            let policy = method.policy(learners);
            ema.as_ref().map_or_else(|| policy.clone(), |ema| ema.averaged(policy)).valid()
        };
        reporter.progress(self.stage, course.step as u64, total as u64);
        if course.step == 0 {
            show(&learners, 0, reporter);
            // A run that goes wrong before its first checkpoint is due has one to go on from all the same.
            if cadence.is_wanted() {
                course.save(method, &learners, ema.as_ref(), checkpoints)?;
            }
        }
        while course.step < total {
            learners = self.step(method, learners, &order, course, reporter).map_err(|error| {
                // Mostly they come of the weights after `course.step` steps, which are nothing to go on from then.
                course.diverged(course.step + 1, error, checkpoints)
            })?;
            course.step += 1;
            // The newest checkpoint has been sampled from and found good: the oldest is needed no more.
            checkpoints.remove_surplus(course.best_step())?;
            if let Some(ema) = &mut ema {
                ema.update(method.policy(&learners));
            }
            let (step, every) = (course.step, self.settings.sample_steps);
            if every > 0 && (step.is_multiple_of(every) || step == total) {
                show(&learners, step, reporter);
            }
            let keep_every = self.settings.keep_policy_steps;
            if keep_every > 0 && step.is_multiple_of(keep_every) {
                keep(&policy_of(&learners, &ema), course)?;
            }
            reporter.progress(self.stage, step as u64, total as u64);
            let stop = reporter.stop_requested() && step < total;
            if cadence.is_due(step) && step < total || stop {
                course.save(method, &learners, ema.as_ref(), checkpoints)?;
            }
            if stop {
                return Err(TrainError::Stopped { step });
            }
        }
        Ok(policy_of(&learners, &ema))
    }

    /// One rollout, and learning from it.
    fn step<M: Method>(
        &self,
        method: &M,
        learners: M::Learners,
        order: &Order,
        course: &mut Course,
        reporter: &mut dyn Reporter,
    ) -> Result<M::Learners, TrainError> {
        let started = Instant::now();
        let number = course.step;
        // 1 sample
        let episodes = self.sample(method.policy(&learners), number, order);
        let sampled = started.elapsed().as_secs_f64();
        // 2 judge the whole answers, and ask the reference
        let rollout = self.judged(episodes, course);
        let step = Step { online: self, number, coefficient: course.kl.coefficient() };
        let objective = rollout.objective(step.coefficient);
        self.check(objective.kl, objective.scores, number, reporter)?;
        let judged = started.elapsed().as_secs_f64();
        // 3 improve
        let (learners, learned) = method.learn(learners, &rollout, &step)?;
        // 4 steer the penalty
        course.kl.observe(objective.kl, rollout.episodes.len());

        let mut metrics = objective.metrics();
        metrics.extend(learned);
        metrics.insert(KL_COEFFICIENT.into(), step.coefficient);
        metrics.insert("lr".into(), step.rate(self.settings.shared.learning_rate));
        metrics.insert("episode".into(), ((number + 1) * self.settings.batch_size) as f64);
        course.note(&metrics);
        let took = started.elapsed().as_secs_f64();
        metrics.insert("eps".into(), rollout.episodes.len() as f64 / took);
        metrics.insert("time/sample_seconds".into(), sampled);
        metrics.insert("time/judge_seconds".into(), judged - sampled);
        metrics.insert("time/learn_seconds".into(), took - judged);
        // Ratios may be beyond all numbers where their logarithms are not; a curve has no word for that.
        for (name, value) in metrics.iter().filter(|(_, value)| value.is_finite()) {
            reporter.metric(self.stage, number as u64 + 1, name, *value);
        }
        Ok(learners)
    }

    /// What the last step made of the policy: nothing is learned from this rollout, but a policy that the step has broken
    /// is not written.
    fn look_at(&self, policy: &Decoder, course: &mut Course, reporter: &mut dyn Reporter) -> Result<(), TrainError> {
        let order = Order::new(self.prompts.tokens.len(), self.run.seed);
        let rollout = self.judged(self.sample(policy, course.step, &order), course);
        let objective = rollout.objective(course.last_coefficient());
        self.check(objective.kl, objective.scores, course.step.saturating_sub(1), reporter)?;
        course.note_last(&objective.metrics());
        Ok(())
    }

    /// Scores of the whole answers, and what the reference thinks of them.
    fn judged(&self, episodes: Vec<Episode>, course: &mut Course) -> Rollout {
        let reading = self.reading();
        let raw = raw_scores(&self.start.reward, &episodes, &reading);
        let finished: Vec<bool> = episodes.iter().map(|episode| episode.finished).collect();
        let scores = self.settings.scoring.apply(&raw, &finished, &mut course.scale);
        let scale = self.settings.scoring.scale(self.start.reward.score_mean(), course.scale);
        Rollout::new(episodes, (scores, scale), &self.start.reference, reading)
    }

    /// The answers of a step, those to one prompt side by side.
    fn sample(&self, policy: &Decoder, step: usize, order: &Order) -> Vec<Episode> {
        let each = self.settings.answers_per_prompt;
        let prompts = self.prompts.batch(step, self.settings.batch_size / each, order);
        let prompts: Vec<Vec<u32>> =
            prompts.into_iter().flat_map(|prompt| vec![self.prompts.tokens[prompt].clone(); each]).collect();
        let answers = self.generate(policy, &prompts, derived_seed(self.run.seed, "rollout", step as u64));
        prompts.into_iter().zip(answers).map(|(prompt, answer)| Episode::new(prompt, answer)).collect()
    }

    fn generate(&self, policy: &Decoder, prompts: &[Vec<u32>], seed: u64) -> Vec<Generated> {
        let seeds: Vec<u64> = (0..prompts.len() as u64).map(|row| row_seed(seed, row, 0)).collect();
        let (stop, pad) = (self.tokenizer.stop_ids(), self.tokenizer.pad_id());
        let longest = prompts.iter().map(Vec::len).max().unwrap_or(0) + self.settings.sampling.max_new_tokens;
        let batch = self.settings.shared.micro_batch_tokens * SAMPLED_AT_ONCE / longest.max(1);
        let policy = policy.to_sample();
        generate_in_batches(&policy, prompts, &self.settings.sampling, stop, pad, &seeds, batch, true, &mut |_| {})
    }

    /// The answers of `policy` to the first few prompts, always drawn with the same random numbers.
    fn answers(&self, policy: &Decoder) -> Vec<Answer> {
        let count = self.settings.sample_prompts.min(self.prompts.tokens.len());
        if self.settings.sample_steps == 0 || count == 0 {
            return vec![];
        }
        let prompts = &self.prompts.tokens[..count];
        let answers = self.generate(policy, prompts, derived_seed(self.run.seed, "shown", 0));
        let episodes: Vec<Episode> =
            prompts.iter().zip(answers).map(|(prompt, answer)| Episode::new(prompt.clone(), answer)).collect();
        let scores = raw_scores(&self.start.reward, &episodes, &self.reading());
        let text = |episode: &Episode| self.tokenizer.decode(&episode.answer, true);
        episodes.iter().zip(scores).map(|(episode, score)| Answer { text: text(episode), score }).collect()
    }

    fn reading(&self) -> Reading {
        Reading {
            device: self.run.device.clone(),
            pad_id: self.tokenizer.pad_id(),
            tokens: self.settings.shared.micro_batch_tokens * READ_AT_ONCE,
            temperature: self.settings.sampling.temperature,
        }
    }

    /// Stops a run whose numbers say that going on is of no use.
    fn check(&self, kl: f64, scores: f64, step: usize, reporter: &mut dyn Reporter) -> Result<(), TrainError> {
        if !kl.is_finite() || !scores.is_finite() {
            return Err(TrainError::NotFinite { what: if kl.is_finite() { "score" } else { "divergence" } });
        }
        if kl > self.settings.max_kl {
            let reason = format!(
                "the divergence from the reference policy is {kl:.1} nats an answer, above max_kl = {}; a higher \
                 kl_coefficient or a lower learning rate holds the policy nearer",
                self.settings.max_kl
            );
            return Err(TrainError::Diverged { step: step + 1, reason, checkpoint: None });
        }
        if kl < NEGATIVE_KL {
            let text =
                format!("the divergence is {kl:.2} nats an answer, which it cannot be: sampling and scoring differ");
            reporter.log(LogLevel::Warning, &text);
        }
        Ok(())
    }
}
