//! The order in which a training run sees its data.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A new order of `items` things for each epoch, a function of the seed and the epoch alone: a run that was killed finds
/// its place again by counting.
#[derive(Debug, Clone)]
pub struct Order {
    items: usize,
    seed: u64,
}

impl Order {
    pub fn new(items: usize, seed: u64) -> Self {
        Self { items, seed }
    }

    /// The order of one epoch: every index below `items` once (Fisher and Yates).
    pub fn epoch(&self, epoch: u64) -> Vec<usize> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(epoch);
        let mut order: Vec<usize> = (0..self.items).collect();
        for i in (1..order.len()).rev() {
            order.swap(i, rng.random_range(0..=i));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_has_every_item_once_in_an_order_of_its_own() {
        let order = Order::new(50, 3);
        let (first, second) = (order.epoch(0), order.epoch(1));
        for epoch in [&first, &second] {
            let mut sorted = epoch.clone();
            sorted.sort();
            assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        }
        assert_ne!(first, second);
        assert_ne!(first, Order::new(50, 4).epoch(0));
    }

    #[test]
    fn a_later_epoch_is_found_again_without_the_earlier_ones() {
        let order = Order::new(50, 3);
        let _ = (order.epoch(0), order.epoch(1));
        assert_eq!(order.epoch(7), Order::new(50, 3).epoch(7));
        assert!(Order::new(0, 3).epoch(0).is_empty());
    }
}
