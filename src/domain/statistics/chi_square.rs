//! Pearson's chi-square test of whether outcomes are equally likely.

/// A test's result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChiSquare {
    pub statistic: f64,
    pub degrees: u32,
    /// Probability of a statistic as large as this one if the outcomes are equally likely.
    pub p: f64,
}

/// Tests `counts` of outcomes against equal chances (Pearson 1900). `None` with fewer than two outcomes, or fewer than five
/// expected of each: the distribution is not near enough then (Cochran 1954).
pub fn uniform(counts: &[f64]) -> Option<ChiSquare> {
    let total: f64 = counts.iter().sum();
    let expected = total / counts.len() as f64;
    if counts.len() < 2 || expected < 5.0 {
        return None;
    }
    let statistic = counts.iter().map(|count| (count - expected).powi(2) / expected).sum();
    let degrees = u32::try_from(counts.len() - 1).unwrap_or(u32::MAX);
    Some(ChiSquare { statistic, degrees, p: survival(statistic, degrees) })
}

/// Independent tests as one: statistics and degrees of freedom add up.
pub fn sum(tests: impl IntoIterator<Item = ChiSquare>) -> Option<ChiSquare> {
    let (mut statistic, mut degrees) = (0.0, 0);
    for test in tests {
        statistic += test.statistic;
        degrees += test.degrees;
    }
    (degrees > 0).then(|| ChiSquare { statistic, degrees, p: survival(statistic, degrees) })
}

/// P(X ≥ statistic) of the chi-square distribution: Q(degrees/2, statistic/2), the upper regularised incomplete gamma function.
pub fn survival(statistic: f64, degrees: u32) -> f64 {
    let (a, x) = (f64::from(degrees) / 2.0, statistic / 2.0);
    if x <= 0.0 {
        return 1.0;
    }
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    let upper = if x < a + 1.0 { 1.0 - front * series(a, x) } else { front * continued_fraction(a, x) };
    upper.clamp(0.0, 1.0)
}

/// Σ xⁿ / (a(a+1)…(a+n)) (Abramowitz & Stegun 6.5.29).
fn series(a: f64, x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
    while term > sum * 1e-16 {
        n += 1.0;
        term *= x / n;
        sum += term;
    }
    sum
}

/// The continued fraction of Abramowitz & Stegun 6.5.31, by Lentz's method.
fn continued_fraction(a: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut value = d;
    for n in 1..1000 {
        let n = f64::from(n);
        let numerator = -n * (n - a);
        b += 2.0;
        d = 1.0 / nonzero(numerator * d + b, TINY);
        c = nonzero(b + numerator / c, TINY);
        value *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    value
}

fn nonzero(x: f64, tiny: f64) -> f64 {
    if x.abs() < tiny { tiny } else { x }
}

/// ln Γ(x) for x > 0 (Lanczos 1964, g = 7, nine terms: 15 digits).
fn ln_gamma(x: f64) -> f64 {
    const TERMS: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let t = x + 7.5;
    let sum: f64 = TERMS[0] + TERMS[1..].iter().zip(1..).map(|(term, n)| term / (x + f64::from(n))).sum::<f64>();
    0.5 * std::f64::consts::TAU.ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_die_of_sixty_throws() {
        // The textbook's loaded die: 13.4 with five degrees of freedom, beyond the 5 % point 11.070, within the 1 % point 15.086.
        let test = uniform(&[5.0, 8.0, 9.0, 8.0, 10.0, 20.0]).expect("enough throws");
        assert!((test.statistic - 13.4).abs() < 1e-12);
        assert_eq!(test.degrees, 5);
        assert!(test.p < 0.05 && test.p > 0.01, "{}", test.p);
    }

    #[test]
    fn percentage_points_of_the_published_table() {
        // Pearson & Hartley, Biometrika Tables for Statisticians, table 8.
        for (statistic, degrees, p) in [
            (3.841_46, 1, 0.05),
            (6.634_90, 1, 0.01),
            (7.814_73, 3, 0.05),
            (11.070_5, 5, 0.05),
            (15.086_3, 5, 0.01),
            (2.705_54, 1, 0.10),
            (13.848_4, 24, 0.95),
            (124.342, 100, 0.05),
        ] {
            let found = survival(statistic, degrees);
            assert!((found - p).abs() < 1e-5, "{statistic} with {degrees}: {found}");
        }
    }

    #[test]
    fn too_few_to_test() {
        assert_eq!(uniform(&[4.0, 5.0, 4.0, 6.0]), None);
        assert_eq!(uniform(&[100.0]), None);
        assert_eq!(sum([]), None);
    }
}
