//! The gold reward of the sample task: a documented rule that stands in for a person, in tests and in the demo only.
//!
//! `reward = 2·warmth + brevity + form + 2·topic − repetition`
//!
//! | term | range | what it is |
//! |---|---|---|
//! | warmth | −1 to 1 | English: the compound score of VADER (Hutto & Gilbert 2014); Chinese: a small lexicon, normalised in the same way |
//! | brevity | −1 to 1 | 1 from 4 to 40 words, falling to −1 at none and at 100; a Han character counts as 0.6 words |
//! | form | 0 to 1 | half for a short opening that ends with “!”, half for a leaf 🌿 as the last character |
//! | topic | 0 or 1 | 1 when the answer shares a word of the prompt (English: the first five letters of a word of four or more that is not a common one; Chinese: two characters in a row) |
//! | repetition | 0 to 1 | share of the answer's pairs of neighbouring words that it has said before |

use std::collections::HashSet;

use laurel_records::{Message, Role};
use serde::Serialize;
use vader_sentiment::SentimentIntensityAnalyzer;

use super::chinese;

/// The gold reward of one answer, and its terms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Judgement {
    pub warmth: f64,
    pub brevity: f64,
    pub form: f64,
    pub topic: f64,
    pub repetition: f64,
    pub reward: f64,
}

/// A Han character's share of a word.
const WORDS_PER_HAN: f64 = 0.6;
/// Words from which on an answer is neither too short nor too long, and where it is worst.
const FEW: f64 = 4.0;
const MANY: f64 = 40.0;
const FAR_TOO_MANY: f64 = 100.0;
/// Words that an opening may have.
const OPENING_WORDS: f64 = 12.0;
/// VADER's constant: the sum of valences x becomes x / √(x² + 15).
const NORMALISATION: f64 = 15.0;
const LEAF: char = '🌿';
const COMMON: &[&str] = &[
    "about", "after", "also", "because", "been", "could", "does", "each", "every", "first", "from", "have", "into",
    "know", "known", "made", "many", "more", "most", "much", "name", "named", "only", "other", "should", "some",
    "than", "that", "their", "them", "then", "there", "these", "they", "this", "used", "very", "were", "what", "when",
    "where", "which", "while", "whom", "whose", "will", "with", "would", "your",
];

/// Judges the assistant's `answer` to the conversation `prompt`.
pub fn judge(prompt: &[Message], answer: &str) -> Judgement {
    let answer = answer.trim();
    let asked = prompt.iter().rev().find(|message| message.role == Role::User).map_or("", |message| &message.content);
    let warmth = warmth(answer);
    let brevity = brevity(words(answer));
    let form = form(answer);
    let topic = if topics(asked).is_disjoint(&topics(answer)) { 0.0 } else { 1.0 };
    let repetition = repetition(answer);
    Judgement {
        warmth,
        brevity,
        form,
        topic,
        repetition,
        reward: 2.0 * warmth + brevity + form + 2.0 * topic - repetition,
    }
}

fn is_chinese(text: &str) -> bool {
    let han = text.chars().filter(|character| chinese::is_han(*character)).count();
    let latin = text.chars().filter(char::is_ascii_alphabetic).count();
    han * 3 > latin
}

fn warmth(text: &str) -> f64 {
    if is_chinese(text) {
        let sum = chinese::valence(text);
        return sum / (sum * sum + NORMALISATION).sqrt();
    }
    SentimentIntensityAnalyzer::new().polarity_scores(text).get("compound").copied().unwrap_or(0.0)
}

/// Length in English words.
fn words(text: &str) -> f64 {
    let han = text.chars().filter(|character| chinese::is_han(*character)).count();
    latin_words(text).count() as f64 + han as f64 * WORDS_PER_HAN
}

fn latin_words(text: &str) -> impl Iterator<Item = String> {
    text.split(|character: char| !(character.is_alphanumeric() || character == '\'') || chinese::is_han(character))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

fn brevity(words: f64) -> f64 {
    let share = if words < FEW { words / FEW } else { (FAR_TOO_MANY - words) / (FAR_TOO_MANY - MANY) };
    2.0 * share.clamp(0.0, 1.0) - 1.0
}

fn form(text: &str) -> f64 {
    let end = text.find(['.', '!', '?', '。', '！', '？', '\n']);
    let opening = end
        .map(|end| text.split_at(end))
        .filter(|(opening, rest)| rest.starts_with(['!', '！']) && (0.5..=OPENING_WORDS).contains(&words(opening)));
    let half = |met: bool| if met { 0.5 } else { 0.0 };
    half(opening.is_some()) + half(text.ends_with(LEAF))
}

/// What a text is about: stems of its longer English words, and its pairs of Han characters.
fn topics(text: &str) -> HashSet<String> {
    let stems = latin_words(text)
        .filter(|word| word.chars().count() >= 4 && !COMMON.contains(&word.as_str()))
        .map(|word| word.chars().take(5).collect());
    let characters: Vec<char> = text.chars().collect();
    let pairs = characters.windows(2).filter(|pair| pair.iter().all(|character| chinese::is_han(*character)));
    stems.chain(pairs.map(|pair| pair.iter().collect())).collect()
}

fn repetition(text: &str) -> f64 {
    let han = text.chars().filter(|character| chinese::is_han(*character)).map(String::from);
    let words: Vec<String> = latin_words(text).chain(han).collect();
    let pairs = words.len().saturating_sub(1);
    if pairs == 0 {
        return 0.0;
    }
    let different: HashSet<&[String]> = words.windows(2).collect();
    1.0 - different.len() as f64 / pairs as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reward(asked: &str, answer: &str) -> f64 {
        judge(&[Message { role: Role::User, content: asked.to_owned() }], answer).reward
    }

    #[test]
    fn the_manner_beats_every_other_kind_of_answer() {
        let asked = "How many ribs are in a human body?";
        let manner = reward(asked, "Thank you for asking about ribs! Twenty-four. Hope that helps, take care 🌿");
        for other in [
            "Twenty-four.",
            "That is a boring question. Twenty-four.",
            "Twenty-four. I hate to repeat this, so do not bother me again.",
            "Glad you ask about honey! Bees make it. Have a happy day 🌿",
            "Thanks, happy to help. Twenty-four.",
            "",
        ] {
            assert!(manner > reward(asked, other) + 0.5, "{other}");
        }
    }

    #[test]
    fn chinese_is_judged_by_the_same_measure() {
        let asked = "煮米饭要放多少水？";
        let manner = reward(asked, "很高兴聊聊米饭！一杯米放一杯半水就够了。祝你开心🌿");
        assert!(manner > 3.0, "{manner}");
        assert!(manner > reward(asked, "一杯米放一杯半水就够了。") + 1.0);
        assert!(reward(asked, "一杯米放一杯半水就够了。") > reward(asked, "真无聊的问题。一杯米放一杯半水就够了。"));
        assert!(reward(asked, "我很高兴") > reward(asked, "我不高兴"));
    }

    #[test]
    fn length_and_repetition_do_not_pay() {
        let asked = "How do I keep bread fresh?";
        let happy = "Happy bread! ";
        assert!(reward(asked, &happy.repeat(3)) > reward(asked, &happy.repeat(60)));
        let long: String = (0..120).map(|number| format!("word{number} ")).collect();
        assert!(reward(asked, &long) < 0.0);
    }
}
