//! Parts of a matrix, and their numbers copied side by side as products read them.

use crate::matrix::View;

/// Terms that are copied of each panel before the next one's: few enough that the places they come from are still at hand.
const TOGETHER: usize = 8;

/// Some of a matrix's rows, columns or terms.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub first: usize,
    pub count: usize,
}

impl Part {
    pub(crate) fn all(self) -> std::ops::Range<usize> {
        self.first..self.first + self.count
    }
}

/// `count` things, so many at once.
pub(crate) fn parts(count: usize, at_once: usize) -> impl Iterator<Item = Part> {
    (0..count).step_by(at_once).map(move |first| Part { first, count: at_once.min(count - first) })
}

/// `count` things in so many nearly equal parts, none of them empty.
pub(crate) fn shares(count: usize, parts: usize) -> Vec<Part> {
    let parts = parts.clamp(1, count.max(1));
    let part = |at: usize| Part { first: at * count / parts, count: (at + 1) * count / parts - at * count / parts };
    (0..parts).map(part).collect()
}

/// Copies panels: as many columns as they hold, or as there are, zeros beyond.
#[inline(always)]
pub(crate) fn copy<const W: usize>(from: View, terms: Part, columns: Part, panels: &mut [[f32; W]]) {
    let whole = columns.count / W;
    let (some, last) = panels.split_at_mut((whole * terms.count).min(panels.len()));
    match from.steps() {
        [_, 1] => copy_rows(from, terms, columns.first, some),
        [1, _] => copy_columns(from, terms, columns.first, some),
        _ => copy_any(from, terms, columns, some),
    }
    if !last.is_empty() {
        let columns = Part { first: columns.first + whole * W, count: columns.count - whole * W };
        copy_any(from, terms, columns, last);
    }
}

/// Whole panels of a matrix whose rows are in one piece.
#[inline(always)]
fn copy_rows<const W: usize>(from: View, terms: Part, column: usize, panels: &mut [[f32; W]]) {
    for first in (0..terms.count).step_by(TOGETHER) {
        for (at, panel) in panels.chunks_exact_mut(terms.count).enumerate() {
            for (term, lanes) in panel.iter_mut().enumerate().skip(first).take(TOGETHER) {
                lanes.copy_from_slice(&from.from(terms.first + term, column + at * W)[..W]);
            }
        }
    }
}

/// Whole panels of a matrix whose columns are in one piece.
#[inline(always)]
fn copy_columns<const W: usize>(from: View, terms: Part, column: usize, panels: &mut [[f32; W]]) {
    for (at, panel) in panels.chunks_exact_mut(terms.count).enumerate() {
        let columns: [&[f32]; W] =
            std::array::from_fn(|lane| &from.from(terms.first, column + at * W + lane)[..terms.count]);
        let (some, rest) = panel.as_chunks_mut::<TOGETHER>();
        let begun = some.len() * TOGETHER;
        for (at, some) in some.iter_mut().enumerate() {
            // All are read before any is written: so the compiler makes vectors of them.
            let numbers: [[f32; TOGETHER]; W] = std::array::from_fn(|lane| columns[lane].as_chunks::<TOGETHER>().0[at]);
            for (term, lanes) in some.iter_mut().enumerate() {
                *lanes = std::array::from_fn(|lane| numbers[lane][term]);
            }
        }
        for (term, lanes) in rest.iter_mut().enumerate() {
            *lanes = std::array::from_fn(|lane| columns[lane][begun + term]);
        }
    }
}

/// Panels of any matrix, with zeros where there is no column.
#[inline(always)]
fn copy_any<const W: usize>(from: View, terms: Part, columns: Part, panels: &mut [[f32; W]]) {
    for (at, panel) in panels.chunks_exact_mut(terms.count).enumerate() {
        for (term, lanes) in panel.iter_mut().enumerate() {
            *lanes = std::array::from_fn(|lane| {
                let column = at * W + lane;
                if column < columns.count { from.from(terms.first + term, columns.first + column)[0] } else { 0.0 }
            });
        }
    }
}
