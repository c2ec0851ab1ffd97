//! Proximal policy optimisation against a reward model, with a price on leaving the reference policy (Ouyang et al. 2022,
//! eq. 2; Schulman et al. 2017; details after Ziegler et al. 2019 and Huang et al. 2024).

mod learning;
mod metrics;
mod prompts;
mod rollout;
mod settings;

use std::{collections::BTreeMap, path::PathBuf, time::Instant};

use burn::module::Module;
use laurel_records::{LogLevel, Stage};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use settings::PpoSettings;

use super::{
    Run, StageOutcome, StageSettings, TrainError,
    checkpoint::{Cadence, Checkpoints, Identity, Loaded, Position, Tensors, restore_learned, store_learned},
    derived_seed,
    ema::Ema,
    learning::to_learn,
    metrics::Reporter,
    optimiser::Optimiser,
    pretrain::{blocks, documents_of},
    provenance::{digest_of_data, identity_of, lineage_of},
    reward::scores_of,
    settings::Shared,
    tokenizer_of,
    written::write_policy,
};
use crate::{
    data::{Example, ModelTokenizer, Order, corpus, records},
    generate::{Generated, generate, row_seed},
    model::{Decoder, ModelDirectory, RewardModel, hf::ensure_free, recompute::Recomputing},
    rlhf::kl::KlController,
};
use learning::{Learners, Lesson};
use metrics::metrics_of;
use prompts::{Prompts, same_tokens};
use rollout::{Episode, Judges, Objective, Rollout};

/// A mean divergence below this is no noise: sampling and scoring differ (TRL warns at the same number).
const NEGATIVE_KL: f64 = -1.0;

/// Where the stage starts from, and what it answers.
#[derive(Debug, Clone)]
pub struct PpoInputs {
    /// The policy to improve; as it is now, it is also the reference.
    pub policy: PathBuf,
    /// Scores the answers, and is where the value model starts.
    pub reward: PathBuf,
    /// Prompts, JSONL.
    pub prompts: PathBuf,
    /// Plain text whose loss is mixed in (PPO-ptx); empty: none.
    pub pretrain: Vec<PathBuf>,
}

/// Improves the policy and writes it to `run.out`. Metrics of the last rollout under TRL's names; `objective/scores_before`
/// and `objective/length_before` are of the first, which the reference policy wrote.
pub fn run(
    settings: &PpoSettings,
    inputs: &PpoInputs,
    run: &Run,
    reporter: &mut dyn Reporter,
) -> Result<StageOutcome, TrainError> {
    ensure_free(&run.out)?;
    let directory = ModelDirectory::open(&inputs.policy)?;
    let reference = directory.load_decoder(&run.device)?;
    let settings = settings.clone().resolved(reference.num_params());
    settings.check()?;
    let reward_directory = ModelDirectory::open(&inputs.reward)?;
    let reward = reward_directory.load_reward_model(&run.device)?;
    same_tokens(&directory, &reward_directory)?;
    let tokenizer = tokenizer_of(&directory, settings.max_length)?;

    let records = records::prompts(&inputs.prompts)?;
    let data = digest_of_data(&inputs.prompts, &records)?;
    let prompts = Prompts::new(records, &tokenizer, settings.max_new_tokens, inputs)?;
    let documents = documents_of(&inputs.pretrain)?;
    let pretraining = blocks(&tokenizer, &documents, settings.ptx_block_length);
    let text = format!("{} prompts, {} blocks of pretraining text", prompts.tokens.len(), pretraining.len());
    reporter.log(LogLevel::Info, &text);

    let (parent, judge) = (directory.digest()?, reward_directory.digest()?);
    let mut digests = vec![("policy", parent.clone()), ("reward model", judge.clone()), ("data", data.clone())];
    if !inputs.pretrain.is_empty() {
        digests.push(("pretraining text", corpus::digest(&documents)));
    }
    let identity = identity_of("ppo", digests, &settings, run.seed);
    let world = World {
        settings: &settings,
        run,
        tokenizer: &tokenizer,
        prompts: &prompts,
        reference: &reference,
        reward: &reward,
        pretraining: &pretraining,
    };
    let (policy, metrics, checkpoints) = world.learn(identity, reporter)?;
    let mut lineage = lineage_of("ppo", parent, data, &settings, run.seed, &metrics);
    if let Value::Object(settings) = &mut lineage.settings {
        settings.insert("reward_model".into(), judge.into());
    }
    write_policy(run, &policy, &directory, &lineage, &settings.shared())?;
    checkpoints.remove()?;
    Ok(StageOutcome { metrics, out: run.out.clone() })
}

