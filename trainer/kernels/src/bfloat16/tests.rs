use super::*;

/// Numbers that bfloat16 has not, of either sign.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 + seed * 101) % 1009) as f32 / 700.3 - 0.7).collect()
}

fn rounded(number: f32) -> f64 {
    f64::from(half::bf16::from_f32(number))
}

/// From the definition: `[m, k]` by `[k, n]`.
fn slow(a: &[f32], b: &[f32], [m, k, n]: [usize; 3]) -> Vec<f64> {
    (0..m * n).map(|at| (0..k).map(|i| rounded(a[at / n * k + i]) * rounded(b[i * n + at % n])).sum()).collect()
}

fn turned(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..rows * columns).map(|at| values[at % rows * columns + at / rows]).collect()
}

#[test]
fn products_agree_with_the_definition() {
    for [m, k, n] in [
        [1, 1, 1],
        [3, 5, 7],
        [0, 5, 7],
        [5, 0, 7],
        [5, 7, 0],
        [65, 131, 33],
        [13, 600, 130],
        [200, 263, 149],
        [31, 2101, 40],
        [7, 40, 2111],
    ] {
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let expected = slow(&a, &b, [m, k, n]);
        let (a_turned, b_turned) = (turned(&a, m, k), turned(&b, k, n));
        let step = n + 3;
        for a in [View::new(&a, m, k), View::new(&a_turned, k, m).transposed()] {
            for b in [View::new(&b, k, n), View::new(&b_turned, n, k).transposed()] {
                let mut found = vec![1.0; m * step];
                product(Target::add(&mut found, step), a, b);
                product(Target::write(&mut found, step), a, b);
                let mut in_order = [vec![f32::NAN; m * n], vec![f32::NAN; m * n]];
                let right = Rounded::new(b);
                products_with(a, [&right; 2], in_order.each_mut().map(Vec::as_mut_slice));
                let written: Vec<f32> = found.chunks(step).flat_map(|row| &row[..n]).copied().collect();
                assert_eq!(in_order, [written.clone(), written], "{m} × {k} × {n}");
                product(Target::add(&mut found, step), a, b);
                for (row, found) in found.chunks(step).enumerate() {
                    for (column, &found) in found[..n].iter().enumerate() {
                        let expected = 2.0 * expected[row * n + column];
                        let apart = (f64::from(found) - expected).abs();
                        assert!(apart <= 2e-6 * k as f64, "{m} × {k} × {n}, {row} {column}: {found}, {expected}");
                    }
                    assert_eq!(found[n..], [1.0; 3], "beside the target nothing is written");
                }
            }
        }
    }
}

/// The processor's operation and multiplication of float32 do the same but for the order of their sums.
#[test]
fn numbers_are_rounded_to_the_nearest_and_what_is_none_stays_none() {
    let ulp = 2f32.powi(-7);
    let some = [
        1.0 + 0.5 * ulp,
        1.0 + 1.5 * ulp,
        1.0 + 0.51 * ulp,
        -1.0 - 0.49 * ulp,
        f32::MAX,
        f32::INFINITY,
        f32::NAN,
        f32::from_bits(0x7fff_ffff),
        f32::from_bits(0xffff_ffff),
        0.0,
    ];
    for number in some {
        let mut found = [0.0];
        product(Target::write(&mut found, 1), View::new(&[number], 1, 1), View::new(&[1.0], 1, 1));
        let expected = half::bf16::from_f32(number).to_f32();
        assert!(found[0] == expected || found[0].is_nan() && expected.is_nan(), "{number}: {found:?}, {expected}");
    }
}

#[test]
fn a_number_of_a_product_feels_no_other_row_nor_column_nor_thread() {
    let [m, k, n] = [150, 700, 130];
    let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
    let of = |rows: Range<usize>, columns: Range<usize>| {
        let mut found = vec![f32::NAN; rows.len() * columns.len()];
        let a = View::new(&a[rows.start * k..], rows.len(), k);
        let b = View::with_steps(&b[columns.start..], [k, columns.len()], [n, 1]);
        product(Target::write(&mut found, columns.len()), a, b);
        found
    };
    let all = of(0..m, 0..n);
    for (rows, columns) in [(0..1, 0..n), (97..m, 53..n), (20..28, 0..1), (3..64, 7..70)] {
        let some = of(rows.clone(), columns.clone());
        for (row, some) in rows.zip(some.chunks(columns.len())) {
            assert_eq!(all[row * n..][columns.clone()], *some, "row {row}");
        }
    }
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(pool.install(|| of(0..m, 0..n)) == all, "{threads} threads");
    }
}

