//! Large files on their way: whoever reads, hashes or writes one counts its bytes, and whoever watches is told of them.
//!
//! Models and checkpoints know no terminal, and a terminal knows no files: they meet here.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    path::Path,
    rc::Rc,
};

use safetensors::{Dtype, tensor::View};

thread_local! {
    static WATCHER: RefCell<Option<Rc<dyn Watcher>>> = const { RefCell::new(None) };
}

/// Is told of every transfer on the thread that it watches.
pub trait Watcher {
    /// A transfer of `total` bytes begins; it is over when the gauge is dropped. `what`: `Reading sft-3`.
    fn begin(&self, what: String, total: u64) -> Box<dyn Gauge>;
}

/// How far one transfer is.
pub trait Gauge {
    /// So many bytes are done.
    fn reached(&self, done: u64);
}

/// While it lives, transfers of this thread are told to a watcher.
#[must_use = "it is watched as long as this lives"]
pub struct Watching {
    before: Option<Rc<dyn Watcher>>,
}

impl Watching {
    /// Lets `watcher` watch this thread.
    pub fn by(watcher: impl Watcher + 'static) -> Self {
        Self { before: WATCHER.replace(Some(Rc::new(watcher))) }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        WATCHER.set(self.before.take());
    }
}

/// Bytes on their way from or to a file; the transfer is over when this is dropped.
pub struct Transfer {
    gauge: Option<Box<dyn Gauge>>,
    done: Cell<u64>,
}

impl Transfer {
    /// The reading of so many bytes at `path`.
    pub fn reading(path: &Path, total: u64) -> Self {
        Self::begin("Reading", path, total)
    }

    /// The digest of so many bytes at `path`.
    pub fn hashing(path: &Path, total: u64) -> Self {
        Self::begin("Hashing", path, total)
    }

    /// The writing of so many bytes to `path`.
    pub fn writing(path: &Path, total: u64) -> Self {
        Self::begin("Writing", path, total)
    }

    fn begin(doing: &str, path: &Path, total: u64) -> Self {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let watcher = WATCHER.with_borrow(Option::clone);
        Self { gauge: watcher.map(|watcher| watcher.begin(format!("{doing} {name}"), total)), done: Cell::new(0) }
    }

    /// So many more bytes are done.
    pub fn add(&self, bytes: usize) {
        let done = self.done.get() + bytes as u64;
        self.done.set(done);
        if let Some(gauge) = &self.gauge {
            gauge.reached(done);
        }
    }
}

/// A tensor that counts itself when it is written.
pub struct Counted<'a, V> {
    tensor: V,
    transfer: &'a Transfer,
}

impl<'a, V: View> Counted<'a, V> {
    /// `tensor` as a part of `transfer`.
    pub fn new(tensor: V, transfer: &'a Transfer) -> Self {
        Self { tensor, transfer }
    }
}

impl<V: View> View for Counted<'_, V> {
    fn dtype(&self) -> Dtype {
        self.tensor.dtype()
    }

    fn shape(&self) -> &[usize] {
        self.tensor.shape()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let data = self.tensor.data();
        self.transfer.add(data.len());
        data
    }

    fn data_len(&self) -> usize {
        self.tensor.data_len()
    }
}

/// A watcher that writes everything down.
#[cfg(test)]
pub mod testing {
    use super::*;

    /// What began, its bytes in all, and those that were done when it was over.
    pub type Noted = (String, u64, u64);

    struct Notes(Rc<RefCell<Vec<Noted>>>);

    struct Line {
        at: usize,
        notes: Rc<RefCell<Vec<Noted>>>,
    }

    impl Watcher for Notes {
        fn begin(&self, what: String, total: u64) -> Box<dyn Gauge> {
            self.0.borrow_mut().push((what, total, 0));
            Box::new(Line { at: self.0.borrow().len() - 1, notes: self.0.clone() })
        }
    }

    impl Gauge for Line {
        fn reached(&self, done: u64) {
            self.notes.borrow_mut()[self.at].2 = done;
        }
    }

    /// What `work` gives, and the transfers that it made.
    pub fn watched<T>(work: impl FnOnce() -> T) -> (T, Vec<Noted>) {
        let notes = Rc::new(RefCell::new(vec![]));
        let _watching = Watching::by(Notes(notes.clone()));
        let result = work();
        (result, notes.take())
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::watched, *};

    #[test]
    fn a_thread_is_watched_until_its_watcher_leaves() {
        let ((), outer) = watched(|| {
            let transfer = Transfer::reading(Path::new("models/sft-3"), 9);
            let ((), inner) = watched(|| Transfer::hashing(Path::new("data.jsonl"), 3).add(3));
            assert_eq!(inner, [("Hashing data.jsonl".to_owned(), 3, 3)]);
            transfer.add(4);
            transfer.add(5);
        });
        assert_eq!(outer, [("Reading sft-3".to_owned(), 9, 9)]);
        // Nobody hears of it, and nothing fails.
        Transfer::writing(Path::new(".."), 1).add(1);
    }
}