/// What a checkpoint holds beyond weights and step.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Course {
    kl: KlController,
    /// Mean and deviation of the reference policy's scores, once known.
    scale: Option<[f64; 2]>,
    before: BTreeMap<String, f64>,
    last: BTreeMap<String, f64>,
}

/// All that stays the same during the run.
struct World<'a> {
    settings: &'a PpoSettings,
    run: &'a Run,
    tokenizer: &'a ModelTokenizer,
    prompts: &'a Prompts,
    reference: &'a Decoder,
    reward: &'a RewardModel,
    pretraining: &'a [Example],
}

type Done = (Decoder, BTreeMap<String, f64>, Checkpoints);

impl World<'_> {
    fn learn(&self, identity: Identity, reporter: &mut dyn Reporter) -> Result<Done, TrainError> {
        let shared = self.settings.shared();
        let (checkpoints, earlier) = Checkpoints::open(&self.run.out, identity, shared.save_limit, self.run.earlier)?;
        let mut learners = self.learners(&shared)?;
        let mut course =
            Course { kl: self.settings.kl_controller(), scale: None, before: BTreeMap::new(), last: BTreeMap::new() };
        let mut ema = Ema::of(&learners.policy, shared.ema_decay);
        let mut cadence = Cadence::new(shared.save_steps, shared.save_minutes);
        let _recomputing = Recomputing::new(shared.gradient_checkpointing);
        let mut step = 0;
        if let Some(mut loaded) = earlier {
            if let Some(ema) = &mut ema {
                ema.restore("policy_ema.", &mut loaded.tensors);
            }
            (learners, course, step) = self.restore(learners, course, loaded, reporter)?;
        }
        let total = self.settings.steps;
        let order = Order::new(self.prompts.tokens.len(), self.run.seed);
        reporter.progress(Stage::Ppo, step as u64, total as u64);
        if step == 0 {
            self.show_answers(&learners.policy, step, reporter);
        }
        while step < total {
            let failed = |error| diverged(step, error, &checkpoints);
            learners = self.step(learners, step, &order, &mut course, reporter).map_err(failed)?;
            step += 1;
            if let Some(ema) = &mut ema {
                ema.update(&learners.policy);
            }
            let every = self.settings.sample_steps;
            if every > 0 && (step.is_multiple_of(every) || step == total) {
                self.show_answers(&learners.policy, step, reporter);
            }
            reporter.progress(Stage::Ppo, step as u64, total as u64);
            let stop = reporter.stop_requested() && step < total;
            if cadence.is_due(step) && step < total || stop {
                save(&checkpoints, &learners, ema.as_ref(), &course, step)?;
            }
            if stop {
                return Err(TrainError::Stopped { step });
            }
        }
        let mut metrics = course.last;
        metrics.extend(course.before);
        metrics.insert("train/steps".into(), total as f64);
        let policy = ema.map_or_else(|| learners.policy.clone(), |ema| ema.averaged(&learners.policy));
        Ok((policy.valid(), metrics, checkpoints))
    }

    /// Policy and value model with what learns in them.
    fn learners(&self, shared: &Shared) -> Result<Learners, TrainError> {
        let (mut policy, mut value) = (self.reference.clone(), self.reward.clone());
        policy = to_learn(policy, shared, self.run.seed)?;
        value.decoder = to_learn(value.decoder, shared, derived_seed(self.run.seed, "value adapters", 0))?;
        Ok(Learners {
            policy: policy.train(),
            policy_optimiser: Optimiser::new(shared.adam),
            value: value.train(),
            value_optimiser: Optimiser::new(shared.adam),
        })
    }

    /// One rollout, and learning from it.
    fn step(
        &self,
        learners: Learners,
        step: usize,
        order: &Order,
        course: &mut Course,
        reporter: &mut dyn Reporter,
    ) -> Result<Learners, TrainError> {
        let started = Instant::now();
        let (settings, shared) = (self.settings, self.settings.shared());
        // 1 sample
        let episodes = self.sample(&learners.policy, step, order);
        let sampled = started.elapsed().as_secs_f64();
        // 2 judge the whole answer
        let scores = self.scores(&episodes, course);
        // 3 stay near the reference
        let judges = Judges {
            reference: self.reference,
            value: &learners.value.valid(),
            pad_id: self.tokenizer.pad_id(),
            micro_batch_tokens: settings.micro_batch_tokens,
        };
        let (rollout, objective) = Rollout::judge(episodes, &scores, course.kl.coefficient(), &judges, settings);
        self.check(&objective, step, reporter)?;
        let judged = started.elapsed().as_secs_f64();
        // 4 improve
        let warmup = (shared.warmup_ratio * settings.steps as f64).round() as usize;
        let rate = |peak| shared.schedule.rate(peak, step, settings.steps, warmup);
        if shared.lora.as_ref().is_some_and(|lora| lora.dropout > 0.0) {
            self.run.device.seed(derived_seed(self.run.seed, "dropout", step as u64));
        }
        let lesson = Lesson {
            settings,
            seed: self.run.seed,
            step,
            pad_id: self.tokenizer.pad_id(),
            micro_batch_tokens: settings.micro_batch_tokens,
            policy_rate: rate(shared.learning_rate),
            value_rate: rate(settings.value_learning_rate.unwrap_or(shared.learning_rate)),
            pretraining: self.pretraining,
        };
        let (learners, losses) = lesson.learn(learners, &rollout)?;
        // 5 steer the penalty
        let coefficient = course.kl.coefficient();
        course.kl.observe(objective.kl, rollout.episodes.len());

        let mut metrics = metrics_of(&objective, &losses, self.pretraining.is_empty());
        metrics.insert("objective/kl_coef".into(), coefficient);
        metrics.insert("lr".into(), lesson.policy_rate);
        metrics.insert("episode".into(), ((step + 1) * settings.batch_size) as f64);
        course.last = metrics.clone();
        if step == 0 {
            for name in ["objective/scores", "objective/length"] {
                course.before.insert(format!("{name}_before"), metrics[name]);
            }
        }
        metrics.insert("time/sample_seconds".into(), sampled);
        metrics.insert("time/judge_seconds".into(), judged - sampled);
        metrics.insert("time/learn_seconds".into(), started.elapsed().as_secs_f64() - judged);
        for (name, value) in &metrics {
            reporter.metric(Stage::Ppo, step as u64 + 1, name, *value);
        }
        Ok(learners)
    }

    /// An answer to each prompt of the step. Adapters are merged for it: a token is then one product a layer, not three.
    fn sample(&self, policy: &Decoder, step: usize, order: &Order) -> Vec<Episode> {
        let prompts = self.prompts.batch(step, self.settings.batch_size, order);
        let prompts: Vec<Vec<u32>> = prompts.into_iter().map(|prompt| self.prompts.tokens[prompt].clone()).collect();
        let seed = derived_seed(self.run.seed, "rollout", step as u64);
        let answers = self.generate(policy, &prompts, seed);
        prompts.into_iter().zip(answers).map(|(prompt, answer)| Episode::new(prompt, answer)).collect()
    }

    fn generate(&self, policy: &Decoder, prompts: &[Vec<u32>], seed: u64) -> Vec<Generated> {
        let seeds: Vec<u64> = (0..prompts.len() as u64).map(|row| row_seed(seed, row, 0)).collect();
        let (stop, pad) = (self.tokenizer.stop_ids(), self.tokenizer.pad_id());
        generate(&policy.valid().merged(), prompts, &self.settings.sampling(), stop, pad, &seeds, &mut |_| {})
    }

    /// The score of each answer as PPO sees it: with the scale's zero taken off, normalised and cut if that is wanted, and
    /// less the penalty where the answer has no end.
    fn scores(&self, episodes: &[Episode], course: &mut Course) -> Vec<f64> {
        let settings = self.settings;
        let mean = self.reward.score_mean();
        let mut scores: Vec<f64> = self.raw_scores(episodes).into_iter().map(|score| score - mean).collect();
        if settings.normalise_scores {
            // The first rollout is the reference policy's own (Ziegler et al. 2019, section 2.1).
            let [mean, deviation] = *course.scale.get_or_insert_with(|| mean_and_deviation(&scores));
            scores.iter_mut().for_each(|score| *score = (*score - mean) / deviation);
        }
        if settings.score_clip > 0.0 {
            scores.iter_mut().for_each(|score| *score = score.clamp(-settings.score_clip, settings.score_clip));
        }
        for (score, episode) in scores.iter_mut().zip(episodes) {
            if !episode.finished {
                *score -= settings.missing_eos_penalty;
            }
        }
        scores
    }

    fn raw_scores(&self, episodes: &[Episode]) -> Vec<f64> {
        let texts: Vec<Vec<u32>> = episodes.iter().map(Episode::text).collect();
        let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        scores_of(self.reward, &texts, self.tokenizer.pad_id(), self.settings.micro_batch_tokens)
    }

    /// Stops a run whose numbers say that going on is of no use.
    fn check(&self, objective: &Objective, step: usize, reporter: &mut dyn Reporter) -> Result<(), TrainError> {
        let Objective { kl, scores, .. } = *objective;
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

    /// Answers of now to a few fixed prompts, for people to read.
    fn show_answers(&self, policy: &Decoder, step: usize, reporter: &mut dyn Reporter) {
        let count = self.settings.sample_prompts.min(self.prompts.tokens.len());
        if self.settings.sample_steps == 0 || count == 0 {
            return;
        }
        let prompts = &self.prompts.tokens[..count];
        let answers = self.generate(policy, prompts, derived_seed(self.run.seed, "shown", 0));
        let episodes: Vec<Episode> =
            prompts.iter().zip(answers).map(|(prompt, answer)| Episode::new(prompt.clone(), answer)).collect();
        let scores = self.raw_scores(&episodes);
        for ((episode, score), messages) in episodes.iter().zip(scores).zip(&self.prompts.conversations) {
            let question = messages.last().map_or("", |message| &message.content);
            let answer = self.tokenizer.decode(&episode.answer, true);
            let score = score - self.reward.score_mean();
            let text = format!("step {step}, score {score:.3}: {question:?} → {answer:?}");
            reporter.log(LogLevel::Info, &text);
        }
    }

    fn restore(
        &self,
        mut learners: Learners,
        course: Course,
        mut loaded: Loaded,
        reporter: &mut dyn Reporter,
    ) -> Result<(Learners, Course, usize), TrainError> {
        let tensors = &mut loaded.tensors;
        learners.policy = restore_learned("policy.", learners.policy, tensors)?;
        learners.value = restore_learned("value.", learners.value, tensors)?;
        learners.policy_optimiser.restore("policy_adam.", &learners.policy, tensors);
        learners.value_optimiser.restore("value_adam.", &learners.value, tensors);
        let step = loaded.position.step;
        reporter.log(LogLevel::Info, &format!("going on from the checkpoint at step {step}"));
        for change in &loaded.changed {
            reporter.log(LogLevel::Warning, &format!("a setting is not what it was: {change}"));
        }
        let mut stored: Course = serde_json::from_value(loaded.position.state).unwrap_or_else(|_| course.clone());
        // A new price was asked for, perhaps because the old one let the policy run away.
        if loaded.changed.iter().any(|change| change.starts_with("kl_")) {
            stored.kl = course.kl;
        }
        Ok((learners, stored, step))
    }
}

