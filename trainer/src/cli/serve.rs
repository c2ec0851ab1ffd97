//! `serve`: a model behind OpenAI's API.

use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use indicatif::DecimalBytes;
use serde_json::json;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use super::{Common, WrongInput, device::free_memory, generate::model_name, numbers, precision::PrecisionArgs};
use crate::{
    data::ModelTokenizer,
    model::{Decoder, KvCache, ModelDirectory},
    serve::{Ended, Identity, Limits, Served, Tally, serve},
    terminal::{self, counted},
};

/// Answer conversations over HTTP as OpenAI's API does, several at once
///
/// /v1/models, /v1/chat/completions and /v1/completions, streamed or not; /healthz. Requests join the running batch between
/// two tokens. SIGTERM or Ctrl-C finishes what is under way and ends; a second one ends at once.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// A language model with a tokenizer
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// Address and port; port 0 takes a free one, which is printed
    #[arg(long, default_value = "127.0.0.1:8090", value_name = "ADDRESS:PORT", value_parser = address)]
    listen: SocketAddr,
    /// The model's name in the API; by default the last part of MODEL
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// File with a key, alone on its first line, that clients must send (Authorization: Bearer KEY)
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Answers written at once: more are faster together and need more memory; in float32 on the CPU, more than one hold the
    /// model's matrices twice
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = numbers::within(1..=4096))]
    rows: u32,
    /// Answers that may wait beside them; more are refused with status 503
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = numbers::within(0..=65536))]
    queue: u32,
    /// The longest answer, in tokens; by default what the model's context has room for
    #[arg(long, value_name = "N", value_parser = numbers::within(1..=u32::MAX))]
    max_tokens: Option<u32>,
    /// Tokens of prompts read between two tokens of the answers under way: what a newcomer costs the others
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = numbers::within(1..=u32::MAX))]
    prompt_tokens: u32,
    #[command(flatten)]
    precision: PrecisionArgs,
}

impl Serve {
    pub fn run(self, common: &Common) -> anyhow::Result<()> {
        let key = self.api_key_file.as_ref().map(read_key).transpose()?;
        if key.is_none() && !self.listen.ip().is_loopback() && !common.quiet {
            terminal::say(format!(
                "laurel-trainer: whoever reaches {} can use the model; --api-key-file asks for a key",
                self.listen
            ));
        }
        // Told now and not after the model was loaded; until then nobody is to wait there for an answer.
        drop(std::net::TcpListener::bind(self.listen).with_context(|| self.listen.to_string())?);
        let device = common.device.open()?;
        let precision = self.precision.on(&device)?;
        let model = ModelDirectory::open(&self.model)?;
        let tokenizer = ModelTokenizer::open(&model)?;
        let decoder = model.load_decoder(&device)?.with_precision(precision).to_answer();
        let limits = Limits {
            rows: self.rows as usize,
            queue: self.queue as usize,
            prompt_tokens: self.prompt_tokens as usize,
            max_tokens: self.max_tokens.map(|tokens| tokens as usize),
            ..Limits::default()
        };
        let name = self.name.clone().unwrap_or_else(|| model_name(&self.model));
        let identity = Identity { name: name.clone(), key, seed: common.seed };
        let (served, ended) = Served::start(&model, tokenizer, &decoder, identity, limits)?;
        // What the model takes is taken by now.
        let caches = Caches::of(&decoder, self.rows);
        drop(decoder);
        caches.tell(common);

        // The model's thread computes; these only pass words on.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let tally = runtime.block_on(self.listen(common, &name, served, ended, caches.most()))?;
        runtime.shutdown_timeout(Duration::from_secs(1));
        let Tally { answers, tokens } = tally;
        let summary = format!("{}, {}", counted(answers, "answer"), counted(tokens, "token"));
        common.result(&summary, json!({"answers": answers, "tokens": tokens}))
    }

    /// `most`: bytes that keys and values may take.
    async fn listen(
        &self,
        common: &Common,
        name: &str,
        served: Served,
        ended: Ended,
        most: u64,
    ) -> anyhow::Result<Tally> {
        let listener = TcpListener::bind(self.listen).await.with_context(|| self.listen.to_string())?;
        let address = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = watch::channel(false);
        let signals = [(15, signal(SignalKind::terminate())?), (2, signal(SignalKind::interrupt())?)];
        for (number, signal) in signals {
            tokio::spawn(end_politely(number, signal, stop.clone(), common.quiet));
        }
        if common.json {
            terminal::report(json!({"event": "ready", "address": address, "model": name, "cache_bytes": most}));
        } else if !common.quiet {
            terminal::report(format!("{name} answers at {address}/v1"));
        }
        Ok(serve(listener, Arc::new(served), ended, stopped).await?)
    }
}

