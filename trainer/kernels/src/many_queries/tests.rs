use super::{rounded::Rounded, *};
use crate::attention::{Sight, backward_on_any, forward_on_any};

/// Numbers that bfloat16 has.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 + seed * 101) % 29) as f32 / 16.0 - 0.875).collect()
}

/// What computes.
#[derive(Debug, Clone, Copy)]
enum By {
    Any,
    Exact,
    Rounded,
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

    /// What [`forward`] writes.
    fn forward(&self, by: By, [out, normaliser]: &mut [Vec<f32>; 2]) {
        let [k, v] = [0, 1].map(|at| Strided::tokens_first(&self.kept[at], &self.sizes));
        let forward = match by {
            By::Any => forward_on_any,
            By::Exact => forward::<Exact, f32>,
            By::Rounded => forward::<Rounded, f32>,
        };
        forward(&self.sizes, Asked { q: &self.q, k, v, sight: self.sight(), rounded: false }, out, normaliser);
    }

    fn room_forward(&self) -> [Vec<f32>; 2] {
        [vec![f32::NAN; self.q.len()], vec![f32::NAN; self.q.len() / self.sizes.head_size]]
    }

    /// What [`backward`] writes.
    fn backward(&self, by: By, [out, normaliser]: &[Vec<f32>; 2], [of_q, of_k, of_v]: &mut [Vec<f32>; 3]) {
        let [k, v] = &self.kept;
        let passed = Passed { q: &self.q, k, v, out, normaliser, sight: self.sight(), rounded: false };
        let of = Gradients { q: Shared::new(of_q), k: Shared::new(of_k), v: Shared::new(of_v) };
        let backward = match by {
            By::Any => backward_on_any,
            By::Exact => backward::<Exact>,
            By::Rounded => backward::<Rounded>,
        };
        backward(&self.sizes, passed, &self.gradient, &of);
    }

    /// Compares what is computed in one way with that for any processor, forwards and backwards.
    fn compare(&self, by: By, same: fn(&[f32], &[f32], &str), name: &str) {
        let passed = [by, By::Any].map(|by| {
            let mut room = self.room_forward();
            self.forward(by, &mut room);
            room
        });
        passed[0].iter().zip(&passed[1]).for_each(|(found, expected)| same(found, expected, name));
        if self.sizes.before == 0 {
            let [found, expected] = [(by, &passed[0]), (By::Any, &passed[1])].map(|(by, passed)| {
                let mut room = self.room_backward();
                self.backward(by, passed, &mut room);
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

/// As far apart as rounding of probabilities and their gradients makes sums.
fn near(found: &[f32], expected: &[f32], what: &str) {
    let largest = expected.iter().fold(0.0f32, |largest, number| largest.max(number.abs()));
    let far = found.iter().zip(expected).position(|(a, b)| (a - b).abs() > 0.01 * largest || a.is_nan());
    assert_eq!(far, None, "{what}: {:?} of {largest}", far.map(|at| (found[at], expected[at])));
    let squares = |number: &dyn Fn(usize) -> f32| (0..found.len()).map(|at| f64::from(number(at)).powi(2)).sum::<f64>();
    let (apart, all) = (squares(&|at| found[at] - expected[at]), squares(&|at| expected[at]));
    assert!(apart.sqrt() <= 0.01 * all.sqrt(), "{what}: {} of {}", apart.sqrt(), all.sqrt());
}

#[test]
fn it_gives_what_the_way_for_any_processor_gives() {
    for (name, case) in cases(1) {
        if has_avx2() {
            case.compare(By::Exact, same, name);
        }
    }
}

#[test]
fn by_numbers_of_bfloat16_it_gives_nearly_that() {
    for (name, case) in cases(2) {
        if rounded::fits(&case.sizes) {
            case.compare(By::Rounded, near, name);
        }
    }
}

/// Heads of as many numbers, or twice that.
fn cases(times: usize) -> [(&'static str, Case); 8] {
    let sizes = |batch, queries, heads, groups, head_size| {
        let head_size = head_size * times;
        Sizes { batch, queries, before: 0, heads, groups, head_size }
    };
    let none = |_, _| 0;
    [
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
        (
            "branches from a token that is not the first of a pair",
            Case::new(
                sizes(1, 61, 4, 2, 32),
                |_, query| match query {
                    0..7 => 0,
                    7..20 => 7,
                    _ => 51.min(query as u32),
                },
                &[7],
            ),
        ),
        ("a cache", Case::new(Sizes { before: 37, ..sizes(2, 20, 4, 2, 16) }, |row, _| row as u32 * 40, &[])),
    ]
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
            let [rounded, here, any] = [By::Rounded, By::Exact, By::Any].map(|by| {
                let mut times = [(); ROUNDS].map(|()| {
                    let begun = std::time::Instant::now();
                    if way == "forwards" {
                        case.forward(by, &mut passed);
                    } else {
                        case.backward(by, &passed, &mut gradients);
                    }
                    begun.elapsed().as_secs_f64()
                });
                times.sort_by(f64::total_cmp);
                times[ROUNDS / 2] * 1e3
            });
            println!(
                "{batch} × {queries}, {heads} heads, {groups} groups of {head_size}, {way}: {here:.2} ms, on any {any:.2}, rounded {rounded:.2}"
            );
        }
    }
}
