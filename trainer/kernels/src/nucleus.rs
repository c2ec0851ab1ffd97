//! Drawing from weights over a vocabulary: their sum, the nucleus of the likeliest, and the token at a point of the cumulated ones.
//!
//! Weights lie between 0 and 1, the likeliest has 1; sums are made in `f64`, in sixteen lanes. Nothing here sorts the vocabulary.

use crate::{math::LANES, wide};

/// Weights whose sum is compared at once with what is left of the point.
const BLOCK: usize = 64;
/// Sizes of weights are told apart by their exponent and the first three bits of their mantissa …
const COARSE: u32 = 20;
/// … and, where many have the size at which the nucleus ends, by eight bits more.
const FINE: u32 = 12;
const FINE_SIZES: usize = 1 << (COARSE - FINE);
/// What is so small, 2⁻³¹ and less, has one size: all of it together is hardly anything.
const SMALLEST: u32 = (127 - 31) << 3;
const SIZES: usize = ((1.0f32.to_bits() >> COARSE) - SMALLEST) as usize + 1;
/// Weights next to each other are counted in different tables: of one size, each addition would wait for the one before.
const TABLES: usize = 4;
/// So many weights of one size are looked at once more before they are sorted.
const MANY: usize = 64;

/// Σ weights
pub fn sum(weights: &[f32]) -> f64 {
    wide(
        #[inline(always)]
        || total(weights),
    )
}

#[inline(always)]
fn total(weights: &[f32]) -> f64 {
    let (chunks, rest) = weights.as_chunks::<LANES>();
    let mut lanes = [0.0f64; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] += f64::from(chunk[lane]);
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0] + rest.iter().map(|&weight| f64::from(weight)).sum::<f64>()
}

/// Keeps a weight when the larger ones together stay below `mass`, so the largest always, and makes the others 0; of equal ones the
/// first are kept. Returns the sum of what is kept.
///
/// The mass is counted by size of the weights, largest first, and only those of the size at which the nucleus ends are put in order.
pub fn keep_nucleus(weights: &mut [f32], mass: f64) -> f64 {
    let of_size = wide(
        #[inline(always)]
        || masses(weights),
    );
    let (last, mut likelier) = end(&of_size, 0.0, mass);
    let mut border = of_one_size(weights, last);
    let mut smallest = if last == 0 { 0 } else { (last as u32 + SMALLEST) << COARSE };
    // Sizes below the smallest have nothing in common that eight bits could tell apart.
    if border.len() > MANY && last > 0 {
        let mut of_size = [0.0; FINE_SIZES];
        border.iter().for_each(|&key| of_size[fine(key)] += f64::from(weights[token(key)]));
        let finer;
        (finer, likelier) = end(&of_size, likelier, mass);
        smallest |= (finer as u32) << FINE;
        border.retain(|&key| fine(key) == finer);
    }
    border.sort_unstable();
    let kept = border.iter().take_while(|&&key| {
        let keep = likelier < mass;
        likelier += f64::from(weights[token(key)]);
        keep
    });
    let kept = kept.count();
    border[kept..].iter().for_each(|&key| weights[token(key)] = 0.0);
    let smallest = f32::from_bits(smallest);
    wide(
        #[inline(always)]
        || {
            weights.iter_mut().for_each(|weight| *weight = if *weight < smallest { 0.0 } else { *weight });
            total(weights)
        },
    )
}

/// A number that grows with the weight: the bits of positive numbers are ordered as the numbers are.
#[inline(always)]
fn size(weight: f32) -> usize {
    ((weight.to_bits() >> COARSE).max(SMALLEST) - SMALLEST).min(SIZES as u32 - 1) as usize
}

/// What the weights of each size are together.
#[inline(always)]
fn masses(weights: &[f32]) -> [f64; SIZES] {
    let mut tables = [[0.0f64; SIZES]; TABLES];
    let (chunks, rest) = weights.as_chunks::<TABLES>();
    for chunk in chunks {
        for (table, &weight) in tables.iter_mut().zip(chunk) {
            table[size(weight)] += f64::from(weight);
        }
    }
    rest.iter().for_each(|&weight| tables[0][size(weight)] += f64::from(weight));
    let [mut sums, second, third, fourth] = tables;
    for (at, sum) in sums.iter_mut().enumerate() {
        *sum = (*sum + second[at]) + (third[at] + fourth[at]);
    }
    sums
}

/// The size at which the nucleus ends, and what larger ones have together with what there was before.
fn end(of_size: &[f64], before: f64, mass: f64) -> (usize, f64) {
    let (mut likelier, mut last) = (before, of_size.len() - 1);
    while last > 0 && likelier + of_size[last] < mass {
        likelier += of_size[last];
        last -= 1;
    }
    (last, likelier)
}

