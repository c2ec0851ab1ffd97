//! Samples: answers of the policy as it is now, beside those of the reference, to a few prompts that stay the same.

use laurel_records::{LogLevel, Message, Stage};

use super::super::metrics::{Reporter, Sample};

/// An answer in words, and what the reward model says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub text: String,
    pub score: f64,
}

/// Tells of both policies' answers to each prompt: a line of the log, and the records for who shows them.
pub fn tell(
    stage: Stage,
    step: usize,
    prompts: &[Vec<Message>],
    [policy, reference]: [&[Answer]; 2],
    reporter: &mut dyn Reporter,
) {
    let mut samples = Vec::with_capacity(prompts.len());
    for ((prompt, policy), reference) in prompts.iter().zip(policy).zip(reference) {
        let question = prompt.last().map_or("", |message| &message.content);
        let text = format!(
            "step {step}: {question:?} → {:?} (reward {:.3}); reference: {:?} (reward {:.3})",
            policy.text, policy.score, reference.text, reference.score
        );
        reporter.log(LogLevel::Info, &text);
        samples.push(Sample {
            prompt: prompt.clone(),
            policy: policy.text.clone(),
            policy_reward: policy.score,
            reference: reference.text.clone(),
            reference_reward: reference.score,
        });
    }
    reporter.samples(stage, step as u64, &samples);
}
