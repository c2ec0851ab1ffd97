//! The text of one answer while it is written: held back where it may become a stop string, cut where it has.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    data::{ModelTokenizer, TextStream},
    generate::{End, TokenLogprobs},
};

/// A token of an answer with its log-probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct Noted {
    pub token: u32,
    pub logprobs: TokenLogprobs,
    /// Characters of the answer before it.
    pub offset: usize,
}

/// Why an answer ended, in OpenAI's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// By itself, or at a stop string.
    Stop,
    /// At the limit of tokens.
    Length,
}

impl Finish {
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// What may be sent after a token.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Piece {
    pub text: String,
    /// The tokens whose text has now been sent whole.
    pub noted: Vec<Noted>,
    pub finish: Option<Finish>,
}

impl Piece {
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.noted.is_empty() && self.finish.is_none()
    }
}

/// An answer that is being written.
#[derive(Debug)]
pub struct Transcript {
    stops: Arc<[String]>,
    stream: TextStream,
    /// All of the answer so far.
    text: String,
    /// Its length in characters.
    characters: usize,
    /// How much of it was given, bytes.
    given: usize,
    /// Tokens that are not given yet, each with the place where its text ends.
    noted: VecDeque<(usize, Noted)>,
}

impl Transcript {
    /// `stream`: of the text that begins with the answer, or goes on with it.
    pub fn new(stops: Arc<[String]>, stream: TextStream) -> Self {
        Self { stops, stream, text: String::new(), characters: 0, given: 0, noted: VecDeque::new() }
    }

    /// Takes a token, and gives what may be sent of the answer now.
    pub fn take(
        &mut self,
        tokenizer: &ModelTokenizer,
        token: u32,
        logprobs: Option<TokenLogprobs>,
        end: Option<End>,
    ) -> Piece {
        let (before, offset) = (self.text.len(), self.characters);
        // The token that ends an answer is no part of its text.
        if end != Some(End::StopToken) {
            self.text += &self.stream.push(tokenizer, token);
        }
        if end.is_some() {
            self.text += &self.stream.finish(tokenizer);
        }
        self.characters += self.text[before..].chars().count();
        if end != Some(End::StopToken)
            && let Some(logprobs) = logprobs
        {
            self.noted.push_back((self.text.len(), Noted { token, logprobs, offset }));
        }
        if let Some(cut) = self.stop_since(before) {
            return self.give(cut, Some(Finish::Stop));
        }
        match end {
            Some(End::StopToken) => self.give(self.text.len(), Some(Finish::Stop)),
            Some(End::Length) => self.give(self.text.len(), Some(Finish::Length)),
            None => self.give(self.text.len() - self.held_back(), None),
        }
    }

    fn give(&mut self, to: usize, finish: Option<Finish>) -> Piece {
        let text = self.text[self.given..to].to_owned();
        self.given = to;
        let whole = self.noted.iter().take_while(|(end, _)| *end <= to).count();
        let noted = self.noted.drain(..whole).map(|(_, noted)| noted).collect();
        Piece { text, noted, finish }
    }

    /// Where the first stop string begins that ends in the text after `before`.
    fn stop_since(&self, before: usize) -> Option<usize> {
        let find = |stop: &String| {
            let mut from = before.saturating_sub(stop.len() - 1);
            while !self.text.is_char_boundary(from) {
                from -= 1;
            }
            self.text[from..].find(stop.as_str()).map(|at| from + at)
        };
        self.stops.iter().filter_map(find).min()
    }

    /// Bytes at the end of the text that may be the beginning of a stop string.
    fn held_back(&self) -> usize {
        let longest = |stop: &String| {
            let prefixes = stop.char_indices().map(|(at, _)| at).filter(|&at| at > 0);
            prefixes.filter(|&at| self.text.ends_with(&stop[..at])).max().unwrap_or(0)
        };
        self.stops.iter().map(longest).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::ModelDirectory;

    fn tiny() -> ModelTokenizer {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sample/tiny-model");
        ModelTokenizer::open(&ModelDirectory::open(path).unwrap()).unwrap()
    }

    /// The pieces of a text, token by token, up to the first that ends it.
    fn pieces(text: &str, stops: &[&str], end: End) -> Vec<Piece> {
        let tokenizer = tiny();
        let stops: Arc<[String]> = stops.iter().map(|stop| stop.to_string()).collect();
        let mut transcript = Transcript::new(stops, TextStream::default());
        // Bytes one by one, so that every border lies inside a word.
        let ids: Vec<u32> = text.chars().flat_map(|character| tokenizer.encode(&character.to_string())).collect();
        let mut pieces = vec![];
        for (place, &id) in ids.iter().enumerate() {
            let is_last = place + 1 == ids.len();
            let logprobs = TokenLogprobs { logprob: -1.0, top: vec![] };
            let end = (is_last && end == End::Length).then_some(end);
            pieces.push(transcript.take(&tokenizer, id, Some(logprobs), end));
            if pieces.last().is_some_and(|piece| piece.finish.is_some()) {
                return pieces;
            }
        }
        pieces.push(transcript.take(&tokenizer, 2, None, Some(End::StopToken)));
        pieces
    }

    fn text(pieces: &[Piece]) -> String {
        pieces.iter().map(|piece| piece.text.as_str()).collect()
    }

    #[test]
    fn a_stop_string_across_tokens_is_never_sent() {
        let found = pieces("one two\nEND three", &["\nEND"], End::Length);
        assert_eq!(text(&found), "one two");
        assert_eq!(found.last().unwrap().finish, Some(Finish::Stop));
        let noted: usize = found.iter().map(|piece| piece.noted.len()).sum();
        assert_eq!(noted, 7, "the tokens of the text that was sent");
    }

    #[test]
    fn what_only_looked_like_one_is_sent_after_all() {
        let found = pieces("a \nEN b \nE", &["\nEND"], End::StopToken);
        assert_eq!(text(&found), "a \nEN b \nE");
        assert!(found[2].text.is_empty() && found[3].text.is_empty(), "held back while it may become one");
        assert_eq!(found.last().unwrap().finish, Some(Finish::Stop));
        assert_eq!(text(&pieces("aaab", &["aab"], End::StopToken)), "a", "a beginning inside a beginning");
    }

    #[test]
    fn the_first_of_several_counts_and_characters_stay_whole() {
        assert_eq!(text(&pieces("蜜蜂🌿采蜜", &["采", "🌿"], End::Length)), "蜜蜂");
        let found = pieces("蜜蜂", &["蛇"], End::Length);
        assert_eq!((text(&found).as_str(), found.last().unwrap().finish), ("蜜蜂", Some(Finish::Length)));
    }
}
