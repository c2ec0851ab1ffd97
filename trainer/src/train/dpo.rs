//! Direct preference optimisation: the policy learns the order in which people put answers, without a reward model and
//! without sampling (Rafailov et al. 2023).

mod preferences;

use std::{cell::RefCell, collections::BTreeMap, path::PathBuf};

use burn::{
    module::Module,
    tensor::{Device, Int, Tensor, TensorData},
};
use laurel_records::{LogLevel, Stage};

use super::{
    Run, Schedule, SettingsError, StageOutcome, StageSettings, TrainError,
    completion::chunks_by_rows,
    learning::to_learn,
    metrics::{Reporter, warn_of_cuts, warn_of_empty_answers},
    provenance::{digest_of_data, identity_of, lineage_of},
    settings::{at_least_one, stage_settings},
    split::divide,
    supervised::{Learned, Objective, learn, plan_of},
    tokenizer_of,
    written::write_policy,
};
use crate::{
    data::{Example, ModelTokenizer, records},
    model::{Decoder, ModelDirectory},
    rlhf::dpo::loss,
    terminal::counted,
};
use preferences::{Preferences, Ranked, Reading, numbers};

stage_settings! {
    /// Settings of DPO.
    pub struct DpoSettings {
        learning rate 5e-6, with adapters 5e-5, schedule Schedule::Linear;
        #[doc = "Passes over the rankings"]
        epochs: usize = 1,
        #[doc = "Steps at most, whatever the epochs; 0 leaves it to them"]
        steps: usize = 0,
        #[doc = "Rankings (a prompt with all its answers) in one step of the optimiser"]
        batch_size: usize = 16,
        #[doc = "The held-out rankings are judged after every so many steps; 0: after each epoch"]
        eval_steps: usize = 0,
        #[doc = "The run ends after so many evaluations in a row without a better one; 0: never before its last step"]
        patience: usize = 0,
        #[doc = "How dear it is to leave the reference policy: higher stays nearer"]
        beta: f64 = 0.1,
        #[doc = "Probability that a pair is the wrong way round (conservative DPO)"]
        label_smoothing: f64 = 0.0,
    }
}

impl DpoSettings {
    fn check_own(&self) -> Result<(), SettingsError> {
        at_least_one("epochs", self.epochs)?;
        at_least_one("batch_size", self.batch_size)?;
        if !(self.beta > 0.0 && self.beta.is_finite()) {
            return Err(SettingsError::value("beta", "must be above 0"));
        }
        if !(0.0..0.5).contains(&self.label_smoothing) {
            return Err(SettingsError::value("label_smoothing", "must be at least 0 and below 0.5"));
        }
        Ok(())
    }
}

/// Where the stage starts from, and what it learns.
#[derive(Debug, Clone)]
pub struct DpoInputs {
    /// The policy to improve; as it is now, it is also the reference.
    pub model: PathBuf,
    /// Rankings or comparisons, JSONL.
    pub data: PathBuf,
}

