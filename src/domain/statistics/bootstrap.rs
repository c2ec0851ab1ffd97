//! Bootstrap intervals: the estimate again and again, on clusters drawn with replacement.

/// How often to draw, and from which seed: the same labels give the same interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap {
    pub rounds: usize,
    pub seed: u64,
}

/// 95 % percentile intervals (Efron 1979) of what `estimate` gives. It gets how often each of `clusters` was drawn: clusters,
/// not single comparisons, because those of one prompt are alike.
pub fn intervals(
    clusters: usize,
    bootstrap: Bootstrap,
    mut estimate: impl FnMut(&[u32]) -> Vec<f64>,
) -> Vec<(f64, f64)> {
    let mut random = SplitMix64(bootstrap.seed);
    let mut found: Vec<Vec<f64>> = Vec::new();
    for _ in 0..bootstrap.rounds {
        let mut drawn = vec![0; clusters];
        for _ in 0..clusters {
            drawn[random.below(clusters)] += 1;
        }
        for (place, value) in estimate(&drawn).into_iter().enumerate() {
            if found.len() == place {
                found.push(Vec::with_capacity(bootstrap.rounds));
            }
            found[place].push(value);
        }
    }
    found
        .into_iter()
        .map(|mut values| {
            values.sort_unstable_by(f64::total_cmp);
            (quantile(&values, 0.025), quantile(&values, 0.975))
        })
        .collect()
}

/// The quantile of sorted values, between neighbours in proportion (type 7 of Hyndman & Fan 1996).
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (place - place.floor()) * (sorted[high] - sorted[low])
}

/// Steele, Lea & Flood 2014: small, and good enough to draw clusters.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `count`, by the upper bits of a product (Lemire 2019; its bias is below count/2⁶⁴).
    fn below(&mut self, count: usize) -> usize {
        let product = u128::from(self.next()) * count as u128;
        usize::try_from(product >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOTSTRAP: Bootstrap = Bootstrap { rounds: 2000, seed: 1 };

    #[test]
    fn the_first_numbers_of_splitmix64() {
        // As its authors' C code gives them from seed 1234567.
        let mut random = SplitMix64(1_234_567);
        assert_eq!(
            [random.next(), random.next(), random.next()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn the_mean_of_a_hundred_has_the_interval_that_theory_gives() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let mean = |drawn: &[u32]| vec![values.iter().zip(drawn).map(|(x, n)| x * f64::from(*n)).sum::<f64>() / 100.0];
        let found = intervals(100, BOOTSTRAP, mean);
        // Standard error of the mean of 0 to 99: √(9999/12/100) = 2.886.
        let (low, high) = found[0];
        assert!(
            (low - (49.5 - 1.96 * 2.886)).abs() < 0.5 && (high - (49.5 + 1.96 * 2.886)).abs() < 0.5,
            "{low} {high}"
        );
        assert_eq!(found, intervals(100, BOOTSTRAP, mean));
    }

    #[test]
    fn nothing_drawn_has_no_interval() {
        assert_eq!(intervals(0, BOOTSTRAP, |_| vec![]), []);
    }
}
