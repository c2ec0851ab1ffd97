//! The command line: one file a command.

pub mod backup;
pub mod demo;
pub mod export;
pub mod gold;
pub mod import;
pub mod model;
pub mod project;
pub mod restore;
pub mod serve;
pub mod simulate;
pub mod token;
pub mod user;

use std::{
    ffi::OsString,
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind, parser::ValueSource};

use crate::{
    config::{Config, Network, Storage},
    db::{self, Database},
};

/// Collects human preferences and turns them into better models
#[derive(Debug, Parser)]
#[command(name = "laurel", version, args_conflicts_with_subcommands = false)]
struct Arguments {
    #[command(flatten)]
    storage: Storage,
    #[command(flatten)]
    network: Network,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the pages and the API; the default
    Serve(Network),
    /// Serve a sample project: people, prompts, answers and labels, so that every page has something to show
    Demo(Network),
    /// Make accounts and links for new passwords
    #[command(subcommand)]
    User(user::Command),
    /// Make API tokens, for workers and scripts
    #[command(subcommand)]
    Token(token::Command),
    /// Make projects
    #[command(subcommand)]
    Project(project::Command),
    /// Bring pretrained models, list the registry, promote, remove the files of models that nothing needs
    #[command(subcommand, visible_alias = "models")]
    Model(model::Command),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Import(import::Import),
    Export(export::Export),
    Gold(gold::Gold),
    Simulate(simulate::Simulate),
}

/// Wrong input of the user's: exit code 2. Everything else that fails is exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongInput(pub String);

/// Runs the command line and gives the process's exit code: 0 done, 1 failed, 2 wrong usage or wrong input.
pub fn main() -> ExitCode {
    // clap ends the process itself, with 2, where the usage is wrong.
    let arguments = read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let filter = tracing_subscriber::EnvFilter::try_from_env("LAUREL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,laurel=info,sqlx::query=error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::from(error)),
    };
    match runtime.block_on(run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// Reads the command line. `serve` and `demo` have the flags of the network themselves: what stands before them is the server's
/// without a command, and would be passed over.
fn read(words: impl IntoIterator<Item = OsString>) -> Result<Arguments, clap::Error> {
    let mut usage = Arguments::command();
    let matches = usage.try_get_matches_from_mut(words)?;
    if matches.subcommand_name().is_some() {
        for (id, flag) in [("listen", "--listen"), ("public_url", "--public-url"), ("behind_proxy", "--behind-proxy")] {
            if matches.value_source(id) == Some(ValueSource::CommandLine) {
                let why = format!("{flag} is for serve and demo, and stands after the command");
                return Err(usage.error(ErrorKind::ArgumentConflict, why));
            }
        }
    }
    Arguments::from_arg_matches(&matches)
}

fn failed(error: &anyhow::Error) -> ExitCode {
    // Where nobody reads it any more, the exit code still says it.
    let _ = writeln!(io::stderr(), "laurel: {error:#}");
    if error.downcast_ref::<WrongInput>().is_some() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let storage = arguments.storage;
    match arguments.command {
        None => serve::run(Config::new(storage, arguments.network)).await,
        Some(Command::Serve(network)) => serve::run(Config::new(storage, network)).await,
        Some(Command::Demo(network)) => demo::run(Config::new(storage, network)).await,
        Some(Command::User(command)) => user::run(storage, command).await,
        Some(Command::Token(command)) => token::run(storage, command).await,
        Some(Command::Project(command)) => project::run(storage, command).await,
        Some(Command::Model(command)) => model::run(storage, command).await,
        Some(Command::Backup(command)) => command.run(storage).await,
        Some(Command::Restore(command)) => command.run(storage).await,
        Some(Command::Import(command)) => command.run(storage).await,
        Some(Command::Export(command)) => command.run(storage).await,
        Some(Command::Gold(command)) => command.run().or_else(unless_reader_has_left),
        Some(Command::Simulate(command)) => command.run().await,
    }
}

/// Reads the size of simulated annotators' errors: a standard deviation.
fn deviation(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    if number >= 0.0 && number.is_finite() { Ok(number) } else { Err("a standard deviation is 0 or more".to_owned()) }
}

/// Prints a line of a command's result (`println!` would end the program, the database still open, where that can't be written).
pub fn print(line: impl Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{line}").and_then(|()| out.flush());
    written.context("standard output can't be written").or_else(unless_reader_has_left)
}

/// Whoever read the output, head say, has seen enough of it: that is no failure. Other errors stay.
fn unless_reader_has_left(error: anyhow::Error) -> anyhow::Result<()> {
    let is_closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    match error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(is_closed)) {
        true => Ok(()),
        false => Err(error),
    }
}

/// Opens the database for one command, does it, and closes the database whatever came of it.
pub async fn with_database<T>(
    storage: Storage,
    command: impl AsyncFnOnce(&Database, &Config) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let config = Config::for_command(storage);
    let database = db::open(&config).await?;
    let result = command(&database, &config).await;
    database.close().await?;
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_server_listens_is_said_after_its_command_or_refused() {
        let said = |line: &str| {
            let words = line.split(' ').map(OsString::from);
            read(words).map(|_| ()).map_err(|error| error.to_string())
        };
        for right in ["--listen 127.0.0.1:0", "serve --listen 127.0.0.1:0", "--data-dir here serve --behind-proxy"] {
            assert_eq!(said(&format!("laurel {right}")), Ok(()), "{right}");
        }
        for wrong in ["--listen 127.0.0.1:0 serve", "--public-url http://here demo", "--behind-proxy backup file"] {
            let told = said(&format!("laurel {wrong}")).expect_err(wrong);
            assert!(told.contains("stands after the command"), "{told}");
        }
    }

    #[test]
    fn a_reader_that_has_left_is_no_failure_and_a_full_disk_is_one() {
        let written = |kind: io::ErrorKind| Err::<(), _>(io::Error::from(kind)).context("standard output");
        assert!(written(io::ErrorKind::BrokenPipe).or_else(unless_reader_has_left).is_ok());
        assert!(written(io::ErrorKind::StorageFull).or_else(unless_reader_has_left).is_err());
    }

    #[test]
    fn errors_of_simulated_annotators_have_a_size_from_zero_on() {
        for command in [&["gold", "rank", "answers.jsonl"][..], &["simulate", "--people", "people"]] {
            let taken = |noise: &str| {
                let option = format!("--noise={noise}");
                let arguments = [&["laurel"][..], command, &[option.as_str()]].concat();
                Arguments::try_parse_from(arguments).is_ok()
            };
            assert!(["0", "0.5", "2"].into_iter().all(taken));
            assert!(!["-1", "NaN", "inf", "much"].into_iter().any(taken));
        }
    }
}