/// Where a processor has an operation of its own, the other way is still taken by those that have not.
#[test]
fn both_ways_multiply_alike() {
    let [k, n] = [301, 45];
    let b = numbers(k * n, 2);
    let right = Rounded::new(View::new(&b, k, n));
    for m in 1..=20 {
        let a = numbers(m * k, m);
        let (left, terms) = (View::new(&a, m, k), Part { first: 0, count: k });
        let task = Task { rows: Part { first: 0, count: m }, panels: Part { first: 0, count: n.div_ceil(PANEL) } };
        let [native, plain] = [Way::of_processor(), Way::Plain].map(|way| {
            let mut found = vec![f32::NAN; m * n];
            let output = Output::of(Target::write(&mut found, n), left, right.dims());
            task.run(way, &Left { a: left, terms }, right.part(terms), &output.columns_from(0), false);
            found
        });
        for (native, plain) in native.iter().zip(&plain) {
            assert!((native - plain).abs() < 1e-4, "{m} rows: {native}, {plain}");
        }
    }
}

type Product<'a> = &'a dyn Fn(Target);

/// `cargo test --release -p laurel-kernels -- --ignored --nocapture bfloat16_beside`
#[test]
#[ignore = "a measurement, for an optimised build on a quiet machine"]
fn bfloat16_beside_float32() {
    const ROUNDS: usize = 21;
    for [m, k, n] in [
        [1024, 512, 1408],
        [1024, 1408, 512],
        [1024, 512, 512],
        [512, 1024, 1408],
        [1024, 512, 8192],
        [512, 1024, 8192],
        [1024, 8192, 512],
        [1024, 576, 1536],
        [2048, 2048, 2048],
        [64, 512, 1408],
        [32, 512, 1408],
        [8, 512, 1408],
        [1, 512, 1408],
        [1, 576, 49152],
        [32, 576, 49152],
    ] {
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let (a, b) = (View::new(&a, m, k), View::new(&b, k, n));
        let right = Rounded::new(b);
        let mut out = vec![0.0; m * n];
        let ways: [(&str, Product); 3] = [
            ("bfloat16", &|target| product(target, a, b)),
            ("in order", &|target| products_with(a, [&right], [target.into_parts().0])),
            ("float32", &|target| crate::matrix::product(target, a, b)),
        ];
        print!("{m} × {k} × {n}:");
        for (name, way) in ways {
            let mut times: Vec<f64> = (0..ROUNDS)
                .map(|_| {
                    let begun = std::time::Instant::now();
                    way(Target::write(&mut out, n));
                    begun.elapsed().as_secs_f64()
                })
                .collect();
            times.sort_by(f64::total_cmp);
            let time = times[ROUNDS / 2];
            print!("  {name} {:.1} GFLOP/s, {:.0} µs", 2e-9 * (m * k * n) as f64 / time, 1e6 * time);
        }
        println!();
    }
}

/// `cargo test --release -p laurel-kernels -- --ignored --nocapture order_beside`
#[test]
#[ignore = "a measurement, for an optimised build on a quiet machine"]
fn order_beside_the_memory() {
    for [k, n] in [[512, 1408], [1408, 512], [512, 512], [1024, 1408], [512, 8192], [576, 1536], [2048, 2048]] {
        let b = vec![0.5; k * n];
        let turned = View::new(&b, n, k).transposed();
        let mut lines = vec![];
        print!("{k} × {n}:");
        for (name, from) in [("columns", View::new(&b, k, n)), ("terms", turned)] {
            let [terms, columns] = [k, n].map(|count| Part { first: 0, count });
            let mut times: Vec<f64> = (0..41)
                .map(|_| {
                    let begun = std::time::Instant::now();
                    order_right(from, terms, columns, &mut lines);
                    begun.elapsed().as_secs_f64()
                })
                .collect();
            times.sort_by(f64::total_cmp);
            print!("  along {name} {:.0} µs, {:.1} GB/s", 1e6 * times[20], 6e-9 * (k * n) as f64 / times[20]);
        }
        println!();
    }
}
