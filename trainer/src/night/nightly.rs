//! A night: SFT on the demonstrations, a reward model on the rankings, PPO against it, an evaluation on what was held out
//! (Ouyang et al. 2022, section 3.1).
//!
//! Every night begins at the base model and learns from all standing records, so that a night's models depend on the
//! records alone and not on how many nights there were. What carries a round over to the next are the records: people rank
//! the answers of the newest policy, the reward model learns from those rankings with all earlier ones, and the policy that
//! answers now is what the new one has to beat.

use anyhow::Context;
use laurel_records::{ModelRecord, Stage};
use serde_json::{Value, json};

use super::{evaluation, models::LocalModel, records::Records, stages, uncertainty, work::Work, worker::Found};
use crate::{
    model::{ModelDirectory, hf::sha256_of_file},
    terminal::counted,
};

/// Fewest demonstrations, and fewest rankings, from which a stage learns.
const FEWEST: usize = 4;

/// The models of a night.
#[derive(Debug)]
pub struct Models {
    pub base: LocalModel,
    pub sft: Option<LocalModel>,
    pub reward: Option<LocalModel>,
    pub ppo: Option<LocalModel>,
    /// What answers now: what the new policy is measured against.
    pub answering: Option<ModelRecord>,
}

impl Models {
    /// Where reward model and PPO start, and what PPO stays near.
    pub fn start(&self) -> &LocalModel {
        self.sft.as_ref().unwrap_or(&self.base)
    }

    /// The newest policy that was made; `None` when none was.
    pub fn policy(&self) -> Option<&LocalModel> {
        self.ppo.as_ref().or(self.sft.as_ref())
    }
}

/// Runs what is left of the night.
pub fn run(work: &Work) -> anyhow::Result<Found> {
    stages::check(work)?;
    let base = work.job.base.as_ref().context("the project has no base model; bring one first")?;
    let records = Records::fetch(work.client, work.job, work.folder.join("records"))?;
    let mut found = Found::default();
    tell_records(work, &records, &mut found);
    if nothing_is_new(work, &records) {
        work.log(
            "Nothing is new since the last run: the same records, settings and base model would make the same models.",
        );
        found.summary.insert("nothing_new".to_owned(), Value::Bool(true));
        return Ok(found);
    }
    let mut models =
        Models { base: work.fetch(base)?, sft: None, reward: None, ppo: None, answering: work.job.policy.clone() };
    stages::check_layers(work, &models.base)?;
    stages::check_room(work, &models.base)?;
    if records.rankings.train.len() >= FEWEST && !records.prompts.train.is_empty() {
        stages::check_room_of_ppo(work, &models.base)?;
    }
    learn(work, &records, &mut models)?;
    if has_learned_others(&records, &models)? {
        // These models are not what the records of now make: the next night is to make its own, also when nothing is new by then.
        found.summary.remove("inputs");
    }
    if let Some(reward) = &models.reward {
        let told = uncertainty::tell_of_waiting(work, reward)?;
        found.summary.insert("prompts_scored".to_owned(), json!(told));
    }
    evaluation::run(work, &records, &models, &mut found)?;
    Ok(found)
}

fn learn(work: &Work, records: &Records, models: &mut Models) -> anyhow::Result<()> {
    let demonstrations = records.demonstrations.train.len();
    if demonstrations >= FEWEST {
        work.log(format!("SFT from {} on {}.", models.base.record.name, counted(demonstrations, "demonstration")));
        let base = &models.base;
        models.sft = Some(work.stage(Stage::Sft, &base.record, |out| stages::sft(work, base, records, out))?);
    } else {
        let demonstrations = counted(demonstrations, "demonstration");
        work.warn(format!("No SFT: {demonstrations} to learn from, at least {FEWEST} are needed."));
    }
    let rankings = records.rankings.train.len();
    if rankings < FEWEST {
        let rankings = counted(rankings, "ranking");
        work.warn(format!("No reward model and no PPO: {rankings} to learn from, at least {FEWEST} are needed."));
        return Ok(());
    }
    let start = models.start().clone();
    work.log(format!("A reward model from {} on {}.", start.record.name, counted(rankings, "ranking")));
    let judge = work.stage(Stage::Reward, &start.record, |out| stages::reward(work, &start, records, out))?;
    models.reward = Some(judge.clone());
    let prompts = records.prompts.train.len();
    if prompts == 0 {
        work.warn("No PPO: the training split has no prompts.");
        return Ok(());
    }
    let asked = counted(prompts, "prompt");
    work.log(format!("PPO from {} against {} on {asked}.", start.record.name, judge.record.name));
    models.ppo = Some(work.stage(Stage::Ppo, &start.record, |out| stages::ppo(work, &start, &judge, records, out))?);
    Ok(())
}

/// Whether the last run that ended well had the same inputs, and this one has not begun yet.
fn nothing_is_new(work: &Work, records: &Records) -> bool {
    let before = work.job.previous.as_ref().and_then(|run| run.summary.get("inputs"));
    work.job.completed.is_empty() && before.and_then(Value::as_str) == Some(records.digest.as_str())
}

/// Whether a model has learned other records than lie here: an earlier attempt made it on another machine, and people have gone on
/// since.
fn has_learned_others(records: &Records, models: &Models) -> anyhow::Result<bool> {
    let (demonstrations, rankings) = (records.labels_file("demonstrations"), records.labels_file("rankings"));
    let learned = [(&models.sft, demonstrations), (&models.reward, rankings), (&models.ppo, records.prompts_file())];
    for (model, file) in learned {
        let Some(model) = model else { continue };
        let lineage = ModelDirectory::open(&model.path)?.lineage()?;
        if let Some(data) = lineage.and_then(|lineage| lineage.data)
            && data != sha256_of_file(&file)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Says what there is to learn from and how much of it is new.
fn tell_records(work: &Work, records: &Records, found: &mut Found) {
    let (demonstrations, rankings) = (&records.demonstrations, &records.rankings);
    let since = work.job.previous.as_ref().map(|run| run.started_at);
    let (new_demonstrations, new_rankings) =
        since.map_or((demonstrations.train.len(), rankings.train.len()), |since| records.newer_than(since));
    work.log(format!(
        "Records: {} ({new_demonstrations} new), {} ({new_rankings} new), {}; held out: {}, {} and {}.",
        counted(demonstrations.train.len(), "demonstration"),
        counted(rankings.train.len(), "ranking"),
        counted(records.prompts.train.len(), "prompt"),
        demonstrations.held_out.len(),
        rankings.held_out.len(),
        records.prompts.held_out.len(),
    ));
    let numbers = [
        ("demonstrations", demonstrations.train.len()),
        ("new_demonstrations", new_demonstrations),
        ("rankings", rankings.train.len()),
        ("new_rankings", new_rankings),
    ];
    found.summary.extend(numbers.map(|(name, number)| (name.to_owned(), json!(number))));
    found.summary.insert("inputs".to_owned(), json!(records.digest));
}