/// Learns the rankings and writes the policy to `run.out`, with the weights that were best on those held out.
///
/// A prompt with its K answers is one element of the batch, each answer read once, and the loss is the mean over its pairs,
/// as in reward modelling (Ouyang et al. 2022, eq. 1); with two answers it is DPO as published. Metrics, under TRL's names:
/// `eval/loss`, `eval/rewards/accuracies`, `eval/rewards/margins`, `eval/rewards/chosen`, `eval/rewards/rejected`.
pub fn run(
    settings: &DpoSettings,
    inputs: &DpoInputs,
    run: &Run,
    reporter: &mut dyn Reporter,
) -> Result<StageOutcome, TrainError> {
    run.ensure_possible(settings.precision)?;
    let directory = ModelDirectory::open(&inputs.model)?;
    // Before the weights: what is wrong with the records is said at once.
    let records = records::rankings(&inputs.data)?;
    let data = digest_of_data(&inputs.data, &records)?;
    let decoder = directory.load_decoder_to_learn(&run.device)?.with_precision(settings.precision);
    let settings = settings.clone().resolved(decoder.num_params());
    settings.check()?;
    let plan = plan_of!(settings);
    let tokenizer = tokenizer_of(&directory, plan.shared.max_length)?;

    let (learned, held_out) = divide(records, run.seed);
    let reading = Reading { pad_id: tokenizer.pad_id(), micro_batch_tokens: plan.shared.micro_batch_tokens };
    let preferences = |records| Preferences::new(records, &tokenizer, &decoder, &reading);
    let objective = PreferredAnswers {
        learned: preferences(learned)?,
        held_out: preferences(held_out)?,
        reading: &reading,
        beta: settings.beta,
        label_smoothing: settings.label_smoothing,
        sums: RefCell::default(),
    };
    let without_tokens = objective.learned.without_tokens + objective.held_out.without_tokens;
    warn_of_empty_answers(without_tokens, "learned", reporter);
    if objective.learned.rankings.is_empty() {
        let file = inputs.data.display();
        let text = format!(
            "{file} holds no ranking to learn from: one that puts two answers apart and is not of the validation or test split"
        );
        return Err(TrainError::Input(text));
    }
    objective.say(&tokenizer, reporter);

    let model = to_learn(decoder, &plan.shared, run.seed)?;
    let parent = directory.digest()?;
    let identity = identity_of("dpo", [("model", parent.clone()), ("data", data.clone())], &settings, run.seed);
    let Learned { model, metrics, checkpoints } = learn(&objective, model, &plan, run, identity, reporter)?;
    let lineage = lineage_of("dpo", parent, data, &settings, run.seed, &metrics);
    write_policy(run, &model, &directory, &tokenizer, &lineage, &plan.shared)
        .map_err(|error| checkpoints.model_not_written(error))?;
    checkpoints.remove()?;
    Ok(StageOutcome { metrics, out: run.out.clone() })
}

/// Sums over pairs, each weighted by one over the pairs of its prompt.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    loss: f64,
    chosen: f64,
    rejected: f64,
    right: f64,
    prompts: f64,
}

struct PreferredAnswers<'a> {
    learned: Preferences,
    held_out: Preferences,
    reading: &'a Reading,
    beta: f64,
    label_smoothing: f64,
    /// Of the step under way.
    sums: RefCell<Sums>,
}

impl PreferredAnswers<'_> {
    fn say(&self, tokenizer: &ModelTokenizer, reporter: &mut dyn Reporter) {
        let text = format!(
            "learning from {} ({}), judging by {} held out ({})",
            counted(self.learned.rankings.len(), "ranking"),
            counted(self.learned.pairs(), "pair"),
            self.held_out.rankings.len(),
            counted(self.held_out.pairs(), "pair")
        );
        reporter.log(LogLevel::Info, &text);
        warn_of_cuts(tokenizer.cuts(), reporter);
        if self.held_out.rankings.is_empty() {
            let text = "nothing is held out: the last weights are kept, whether or not they are best";
            reporter.log(LogLevel::Warning, text);
        }
    }

    /// The loss summed over some rankings, each the mean over its pairs, and what is watched beside it.
    fn loss_of(&self, policy: &Decoder, rankings: &[&Ranked]) -> (Tensor<1>, Sums) {
        let device = policy.token_embedding.device();
        let answers: Vec<&Example> = rankings.iter().flat_map(|ranked| &ranked.answers).collect();
        let log_probs = self.reading.log_probs(policy, &answers);
        let reference: Vec<f32> = rankings.iter().flat_map(|ranked| ranked.reference.clone()).collect();
        let reference = vector(reference, &device);
        let (mut better, mut worse, mut weights, mut offset) = (vec![], vec![], vec![], 0);
        for ranked in rankings {
            better.extend(ranked.pairs.iter().map(|(better, _)| (offset + better) as i32));
            worse.extend(ranked.pairs.iter().map(|(_, worse)| (offset + worse) as i32));
            weights.extend(ranked.pairs.iter().map(|_| 1.0 / ranked.pairs.len() as f32));
            offset += ranked.answers.len();
        }
        let count = better.len();
        let index = |places: Vec<i32>| Tensor::<1, Int>::from_data(TensorData::new(places, [count]), &device);
        let (better, worse) = (index(better), index(worse));
        let of = |values: &Tensor<1>, places: &Tensor<1, Int>| values.clone().select(0, places.clone());
        let found = loss(
            of(&log_probs, &better),
            of(&log_probs, &worse),
            of(&reference, &better),
            of(&reference, &worse),
            self.beta,
            self.label_smoothing,
        );
        let loss = (found.losses * vector(weights.clone(), &device)).sum();
        let (chosen, rejected) = (numbers(found.chosen_rewards), numbers(found.rejected_rewards));
        let mut sums = Sums { loss: number(&loss), prompts: rankings.len() as f64, ..Sums::default() };
        for ((chosen, rejected), weight) in chosen.into_iter().zip(rejected).zip(weights) {
            let weight = f64::from(weight);
            sums.chosen += weight * f64::from(chosen);
            sums.rejected += weight * f64::from(rejected);
            sums.right += if chosen > rejected { weight } else { 0.0 };
        }
        (loss, sums)
    }
}

