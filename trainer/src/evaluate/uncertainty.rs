//! How unsure a reward model is of the order of a prompt's answers: by what its members disagree about, or by how close to even
//! its preferences are.

use super::rewards::Verdict;

impl Verdict {
    /// How far the members are apart: the standard deviation (unbiased) of what they give. `None` without an ensemble.
    pub fn disagreement(&self) -> Option<f64> {
        deviation(&self.members)
    }
}

/// How unsure an ensemble is of the order: the deviation of its members' differences, a mean over the pairs of answers. What a
/// member adds to all answers of a prompt alike is no opinion about their order, and cancels. `None` for fewer than two answers
/// or members.
pub fn uncertainty_of_order(answers: &[Verdict]) -> Option<f64> {
    mean(pairs(answers).map(|(one, other)| {
        let differences: Vec<f64> = one.members.iter().zip(&other.members).map(|(a, b)| a - b).collect();
        deviation(&differences)
    }))
}

/// The entropy of the preferences, nats, a mean over the pairs of answers: ln 2 where the two rewards are the same. A model can be
/// sure of its preferences and know nothing, so an ensemble's disagreement says more. `None` for fewer than two answers.
pub fn entropy_of_preferences(answers: &[Verdict]) -> Option<f64> {
    mean(pairs(answers).map(|(one, other)| {
        let difference = (one.reward - other.reward).abs();
        // −p·ln p − q·ln q with p = σ(d): d·q + ln(1 + e^−d).
        let q = 1.0 / (1.0 + difference.exp());
        Some(difference * q + (-difference).exp().ln_1p())
    }))
}

fn pairs(answers: &[Verdict]) -> impl Iterator<Item = (&Verdict, &Verdict)> {
    answers.iter().enumerate().flat_map(|(at, one)| answers[at + 1..].iter().map(move |other| (one, other)))
}

fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values = values.collect::<Option<Vec<f64>>>()?;
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The standard deviation (unbiased) of some numbers; `None` of fewer than two.
fn deviation(values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(reward: f64, members: &[f64]) -> Verdict {
        Verdict { reward, members: members.to_vec(), length: 1 }
    }

    fn close(found: Option<f64>, expected: f64) {
        assert!(found.is_some_and(|found| (found - expected).abs() < 1e-12), "{found:?}, expected {expected}");
    }

    #[test]
    fn members_that_agree_on_the_order_are_sure_whatever_their_levels() {
        let answers = [verdict(0.0, &[1.0, 5.0, -7.0]), verdict(0.0, &[3.0, 7.0, -5.0])];
        close(uncertainty_of_order(&answers), 0.0);
        close(answers[0].disagreement(), 37.333_333_333_333_336f64.sqrt());
        // Differences −1, 1: their deviation is √2.
        close(uncertainty_of_order(&[verdict(0.0, &[0.0, 1.0]), verdict(0.0, &[1.0, 0.0])]), 2f64.sqrt());
        assert_eq!(uncertainty_of_order(&answers[..1]), None);
        assert_eq!(uncertainty_of_order(&[verdict(1.0, &[]), verdict(2.0, &[])]), None);
    }

    #[test]
    fn even_preferences_have_the_entropy_of_a_coin_and_clear_ones_none() {
        close(entropy_of_preferences(&[verdict(2.0, &[]), verdict(2.0, &[])]), 2f64.ln());
        // p = 3/4: −¾·ln ¾ − ¼·ln ¼.
        let expected = -(0.75 * 0.75f64.ln() + 0.25 * 0.25f64.ln());
        close(entropy_of_preferences(&[verdict(0.0, &[]), verdict(3f64.ln(), &[])]), expected);
        assert!(entropy_of_preferences(&[verdict(0.0, &[]), verdict(5000.0, &[])]).unwrap() < 1e-9);
        assert_eq!(entropy_of_preferences(&[verdict(0.0, &[])]), None);
    }
}