fn save(
    checkpoints: &Checkpoints,
    learners: &Learners,
    ema: Option<&Ema>,
    course: &Course,
    step: usize,
) -> Result<(), TrainError> {
    let mut tensors = Tensors::new();
    store_learned("policy.", &learners.policy, &mut tensors);
    store_learned("value.", &learners.value, &mut tensors);
    learners.policy_optimiser.store("policy_adam.", &mut tensors);
    learners.value_optimiser.store("value_adam.", &mut tensors);
    if let Some(ema) = ema {
        ema.store("policy_ema.", &mut tensors);
    }
    let state = serde_json::to_value(course).unwrap_or(Value::Null);
    checkpoints.save(Position { step, state, best_step: None }, &tensors)
}

/// Numbers beyond use end the run. They come of the weights after `step` steps, which are nothing to go on from.
fn diverged(step: usize, error: TrainError, checkpoints: &Checkpoints) -> TrainError {
    let reason = match error {
        TrainError::NotFinite { .. } => format!("{error}; a lower learning rate may help"),
        TrainError::Diverged { reason, .. } => reason,
        other => return other,
    };
    TrainError::Diverged { step: step + 1, reason, checkpoint: checkpoints.without(step) }
}

fn mean_and_deviation(scores: &[f64]) -> [f64; 2] {
    let count = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / count;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    [mean, variance.sqrt().max(1e-6)]
}
