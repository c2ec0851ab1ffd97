//! Whether a ranking was given faster than its answers can be read.

/// Words that adults read silently in a minute (Brysbaert 2019, non-fiction), and the bytes of a word with its space.
const WORDS_A_MINUTE: f64 = 238.0;
const BYTES_A_WORD: f64 = 6.0;
/// Skimming is allowed; four times the reading speed is not.
const SHARE_OF_READING: f64 = 0.25;
/// Seconds for each byte of the answers below which a ranking is too fast.
pub const LEAST_SECONDS_A_BYTE: f64 = 60.0 / BYTES_A_WORD / WORDS_A_MINUTE * SHARE_OF_READING;

/// Whether `seconds` are fewer than a quarter of what reading `bytes` of answers takes. Chinese characters have three bytes and are
/// read at about half as many bytes a second, so for them this is the milder test.
pub fn is_too_fast(seconds: f64, bytes: u64) -> bool {
    seconds < bytes as f64 * LEAST_SECONDS_A_BYTE
}

/// The middle of the values; the mean of the two middle ones where they are even in number.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len().is_multiple_of(2) { (values[middle - 1] + upper) / 2.0 } else { upper })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_hundred_words_take_more_than_twenty_seconds() {
        // 2,400 bytes are 400 words, 101 seconds of reading.
        assert!(is_too_fast(20.0, 2400));
        assert!(!is_too_fast(30.0, 2400));
        assert!(!is_too_fast(0.0, 0));
    }

    #[test]
    fn the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![5.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }
}
