//! `settings`: the settings of a stage as a file to change, with what each is, our default and what the papers have.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::output;
use crate::train::{
    StageSettings, dpo::DpoSettings, grpo::GrpoSettings, papers, ppo::PpoSettings, pretrain::PretrainSettings,
    reward::RewardSettings, rloo::RlooSettings, settings::as_map, sft::SftSettings,
};

/// Print all settings of a stage as a commented TOML file, for --settings
///
/// As it is printed, the file changes nothing: every value in it is the default. Change what is to differ and delete the rest
/// or leave it.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    #[arg(value_enum)]
    stage: Stage,
}

/// The training commands.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Stage {
    Pretrain,
    Sft,
    Reward,
    Ppo,
    Dpo,
    Rloo,
    Grpo,
}

impl Settings {
    pub fn run(self) -> anyhow::Result<()> {
        output::print(self.stage.file().trim_end())
    }
}

impl Stage {
    fn file(self) -> String {
        match self {
            Self::Pretrain => file::<PretrainSettings>("pretrain"),
            Self::Sft => file::<SftSettings>("sft"),
            Self::Reward => file::<RewardSettings>("reward"),
            Self::Ppo => file::<PpoSettings>("ppo"),
            Self::Dpo => file::<DpoSettings>("dpo"),
            Self::Rloo => file::<RlooSettings>("rloo"),
            Self::Grpo => file::<GrpoSettings>("grpo"),
        }
    }
}

/// The file of one stage.
fn file<S: StageSettings>(stage: &str) -> String {
    let mut text = format!(
        "# Settings of `laurel-trainer {stage}`: give this file as --settings FILE. Every value here is the default; an option\n\
         # on the command line goes before the file.\n"
    );
    let defaults = as_map(&S::default());
    for (name, documentation) in S::FIELDS {
        let _ = writeln!(text, "\n# {documentation}");
        if let Some(value) = papers::value(stage, name) {
            let _ = writeln!(text, "# In the papers: {value}");
        }
        match &defaults[*name] {
            // TOML has no word for a value that is not given.
            Value::Null => drop(writeln!(text, "# {name} =")),
            // Names, numbers and lists of names read alike in JSON and TOML.
            default => drop(writeln!(text, "{name} = {default}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::settings::{from_toml, read};

    #[track_caller]
    fn reads_back<S: StageSettings + PartialEq + std::fmt::Debug>(stage: &str) {
        let text = file::<S>(stage);
        let layer = from_toml("settings.toml", &text).expect("TOML");
        let given = as_map(&S::default()).values().filter(|value| !value.is_null()).count();
        assert_eq!(layer.len(), given, "every setting with a default is named");
        assert_eq!(read::<S>(&[layer]).expect("settings"), S::default());
        for (name, documentation) in S::FIELDS {
            assert!(text.contains(&format!("# {documentation}\n")) && text.contains(&format!("{name} =")), "{name}");
        }
        for name in papers::settings_of(stage) {
            assert!(S::FIELDS.iter().any(|(field, _)| *field == name), "papers.rs: {stage} has no setting {name}");
        }
    }

    #[test]
    fn the_file_of_every_stage_reads_back_as_the_defaults() {
        reads_back::<PretrainSettings>("pretrain");
        reads_back::<SftSettings>("sft");
        reads_back::<RewardSettings>("reward");
        reads_back::<PpoSettings>("ppo");
        reads_back::<DpoSettings>("dpo");
        reads_back::<RlooSettings>("rloo");
        reads_back::<GrpoSettings>("grpo");
    }

    #[test]
    fn the_papers_values_stand_beside_the_defaults() {
        let text = Stage::Ppo.file();
        assert!(text.contains("\n# In the papers: InstructGPT: 0.02 (0.01 to 0.02 was best);"), "{text}");
        assert!(text.contains("\nkl_coefficient = 0.05\n") && text.contains("\n# learning_rate =\n"), "{text}");
        assert!(text.contains("\n# In the papers: InstructGPT: 0.95\nadam_beta2 = 0.95\n"), "{text}");
        let text_of_dpo = Stage::Dpo.file();
        assert!(text_of_dpo.contains("\n# In the papers: DPO: 150 steps\nwarmup_ratio = 0.03\n"), "{text_of_dpo}");
        assert!(text.contains("\nlora_targets = [\"") && text.contains("\nlora = \"auto\"\n"), "{text}");
    }
}
