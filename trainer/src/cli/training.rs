//! What every training command takes: where the model goes, resuming, and the settings of its stage as options.

use std::{
    fs,
    io::IsTerminal,
    marker::PhantomData,
    path::{Path, PathBuf},
};

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, parser::ValueSource};
use laurel_records::LogLevel;
use serde_json::{Map, Value, json};

use super::{Common, WrongInput, output, profiling::ProfileArgs};
use crate::train::{
    Checkpoints, Earlier, Reporter, Run, StageOutcome, StageSettings, TrainError,
    console::ConsoleReporter,
    settings::{as_map, from_text, from_toml, read},
    tensorboard::EventFile,
};

/// Where the model goes, and what to do with an earlier run.
#[derive(Debug, Clone, Args)]
pub struct TrainingArgs {
    /// Where the new model appears, whole; checkpoints lie in OUT.checkpoints until then
    #[arg(long, value_name = "MODEL")]
    pub out: PathBuf,
    /// Go on from the newest checkpoint of an earlier run to the same OUT; where there is none, say so and begin
    #[arg(long, conflicts_with = "overwrite")]
    pub resume: bool,
    /// Remove the checkpoints of an earlier run to the same OUT, once this one begins to learn
    #[arg(long)]
    pub overwrite: bool,
    /// Curves and samples for TensorBoard: an event file in DIRECTORY/NAME, where NAME is the last part of OUT
    #[arg(long, value_name = "DIRECTORY")]
    pub tensorboard: Option<PathBuf>,
    #[command(flatten)]
    pub profile: ProfileArgs,
}

impl TrainingArgs {
    /// Runs a stage with a reporter for this terminal and says what came of it.
    pub fn run(
        &self,
        common: &Common,
        stage: impl FnOnce(&Run, &mut dyn Reporter) -> Result<StageOutcome, TrainError>,
    ) -> anyhow::Result<()> {
        let earlier = match (self.resume, self.overwrite) {
            (true, _) => Earlier::Resume,
            (_, true) => Earlier::Overwrite,
            _ => Earlier::Refuse,
        };
        output::prepare_model(&self.out)?;
        let run = Run { out: self.out.clone(), device: common.device.open()?, seed: common.seed, earlier };
        let mut console = ConsoleReporter::new(common.quiet, common.json);
        if self.resume && !self.out.exists() && !has_checkpoint(&self.out) {
            let place = Checkpoints::place(&self.out);
            let text = format!("--resume: {} holds no checkpoint, so the run begins at its beginning", place.display());
            console.log(LogLevel::Warning, &text);
        }
        self.profile.start(&run.device);
        let outcome = match &self.tensorboard {
            None => stage(&run, &mut console),
            Some(folder) => {
                let folder = folder.join(name_of(&self.out));
                let mut board = EventFile::create(&folder, &mut console)
                    .map_err(|error| WrongInput(format!("--tensorboard {}: {error}", folder.display())))?;
                stage(&run, &mut board)
            }
        };
        console.finish();
        let outcome = outcome.map_err(blame)?;
        self.profile.tell(common.json);
        let mut summary = format!("{}", outcome.out.display());
        if std::io::stdout().is_terminal() {
            for (name, value) in &outcome.metrics {
                summary.push_str(&format!("\n  {name} {}", figure(*value)));
            }
        }
        common.result(&summary, json!({ "out": outcome.out.to_string_lossy(), "metrics": outcome.metrics }))
    }
}

/// A figure for people: with its power of ten where four digits after the point would say little or nothing of it, as of a
/// learning rate.
fn figure(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 { format!("{value:.2e}") } else { format!("{value:.4}") }
}

/// Whether an earlier run to the same place left something to go on from.
fn has_checkpoint(out: &Path) -> bool {
    // One that was being written when the run ended is not whole, and called otherwise.
    let is_step = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("step-") && name.ends_with(".safetensors")
    };
    fs::read_dir(Checkpoints::place(out)).is_ok_and(|entries| entries.flatten().any(is_step))
}

/// Whether an error is the user's or ours.
pub(super) fn blame(error: TrainError) -> anyhow::Error {
    match error {
        error if error.is_wrong_input() => anyhow::Error::new(WrongInput(error.to_string())),
        error => anyhow::Error::new(error),
    }
}

/// The last part of where a model goes: what the run is called.
fn name_of(out: &Path) -> &Path {
    out.file_name().map_or(Path::new("run"), Path::new)
}

/// The settings of a stage: `--settings FILE.toml`, and every field as an option of its own.
#[derive(Debug, Clone)]
pub struct SettingArgs<S> {
    file: Option<PathBuf>,
    given: Map<String, Value>,
    stage: PhantomData<S>,
}

impl<S: StageSettings> SettingArgs<S> {
    /// The settings in force: defaults, then the file, then the options.
    pub fn read(&self) -> Result<S, WrongInput> {
        let mut layers = Vec::new();
        if let Some(file) = &self.file {
            let name = file.display().to_string();
            let bytes = fs::read(file).map_err(|error| WrongInput(format!("{name}: {error}")))?;
            let text = String::from_utf8(bytes).map_err(|_| WrongInput(format!("{name}: is not UTF-8")))?;
            layers.push(from_toml(&name, &text).map_err(|error| WrongInput(error.to_string()))?);
        }
        layers.push(self.given.clone());
        read(&layers).map_err(|error| WrongInput(error.to_string()))
    }
}

impl<S: StageSettings> Args for SettingArgs<S> {
    fn augment_args(command: Command) -> Command {
        let defaults = as_map(&S::default());
        let file = Arg::new("settings")
            .long("settings")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help_heading("Settings")
            .help("Settings from a TOML file; options on the command line go before it");
        S::FIELDS.iter().fold(command.arg(file), |command, (name, documentation)| {
            let default = &defaults[*name];
            // Options live as long as the program, and clap wants their names to.
            let long: &'static str = Box::leak(name.replace('_', "-").into_boxed_str());
            let mut arg = Arg::new(*name).long(long).value_name(value_name(default)).help_heading("Settings").help(
                match shown(default) {
                    Some(default) => format!("{documentation} [default: {default}]"),
                    None => (*documentation).to_owned(),
                },
            );
            // Its name as files of settings and messages have it is understood too.
            if long != *name {
                arg = arg.alias(*name);
            }
            if default.is_boolean() {
                arg = arg.num_args(0..=1).default_missing_value("true");
            }
            command.arg(arg)
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<S: StageSettings> FromArgMatches for SettingArgs<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let defaults = as_map(&S::default());
        let mut given = Map::new();
        for (name, _) in S::FIELDS {
            if matches.value_source(name) == Some(ValueSource::CommandLine)
                && let Some(text) = matches.get_one::<String>(name)
            {
                given.insert((*name).into(), from_text(&defaults[*name], text));
            }
        }
        Ok(Self { file: matches.get_one::<PathBuf>("settings").cloned(), given, stage: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn value_name(default: &Value) -> &'static str {
    match default {
        Value::Bool(_) => "true|false",
        Value::String(_) => "NAME",
        Value::Array(_) => "NAME,…",
        _ => "NUMBER",
    }
}

fn shown(default: &Value) -> Option<String> {
    match default {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => Some(items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_figure_is_told_as_one_and_not_as_zero() {
        let told = [0.0, 1.0 / 3.0, -12.0, 5e-6 / 6.0, -2e-5].map(figure);
        assert_eq!(told, ["0.0000", "0.3333", "-12.0000", "8.33e-7", "-2.00e-5"]);
    }
}
