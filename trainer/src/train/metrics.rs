//! What a running stage tells the world: numbers, log lines, how far it is; and whether somebody wants it to stop.

use laurel_records::{LogLevel, Message, Stage};

/// One prompt with the answers of a policy that learns and of its reference, and what the reward model says of both.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub prompt: Vec<Message>,
    pub policy: String,
    pub policy_reward: f64,
    pub reference: String,
    pub reference_reward: f64,
}

/// Where a stage reports to: the terminal, lines of JSON, the server that gave the job.
///
/// Pretraining reports as [`Stage::Base`]: a base model is what it makes.
pub trait Reporter {
    /// One finite number of one step, under TRL's name for it where it has one.
    fn metric(&mut self, stage: Stage, step: u64, name: &str, value: f64);

    /// One line of the log.
    fn log(&mut self, level: LogLevel, text: &str);

    /// `step` of `total` steps are done.
    fn progress(&mut self, stage: Stage, step: u64, total: u64);

    /// Answers to a few fixed prompts, for people to compare. The same text goes to the log.
    fn samples(&mut self, _stage: Stage, _step: u64, _samples: &[Sample]) {}

    /// Asked after every step: the stage writes a checkpoint and ends when this is true.
    fn stop_requested(&self) -> bool {
        false
    }
}

impl<R: Reporter + ?Sized> Reporter for &mut R {
    fn metric(&mut self, stage: Stage, step: u64, name: &str, value: f64) {
        (**self).metric(stage, step, name, value);
    }

    fn log(&mut self, level: LogLevel, text: &str) {
        (**self).log(level, text);
    }

    fn progress(&mut self, stage: Stage, step: u64, total: u64) {
        (**self).progress(stage, step, total);
    }

    fn samples(&mut self, stage: Stage, step: u64, samples: &[Sample]) {
        (**self).samples(stage, step, samples);
    }

    fn stop_requested(&self) -> bool {
        (**self).stop_requested()
    }
}

/// Warns of conversations that did not fit into what a model reads.
pub(super) fn warn_of_cuts(cuts: usize, reporter: &mut dyn Reporter) {
    let text = match cuts {
        0 => return,
        1 => "1 conversation is longer than the context and was cut".to_owned(),
        _ => format!("{cuts} conversations are longer than the context and were cut"),
    };
    reporter.log(LogLevel::Warning, &text);
}

/// Warns of prompts that did not fit beside an answer.
pub(super) fn warn_of_cut_prompts(cuts: usize, reporter: &mut dyn Reporter) {
    let text = match cuts {
        0 => return,
        1 => "1 prompt leaves no room for an answer and was cut".to_owned(),
        _ => format!("{cuts} prompts leave no room for an answer and were cut"),
    };
    reporter.log(LogLevel::Warning, &text);
}

/// Warns of answers that are left out for want of a token; `could_be`: what would be done with it.
pub(super) fn warn_of_empty_answers(count: usize, could_be: &str, reporter: &mut dyn Reporter) {
    let text = match count {
        0 => return,
        1 => format!("1 answer is left out: it has no token that could be {could_be}"),
        _ => format!("{count} answers are left out: they have no token that could be {could_be}"),
    };
    reporter.log(LogLevel::Warning, &text);
}

/// Tells nobody.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Reporter for Silent {
    fn metric(&mut self, _: Stage, _: u64, _: &str, _: f64) {}
    fn log(&mut self, _: LogLevel, _: &str) {}
    fn progress(&mut self, _: Stage, _: u64, _: u64) {}
}
