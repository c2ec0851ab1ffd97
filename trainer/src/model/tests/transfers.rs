//! What is read, hashed and written of a model is counted to its last byte, by the model's own name.

use super::*;
use crate::cli::device::device_of_tests;
use crate::model::{
    ModelDirectory,
    hf::{Companions, Lineage, WriteOptions, file_names, sha256_of_file, write_decoder_as},
};
use crate::transfer::testing::watched;

#[test]
fn a_model_in_shards_is_one_transfer() {
    let device = device_of_tests();
    let decoder = decoder("llama-tiny", &device);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("sft-3");
    let options = WriteOptions { max_shard_bytes: 20_000, ..WriteOptions::default() };
    let weights: u64 = decoder.named_tensors().iter().map(|tensor| 4 * tensor.values().len() as u64).sum();

    let write = || write_decoder_as(&out, &decoder, &Companions::none(), &Lineage::of("sft"), &options).unwrap();
    assert_eq!(watched(write).1, [("Writing sft-3".to_owned(), weights, weights)]);
    let names = file_names(&out).unwrap();
    assert!(names.iter().any(|name| name.starts_with("model-00002-of-")), "{names:?}");

    let model = ModelDirectory::open(&out).unwrap();
    let (read, told) = watched(|| model.load_decoder(&device).unwrap());
    assert_eq!(read.config().layers, decoder.config().layers);
    assert_eq!(told, [("Reading sft-3".to_owned(), weights, weights)]);

    let bytes = |name: &String| std::fs::metadata(out.join(name)).unwrap().len();
    let hashed: u64 = names.iter().filter(|name| *name != "laurel.json").map(bytes).sum();
    assert_eq!(watched(|| model.digest().unwrap()).1, [("Hashing sft-3".to_owned(), hashed, hashed)]);
    let config = bytes(&"config.json".to_owned());
    let told = watched(|| sha256_of_file(&out.join("config.json")).unwrap()).1;
    assert_eq!(told, [("Hashing config.json".to_owned(), config, config)]);
}
