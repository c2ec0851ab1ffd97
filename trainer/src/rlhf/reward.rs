//! The loss of the reward model over whole rankings: all pairs of a prompt at once.

use burn::tensor::{Int, Tensor, TensorData, activation::log_sigmoid};

/// Every pair (better, worse) of a batch of rankings, as positions in the flat list of the batch's answers, with its weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Pairs {
    better: Vec<i64>,
    worse: Vec<i64>,
    /// One over the pairs of the prompt.
    weight: Vec<f64>,
    /// How much further apart the scores are to be than on the right side of each other.
    margin: Vec<f64>,
    /// The prompt of each pair.
    prompt: Vec<usize>,
    prompts: usize,
}

/// One ranking as the loss sees it.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// 1 is best, equal numbers are ties and make no pair.
    pub ranks: &'a [u32],
    /// How far apart the two answers are where somebody said so; else it is the difference of the ranks.
    pub margin: Option<f64>,
}

impl Order<'_> {
    /// Every pair (better, worse) with how far apart its answers are: as somebody said, else the difference of the ranks.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize, f64)> + '_ {
        pairs_of(self.ranks).map(|(better, worse)| {
            let apart = f64::from(self.ranks[worse] - self.ranks[better]);
            (better, worse, self.margin.unwrap_or(apart))
        })
    }
}

impl Pairs {
    /// `ranks[prompt][answer]`, 1 is best, equal numbers are ties and make no pair. Answers are counted through the prompts
    /// in order, those of prompts without a pair too.
    pub fn of(ranks: &[Vec<u32>]) -> Self {
        let orders: Vec<Order> = ranks.iter().map(|ranks| Order { ranks, margin: None }).collect();
        Self::with_margins(&orders, 0.0)
    }

    /// As [`Self::of`]; the scores of a pair are to be `scale` times as far apart as its answers are.
    pub fn with_margins(orders: &[Order], scale: f64) -> Self {
        let mut pairs =
            Self { better: vec![], worse: vec![], weight: vec![], margin: vec![], prompt: vec![], prompts: 0 };
        let mut offset = 0;
        for (prompt, order) in orders.iter().enumerate() {
            let before = pairs.len();
            for (better, worse, apart) in order.pairs() {
                pairs.better.push((offset + better) as i64);
                pairs.worse.push((offset + worse) as i64);
                pairs.margin.push(scale * apart);
                pairs.prompt.push(prompt);
            }
            let found = pairs.len() - before;
            pairs.weight.resize(pairs.len(), 1.0 / found as f64);
            pairs.prompts += usize::from(found > 0);
            offset += order.ranks.len();
        }
        pairs
    }

    /// The same pairs, those of prompt `i` counted `times[i]` times: a resampling of the prompts.
    pub fn counted(&self, times: &[f64]) -> Self {
        let weight = self.weight.iter().zip(&self.prompt).map(|(weight, &prompt)| weight * times[prompt]).collect();
        Self { weight, ..self.clone() }
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.better.len()
    }

    /// Whether there is nothing to learn: every prompt has ties only.
    pub fn is_empty(&self) -> bool {
        self.better.is_empty()
    }

    /// How many prompts have at least one pair: what the loss is a mean over.
    pub fn prompts(&self) -> usize {
        self.prompts
    }
}

/// −log σ(s_better − s_worse), its mean over the pairs of each prompt, and of that the mean over the prompts that have a
/// pair (Ouyang et al. 2022, eq. 1: all C(K, 2) pairs of a prompt are one element of the batch).
///
/// `scores`: `[answers]`, of all prompts, flat. Returns `[1]`; zero where there is no pair. The gradient sums to zero over
/// the answers of a prompt: only differences matter.
pub fn kwise_loss(scores: Tensor<1>, pairs: &Pairs) -> Tensor<1> {
    kwise_loss_sum(scores, pairs) / pairs.prompts.max(1) as f64
}

