//! Numbers rounded to bfloat16 and put in the order in which products read them.

#[cfg(target_arch = "x86_64")]
use super::{PAIRS, native};
use super::{PANEL, tile::Way};
use crate::{
    copy::{Part, copy},
    matrix::View,
    number::nearest,
    wide,
};

/// Terms that are put in order of each panel before the next one's: few enough that the places they come from are still at hand.
const TOGETHER: usize = 8;
/// As many pairs of terms, where the processor's operations put them in order.
#[cfg(target_arch = "x86_64")]
const RIGHT_TOGETHER: usize = 16;

/// Of two terms that follow each other, the numbers of a panel: the first one's in the lower half of each word.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Line(pub(super) [u32; PANEL]);

impl Line {
    pub(super) const ZERO: Self = Self([0; PANEL]);
}

#[inline(always)]
fn pair(first: f32, second: f32) -> u32 {
    nearest(first) >> 16 | nearest(second)
}

/// Along what the numbers of a matrix lie in one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Columns,
    Terms,
}

impl Side {
    /// Of a matrix `[terms, columns]`; `None`: along neither.
    pub(super) fn of(from: View) -> Option<Self> {
        match from.steps() {
            [_, 1] => Some(Self::Columns),
            [1, _] => Some(Self::Terms),
            _ => None,
        }
    }
}

/// Panels of the right matrix: as many columns as there are, zeros beyond; a last term without another has zeros beside it.
pub(super) fn put_right_in_order(way: Way, from: View, terms: Part, columns: Part, panels: &mut [Line]) {
    let pairs = terms.count.div_ceil(2);
    #[cfg(target_arch = "x86_64")]
    if let (Way::Native, Some(side)) = (way, Side::of(from)) {
        let source = native::Source::new(from, terms, columns);
        for pair in (0..pairs).step_by(RIGHT_TOGETHER) {
            for (at, panel) in panels.chunks_exact_mut(pairs).enumerate() {
                let lines = &mut panel[pair..pairs.min(pair + RIGHT_TOGETHER)];
                // SAFETY: there is a native way only where the processor has its operations.
                unsafe { native::panel(source, side, pair, at * PANEL, lines) };
            }
        }
        return;
    }
    let _ = way;
    wide(
        #[inline(always)]
        || {
            for (some, begin) in (0..terms.count).step_by(TOGETHER).enumerate() {
                let part = Part { first: terms.first + begin, count: TOGETHER.min(terms.count - begin) };
                for (at, panel) in panels.chunks_exact_mut(pairs).enumerate() {
                    let before = at * PANEL;
                    let columns =
                        Part { first: columns.first + before, count: PANEL.min(columns.count.saturating_sub(before)) };
                    let numbers = some_terms::<PANEL>(from, part, columns);
                    let lines = panel[some * TOGETHER / 2..].iter_mut();
                    for (line, [first, second]) in lines.zip(numbers.as_chunks::<2>().0) {
                        line.0 = std::array::from_fn(|lane| pair(first[lane], second[lane]));
                    }
                }
            }
        },
    );
}

/// Some columns of a few terms; zeros where there is no column or no term.
#[inline(always)]
fn some_terms<const W: usize>(from: View, terms: Part, columns: Part) -> [[f32; W]; TOGETHER] {
    let mut numbers = [[0.0; W]; TOGETHER];
    copy(from, terms, columns, &mut numbers[..terms.count]);
    numbers
}

/// Some rows of the left matrix, which are multiplied together: pairs of terms where the processor takes them, else terms as
/// float32, which the numbers of bfloat16 are too.
pub(super) fn put_left_in_order(way: Way, a: View, terms: Part, rows: Part, words: &mut [u32]) {
    match rows.count {
        1 => left::<1>(way, a, terms, rows, words),
        2 => left::<2>(way, a, terms, rows, words),
        4 => left::<4>(way, a, terms, rows, words),
        6 => left::<6>(way, a, terms, rows, words),
        8 => left::<8>(way, a, terms, rows, words),
        12 => left::<12>(way, a, terms, rows, words),
        other => unreachable!("{other} rows together"),
    }
}

fn left<const R: usize>(way: Way, a: View, terms: Part, rows: Part, words: &mut [u32]) {
    let from = a.transposed();
    #[cfg(target_arch = "x86_64")]
    if let (Way::Native, Some(side)) = (way, Side::of(from)) {
        let source = native::Source::new(from, terms, rows);
        for (some, words) in words.chunks_exact_mut(R * PAIRS).enumerate() {
            // SAFETY: there is a native way only where the processor has its operations.
            unsafe { native::rows::<R>(source, side, some * PAIRS, words) };
        }
        return;
    }
    let lines = words.as_chunks_mut::<R>().0;
    wide(
        #[inline(always)]
        || {
            for begin in (0..terms.count).step_by(TOGETHER) {
                let part = Part { first: terms.first + begin, count: TOGETHER.min(terms.count - begin) };
                let numbers = some_terms::<R>(from, part, rows);
                if way == Way::Native {
                    for (line, [first, second]) in lines[begin / 2..].iter_mut().zip(numbers.as_chunks::<2>().0) {
                        *line = std::array::from_fn(|row| pair(first[row], second[row]));
                    }
                } else {
                    for (line, numbers) in lines[begin..].iter_mut().zip(&numbers) {
                        *line = numbers.map(nearest);
                    }
                }
            }
        },
    );
}
