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
    match rule(&evidence, models.reward.is_some()) {
        Ok(better) => evaluation.found.policy_is_better = Some(better),
        Err(reason) => work.warn(format!("Whether the policy is better can't be said: {reason}.")),
    }
    Ok(())
}

/// Better on the held-out split: the reward model prefers the new policy's answers to those of the policy that answers now,
/// beyond doubt, and is itself right about held-out rankings more often than not. Where no reward model was made, so that the
/// policy is the SFT model: held-out demonstrations are likelier. Why it can't be said, where nothing held out says it.
fn rule(evidence: &Evidence, has_reward_model: bool) -> Result<bool, &'static str> {
    match (evidence.win_rate, evidence.reward_accuracy) {
        (Some(contest), Some(accuracy)) => Ok(contest.is_better() && accuracy > 0.5),
        (Some(_), None) => Err("no ranking was held out to test the reward model by"),
        (None, _) if has_reward_model => {
            Err("the policies answered no held-out prompt that the reward model could judge")
        }
        (None, _) => match (evidence.nll_after, evidence.nll_answering) {
            (Some(after), Some(answering)) => Ok(after < answering),
            (Some(_), None) => {
                Err("the policy that answers now has other tokens, so what the two lose a token can't be compared")
            }
            (None, _) => Err("no demonstration was held out"),
        },
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
                if have_one_tokenizer(sft, &answering)? { self.nll(&answering)? } else { None }
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
        let (agreement, unread) = evaluate::reward_accuracy(&model, &tokenizer, rankings, batch, &mut |_| {})?;
        if unread > 0 {
            self.work.warn(format!("{unread} held-out answers are left out: they have no token to be scored by."));
        }
        evidence.reward_accuracy = agreement.accuracy();
        self.note("reward_accuracy", agreement.accuracy());
        self.note("reward_log_loss", agreement.log_loss());
        self.step()
    }

    /// New policy against the one that answers now, on held-out prompts, by the reward model; and how far it has moved.
    fn contest(&mut self, policy: &LocalModel, evidence: &mut Evidence) -> anyhow::Result<()> {
        // Without a judge the policy is the SFT model, which is the reference itself.
        let Some(reward) = &self.models.reward else { return Ok(()) };
        let answering = self.models.answering.as_ref().map(|answering| self.work.fetch(answering)).transpose()?;
        let prompts = self.prompts_of_contest(policy, answering.as_ref())?;
        if prompts.is_empty() {
            return Ok(());
        }
        let prompts = prompts.as_slice();
        let (decoder, tokenizer) = self.open(policy)?;
        let ours = self.answers(&decoder, &tokenizer, prompts)?;
        if policy.record.id != self.models.start().record.id {
            let (reference, _) = self.open(&self.models.start().clone())?;
            let batch = self.work.settings.evaluate.batch;
            self.note("kl", evaluate::mean_kl(&decoder, &reference, &ours, batch, &mut |_| {}));
        }
        drop(decoder);
        self.step()?;
        let Some(answering) = answering else { return Ok(()) };
        let (decoder, tokenizer) = self.open(&answering)?;
        let theirs = self.answers(&decoder, &tokenizer, prompts)?;
        drop(decoder);
        self.step()?;
        let ours = self.rewards(reward, policy, prompts, &ours)?;
        let theirs = self.rewards(reward, &answering, prompts, &theirs)?;
        let both = ours.into_iter().zip(theirs);
        let (ours, theirs): (Vec<f64>, Vec<f64>) = both.filter_map(|(ours, theirs)| ours.zip(theirs)).unzip();
        if ours.len() < prompts.len() {
            let unread = prompts.len() - ours.len();
            self.work.warn(format!(
                "{unread} held-out prompts are left out: an answer to them has no token to be scored by."
            ));
        }
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

    /// The first held-out prompts, as many as the settings want, of those that both policies' tokenizers make tokens of: to
    /// nothing there is nothing to answer. Says why where there is none.
    fn prompts_of_contest(
        &self,
        policy: &LocalModel,
        answering: Option<&LocalModel>,
    ) -> anyhow::Result<Vec<PromptRecord>> {
        let most = self.work.settings.evaluate.prompts;
        let mut tokenizers = vec![stages::tokenizer(policy)?];
        if let Some(answering) = answering {
            tokenizers.push(stages::tokenizer(answering)?);
        }
        let (mut prompts, mut empty) = (vec![], 0);
        for prompt in &self.records.prompts.held_out {
            if prompts.len() == most {
                break;
            }
            let mut has_tokens = true;
            for tokenizer in &tokenizers {
                has_tokens &= !tokenizer.prompt(&prompt.prompt)?.is_empty();
            }
            if has_tokens {
                prompts.push(prompt.clone());
            } else {
                empty += 1;
            }
        }
        if empty > 0 {
            self.work.warn(format!("{empty} held-out prompts are left out: the tokenizer makes no token of them."));
        }
        if prompts.is_empty() {
            let why = match (most, empty) {
                (0, _) => "The evaluation is to answer no prompt",
                (_, 0) => "No prompt is held out",
                _ => "No held-out prompt can be answered",
            };
            self.work.warn(format!("{why}: the policies can't be compared."));
        }
        Ok(prompts)
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

    /// What the reward model says of a policy's answers, from the zero of its scale: so that nights can be compared. Nothing of one
    /// that it makes no token of.
    fn rewards(
        &self,
        reward: &LocalModel,
        policy: &LocalModel,
        prompts: &[PromptRecord],
        answers: &Answers,
    ) -> anyhow::Result<Vec<Option<f64>>> {
        let directory = ModelDirectory::open(&reward.path)?;
        let tokenizer = ModelTokenizer::open(&directory)?;
        let model = self.work.reward_model(&directory)?;
        let same_tokens = same_tokens(&ModelDirectory::open(&policy.path)?, &directory).is_ok();
        let batch = self.work.settings.evaluate.batch;
        let found =
            evaluate::rewards_of_answers(&model, &tokenizer, prompts, answers, same_tokens, batch, &mut |_| {})?;
        let zero = model.score_mean();
        Ok(found.into_iter().map(|score| Some(score? - zero)).collect())
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

/// Whether both models divide a text into the same tokens: where somebody has brought another base model since, what a token costs the
/// one says nothing of what another costs the other. How many rows their matrices have beyond the tokens is nothing to that.
fn have_one_tokenizer(one: &LocalModel, other: &LocalModel) -> anyhow::Result<bool> {
    let (one, other) = (ModelDirectory::open(&one.path)?, ModelDirectory::open(&other.path)?);
    Ok(same_tokens(&one, &other).is_ok() || same_tokens(&other, &one).is_ok())
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn without_a_contest_a_policy_that_a_reward_model_taught_is_not_called_better() {
        let likelier = Evidence { nll_answering: Some(2.0), nll_after: Some(1.0), ..Evidence::default() };
        assert_eq!(rule(&likelier, false), Ok(true));
        // It is the SFT model that is likelier, and PPO went on from there.
        let reason =
            rule(&Evidence { reward_accuracy: Some(0.9), ..likelier }, true).expect_err("nothing was compared");
        assert!(reason.contains("no held-out prompt"), "{reason}");
        assert!(rule(&Evidence::default(), false).is_err());
    }

    #[test]
    fn likelihoods_a_token_of_two_tokenizers_are_not_compared() {
        let of_others = Evidence { nll_answering: None, nll_after: Some(1.0), ..Evidence::default() };
        let reason = rule(&of_others, false).expect_err("nothing was compared");
        assert!(reason.contains("other tokens"), "{reason}");
    }

    #[test]
    fn models_of_other_tokens_are_told_from_those_with_more_rows() {
        let scratch = tempfile::tempdir().expect("a folder");
        let model = |name: &str, rows: usize, vocabulary: Value| {
            let path = scratch.path().join(name);
            std::fs::create_dir_all(&path).expect("a folder");
            let config = json!({"model_type": "llama", "vocab_size": rows, "hidden_size": 8, "intermediate_size": 8,
                "num_hidden_layers": 1, "num_attention_heads": 1, "max_position_embeddings": 16});
            let tokenizer = json!({"model": {"vocab": vocabulary}});
            for (file, content) in [("config.json", config), ("tokenizer.json", tokenizer)] {
                std::fs::write(path.join(file), content.to_string()).expect("written");
            }
            let record = json!({"id": uuid::Uuid::nil(), "name": name, "stage": "sft", "round": 1, "parent": null,
                "digest": "", "files": [], "complete": true});
            LocalModel { record: serde_json::from_value(record).expect("a record"), path }
        };
        let ours = model("ours", 2, json!({"a": 0, "b": 1}));
        let is_one = |other: &LocalModel| have_one_tokenizer(&ours, other).expect("models");
        assert!(is_one(&model("padded", 64, json!({"a": 0, "b": 1}))));
        assert!(!is_one(&model("other", 2, json!({"ab": 0, "b": 1}))));
    }

    #[test]
    fn a_contest_counts_as_far_as_its_judge_does() {
        let won = WinRate::of(&[1.0; 9], &[0.0; 9]);
        let judged = |reward_accuracy| rule(&Evidence { win_rate: won, reward_accuracy, ..Evidence::default() }, true);
        assert_eq!((judged(Some(0.6)), judged(Some(0.5))), (Ok(true), Ok(false)));
        assert!(judged(None).is_err());
    }
}
