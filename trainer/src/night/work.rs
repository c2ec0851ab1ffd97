//! One job at work: what every part of it needs, and how it tells what it does.

use std::path::PathBuf;

use anyhow::bail;
use burn::tensor::Device;
use laurel_records::{ClaimedJob, LogLevel, ModelRecord, Stage};

use super::{
    client::Client,
    interrupts::Interrupts,
    models::{Announcement, LocalModel, ModelStore},
    reports::Reports,
    settings::JobSettings,
};
use crate::{
    model::{Decoder, ModelDirectory, ModelError, RewardModel},
    train::{Reporter, Sample},
};

/// A job that this worker holds.
pub struct Work<'a> {
    pub job: &'a ClaimedJob,
    pub settings: JobSettings,
    pub client: &'a Client,
    pub models: &'a ModelStore,
    pub reports: Reports,
    pub interrupts: &'a Interrupts,
    /// Without gradients.
    pub device: Device,
    /// The job's own folder: records, checkpoints, models that are not published yet.
    pub folder: PathBuf,
}

impl Work<'_> {
    /// One line of the log.
    pub fn log(&self, text: impl AsRef<str>) {
        self.reports.log(LogLevel::Info, text.as_ref());
    }

    /// A line of the log that somebody should read.
    pub fn warn(&self, text: impl AsRef<str>) {
        self.reports.log(LogLevel::Warning, text.as_ref());
    }

    /// Fails when there is a reason to stop.
    pub fn check(&self) -> anyhow::Result<()> {
        match self.interrupts.raised() {
            Some(reason) => bail!("stopped: {reason:?}"),
            None => Ok(()),
        }
    }

    /// A model that the job came with, on this machine.
    pub fn fetch(&self, record: &ModelRecord) -> anyhow::Result<LocalModel> {
        self.check()?;
        self.models.fetch(record)
    }

    /// A language model that is only asked, in the precision that the job's settings want for that.
    pub fn decoder(&self, directory: &ModelDirectory) -> Result<Decoder, ModelError> {
        Ok(directory.load_decoder(&self.device)?.with_precision(self.settings.evaluate.precision))
    }

    /// A reward model that is only asked, likewise.
    pub fn reward_model(&self, directory: &ModelDirectory) -> Result<RewardModel, ModelError> {
        Ok(directory.load_reward_model(&self.device)?.with_precision(self.settings.evaluate.precision))
    }

    /// The model of a stage: the one that an earlier attempt published; else the one that `make` writes to the directory
    /// it is given, published now. Nothing is made twice.
    pub fn stage(
        &self,
        stage: Stage,
        parent: &ModelRecord,
        make: impl FnOnce(PathBuf) -> anyhow::Result<()>,
    ) -> anyhow::Result<LocalModel> {
        self.check()?;
        if let Some(record) = self.job.completed.iter().find(|record| record.stage == stage) {
            self.log(format!("{} is there from an earlier attempt.", record.name));
            return self.models.fetch(record);
        }
        // Named by the parent too: when it was made anew elsewhere, what was made from the old one is of no use.
        let parent_digest = parent.digest.get(..12).unwrap_or(&parent.digest);
        let directory = self.folder.join(format!("{}-from-{parent_digest}", word(stage)));
        // A model directory appears whole: one that is there was finished and only not published.
        if !directory.exists() {
            make(directory.clone())?;
        }
        self.check()?;
        let announcement = Announcement { job: self.job.id, lease: self.job.lease, stage, parent: Some(parent.id) };
        let model = self.models.publish(&directory, &announcement)?;
        self.log(format!("Published {}.", model.record.name));
        Ok(model)
    }
}

/// The stage as files and people call it.
pub fn word(stage: Stage) -> &'static str {
    match stage {
        Stage::Base => "base",
        Stage::Sft => "sft",
        Stage::Reward => "reward",
        Stage::Ppo => "ppo",
        Stage::Dpo => "dpo",
        Stage::Rloo => "rloo",
        Stage::Grpo => "grpo",
        Stage::Evaluate => "evaluate",
        Stage::Sample => "sample",
    }
}

/// Brings what a stage reports to the job's reports.
pub struct StageReporter<'a> {
    pub reports: &'a Reports,
    pub interrupts: &'a Interrupts,
}

impl Reporter for StageReporter<'_> {
    fn metric(&mut self, stage: Stage, step: u64, name: &str, value: f64) {
        self.reports.metric(stage, step, name, value);
    }

    fn log(&mut self, level: LogLevel, text: &str) {
        self.reports.log(level, text);
    }

    fn progress(&mut self, stage: Stage, step: u64, total: u64) {
        self.reports.progress(stage, step, total);
    }

    fn samples(&mut self, stage: Stage, step: u64, samples: &[Sample]) {
        self.reports.samples(stage, step, samples);
    }

    fn stop_requested(&self) -> bool {
        self.interrupts.raised().is_some()
    }
}