/// As [`kwise_loss`] with the sum over prompts in place of the mean, so that an accumulated batch can be divided by the
/// prompts of all its parts.
pub fn kwise_loss_sum(scores: Tensor<1>, pairs: &Pairs) -> Tensor<1> {
    pair_loss_sum(scores, pairs, 0.0)
}

/// As [`kwise_loss_sum`], with the margins of the pairs and smoothed labels: with d = s_better − s_worse − margin, a pair costs
/// −(1 − ε)·log σ(d) − ε·log σ(−d).
///
/// The margin is that of Llama 2 (Touvron et al. 2023, eq. 2): pairs that people find far apart are to be scored far apart.
/// ε is the chance that a label is the wrong way round: with it no distance is ever far enough for the loss to fall for ever,
/// and a pair whose label looks wrong pulls less. The gradient still sums to zero over the answers of a prompt.
pub fn pair_loss_sum(scores: Tensor<1>, pairs: &Pairs, label_smoothing: f64) -> Tensor<1> {
    if pairs.is_empty() {
        // Not a bare zero: a loss without a graph behind it could not be differentiated.
        return scores.mul_scalar(0.0).sum();
    }
    let device = scores.device();
    let count = pairs.len();
    let index = |positions: &[i64]| Tensor::<1, Int>::from_data(TensorData::new(positions.to_vec(), [count]), &device);
    let weight = TensorData::new(pairs.weight.clone(), [count]);
    let weight = Tensor::<1>::from_data(weight, (&device, scores.dtype()));
    let mut difference = scores.clone().select(0, index(&pairs.better)) - scores.clone().select(0, index(&pairs.worse));
    if pairs.margin.iter().any(|margin| *margin != 0.0) {
        let margin = TensorData::new(pairs.margin.clone(), [count]);
        difference = difference - Tensor::<1>::from_data(margin, (&device, scores.dtype()));
    }
    let mut losses = -log_sigmoid(difference.clone());
    if label_smoothing > 0.0 {
        losses = losses * (1.0 - label_smoothing) - log_sigmoid(-difference) * label_smoothing;
    }
    (losses * weight).sum()
}

/// How many pairs of one ranking the scores put in its order, and how many pairs there are. Equal scores are not right.
pub fn pair_accuracy(scores: &[f64], ranks: &[u32]) -> (usize, usize) {
    pairs_of(ranks).fold((0, 0), |(right, pairs), (better, worse)| {
        (right + usize::from(scores[better] > scores[worse]), pairs + 1)
    })
}

