//! What a run leaves: a model in the form that its settings ask for.

use std::{cmp::Reverse, collections::BTreeMap};

use serde_json::{Value, json};

use super::{Run, TrainError, settings::Shared};
use crate::{
    data::ModelTokenizer,
    model::{
        Decoder, Members, ModelDirectory, RewardModel,
        hf::{AdapterOf, Lineage, write_adapter, write_decoder_as, write_reward_adapter, write_reward_model_as},
        lora::TARGETS,
    },
};

/// Writes a policy that began as the one in `directory` to `run.out`, and with it what its answers end with by `tokenizer`.
pub fn write_policy(
    run: &Run,
    policy: &Decoder,
    directory: &ModelDirectory,
    tokenizer: &ModelTokenizer,
    lineage: &Lineage,
    shared: &Shared,
) -> Result<(), TrainError> {
    let lineage = &as_learned(lineage, policy);
    let mut companions = directory.companions()?;
    if let Some(end) = tokenizer.end_of_answer() {
        companions = companions.ending_with(end, directory.config());
    }
    if shared.save_adapter {
        let (base, format) = (directory.base_path(), shared.written.format);
        let of = AdapterOf { base: &base, companions: &companions, lineage, format };
        return Ok(write_adapter(&run.out, policy, &of)?);
    }
    Ok(write_decoder_as(&run.out, policy, &companions, lineage, &shared.written)?)
}

/// As [`write_policy`], for a reward model, with the heads of the ensemble that it is the mean of.
pub fn write_reward(
    run: &Run,
    model: &RewardModel,
    members: Option<&Members>,
    directory: &ModelDirectory,
    lineage: &Lineage,
    shared: &Shared,
) -> Result<(), TrainError> {
    let lineage = &as_learned(lineage, &model.decoder);
    let mut companions = directory.companions()?;
    if let Some(members) = members {
        companions = companions.with_members(members)?;
    }
    if shared.save_adapter {
        let (base, format) = (directory.base_path(), shared.written.format);
        let of = AdapterOf { base: &base, companions: &companions, lineage, format };
        return Ok(write_reward_adapter(&run.out, model, &of)?);
    }
    Ok(write_reward_model_as(&run.out, model, &companions, lineage, &shared.written)?)
}

/// The lineage with the adapters' rank (the most frequent one), α and targets as they were learned: of an adapter that learned on
/// they are what it came with, whatever the settings say.
fn as_learned(lineage: &Lineage, decoder: &Decoder) -> Lineage {
    let mut lineage = lineage.clone();
    let carried = decoder.carried();
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    carried.iter().for_each(|adapter| *counts.entry(adapter.rank).or_default() += 1);
    let rank = counts.into_iter().max_by_key(|&(rank, count)| (count, Reverse(rank))).map(|(rank, _)| rank);
    let main = carried.iter().find(|adapter| Some(adapter.rank) == rank);
    if let (Some(main), Value::Object(settings)) = (main, &mut lineage.settings) {
        let targets: Vec<&str> =
            TARGETS.into_iter().filter(|target| carried.iter().any(|adapter| adapter.target == *target)).collect();
        settings.insert("lora_rank".into(), json!(main.rank));
        settings.insert("lora_alpha".into(), json!(main.alpha));
        settings.insert("lora_targets".into(), json!(targets));
    }
    lineage
}
