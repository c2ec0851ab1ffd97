//! The options of `cost`.

use std::path::PathBuf;

use super::{
    super::numbers,
    quantity::{parse, share},
};
use crate::cost::Hardware;

/// Estimate what training and serving a model cost: operations, hours, money, devices, memory
///
/// Every input has a printed default or is asked for; every result says which of its inputs were assumed. Numbers may be written
/// as 175e9, 175B or 175b.
#[derive(Debug, clap::Args)]
pub struct Cost {
    /// Parameters of the model
    #[arg(long, value_name = "N", value_parser = parse, required_unless_present = "model")]
    pub parameters: Option<f64>,
    /// Take parameters and shape from a model
    #[arg(long, value_name = "MODEL", conflicts_with = "parameters")]
    pub model: Option<PathBuf>,
    /// What the figures of the device are taken from [default: a100]
    #[arg(long, value_name = "NAME", value_parser = hardware())]
    pub hardware: Option<String>,
    #[command(flatten)]
    pub device: DeviceFigures,
    #[command(flatten)]
    pub training: Training,
    #[command(flatten)]
    pub serving: Serving,
    #[command(flatten)]
    pub pipeline: Pipeline,
}

fn hardware() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(Hardware::names())
}

/// Figures of a device that outweigh those of --hardware.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Device")]
pub struct DeviceFigures {
    /// Peak, 10¹² operations a second
    #[arg(long, value_name = "X", value_parser = parse)]
    pub peak_tflops: Option<f64>,
    /// 10⁹ bytes a second between memory and processor
    #[arg(long, value_name = "X", value_parser = parse)]
    pub bandwidth: Option<f64>,
    /// 10⁹ bytes
    #[arg(long, value_name = "X", value_parser = parse)]
    pub memory: Option<f64>,
    /// Dollars
    #[arg(long, value_name = "X", value_parser = parse)]
    pub price_per_hour: Option<f64>,
    /// Devices of a server
    #[arg(long, value_name = "N", value_parser = parse)]
    pub devices_per_server: Option<f64>,
    /// Dollars
    #[arg(long, value_name = "X", value_parser = parse)]
    pub server_price: Option<f64>,
    /// Power of a server
    #[arg(long, value_name = "X", value_parser = parse)]
    pub server_watts: Option<f64>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Training")]
pub struct Training {
    /// Tokens that the model is trained on
    #[arg(long, value_name = "N", value_parser = parse)]
    pub tokens: Option<f64>,
    /// Share of the peak that training reaches [default: 0.462, PaLM's]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub utilisation: Option<f64>,
    /// Devices that train together: says how many days it takes
    #[arg(long, value_name = "N", value_parser = parse)]
    pub devices: Option<f64>,
    /// Parameters of the adapters, as a share of the model's, for the memory of LoRA [default: 0.01]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub adapters: Option<f64>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Serving")]
pub struct Serving {
    /// Users a day; with --queries-per-user
    #[arg(long, value_name = "N", value_parser = parse, conflicts_with = "queries_per_second")]
    pub users: Option<f64>,
    /// Queries of a user a day [default: 15]
    #[arg(long, value_name = "N", value_parser = parse)]
    pub queries_per_user: Option<f64>,
    /// Queries a second, in place of users
    #[arg(long, value_name = "N", value_parser = parse)]
    pub queries_per_second: Option<f64>,
    /// Tokens of an answer [default: 2000]
    #[arg(long, value_name = "N", value_parser = parse)]
    pub tokens_per_query: Option<f64>,
    /// Tokens a second of one device, as measured; by default the smaller of what its processor and its memory allow
    #[arg(long, value_name = "X", value_parser = parse)]
    pub tokens_per_second: Option<f64>,
    /// Answers written at once [default: 32]
    #[arg(long, value_name = "N", value_parser = parse)]
    pub batch: Option<f64>,
    /// Tokens that an answer sees, on average [default: 1000]
    #[arg(long, value_name = "N", value_parser = parse)]
    pub context: Option<f64>,
    /// Bytes of a weight while serving: 4, 2, 1 [default: 2; 4 on a CPU]
    #[arg(long, value_name = "X", value_parser = parse)]
    pub weight_bytes: Option<f64>,
    /// Share of the peak that decoding reaches where it computes [default: 0.213, as in the published estimate]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub serving_utilisation: Option<f64>,
    /// Share of the bandwidth that decoding reaches where it waits for memory [default: 0.7]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub bandwidth_utilisation: Option<f64>,
    /// Share of the time that devices are busy: room for the busiest hours [default: 0.5]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub busy: Option<f64>,
    /// Dollars a kilowatt hour [default: 0.08]
    #[arg(long, value_name = "X", value_parser = parse)]
    pub electricity_price: Option<f64>,
    /// A building's power over its servers' (PUE) [default: 1]
    #[arg(long, value_name = "X", value_parser = parse)]
    pub power_overhead: Option<f64>,
}

/// InstructGPT's figures are the defaults.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "SFT, reward model and PPO")]
pub struct Pipeline {
    /// Estimate the three stages, too
    #[arg(long)]
    pub rlhf: bool,
    /// Parameters of the reward model and of the value model [default: 6e9, at most the model's]
    #[arg(long, value_name = "N", value_parser = parse)]
    pub reward_parameters: Option<f64>,
    /// Tokens of an example, of a prompt with its answer [default: 2000]
    #[arg(long, value_name = "N", value_parser = parse)]
    pub example_tokens: Option<f64>,
    /// Demonstrations [default: 12725]
    #[arg(long, value_name = "N", value_parser = parse)]
    pub demonstrations: Option<f64>,
    /// Epochs of SFT [default: 16]
    #[arg(long, value_name = "N", value_parser = parse)]
    pub sft_epochs: Option<f64>,
    /// Ranked prompts [default: 33207]
    #[arg(long, value_name = "N", value_parser = parse)]
    pub rankings: Option<f64>,
    /// Answers of a ranking [default: 6]
    #[arg(long, value_name = "K", value_parser = parse)]
    pub answers: Option<f64>,
    /// Epochs of the reward model [default: 1]
    #[arg(long, value_name = "N", value_parser = parse)]
    pub reward_epochs: Option<f64>,
    /// Episodes of PPO [default: 256000]
    #[arg(long, value_name = "N", value_parser = parse)]
    pub episodes: Option<f64>,
    /// Times that an episode is learned from [default: 1]
    #[arg(long, value_name = "N", value_parser = parse)]
    pub ppo_epochs: Option<f64>,
    /// Pretraining examples mixed in for each episode [default: 8]
    #[arg(long, value_name = "N", value_parser = numbers::whole::<u32>)]
    pub pretraining_examples: Option<u32>,
}

impl Cost {
    /// The figures that were given of devices, training and serving, by their options. (Any of the stages' asks for all of them.)
    pub fn given(&self) -> Vec<&'static str> {
        let (device, training, serving) = (&self.device, &self.training, &self.serving);
        let figures = [
            ("peak-tflops", device.peak_tflops),
            ("bandwidth", device.bandwidth),
            ("memory", device.memory),
            ("price-per-hour", device.price_per_hour),
            ("devices-per-server", device.devices_per_server),
            ("server-price", device.server_price),
            ("server-watts", device.server_watts),
            ("tokens", training.tokens),
            ("utilisation", training.utilisation),
            ("devices", training.devices),
            ("adapters", training.adapters),
            ("users", serving.users),
            ("queries-per-user", serving.queries_per_user),
            ("queries-per-second", serving.queries_per_second),
            ("tokens-per-query", serving.tokens_per_query),
            ("tokens-per-second", serving.tokens_per_second),
            ("batch", serving.batch),
            ("context", serving.context),
            ("weight-bytes", serving.weight_bytes),
            ("serving-utilisation", serving.serving_utilisation),
            ("bandwidth-utilisation", serving.bandwidth_utilisation),
            ("busy", serving.busy),
            ("electricity-price", serving.electricity_price),
            ("power-overhead", serving.power_overhead),
        ];
        figures.into_iter().filter_map(|(name, value)| value.map(|_| name)).collect()
    }
}

impl Pipeline {
    /// Whether the stages are asked about, by the flag or by any of their figures.
    pub fn is_wanted(&self) -> bool {
        let figures = [
            self.reward_parameters,
            self.example_tokens,
            self.demonstrations,
            self.sft_epochs,
            self.rankings,
            self.answers,
            self.reward_epochs,
            self.episodes,
            self.ppo_epochs,
        ];
        self.rlhf || self.pretraining_examples.is_some() || figures.iter().any(Option::is_some)
    }
}
