//! What was reckoned from many labels, kept in memory until there are new ones. Whoever comes first waits for it a moment and is
//! then told that it is under way. What took long is shown a little old, with the time that it is of, while it is reckoned anew.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use time::OffsetDateTime;
use tokio::sync::Notify;

/// Entries that are kept; the oldest goes first.
const MOST: usize = 16;
/// What takes longer is not waited for where an older result is here, unless a keeper is made with another time.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a page waits before it says that its figures are under way.
pub const A_MOMENT: Duration = Duration::from_millis(1500);
/// How long a file waits for its figures.
pub const TO_THE_END: Duration = Duration::from_secs(600);

/// A result with the stamp of the labels that it was reckoned from.
struct Entry<K, V> {
    key: K,
    stamp: i64,
    value: Arc<V>,
    at: OffsetDateTime,
    took: Duration,
}

/// A result as it is shown.
pub struct Shown<V> {
    pub value: Arc<V>,
    /// The time that it is of, where there are newer labels; they are being reckoned.
    pub as_of: Option<OffsetDateTime>,
}

struct State<K, V> {
    entries: Vec<Entry<K, V>>,
    /// What is being reckoned: never the same twice at once.
    under_way: Vec<K>,
}

/// Results by key.
pub struct Kept<K, V> {
    /// What takes longer is not waited for where an older result is here.
    patience: Duration,
    state: Mutex<State<K, V>>,
    /// Told whenever something that was under way has ended.
    ended: Notify,
}

