use super::*;
use crate::attention::{Sight, backward_on_any, forward_on_any};

fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 + seed * 101) % 29) as f32 / 14.0 - 1.0).collect()
}

struct Case {
    sizes: Sizes,
    starts: Vec<u32>,
    shared: Vec<u32>,
    q: Vec<f32>,
    kept: [Vec<f32>; 2],
    gradient: Vec<f32>,
}

impl Case {
    fn new(sizes: Sizes, start: impl Fn(usize, usize) -> u32, shared: &[u32]) -> Self {
        let Sizes { batch, queries, groups, head_size, .. } = sizes;
        let asked = batch * queries * sizes.row();
        let kept = batch * sizes.keys() * groups * head_size;
        Self {
            sizes,
            starts: (0..batch * queries).map(|at| start(at / queries, at % queries)).collect(),
            shared: shared.to_vec(),
            q: numbers(asked, 1),
            kept: [numbers(kept, 2), numbers(kept, 3)],
            gradient: numbers(asked, 4),
        }
    }

    fn sight(&self) -> Sight<'_> {
        Sight { starts: &self.starts, shared: &self.shared }
    }

    /// What [`forward`] writes, here or on any processor.
    fn forward(&self, here: bool, [out, normaliser]: &mut [Vec<f32>; 2]) {
        let [k, v] = [0, 1].map(|at| Strided::tokens_first(&self.kept[at], &self.sizes));
        let forward = if here { forward } else { forward_on_any };
        forward(&self.sizes, Asked { q: &self.q, k, v, sight: self.sight() }, out, normaliser);
    }

    fn room_forward(&self) -> [Vec<f32>; 2] {
        [vec![f32::NAN; self.q.len()], vec![f32::NAN; self.q.len() / self.sizes.head_size]]
    }

    /// What [`backward`] writes.
    fn backward(&self, here: bool, [out, normaliser]: &[Vec<f32>; 2], [of_q, of_k, of_v]: &mut [Vec<f32>; 3]) {
        let [k, v] = &self.kept;
        let passed = Passed { q: &self.q, k, v, out, normaliser, sight: self.sight() };
        let of = Gradients { q: Shared::new(of_q), k: Shared::new(of_k), v: Shared::new(of_v) };
        let backward = if here { backward } else { backward_on_any };
        backward(&self.sizes, passed, &self.gradient, &of);
    }

    /// Compares what is computed here with the way for any processor, forwards and backwards.
    fn compare(&self, name: &str) {
        let [found, passed] = [true, false].map(|here| {
            let mut room = self.room_forward();
            self.forward(here, &mut room);
            room
        });
        found.iter().zip(&passed).for_each(|(found, expected)| same(found, expected, name));
        if self.sizes.before == 0 {
            let [found, expected] = [true, false].map(|here| {
                let mut room = self.room_backward();
                self.backward(here, &passed, &mut room);
                room
            });
            found.iter().zip(&expected).for_each(|(found, expected)| same(found, expected, name));
        }
    }

    fn room_backward(&self) -> [Vec<f32>; 3] {
        let [k, v] = &self.kept;
        [vec![f32::NAN; self.q.len()], vec![0.0; k.len()], vec![0.0; v.len()]]
    }
}

fn same(found: &[f32], expected: &[f32], what: &str) {
    let far = found.iter().zip(expected).position(|(a, b)| (a - b).abs() > 2e-5 * b.abs().max(1.0) || a.is_nan());
    assert_eq!(far, None, "{what}: {:?}", far.map(|at| (found[at], expected[at])));
}

#[test]
fn it_gives_what_the_way_for_any_processor_gives() {
    let sizes =
        |batch, queries, heads, groups, head_size| Sizes { batch, queries, before: 0, heads, groups, head_size };
    let none = |_, _| 0;
    let cases = [
        ("one tile", Case::new(sizes(1, 13, 1, 1, 16), none, &[])),
        ("several tiles and groups", Case::new(sizes(2, 131, 6, 2, 32), none, &[])),
        ("many tasks", Case::new(sizes(9, 50, 4, 4, 64), none, &[])),
        (
            "padding on the left",
            Case::new(sizes(2, 120, 2, 1, 16), |row, query| if row == 0 { 70 } else { query as u32 / 33 * 33 }, &[]),
        ),
        (
            "queries that see nothing",
            Case::new(sizes(1, 60, 2, 2, 16), |_, query| if query < 55 { 59 } else { 55 }, &[]),
        ),
        (
            "branches",
            Case::new(
                sizes(2, 150, 2, 1, 16),
                |row, query| match query {
                    0..20 => 0,
                    20..70 => 20,
                    70..110 if row == 0 => 70,
                    _ => 110,
                },
                &[20, 17],
            ),
        ),
    ];
    for (name, case) in cases {
        if has_avx2() {
            case.compare(name);
        }
    }
}

#[test]
fn keys_of_a_cache_are_read_where_they_lie() {
    let case = Case::new(
        Sizes { batch: 2, queries: 20, before: 37, heads: 4, groups: 2, head_size: 16 },
        |row, _| row as u32 * 40,
        &[],
    );
    if has_avx2() {
        case.compare("a cache");
    }
}

/// `cargo test --release -p laurel-kernels -- --ignored --nocapture attention_beside`
#[test]
#[ignore = "a measurement, for an optimised build on a quiet machine"]
fn attention_beside_the_way_for_any_processor() {
    const ROUNDS: usize = 21;
    for (batch, queries, heads, groups, head_size) in
        [(4, 256, 8, 8, 64), (4, 256, 9, 3, 64), (32, 128, 8, 8, 64), (1, 1024, 8, 8, 64), (1, 2048, 9, 3, 64)]
    {
        let sizes = Sizes { batch, queries, before: 0, heads, groups, head_size };
        let case = Case::new(sizes, |_, _| 0, &[]);
        let (mut passed, mut gradients) = (case.room_forward(), case.room_backward());
        for way in ["forwards", "backwards"] {
            let [here, any] = [true, false].map(|here| {
                let mut times = [(); ROUNDS].map(|()| {
                    let begun = std::time::Instant::now();
                    if way == "forwards" {
                        case.forward(here, &mut passed);
                    } else {
                        case.backward(here, &passed, &mut gradients);
                    }
                    begun.elapsed().as_secs_f64()
                });
                times.sort_by(f64::total_cmp);
                times[ROUNDS / 2] * 1e3
            });
            println!(
                "{batch} × {queries}, {heads} heads, {groups} groups of {head_size}, {way}: {here:.2} ms, on any {any:.2}"
            );
        }
    }
}
