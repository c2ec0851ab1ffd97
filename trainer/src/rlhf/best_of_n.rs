//! Best of n: how far it lies from the policy that draws, and what n answers are worth, from more than n.

/// KL(best of n ‖ policy) in nats an answer: log n − (n − 1)/n (Stiennon et al. 2020, appendix G.3).
///
/// Exact where no two answers score the same, as the formula's derivation has it; for a policy over finitely many answers it
/// is an upper bound, far above the truth when the best answers are drawn again and again (Beirami et al. 2024).
pub fn kl(n: usize) -> f64 {
    let n = n as f64;
    n.ln() - (n - 1.0) / n
}

/// The expected value of the best of `n` answers, by `scores`, from at least as many answers: a mean over all choices of n
/// among them, without bias (Hilton and Gao 2022, "Measuring Goodhart's law"). `values[i]` is what answer i is worth, by whatever judge;
/// where that is the score itself it is the expected best score. `None` for no n or more than there are answers.
///
/// With the N answers in order of their scores, the k-th (from 1) is the best of C(k−1, n−1) among C(N, n) choices. Answers
/// of one score share what is theirs: a tie is broken by chance.
pub fn expected(scores: &[f64], values: &[f64], n: usize) -> Option<f64> {
    let count = scores.len().min(values.len());
    if n == 0 || n > count {
        return None;
    }
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    // C(k−1, n−1) / C(N, n), from the highest k down: at k = N it is n/N, and each step down multiplies by (k − n)/(k − 1).
    let mut weights = vec![0.0; count];
    let mut weight = n as f64 / count as f64;
    for k in (n..=count).rev() {
        weights[k - 1] = weight;
        weight *= (k - n) as f64 / (k as f64 - 1.0).max(1.0);
    }
    let (mut sum, mut at) = (0.0, 0);
    while at < count {
        let end = (at..count).find(|&next| scores[order[next]] != scores[order[at]]).unwrap_or(count);
        let weight: f64 = weights[at..end].iter().sum();
        let mean = order[at..end].iter().map(|&answer| values[answer]).sum::<f64>() / (end - at) as f64;
        sum += weight * mean;
        at = end.max(at + 1);
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divergence_by_hand() {
        assert_eq!(kl(1), 0.0);
        // ln 4 − 3/4
        assert!((kl(4) - 0.636_294_361_119_890_6).abs() < 1e-12);
        assert!((kl(64) - (64f64.ln() - 63.0 / 64.0)).abs() < 1e-12);
    }

    #[test]
    fn the_expected_best_is_the_mean_over_all_choices() {
        let (scores, values) = ([0.5, 2.0, -1.0, 1.0], [10.0, 20.0, 30.0, 40.0]);
        let close = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-12;
        assert!(close(expected(&scores, &values, 1), 25.0));
        // Pairs {0,1} 20, {0,2} 10, {0,3} 40, {1,2} 20, {1,3} 20, {2,3} 40.
        assert!(close(expected(&scores, &values, 2), 25.0));
        // Triples: without 0 20, without 1 40, without 2 20, without 3 20.
        assert!(close(expected(&scores, &values, 3), 25.0));
        assert!(close(expected(&scores, &values, 4), 20.0));
        assert!(close(expected(&scores, &scores, 2), (2.0 + 0.5 + 1.0 + 2.0 + 2.0 + 1.0) / 6.0));
        assert_eq!((expected(&scores, &values, 5), expected(&scores, &values, 0)), (None, None));
    }

    #[test]
    fn answers_of_one_score_share_what_is_theirs() {
        // Pairs {0,1} 1 or 3 by chance, {0,2} 3 … of three answers that score the same, any may be the best.
        assert_eq!(expected(&[1.0; 3], &[1.0, 3.0, 8.0], 2), Some(4.0));
        assert_eq!(expected(&[0.0, 1.0, 1.0], &[9.0, 2.0, 4.0], 3), Some(3.0));
    }
}
