//! A part of a matrix, copied into the order in which a large product reads it.

use rayon::prelude::*;

use crate::{
    blocked::DEPTH,
    matrix::View,
    tile::{PANEL, Panel},
    wide,
};

/// Panels that are copied by one task.
const PANELS_A_TASK: usize = 16;
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

/// A line of the cache: panels begin with one.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "read as numbers, many lines at once")] [f32; PANEL]);

/// Memory of panels, which is used again.
#[derive(Debug, Default)]
pub(crate) struct Lines(Vec<Line>);

impl Lines {
    pub(crate) fn all(&self) -> &[[f32; PANEL]] {
        // SAFETY: a line is its numbers and nothing else.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len()) }
    }

    /// The first so many, of no particular value.
    pub(crate) fn room(&mut self, count: usize) -> &mut [[f32; PANEL]] {
        if self.0.len() < count {
            self.0 = vec![Line([0.0; PANEL]); count];
        }
        // SAFETY: as above; there are as many.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), count) }
    }
}

/// A part of a matrix: for every [`DEPTH`] terms the panels, each with its terms one after the other; a panel is [`PANEL`] columns of
/// the matrix, the last one filled up with zeros.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    memory: Lines,
    terms: usize,
    panels: usize,
}

impl Copied {
    /// A panel over the [`DEPTH`] terms, or what is left of them, from `from` on.
    #[inline(always)]
    pub(crate) fn panel(&self, from: usize, panel: usize) -> Panel<'_> {
        let depth = DEPTH.min(self.terms - from);
        Panel { lines: &self.memory.all()[from * self.panels + panel * depth..][..depth], step: 1 }
    }

    /// Copies some columns of `from` `[terms, columns]`, over some terms.
    pub(crate) fn take(&mut self, from: View, terms: Part, columns: Part) {
        (self.terms, self.panels) = (terms.count, columns.count.div_ceil(PANEL));
        let lines = self.terms * self.panels;
        let mut rest = self.memory.room(lines);
        let mut tasks = vec![];
        for first in (0..terms.count).step_by(DEPTH) {
            let depth = DEPTH.min(terms.count - first);
            let these;
            (these, rest) = rest.split_at_mut(self.panels * depth);
            let terms = Part { first: terms.first + first, count: depth };
            for (task, panels) in these.chunks_mut(PANELS_A_TASK * depth).enumerate() {
                let before = task * PANELS_A_TASK * PANEL;
                tasks.push((terms, columns.first + before, columns.count - before, panels));
            }
        }
        tasks.into_par_iter().for_each(|(terms, first, count, panels)| {
            wide(
                #[inline(always)]
                || copy(from, terms, Part { first, count }, panels),
            );
        });
    }
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
