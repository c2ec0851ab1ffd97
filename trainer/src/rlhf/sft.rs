//! The loss of supervised fine-tuning: the completion's tokens, given all before them.

use burn::tensor::{Int, Tensor};

use super::{logprobs::token_log_probs, masked};

/// −Σ log p over the completion's tokens, and how many they are, so that an accumulated batch can be divided by the tokens
/// of all its parts.
///
/// `logits`: `[batch, sequence, vocabulary]`, where those at t are about token t + 1; `input_ids` and `completion_mask`:
/// `[batch, sequence]`, the mask 1 on the tokens to learn, the end of text among them. A first token has nothing before it
/// and is never learnt. Returns (`[1]`, tokens).
pub fn completion_nll(logits: Tensor<3>, input_ids: Tensor<2, Int>, completion_mask: Tensor<2>) -> (Tensor<1>, f64) {
    let mask = next(completion_mask);
    let log_probs = token_log_probs(logits, next_ids(input_ids));
    let tokens: f64 = mask.clone().sum().into_scalar();
    (-masked::only_real(log_probs, mask).sum(), tokens)
}

/// The mean over all completion tokens of the batch, in nats: `[1]`; zero where there is none.
///
/// Every token counts the same, so long answers weigh more than short ones (as in TRL; not a mean of means over rows).
pub fn completion_loss(logits: Tensor<3>, input_ids: Tensor<2, Int>, completion_mask: Tensor<2>) -> Tensor<1> {
    let (sum, tokens) = completion_nll(logits, input_ids, completion_mask);
    sum / tokens.max(1.0)
}

// Targets move to the left instead of logits being cut: the logits are the big tensor and are not copied.

fn next(values: Tensor<2>) -> Tensor<2> {
    let [batch, sequence] = values.dims();
    let end = values.clone().narrow(1, 0, 1).zeros_like();
    Tensor::cat(vec![values, end], 1).slice([0..batch, 1..sequence + 1])
}

fn next_ids(ids: Tensor<2, Int>) -> Tensor<2, Int> {
    let [batch, sequence] = ids.dims();
    let end = ids.clone().narrow(1, 0, 1).zeros_like();
    Tensor::cat(vec![ids, end], 1).slice([0..batch, 1..sequence + 1])
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, TensorData};

    use super::*;
    use crate::rlhf::testing::{close, scalar};

    /// A batch of `masks.len()` rows of three tokens over a vocabulary of two; row r says 0 with logit r.
    fn batch(masks: &[[f64; 3]]) -> (Tensor<3>, Tensor<2, Int>, Tensor<2>) {
        let device = Device::flex().autodiff();
        let rows = masks.len();
        let logits: Vec<f64> = (0..rows).flat_map(|row| [row as f64, 0.0].repeat(3)).collect();
        let ids: Vec<i64> = [0, 1, 0].repeat(rows);
        (
            Tensor::from_data(TensorData::new(logits, [rows, 3, 2]), (&device, DType::F64)),
            Tensor::from_data(TensorData::new(ids, [rows, 3]), &device),
            Tensor::from_data(TensorData::new(masks.concat(), [rows, 3]), (&device, DType::F64)),
        )
    }

    fn nll(x: f64) -> f64 {
        (1.0 + (-x).exp()).ln()
    }

    #[test]
    fn mean_over_tokens_of_the_whole_batch() {
        let (logits, ids, mask) = batch(&[[0.0, 1.0, 1.0], [0.0, 0.0, 1.0]]);
        close(scalar(completion_loss(logits, ids, mask)), (nll(0.0) + nll(0.0) + nll(1.0)) / 3.0);
    }

    #[test]
    fn parts_of_a_batch_add_up_to_the_whole() {
        let masks = [[0.0, 1.0, 1.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]];
        let (logits, ids, mask) = batch(&masks);
        let (whole, tokens) = completion_nll(logits.clone(), ids.clone(), mask.clone());
        let mut parts = (0.0, 0.0);
        for row in 0..3 {
            let rows = row..row + 1;
            let (sum, tokens) = completion_nll(
                logits.clone().slice([rows.clone()]),
                ids.clone().slice([rows.clone()]),
                mask.clone().slice([rows]),
            );
            parts = (parts.0 + scalar(sum), parts.1 + tokens);
        }
        close(parts.0, scalar(whole));
        close(parts.1, tokens);
        close(tokens, 4.0);
    }

    #[test]
    fn a_first_token_is_never_learnt_and_no_token_costs_nothing() {
        let (logits, ids, mask) = batch(&[[1.0, 0.0, 0.0]]);
        let (sum, tokens) = completion_nll(logits.clone(), ids.clone(), mask.clone());
        close(scalar(sum), 0.0);
        close(tokens, 0.0);
        close(scalar(completion_loss(logits, ids, mask)), 0.0);
    }
}