impl Objective for PreferredAnswers<'_> {
    type Model = Decoder;

    fn stage(&self) -> Stage {
        Stage::Dpo
    }

    fn items(&self) -> usize {
        self.learned.rankings.len()
    }

    fn length(&self, item: usize) -> usize {
        self.learned.rankings[item].shape().iter().product()
    }

    fn micro_batch_tokens(&self) -> usize {
        self.reading.micro_batch_tokens
    }

    fn micro_batches(&self, items: Vec<usize>) -> Vec<Vec<usize>> {
        chunks_by_rows(items, |item| self.learned.rankings[item].shape(), self.micro_batch_tokens())
    }

    fn loss(&self, model: &Decoder, items: &[usize]) -> (Tensor<1>, f64) {
        let rankings: Vec<&Ranked> = items.iter().map(|&item| &self.learned.rankings[item]).collect();
        let (loss, sums) = self.loss_of(model, &rankings);
        self.sums.borrow_mut().add(sums);
        (loss, rankings.len() as f64)
    }

    fn watched(&self) -> BTreeMap<String, f64> {
        self.sums.take().metrics("")
    }

    fn holds_out(&self) -> bool {
        !self.held_out.rankings.is_empty()
    }

    fn evaluate(&self, model: &Decoder) -> BTreeMap<String, f64> {
        let rankings = &self.held_out.rankings;
        let mut sums = Sums::default();
        let items = (0..rankings.len()).collect();
        for chunk in chunks_by_rows(items, |item| rankings[item].shape(), self.reading.micro_batch_tokens) {
            let rankings: Vec<&Ranked> = chunk.iter().map(|&item| &rankings[item]).collect();
            sums.add(self.loss_of(model, &rankings).1);
        }
        if rankings.is_empty() {
            return BTreeMap::new();
        }
        let mut metrics = sums.metrics("eval/");
        metrics.insert("eval/loss".into(), sums.loss / sums.prompts);
        metrics
    }

    fn criterion(&self) -> &'static str {
        "eval/loss"
    }
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.loss += other.loss;
        self.chosen += other.chosen;
        self.rejected += other.rejected;
        self.right += other.right;
        self.prompts += other.prompts;
    }

    /// Under TRL's names.
    fn metrics(self, prefix: &str) -> BTreeMap<String, f64> {
        let mean = |sum: f64| sum / self.prompts.max(1.0);
        [
            ("rewards/chosen", mean(self.chosen)),
            ("rewards/rejected", mean(self.rejected)),
            ("rewards/margins", mean(self.chosen - self.rejected)),
            ("rewards/accuracies", mean(self.right)),
        ]
        .map(|(name, value)| (format!("{prefix}{name}"), value))
        .into()
    }
}

fn vector(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

fn number(tensor: &Tensor<1>) -> f64 {
    f64::from(tensor.clone().inner().into_scalar::<f32>())
}
