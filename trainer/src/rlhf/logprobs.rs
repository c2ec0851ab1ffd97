//! Log-probabilities of tokens, and the entropy of what they were drawn from.

use burn::tensor::{Int, Tensor};

use crate::{fused, profile};

/// log p(target_t | logits_t) = logit of the target − log Σ exp(logits): `[batch, sequence, vocabulary]`,
/// `[batch, sequence]` → `[batch, sequence]`.
///
/// Both are of the same t: who calls decides that the logits at t are about token t + 1. Logits of a tempered law are
/// divided by the temperature first.
pub fn token_log_probs(logits: Tensor<3>, targets: Tensor<2, Int>) -> Tensor<2> {
    let _part = profile::part("log-probabilities");
    let [batch, sequence, vocabulary] = logits.dims();
    let rows = batch * sequence;
    let (logits, targets) = (logits.reshape([rows, vocabulary]), targets.reshape([rows]));
    let found = match fused::token_log_probs(&logits, &targets) {
        Some(found) => found,
        None => plain_log_probs(logits, targets),
    };
    found.reshape([batch, sequence])
}

/// `[rows, vocabulary]`, `[rows]` → `[rows]`
fn plain_log_probs(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let rows = targets.dims()[0];
    // Not gather(log_softmax): one tensor of the vocabulary's width less, forwards and backwards.
    let of_targets = logits.clone().gather(1, targets.reshape([rows, 1]));
    (of_targets - log_sum_exp(logits)).reshape([rows])
}

/// −Σ p·log p over the vocabulary, in nats: `[batch, sequence, vocabulary]` → `[batch, sequence]`.
///
/// A token that cannot be drawn (logit −∞) adds nothing.
pub fn entropy(logits: Tensor<3>) -> Tensor<2> {
    let [batch, sequence, vocabulary] = logits.dims();
    let logits = logits.reshape([batch * sequence, vocabulary]);
    let log_probs = logits.clone() - log_sum_exp(logits);
    let probs = log_probs.clone().exp();
    let impossible = probs.clone().equal_elem(0);
    -(probs * log_probs.mask_fill(impossible, 0)).sum_dim(1).reshape([batch, sequence])
}

/// The same as numbers, without a gradient: `[rows, vocabulary]` → `rows`.
pub fn entropies(logits: Tensor<2>) -> Vec<f32> {
    let _part = profile::part("entropy");
    fused::entropies(&logits)
        .unwrap_or_else(|| entropy(logits.detach().unsqueeze()).into_data_as::<f32>().try_to_vec().unwrap_or_default())
}

/// `[rows, vocabulary]` → `[rows, 1]`
fn log_sum_exp(logits: Tensor<2>) -> Tensor<2> {
    // The largest is taken out so that nothing overflows; it cancels, so it needs no gradient.
    let largest = logits.clone().detach().max_dim(1);
    (logits - largest.clone()).exp().sum_dim(1).log() + largest
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, TensorData, activation::log_softmax};

    use super::*;
    use crate::rlhf::testing::{assert_close, values};

    fn logits(numbers: &[f64], shape: [usize; 3]) -> Tensor<3> {
        let device = Device::flex().autodiff();
        Tensor::from_data(TensorData::new(numbers.to_vec(), shape), (&device, DType::F64)).require_grad()
    }

    fn ids<const R: usize, const C: usize>(rows: [[i64; C]; R]) -> Tensor<2, Int> {
        Tensor::from_data(TensorData::new(rows.concat(), [R, C]), &Device::flex().autodiff())
    }

    #[test]
    fn agrees_with_log_softmax_values_and_gradients() {
        let numbers: Vec<f64> = (0..12).map(|i| f64::from(i * i % 7) / 3.0).collect();
        let targets = ids([[2, 0], [1, 2]]);
        let a = logits(&numbers, [2, 2, 3]);
        let b = logits(&numbers, [2, 2, 3]);
        let ours = token_log_probs(a.clone(), targets.clone());
        let theirs: Tensor<2> = log_softmax(b.clone(), 2).gather(2, targets.unsqueeze_dim(2)).reshape([2, 2]);
        assert_close(&values(ours.clone()), &values(theirs.clone()));
        let [ours, theirs] = [ours.square().sum().backward(), theirs.square().sum().backward()];
        assert_close(&values(a.grad(&ours).unwrap()), &values(b.grad(&theirs).unwrap()));
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let found = values(token_log_probs(logits(&[1e4, 1e4, -1e4], [1, 1, 3]), ids([[1]])));
        assert_close(&found, &[-(2f64.ln())]);
    }

    #[test]
    fn entropy_of_even_odds_is_their_logarithm() {
        let even = logits(&[3.0, 3.0, 3.0, 3.0, 0.0, 0.0, f64::NEG_INFINITY, f64::NEG_INFINITY], [1, 2, 4]);
        assert_close(&values(entropy(even)), &[4f64.ln(), 2f64.ln()]);
    }
}
