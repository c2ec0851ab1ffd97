//! Reward modelling: a scalar head over a policy learns the order in which people put answers (Ouyang et al. 2022, eq. 1).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use burn::{module::Module, tensor::Tensor};
use laurel_records::{LogLevel, RankingRecord, Stage};

use super::{
    Run, Schedule, SettingsError, StageOutcome, StageSettings, TrainError,
    completion::chunks_by_tokens,
    learning::to_learn,
    metrics::Reporter,
    provenance::{digest_of_data, identity_of, lineage_of},
    settings::{at_least_one, stage_settings},
    split::divide,
    supervised::{Learned, Objective, Plan, learn, plan_of},
    tokenizer_of,
    written::write_reward,
};
use crate::{
    data::{Example, ModelTokenizer, RewardBatch, padded_right, records},
    model::{
        Layout, ModelDirectory, RewardModel,
        hf::{ModelKind, ensure_free},
    },
    rlhf::reward::{Pairs, kwise_loss_sum, pair_accuracy},
};

stage_settings! {
    /// Settings of reward modelling.
    pub struct RewardSettings {
        learning rate 2e-5, with adapters 1e-4, schedule Schedule::Cosine;
        #[doc = "Passes over the rankings; more than one soon overfits"]
        epochs: usize = 1,
        #[doc = "Steps at most, whatever the epochs; 0 leaves it to them"]
        steps: usize = 0,
        #[doc = "Rankings (a prompt with all its answers) in one step of the optimiser"]
        batch_size: usize = 8,
        #[doc = "The held-out rankings are judged after every so many steps; 0: after each epoch"]
        eval_steps: usize = 0,
        #[doc = "The run ends after so many evaluations in a row without a better one; 0: never before its last step"]
        patience: usize = 0,
    }
}

impl RewardSettings {
    fn check_own(&self) -> Result<(), SettingsError> {
        at_least_one("epochs", self.epochs)?;
        at_least_one("batch_size", self.batch_size)
    }
}

/// Where the stage starts from, and what it learns.
#[derive(Debug, Clone)]
pub struct RewardInputs {
    /// A policy, which gets a fresh head, or a reward model that learns on.
    pub model: PathBuf,
    /// Rankings or comparisons, JSONL.
    pub data: PathBuf,
    /// Demonstrations whose mean score becomes the zero of the scale; `None` leaves the scale as it comes out.
    pub demonstrations: Option<PathBuf>,
}

/// Learns the rankings and writes the reward model to `run.out`.
///
/// All answers to a prompt go through the model in one pass and all their pairs are one element of the batch; ties make no
/// pair. Metrics: `eval/loss`, `eval/accuracy` (both also `…_before`) and `eval/accuracy_of_longer`, the accuracy of
/// preferring the longer answer.
pub fn run(
    settings: &RewardSettings,
    inputs: &RewardInputs,
    run: &Run,
    reporter: &mut dyn Reporter,
) -> Result<StageOutcome, TrainError> {
    ensure_free(&run.out)?;
    let directory = ModelDirectory::open(&inputs.model)?;
    let model = start(&directory, run)?;
    let settings = settings.clone().resolved(model.num_params());
    settings.check()?;
    let plan = plan_of!(settings);
    let tokenizer = tokenizer_of(&directory, plan.shared.max_length)?;

    let records = records::rankings(&inputs.data)?;
    let data = digest_of_data(&inputs.data, &records)?;
    let objective = Rankings::new(records, &tokenizer, plan.shared.micro_batch_tokens, run.seed)?;
    if objective.learned.is_empty() {
        let file = inputs.data.display();
        return Err(TrainError::Input(format!(
            "{file} holds no ranking to learn from: one that puts two answers apart"
        )));
    }
    objective.say(&tokenizer, reporter);

    let model = with_adapters(model, &plan, run)?;
    let parent = directory.digest()?;
    let inputs_of_run = [("model", parent.clone()), ("data", data.clone())];
    let identity = identity_of("reward", inputs_of_run, &settings, run.seed);
    let Learned { mut model, mut metrics, checkpoints } = learn(&objective, model, &plan, run, identity, reporter)?;
    model.set_score_mean(0.0);
    if let Some(file) = &inputs.demonstrations {
        let mean = mean_score(&model, &tokenizer, file, plan.shared.micro_batch_tokens)?;
        model.set_score_mean(mean);
        metrics.insert("score/mean_of_demonstrations".into(), mean);
        reporter.log(LogLevel::Info, &format!("demonstrations score {mean:.3} on average: the zero of the scale"));
    }
    let lineage = lineage_of("reward", parent, data, &settings, run.seed, &metrics);
    write_reward(run, &model, &directory, &lineage, &plan.shared)?;
    checkpoints.remove()?;
    Ok(StageOutcome { metrics, out: run.out.clone() })
}

