//! A scalar head over a decoder: reward models, and the value models that PPO learns beside its policy.

use burn::{
    module::{Module, Param},
    tensor::{Device, Int, Tensor, TensorData},
};
use serde_json::Value;

use super::{
    decoder::Decoder,
    error::ModelError,
    layout::Layout,
    precision::Precision,
    weights::{NamedTensor, RandomWeights, WeightSource},
};

/// The field of a reward model's `config.json` that holds the zero of its scale; transformers keeps it unread.
const SCORE_MEAN: &str = "score_mean";

/// hidden → 1, no bias: the tensor `score.weight` of transformers' sequence classifiers.
#[derive(Module, Debug)]
pub struct ScalarHead {
    /// `[hidden, 1]`
    pub weight: Param<Tensor<2>>,
}

impl ScalarHead {
    /// Normal with standard deviation 1/√(hidden + 1) (Stiennon et al. 2020, as in OpenAI's code).
    pub fn init(hidden: usize, seed: u64, device: &Device) -> Self {
        let deviation = 1.0 / ((hidden + 1) as f32).sqrt();
        let values = RandomWeights::new(seed, 1)
            .load("score.weight", &[1, hidden])
            .expect("random weights come in any shape")
            .into_iter()
            .map(|value| value / 0.02 * deviation)
            .collect();
        Self::from_values(values, device)
    }

    /// A head that gives zero everywhere: the start of a value model made from a policy (Ziegler et al. 2019).
    pub fn zero(hidden: usize, device: &Device) -> Self {
        Self::from_values(vec![0.0; hidden], device)
    }

    pub(super) fn load(source: &mut dyn WeightSource, hidden: usize, device: &Device) -> Result<Self, ModelError> {
        let values = source.load("score.weight", &[1, hidden])?;
        Ok(Self::from_values(values, device))
    }

    pub(super) fn from_values(values: Vec<f32>, device: &Device) -> Self {
        let hidden = values.len();
        Self { weight: Param::from_data(TensorData::new(values, [hidden, 1]), device) }
    }

    /// `[batch, sequence, hidden]` → `[batch, sequence]`
    pub fn forward(&self, hidden: Tensor<3>) -> Tensor<2> {
        let [batch, sequence, size] = hidden.dims();
        hidden.reshape([batch * sequence, size]).matmul(self.weight.val()).reshape([batch, sequence])
    }

    pub(super) fn named(&self) -> NamedTensor {
        NamedTensor::matrix("score.weight", self.weight.val().transpose())
    }
}

/// A decoder under a scalar head. The same struct is the reward model and PPO's value model.
#[derive(Module, Debug)]
pub struct RewardModel {
    pub decoder: Decoder,
    pub score: ScalarHead,
}

impl RewardModel {
    /// A reward model that starts from a policy, with a fresh head.
    pub fn from_policy(policy: &Decoder, seed: u64) -> Self {
        let hidden = policy.config().hidden_size;
        let device = policy.token_embedding.device();
        Self::with_head(policy, ScalarHead::init(hidden, seed, &device))
    }

    /// A value model that starts from a policy, with a head that gives zero.
    pub fn value_from_policy(policy: &Decoder) -> Self {
        let hidden = policy.config().hidden_size;
        let device = policy.token_embedding.device();
        Self::with_head(policy, ScalarHead::zero(hidden, &device))
    }

    fn with_head(policy: &Decoder, score: ScalarHead) -> Self {
        let mut decoder = policy.clone();
        decoder.output = None;
        Self { decoder, score }
    }

    /// The same model, the matrix products of its decoder computed in `precision`; the head's is always float32.
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { decoder: self.decoder.with_precision(precision), score: self.score }
    }

    /// One value for every token: `[batch, sequence]`.
    pub fn values(&self, input_ids: Tensor<2, Int>, layout: &Layout) -> Tensor<2> {
        let hidden = self.decoder.hidden_states(input_ids, layout, None);
        self.score.forward(hidden)
    }

    /// The value at one token of each row, `last[row]`: `[batch]`.
    pub fn rewards(&self, input_ids: Tensor<2, Int>, layout: &Layout, last: Tensor<1, Int>) -> Tensor<1> {
        let [batch, sequence] = input_ids.dims();
        let rows = Tensor::<1, Int>::arange(0..batch as i64, &last.device()) * sequence as i64;
        let hidden = self.decoder.hidden_states_at(input_ids, layout, None, &(rows + last));
        self.score.forward(hidden).reshape([batch])
    }

    /// The score that counts as zero, kept in `config.json`: what demonstrations score on average, else 0.
    ///
    /// [`Self::rewards`] are what the head gives, as other programs compute them from the same files; who compares scores
    /// with a fixed number (PPO does) takes this off first.
    pub fn score_mean(&self) -> f64 {
        self.decoder.config().raw.get(SCORE_MEAN).and_then(Value::as_f64).unwrap_or(0.0)
    }

    /// Sets what [`Self::score_mean`] gives.
    pub fn set_score_mean(&mut self, mean: f64) {
        self.decoder.config_mut().raw.insert(SCORE_MEAN.into(), mean.into());
    }

    /// Every tensor under its Hugging Face name, adapters merged.
    pub fn named_tensors(&self) -> Vec<NamedTensor> {
        let mut tensors = self.decoder.named_tensors();
        tensors.push(self.score.named());
        tensors
    }
}
