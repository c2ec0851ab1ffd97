//! The command line: one file a command.

pub mod allocator;
mod best_of_n;
mod compress;
mod cost;
pub mod device;
mod dpo;
mod evaluate;
mod generate;
mod grpo;
mod init;
mod kept_lines;
mod logprobs;
mod merge;
mod numbers;
mod online;
pub mod output;
mod ppo;
mod precision;
mod pretrain;
mod profiling;
mod progress;
mod reward;
mod rloo;
mod sampling;
mod score;
mod serve;
mod settings;
mod sft;
mod training;
mod work;
pub mod workers;

use std::{io, path::Path, process::ExitCode};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use serde_json::Value;

use crate::{
    data::{DataError, model_error_is_input},
    terminal,
};

pub use device::DeviceChoice;
pub use progress::Progress;

/// Turns collected preferences into better models
#[derive(Debug, Parser)]
#[command(name = "laurel-trainer", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    Pretrain(pretrain::Pretrain),
    Sft(sft::Sft),
    Reward(reward::Reward),
    Ppo(ppo::Ppo),
    Dpo(dpo::Dpo),
    Rloo(rloo::Rloo),
    Grpo(grpo::Grpo),
    Generate(generate::Generate),
    BestOfN(best_of_n::BestOfNCommand),
    Logprobs(logprobs::Logprobs),
    Compress(compress::Compress),
    Merge(merge::Merge),
    Score(score::Score),
    Evaluate(evaluate::Evaluate),
    Serve(serve::Serve),
    Cost(Box<cost::Cost>),
    Settings(settings::Settings),
    Work(work::Work),
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Where to compute: auto, cpu, wgpu, cuda or cuda:N
    #[arg(long, global = true, default_value_t, value_name = "DEVICE", help_heading = "Options of every command")]
    pub device: DeviceChoice,
    /// Where random numbers start: the same seed gives the same result on the same machine
    #[arg(
        long,
        global = true,
        default_value_t = 0,
        value_name = "N",
        value_parser = numbers::whole::<u64>,
        help_heading = "Options of every command"
    )]
    pub seed: u64,
    /// No bar, no log (all but warnings) and no summary; a training command whose standard error is no terminal still writes a
    /// line a step. What --json writes stays
    #[arg(long, global = true, help_heading = "Options of every command")]
    pub quiet: bool,
    /// Progress and result as JSON, an object a line, on standard output, with --quiet too. A command that writes records there
    /// (logprobs, score without --out, any with --out -) writes them alone
    #[arg(long, global = true, help_heading = "Options of every command")]
    pub json: bool,
}

impl Common {
    /// Progress of something that counts to `total`: JSON lines with `--json`, else a bar on the terminal, but not with
    /// `--quiet`.
    pub fn progress(&self, total: u64, what: &str) -> Progress {
        Progress::new(self, total, what)
    }

    /// The options of a command whose records go to `out`: where that is standard output, nothing else may stand there, and
    /// progress is told as without `--json`.
    pub fn writing_to(&self, out: &Path) -> Self {
        Self { json: self.json && !output::is_stdout(out), ..self.clone() }
    }

    /// Says what came of the command, once, on standard output: `summary` for people, `{"event":"result", …}` with
    /// `fields` for programs.
    pub fn result(&self, summary: &str, mut fields: Value) -> anyhow::Result<()> {
        if self.json {
            let mut object = serde_json::json!({"event": "result"});
            if let (Some(object), Some(fields)) = (object.as_object_mut(), fields.as_object_mut()) {
                object.append(fields);
            }
            output::print(object)
        } else if !self.quiet {
            output::print(summary)
        } else {
            Ok(())
        }
    }
}

/// Wrong usage or wrong input of the user's: exit code 2. Everything else that fails is exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongInput(pub String);

/// Runs the command line and gives the process's exit code: 0 done, 1 failed, 2 wrong usage or wrong input.
pub fn main() -> ExitCode {
    allocator::keep_freed_memory();
    // clap ends the process itself, with 2, where the usage is wrong.
    let arguments = Arguments::from_arg_matches(&command().get_matches())
        .unwrap_or_else(|error| error.format(&mut command()).exit());
    let done = match arguments.command {
        // Serving waits for requests, on threads of its own.
        Command::Serve(_) => run(arguments),
        _ => workers::among_workers(|| run(arguments)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough of it, as `head` has.
        Err(error) if reader_has_left(&error) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::say(format!("laurel-trainer: {}", explain(&error)));
            ExitCode::from(exit_code(&error))
        }
    }
}

/// The command line as clap knows it.
fn command() -> clap::Command {
    taking_negative_numbers(Arguments::command())
}

