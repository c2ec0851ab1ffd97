//! A rollout: answers that the policy drew, what the reference, the value model and the reward model say of them, and the
//! rewards and advantages that follow.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{
    super::completion::{chunks_by_tokens, log_probs_at},
    PpoSettings,
};
use crate::{
    data::padded_right,
    generate::Generated,
    model::{Decoder, Layout, RewardModel},
    rlhf::{
        advantages::advantages,
        masked::{self, whiten},
        ppo::kl_penalised_rewards,
    },
};

/// A prompt with the answer that was drawn, as tokens.
#[derive(Debug, Clone)]
pub(super) struct Episode {
    pub prompt: Vec<u32>,
    pub answer: Vec<u32>,
    /// A stop token ended the answer.
    pub finished: bool,
    /// log π of each token of the answer, under the law that it was drawn from.
    pub log_probs: Vec<f32>,
}

impl Episode {
    pub fn new(prompt: Vec<u32>, generated: Generated) -> Self {
        Self { prompt, answer: generated.tokens, finished: generated.finished, log_probs: generated.logprobs }
    }

    pub fn text(&self) -> Vec<u32> {
        [self.prompt.as_slice(), self.answer.as_slice()].concat()
    }

    pub fn tokens(&self) -> usize {
        self.prompt.len() + self.answer.len()
    }
}

/// Some episodes in one tensor, padded on the right, and where their answers lie in it.
pub(super) struct Rows {
    pub input_ids: Tensor<2, Int>,
    pub layout: Layout,
    /// For each token of each answer, the flat position of the token before it.
    before: Vec<i32>,
    /// The tokens of the answers, flat.
    targets: Vec<i32>,
    /// `[row][response]` → place in the flat list; past the end for padding.
    places: Vec<i32>,
    shape: [usize; 2],
}

impl Rows {
    /// `width`: the response dimension of what comes back, at least the longest answer.
    pub fn new(episodes: &[&Episode], width: usize, pad_id: u32, device: &Device) -> Self {
        let texts: Vec<Vec<u32>> = episodes.iter().map(|episode| episode.text()).collect();
        let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let (input_ids, _) = padded_right(&texts, pad_id, device);
        let [rows, length] = input_ids.dims();
        let count: usize = episodes.iter().map(|episode| episode.answer.len()).sum();
        let (mut before, mut targets) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut places = vec![count as i32; rows * width];
        for (row, episode) in episodes.iter().enumerate() {
            for (at, token) in episode.answer.iter().enumerate() {
                places[row * width + at] = targets.len() as i32;
                before.push((row * length + episode.prompt.len() + at) as i32 - 1);
                targets.push(*token as i32);
            }
        }
        let layout = Layout::causal(rows, length, device);
        Self { input_ids, layout, before, targets, places, shape: [rows, width] }
    }

    /// log π of the answers' tokens under logits / `temperature`: `[row, response]`, zero on padding.
    pub fn log_probs(&self, policy: &Decoder, temperature: f64) -> Tensor<2> {
        let hidden = policy.hidden_states(self.input_ids.clone(), &self.layout, None);
        let flat = log_probs_at(policy, hidden, self.before.clone(), self.targets.clone(), temperature);
        self.spread(flat)
    }

    /// V before each token of the answers: `[row, response]`, zero on padding.
    pub fn values(&self, model: &RewardModel) -> Tensor<2> {
        let values = model.values(self.input_ids.clone(), &self.layout);
        let [rows, length] = values.dims();
        let before =
            Tensor::<1, Int>::from_data(TensorData::new(self.before.clone(), [self.before.len()]), &values.device());
        self.spread(values.reshape([rows * length]).select(0, before))
    }

    fn spread(&self, flat: Tensor<1>) -> Tensor<2> {
        let device = flat.device();
        let places = TensorData::new(self.places.clone(), [self.places.len()]);
        let nothing = Tensor::zeros([1], &device);
        let places = Tensor::<1, Int>::from_data(places, &device);
        Tensor::cat(vec![flat, nothing], 0).select(0, places).reshape(self.shape)
    }
}

/// What is learned from: all `[batch, response]`, on the device without gradients.
pub(super) struct Rollout {
    pub episodes: Vec<Episode>,
    /// 1 on sampled tokens up to and with the end of text.
    pub mask: Tensor<2>,
    pub log_probs: Tensor<2>,
    pub values: Tensor<2>,
    pub advantages: Tensor<2>,
    pub returns: Tensor<2>,
}

