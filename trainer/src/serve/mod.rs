//! A model behind OpenAI's API: what people chat with, and what samples answers over HTTP.
//!
//! One thread owns the model and writes all answers together ([`writer`], over the engine of continuous batching); handlers
//! turn requests into tokens, and pieces of answers into JSON. Nothing of a request is ignored silently: what this server
//! can't do it refuses, in OpenAI's form of an error.

mod asked;
mod chat;
mod completions;
mod error;
mod fields;
mod form;
mod routes;
mod stream;
mod transcript;
mod writer;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::serve::ListenerExt;
use sha2::{Digest, Sha256};
use tokio::sync::{oneshot, watch};

use crate::{
    data::{DataError, ModelTokenizer, TokenBytes},
    generate::{Engine, EngineLimits, Request, row_seed},
    model::{Decoder, ModelDirectory},
};
use asked::Asked;
use error::ApiError;
use fields::Fields;
use form::Form;
use writer::{Answering, Writer};

/// Time for the last bytes to reach their readers when the server ends.
const LAST_BYTES: Duration = Duration::from_secs(5);

/// How much is served at once.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Answers that are written together.
    pub rows: usize,
    /// Answers that may wait beside them.
    pub queue: usize,
    /// Tokens of prompts that are read between two tokens of the answers under way.
    pub prompt_tokens: usize,
    /// Most tokens of an answer; `None`: the model's context.
    pub max_tokens: Option<usize>,
    /// Largest request, bytes.
    pub body: usize,
    /// How long the server waits for a client that sends or takes nothing.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let EngineLimits { rows, prompt_tokens } = EngineLimits::default();
        let patience = Duration::from_secs(60);
        Self { rows, queue: 256, prompt_tokens, max_tokens: None, body: 4 << 20, patience }
    }
}

/// Who may ask, and what for.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// The model's name in the API.
    pub name: String,
    /// The key that clients must send.
    pub key: Option<String>,
    /// Seed of the requests that name none: the first is answered alike after each start, the next otherwise.
    pub seed: u64,
}

/// A model that is served.
#[derive(Debug)]
pub struct Served {
    name: String,
    key: Option<[u8; 32]>,
    fingerprint: String,
    created: i64,
    tokenizer: Arc<ModelTokenizer>,
    token_bytes: TokenBytes,
    vocabulary: usize,
    context: usize,
    limits: Limits,
    seed: u64,
    draws: AtomicU64,
    writer: Writer,
}

/// What a request wants, read and understood.
#[derive(Debug)]
struct Wanted {
    form: Form,
    prompts: Vec<Vec<u32>>,
    asked: Asked,
}

/// Hears when the model's thread has ended: an error if it broke.
pub type Ended = oneshot::Receiver<()>;

/// What was served until the end.
#[derive(Debug, Clone, Copy)]
pub struct Tally {
    pub answers: usize,
    pub tokens: usize,
}

impl Served {
    /// Starts the thread that writes with `decoder`, which is `model`'s.
    pub fn start(
        model: &ModelDirectory,
        tokenizer: ModelTokenizer,
        decoder: &Decoder,
        identity: Identity,
        limits: Limits,
    ) -> Result<(Self, Ended), DataError> {
        let engine_limits = EngineLimits { rows: limits.rows, prompt_tokens: limits.prompt_tokens };
        let engine = Engine::new(decoder, tokenizer.stop_ids(), tokenizer.pad_id(), engine_limits);
        let tokenizer = Arc::new(tokenizer);
        let (writer, ended) = Writer::start(engine, tokenizer.clone(), &limits)
            .map_err(|source| DataError::File { path: model.path().into(), source })?;
        let lineage = model.lineage()?;
        let created = lineage.map_or_else(time::OffsetDateTime::now_utc, |lineage| lineage.created_at);
        let served = Self {
            key: identity.key.map(|key| digest(&key)),
            fingerprint: fingerprint(&model.digest()?),
            created: created.unix_timestamp(),
            token_bytes: TokenBytes::new(&tokenizer),
            vocabulary: decoder.config().vocabulary_size,
            context: decoder.config().context_length,
            draws: AtomicU64::new(0),
            name: identity.name,
            seed: identity.seed,
            tokenizer,
            limits,
            writer,
        };
        Ok((served, ended))
    }

