//! Non-linearities by the names of transformers' `ACT2FN`.

use super::super::error::ModelError;

/// The non-linearity of the feed-forward block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// GELU by the tanh approximation (`gelu_new`).
    GeluTanh,
    /// Exact GELU.
    Gelu,
    Relu,
    Silu,
    Tanh,
}

impl Activation {
    pub(super) fn parse(name: &str) -> Result<Self, ModelError> {
        match name {
            "gelu_new" | "gelu_fast" | "gelu_accurate" | "gelu_pytorch_tanh" | "gelu_python_tanh" => Ok(Self::GeluTanh),
            "gelu" | "gelu_python" => Ok(Self::Gelu),
            "relu" => Ok(Self::Relu),
            "silu" | "swish" => Ok(Self::Silu),
            "tanh" => Ok(Self::Tanh),
            other => Err(ModelError::Unsupported(format!("activation function {other:?} is not supported"))),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::GeluTanh => "gelu_new",
            Self::Gelu => "gelu",
            Self::Relu => "relu",
            Self::Silu => "silu",
            Self::Tanh => "tanh",
        }
    }
}
