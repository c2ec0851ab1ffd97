use super::*;
use crate::few_rows::rows_times_matrix;

fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 + seed * 101) % 29) as f32 / 7.0 - 2.0).collect()
}

#[test]
fn packed_products_agree_with_the_definition_and_rows_do_not_feel_each_other() {
    for [m, k, n] in [
        [1, 1, 1],
        [2, 9, 300],
        [5, 64, 1031],
        [7, 130, 513],
        [32, 96, 48],
        [13, 65, 16],
        [64, 300, 70],
        [20, 3, 5],
        [200, 33, 50],
        [3, 0, 4],
    ] {
        let (x, w) = (numbers(m * k, 1), numbers(k * n, 2));
        let packed = Packed::new(&w, [k, n]);
        let (mut out, mut beside) = (vec![f32::NAN; m * n], vec![f32::NAN; m * n]);
        rows_times_all_packed(&x, [&packed, &packed], [&mut out, &mut beside], m);
        assert_eq!(out, beside, "several at once give what each gives alone");
        for (at, &found) in out.iter().enumerate() {
            let terms = (0..k).map(|i| f64::from(x[at / n * k + i]) * f64::from(w[i * n + at % n]));
            let expected: f64 = terms.sum();
            assert!((f64::from(found) - expected).abs() < 1e-5 * expected.abs().max(100.0), "{found} {expected}");
        }
        if k > 0 && m <= AT_ONCE {
            let mut plainly = vec![f32::NAN; m * n];
            let grouped = in_groups(&x, k, m);
            for (lines, mut out) in tasks_of(&packed, &mut plainly) {
                Block { x: &grouped, k, lines, rows: m }.multiply_plainly(&mut out);
            }
            assert_eq!(out, plainly, "the same bits with the processor's own operations");
        }
        let narrow = Packed::new(&w[..k * (n / 2)], [k, n / 2]);
        let ([mut first, mut second], mut alone) =
            ([vec![f32::NAN; m * n], vec![f32::NAN; m * (n / 2)]], vec![f32::NAN; m * (n / 2)]);
        rows_times_all_packed(&x, [&packed, &narrow], [&mut first, &mut second], m);
        rows_times_packed(&x, &narrow, &mut alone, m);
        assert!(first == out && second == alone, "matrices of two widths");
        let turned: Vec<f32> = (0..n * k).map(|at| w[at % k * n + at / k]).collect();
        rows_times_packed(&x, &Packed::transposed(&turned, [n, k]), &mut beside, m);
        assert_eq!(out, beside, "of the transposed matrix");
        for (x, out) in x.chunks_exact(k.max(1)).zip(out.chunks_exact(n)) {
            let mut alone = vec![f32::NAN; n];
            rows_times_packed(x, &packed, &mut alone, 1);
            assert_eq!(alone, out, "alone a row is what it is among others");
        }
    }
}

/// `cargo test --release -p laurel-kernels -- --ignored --nocapture packed_beside`
#[test]
#[ignore = "a measurement, for an optimised build on a quiet machine"]
fn packed_beside_the_other_products() {
    // As the trainer runs: on one of the workers.
    rayon::scope(|_| measure_the_products());
}

fn measure_the_products() {
    use crate::matrix::{Target, View, product};
    // As many matrices as do not fit the caches.
    for [k, n] in [[512, 1408], [1408, 512], [512, 512], [512, 8192], [576, 1536]] {
        let count = (256 << 20) / (4 * k * n);
        let all: Vec<Vec<f32>> = (0..count).map(|seed| numbers(k * n, seed)).collect();
        let packed: Vec<Packed> = all.iter().map(|w| Packed::new(w, [k, n])).collect();
        for m in [1, 2, 4, 8, 16, 32, 64, 128, 1024] {
            let (x, mut out) = (numbers(m * k, 1), vec![0.0; m * n]);
            let mut time = |name: &str, work: &mut dyn FnMut(usize, &mut [f32])| {
                let mut best = f64::MAX;
                for _ in 0..5 {
                    let begun = std::time::Instant::now();
                    (0..count).for_each(|at| work(at, &mut out));
                    best = best.min(begun.elapsed().as_secs_f64() / count as f64);
                }
                let (bytes, flops) = (4.0 * (k * n) as f64, 2.0 * (m * k * n) as f64);
                println!(
                    "{k} × {n}, {m:>3} rows, {name:<8} {:>8.1} µs {:>5.1} GB/s {:>6.1} GFLOP/s",
                    best * 1e6,
                    bytes / best / 1e9,
                    flops / best / 1e9
                );
            };
            time("general", &mut |at, out| {
                product(Target::write(out, n), View::new(&x, m, k), View::new(&all[at], k, n));
            });
            if m <= crate::few_rows::MOST {
                time("few", &mut |at, out| rows_times_matrix(&x, &all[at], out, m));
            }
            time("packed", &mut |at, out| rows_times_packed(&x, &packed[at], out, m));
        }
    }
}
