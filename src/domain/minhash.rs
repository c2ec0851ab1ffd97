//! Near-duplicate texts by MinHash (Broder 1997) and banding (Leskovec, Rajaraman & Ullman, Mining of Massive Datasets, ch. 3):
//! bands find candidates without comparing every pair, and the Jaccard similarity of the shingles decides.

use std::collections::{HashMap, HashSet};

/// Signs of a shingle: three suit words of letters and words of one or two Chinese characters.
const SHINGLE: usize = 3;
/// Least hash values a text, in bands of rows: two texts of similarity s are compared with probability
/// 1 − (1 − s⁴)³², which is above 0.98 from s = 0.6 on.
const BANDS: usize = 32;
const ROWS: usize = 4;
const HASHES: usize = BANDS * ROWS;

/// The shingles of a text, as hashes in order, each once: small letters, without punctuation, white space as one space.
///
/// Of 32 bits: those of every text are kept, and of two texts of a thousand shingles one pair in four thousand has one that both seem
/// to share and don't.
pub fn shingles(text: &str) -> Box<[u32]> {
    let mut signs: Vec<char> = Vec::new();
    for sign in text.chars().flat_map(char::to_lowercase) {
        if sign.is_alphanumeric() {
            signs.push(sign);
        } else if signs.last().is_some_and(|last| *last != ' ') {
            signs.push(' ');
        }
    }
    if signs.last() == Some(&' ') {
        signs.pop();
    }
    if signs.is_empty() {
        return Box::default();
    }
    let mut hashes: Vec<u32> = signs.windows(SHINGLE.min(signs.len())).map(hash_of).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes.into_boxed_slice()
}

/// |A ∩ B| ÷ |A ∪ B| of values in order; two empty sets are alike.
pub fn jaccard(a: &[u32], b: &[u32]) -> f64 {
    let (mut shared, mut from) = (0, 0);
    for value in a {
        while b.get(from).is_some_and(|other| other < value) {
            from += 1;
        }
        shared += usize::from(b.get(from) == Some(value));
    }
    let all = a.len() + b.len() - shared;
    if all == 0 { 1.0 } else { shared as f64 / all as f64 }
}

/// The least value of each of the hash functions over the shingles. The share of equal places in two signatures estimates their
/// Jaccard similarity.
pub fn signature(shingles: &[u32]) -> [u64; HASHES] {
    let functions: [u64; HASHES] = std::array::from_fn(|place| mix(place as u64 + 1).wrapping_mul(2) | 1);
    let mut least = [u64::MAX; HASHES];
    for shingle in shingles {
        for (least, function) in least.iter_mut().zip(functions) {
            *least = (*least).min(mix(u64::from(*shingle).wrapping_add(function)));
        }
    }
    least
}

/// Takes texts one after the other and tells of each whether an earlier one is nearly the same.
#[derive(Debug)]
pub struct NearDuplicates<K> {
    least_similarity: f64,
    /// Texts that are no near-duplicates, with their shingles.
    kept: Vec<(K, Box<[u32]>)>,
    /// Kept texts by the hash of a band and its part of the signature.
    buckets: HashMap<u64, Vec<usize>>,
}

impl<K: Copy> NearDuplicates<K> {
    /// Texts are near-duplicates from this similarity on, 0 to 1.
    pub fn new(least_similarity: f64) -> Self {
        NearDuplicates { least_similarity, kept: Vec::new(), buckets: HashMap::new() }
    }

    /// The kept text that is most like this one, if any is like enough; else this one is kept. A text without letters is
    /// like no other.
    pub fn add(&mut self, key: K, text: &str) -> Option<(K, f64)> {
        let (shingles, signature) = sketch(text)?;
        let found = self.find(&shingles, &signature);
        if found.is_none() {
            self.insert(key, shingles, &signature);
        }
        found
    }

    /// Keeps a text whatever it is like.
    pub fn keep(&mut self, key: K, text: &str) {
        if let Some((shingles, signature)) = sketch(text) {
            self.insert(key, shingles, &signature);
        }
    }

