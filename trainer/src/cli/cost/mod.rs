//! `cost`: what training and serving a model cost.

mod arguments;
mod quantity;
mod sheet;

use super::Common;
use crate::{
    cost::{
        Decoding, Demand, Episodes, Fleet, Hardware, Precision, Shape, Use, bytes_per_parameter, device_hours,
        episode_flops, inference_flops, petaflop_days, pretraining_mix_flops, training_flops,
    },
    model::ModelDirectory,
    terminal,
};
pub use arguments::Cost;
use arguments::Pipeline;
use sheet::Sheet;

/// What every section needs.
struct Estimate {
    cost: Cost,
    hardware: Hardware,
    parameters: f64,
    shape: Option<Shape>,
    sheet: Sheet,
}

impl Cost {
    pub fn run(self, common: &Common) -> anyhow::Result<()> {
        let config = self.model.as_ref().map(|path| ModelDirectory::open(path).map(|model| model.config().clone()));
        let config = config.transpose()?;
        let counted = config.as_ref().map(|config| config.parameters() as f64);
        let shape = config.map(|config| Shape {
            layers: config.layers as f64,
            key_value_width: (config.key_value_heads * config.head_size) as f64,
        });
        let name = self.hardware.as_deref().unwrap_or("a100");
        let hardware = Hardware::named(name).unwrap_or(crate::cost::CUSTOM);
        let origin = if self.hardware.is_some() { "" } else { " (assumed; --hardware names another)" };
        let mut sheet = Sheet::new(format!("Device: {name}{origin}"));
        let parameters = sheet.input("parameters", self.parameters.or(counted), 0.0, "", "");
        let mut estimate = Estimate { cost: self, hardware, parameters, shape, sheet };
        estimate.training();
        estimate.decoding();
        estimate.memory();
        estimate.pipeline();
        let given = estimate.cost.given().into_iter();
        let unused: Vec<_> = given.filter(|name| !estimate.sheet.has(name)).map(|name| format!("--{name}")).collect();
        if !unused.is_empty() {
            terminal::say(format!("laurel-trainer: nothing that was asked for depends on {}", unused.join(", ")));
        }
        let mut json = estimate.sheet.json();
        json["hardware"] = estimate.hardware.name.into();
        common.result(&estimate.sheet.table(), json)
    }
}

impl Estimate {
    fn on_cpu(&self) -> bool {
        self.hardware.name == "cpu"
    }

    fn peak(&mut self) -> Option<f64> {
        self.sheet.known("peak-tflops", self.cost.device.peak_tflops, self.hardware.peak_flops, 1e12, "TFLOP/s")
    }

    fn price(&mut self) -> Option<f64> {
        self.sheet.known("price-per-hour", self.cost.device.price_per_hour, self.hardware.price, 1.0, "$")
    }

    fn training(&mut self) {
        let Some(tokens) = self.cost.training.tokens else { return };
        self.sheet.input("tokens", Some(tokens), tokens, "", "");
        let flops = training_flops(self.parameters, tokens);
        self.stage("Training", "", flops, "6 · parameters · tokens", &["parameters", "tokens"]);
    }

