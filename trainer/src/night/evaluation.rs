//! The end of a night: what was held out is measured, and the rule says whether the new policy is better.

use laurel_records::{PromptRecord, Stage};
use serde_json::json;

use super::{models::LocalModel, nightly::Models, records::Records, stages, work::Work, worker::Found};
use crate::{
    data::ModelTokenizer,
    evaluate::{self, Answers, WinRate},
    model::{Decoder, ModelDirectory},
    train::same_tokens,
};

/// What the rule is about.
#[derive(Debug, Default)]
struct Evidence {
    nll_answering: Option<f64>,
    nll_after: Option<f64>,
    reward_accuracy: Option<f64>,
    win_rate: Option<WinRate>,
}

/// The evaluation under way.
struct Evaluation<'a> {
    work: &'a Work<'a>,
    records: &'a Records,
    models: &'a Models,
    found: &'a mut Found,
    done: u64,
}

/// Measures the night's models and fills in the summary and what the rule says.
pub fn run(work: &Work, records: &Records, models: &Models, found: &mut Found) -> anyhow::Result<()> {
    let Some(policy) = models.policy() else {
        work.warn("No policy was made tonight: there is nothing to evaluate.");
        return Ok(());
    };
    work.check()?;
    work.log(format!("Evaluating {} on what was held out.", policy.record.name));
    let mut evaluation = Evaluation { work, records, models, found, done: 0 };
    let mut evidence = Evidence::default();
    evaluation.likelihood(&mut evidence)?;
    evaluation.judge(&mut evidence)?;
    evaluation.contest(policy, &mut evidence)?;
    evaluation.found.policy_is_better = rule(&evidence, work);
    Ok(())
}

/// Better on the held-out split: the reward model prefers the new policy's answers to those of the policy that answers now,
/// beyond doubt, and is itself right about held-out rankings more often than not. Without a contest (no reward model):
/// held-out demonstrations are likelier. `None` where nothing held out can say it.
fn rule(evidence: &Evidence, work: &Work) -> Option<bool> {
    match (evidence.win_rate, evidence.reward_accuracy) {
        (Some(contest), Some(accuracy)) => Some(contest.is_better() && accuracy > 0.5),
        (Some(_), None) => {
            work.warn(
                "Whether the policy is better can't be said: no ranking was held out to test the reward model by.",
            );
            None
        }
        (None, _) => Some(evidence.nll_after? < evidence.nll_answering?),
    }
}

