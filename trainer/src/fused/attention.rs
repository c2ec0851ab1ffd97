//! Rotary positions and causal attention, with or without a cache.

use burn::tensor::{Tensor, TensorData};
use burn_flex::FlexTensor;
use half::bf16;
use laurel_kernels::{
    attention::{Asked, Passed, Sight, Sizes, Strided, backward, forward, forward_over_bfloat16},
    number::{round_to_bfloat16, to_bfloat16},
    rotary::{self, Angles},
};

use super::held::{Held, apply, dense, numbers, numbers_mut, owned, read_f32, room, sizes, tensor};
use crate::model::Precision;

/// The shape of an attention layer and of the tokens that ask.
#[derive(Debug, Clone)]
pub(crate) struct Heads {
    pub heads: usize,
    pub groups: usize,
    pub head_size: usize,
    /// Tokens in the cache before those that ask.
    pub before: usize,
    /// The first key that each token sees, `[batch, sequence]`.
    pub starts: Vec<u32>,
    /// Tokens at the beginning of each row that what branches off from them sees too; empty: none.
    pub shared: Vec<u32>,
    /// What keys and values are rounded to before anyone sees them, and kept as in a cache.
    pub kept: Precision,
}

impl Heads {
    fn sizes(&self, batch: usize, queries: usize) -> Sizes {
        let Self { heads, groups, head_size, before, .. } = *self;
        Sizes { batch, queries, before, heads, groups, head_size }
    }

    fn sight(&self) -> Sight<'_> {
        Sight { starts: &self.starts, shared: &self.shared }
    }
}

/// Cosines and sines, `[batch or 1, sequence, 1, head_size / 2]` each.
type Rotation<'a> = (&'a Tensor<4>, &'a Tensor<4>);

/// Where keys and values go and come from: stores the new ones, `[batch, groups, sequence, head_size]`, and gives all of
/// them, `[batch, groups, keys, head_size]`.
type Store<'a> = &'a mut dyn FnMut(Tensor<4>, Tensor<4>) -> (Tensor<4>, Tensor<4>);

/// softmax(q·kᵀ / √size)·v with q and k turned by `rotation`: q `[batch, sequence, heads · size]`, k and v
/// `[batch, sequence, groups · size]` → `[batch, sequence, heads · size]`. With a `cache` there are no gradients.
pub(crate) fn attention(
    q: &Tensor<3>,
    k: &Tensor<3>,
    v: &Tensor<3>,
    rotation: Option<Rotation>,
    shape: &Heads,
    cache: Option<Store>,
) -> Option<Tensor<3>> {
    if shape.kept == Precision::Float16 {
        return None;
    }
    let inputs = [Held::of(q)?, Held::of(k)?, Held::of(v)?];
    let turn = match rotation {
        Some((cos, sin)) => Some((dense(read_f32(cos)?), dense(read_f32(sin)?))),
        None => None,
    };
    let turn = Turn { angles: turn, shape: shape.clone() };
    match cache {
        None => Some(apply(inputs, |inputs| over_itself(inputs, turn))),
        Some(store) => match inputs {
            [Held::Plain(q), Held::Plain(k), Held::Plain(v)] => Some(over_cache([q, k, v], turn, store)),
            _ => None,
        },
    }
}

/// Rotation of queries and keys, and back.
struct Turn {
    angles: Option<(FlexTensor, FlexTensor)>,
    shape: Heads,
}

impl Turn {
    /// The factor on the queries.
    fn scale(&self) -> f32 {
        1.0 / (self.shape.head_size as f32).sqrt()
    }

    fn apply(&self, x: FlexTensor, heads: usize, scale: f32, back: bool) -> FlexTensor {
        let mut x = owned(x);
        self.apply_to(numbers_mut(&mut x), heads, scale, back);
        x
    }

    /// Keys or values as they are kept, in float32.
    fn kept(&self, x: FlexTensor) -> FlexTensor {
        if self.shape.kept == Precision::Float32 {
            return dense(x);
        }
        let mut x = owned(x);
        round_to_bfloat16(numbers_mut(&mut x));
        x
    }

    fn apply_to(&self, x: &mut [f32], heads: usize, scale: f32, back: bool) {
        match &self.angles {
            Some((cos, sin)) => {
                let angles = Angles { cos: numbers(cos), sin: numbers(sin) };
                rotary::rotate(x, angles, heads, self.shape.head_size, scale, back);
            }
            None if scale != 1.0 => rotary::scale(x, scale),
            None => {}
        }
    }
}

