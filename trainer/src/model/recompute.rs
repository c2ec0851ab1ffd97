//! Gradient checkpointing (Chen et al. 2016): of a forward pass only what enters each block is kept; on the way back a
//! block's activations are computed again, one block at a time.
//!
//! While [`Recomputing`] is on, a pass through the blocks computes without a graph and leaves a segment behind. The loss is
//! then differentiated by [`backward`], which goes through the segments once it has gone through what follows them. The
//! numbers are those of a pass that keeps everything: the same operations in the same order.

use std::cell::{Cell, RefCell};

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::Tensor,
};

use super::{blocks::Block, decoder::Decoder, layout::Layout};

thread_local! {
    static ON: Cell<bool> = const { Cell::new(false) };
    static PLAIN_PASS: Cell<bool> = const { Cell::new(false) };
    static SEGMENTS: RefCell<Vec<Segment>> = const { RefCell::new(Vec::new()) };
}

/// While it lives, passes through decoders on a device with gradients are recomputed on the way back, on this thread.
pub struct Recomputing {
    before: bool,
}

impl Recomputing {
    /// Switches recomputing on or off for as long as this lives.
    pub fn new(on: bool) -> Self {
        Self { before: ON.replace(on) }
    }
}

impl Drop for Recomputing {
    fn drop(&mut self) {
        ON.set(self.before);
        forget_passes();
    }
}

/// One pass through the blocks of a decoder that is to be done again.
struct Segment {
    decoder: Decoder,
    layout: Layout,
    /// What entered the first block, with its graph.
    embedded: Tensor<3>,
    /// What entered each block, without one.
    inputs: Vec<Tensor<3>>,
    /// What left the last block: where the graph of what follows begins.
    output: Tensor<3>,
    /// Dropout of block i is drawn from here plus i, both times.
    seed: u64,
}

/// Whether a pass that begins with `x` is to be recomputed.
pub(super) fn is_wanted(x: &Tensor<3>) -> bool {
    ON.get() && x.is_autodiff()
}

/// Whether dropout is to act although there is no graph: the first of the two passes, in blocks where it acts in the second.
pub(super) fn is_plain_pass() -> bool {
    PLAIN_PASS.get()
}

/// `x` `[batch, sequence, hidden]` through all blocks; the graph that leads there is left for [`backward`].
pub(super) fn through_blocks(decoder: &Decoder, x: Tensor<3>, layout: &Layout) -> Tensor<3> {
    let seed = seed_of(&x, decoder);
    let plain = decoder.valid();
    let mut inputs = Vec::with_capacity(plain.blocks.len());
    let mut state = x.clone().inner();
    for index in 0..plain.blocks.len() {
        // The plain blocks no longer know which of them are frozen.
        PLAIN_PASS.set(has_dropout(&decoder.blocks[index]));
        reseed(decoder, seed, index);
        inputs.push(state.clone());
        state = plain.forward_block(index, state, layout, None).inner();
    }
    PLAIN_PASS.set(false);
    let output = Tensor::from_inner(state).require_grad();
    let segment =
        Segment { decoder: decoder.clone(), layout: layout.clone(), embedded: x, inputs, output: output.clone(), seed };
    SEGMENTS.with_borrow_mut(|segments| segments.push(segment));
    output
}

/// The gradients of `loss` `[1]` for the weights of `module`, in parts that are to be added up.
///
/// A pass that the loss does not depend on is left for a loss that does: two models may both make theirs before either loss
/// is differentiated.
pub fn backward<M: Module>(loss: Tensor<1>, module: &M, mut add: impl FnMut(GradientsParams)) {
    let segments = SEGMENTS.with_borrow_mut(std::mem::take);
    let mut gradients = loss.backward();
    add(GradientsParams::from_module(&mut gradients, module));
    let mut others = vec![];
    for segment in segments.into_iter().rev() {
        match segment.output.grad_remove(&mut gradients) {
            Some(gradient) => segment.backward(gradient, module, &mut add),
            None => others.push(segment),
        }
    }
    others.reverse();
    SEGMENTS.with_borrow_mut(|segments| segments.extend(others));
}

/// Ends the waiting of passes that no loss was differentiated through: called when a step is taken, so that none of them keeps
/// its memory, or comes back in a later step.
pub fn forget_passes() {
    SEGMENTS.with_borrow_mut(Vec::clear);
}

/// Passes that wait for a loss, on this thread.
#[cfg(test)]
pub(crate) fn waiting() -> usize {
    SEGMENTS.with_borrow(Vec::len)
}

impl Segment {
    /// `gradient`: of the loss, for what left the last block, `[batch, sequence, hidden]`.
    fn backward<M: Module>(self, mut gradient: Tensor<3>, module: &M, add: &mut impl FnMut(GradientsParams)) {
        let Self { decoder, layout, embedded, inputs, output: _, seed } = self;
        let has_embedding = embedded.is_tracked();
        let lowest = if has_embedding { Some(0) } else { decoder.blocks.iter().position(learns) };
        let Some(lowest) = lowest else { return };
        for (index, input) in inputs.into_iter().enumerate().skip(lowest).rev() {
            reseed(&decoder, seed, index);
            let input = Tensor::from_inner(input).require_grad();
            let output = decoder.forward_block(index, input.clone(), &layout, None);
            let mut gradients = (output * Tensor::from_inner(gradient)).sum().backward();
            add(GradientsParams::from_module(&mut gradients, module));
            let Some(next) = input.grad_remove(&mut gradients) else { return };
            gradient = next;
        }
        if has_embedding {
            let gradients = (embedded * Tensor::from_inner(gradient)).sum().backward();
            add(GradientsParams::from_grads(gradients, module));
        }
    }
}

/// Whether a module has a weight that is learned.
fn learns(module: &impl Module) -> bool {
    struct Found(bool);
    impl ModuleVisitor for Found {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 |= param.is_require_grad();
        }
    }
    let mut found = Found(false);
    module.visit(&mut found);
    found.0
}

/// Whether a pass through the block with a graph drops anything.
fn has_dropout(block: &Block) -> bool {
    let mut adapters = block.linears().into_iter().filter_map(|linear| linear.adapter.as_ref());
    adapters.any(|adapter| adapter.drops_as_it_learns())
}

/// A number of this pass, drawn from the device's generator, so that it depends on the run's seed. 0 without dropout,
/// which leaves the generator alone.
fn seed_of(x: &Tensor<3>, decoder: &Decoder) -> u64 {
    if !decoder.blocks.iter().any(has_dropout) {
        return 0;
    }
    let drawn = Tensor::<1>::random([2], burn::tensor::Distribution::Uniform(0.0, 1.0), &x.clone().inner().device());
    let drawn: Vec<f32> = drawn.into_data_as::<f32>().try_to_vec().unwrap_or_default();
    drawn.iter().fold(1, |seed, value| (seed << 24) ^ (value * 16_777_216.0) as u64)
}

fn reseed(decoder: &Decoder, seed: u64, block: usize) {
    if seed != 0 {
        decoder.token_embedding.device().without_autodiff().seed(seed.wrapping_add(block as u64));
    }
}
