//! The loss of the reward model over whole rankings: all pairs of a prompt at once.

use burn::tensor::{Int, Tensor, TensorData, activation::log_sigmoid};

/// Every pair (better, worse) of a batch of rankings, as positions in the flat list of the batch's answers, with its weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Pairs {
    better: Vec<i64>,
    worse: Vec<i64>,
    /// One over the pairs of the prompt.
    weight: Vec<f64>,
    prompts: usize,
}

impl Pairs {
    /// `ranks[prompt][answer]`, 1 is best, equal numbers are ties and make no pair. Answers are counted through the prompts
    /// in order, those of prompts without a pair too.
    pub fn of(ranks: &[Vec<u32>]) -> Self {
        let mut pairs = Self { better: vec![], worse: vec![], weight: vec![], prompts: 0 };
        let mut offset = 0;
        for ranks in ranks {
            let of_prompt: Vec<(usize, usize)> = pairs_of(ranks).collect();
            pairs.better.extend(of_prompt.iter().map(|(better, _)| (offset + better) as i64));
            pairs.worse.extend(of_prompt.iter().map(|(_, worse)| (offset + worse) as i64));
            pairs.weight.extend(of_prompt.iter().map(|_| 1.0 / of_prompt.len() as f64));
            pairs.prompts += usize::from(!of_prompt.is_empty());
            offset += ranks.len();
        }
        pairs
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
    if pairs.is_empty() {
        // Not a bare zero: a loss without a graph behind it could not be differentiated.
        return scores.mul_scalar(0.0).sum();
    }
    let device = scores.device();
    let count = pairs.len();
    let index = |positions: &[i64]| Tensor::<1, Int>::from_data(TensorData::new(positions.to_vec(), [count]), &device);
    let weight = TensorData::new(pairs.weight.clone(), [count]);
    let weight = Tensor::<1>::from_data(weight, (&device, scores.dtype()));
    let difference = scores.clone().select(0, index(&pairs.better)) - scores.select(0, index(&pairs.worse));
    -(log_sigmoid(difference) * weight).sum()
}

/// How many pairs of one ranking the scores put in its order, and how many pairs there are. Equal scores are not right.
pub fn pair_accuracy(scores: &[f64], ranks: &[u32]) -> (usize, usize) {
    pairs_of(ranks).fold((0, 0), |(right, pairs), (better, worse)| {
        (right + usize::from(scores[better] > scores[worse]), pairs + 1)
    })
}

fn pairs_of(ranks: &[u32]) -> impl Iterator<Item = (usize, usize)> + '_ {
    ranks.iter().enumerate().flat_map(move |(better, high)| {
        ranks.iter().enumerate().filter(move |(_, low)| *low > high).map(move |(worse, _)| (better, worse))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rlhf::testing::{assert_close, close, scalar, values, vector};

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