/// A policy under a fresh head, or the reward model that is there.
fn start(directory: &ModelDirectory, run: &Run) -> Result<RewardModel, TrainError> {
    Ok(match directory.kind() {
        ModelKind::RewardModel => directory.load_reward_model(&run.device)?,
        ModelKind::LanguageModel => RewardModel::from_policy(&directory.load_decoder(&run.device)?, run.seed),
    })
}

/// With adapters, they and the head learn and nothing else.
fn with_adapters(model: RewardModel, plan: &Plan, run: &Run) -> Result<RewardModel, TrainError> {
    let RewardModel { decoder, score } = model;
    Ok(RewardModel { decoder: to_learn(decoder, &plan.shared, run.seed)?, score })
}

/// One ranking as tokens.
struct Ranked {
    answers: Vec<Example>,
    ranks: Vec<u32>,
}

impl Ranked {
    /// Tokens of its answers, each padded to the longest.
    fn tokens(&self) -> usize {
        self.answers.len() * self.answers.iter().map(|answer| answer.ids.len()).max().unwrap_or(0)
    }

    fn has_pair(&self) -> bool {
        self.ranks.iter().any(|rank| *rank != self.ranks[0])
    }
}

struct Rankings {
    learned: Vec<Ranked>,
    held_out: Vec<Ranked>,
    pad_id: u32,
    micro_batch_tokens: usize,
}

impl Rankings {
    fn new(
        records: Vec<RankingRecord>,
        tokenizer: &ModelTokenizer,
        micro_batch_tokens: usize,
        seed: u64,
    ) -> Result<Self, TrainError> {
        let (learned, held_out) = divide(records, seed);
        let tokenised = |records: Vec<RankingRecord>| -> Result<Vec<Ranked>, TrainError> {
            let mut rankings = Vec::with_capacity(records.len());
            for record in records {
                let answers = record.responses.iter().map(|answer| tokenizer.example(&record.prompt, &answer.content));
                let ranked = Ranked { answers: answers.collect::<Result<_, _>>()?, ranks: record.ranks };
                // All ties: nothing to learn, nothing to judge by.
                if ranked.has_pair() {
                    rankings.push(ranked);
                }
            }
            Ok(rankings)
        };
        Ok(Self {
            learned: tokenised(learned)?,
            held_out: tokenised(held_out)?,
            pad_id: tokenizer.pad_id(),
            micro_batch_tokens,
        })
    }

    fn say(&self, tokenizer: &ModelTokenizer, reporter: &mut dyn Reporter) {
        let pairs =
            |rankings: &[Ranked]| Pairs::of(&rankings.iter().map(|one| one.ranks.clone()).collect::<Vec<_>>()).len();
        let (learned, held_out) = (&self.learned, &self.held_out);
        let text = format!(
            "learning from {} rankings ({} pairs), judging by {} held out ({} pairs)",
            learned.len(),
            pairs(learned),
            held_out.len(),
            pairs(held_out)
        );
        reporter.log(LogLevel::Info, &text);
        if tokenizer.cuts() > 0 {
            let text = format!("{} conversations are longer than the context and were cut", tokenizer.cuts());
            reporter.log(LogLevel::Warning, &text);
        }
        if held_out.is_empty() {
            reporter
                .log(LogLevel::Warning, "nothing is held out: the last weights are kept, whether or not they are best");
        }
    }

    /// The scores of all answers of the rankings, flat, and the pairs among them.
    fn scores(&self, model: &RewardModel, rankings: &[&Ranked]) -> (Tensor<1>, Pairs) {
        let device = model.decoder.token_embedding.device();
        let prompts: Vec<(&[Example], &[u32])> =
            rankings.iter().map(|one| (one.answers.as_slice(), one.ranks.as_slice())).collect();
        let batch = RewardBatch::new(&prompts, self.pad_id, &device);
        let scores = model.rewards(batch.input_ids, &batch.layout, batch.last);
        (scores, Pairs::of(&batch.ranks))
    }
}

