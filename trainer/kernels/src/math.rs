//! Functions of one number, written so that the compiler turns a loop over them into vectors.

/// Sums are kept in so many lanes: one AVX-512 register, or two of AVX2.
pub const LANES: usize = 16;

/// eˣ within 2 units in the last place between −87.3 and 88; 0 below, e⁸⁸ above. NaN stays NaN.
///
/// Cody and Waite's reduction to |r| ≤ ln 2 / 2 and the polynomial of Cephes' `expf` (Moshier 1992).
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LOW: f32 = -87.3;
    const HIGH: f32 = 88.0;
    // Added to a small number, this leaves its nearest integer in the lowest bits (1.5 · 2²³).
    const TO_INTEGER: f32 = 12_582_912.0;
    let inside = if x < LOW { LOW } else { x };
    let inside = if inside > HIGH { HIGH } else { inside };
    let shifted = inside.mul_add(std::f32::consts::LOG2_E, TO_INTEGER);
    let n = shifted - TO_INTEGER;
    let r = n.mul_add(-0.693_359_4, inside);
    let r = n.mul_add(2.121_944_4e-4, r);
    let p = 1.987_569_1e-4_f32.mul_add(r, 1.398_2e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 1.666_666_5e-1);
    let p = p.mul_add(r, 5.000_000_3e-1);
    let p = p.mul_add(r * r, r + 1.0);
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    if x < LOW { 0.0 } else { p * power }
}

/// 1 / (1 + e⁻ˣ)
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Σ over lanes, in a fixed order.
#[inline(always)]
pub fn total(lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    let mut lanes = lanes;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// Σ f(aᵢ, bᵢ)
#[inline(always)]
pub fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    assert_eq!(a.len(), b.len());
    let mut lanes = [0.0f32; LANES];
    let (a_wide, a_rest) = a.as_chunks::<LANES>();
    let (b_wide, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_wide.iter().zip(b_wide) {
        for lane in 0..LANES {
            lanes[lane] += f(a[lane], b[lane]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(&a, &b)| f(a, b)).sum();
    total(lanes) + rest
}

/// Σ aᵢ·bᵢ
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let mut lanes = [[0.0f32; LANES]; 4];
    let (a_wide, a_rest) = a.as_chunks::<{ 4 * LANES }>();
    let (b_wide, b_rest) = b.as_chunks::<{ 4 * LANES }>();
    for (a, b) in a_wide.iter().zip(b_wide) {
        for part in 0..4 {
            for lane in 0..LANES {
                lanes[part][lane] = a[part * LANES + lane].mul_add(b[part * LANES + lane], lanes[part][lane]);
            }
        }
    }
    let [mut sum, second, third, fourth] = lanes;
    for lane in 0..LANES {
        sum[lane] = (sum[lane] + second[lane]) + (third[lane] + fourth[lane]);
    }
    let rest: f32 = sum2(a_rest, b_rest, |a, b| a * b);
    total(sum) + rest
}

/// The largest; −∞ of nothing.
#[inline(always)]
pub fn largest(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (wide, rest) = values.as_chunks::<LANES>();
    for chunk in wide {
        for lane in 0..LANES {
            lanes[lane] = if chunk[lane] > lanes[lane] { chunk[lane] } else { lanes[lane] };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |best, &value| if value > best { value } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_agrees_with_the_library_to_two_units_in_the_last_place() {
        for step in -8700..8800 {
            let x = step as f32 / 100.0;
            let (found, expected) = (exp(x), f64::from(x).exp());
            assert!((f64::from(found) - expected).abs() <= 2.4e-7 * expected, "e^{x}: {found}, expected {expected}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(-1e30), 0.0);
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(1e30).is_finite());
    }

    #[test]
    fn sums_and_the_largest_take_every_element() {
        for length in [0, 1, 15, 16, 17, 64, 131] {
            let a: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let expected: f32 = a.iter().map(|a| a * 2.0).sum();
            assert_eq!(dot(&a, &vec![2.0; length]), expected, "{length}");
            assert_eq!(sum2(&a, &a, |a, _| a * 2.0), expected, "{length}");
            assert_eq!(largest(&a), if length == 0 { f32::NEG_INFINITY } else { length as f32 - 1.0 });
        }
    }
}
