//! What of a model learns: adapters beside frozen weights, or the weights themselves, all or from some layer on.

use std::collections::BTreeSet;

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::Tensor,
};

use super::{
    TrainError,
    settings::{SettingsError, Shared},
};
use crate::model::{
    Architecture, Decoder,
    lora::{Carried, LoraSettings},
};

/// The decoder as a run learns it: with fresh adapters where the settings say so, or with those that it carries already, which
/// learn on as they are; else with what is to stay as it is frozen. Without adapters to learn, those that it carries are merged.
pub fn to_learn(decoder: Decoder, shared: &Shared, seed: u64) -> Result<Decoder, TrainError> {
    let layers = decoder.config().layers;
    if shared.frozen.layers > layers || (shared.frozen.layers == layers && shared.lora.is_some()) {
        let text = format!("leaves nothing to learn: the model has {layers} layers");
        return Err(SettingsError::value("freeze_layers", text).into());
    }
    if let Some(lora) = &shared.lora {
        let carried = decoder.carried();
        if carried.is_empty() {
            return Ok(decoder.with_lora(lora, seed)?);
        }
        ensure_like(lora, &carried, decoder.config().architecture)?;
        if carried.iter().all(|adapter| adapter.layer < shared.frozen.layers) {
            let text =
                format!("leaves nothing to learn: the adapters lie in the first {} layers", shared.frozen.layers);
            return Err(SettingsError::value("freeze_layers", text).into());
        }
        // What a file says of dropout is of the run that made it.
        return Ok(frozen(decoder.with_adapter_dropout(lora.dropout), shared));
    }
    let decoder = if decoder.has_adapters() { decoder.merged().map(&mut Learnable) } else { decoder };
    Ok(frozen(decoder, shared))
}

/// Refuses a rank, an α or targets that somebody asked for and that the adapters which learn on do not have: they stay as they
/// are. Settings do not tell a default from the same value that was asked for, so a default is taken for nothing asked.
fn ensure_like(asked: &LoraSettings, carried: &[Carried], architecture: Architecture) -> Result<(), SettingsError> {
    let default = LoraSettings::default();
    let refused = |name: &str, asked: String, has: String| {
        let text = format!(
            "{asked} is asked for, and the adapter that learns on has {has}; leave the setting out, or begin a new adapter on a \
             whole model (laurel-trainer merge makes one of this)"
        );
        Err(SettingsError::value(name, text))
    };
    let ranks: BTreeSet<usize> = carried.iter().map(|adapter| adapter.rank).collect();
    if asked.rank != default.rank && !ranks.contains(&asked.rank) {
        return refused("lora_rank", asked.rank.to_string(), listed(ranks));
    }
    let is_asked = |alpha: f64| (alpha - asked.alpha).abs() < 1e-6;
    if !is_asked(default.alpha) && !carried.iter().any(|adapter| is_asked(adapter.alpha)) {
        let mut alphas: Vec<f64> = carried.iter().map(|adapter| adapter.alpha).collect();
        alphas.sort_by(f64::total_cmp);
        alphas.dedup();
        return refused("lora_alpha", asked.alpha.to_string(), listed(alphas));
    }
    // GPT-2 has no gate, so nothing is asked of one.
    let is_there = |target: &&str| architecture != Architecture::Gpt2 || *target != "gate_proj";
    let set = |targets: &[String]| -> BTreeSet<String> {
        targets.iter().map(String::as_str).filter(is_there).map(String::from).collect()
    };
    let wanted = set(&asked.targets);
    let has: BTreeSet<String> = carried.iter().map(|adapter| adapter.target.clone()).collect();
    if wanted != set(&default.targets) && wanted != has {
        return refused("lora_targets", listed(wanted), listed(has));
    }
    Ok(())
}

fn listed<T: ToString>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(", ")
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
