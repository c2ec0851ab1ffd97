//! From records to token batches: tokenizer, chat template, readers, order, padding and packing, loss masks.
//!
//! This room knows text, tokens and files of records. It knows no model's arithmetic and no loss.

mod batch;
pub mod corpus;
mod decoding;
mod error;
mod example;
pub mod formats;
mod forms;
mod ignored;
pub mod new_tokenizer;
pub mod order;
mod percent;
mod python_json;
mod python_methods;
pub mod records;
mod template;
#[cfg(test)]
mod tests;
mod tokenizer;

pub use batch::{RewardBatch, SftBatch, first_fit, padded_right};
pub use decoding::{TextStream, TokenBytes};
pub use error::{DataError, model_error_is_input};
pub use example::Example;
pub use order::Order;
pub use template::ChatTemplate;
pub use tokenizer::ModelTokenizer;
