//! What a run leaves: a model in the form that its settings ask for.

use super::{Run, TrainError, settings::Shared};
use crate::model::{
    Decoder, Members, ModelDirectory, RewardModel,
    hf::{Lineage, write_decoder_as, write_reward_model_as},
};

/// Writes a policy that began as the one in `directory` to `run.out`.
pub fn write_policy(
    run: &Run,
    policy: &Decoder,
    directory: &ModelDirectory,
    lineage: &Lineage,
    shared: &Shared,
) -> Result<(), TrainError> {
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
    Ok(write_reward_model_as(&run.out, model, &companions, lineage, &shared.written)?)
}
