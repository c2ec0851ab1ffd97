//! What an evaluation that ends early leaves beside its place: the answers of both models as they come, and what the reward model
//! says of a model's answers when it has judged all of them.
//!
//! They are the lines of one file, in the order in which they are made, and are found again by counting. Likelihood and divergence
//! take little beside them, and are measured again.

use std::{collections::BTreeMap, path::PathBuf, vec};

use serde::Deserialize;
use serde_json::json;

use super::Evaluation;
use crate::{
    cli::{
        generate::sampling_map,
        kept_lines::{KeptLines, ResumeArgs},
    },
    evaluate::{Answer, Answers},
    model::ModelDirectory,
    train::{Identity, digest_of_data},
};

/// The lines of an evaluation.
pub struct Kept {
    lines: KeptLines,
    /// What is noted of an earlier run's lines that nobody has asked for yet.
    earlier: vec::IntoIter<Noted>,
}

/// What a later part needs of a line.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Noted {
    Answer(Answer),
    /// None of an answer without a token.
    Reward(Option<f64>),
}

impl Kept {
    /// What an earlier run of the same evaluation left, if it is to be gone on with.
    pub fn open(evaluation: &Evaluation, resume: ResumeArgs) -> anyhow::Result<Self> {
        // Put together anew it has no slash at its end, where the files would lie in the folder.
        let out: PathBuf = evaluation.command.out.components().collect();
        let (lines, earlier) = KeptLines::open::<Noted>(&out, resume, || evaluation.identity())?;
        Ok(Self { lines, earlier: earlier.into_iter() })
    }

    /// Those of a model's answers, so many in all, that are there.
    pub fn answers(&mut self, count: usize) -> Answers {
        let mut answers = Answers::default();
        for noted in self.earlier.by_ref().take(count) {
            if let Noted::Answer(answer) = noted {
                answers.push(answer);
            }
        }
        answers
    }

    pub fn add_answer(&mut self, model: &str, answer: &Answer) -> anyhow::Result<()> {
        self.lines.add(&json!({"model": model, "content": answer.text}), &json!({ "answer": answer }))
    }

    /// Those of the rewards of a model's answers, so many in all, that are there.
    pub fn rewards(&mut self, count: usize) -> Vec<Option<f64>> {
        let mut rewards = vec![];
        for noted in self.earlier.by_ref().take(count) {
            if let Noted::Reward(reward) = noted {
                rewards.push(reward);
            }
        }
        rewards
    }

    pub fn add_reward(&mut self, model: &str, reward: Option<f64>) -> anyhow::Result<()> {
        self.lines.add(&json!({"model": model, "reward": reward}), &json!({ "reward": reward }))
    }

    /// The evaluation has its place.
    pub fn discard(self) {
        self.lines.discard();
    }
}

impl Evaluation<'_> {
    /// What decides the answers and their rewards. Not the demonstrations, of which nothing is kept, nor `--batch`: what an answer
    /// is depends on its prompt and its seed.
    fn identity(&self) -> anyhow::Result<Identity> {
        let command = self.command;
        let prompts = digest_of_data(&command.prompts, &self.prompts)?;
        let mut inputs = BTreeMap::from([("prompts".to_owned(), prompts)]);
        for (name, path) in [
            ("model", Some(&command.model)),
            ("other model", Some(&command.against)),
            ("reward model", command.reward.as_ref()),
        ] {
            if let Some(path) = path {
                inputs.insert(name.to_owned(), ModelDirectory::open(path)?.digest()?);
            }
        }
        let mut settings = sampling_map(&self.sampling);
        settings.insert("samples".into(), json!(command.samples));
        settings.insert("split".into(), json!(command.split));
        settings.insert("precision".into(), json!(self.precision));
        Ok(Identity { stage: "evaluate".into(), inputs, seed: self.common.seed, settings })
    }
}