/// What the answers under way may hold in memory: their keys and values, as many as the longest of them has. Memory is taken as they
/// grow, and a process that takes more than there is is ended by the system, with all answers.
struct Caches {
    rows: u32,
    /// Of the longest answer with its prompt.
    tokens: usize,
    row_bytes: u64,
    /// Bytes that are free for them; `None` where nobody says so.
    free: Option<u64>,
}

impl Caches {
    fn of(decoder: &Decoder, rows: u32) -> Self {
        let tokens = decoder.config().context_length;
        let row_bytes = KvCache::row_bytes(decoder.config(), tokens, decoder.precision());
        Self { rows, tokens, row_bytes, free: free_memory(&decoder.token_embedding.device()) }
    }

    fn most(&self) -> u64 {
        self.row_bytes * u64::from(self.rows)
    }

    /// How many answers may grow to their full length.
    fn rows_with_room(&self) -> u64 {
        self.free.map_or(u64::MAX, |free| free / self.row_bytes.max(1))
    }

    fn tell(&self, common: &Common) {
        if u64::from(self.rows) > self.rows_with_room() {
            terminal::say(self.warning());
        } else if !common.quiet && !common.json {
            terminal::say(format!("laurel-trainer: {}", self.said()));
        }
    }

    fn said(&self) -> String {
        let answers = counted(self.rows as usize, "answer");
        let most = DecimalBytes(self.most());
        format!("keys and values of {answers} of {} tokens take at most {most} of memory", self.tokens)
    }

    fn warning(&self) -> String {
        let free = DecimalBytes(self.free.unwrap_or_default());
        let advice = match self.rows_with_room() {
            0 => "not one of that length has room".to_owned(),
            rows => format!("--rows {rows} has room"),
        };
        format!(
            "warning: {}, and {free} are free: the system may end this process, with all answers; {advice}",
            self.said()
        )
    }
}

/// Asks the server to end at the first signal; at the second, of whichever kind, the process ends at once.
async fn end_politely(number: i32, mut signal: Signal, stop: watch::Sender<bool>, quiet: bool) {
    while signal.recv().await.is_some() {
        if stop.send_replace(true) {
            std::process::exit(128 + number);
        }
        if !quiet {
            terminal::say("laurel-trainer: finishing what is under way");
        }
    }
}

fn read_key(path: &PathBuf) -> Result<String, WrongInput> {
    let text = fs::read_to_string(path).map_err(|error| WrongInput(format!("{}: {error}", path.display())))?;
    // Some editors put a byte order mark in front of a file.
    let key = text.trim_start_matches('\u{feff}').lines().next().unwrap_or_default().trim();
    if key.is_empty() {
        return Err(WrongInput(format!("{}: the first line, which should be the key, is empty", path.display())));
    }
    // What a header can hold: no client could send another.
    if !key.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        let name = path.display();
        return Err(WrongInput(format!("{name}: the key may have letters, digits and signs of ASCII alone")));
    }
    Ok(key.to_owned())
}

/// Where to listen.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an address in numbers and a port, such as 127.0.0.1:8090".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_refused_with_one_as_it_should_be() {
        assert_eq!(address("127.0.0.1:0"), Ok(SocketAddr::from(([127, 0, 0, 1], 0))));
        for wrong in ["localhost:8090", "8090", "127.0.0.1:99999"] {
            assert!(address(wrong).is_err_and(|said| said.contains("such as 127.0.0.1:8090")), "{wrong}");
        }
    }

    #[test]
    fn answers_that_memory_has_no_room_for_are_warned_of_with_a_number_that_it_has() {
        let caches = |free: Option<u64>| Caches { rows: 32, tokens: 4096, row_bytes: 4_000_000_000, free };
        let warning = |free: u64| caches(Some(free)).warning();
        let said = "keys and values of 32 answers of 4096 tokens take at most 128.00 GB of memory";
        assert_eq!(caches(None).said(), said);
        assert_eq!([None, Some(128_000_000_000)].map(|free| caches(free).rows_with_room() >= 32), [true; 2]);
        assert_eq!(caches(Some(127_999_999_999)).rows_with_room(), 31);
        let told = warning(60_000_000_000);
        assert!(told.starts_with(&format!("warning: {said}, and 60.00 GB are free: ")), "{told}");
        assert!(told.ends_with("; --rows 15 has room"), "{told}");
        assert!(warning(3_000_000_000).ends_with("; not one of that length has room"));
    }

    #[test]
    fn a_key_is_one_that_a_client_can_send() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            read_key(&path).map_err(|error| error.to_string())
        };
        assert_eq!(read("\u{feff}open sesame\r\nnot this\n").as_deref(), Ok("open sesame"));
        for wrong in ["", "\nsesame", "sésame"] {
            assert!(read(wrong).is_err_and(|said| said.contains("key")), "{wrong:?}");
        }
    }
}
