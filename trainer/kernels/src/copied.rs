//! A part of a matrix, copied into the order in which a large product reads it.

use rayon::prelude::*;

use crate::{
    blocked::DEPTH,
    copy::{Part, copy},
    matrix::View,
    tile::{PANEL, Panel},
    wide,
};

/// Panels that are copied by one task.
const PANELS_A_TASK: usize = 16;

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
