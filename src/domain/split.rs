//! Which part of the data a prompt belongs to: decided by the hash of its content, never by chance or by hand.

use laurel_records::Split;

use super::conversation::ContentHash;

/// The split of a prompt. `test_percent` and `validation_percent` of all hashes are held out; a prompt that is in the test
/// split stays there when the validation share changes.
pub fn of(hash: &ContentHash, validation_percent: i32, test_percent: i32) -> Split {
    let [a, b, c, d, e, f, g, h, ..] = *hash;
    // 0 to 99.99…: SHA-256 is uniform in its first 64 bits.
    let place = u64::from_be_bytes([a, b, c, d, e, f, g, h]) as f64 / 2f64.powi(64) * 100.0;
    if place < f64::from(test_percent) {
        Split::Test
    } else if place < f64::from(test_percent + validation_percent) {
        Split::Validation
    } else {
        Split::Train
    }
}

#[cfg(test)]
mod tests {
    use laurel_records::{Message, Role};

    use super::*;
    use crate::domain::conversation::content_hash;

    fn hash(number: usize) -> ContentHash {
        content_hash(&[Message { role: Role::User, content: format!("question {number}") }])
    }

    #[test]
    fn shares_are_what_the_project_says() {
        let count = |wanted: Split| (0..20_000).filter(|number| of(&hash(*number), 10, 20) == wanted).count() as f64;
        // Binomial: three standard deviations of 20,000 draws are 0.64 and 0.85 %.
        assert!((count(Split::Validation) / 20_000.0 - 0.1).abs() < 0.0064);
        assert!((count(Split::Test) / 20_000.0 - 0.2).abs() < 0.0085);
    }

    #[test]
    fn ends_of_the_scale() {
        assert_eq!(of(&[0; 32], 10, 10), Split::Test);
        assert_eq!(of(&[0; 32], 10, 0), Split::Validation);
        assert_eq!(of(&[255; 32], 50, 40), Split::Train);
        assert_eq!(of(&[0; 32], 0, 0), Split::Train);
    }

    #[test]
    fn the_test_split_does_not_move_when_the_validation_share_does() {
        for number in 0..500 {
            let (before, after) = (of(&hash(number), 10, 10), of(&hash(number), 30, 10));
            assert_eq!(before == Split::Test, after == Split::Test);
        }
    }
}
