//! What differs between two texts, word by word; writing without spaces sign by sign.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};

/// Time after which what is left counts as different: long texts that share nothing.
const LONGEST: Duration = Duration::from_millis(250);

/// A piece of a text, and whether the other text has it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    pub text: &'a str,
    pub differs: bool,
}

/// Both texts in pieces; put together they are the texts again.
pub fn between<'a>(left: &'a str, right: &'a str) -> (Vec<Piece<'a>>, Vec<Piece<'a>>) {
    let (old, new) = (words(left), words(right));
    let (old_starts, new_starts) = (starts(&old), starts(&new));
    let deadline = Some(Instant::now() + LONGEST);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for op in capture_diff_slices_deadline(Algorithm::Myers, &old, &new, deadline) {
        let differs = !matches!(op, DiffOp::Equal { .. });
        add(&mut before, left, &old_starts, op.old_range(), differs);
        add(&mut after, right, &new_starts, op.new_range(), differs);
    }
    (before, after)
}

/// Where each word begins, in bytes, and the last one ends.
fn starts(words: &[&str]) -> Vec<usize> {
    let ends = words.iter().scan(0, |end, word| {
        *end += word.len();
        Some(*end)
    });
    std::iter::once(0).chain(ends).collect()
}

/// The words of a range as one piece of the text that they stand in.
fn add<'a>(pieces: &mut Vec<Piece<'a>>, text: &'a str, starts: &[usize], range: Range<usize>, differs: bool) {
    let (Some(start), Some(end)) = (starts.get(range.start), starts.get(range.end)) else { return };
    if let Some(text) = text.get(*start..*end).filter(|text| !text.is_empty()) {
        pieces.push(Piece { text, differs });
    }
}

/// Words, the spaces between them, and every other sign alone.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut last = None;
    for (at, sign) in text.char_indices() {
        let kind = kind(sign);
        if last.is_some_and(|last| last != kind || kind == Kind::Alone) {
            words.push(&text[start..at]);
            start = at;
        }
        last = Some(kind);
    }
    if start < text.len() {
        words.push(&text[start..]);
    }
    words
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Space,
    /// Punctuation, and signs of writing that has no spaces between words.
    Alone,
}

fn kind(sign: char) -> Kind {
    match sign {
        // Kana, ideographs of all planes, Thai, Lao, Khmer, Myanmar.
        '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' => Kind::Alone,
        '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}' => {
            Kind::Alone
        }
        // What joins to the sign before it: combining marks, joiners, variation selectors.
        '\u{0300}'..='\u{036F}' | '\u{200D}' | '\u{FE00}'..='\u{FE0F}' | '\'' | '’' => Kind::Word,
        sign if sign.is_whitespace() => Kind::Space,
        sign if sign.is_alphanumeric() => Kind::Word,
        _ => Kind::Alone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(pieces: &[Piece<'_>]) -> Vec<String> {
        pieces.iter().filter(|piece| piece.differs).map(|piece| piece.text.to_owned()).collect()
    }

    #[test]
    fn words_differ_as_wholes() {
        let (left, right) = between("Bees make sweet honey.", "Bees make good honey!");
        assert_eq!(
            (marked(&left), marked(&right)),
            (vec!["sweet".into(), ".".into()], vec!["good".into(), "!".into()])
        );
    }

    #[test]
    fn chinese_differs_sign_by_sign() {
        let (left, right) = between("蜜蜂采集花蜜。", "蜜蜂酿造花蜜。");
        assert_eq!((marked(&left), marked(&right)), (vec!["采集".to_owned()], vec!["酿造".to_owned()]));
    }

    #[test]
    fn both_texts_are_whole_whatever_they_are() {
        let texts =
            ["", "a", "né 👩‍🌾 قال\n\n x", "né 👩‍🌾  قال\n x y", &"long word ".repeat(3000), &"other text ".repeat(3000)];
        for left in texts {
            for right in texts {
                let (before, after) = between(left, right);
                let whole = |pieces: &[Piece<'_>]| pieces.iter().map(|piece| piece.text).collect::<String>();
                assert_eq!((whole(&before).as_str(), whole(&after).as_str()), (left, right));
            }
        }
    }
}
