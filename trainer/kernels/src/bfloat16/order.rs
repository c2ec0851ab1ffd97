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
/// Pairs of terms that the processor's operations put in order of each panel before the next one's, where columns lie side by
/// side; and of each group of rows on the left.
#[cfg(target_arch = "x86_64")]
const RIGHT_TOGETHER: usize = 16;
#[cfg(target_arch = "x86_64")]
const LEFT_TOGETHER: usize = 8;

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
        // Where terms lie side by side a panel is read to its end: so many columns are as many streams as can be kept up with.
        let together = if side == Side::Columns { RIGHT_TOGETHER } else { pairs };
        for pair in (0..pairs).step_by(together) {
            for (at, panel) in panels.chunks_exact_mut(pairs).enumerate() {
                let lines = &mut panel[pair..pairs.min(pair + together)];
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

/// Rows of the left matrix, those of a group one after the other in the words: pairs of terms where the processor takes them, else
/// terms as float32, which the numbers of bfloat16 are too. `groups` begin at `first_row`.
pub(super) fn put_left_in_order(
    way: Way,
    a: View,
    terms: Part,
    [first_row, size]: [usize; 2],
    groups: &[Part],
    words: &mut [u32],
) {
    #[cfg(target_arch = "x86_64")]
    if way == Way::Native && Side::of(a.transposed()) == Some(Side::Columns) {
        // A few terms of all rows before the next ones: rows of a term lie side by side, so that lines of the cache are read once.
        let pairs = terms.count.div_ceil(2);
        for pair in (0..pairs).step_by(LEFT_TOGETHER) {
            for group in groups {
                let rows = Part { first: first_row + group.first, count: group.count };
                let before = group.first * size + pair / PAIRS * PAIRS * group.count + pair % PAIRS * group.count;
                let words = &mut words[before..][..group.count * LEFT_TOGETHER];
                some_left(way, a, terms, rows, pair, words);
            }
        }
        return;
    }
    for group in groups {
        let rows = Part { first: first_row + group.first, count: group.count };
        some_left(way, a, terms, rows, 0, &mut words[group.first * size..][..group.count * size]);
    }
}

/// A group of rows from a pair of terms on, of which there are words for some.
fn some_left(way: Way, a: View, terms: Part, rows: Part, first: usize, words: &mut [u32]) {
    match rows.count {
        1 => left::<1>(way, a, terms, rows, first, words),
        2 => left::<2>(way, a, terms, rows, first, words),
        4 => left::<4>(way, a, terms, rows, first, words),
        6 => left::<6>(way, a, terms, rows, first, words),
        8 => left::<8>(way, a, terms, rows, first, words),
        12 => left::<12>(way, a, terms, rows, first, words),
        other => unreachable!("{other} rows together"),
    }
}

fn left<const R: usize>(way: Way, a: View, terms: Part, rows: Part, first: usize, words: &mut [u32]) {
    let from = a.transposed();
    #[cfg(target_arch = "x86_64")]
    if let (Way::Native, Some(side)) = (way, Side::of(from)) {
        let source = native::Source::new(from, terms, rows);
        for (some, words) in words.chunks_mut(R * PAIRS).enumerate() {
            // SAFETY: there is a native way only where the processor has its operations.
            unsafe { native::rows::<R>(source, side, first + some * PAIRS, words) };
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
                    for (line, [even, odd]) in lines[begin / 2..].iter_mut().zip(numbers.as_chunks::<2>().0) {
                        *line = std::array::from_fn(|row| pair(even[row], odd[row]));
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
