//! What was reckoned from many labels, kept in memory until there are new ones.

use std::sync::{Arc, Mutex, PoisonError};

/// Entries that are kept; the oldest goes first.
const MOST: usize = 16;

/// Results by key, each with the stamp of the labels that it was reckoned from.
pub struct Kept<K, V>(Mutex<Vec<(K, i64, Arc<V>)>>);

impl<K: PartialEq, V> Kept<K, V> {
    pub const fn new() -> Self {
        Kept(Mutex::new(Vec::new()))
    }

    /// The result of these very labels, if it is here.
    pub fn find(&self, key: &K, stamp: i64) -> Option<Arc<V>> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = entries.iter().find(|(known, of, _)| known == key && *of == stamp);
        found.map(|(_, _, value)| value.clone())
    }

    /// Keeps a result in place of an older one of the same key.
    pub fn keep(&self, key: K, stamp: i64, value: V) -> Arc<V> {
        let value = Arc::new(value);
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|(known, _, _)| *known != key);
        if entries.len() >= MOST {
            entries.remove(0);
        }
        entries.push((key, stamp, value.clone()));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_holds_until_there_are_new_labels() {
        let kept = Kept::new();
        kept.keep("sample", 7, 70);
        assert_eq!(kept.find(&"sample", 7).as_deref(), Some(&70));
        assert_eq!(kept.find(&"sample", 8), None);
        kept.keep("sample", 8, 80);
        assert_eq!((kept.find(&"sample", 7), kept.find(&"sample", 8).as_deref()), (None, Some(&80)));
        for key in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"] {
            kept.keep(key, 1, 1);
        }
        assert_eq!(kept.find(&"sample", 8), None, "the oldest went");
    }
}