/// The weights of a size: once they are sorted, the largest first and of equal ones the first token. Both are in one number, which
/// sorts several times as fast as a comparison of two.
fn of_one_size(weights: &[f32], wanted: usize) -> Vec<u64> {
    let mut tokens = vec![0u32; weights.len()];
    let mut found = 0;
    // Written first and counted afterwards: no branch that is foretold wrongly.
    for (token, &weight) in (0u32..).zip(weights) {
        tokens[found] = token;
        found += usize::from(size(weight) == wanted);
    }
    let key = |&token: &u32| (u64::from(!weights[token as usize].to_bits()) << 32) | u64::from(token);
    tokens[..found].iter().map(key).collect()
}

fn token(key: u64) -> usize {
    (key & u64::from(u32::MAX)) as usize
}

/// Within a size, a number that grows with the weight.
fn fine(key: u64) -> usize {
    (!(key >> (32 + FINE)) as usize) % FINE_SIZES
}

/// The place at which the cumulated weights exceed `point`. Rounding may leave the point beyond the end: then it is the last that
/// has a weight; 0 where none has.
pub fn place(weights: &[f32], point: f64) -> usize {
    let mut left = point;
    let block = wide(
        #[inline(always)]
        || {
            weights.chunks(BLOCK).position(|block| {
                let sum = total(block);
                let here = left < sum;
                left -= if here { 0.0 } else { sum };
                here
            })
        },
    );
    let begun = block.unwrap_or(0) * BLOCK;
    let within = if block.is_some() { &weights[begun..weights.len().min(begun + BLOCK)] } else { weights };
    let mut last = 0;
    for (at, &weight) in within.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
        last = at;
        if block.is_some() && left < f64::from(weight) {
            break;
        }
        left -= f64::from(weight);
    }
    begun + last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(count: usize, spread: f32, seed: usize) -> Vec<f32> {
        let logits = (0..count).map(|at| ((at * 7919 + seed * 31) % 613) as f32 / 613.0 * spread);
        let mut weights: Vec<f32> = logits.map(|logit| (logit - spread).exp()).collect();
        if let Some(first) = weights.first_mut() {
            *first = 1.0;
        }
        weights
    }

    #[test]
    fn a_nucleus_is_what_sorting_gives() {
        // Nearly flat, as of a model that knows nothing, and steep; many of one weight; few.
        for (count, spread) in [(8192, 0.5), (8192, 30.0), (5000, 8.0), (49_152, 3.0), (70, 60.0), (3, 1.0), (1, 1.0)] {
            for top_p in [0.01, 0.5, 0.9, 0.95, 0.999, 0.999_999_9] {
                let before = weights(count, spread, 1);
                let sum: f64 = before.iter().map(|&weight| f64::from(weight)).sum();
                assert!((super::sum(&before) - sum).abs() < 1e-9 * sum);
                let mut found = before.clone();
                let kept = keep_nucleus(&mut found, top_p * sum);
                let mut order: Vec<usize> = (0..count).collect();
                order.sort_by(|&a, &b| before[b].total_cmp(&before[a]).then(a.cmp(&b)));
                let (mut likelier, mut expected) = (0.0, 0.0);
                for token in order {
                    // At the border the order of summing decides.
                    if (likelier / sum - top_p).abs() > 1e-9 {
                        let keeps = likelier < top_p * sum;
                        assert_eq!(found[token], if keeps { before[token] } else { 0.0 }, "{count} {spread} {top_p}");
                    }
                    expected += f64::from(found[token]);
                    likelier += f64::from(before[token]);
                }
                assert!((kept - expected).abs() < 1e-9 * expected, "{kept}, expected {expected}");
            }
        }
    }

    #[test]
    fn the_place_of_a_point_is_where_the_sum_exceeds_it() {
        for (count, every) in [(1000, 1), (1000, 3), (130, 64), (64, 1), (1, 1)] {
            let mut weights = weights(count, 4.0, 2);
            weights.iter_mut().enumerate().filter(|(at, _)| at % every != 0).for_each(|(_, weight)| *weight = 0.0);
            let mut before = 0.0;
            for (at, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
                assert_eq!(place(&weights, before + f64::from(weight) * 0.5), at, "{count} {every}");
                before += f64::from(weight);
            }
            assert_eq!(place(&weights, before * 1.001), (count - 1) / every * every, "beyond the end");
        }
        assert_eq!((place(&[], 0.5), place(&[0.0, 0.0], 0.0)), (0, 0));
    }

    #[test]
    fn numbers_that_are_none_end_it() {
        let mut weights = [1.0, f32::NAN, 0.5];
        assert!(keep_nucleus(&mut weights, f64::NAN).is_finite() || weights[1].is_nan());
        assert!(place(&weights, f64::NAN) < 3);
    }
}