    fn insert(&mut self, key: K, shingles: Box<[u32]>, signature: &[u64; HASHES]) {
        for bucket in bands(signature) {
            self.buckets.entry(bucket).or_default().push(self.kept.len());
        }
        self.kept.push((key, shingles));
    }

    fn find(&self, shingles: &[u32], signature: &[u64; HASHES]) -> Option<(K, f64)> {
        let candidates: HashSet<usize> =
            bands(signature).filter_map(|bucket| self.buckets.get(&bucket)).flatten().copied().collect();
        candidates
            .into_iter()
            .map(|place| (place, jaccard(shingles, &self.kept[place].1)))
            .filter(|(_, similarity)| *similarity >= self.least_similarity)
            // The first of equals: the same texts in the same order give the same answer.
            .max_by(|(one, a), (other, b)| a.total_cmp(b).then(other.cmp(one)))
            .map(|(place, similarity)| (self.kept[place].0, similarity))
    }
}

/// What is compared of a text; `None` where it has no letters.
fn sketch(text: &str) -> Option<(Box<[u32]>, [u64; HASHES])> {
    let shingles = shingles(text);
    let signature = signature(&shingles);
    (!shingles.is_empty()).then_some((shingles, signature))
}

/// The hash of each band with its part of a signature. Two parts of one hash cost a comparison that finds nothing.
fn bands(signature: &[u64; HASHES]) -> impl Iterator<Item = u64> + '_ {
    let parts = signature.chunks_exact(ROWS).zip(1_u64..);
    parts.map(|(rows, band)| rows.iter().fold(band, |hash, row| mix(hash ^ row)))
}

/// FNV-1a over the signs, mixed; the upper half.
fn hash_of(signs: &[char]) -> u32 {
    let hash = signs.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, sign| {
        (hash ^ u64::from(u32::from(*sign))).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (mix(hash) >> 32) as u32
}

/// The finaliser of SplitMix64 (Steele, Lea & Flood 2014).
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shingles_pass_over_case_and_punctuation() {
        assert_eq!(shingles("The  sky, is BLUE!"), shingles("the sky is blue"));
        assert_eq!(shingles("abcd").len(), 2);
        assert_eq!(shingles("你好吗").len(), 1);
        assert!(shingles("?!").is_empty());
    }

    #[test]
    fn similarity_is_shared_over_all() {
        // abc bcd cde | bcd cde def: two of four.
        assert_eq!(jaccard(&shingles("abcde"), &shingles("bcdef")), 0.5);
    }

    /// The estimate of a signature of n places has the standard error √(s(1−s)/n): 0.044 at s = 0.5 and n = 128.
    #[test]
    fn signatures_estimate_the_similarity() {
        let words = |from: u64| {
            let mut words: Vec<u32> = (from..from + 300).map(|word| (mix(word) >> 32) as u32).collect();
            words.sort_unstable();
            words
        };
        let (one, other) = (words(0), words(100));
        // 200 shared of 400 in all.
        assert_eq!(jaccard(&one, &other), 0.5);
        let (one, other) = (signature(&one), signature(&other));
        let equal = one.iter().zip(&other).filter(|(a, b)| a == b).count() as f64 / HASHES as f64;
        assert!((equal - 0.5).abs() < 3.0 * 0.044, "{equal}");
    }

    #[test]
    fn the_nearest_kept_text_is_named_and_other_texts_are_kept() {
        let mut seen = NearDuplicates::new(0.8);
        assert_eq!(seen.add(1, "Write a short poem about a bee that is afraid of flowers in the spring."), None);
        assert_eq!(seen.add(2, "How do bees make honey? Explain it to a child of ten."), None);
        let found = seen.add(3, "Write a short poem about a bee that's afraid of flowers in the spring!");
        assert_eq!(found.map(|(key, _)| key), Some(1));
        assert_eq!(seen.add(4, "蜜蜂怎样酿蜜？请用简单的话向十岁的孩子解释清楚。"), None);
        let found = seen.add(5, "蜜蜂怎样酿蜜？请用简单的话向十岁的孩子解释清楚吧！");
        assert_eq!(found.map(|(key, _)| key), Some(4));
        assert_eq!(seen.add(6, "!"), None);
        assert_eq!(seen.add(7, "?"), None);
    }
}
