//! GGUF files (the format of llama.cpp) as models: weights dequantised to f32, metadata turned into a configuration, a
//! tokenizer and a chat template.

mod blocks;
mod configuration;
mod container;
mod tokenizer;
mod weights;

pub use container::GgufFile;