/// Every pair (better, worse) of one ranking, by place; ties make none.
pub fn pairs_of(ranks: &[u32]) -> impl Iterator<Item = (usize, usize)> + '_ {
    ranks.iter().enumerate().flat_map(move |(better, high)| {
        ranks.iter().enumerate().filter(move |(_, low)| *low > high).map(move |(worse, _)| (better, worse))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rlhf::testing::{assert_close, close, scalar, values, vector};

    /// ε, loss, gradient.
    const MARGIN_CASES: [(f64, f64, [f64; 6]); 2] = [
        (
            0.0,
            1.267284793938,
            [0.023333072502, -0.267724427384, 0.075026379377, 0.169364975505, -0.287221258406, 0.287221258406],
        ),
        (
            0.1,
            1.192284793938,
            [0.023333072502, -0.237724427384, 0.075026379377, 0.139364975505, -0.237221258406, 0.237221258406],
        ),
    ];

    fn nll(difference: f64) -> f64 {
        (1.0 + (-difference).exp()).ln()
    }

    #[test]
    fn a_prompt_is_one_element_however_many_pairs_it_has() {
        let pairs = Pairs::of(&[vec![1, 2], vec![1, 1], vec![2, 1, 3]]);
        assert_eq!((pairs.len(), pairs.prompts()), (4, 2));
        let scores = vector([1.0, 0.5, 9.0, 9.0, 0.0, 2.0, 1.0]);
        let expected = (nll(0.5) + (nll(-1.0) + nll(2.0) + nll(1.0)) / 3.0) / 2.0;
        close(scalar(kwise_loss(scores, &pairs)), expected);
    }

    #[test]
    fn the_gradient_sums_to_zero_over_a_prompts_answers() {
        let scores = vector([0.3, -1.0, 2.0, 0.1, 0.0]).require_grad();
        let loss = kwise_loss(scores.clone(), &Pairs::of(&[vec![2, 1, 3], vec![1, 2]]));
        let gradient = values(scores.grad(&loss.backward()).unwrap());
        close(gradient[..3].iter().sum(), 0.0);
        close(gradient[3..].iter().sum(), 0.0);
        // ∂/∂s of the pair (3, 4): σ(s_better − s_worse) − 1, halved by the two prompts.
        close(gradient[3], (1.0 / (1.0 + (-0.1f64).exp()) - 1.0) / 2.0);
    }

    /// Two prompts, one with a tie and one whose margin was said.
    fn apart() -> Pairs {
        let orders = [Order { ranks: &[2, 1, 2, 4], margin: None }, Order { ranks: &[1, 2], margin: Some(3.0) }];
        Pairs::with_margins(&orders, 0.3)
    }

    /// Reference values: PyTorch, scripts/reward_reference.py.
    #[test]
    fn margins_and_smoothed_labels_are_those_of_pytorch() {
        let scores = [0.3, -1.0, 2.0, 0.1, 0.4, -0.2];
        for (smoothing, expected, gradient) in MARGIN_CASES {
            let scores = vector(scores).require_grad();
            let loss = pair_loss_sum(scores.clone(), &apart(), smoothing) / 2.0;
            close(scalar(loss.clone()), expected);
            let found = values(scores.grad(&loss.backward()).unwrap());
            assert_close(&found, &gradient);
            close(found[..4].iter().sum(), 0.0);
            close(found[4..].iter().sum(), 0.0);
        }
    }

    #[test]
    fn a_prompt_counted_twice_weighs_as_two_and_one_left_out_as_none() {
        let pairs = apart();
        let scores = || vector([0.3, -1.0, 2.0, 0.1, 0.4, -0.2]);
        let sum = |times: [f64; 2]| scalar(pair_loss_sum(scores(), &pairs.counted(&times), 0.0));
        close(sum([2.0, 1.0]), sum([1.0, 0.0]) * 2.0 + sum([0.0, 1.0]));
        close(sum([0.0, 0.0]), 0.0);
    }

    #[test]
    fn the_order_of_answers_does_not_matter() {
        let one = kwise_loss(vector([0.3, -1.0, 2.0]), &Pairs::of(&[vec![2, 1, 3]]));
        let other = kwise_loss(vector([2.0, 0.3, -1.0]), &Pairs::of(&[vec![3, 2, 1]]));
        close(scalar(one), scalar(other));
    }

    #[test]
    fn ties_only_give_no_loss_and_no_gradient() {
        let scores = vector([0.3, -1.0]).require_grad();
        let pairs = Pairs::of(&[vec![1, 1]]);
        assert!(pairs.is_empty());
        let loss = kwise_loss(scores.clone(), &pairs);
        close(scalar(loss.clone()), 0.0);
        assert_close(&values(scores.grad(&loss.backward()).unwrap()), &[0.0, 0.0]);
    }

    #[test]
    fn far_apart_scores_do_not_overflow() {
        let loss = scalar(kwise_loss(vector([-2000.0, 2000.0]), &Pairs::of(&[vec![1, 2]])));
        close(loss, 4000.0);
    }

    #[test]
    fn accuracy_counts_pairs_and_equal_scores_are_not_right() {
        assert_eq!(pair_accuracy(&[3.0, 2.0, 1.0, 1.0], &[1, 2, 3, 4]), (5, 6));
        assert_eq!(pair_accuracy(&[0.0, 1.0], &[1, 1]), (0, 0));
    }
}
