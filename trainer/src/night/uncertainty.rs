//! How unsure the reward model is of the order of answers that wait to be ranked: told to the server, which may ask people about
//! the least sure first.

use laurel_records::{PromptScore, PromptScores, ResponsesRecord};
use uuid::Uuid;

use super::{client::ClientError, models::LocalModel, work::Work};
use crate::{
    data::ModelTokenizer,
    evaluate::{Judged, Verdict, entropy_of_preferences, uncertainty_of_order, verdicts},
    model::{Members, ModelDirectory, RewardModel},
};

/// A reward model that is asked how sure it is.
pub struct Doubter {
    name: String,
    model: RewardModel,
    members: Option<Members>,
    tokenizer: ModelTokenizer,
}

impl Doubter {
    pub fn open(work: &Work, reward: &LocalModel) -> anyhow::Result<Self> {
        let directory = ModelDirectory::open(&reward.path)?;
        Ok(Self {
            name: reward.record.name.clone(),
            model: work.reward_model(&directory)?,
            members: directory.load_members(&work.device)?,
            tokenizer: ModelTokenizer::open(&directory)?,
        })
    }

    /// How unsure it is of each prompt with two answers or more that it can read. An ensemble says by how much its members differ
    /// about the order; a single head only how close to even its preferences are.
    pub fn scores(&self, records: &[ResponsesRecord], batch: usize) -> anyhow::Result<Vec<PromptScore>> {
        let answers: Vec<Judged> = records
            .iter()
            .flat_map(|record| record.responses.iter().map(|one| Judged::of(&record.prompt, one)))
            .collect();
        let found = verdicts(&self.model, self.members.as_ref(), &self.tokenizer, &answers, batch, &mut |_| {})?;
        let mut rest = found.as_slice();
        let mut scores = Vec::with_capacity(records.len());
        for record in records {
            let (own, others) = rest.split_at(record.responses.len());
            rest = others;
            let own: Vec<Verdict> = own.iter().flatten().cloned().collect();
            let uncertainty = uncertainty_of_order(&own).or_else(|| entropy_of_preferences(&own));
            let prompt = record.prompt_id.as_deref().and_then(|id| Uuid::parse_str(id).ok());
            if let (Some(prompt_id), Some(uncertainty)) = (prompt, uncertainty.filter(|value| value.is_finite())) {
                scores.push(PromptScore { prompt_id, uncertainty });
            }
        }
        Ok(scores)
    }

    /// Tells the server of the prompts in `records`. A server that does not take it is none the worse.
    pub fn tell(&self, work: &Work, records: &[ResponsesRecord]) -> anyhow::Result<usize> {
        let scores = self.scores(records, work.settings.evaluate.batch)?;
        if scores.is_empty() {
            return Ok(0);
        }
        let request = PromptScores { model: Some(self.name.clone()), scores };
        match work.client.prompt_scores(&work.job.project, &request) {
            Ok(answer) => Ok(answer.stored),
            Err(error @ ClientError::Refused { .. }) => {
                work.warn(format!("How unsure {} is was not stored: {error}.", self.name));
                Ok(0)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Tells how unsure a new reward model is of the answers that wait to be ranked, the newest first.
pub fn tell_of_waiting(work: &Work, reward: &LocalModel) -> anyhow::Result<usize> {
    let mut waiting = match work.client.waiting_answers(work.job.id) {
        Ok(waiting) => waiting,
        Err(ClientError::Refused { .. }) => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    waiting.truncate(work.settings.evaluate.waiting);
    if waiting.is_empty() {
        return Ok(0);
    }
    let doubter = Doubter::open(work, reward)?;
    let mut told = 0;
    for some in waiting.chunks(64) {
        work.check()?;
        told += doubter.tell(work, some)?;
    }
    work.log(format!("Told how unsure {} is of {told} prompts whose answers wait to be ranked.", reward.record.name));
    Ok(told)
}
