//! Several scalar heads over one decoder: their mean is the score, their spread says how sure it is.

use burn::{
    module::{Module, Param},
    tensor::{Device, Int, Tensor, TensorData},
};

use super::{
    decoder::Decoder,
    heads::{RewardModel, ScalarHead},
    layout::Layout,
};

/// A reward model that is learned with one head or several on a shared decoder.
///
/// Each head begins elsewhere and learns from its own resampling of the prompts (bootstrapped heads, Osband et al. 2016).
/// They cost no more than one, and where the decoder's last state does not settle the order of two answers they disagree.
/// What all of them take over from the shared decoder they are wrong about together: the spread is less than that of reward
/// models that share nothing.
#[derive(Module, Debug)]
pub struct RewardEnsemble {
    pub decoder: Decoder,
    /// `[hidden, members]`
    pub heads: Param<Tensor<2>>,
}

impl RewardEnsemble {
    /// Fresh heads over a policy, one a seed.
    pub fn from_policy(policy: &Decoder, seeds: &[u64]) -> Self {
        let device = policy.token_embedding.device();
        let heads = fresh(policy.config().hidden_size, seeds, &device);
        Self { decoder: RewardModel::value_from_policy(policy).decoder, heads: Param::from_tensor(heads) }
    }

    /// A reward model that learns on. With `members` of the wanted number each goes on by itself; else all begin around the
    /// head that is there, and their mean is that head.
    pub fn from_reward_model(model: RewardModel, members: Option<Members>, seeds: &[u64]) -> Self {
        let score = model.score.weight.val();
        let heads = match members {
            Some(members) if members.count() == seeds.len() => members.heads,
            _ if seeds.len() == 1 => score,
            _ => {
                let fresh = fresh(score.dims()[0], seeds, &score.device());
                fresh.clone() - fresh.mean_dim(1) + score
            }
        };
        Self { decoder: model.decoder, heads: Param::from_tensor(heads) }
    }

    /// How many heads there are.
    pub fn members(&self) -> usize {
        self.heads.dims()[1]
    }

    /// What every member gives each text at its last token, `ends[text]` among the tokens of all rows: `[texts, members]`.
    pub fn scores(&self, input_ids: Tensor<2, Int>, layout: &Layout, ends: Tensor<1, Int>) -> Tensor<2> {
        hidden_at(&self.decoder, input_ids, layout, ends).matmul(self.heads.val())
    }

    /// The reward model whose score is the mean of the members', which is one head again since heads are linear; and the
    /// members, where there are several.
    pub fn into_reward_model(self) -> (RewardModel, Option<Members>) {
        let heads = self.heads.val();
        let several = self.members() > 1;
        let score = ScalarHead { weight: Param::from_tensor(heads.clone().mean_dim(1)) };
        let means = vec![0.0; heads.dims()[1]];
        (RewardModel { decoder: self.decoder, score }, several.then_some(Members { heads, means }))
    }
}

/// The heads of an ensemble, beside the reward model whose score is their mean.
#[derive(Debug, Clone)]
pub struct Members {
    /// `[hidden, members]`
    pub(super) heads: Tensor<2>,
    /// What each gives on average where the score counts as zero: only what lies beyond it can be compared.
    pub means: Vec<f64>,
}

impl Members {
    pub(super) fn new(heads: Vec<f32>, hidden: usize, means: Vec<f64>, device: &Device) -> Self {
        let count = means.len();
        // As files have it: `[members, hidden]`.
        let heads = Tensor::<2>::from_data(TensorData::new(heads, [count, hidden]), device).transpose();
        Self { heads, means }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.means.len()
    }

    /// What every member gives each row at one of its tokens, less its own zero: `[batch, members]`.
    pub fn scores(
        &self,
        decoder: &Decoder,
        input_ids: Tensor<2, Int>,
        layout: &Layout,
        last: Tensor<1, Int>,
    ) -> Tensor<2> {
        let means: Vec<f32> = self.means.iter().map(|&mean| mean as f32).collect();
        let means = Tensor::<2>::from_data(TensorData::new(means, [1, self.count()]), &self.heads.device());
        let [batch, sequence] = input_ids.dims();
        let rows = Tensor::<1, Int>::arange(0..batch as i64, &last.device()) * sequence as i64;
        hidden_at(decoder, input_ids, layout, rows + last).matmul(self.heads.clone()) - means
    }
}

/// The last hidden states at some tokens of all rows: `[ends, hidden]`.
fn hidden_at(decoder: &Decoder, input_ids: Tensor<2, Int>, layout: &Layout, ends: Tensor<1, Int>) -> Tensor<2> {
    decoder.hidden_states_at(input_ids, layout, None, &ends).squeeze_dim(0)
}

fn fresh(hidden: usize, seeds: &[u64], device: &Device) -> Tensor<2> {
    let heads = seeds.iter().map(|&seed| ScalarHead::init(hidden, seed, device).weight.val()).collect();
    Tensor::cat(heads, 1)
}