type Back = Box<dyn FnOnce(FlexTensor, [bool; 3]) -> [Option<FlexTensor>; 3] + Send>;

fn over_itself([q, k, v]: [FlexTensor; 3], turn: Turn) -> (FlexTensor, Back) {
    let [batch, sequence, row] = sizes(&q);
    let kept @ [.., kept_row] = sizes::<3>(&k);
    let shape = turn.shape.sizes(batch, sequence);
    let q = turn.apply(q, shape.heads, turn.scale(), false);
    let k = turn.kept(turn.apply(k, shape.groups, 1.0, false));
    let v = turn.kept(v);
    let mut out = room(batch * sequence * row);
    let mut normaliser = room(batch * shape.heads * sequence);
    let strided = |values| Strided::tokens_first(values, &shape);
    let (keys, values) = (strided(numbers(&k)), strided(numbers(&v)));
    let rounded = turn.shape.kept == Precision::Bfloat16;
    let asked = Asked { q: numbers(&q), k: keys, v: values, sight: turn.shape.sight(), rounded };
    forward(&shape, asked, &mut out, &mut normaliser);
    let out = tensor(out, [batch, sequence, row]);
    let kept_out = out.clone();
    let back = move |gradient: FlexTensor, _: [bool; 3]| {
        let gradient = dense(gradient);
        let mut of_q = room(batch * sequence * row);
        let mut of_k = room(batch * sequence * kept_row);
        let mut of_v = room(batch * sequence * kept_row);
        let passed = Passed {
            q: numbers(&q),
            k: numbers(&k),
            v: numbers(&v),
            out: numbers(&kept_out),
            normaliser: &normaliser,
            sight: turn.shape.sight(),
            rounded,
        };
        backward(&shape, passed, numbers(&gradient), &mut of_q, &mut of_k, &mut of_v);
        turn.apply_to(&mut of_q, shape.heads, turn.scale(), true);
        turn.apply_to(&mut of_k, shape.groups, 1.0, true);
        [Some(tensor(of_q, [batch, sequence, row])), Some(tensor(of_k, kept)), Some(tensor(of_v, kept))]
    };
    (out, Box::new(back))
}

fn over_cache([q, k, v]: [FlexTensor; 3], turn: Turn, store: Store) -> Tensor<3> {
    use burn::backend::Flex;
    let [batch, sequence, row] = sizes(&q);
    let shape = turn.shape.sizes(batch, sequence);
    let q = turn.apply(q, shape.heads, turn.scale(), false);
    let k = turn.apply(k, shape.groups, 1.0, false);
    let heads_first = |x: FlexTensor| {
        let x = match turn.shape.kept {
            Precision::Bfloat16 => FlexTensor::from_data(TensorData::new(
                to_bfloat16(numbers(&dense(x))),
                [batch, sequence, shape.groups * shape.head_size],
            )),
            _ => x,
        };
        Tensor::<3>::from_primitive::<Flex>(x).reshape([batch, sequence, shape.groups, shape.head_size]).swap_dims(1, 2)
    };
    let (keys, values) = store(heads_first(k), heads_first(v));
    let kept =
        [keys, values].map(|tensor| tensor.try_into_primitive::<Flex>().expect("the cache is where the model is"));
    let mut out = room(batch * sequence * row);
    let mut normaliser = room(batch * shape.heads * sequence);
    let (q, sight) = (numbers(&q), turn.shape.sight());
    if turn.shape.kept == Precision::Bfloat16 {
        let [k, v] = kept.each_ref().map(|kept| strided(kept, kept.storage::<bf16>()));
        forward_over_bfloat16(&shape, Asked { q, k, v, sight, rounded: true }, &mut out, &mut normaliser);
    } else {
        let [k, v] = kept.each_ref().map(|kept| strided(kept, kept.storage::<f32>()));
        forward(&shape, Asked { q, k, v, sight, rounded: false }, &mut out, &mut normaliser);
    }
    Tensor::from_primitive::<Flex>(tensor(out, [batch, sequence, row]))
}

/// What a cache holds, `[batch, groups, keys, head_size]`, of the numbers among which it lies.
fn strided<'a, N>(tensor: &FlexTensor, numbers: &'a [N]) -> Strided<'a, N> {
    let [batch, head, token, _] = std::array::from_fn(|dimension| tensor.layout().strides()[dimension] as usize);
    Strided { values: &numbers[tensor.layout().start_offset()..], batch, token, head }
}
