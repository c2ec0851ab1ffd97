//! What a run is going to write, for which the disk must have room.

use burn::module::Module;

use super::{
    super::{
        TrainError,
        checkpoint::{
            Cadence, Checkpoints,
            room::{MOMENTS, NUMBER, Writes, bytes_of_model},
        },
        stored::count_learned,
    },
    Method, Online, kept,
};

impl Online<'_> {
    /// Refuses a run from step `step` on whose checkpoints and policies the disk has no room for.
    pub(super) fn ensure_room<M: Method>(
        &self,
        method: &M,
        learners: &M::Learners,
        checkpoints: &Checkpoints,
        step: usize,
    ) -> Result<(), TrainError> {
        let (shared, steps) = (&self.settings.shared, self.settings.steps);
        let policy = method.policy(learners);
        let of_policy = count_learned(policy);
        let averages = if shared.ema_decay > 0.0 { of_policy } else { 0 };
        let cadence = Cadence::new(shared.save_steps, shared.save_minutes);
        checkpoints.ensure_room(&Writes {
            checkpoint: NUMBER * (method.learned(learners) * (1 + MOMENTS) + averages),
            // That of step 0 is smaller, without moments.
            checkpoints: cadence.due_between(step, steps),
            // The best is one of the checkpoints.
            best: 0,
            model: bytes_of_model(shared, policy.num_params() as u64, of_policy),
            models: kept::to_come(&self.run.out, self.settings.keep_policy_steps, steps),
        })
    }
}