impl<K, V> Kept<K, V>
where
    K: PartialEq + Clone + Send + 'static,
    V: Send + Sync + 'static,
{
    pub const fn new() -> Self {
        Kept::with_patience(PATIENCE)
    }

    /// Keeps results of which an older one is shown as soon as reckoning takes as long as this.
    pub const fn with_patience(patience: Duration) -> Self {
        Kept {
            patience,
            state: Mutex::new(State { entries: Vec::new(), under_way: Vec::new() }),
            ended: Notify::const_new(),
        }
    }

    /// The result of these very labels; an older one, if it is here and reckoning took long; else it is reckoned now. `None`
    /// where that takes longer than `patience`: it goes on, and who asks again later finds it.
    pub async fn serve<R>(
        &'static self,
        key: K,
        stamp: i64,
        patience: Duration,
        reckon: impl FnOnce() -> R,
    ) -> Result<Option<Shown<V>>, anyhow::Error>
    where
        R: Future<Output = anyhow::Result<V>> + Send + 'static,
    {
        match tokio::time::timeout(patience, self.find_or_reckon(key, stamp, reckon)).await {
            Ok(found) => found.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// What is here of a key, of however old labels, and when it was reckoned.
    pub fn known(&self, key: &K) -> Option<(Arc<V>, OffsetDateTime)> {
        let state = self.lock();
        let entry = state.entries.iter().find(|entry| entry.key == *key)?;
        Some((entry.value.clone(), entry.at))
    }

    async fn find_or_reckon<R>(
        &'static self,
        key: K,
        stamp: i64,
        reckon: impl FnOnce() -> R,
    ) -> Result<Shown<V>, anyhow::Error>
    where
        R: Future<Output = anyhow::Result<V>> + Send + 'static,
    {
        let mut reckon = Some(reckon);
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            let (found, begin) = self.find(&key, stamp);
            let begun = reckon.take_if(|_| begin).map(|reckon| self.begin(key.clone(), stamp, reckon()));
            match (found, begun) {
                (Found::Fresh(value), _) => return Ok(Shown { value, as_of: None }),
                (Found::Older { value, at }, _) => return Ok(Shown { value, as_of: Some(at) }),
                (Found::Nothing, Some(task)) => return Ok(Shown { value: task.await??, as_of: None }),
                (Found::Nothing, None) => ended.await,
            }
        }
    }

    /// Reckons whether or not somebody goes on waiting.
    fn begin<R>(&'static self, key: K, stamp: i64, reckoning: R) -> tokio::task::JoinHandle<anyhow::Result<Arc<V>>>
    where
        R: Future<Output = anyhow::Result<V>> + Send + 'static,
    {
        tokio::spawn(async move {
            let _ending = Ending { kept: self, key: key.clone() };
            let begun = Instant::now();
            match reckoning.await {
                Ok(value) => Ok(self.keep(key, stamp, value, begun.elapsed())),
                Err(error) => {
                    tracing::warn!(%error, "figures could not be reckoned");
                    Err(error)
                }
            }
        })
    }

    /// What is here, and whether the caller is to reckon: it then counts as under way.
    fn find(&self, key: &K, stamp: i64) -> (Found<V>, bool) {
        let mut state = self.lock();
        let found = match state.entries.iter().find(|entry| entry.key == *key) {
            Some(entry) if entry.stamp == stamp => return (Found::Fresh(entry.value.clone()), false),
            Some(entry) if entry.took >= self.patience => Found::Older { value: entry.value.clone(), at: entry.at },
            _ => Found::Nothing,
        };
        let begin = !state.under_way.contains(key);
        if begin {
            state.under_way.push(key.clone());
        }
        (found, begin)
    }

    /// Keeps a result in place of an older one of the same key.
    fn keep(&self, key: K, stamp: i64, value: V, took: Duration) -> Arc<V> {
        let value = Arc::new(value);
        let entries = &mut self.lock().entries;
        entries.retain(|entry| entry.key != key);
        if entries.len() >= MOST {
            entries.remove(0);
        }
        entries.push(Entry { key, stamp, value: value.clone(), at: OffsetDateTime::now_utc(), took });
        value
    }

    fn lock(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// However a reckoning ends, the next reader may begin another.
struct Ending<K: PartialEq + Clone + Send + 'static, V: Send + Sync + 'static> {
    kept: &'static Kept<K, V>,
    key: K,
}

impl<K: PartialEq + Clone + Send + 'static, V: Send + Sync + 'static> Drop for Ending<K, V> {
    fn drop(&mut self) {
        self.kept.lock().under_way.retain(|key| *key != self.key);
        self.kept.ended.notify_waiters();
    }
}

enum Found<V> {
    Fresh(Arc<V>),
    Older { value: Arc<V>, at: OffsetDateTime },
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result that a reader of labels with this stamp sees, and whether it is old.
    async fn seen(kept: &'static Kept<&'static str, i64>, key: &'static str, stamp: i64) -> (i64, bool) {
        let shown = kept.serve(key, stamp, TO_THE_END, move || async move { Ok(stamp * 10) }).await.expect("a result");
        let shown = shown.expect("it was waited for");
        (*shown.value, shown.as_of.is_some())
    }

    fn is_fresh(kept: &Kept<&'static str, i64>, stamp: i64) -> bool {
        matches!(kept.find(&"sample", stamp).0, Found::Fresh(_))
    }

    #[tokio::test]
    async fn a_result_holds_until_there_are_new_labels() {
        static KEPT: Kept<&str, i64> = Kept::new();
        assert_eq!(seen(&KEPT, "sample", 7).await, (70, false));
        assert!(is_fresh(&KEPT, 7));
        assert_eq!(KEPT.known(&"sample").map(|(value, _)| *value), Some(70));
        assert!(KEPT.known(&"nothing").is_none(), "to look is not to reckon");
        assert_eq!(seen(&KEPT, "sample", 8).await, (80, false), "what is quick is reckoned at once");
        for key in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"] {
            seen(&KEPT, key, 1).await;
        }
        assert!(!is_fresh(&KEPT, 8), "the oldest went");
    }

    #[tokio::test]
    async fn a_keeper_may_be_less_patient() {
        static KEPT: Kept<&str, i64> = Kept::with_patience(Duration::ZERO);
        assert_eq!(seen(&KEPT, "sample", 7).await, (70, false));
        assert_eq!(seen(&KEPT, "sample", 8).await, (70, true));
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
        let shown = KEPT.serve("sample", 8, TO_THE_END, slow).await.expect("at once").expect("at once");
        assert_eq!((*shown.value, shown.as_of.is_some()), (70, true));
        let never = || async { panic!("two at once") };
        let shown = KEPT.serve("sample", 8, TO_THE_END, never).await.expect("at once").expect("at once");
        assert_eq!(*shown.value, 70);
        go.send(()).expect("it waits");
        while !is_fresh(&KEPT, 8) {
            tokio::task::yield_now().await;
        }
        assert_eq!(seen(&KEPT, "sample", 8).await, (80, false));
    }

    #[tokio::test]
    async fn the_first_readers_are_told_that_it_is_under_way_and_it_goes_on_once() {
        static KEPT: Kept<&str, i64> = Kept::new();
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let slow = move || async move {
            wait.await.expect("told to go on");
            Ok(70)
        };
        let shortly = Duration::from_millis(1);
        assert!(KEPT.serve("sample", 7, shortly, slow).await.expect("no fault").is_none());
        let never = || async { panic!("two at once") };
        assert!(KEPT.serve("sample", 7, shortly, never).await.expect("no fault").is_none());
        let waiting = tokio::spawn(KEPT.serve("sample", 7, TO_THE_END, never));
        tokio::task::yield_now().await;
        go.send(()).expect("it waits");
        let shown = waiting.await.expect("no panic").expect("no fault").expect("it waited to the end");
        assert_eq!((*shown.value, shown.as_of.is_some()), (70, false));
    }

    #[tokio::test]
    async fn after_a_fault_the_next_reader_tries_again() {
        static KEPT: Kept<&str, i64> = Kept::new();
        let fails = || async { Err(anyhow::anyhow!("no database")) };
        assert!(KEPT.serve("sample", 7, TO_THE_END, fails).await.is_err());
        assert_eq!(seen(&KEPT, "sample", 7).await, (70, false));
    }
}