impl Evaluation<'_> {
    /// NLL of the held-out demonstrations: before (the base model) and after SFT.
    fn likelihood(&mut self, evidence: &mut Evidence) -> anyhow::Result<()> {
        let Some(sft) = self.models.sft.as_ref().filter(|_| !self.records.demonstrations.held_out.is_empty()) else {
            return Ok(());
        };
        let before = self.nll(&self.models.base)?;
        let after = self.nll(sft)?;
        self.note("nll_before", before);
        self.note("nll_after", after);
        evidence.nll_after = after;
        evidence.nll_answering = match &self.models.answering {
            // Without a contest this decides: it is about the model that answers now.
            Some(answering) if self.models.reward.is_none() && answering.id != self.models.base.record.id => {
                let answering = self.work.fetch(answering)?;
                self.nll(&answering)?
            }
            _ => before,
        };
        Ok(())
    }

    fn nll(&mut self, model: &LocalModel) -> anyhow::Result<Option<f64>> {
        let (decoder, tokenizer) = self.open(model)?;
        let demonstrations = &self.records.demonstrations.held_out;
        let batch = self.work.settings.evaluate.batch;
        let found = evaluate::nll(&decoder, &tokenizer, demonstrations, batch, &mut |_| {})?;
        self.step()?;
        Ok(found.map(|nll| nll.mean))
    }

    /// The reward model on held-out rankings.
    fn judge(&mut self, evidence: &mut Evidence) -> anyhow::Result<()> {
        let rankings = &self.records.rankings.held_out;
        let Some(reward) = self.models.reward.as_ref().filter(|_| !rankings.is_empty()) else { return Ok(()) };
        let directory = ModelDirectory::open(&reward.path)?;
        let tokenizer = ModelTokenizer::open(&directory)?;
        let model = self.work.reward_model(&directory)?;
        let batch = self.work.settings.evaluate.batch;
        let agreement = evaluate::reward_accuracy(&model, &tokenizer, rankings, batch, &mut |_| {})?;
        evidence.reward_accuracy = agreement.accuracy();
        self.note("reward_accuracy", agreement.accuracy());
        self.note("reward_log_loss", agreement.log_loss());
        self.step()
    }

    /// New policy against the one that answers now, on held-out prompts, by the reward model; and how far it has moved.
    fn contest(&mut self, policy: &LocalModel, evidence: &mut Evidence) -> anyhow::Result<()> {
        let records = self.records;
        let most = self.work.settings.evaluate.prompts;
        let prompts = &records.prompts.held_out[..records.prompts.held_out.len().min(most)];
        if prompts.is_empty() {
            self.work.warn("No prompt is held out: the policies can't be compared.");
            return Ok(());
        }
        let (decoder, tokenizer) = self.open(policy)?;
        let ours = self.answers(&decoder, &tokenizer, prompts)?;
        if policy.record.id != self.models.start().record.id {
            let (reference, _) = self.open(&self.models.start().clone())?;
            let batch = self.work.settings.evaluate.batch;
            self.note("kl", evaluate::mean_kl(&decoder, &reference, &ours, batch, &mut |_| {}));
        }
        drop(decoder);
        self.step()?;
        let (Some(reward), Some(answering)) = (&self.models.reward, &self.models.answering) else { return Ok(()) };
        let answering = self.work.fetch(answering)?;
        let (decoder, tokenizer) = self.open(&answering)?;
        let theirs = self.answers(&decoder, &tokenizer, prompts)?;
        drop(decoder);
        self.step()?;
        let ours = self.rewards(reward, policy, prompts, &ours)?;
        let theirs = self.rewards(reward, &answering, prompts, &theirs)?;
        self.note("reward_before", mean(&theirs));
        self.note("reward_after", mean(&ours));
        evidence.win_rate = WinRate::of(&ours, &theirs);
        if let Some(contest) = evidence.win_rate {
            self.note("win_rate", Some(contest.rate));
            self.note("win_rate_low", Some(contest.low));
            self.note("win_rate_high", Some(contest.high));
            self.work.log(format!(
                "Against {}: wins {:.0} % of {} prompts (95 %: {:.0} to {:.0} %).",
                answering.record.name,
                contest.rate * 100.0,
                contest.contests,
                contest.low * 100.0,
                contest.high * 100.0,
            ));
        }
        self.step()
    }

    fn answers(
        &self,
        decoder: &Decoder,
        tokenizer: &ModelTokenizer,
        prompts: &[PromptRecord],
    ) -> anyhow::Result<Answers> {
        stages::room(self.work, tokenizer)?;
        let (sampling, seed) = (&self.work.settings.sampling, self.work.settings.seed);
        // Answers are short beside what training holds: four times as many go through together.
        let batch = self.work.settings.evaluate.batch * 4;
        Ok(evaluate::sample_answers(decoder, tokenizer, prompts, sampling, seed, batch, &mut |_| {})?)
    }

    /// What the reward model says of a policy's answers.
    fn rewards(
        &self,
        reward: &LocalModel,
        policy: &LocalModel,
        prompts: &[PromptRecord],
        answers: &Answers,
    ) -> anyhow::Result<Vec<f64>> {
        let directory = ModelDirectory::open(&reward.path)?;
        let tokenizer = ModelTokenizer::open(&directory)?;
        let model = self.work.reward_model(&directory)?;
        let same_tokens = same_tokens(&ModelDirectory::open(&policy.path)?, &directory).is_ok();
        let batch = self.work.settings.evaluate.batch;
        Ok(evaluate::rewards_of_answers(&model, &tokenizer, prompts, answers, same_tokens, batch, &mut |_| {})?)
    }

    fn open(&self, model: &LocalModel) -> anyhow::Result<(Decoder, ModelTokenizer)> {
        let directory = ModelDirectory::open(&model.path)?;
        Ok((self.work.decoder(&directory)?, ModelTokenizer::open(&directory)?))
    }

    /// Puts a number in the summary and among the metrics.
    fn note(&mut self, name: &str, value: Option<f64>) {
        let Some(value) = value.filter(|value| value.is_finite()) else { return };
        self.work.reports.metric(Stage::Evaluate, 0, &format!("eval/{name}"), value);
        self.work.log(format!("{name} {value:.4}"));
        self.found.summary.insert(name.to_owned(), json!(value));
    }

    /// One of about six parts is done.
    fn step(&mut self) -> anyhow::Result<()> {
        self.done += 1;
        self.work.reports.progress(Stage::Evaluate, self.done.min(6), 6);
        self.work.check()
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
