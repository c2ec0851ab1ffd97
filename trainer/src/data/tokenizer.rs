//! A model's tokenizer with what belongs to it: special tokens, the tokens that end an answer, the chat template.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use laurel_records::{Message, Role};
use rayon::prelude::*;
use serde_json::{Map, Value};
use tokenizers::{AddedToken, Tokenizer};

use super::{error::DataError, template::ChatTemplate};
use crate::model::ModelDirectory;

/// Special tokens that the tokenizer's files name and templates print.
const NAMED_TOKENS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// A letter (of Linear B) that no vocabulary has as it stands: some write it in bytes, some by their token for the unknown.
const RARE: &str = "\u{10000}";

/// Turns text and conversations into the tokens that one model was trained on, and back.
#[derive(Debug)]
pub struct ModelTokenizer {
    pub(super) tokenizer: Tokenizer,
    pub(super) template: Option<ChatTemplate>,
    /// Added tokens that are more than white space or text that is not known: the first of them that follows an answer ends it.
    pub(super) marks: HashSet<u32>,
    pub(super) context_length: usize,
    /// The end of text: the tokenizer's, else the first by `config.json`, else the first by `generation_config.json`.
    pub(super) eos_id: Option<u32>,
    /// What the template writes after an answer, else the end of text.
    end_of_answer: Option<u32>,
    /// Conversations that had to be cut so far.
    pub(super) cuts: AtomicUsize,
    pad_id: u32,
    stop_ids: Vec<u32>,
    path: PathBuf,
}

impl ModelTokenizer {
    /// Reads the tokenizer, the chat template and the special tokens of a model.
    pub fn open(model: &ModelDirectory) -> Result<Self, DataError> {
        let path = model.path().to_path_buf();
        let Some(json) = model.tokenizer_json()? else { return Err(DataError::NoTokenizer { path }) };
        let mut tokenizer = Tokenizer::from_bytes(json).map_err(|error| DataError::Tokenizer {
            path: path.clone(),
            message: format!("tokenizer.json: {error}"),
        })?;
        // Cutting and padding are ours to do, whatever the file was last used for.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).expect("no truncation is always possible");

        let config = model.config();
        ensure_fits(&tokenizer, config.vocabulary_size)
            .map_err(|message| DataError::Tokenizer { path: path.clone(), message })?;
        let files = model.named_tokens()?;
        let named = named_tokens(&files);
        make_special(&mut tokenizer, &files, &named);
        let id_of = |name: &str| {
            let (_, token) = named.iter().find(|(other, _)| other == name)?;
            tokenizer.token_to_id(token)
        };
        // A configuration may name tokens that the model does not have: GPT2Config ends texts with 50256, however small the model.
        let has_row = |id: &u32| (*id as usize) < config.vocabulary_size;
        let mut stop_ids = model.stop_token_ids()?;
        stop_ids.retain(has_row);
        // Where the tokenizer names none, answers are learned with the first that sampling stops at, whichever file says so.
        let eos_id = id_of("eos_token").or(stop_ids.first().copied());
        stop_ids.extend(eos_id.filter(|id| !stop_ids.contains(id)));
        let pad_id = id_of("pad_token").or(config.pad_token_id.filter(has_row)).or(eos_id).unwrap_or(0);
        let template = model.chat_template()?.map(|source| ChatTemplate::new(&source, &named)).transpose()?;
        let added = tokenizer.get_added_tokens_decoder();
        let is_mark = |token: &AddedToken| token.special || !token.content.trim().is_empty();
        // Where not every text has tokens of its own, what stands for the others may stand for an answer's last line end too.
        let unknown = tokenizer.encode_fast(RARE, false).map(|found| found.get_ids().to_vec()).unwrap_or_default();
        let is_end = |id: &u32, token: &AddedToken| is_mark(token) && !unknown.contains(id);
        let marks: HashSet<u32> = added.iter().filter(|(id, token)| is_end(id, token)).map(|(&id, _)| id).collect();
        let mut this = Self {
            tokenizer,
            template,
            marks,
            context_length: config.context_length,
            eos_id,
            end_of_answer: eos_id,
            cuts: AtomicUsize::new(0),
            pad_id,
            stop_ids,
            path,
        };
        if let Some(id) = this.end_of_turn() {
            this.end_of_answer = Some(id);
            if !this.stop_ids.contains(&id) {
                this.stop_ids.push(id);
            }
        }
        this.hide_ends();
        // Looking for the end of turn may have cut what it looked at; nobody's conversation was.
        this.cuts.store(0, Ordering::Relaxed);
        Ok(this)
    }

