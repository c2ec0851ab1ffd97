//! What was reckoned from many labels, kept in memory until there are new ones. What took long is shown a little old, with the time
//! that it is of, while it is reckoned anew: nobody waits for it twice.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use time::OffsetDateTime;

/// Entries that are kept; the oldest goes first.
const MOST: usize = 16;
/// What takes longer is not waited for where an older result is here.
const PATIENCE: Duration = Duration::from_secs(1);

/// A result with the stamp of the labels that it was reckoned from.
struct Entry<K, V> {
    key: K,
    stamp: i64,
    value: Arc<V>,
    at: OffsetDateTime,
    took: Duration,
    /// A newer one is being reckoned.
    renewing: bool,
}

/// A result as it is shown.
pub struct Shown<V> {
    pub value: Arc<V>,
    /// The time that it is of, where there are newer labels; they are being reckoned.
    pub as_of: Option<OffsetDateTime>,
}

/// Results by key.
pub struct Kept<K, V>(Mutex<Vec<Entry<K, V>>>);

impl<K, V> Kept<K, V>
where
    K: PartialEq + Clone + Send + 'static,
    V: Send + Sync + 'static,
{
    pub const fn new() -> Self {
        Kept(Mutex::new(Vec::new()))
    }

    /// The result of these very labels; an older one, if it is here and reckoning took long; else it is reckoned now.
    pub async fn serve<R>(
        &'static self,
        key: K,
        stamp: i64,
        reckon: impl FnOnce() -> R,
    ) -> Result<Shown<V>, anyhow::Error>
    where
        R: Future<Output = anyhow::Result<V>> + Send + 'static,
    {
        match self.find(&key, stamp) {
            Found::Fresh(value) => return Ok(Shown { value, as_of: None }),
            Found::Older { value, at, begin } => {
                if begin {
                    let reckoning = reckon();
                    tokio::spawn(async move {
                        let begun = Instant::now();
                        match reckoning.await {
                            Ok(value) => drop(self.keep(key, stamp, value, begun.elapsed())),
                            Err(error) => {
                                tracing::warn!(%error, "figures could not be reckoned anew");
                                self.give_up(&key);
                            }
                        }
                    });
                }
                return Ok(Shown { value, as_of: Some(at) });
            }
            Found::Nothing => {}
        }
        let begun = Instant::now();
        let value = reckon().await?;
        Ok(Shown { value: self.keep(key, stamp, value, begun.elapsed()), as_of: None })
    }

    fn find(&self, key: &K, stamp: i64) -> Found<V> {
        let mut entries = self.lock();
        match entries.iter_mut().find(|entry| entry.key == *key) {
            Some(entry) if entry.stamp == stamp => Found::Fresh(entry.value.clone()),
            Some(entry) if entry.took >= PATIENCE => {
                let begin = !std::mem::replace(&mut entry.renewing, true);
                Found::Older { value: entry.value.clone(), at: entry.at, begin }
            }
            _ => Found::Nothing,
        }
    }

    /// Keeps a result in place of an older one of the same key.
    fn keep(&self, key: K, stamp: i64, value: V, took: Duration) -> Arc<V> {
        let value = Arc::new(value);
        let mut entries = self.lock();
        entries.retain(|entry| entry.key != key);
        if entries.len() >= MOST {
            entries.remove(0);
        }
        let at = OffsetDateTime::now_utc();
        entries.push(Entry { key, stamp, value: value.clone(), at, took, renewing: false });
        value
    }

    /// The next reader tries again.
    fn give_up(&self, key: &K) {
        self.lock().iter_mut().filter(|entry| entry.key == *key).for_each(|entry| entry.renewing = false);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry<K, V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Found<V> {
    Fresh(Arc<V>),
    /// `begin`: nobody is reckoning it anew yet; the caller is to.
    Older {
        value: Arc<V>,
        at: OffsetDateTime,
        begin: bool,
    },
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result that a reader of labels with this stamp sees, and whether it is old.
    async fn seen(kept: &'static Kept<&'static str, i64>, key: &'static str, stamp: i64) -> (i64, bool) {
        let shown = kept.serve(key, stamp, move || async move { Ok(stamp * 10) }).await.expect("a result");
        (*shown.value, shown.as_of.is_some())
    }

    #[tokio::test]
    async fn a_result_holds_until_there_are_new_labels() {
        static KEPT: Kept<&str, i64> = Kept::new();
        assert_eq!(seen(&KEPT, "sample", 7).await, (70, false));
        assert!(matches!(KEPT.find(&"sample", 7), Found::Fresh(_)));
        assert_eq!(seen(&KEPT, "sample", 8).await, (80, false), "what is quick is reckoned at once");
        for key in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"] {
            seen(&KEPT, key, 1).await;
        }
        assert!(matches!(KEPT.find(&"sample", 8), Found::Nothing), "the oldest went");
    }

    #[tokio::test]
    async fn what_takes_long_is_shown_old_while_it_is_reckoned_once() {
        static KEPT: Kept<&str, i64> = Kept::new();
        KEPT.keep("sample", 7, 70, PATIENCE);
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let slow = move || async move {
            wait.await.expect("told to go on");
            Ok(80)
        };
        let shown = KEPT.serve("sample", 8, slow).await.expect("at once");
        assert_eq!((*shown.value, shown.as_of.is_some()), (70, true));
        let never = || async { panic!("two at once") };
        assert_eq!(*KEPT.serve("sample", 8, never).await.expect("at once").value, 70);
        go.send(()).expect("it waits");
        while !matches!(KEPT.find(&"sample", 8), Found::Fresh(_)) {
            tokio::task::yield_now().await;
        }
        assert_eq!(seen(&KEPT, "sample", 8).await, (80, false));
    }
}