/// What is reported of a rollout, means over its answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Objective {
    /// Σ over the tokens of log π − log π_ref.
    pub kl: f64,
    /// −Σ over the tokens of log π.
    pub entropy: f64,
    /// −β·KL
    pub non_score_reward: f64,
    /// The score as PPO sees it.
    pub scores: f64,
    /// Tokens an answer.
    pub length: f64,
    /// Answers that ended by themselves.
    pub finished: usize,
}

/// Who judges a rollout.
pub(super) struct Judges<'a> {
    pub reference: &'a Decoder,
    pub value: &'a RewardModel,
    pub pad_id: u32,
    pub micro_batch_tokens: usize,
}

impl Rollout {
    /// Steps 2 and 3 of PPO: what reference and value model say of the answers, the reward of each token, the advantages.
    /// `scores`: of each answer, penalties included; `coefficient`: β.
    pub fn judge(
        episodes: Vec<Episode>,
        scores: &[f64],
        coefficient: f64,
        judges: &Judges,
        settings: &PpoSettings,
    ) -> (Self, Objective) {
        let device = judges.reference.token_embedding.device();
        let (batch, width) = (episodes.len(), width(&episodes));
        let table = |of: &dyn Fn(&Episode) -> Vec<f32>| {
            let rows = episodes.iter().flat_map(|episode| {
                let mut row = of(episode);
                row.resize(width, 0.0);
                row
            });
            Tensor::<2>::from_data(TensorData::new(rows.collect::<Vec<f32>>(), [batch, width]), &device)
        };
        let mask = table(&|episode| vec![1.0; episode.answer.len()]);
        let log_probs = table(&|episode| episode.log_probs.clone());
        let temperature = settings.temperature;
        let reference = collect(&episodes, judges, &|rows| rows.log_probs(judges.reference, temperature));
        let values = collect(&episodes, judges, &|rows| rows.values(judges.value));
        let score = scores.iter().map(|score| *score as f32).collect::<Vec<f32>>();
        let score = Tensor::<1>::from_data(TensorData::new(score, [batch]), &device);

        let mut rewards = kl_penalised_rewards(score, log_probs.clone(), reference.clone(), mask.clone(), coefficient);
        if settings.whiten_rewards {
            rewards = whiten(rewards, mask.clone(), false);
        }
        let (mut advantage, returns) =
            advantages(rewards, values.clone(), mask.clone(), settings.gamma, settings.lambda);
        if settings.whiten_advantages {
            advantage = whiten(advantage, mask.clone(), true);
        }

        let an_answer = |tensor: Tensor<2>| number(masked::only_real(tensor, mask.clone()).sum()) / batch as f64;
        let kl = an_answer(log_probs.clone() - reference);
        let objective = Objective {
            kl,
            entropy: -an_answer(log_probs.clone()),
            non_score_reward: -coefficient * kl,
            scores: scores.iter().sum::<f64>() / batch as f64,
            length: episodes.iter().map(|episode| episode.answer.len()).sum::<usize>() as f64 / batch as f64,
            finished: episodes.iter().filter(|episode| episode.finished).count(),
        };
        (Self { episodes, mask, log_probs, values, advantages: advantage, returns }, objective)
    }

    /// Longest answer of the rollout.
    pub fn width(&self) -> usize {
        width(&self.episodes)
    }
}

fn width(episodes: &[Episode]) -> usize {
    episodes.iter().map(|episode| episode.answer.len()).max().unwrap_or(0).max(1)
}

/// `[batch, response]` of what `of` gives for some rows at a time, rows of like length together.
fn collect(episodes: &[Episode], judges: &Judges, of: &dyn Fn(&Rows) -> Tensor<2>) -> Tensor<2> {
    let device = judges.reference.token_embedding.device();
    let width = width(episodes);
    let (mut parts, mut place) = (vec![], vec![0i32; episodes.len()]);
    let items = (0..episodes.len()).collect();
    let mut done = 0;
    for chunk in chunks_by_tokens(items, |row| episodes[row].tokens(), judges.micro_batch_tokens) {
        let rows: Vec<&Episode> = chunk.iter().map(|&row| &episodes[row]).collect();
        parts.push(of(&Rows::new(&rows, width, judges.pad_id, &device)));
        for row in chunk {
            place[row] = done;
            done += 1;
        }
    }
    let place = Tensor::<1, Int>::from_data(TensorData::new(place, [episodes.len()]), &device);
    Tensor::cat(parts, 0).select(0, place)
}

/// The one number of a tensor.
pub(super) fn number(tensor: Tensor<1>) -> f64 {
    f64::from(tensor.inner().into_scalar::<f32>())
}