/// A negative number after an option is its value, not the name of another option: what reads it says what the option takes.
fn taking_negative_numbers(command: clap::Command) -> clap::Command {
    let takes_a_value = |arg: &clap::Arg| !arg.is_positional() && arg.get_action().takes_values();
    let command = command.mut_args(|arg| if takes_a_value(&arg) { arg.allow_negative_numbers(true) } else { arg });
    command.mut_subcommands(taking_negative_numbers)
}

/// Whether what failed is to write to a pipe that nobody reads any more.
fn reader_has_left(error: &anyhow::Error) -> bool {
    let is_closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(is_closed))
}

/// An error with its causes, each said once: many errors end with the words of their cause already.
fn explain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text += ": ";
            text += &cause;
        }
    }
    text
}

/// 2 where the user's input is at fault, 1 for everything else.
fn exit_code(error: &anyhow::Error) -> u8 {
    let wrong_input = error.chain().any(|cause| {
        cause.is::<WrongInput>()
            || cause.downcast_ref().is_some_and(DataError::is_input)
            || cause.downcast_ref().is_some_and(model_error_is_input)
    });
    if wrong_input { 2 } else { 1 }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let common = &arguments.common;
    let _watching = progress::watch_transfers(common);
    match arguments.command {
        Command::Init(command) => command.run(common),
        Command::Pretrain(command) => command.run(common),
        Command::Sft(command) => command.run(common),
        Command::Reward(command) => command.run(common),
        Command::Ppo(command) => command.run(common),
        Command::Dpo(command) => command.run(common),
        Command::Rloo(command) => command.run(common),
        Command::Grpo(command) => command.run(common),
        Command::Generate(command) => command.run(common),
        Command::BestOfN(command) => command.run(common),
        Command::Logprobs(command) => command.run(common),
        Command::Compress(command) => command.run(common),
        Command::Merge(command) => command.run(common),
        Command::Score(command) => command.run(common),
        Command::Evaluate(command) => command.run(common),
        Command::Serve(command) => command.run(common),
        Command::Cost(command) => command.run(common),
        Command::Settings(command) => command.run(),
        Command::Work(command) => command.run(common),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;
    use crate::model::ModelError;

    #[test]
    fn a_cause_is_said_once_and_decides_the_exit_code() {
        let missing = || ModelError::file("m")(io::ErrorKind::NotFound.into());
        let error = Err::<(), _>(missing()).context("the policy").unwrap_err();
        assert_eq!(explain(&error), "the policy: m: entity not found");
        assert_eq!(exit_code(&error), 2);
        let full = anyhow::Error::from(ModelError::file("m")(io::ErrorKind::StorageFull.into()));
        assert_eq!(exit_code(&full), 1);
        assert_eq!(exit_code(&WrongInput("x".into()).into()), 2);
        let written = |kind: io::ErrorKind| Err::<(), _>(io::Error::from(kind)).context("standard output").unwrap_err();
        assert!(reader_has_left(&written(io::ErrorKind::BrokenPipe)));
        assert!(!reader_has_left(&written(io::ErrorKind::StorageFull)));
    }

    #[test]
    fn the_command_line_holds_together() {
        command().debug_assert();
    }

    #[test]
    fn a_setting_is_an_option_by_the_name_that_files_have_for_it_too() {
        for name in ["--batch-size", "--batch_size"] {
            let words = ["laurel-trainer", "sft", "--model", "m", "--data", "d", "--out", "o", name, "3"];
            let matches = command().try_get_matches_from(words).unwrap();
            let (_, sft) = matches.subcommand().unwrap();
            assert_eq!(sft.get_one::<String>("batch_size").map(String::as_str), Some("3"), "{name}");
        }
    }

    #[test]
    fn a_negative_number_is_the_value_of_the_option_before_it() {
        let parsed = |arguments: &[&str]| {
            let arguments = [&["laurel-trainer"][..], arguments].concat();
            command().try_get_matches_from(arguments).map(|_| ()).map_err(|error| error.to_string())
        };
        let generate = ["generate", "--model", "m", "--prompts", "p", "--out", "o"];
        assert_eq!(parsed(&[&generate[..], &["--temperature", "-1.5"]].concat()), Ok(()));
        let refused = parsed(&[&generate[..], &["--seed", "-1"]].concat()).unwrap_err();
        assert!(refused.contains("invalid value '-1' for '--seed"), "{refused}");
        assert!(refused.contains("expected a whole number, 0 or more"), "{refused}");
        assert!(parsed(&[&generate[..], &["--temperature", "-x"]].concat()).is_err());
    }
}