    /// The same tokenizer for a shorter context, in tokens: a bound on memory and time.
    pub fn with_context_length(mut self, tokens: usize) -> Self {
        self.context_length = self.context_length.min(tokens.max(1));
        self
    }

    /// The longest sequence in tokens that [`Self::prompt`] and [`Self::example`] give.
    pub fn context_length(&self) -> usize {
        self.context_length
    }

    /// The tokens that a prompt may have where `answer` tokens at most are to follow it. Refuses an answer that leaves it none.
    pub fn room_beside(&self, answer: usize) -> Result<usize, DataError> {
        let context = self.context_length;
        context.checked_sub(answer).filter(|room| *room > 0).ok_or(DataError::NoRoom { answer, context })
    }

    /// The tokens of a text as it stands, with nothing put before or after. Special tokens in it are recognised.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        self.encode_with(text, false)
    }

    /// The tokens of a whole text, with what the tokenizer puts around it (a beginning of text, say).
    pub fn encode_whole(&self, text: &str) -> Vec<u32> {
        self.encode_with(text, true)
    }

    /// The token that the tokenizer puts before a whole text, as Llama's do; `None` where it puts none.
    pub fn begin_of_text(&self) -> Option<u32> {
        let (alone, whole) = (self.encode("a"), self.encode_whole("a"));
        let (&first, rest) = whole.split_first()?;
        (!alone.is_empty() && rest.starts_with(&alone)).then_some(first)
    }

    /// The tokens of many texts, as [`Self::encode`] gives them, on all cores.
    pub fn encode_all<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Vec<Vec<u32>> {
        texts.par_iter().map(|text| self.encode(text.as_ref())).collect()
    }

    /// As [`Self::encode`]; `whole` adds what the tokenizer puts around a whole text (a beginning of text, say).
    pub(super) fn encode_with(&self, text: &str, whole: bool) -> Vec<u32> {
        let encoding = self.tokenizer.encode_fast(text, whole);
        // Byte-level tokenizers encode every text; others have a token for what they do not know.
        encoding.map(|encoding| encoding.get_ids().to_vec()).unwrap_or_default()
    }

    /// The text of tokens; `skip_special` leaves out special tokens, as for people to read.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> String {
        self.tokenizer.decode(ids, skip_special).unwrap_or_default()
    }

    /// What batches are filled with; the model's end of text where it has no token for it.
    pub fn pad_id(&self) -> u32 {
        self.pad_id
    }

    /// Tokens that end an answer: the model's ends of text and the end of turn of its chat template.
    pub fn stop_ids(&self) -> &[u32] {
        &self.stop_ids
    }

    /// The token that an answer is learned to end with; `None` where the model's files name none.
    pub fn end_of_answer(&self) -> Option<u32> {
        self.end_of_answer
    }

    /// Whether the model has a chat template; without one, conversations are plain text.
    pub fn has_chat_template(&self) -> bool {
        self.template.is_some()
    }

    /// Tokens in the vocabulary, added ones included.
    pub fn vocabulary_size(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// How many conversations did not fit the context and were cut, so far.
    pub fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }

    /// Where the model was opened.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// The token that the chat template writes after an answer. Some templates want a system message before the question; what one
    /// says of conversations that it refuses altogether is for whoever has them.
    fn end_of_turn(&self) -> Option<u32> {
        self.template.as_ref()?;
        let says = |role, content: &str| Message { role, content: content.into() };
        let conversation = [says(Role::System, "a"), says(Role::User, "b")];
        let example = self.example(&conversation[1..], "c").or_else(|_| self.example(&conversation, "c")).ok()?;
        example.ids.last().copied().filter(|id| self.marks.contains(id))
    }

    /// What ends an answer is nothing for people to read, also where the tokenizer has it as a token like others.
    fn hide_ends(&mut self) {
        let added = self.tokenizer.get_added_tokens_decoder();
        let shown = self.stop_ids.iter().filter_map(|id| added.get(id)).filter(|token| !token.special);
        let hidden: Vec<AddedToken> = shown.map(|token| token.clone().special(true)).collect();
        self.tokenizer.add_special_tokens(&hidden);
    }
}