impl Objective for Rankings {
    type Model = RewardModel;

    fn stage(&self) -> Stage {
        Stage::Reward
    }

    fn items(&self) -> usize {
        self.learned.len()
    }

    fn length(&self, item: usize) -> usize {
        self.learned[item].tokens()
    }

    fn micro_batch_tokens(&self) -> usize {
        self.micro_batch_tokens
    }

    fn loss(&self, model: &RewardModel, items: &[usize]) -> (Tensor<1>, f64) {
        let rankings: Vec<&Ranked> = items.iter().map(|&item| &self.learned[item]).collect();
        let (scores, pairs) = self.scores(model, &rankings);
        (kwise_loss_sum(scores, &pairs), pairs.prompts() as f64)
    }

    fn evaluate(&self, model: &RewardModel) -> BTreeMap<String, f64> {
        let items = (0..self.held_out.len()).collect();
        let (mut loss, mut right, mut longer, mut all) = (0.0, 0, 0, 0);
        for chunk in chunks_by_tokens(items, |item| self.held_out[item].tokens(), self.micro_batch_tokens) {
            let rankings: Vec<&Ranked> = chunk.iter().map(|&item| &self.held_out[item]).collect();
            let (scores, pairs) = self.scores(model, &rankings);
            loss += f64::from(kwise_loss_sum(scores.clone(), &pairs).into_scalar::<f32>());
            let scores = host(scores);
            let mut scores = scores.as_slice();
            for ranking in rankings {
                let (own, rest) = scores.split_at(ranking.ranks.len());
                scores = rest;
                let (found, count) = pair_accuracy(own, &ranking.ranks);
                let lengths: Vec<f64> =
                    ranking.answers.iter().map(|answer| answer.completion_tokens() as f64).collect();
                (right, all) = (right + found, all + count);
                longer += pair_accuracy(&lengths, &ranking.ranks).0;
            }
        }
        if all == 0 {
            return BTreeMap::new();
        }
        let all = all as f64;
        BTreeMap::from([
            ("eval/loss".into(), loss / self.held_out.len() as f64),
            ("eval/accuracy".into(), right as f64 / all),
            ("eval/accuracy_of_longer".into(), longer as f64 / all),
        ])
    }

    fn criterion(&self) -> &'static str {
        "eval/loss"
    }
}

/// The mean score of demonstrations: with it as zero, an answer as people write it scores zero (Ouyang et al. 2022,
/// section 3.5).
fn mean_score(model: &RewardModel, tokenizer: &ModelTokenizer, file: &Path, budget: usize) -> Result<f64, TrainError> {
    let mut examples = Vec::new();
    for record in records::demonstrations(file)? {
        for answer in &record.completion {
            examples.push(tokenizer.example(&record.prompt, &answer.content)?);
        }
    }
    let rows: Vec<&[u32]> = examples.iter().map(|example| example.ids.as_slice()).collect();
    let scores = scores_of(model, &rows, tokenizer.pad_id(), budget);
    Ok(scores.iter().sum::<f64>() / scores.len().max(1) as f64)
}

/// The score of each text at its last token, in the order of `rows`, as the head gives it. No gradient.
pub(super) fn scores_of(model: &RewardModel, rows: &[&[u32]], pad_id: u32, budget: usize) -> Vec<f64> {
    let device = model.decoder.token_embedding.device();
    let mut scores = vec![0.0; rows.len()];
    for chunk in chunks_by_tokens((0..rows.len()).collect(), |row| rows[row].len(), budget) {
        let ids: Vec<&[u32]> = chunk.iter().map(|&row| rows[row]).collect();
        let (input_ids, last) = padded_right(&ids, pad_id, &device);
        let [batch, sequence] = input_ids.dims();
        let layout = Layout::causal(batch, sequence, &device);
        let found = host(model.rewards(input_ids, &layout, last));
        chunk.into_iter().zip(found).for_each(|(row, score)| scores[row] = score);
    }
    scores
}

fn host(tensor: Tensor<1>) -> Vec<f64> {
    let values: Vec<f32> = tensor.inner().into_data_as::<f32>().try_to_vec().unwrap_or_default();
    values.into_iter().map(f64::from).collect()
}
