//! A tensor whose numbers lie in this process's memory, with or without a gradient, and operations over such tensors.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use burn::{
    backend::{
        Autodiff, Flex,
        autodiff::{
            checkpoint::{
                base::Checkpointer,
                strategy::{BalancedCheckpointing, CheckpointStrategy, NoCheckpointing},
            },
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        tensor::FloatTensor,
    },
    tensor::{DType, Tensor, TensorData},
};
use burn_flex::FlexTensor;

use crate::profile;

/// A tensor of the CPU backend in the graph of gradients.
type Tracked = FloatTensor<Autodiff<Flex>>;

/// A float32 tensor of the CPU backend.
pub(super) enum Held {
    /// On the device without gradients.
    Plain(FlexTensor),
    /// On the device with gradients; whether this one has any is its node's to know.
    Learning(Tracked, Checkpointing),
}

/// burn's strategy for what the backward pass needs; it is part of the tensor's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checkpointing {
    Disabled,
    Balanced,
}

impl Held {
    /// `None` for any other backend or number type.
    pub(super) fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        if tensor.dtype() != DType::F32 || switched_off() {
            return None;
        }
        if let Ok(plain) = tensor.clone().try_into_primitive::<Flex>() {
            return Some(Self::Plain(plain));
        }
        if let Ok(learning) = tensor.clone().try_into_primitive::<Autodiff<Flex, NoCheckpointing>>() {
            return Some(Self::Learning(learning, Checkpointing::Disabled));
        }
        let learning = tensor.clone().try_into_primitive::<Autodiff<Flex, BalancedCheckpointing>>().ok()?;
        Some(Self::Learning(learning, Checkpointing::Balanced))
    }

    fn into_parts(self) -> (Tracked, Option<Checkpointing>) {
        match self {
            Self::Plain(tensor) => (Tracked::new(tensor), None),
            Self::Learning(tensor, checkpointing) => (tensor, Some(checkpointing)),
        }
    }
}

#[cfg(not(test))]
fn switched_off() -> bool {
    false
}

#[cfg(test)]
use super::tests::switched_off;

/// The numbers of a tensor on the CPU, whatever its gradient.
pub(crate) fn read_f32<const D: usize>(tensor: &Tensor<D>) -> Option<FlexTensor> {
    Some(match Held::of(tensor)? {
        Held::Plain(tensor) => tensor,
        Held::Learning(tensor, _) => tensor.into_primitive(),
    })
}

/// Runs `forward` over the inputs' numbers. It gives the result and the way back: from the result's gradient, and whether
/// each input wants one, to the inputs' gradients. The way back owns what it needs, so that it may write over it.
pub(super) fn apply<const N: usize, const D: usize, B>(
    inputs: [Held; N],
    forward: impl FnOnce([FlexTensor; N]) -> (FlexTensor, B),
) -> Tensor<D>
where
    B: FnOnce(FlexTensor, [bool; N]) -> [Option<FlexTensor>; N] + Send + 'static,
{
    let mut checkpointing = None;
    let inputs = inputs.map(|input| {
        let (tensor, found) = input.into_parts();
        checkpointing = checkpointing.or(found);
        tensor
    });
    match checkpointing {
        None => Tensor::from_primitive::<Flex>(forward(inputs.map(Tracked::into_primitive)).0),
        Some(Checkpointing::Disabled) => {
            Tensor::from_primitive::<Autodiff<Flex, NoCheckpointing>>(record::<N, NoCheckpointing, B>(inputs, forward))
        }
        Some(Checkpointing::Balanced) => {
            Tensor::from_primitive::<Autodiff<Flex, BalancedCheckpointing>>(record::<N, BalancedCheckpointing, B>(
                inputs, forward,
            ))
        }
    }
}

fn record<const N: usize, C, B>(
    inputs: [Tracked; N],
    forward: impl FnOnce([FlexTensor; N]) -> (FlexTensor, B),
) -> Tracked
where
    C: CheckpointStrategy,
    B: FnOnce(FlexTensor, [bool; N]) -> [Option<FlexTensor>; N] + Send + 'static,
{
    let nodes = std::array::from_fn(|index| inputs[index].node());
    let part = profile::current();
    let (output, back) = forward(inputs.map(Tracked::into_primitive));
    let back = move |gradient, wanted| {
        let _part = profile::backward(part);
        back(gradient, wanted)
    };
    match Custom.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let back: Back<N> = Box::new(back);
            prep.finish(Way(Arc::new(Mutex::new(Some(back)))), output)
        }
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}

type Back<const N: usize> = Box<dyn FnOnce(FlexTensor, [bool; N]) -> [Option<FlexTensor>; N] + Send>;

/// The way back of one operation. A graph is walked once, so it is there to be taken.
#[derive(Clone)]
struct Way<const N: usize>(Arc<Mutex<Option<Back<N>>>>);

impl<const N: usize> fmt::Debug for Way<N> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Way")
    }
}

#[derive(Debug)]
struct Custom;

impl<const N: usize> Backward<Flex, N> for Custom {
    type State = Way<N>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let wanted = std::array::from_fn(|index| ops.parents[index].is_some());
        let back = ops.state.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let back = back.expect("a graph is walked back once");
        for (parent, gradient) in ops.parents.into_iter().zip(back(gradient, wanted)) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

/// Room for `count` numbers, of no particular value: what takes it writes every one of them.
#[expect(clippy::uninit_vec, reason = "written in full before it is read")]
pub(super) fn room(count: usize) -> Vec<f32> {
    let mut values = Vec::<f32>::with_capacity(count);
    // SAFETY: the capacity is there, every bit pattern is a number, and the operations of this module write all of it
    // before they read any. Clearing it first would cost a pass over the memory.
    unsafe {
        values.set_len(count);
    }
    values
}

/// A tensor of these numbers.
pub(super) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// The same numbers, dense and in order.
pub(super) fn dense(tensor: FlexTensor) -> FlexTensor {
    if tensor.layout().contiguous_offsets().is_some() { tensor } else { tensor.to_contiguous() }
}

/// The numbers of a [`dense`] tensor.
pub(super) fn numbers(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().expect("a dense float32 tensor")
}

/// The same numbers to be written over: in place when nobody else holds them, else a copy.
pub(super) fn owned(tensor: FlexTensor) -> FlexTensor {
    let whole = tensor.layout().contiguous_offsets() == Some((0, tensor.bytes().len() / size_of::<f32>()));
    if whole && tensor.is_unique() {
        return tensor;
    }
    let shape = tensor.layout().shape().clone();
    let values = numbers(&dense(tensor)).to_vec();
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// The numbers of an [`owned`] tensor.
pub(super) fn numbers_mut(tensor: &mut FlexTensor) -> &mut [f32] {
    tensor.storage_mut::<f32>()
}

/// Sizes of a tensor of `D` dimensions.
pub(super) fn sizes<const D: usize>(tensor: &FlexTensor) -> [usize; D] {
    let shape = tensor.layout().shape();
    std::array::from_fn(|dimension| shape[dimension])
}
