//! The ratings that people give beside their ranks, as a second thing for the scores to follow.

use burn::tensor::{Int, Tensor, TensorData};

/// Where zero and one lie among the ratings: their mean and deviation over what is learned from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RatingSpread {
    mean: f64,
    deviation: f64,
}

impl RatingSpread {
    /// Mean and standard deviation (unbiased) of ratings; `None` where they are all the same, or fewer than two: then they
    /// say nothing.
    pub fn of(ratings: impl IntoIterator<Item = f64>) -> Option<Self> {
        let ratings: Vec<f64> = ratings.into_iter().collect();
        // Not by their deviation: the mean of equal numbers may be a digit off, and that is not how far apart they are.
        if ratings.iter().all(|rating| *rating == ratings[0]) {
            return None;
        }
        let count = ratings.len() as f64;
        let mean = ratings.iter().sum::<f64>() / count;
        let squares: f64 = ratings.iter().map(|rating| (rating - mean).powi(2)).sum();
        let deviation = (squares / (count - 1.0)).sqrt();
        (deviation > 0.0).then_some(Self { mean, deviation })
    }

    /// How many deviations a rating lies above the mean.
    pub fn standardised(&self, rating: f64) -> f64 {
        (rating - self.mean) / self.deviation
    }
}

/// How far up its scale a rating lies, from 0 to 1: so ratings that were given on different scales can be learned from together.
pub fn share_of_scale(rating: f64, lowest: f64, highest: f64) -> f64 {
    (rating - lowest) / (highest - lowest)
}

/// The rated answers of a batch of rankings, as positions in the flat list of the batch's answers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rated {
    answer: Vec<i64>,
    target: Vec<f64>,
    /// One over the rated answers of the prompt.
    weight: Vec<f64>,
    prompt: Vec<usize>,
}

impl Rated {
    /// `ratings[prompt][answer]`, `None` where nobody rated; an empty list for a prompt of `answers[prompt]` unrated answers.
    pub fn of<'a>(ratings: impl IntoIterator<Item = (usize, &'a [Option<f64>])>, spread: &RatingSpread) -> Self {
        let mut rated = Self::default();
        let mut offset = 0;
        for (prompt, (answers, ratings)) in ratings.into_iter().enumerate() {
            let count = ratings.iter().flatten().count();
            for (answer, rating) in ratings.iter().enumerate() {
                if let Some(rating) = rating {
                    rated.answer.push((offset + answer) as i64);
                    rated.target.push(spread.standardised(*rating));
                    rated.weight.push(1.0 / count as f64);
                    rated.prompt.push(prompt);
                }
            }
            offset += answers;
        }
        rated
    }

    /// The same answers, those of prompt `i` counted `times[i]` times.
    pub fn counted(&self, times: &[f64]) -> Self {
        let weight = self.weight.iter().zip(&self.prompt).map(|(weight, &prompt)| weight * times[prompt]).collect();
        Self { weight, ..self.clone() }
    }

    pub fn is_empty(&self) -> bool {
        self.answer.is_empty()
    }
}

/// (s − z)², with z the standardised rating: its mean over the rated answers of each prompt, summed over the prompts.
///
/// The score itself follows the ratings, not a read-out of its own beside it: pairs say nothing about which prompt's answers
/// are good, only ratings do, and the score is all that PPO sees. The price is that one deviation of the ratings becomes one
/// nat of score; how hard it pulls is the coefficient.
///
/// `scores`: `[answers]`, flat. Returns `[1]`; zero without a rated answer.
pub fn rating_loss_sum(scores: Tensor<1>, rated: &Rated) -> Tensor<1> {
    if rated.is_empty() {
        return scores.mul_scalar(0.0).sum();
    }
    let (device, count) = (scores.device(), rated.answer.len());
    let kind = scores.dtype();
    let numbers = |values: &[f64]| Tensor::<1>::from_data(TensorData::new(values.to_vec(), [count]), (&device, kind));
    let index = Tensor::<1, Int>::from_data(TensorData::new(rated.answer.clone(), [count]), &device);
    let error = scores.select(0, index) - numbers(&rated.target);
    (error.clone() * error * numbers(&rated.weight)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rlhf::testing::{assert_close, close, scalar, values, vector};

    /// Reference values: PyTorch, scripts/reward_reference.py.
    #[test]
    fn loss_and_gradient_are_those_of_pytorch() {
        let ratings = [vec![Some(2.0), None, Some(6.0)], vec![], vec![Some(4.0)]];
        let spread = RatingSpread::of(ratings.iter().flatten().flatten().copied()).unwrap();
        close(spread.standardised(6.0), 1.0);
        let rated = Rated::of([3, 2, 1].into_iter().zip(ratings.iter().map(Vec::as_slice)), &spread);
        let scores = vector([0.3, -1.0, 2.0, 5.0, -5.0, 0.4]).require_grad();
        let loss = rating_loss_sum(scores.clone(), &rated) / 3.0;
        close(scalar(loss.clone()), RATING_LOSS);
        assert_close(&values(scores.grad(&loss.backward()).unwrap()), &RATING_GRADIENT);
    }

    const RATING_LOSS: f64 = 0.501666666667;
    const RATING_GRADIENT: [f64; 6] = [0.433333333333, 0.0, 0.333333333333, 0.0, 0.0, 0.266666666667];

    /// What is learned from ratings is the same whatever numbers stand for the points of their scale.
    #[test]
    fn the_numbers_of_a_scale_say_nothing() {
        let of_seven = [2.0, 6.0, 4.0].map(|rating| share_of_scale(rating, 1.0, 7.0));
        let spread = RatingSpread::of(of_seven).unwrap();
        close(spread.standardised(of_seven[1]), 1.0);
        close(share_of_scale(10.0, 0.0, 10.0), share_of_scale(7.0, 1.0, 7.0));
        close(share_of_scale(5.0, 0.0, 10.0), share_of_scale(4.0, 1.0, 7.0));
    }

    #[test]
    fn ratings_that_are_all_the_same_say_nothing() {
        assert_eq!(RatingSpread::of([4.0, 4.0, 4.0]), None);
        assert_eq!(RatingSpread::of([4.0]), None);
        assert_eq!(RatingSpread::of([]), None);
        // Seven times 6 of 7, whose mean is 0.8333333333333333 and not 0.8333333333333334.
        assert_eq!(RatingSpread::of([share_of_scale(6.0, 1.0, 7.0); 7]), None);
    }
}
