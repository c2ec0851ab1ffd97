//! What a run leaves: a model in the form that its settings ask for.

use super::{Run, TrainError, settings::Shared};
use crate::model::{
    Decoder, Members, ModelDirectory, RewardModel,
    hf::{AdapterOf, Lineage, write_adapter, write_decoder_as, write_reward_adapter, write_reward_model_as},
};

/// Writes a policy that began as the one in `directory` to `run.out`.
pub fn write_policy(
    run: &Run,
    policy: &Decoder,
    directory: &ModelDirectory,
    lineage: &Lineage,
    shared: &Shared,
) -> Result<(), TrainError> {
    if shared.save_adapter {
        let (base, companions) = (directory.base_path(), directory.companions()?);
        return Ok(write_adapter(&run.out, policy, &AdapterOf { base: &base, companions: &companions, lineage })?);
    }
    Ok(write_decoder_as(&run.out, policy, &directory.companions()?, lineage, &shared.written)?)
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
    let mut companions = directory.companions()?;
    if let Some(members) = members {
        companions = companions.with_members(members)?;
    }
    if shared.save_adapter {
        let base = directory.base_path();
        return Ok(write_reward_adapter(
            &run.out,
            model,
            &AdapterOf { base: &base, companions: &companions, lineage },
        )?);
    }
    Ok(write_reward_model_as(&run.out, model, &companions, lineage, &shared.written)?)
}
