//! Mean, variance and whitening over real tokens.

use burn::tensor::Tensor;

/// Added to the variance before its root (TRL's `masked_whiten`, OpenAI's lm-human-preferences).
const EPSILON: f64 = 1e-8;

/// `values` where the mask is 1, zero elsewhere, whatever stood there; the same holds for gradients.
pub fn only_real(values: Tensor<2>, mask: Tensor<2>) -> Tensor<2> {
    values.mask_fill(mask.equal_elem(0), 0)
}

/// Σ mask·values / Σ mask: `[batch, sequence]` → `[1]`. Zero where there is no real token.
pub fn mean(values: Tensor<2>, mask: Tensor<2>) -> Tensor<1> {
    only_real(values, mask.clone()).sum() / mask.sum().clamp_min(1)
}

/// The unbiased variance of the real tokens, divided by their number less one: `[batch, sequence]` → `[1]`.
/// Zero, and not NaN, where there are fewer than two.
pub fn variance(values: Tensor<2>, mask: Tensor<2>) -> Tensor<1> {
    let centred = values.clone() - mean(values, mask.clone()).unsqueeze();
    only_real(centred.square(), mask.clone()).sum() / (mask.sum() - 1).clamp_min(1)
}

/// (x − μ)/√(σ² + 1e-8) over the real tokens, with the mean added again unless `shift_mean`; zero where the mask is.
///
/// TRL's `masked_whiten`: unbiased variance over the whole batch. (OpenAI's code takes the biased variance, a minibatch at a
/// time; torchtune gives `shift_mean` the opposite meaning.)
pub fn whiten(values: Tensor<2>, mask: Tensor<2>, shift_mean: bool) -> Tensor<2> {
    let average = mean(values.clone(), mask.clone()).unsqueeze::<2>();
    let near = values - average.clone();
    // The mean is off by a rounding, which is all that equal values are apart from it: divided by next to nothing it would
    // be large. The mean of what is left takes it off.
    let centred = near.clone() - mean(near, mask.clone()).unsqueeze::<2>();
    let deviation = (variance(centred.clone(), mask.clone()) + EPSILON).sqrt().unsqueeze::<2>();
    let mut whitened = centred / deviation;
    if !shift_mean {
        whitened = whitened + average;
    }
    only_real(whitened, mask)
}

#[cfg(test)]
mod tests {
    use burn::tensor::FloatDType;

    use super::*;
    use crate::rlhf::testing::{assert_close, close, matrix, scalar, values};

    #[test]
    fn what_is_masked_has_no_part() {
        let mask = matrix([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]);
        let x = matrix([[1.0, 2.0, f64::INFINITY], [6.0, f64::NAN, -9.0]]);
        close(scalar(mean(x.clone(), mask.clone())), 3.0);
        close(scalar(variance(x.clone(), mask.clone())), 7.0);
        let kept_mean = [3.0 - 2.0 / 7f64.sqrt(), 3.0 - 1.0 / 7f64.sqrt(), 0.0, 3.0 + 3.0 / 7f64.sqrt(), 0.0, 0.0];
        assert_close(&values(whiten(x, mask, false)), &kept_mean);
    }

    #[test]
    fn whitened_tokens_have_mean_0_and_variance_1() {
        let mask = matrix([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]]);
        let white = whiten(matrix([[1.0, 4.0, -2.0], [0.5, 11.0, 1e9]]), mask.clone(), true);
        close(scalar(mean(white.clone(), mask.clone())), 0.0);
        close(scalar(variance(white, mask)), 1.0);
    }

    #[test]
    fn equal_tokens_are_zero_in_single_precision_too() {
        // Seven of each have a mean that is not quite they.
        for equal in [17.3, 22.24, 29.99] {
            let (x, mask) = (matrix([[equal; 7]]), matrix([[1.0; 7]]));
            let [x, mask] = [x, mask].map(|tensor| tensor.cast(FloatDType::F32));
            assert_close(&values(whiten(x, mask, true)), &[0.0; 7]);
        }
    }

    #[test]
    fn one_token_and_no_token_are_not_nan() {
        let x = matrix([[5.0, 7.0]]);
        let one = matrix([[1.0, 0.0]]);
        close(scalar(variance(x.clone(), one.clone())), 0.0);
        assert_close(&values(whiten(x.clone(), one.clone(), true)), &[0.0, 0.0]);
        assert_close(&values(whiten(x.clone(), one, false)), &[5.0, 0.0]);
        let none = matrix([[0.0, 0.0]]);
        close(scalar(mean(x.clone(), none.clone())), 0.0);
        assert_close(&values(whiten(x, none, true)), &[0.0, 0.0]);
    }
}
