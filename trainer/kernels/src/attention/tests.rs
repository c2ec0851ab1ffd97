use super::*;

fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|at| ((at * 37 + seed * 101) % 1009) as f32 / 700.3 - 0.7).collect()
}

/// One query, some that are taken one by one, and many; sizes that fill vectors and that don't; heads that share keys; a row that
/// sees nothing at first, and branches.
#[test]
fn over_numbers_of_bfloat16_it_is_as_over_the_same_of_float32() {
    for (queries, before, heads, groups, head_size) in
        [(1, 40, 4, 2, 64), (1, 0, 2, 2, 20), (5, 9, 4, 1, 32), (30, 12, 6, 2, 48), (30, 0, 2, 1, 20)]
    {
        let sizes = Sizes { batch: 3, queries, before, heads, groups, head_size };
        let capacity = sizes.keys() + 3;
        let count = sizes.batch * groups * capacity * head_size;
        let q = numbers(sizes.batch * queries * sizes.row(), 1);
        let kept = [2, 3].map(|seed| numbers(count, seed).into_iter().map(bf16::from_f32).collect::<Vec<_>>());
        let widened = kept.each_ref().map(|kept| kept.iter().map(|number| number.to_f32()).collect::<Vec<_>>());
        let mut starts = vec![0; sizes.batch * queries];
        starts[queries..2 * queries].fill((before + queries) as u32);
        // What branches off from two tokens begins half-way.
        for (token, start) in (before..).zip(&mut starts[2 * queries..]) {
            *start = if token < 2 { 0 } else { token.min(sizes.keys() / 2) as u32 };
        }
        let sight = Sight { starts: &starts, shared: &[0, 0, 2] };
        let room = || [vec![f32::NAN; q.len()], vec![f32::NAN; sizes.batch * heads * queries]];
        let [mut found, mut expected] = [room(), room()];

        let [k, v] = kept.each_ref().map(|kept| Strided::heads_first(kept, &sizes, capacity));
        let [out, normaliser] = &mut found;
        forward_over_bfloat16(&sizes, Asked { q: &q, k, v, sight, rounded: false }, out, normaliser);
        let [k, v] = widened.each_ref().map(|kept| Strided::heads_first(kept, &sizes, capacity));
        let [out, normaliser] = &mut expected;
        forward(&sizes, Asked { q: &q, k, v, sight, rounded: false }, out, normaliser);

        for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
            // A few queries are otherwise taken together, which adds in another order.
            assert!((found - expected).abs() <= 1e-5, "{sizes:?}: {found}, {expected}");
        }
    }
}

/// `cargo test --release -p laurel-kernels -- --ignored --nocapture a_step_of_decoding`
#[test]
#[ignore = "a measurement, for an optimised build on a quiet machine"]
fn a_step_of_decoding_beside_the_memory() {
    measure("float32", |number| number, forward);
    measure("bfloat16", bf16::from_f32, forward_over_bfloat16);
}

fn measure<N: Number>(name: &str, kept_as: fn(f32) -> N, forward: fn(&Sizes, Asked<N>, &mut [f32], &mut [f32])) {
    let (capacity, layers) = (192, 8);
    let sizes = Sizes { batch: 32, queries: 1, before: 127, heads: 8, groups: 8, head_size: 64 };
    let count = sizes.batch * sizes.groups * capacity * sizes.head_size;
    let cache: Vec<[Vec<N>; 2]> = (0..layers).map(|_| [0.5, 0.25].map(|number| vec![kept_as(number); count])).collect();
    let q = vec![0.1; sizes.batch * sizes.row()];
    let (mut out, mut normaliser) = (q.clone(), vec![0.0; sizes.batch * sizes.heads]);
    let sight = Sight { starts: &vec![0; sizes.batch], shared: &[] };
    let mut times = vec![];
    for _ in 0..21 {
        let begun = std::time::Instant::now();
        for [k, v] in &cache {
            let [k, v] = [k, v].map(|values| Strided::heads_first(values, &sizes, capacity));
            forward(&sizes, Asked { q: &q, k, v, sight, rounded: false }, &mut out, &mut normaliser);
        }
        times.push(begun.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    let bytes = 2 * size_of::<N>() * layers * sizes.batch * sizes.groups * sizes.keys() * sizes.head_size;
    println!("{name}: {:.2} ms, {:.1} GB/s", times[10] * 1e3, bytes as f64 / times[10] / 1e9);
}
