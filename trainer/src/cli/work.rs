//! `work`: jobs of a Laurel server, claimed and done.

use std::path::PathBuf;

use serde_json::json;

use super::{Common, DeviceChoice, WrongInput};
use crate::night::{Client, Interrupts, Worked, Worker, WorkerSettings, end_politely, read_token};

/// Claim jobs from a Laurel server and do them: nightly training, new answers to rank
///
/// Goes on until it is asked to end (SIGTERM or Ctrl-C): then the job goes back to the server, and whoever takes it goes on
/// from what is published; this worker, from its last checkpoint.
#[derive(Debug, clap::Args)]
pub struct Work {
    /// Address of the server: https://laurel.example.org
    #[arg(long, env = "LAUREL_SERVER", value_name = "URL")]
    server: String,
    /// File with a token of the role trainer, alone on its first line (laurel token add --name NAME --role trainer)
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// Do one job and end; end at once when none waits. With --json the result's job is done, cancelled or null (none waits)
    #[arg(long)]
    once: bool,
    /// Name of this worker on the dashboard; by default the machine's
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Where models, records and checkpoints are kept; each worker needs its own
    #[arg(long, env = "LAUREL_WORK_DIR", default_value = "laurel-work", value_name = "DIRECTORY")]
    work_dir: PathBuf,
}

impl Work {
    pub fn run(self, common: &Common) -> anyhow::Result<()> {
        if !self.server.starts_with("http://") && !self.server.starts_with("https://") {
            return Err(
                WrongInput(format!("--server {}: an address begins with http:// or https://", self.server)).into()
            );
        }
        let token = read_token(&self.token_file).map_err(|error| WrongInput(format!("{error:#}")))?;
        let interrupts = Interrupts::default();
        end_politely(&interrupts)?;
        let client = Client::new(&self.server, &token, &interrupts);
        let ours = common.device;
        // A device that this worker was started with counts; else the one that the project names.
        let device = move |named: &str| {
            let choice = match ours {
                DeviceChoice::Auto => {
                    named.parse().map_err(|error| WrongInput(format!("device “{named}”: {error}")))?
                }
                given => given,
            };
            Ok(choice.open()?)
        };
        let settings = WorkerSettings {
            name: self.name.unwrap_or_else(machine_name),
            work_dir: self.work_dir,
            device: &device,
            quiet: common.quiet,
        };
        let worker = Worker::new(client, interrupts, settings)?;
        if !self.once {
            return worker.run();
        }
        match worker.once()? {
            Worked::Nothing => common.result("No job waits.", json!({ "job": null })),
            Worked::Done => common.result("The job is done.", json!({ "job": "done" })),
            Worked::Cancelled => common.result("The job was stopped on request.", json!({ "job": "cancelled" })),
            Worked::Failed => anyhow::bail!("the job failed"),
            Worked::GivenUp => anyhow::bail!("the job was given back"),
        }
    }
}

fn machine_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "worker".to_owned() } else { name.to_owned() }
}