    /// Operations of a stage, and what they take.
    fn stage(&mut self, section: &'static str, name: &str, flops: f64, how: &str, uses: &[&'static str]) {
        let named = |what: &str| if name.is_empty() { what.to_owned() } else { format!("{name}: {what}") };
        let named = [named("operations"), named("compute"), named("device hours"), named("time"), named("price")];
        let [operations, compute, hours_name, time, price_name] = named;
        self.sheet.result(section, operations, flops, "FLOP", how, uses);
        self.sheet.result(section, compute, petaflop_days(flops), "PFLOP/s-days", "", uses);
        let Some(peak) = self.peak() else { return self.sheet.missing(section, hours_name, "peak-tflops") };
        let given = self.cost.training.utilisation;
        let utilisation = self.sheet.input("utilisation", given, 0.462, "", "PaLM's model FLOPs utilisation on TPU v4");
        let hours = device_hours(flops, peak, utilisation);
        let uses = [uses, &["peak-tflops", "utilisation"]].concat();
        self.sheet.result(section, hours_name, hours, "hours", "operations / (peak · utilisation)", &uses);
        if let Some(devices) = self.cost.training.devices {
            self.sheet.input("devices", Some(devices), devices, "", "");
            self.sheet.result(section, time, hours / devices / 24.0, "days", "on --devices", &uses);
        }
        match self.price() {
            Some(price) => {
                let uses = [&uses[..], &["price-per-hour"]].concat();
                self.sheet.result(section, price_name, hours * price, "$", "hours · price", &uses);
            }
            None => self.sheet.missing(section, price_name, "price-per-hour"),
        }
    }

    /// What one device writes, what that costs, and the machines for all users.
    fn decoding(&mut self) {
        const SECTION: &str = "Serving";
        let Some((rate, per_model, uses)) = self.rate(SECTION) else { return };
        if let Some(price) = self.price() {
            let uses = [&uses[..], &["price-per-hour"]].concat();
            let dollars = 1000.0 / rate / 3600.0 * price;
            self.sheet.result(SECTION, "price of 1,000 tokens", dollars, "$", "while the device is busy", &uses);
        }
        let serving = &self.cost.serving;
        let (users, per_second) = (serving.users, serving.queries_per_second);
        let (per_user, length, busy) = (serving.queries_per_user, serving.tokens_per_query, serving.busy);
        let (queries_per_day, mut uses) = match (users, per_second) {
            (Some(users), _) => {
                self.sheet.input("users", Some(users), users, "a day", "");
                let each =
                    self.sheet.input("queries-per-user", per_user, 15.0, "a day", "SemiAnalysis 2023, of ChatGPT");
                (users * each, [&uses[..], &["queries-per-user"]].concat())
            }
            (None, Some(queries)) => {
                self.sheet.input("queries-per-second", Some(queries), queries, "", "");
                (queries * 24.0 * 3600.0, uses)
            }
            (None, None) => return,
        };
        let why = "SemiAnalysis 2023, of ChatGPT";
        let tokens_per_query = self.sheet.input("tokens-per-query", length, 2000.0, "", why);
        let busy = self.sheet.input("busy", busy, 0.5, "", "half of the time idle, as in SemiAnalysis 2023");
        let per_server = self.cost.device.devices_per_server;
        let per_server = self.sheet.known("devices-per-server", per_server, self.hardware.per_server, 1.0, "");
        let per_server =
            per_server.unwrap_or_else(|| self.sheet.input("devices-per-server", None, 8.0, "", "as many servers have"));
        let demand = Demand { queries_per_day, tokens_per_query };
        let fleet = Fleet { per_model, ..Fleet::for_demand(demand, rate, busy, per_server) };
        uses.extend(["tokens-per-query", "busy"]);
        let demanded = demand.tokens_per_second();
        self.sheet.result(
            SECTION,
            "demand",
            demanded,
            "tokens/s",
            "queries · tokens",
            &["queries-per-user", "tokens-per-query"],
        );
        self.sheet.result(SECTION, "devices", fleet.devices, "", "demand / (rate · busy)", &uses);
        let how = "as many as hold one model, or so many times them";
        let how = if per_model > 1.0 { how } else { "" };
        let whole = [&uses[..], &["memory"]].concat();
        self.sheet.result(SECTION, "whole devices", fleet.whole_devices(), "", how, &whole);
        uses.push("devices-per-server");
        self.sheet.result(SECTION, "servers", fleet.servers(), "", "devices / devices a server", &uses);
        let whole = [&uses[..], &["memory"]].concat();
        self.sheet.result(SECTION, "whole servers", fleet.whole_servers(), "", "", &whole);
        self.money(SECTION, demand, fleet, &uses);
    }

    fn money(&mut self, section: &'static str, demand: Demand, fleet: Fleet, uses: &[&'static str]) {
        match self.price() {
            Some(price) => {
                let uses = [uses, &["price-per-hour"]].concat();
                let day = fleet.rent_per_day(price);
                self.sheet.result(section, "rent a day", day, "$", "devices · 24 h · price", &uses);
                self.sheet.result(section, "rent a year", day * 365.0, "$", "", &uses);
                self.sheet.result(section, "rent of a query", day / demand.queries_per_day, "$", "", &uses);
            }
            None => self.sheet.missing(section, "rent", "price-per-hour"),
        }
        // Of whole servers: how many depends on what holds a model.
        let uses = [uses, &["memory"]].concat();
        if let Some(price) = self.cost.device.server_price {
            self.sheet.input("server-price", Some(price), price, "$", "");
            let bought = fleet.whole_servers() * price;
            self.sheet.result(section, "to buy", bought, "$", "whole servers · price", &uses);
        }
        let watts = self.cost.device.server_watts;
        let Some(watts) = self.sheet.known("server-watts", watts, self.hardware.server_power, 1.0, "W") else {
            return self.sheet.missing(section, "energy", "server-watts");
        };
        let serving = &self.cost.serving;
        let (overhead, tariff) = (serving.power_overhead, serving.electricity_price);
        let overhead = self.sheet.input("power-overhead", overhead, 1.0, "", "servers alone");
        let tariff = self.sheet.input("electricity-price", tariff, 0.08, "$/kWh", "Guosheng Securities 2023");
        let energy = fleet.energy_per_day(watts, overhead);
        let mut uses = [&uses[..], &["server-watts", "power-overhead"]].concat();
        self.sheet.result(section, "energy a day", energy, "kWh", "whole servers · watts · overhead", &uses);
        uses.push("electricity-price");
        self.sheet.result(section, "electricity a day", energy * tariff, "$", "", &uses);
    }

    /// Tokens a second of one device, the devices that hold one model together, and the inputs that the first depends on.
    fn rate(&mut self, section: &'static str) -> Option<(f64, f64, Vec<&'static str>)> {
        if let Some(rate) = self.cost.serving.tokens_per_second {
            self.sheet.input("tokens-per-second", Some(rate), rate, "", "");
            return Some((rate, 1.0, vec!["tokens-per-second"]));
        }
        let per_token = inference_flops(self.parameters, 1.0);
        self.sheet.result(section, "operations of a token", per_token, "FLOP", "2 · parameters", &["parameters"]);
        let name = "tokens a second of a device";
        let Some(peak_flops) = self.peak() else {
            self.sheet.missing(section, name, "peak-tflops");
            return None;
        };
        let bandwidth = self.cost.device.bandwidth;
        let Some(bandwidth) = self.sheet.known("bandwidth", bandwidth, self.hardware.bandwidth, 1e9, "GB/s") else {
            self.sheet.missing(section, name, "bandwidth");
            return None;
        };
        let (bytes, why) = if self.on_cpu() { (4.0, "float32") } else { (2.0, "bfloat16") };
        let serving = &self.cost.serving;
        let (weight_bytes, batch, context) = (serving.weight_bytes, serving.batch, serving.context);
        let (compute, memory) = (serving.serving_utilisation, serving.bandwidth_utilisation);
        let decoding = Decoding {
            parameters: self.parameters,
            shape: self.shape.unwrap_or_else(|| Shape::like_gpt3(self.parameters)),
            bytes: self.sheet.input("weight-bytes", weight_bytes, bytes, "", why),
            batch: self.sheet.input("batch", batch, 32.0, "", "as `laurel-trainer serve` by default"),
            context: self.sheet.input("context", context, 1000.0, "tokens", "a guess"),
            peak_flops,
            utilisation: self.sheet.input("serving-utilisation", compute, 0.213, "", "as in the published estimate"),
            bandwidth,
            bandwidth_utilisation: self.sheet.input("bandwidth-utilisation", memory, 0.7, "", "a guess"),
        };
        let uses = vec![
            "peak-tflops",
            "bandwidth",
            "weight-bytes",
            "batch",
            "context",
            "serving-utilisation",
            "bandwidth-utilisation",
        ];
        let how = if decoding.waits_for_memory() { "memory is the limit" } else { "computing is the limit" };
        let rate = decoding.tokens_per_second();
        self.sheet.result(section, name, rate, "", how, &uses);
        let critical = decoding.critical_batch();
        let how = "from here on computing is the limit, caches aside";
        self.sheet.result(section, "critical batch", critical, "answers", how, &uses);
        let held = ["weight-bytes", "batch", "context"];
        let how = match self.shape {
            Some(_) => "the model's own shape",
            None => "caches as of GPT-3's proportions: each head has keys and values of its own",
        };
        self.sheet.result(section, "weights and caches", decoding.bytes_held() / 1e9, "GB", how, &held);
        let memory = self.cost.device.memory;
        let mut per_model = 1.0;
        if let Some(memory) = self.sheet.known("memory", memory, self.hardware.memory, 1e9, "GB") {
            let uses = ["weight-bytes", "batch", "context", "memory"];
            let how = "what passes between them is not counted";
            per_model = decoding.devices(memory);
            self.sheet.result(section, "devices that hold one model", per_model, "", how, &uses);
        }
        Some((rate, per_model, uses))
    }

    fn memory(&mut self) {
        const SECTION: &str = "Memory, without activations, logits and caches";
        let adapters = self.cost.training.adapters;
        let adapters = self.sheet.input("adapters", adapters, 0.01, "", "a common size of LoRA");
        let on_cpu = self.on_cpu();
        for of in Use::ALL {
            for precision in Precision::ALL {
                let each = bytes_per_parameter(of, precision, on_cpu, adapters);
                let uses: &[_] = if of == Use::PpoAdapters { &["adapters"] } else { &[] };
                let name = format!("{}, {}", of.name(), precision.name());
                let how = format!("{} bytes a parameter", quantity::readable(each));
                self.sheet.result(SECTION, name, each * self.parameters / 1e9, "GB", how, uses);
            }
        }
    }

    fn pipeline(&mut self) {
        const SECTION: &str = "SFT, reward model and PPO";
        const SOURCE: &str = "InstructGPT";
        if !self.cost.pipeline.is_wanted() {
            return;
        }
        let of: &Pipeline = &self.cost.pipeline;
        let ptx = of.pretraining_examples.map(f64::from);
        let (reward, tokens) = (of.reward_parameters, of.example_tokens);
        let (demonstrations, sft_epochs) = (of.demonstrations, of.sft_epochs);
        let (rankings, answers, reward_epochs) = (of.rankings, of.answers, of.reward_epochs);
        let (episodes, ppo_epochs) = (of.episodes, of.ppo_epochs);
        let sheet = &mut self.sheet;
        let reward =
            sheet.input("reward-parameters", reward, self.parameters.min(6e9), "", "InstructGPT's 6B, or the model's");
        let tokens = sheet.input("example-tokens", tokens, 2000.0, "", "InstructGPT's context, filled");
        let demonstrations = sheet.input("demonstrations", demonstrations, 12_725.0, "", SOURCE);
        let sft_epochs = sheet.input("sft-epochs", sft_epochs, 16.0, "", SOURCE);
        let rankings = sheet.input("rankings", rankings, 33_207.0, "", SOURCE);
        let answers = sheet.input("answers", answers, 6.0, "", "InstructGPT had 4 to 9");
        let reward_epochs = sheet.input("reward-epochs", reward_epochs, 1.0, "", SOURCE);
        let episodes = sheet.input("episodes", episodes, 256_000.0, "", SOURCE);
        let epochs = sheet.input("ppo-epochs", ppo_epochs, 1.0, "", SOURCE);
        let examples = sheet.input("pretraining-examples", ptx, 8.0, "", SOURCE);

        let sft = training_flops(self.parameters, demonstrations * tokens * sft_epochs);
        let uses = ["demonstrations", "example-tokens", "sft-epochs"];
        self.stage(SECTION, "SFT", sft, "6 · parameters · tokens · epochs", &uses);
        let model = training_flops(reward, rankings * answers * tokens * reward_epochs);
        let uses = ["reward-parameters", "rankings", "answers", "example-tokens", "reward-epochs"];
        self.stage(SECTION, "reward model", model, "each answer once an epoch", &uses);
        let of = Episodes { policy: self.parameters, reward, episodes, tokens, epochs };
        let how = "write, judge by three models, learn with two";
        let uses = ["reward-parameters", "example-tokens", "episodes", "ppo-epochs"];
        self.stage(SECTION, "PPO", episode_flops(of), how, &uses);
        let mix = pretraining_mix_flops(of, examples);
        let uses = ["example-tokens", "episodes", "pretraining-examples"];
        self.stage(SECTION, "pretraining mix of PPO", mix, "examples for each episode", &uses);
    }
}
