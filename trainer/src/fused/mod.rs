//! Operations in one piece, with backward passes written by hand, where the tensors are float32 on the CPU.
//!
//! Every function here gives `None` where it has nothing better than burn's own operations (another device, another
//! number type, products in float16): the caller then takes the plain way, which is the definition. This is the one place where that is
//! decided ([`Held::of`]). The loops themselves are `laurel_kernels`.

mod adam;
mod adapted;
mod attention;
mod held;
mod ops;
mod packed;
#[cfg(test)]
mod tests;

pub(crate) use adam::{Step, Weights, sum_of_squares};
pub(crate) use adapted::adapted_linear;
pub(crate) use attention::{Heads, attention};
pub(crate) use ops::{entropies, linear, linears, rms_norm, swiglu, token_log_probs};
pub(crate) use packed::{InOrder, pack, packed_linears};