/// Refuses a tokenizer with ids that an embedding of `rows` rows has no row for: of tokens that were added without making the
/// model larger.
fn ensure_fits(tokenizer: &Tokenizer, rows: usize) -> Result<(), String> {
    let highest = tokenizer.get_vocab(true).into_iter().map(|(token, id)| (id, token)).max();
    let Some((id, token)) = highest.filter(|(id, _)| *id as usize >= rows) else { return Ok(()) };
    Err(format!(
        "tokenizer.json has {} tokens, up to {token:?} with the id {id}, and the model's embedding has {rows} rows; make that as \
         large (transformers: resize_token_embeddings({})), or take the tokenizer that belongs to the model",
        tokenizer.get_vocab_size(true),
        id + 1
    ))
}

/// Makes special tokens of those that the files name, as transformers does when it reads them: a token that is one of the model's
/// vocabulary alone would not be found in a text as it stands, and would be shown to people.
fn make_special(tokenizer: &mut Tokenizer, files: &Map<String, Value>, named: &[(String, String)]) {
    let added = tokenizer.get_added_tokens_decoder();
    let of_tokenizer = |text: &str| added.get(&tokenizer.token_to_id(text)?).cloned();
    let has = |text: &str| tokenizer.token_to_id(text).is_some();

    let described = files.get("added_tokens_decoder").and_then(Value::as_object).into_iter().flat_map(Map::values);
    let described = described.filter_map(|token| serde_json::from_value::<AddedToken>(token.clone()).ok());
    let mut special: Vec<AddedToken> = described.filter(|token| token.special && has(&token.content)).collect();
    for (_, text) in named.iter().filter(|(_, text)| has(text)) {
        if special.iter().all(|token| token.content != *text) {
            special.push(of_tokenizer(text).unwrap_or_else(|| AddedToken::from(text.clone(), true)).special(true));
        }
    }
    // Of the others it is enough to be there in some way.
    let lists = ["additional_special_tokens", "extra_special_tokens"].into_iter().filter_map(|name| files.get(name));
    let others = lists.filter_map(Value::as_array).flatten().filter_map(text_of);
    special.extend(
        others.filter(|text| has(text) && of_tokenizer(text).is_none()).map(|text| AddedToken::from(text, true)),
    );
    tokenizer.add_special_tokens(&special);
}

/// Name and text of the special tokens in what a tokenizer's files say: those that every model may have, and a model's own.
fn named_tokens(files: &Map<String, Value>) -> Vec<(String, String)> {
    let usual = NAMED_TOKENS.iter().filter_map(|&name| Some((name.to_string(), text_of(files.get(name)?)?)));
    let other = files.iter().filter(|(name, _)| name.ends_with("_token") && !NAMED_TOKENS.contains(&name.as_str()));
    let own = files.get("extra_special_tokens").and_then(Value::as_object).into_iter().flatten();
    usual.chain(other.chain(own).filter_map(|(name, token)| Some((name.clone(), text_of(token)?)))).collect()
}

/// The text of a token: as it is, or with its properties.
fn text_of(token: &Value) -> Option<String> {
    token.as_str().or_else(|| token.get("content")?.as_str()).map(String::from)
}