    /// Takes the model's name out, and refuses another model's.
    fn check_model(&self, fields: &mut Fields) -> Result<(), ApiError> {
        let model = fields.string("model")?.ok_or_else(|| ApiError::missing("model"))?;
        if model == self.name { Ok(()) } else { Err(ApiError::no_such_model(&model, &self.name)) }
    }

    /// As the function of this name.
    fn check_length(&self, ids: &[u32], param: &str) -> Result<(), ApiError> {
        check_length(ids.len(), self.context, param)
    }

    /// Gives the prompts to the model's thread.
    fn ask(&self, wanted: &mut Wanted) -> Result<Answering, ApiError> {
        let draw = match wanted.asked.seed {
            Some(_) => 0,
            None => row_seed(self.seed, self.draws.fetch_add(1, Ordering::Relaxed), 0),
        };
        let prompts = std::mem::take(&mut wanted.prompts);
        let requests: Vec<Request> = prompts
            .into_iter()
            .enumerate()
            .map(|(place, ids)| wanted.asked.request(ids, place, self.context, &self.limits, draw))
            .collect();
        self.writer.ask(requests, &wanted.asked.stops, wanted.form == Form::Text)
    }

    fn is_allowed(&self, key: Option<&str>) -> bool {
        // Digests are compared, so that the time tells nothing of the key.
        self.key.is_none_or(|wanted| key.is_some_and(|key| digest(key) == wanted))
    }
}

/// Serves until `stop` becomes true: then what is under way is finished, and nothing new is taken.
///
/// # Errors
/// The socket fails, or the model's thread breaks.
pub async fn serve(
    listener: tokio::net::TcpListener,
    served: Arc<Served>,
    ended: Ended,
    stop: watch::Receiver<bool>,
) -> std::io::Result<Tally> {
    let until_stop = |mut stop: watch::Receiver<bool>| async move {
        // Nobody left to say so: that is an end, too.
        let _ = stop.wait_for(|stopped| *stopped).await;
    };
    // Tokens are small: they must not wait for more of them.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let server = axum::serve(listener, routes::router(served.clone())).with_graceful_shutdown(until_stop(stop.clone()));
    // A connection whose other end has stopped reading does not keep the server from ending.
    let all_fetched = async {
        until_stop(stop).await;
        served.writer.all_fetched(LAST_BYTES).await;
    };
    tokio::select! {
        result = server.into_future() => result?,
        () = all_fetched => {}
        _ = ended => return Err(std::io::Error::other("the model failed while it was answering")),
    }
    let counts = served.writer.counts();
    Ok(Tally { answers: counts.answers.load(Ordering::Relaxed), tokens: counts.tokens.load(Ordering::Relaxed) })
}

/// Refuses a prompt that is nothing to go on from, or after which there is no room for an answer.
fn check_length(tokens: usize, context: usize, param: &str) -> Result<(), ApiError> {
    match tokens {
        // A chat template may make nothing of a conversation, of a system message alone for one.
        0 => Err(ApiError::invalid(param, "the prompt is empty: this model needs something to go on from")),
        _ if tokens < context => Ok(()),
        _ => Err(ApiError::too_long(param, tokens, context)),
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Changes when the model or the program does, which is when the same seed may give another answer.
fn fingerprint(model: &str) -> String {
    let whole = digest(&format!("{model}\n{}", env!("CARGO_PKG_VERSION")));
    whole[..5].iter().fold("fp_".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_has_a_token_and_leaves_room_for_one() {
        assert_eq!((check_length(1, 8, "messages"), check_length(7, 8, "messages")), (Ok(()), Ok(())));
        let refused = |tokens| check_length(tokens, 8, "messages").unwrap_err();
        assert_eq!((refused(0).code, refused(0).param.as_deref()), (Some("invalid_value"), Some("messages")));
        assert_eq!(refused(8).code, Some("context_length_exceeded"));
    }
}
