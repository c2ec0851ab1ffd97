//! `--profile`: where the time of a command went.

use burn::tensor::Device;
use clap::Args;
use serde_json::json;

use crate::{profile, terminal};

/// Whether a command says where its time went.
#[derive(Debug, Clone, Copy, Args)]
pub struct ProfileArgs {
    /// Say at the end how much time each part of the program took: a table on standard error, or with --json an object
    #[arg(long)]
    profile: bool,
}

impl ProfileArgs {
    /// Begins to measure, if that is wanted, on the thread that gives `device` its work.
    pub fn start(self, device: &Device) {
        if self.profile {
            profile::switch_on(device);
        }
    }

    /// Says what was measured, as `json` on standard output or as a table: also with `--quiet`, since it was asked for by name.
    pub fn tell(self, json: bool) {
        if !self.profile {
            return;
        }
        if json {
            let lines = profile::lines();
            let seconds: f64 = lines.iter().map(|line| line.seconds).sum();
            terminal::report(json!({ "event": "profile", "seconds": seconds, "parts": lines }));
        } else {
            terminal::say(profile::table().trim_end());
        }
    }
}
