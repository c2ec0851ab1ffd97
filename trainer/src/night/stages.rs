//! The training stages as a night calls them: settings from the job, inputs from the folder, checkpoints taken up again.

use std::{fmt::Display, path::PathBuf};

use burn::tensor::Device;
use serde_json::{Map, Value};

use super::{
    models::LocalModel,
    records::Records,
    settings::JobSettings,
    work::{StageReporter, Work},
};
use crate::{
    data::ModelTokenizer,
    model::{ModelDirectory, lora::LoraSettings},
    train::{Earlier, Run, SettingsError, StageSettings, judge::BestBy, ppo, reward, settings, sft},
};

/// Learns the demonstrations from `base`.
pub fn sft(work: &Work, base: &LocalModel, records: &Records, out: PathBuf) -> anyhow::Result<()> {
    let settings: sft::SftSettings = read("sft", &work.settings.sft)?;
    let inputs = sft::SftInputs { model: base.path.clone(), data: records.labels_file("demonstrations"), reward: None };
    sft::run(&settings, &inputs, &run(work, out), &mut reporter(work))?;
    Ok(())
}

/// Learns the rankings from `policy`.
pub fn reward(work: &Work, policy: &LocalModel, records: &Records, out: PathBuf) -> anyhow::Result<()> {
    let settings: reward::RewardSettings = read("reward", &work.settings.reward)?;
    // Their mean score becomes zero: rewards of different nights are then about the same.
    let demonstrations = records.demonstrations.train.first().map(|_| records.labels_file("demonstrations"));
    let inputs =
        reward::RewardInputs { model: policy.path.clone(), data: records.labels_file("rankings"), demonstrations };
    reward::run(&settings, &inputs, &run(work, out), &mut reporter(work))?;
    Ok(())
}

/// Improves `policy` against `judge`.
pub fn ppo(
    work: &Work,
    policy: &LocalModel,
    judge: &LocalModel,
    records: &Records,
    out: PathBuf,
) -> anyhow::Result<()> {
    let settings: ppo::PpoSettings = read("ppo", &work.settings.ppo)?;
    let inputs = ppo::PpoInputs {
        policy: policy.path.clone(),
        reward: judge.path.clone(),
        prompts: records.prompts_file(),
        pretrain: vec![],
    };
    ppo::run(&settings, &inputs, &run(work, out), &mut reporter(work))?;
    Ok(())
}

/// Refuses settings that a later stage would only meet hours from now.
pub fn check(work: &Work) -> anyhow::Result<()> {
    let settings = &work.settings;
    for (stage, section) in [("sft", &settings.sft), ("reward", &settings.reward), ("ppo", &settings.ppo)] {
        if section.get("save_adapter").is_some_and(|value| *value == Value::Bool(true)) {
            anyhow::bail!(
                "the project's training settings: {stage}: save_adapter makes models that are not whole; leave it off"
            );
        }
    }
    let sft = read::<sft::SftSettings>("sft", &settings.sft)?;
    if sft.best_by == BestBy::Reward {
        let text = "reward needs a reward model, which a night makes after SFT; leave it at nll";
        return Err(wrong("sft", SettingsError::value("best_by", text)));
    }
    let sft = sft.precision;
    let reward = read::<reward::RewardSettings>("reward", &settings.reward)?.precision;
    let ppo = read::<ppo::PpoSettings>("ppo", &settings.ppo)?.precision;
    for (stage, precision) in [("sft", sft), ("reward", reward), ("ppo", ppo)] {
        settings::ensure_supported(precision, &work.device).map_err(|error| wrong(stage, error))?;
    }
    let idle = settings.idle();
    if !idle.is_empty() {
        work.warn(format!(
            "A night makes nothing of {}: it has no reward model before SFT, no pretraining text, and publishes the \
             last policy alone.",
            idle.join(", ")
        ));
    }
    Ok(())
}

/// Refuses layers to freeze and adapters that do not fit the base, from which all models of the night come.
pub fn check_layers(work: &Work, base: &LocalModel) -> anyhow::Result<()> {
    let directory = ModelDirectory::open(&base.path)?;
    let (layers, parameters) = (directory.config().layers, directory.config().parameters());
    let settings = &work.settings;
    let sft = read::<sft::SftSettings>("sft", &settings.sft)?.resolved(parameters).shared();
    let reward = read::<reward::RewardSettings>("reward", &settings.reward)?.resolved(parameters).shared();
    let ppo = read::<ppo::PpoSettings>("ppo", &settings.ppo)?.resolved(parameters).shared();
    for (stage, shared) in [("sft", sft), ("reward", reward), ("ppo", ppo)] {
        let frozen = shared.frozen.layers;
        if frozen > layers || (frozen == layers && shared.lora.is_some()) {
            let text = format!("leaves nothing to learn: the model has {layers} layers");
            return Err(wrong(stage, SettingsError::value("freeze_layers", text)));
        }
        // The defaults fit every model.
        if let Some(lora) = shared.lora.filter(|lora| *lora != LoraSettings::default()) {
            directory.load_decoder(&work.device)?.with_lora(&lora, 0).map_err(|error| wrong(stage, error))?;
        }
    }
    Ok(())
}

/// The tokens that a prompt may have before a sampled answer. Refuses answers that take all that the model reads.
pub fn room(work: &Work, tokenizer: &ModelTokenizer) -> anyhow::Result<usize> {
    tokenizer.room_beside(work.settings.sampling.max_new_tokens).map_err(|error| wrong("sampling", error))
}

/// Refuses answers for the evaluation that the night's models, or the policy that answers now, have no room for: it would be
/// met hours from now.
pub fn check_room(work: &Work, base: &LocalModel) -> anyhow::Result<()> {
    room(work, &tokenizer(base)?)?;
    if let Some(answering) = &work.job.policy {
        room(work, &tokenizer(&work.fetch(answering)?)?)?;
    }
    Ok(())
}

/// Refuses answers to learn from that the base, from which the night's policy comes, has no room for.
pub fn check_room_of_ppo(work: &Work, base: &LocalModel) -> anyhow::Result<()> {
    let settings: ppo::PpoSettings = read("ppo", &work.settings.ppo)?;
    let tokenizer = tokenizer(base)?;
    let tokenizer = match settings.max_length {
        0 => tokenizer,
        tokens => tokenizer.with_context_length(tokens),
    };
    tokenizer.room_beside(settings.max_new_tokens).map_err(|error| wrong("ppo", error))?;
    Ok(())
}

/// The tokenizer of a model that lies here.
pub fn tokenizer(model: &LocalModel) -> anyhow::Result<ModelTokenizer> {
    Ok(ModelTokenizer::open(&ModelDirectory::open(&model.path)?)?)
}

/// Refuses a precision for asking models that the device cannot compute in.
pub fn check_precision(settings: &JobSettings, device: &Device) -> anyhow::Result<()> {
    settings::ensure_supported(settings.evaluate.precision, device).map_err(|error| wrong("evaluate", error))
}

fn wrong(section: &str, error: impl Display) -> anyhow::Error {
    anyhow::anyhow!("the project's training settings: {section}: {error}")
}

fn read<S: StageSettings>(stage: &str, section: &Map<String, Value>) -> anyhow::Result<S> {
    settings::read(std::slice::from_ref(section)).map_err(|error| wrong(stage, error))
}

fn run(work: &Work, out: PathBuf) -> Run {
    Run { out, device: work.device.clone(), seed: work.settings.seed, earlier: Earlier::Resume }
}

fn reporter<'a>(work: &'a Work) -> StageReporter<'a> {
    StageReporter { reports: &work.reports, interrupts: work.interrupts }
}
