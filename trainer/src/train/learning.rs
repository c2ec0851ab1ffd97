//! What of a model learns: adapters beside frozen weights, or the weights themselves, all or from some layer on.

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::Tensor,
};

use super::{
    TrainError,
    settings::{SettingsError, Shared},
};
use crate::model::Decoder;

/// The decoder as a run learns it: with fresh adapters where the settings say so (unless it carries some already), else with
/// what is to stay as it is frozen. Without adapters to learn, those that it carries are merged.
pub fn to_learn(decoder: Decoder, shared: &Shared, seed: u64) -> Result<Decoder, TrainError> {
    let layers = decoder.config().layers;
    if shared.frozen.layers > layers || (shared.frozen.layers == layers && shared.lora.is_some()) {
        let text = format!("leaves nothing to learn: the model has {layers} layers");
        return Err(SettingsError::value("freeze_layers", text).into());
    }
    if let Some(lora) = &shared.lora {
        return Ok(match decoder.has_adapters() {
            // What a file says of dropout is of the run that made it.
            true => decoder.with_adapter_dropout(lora.dropout),
            false => decoder.with_lora(lora, seed)?,
        });
    }
    let decoder = if decoder.has_adapters() { decoder.merged().map(&mut Learnable) } else { decoder };
    Ok(frozen(decoder, shared))
}

/// Lets every weight learn again that was frozen beside an adapter.
struct Learnable;

impl ModuleMapper for Learnable {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.set_require_grad(true)
    }
}

fn frozen(mut decoder: Decoder, shared: &Shared) -> Decoder {
    if shared.frozen.embeddings {
        decoder.token_embedding = decoder.token_embedding.freeze();
        decoder.position_embedding = decoder.position_embedding.map(Param::freeze);
    }
    let blocks = decoder.blocks.into_iter().enumerate();
    decoder.blocks =
        blocks.map(|(index, block)| if index < shared.frozen.layers { block.freeze() } else { block }).collect();
    decoder
}
