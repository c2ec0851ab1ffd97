//! Pretraining with adapters: a model that came as an adapter is learned on as one.

use std::fs;

use laurel_trainer::{
    model::ModelDirectory,
    train::{
        LoraChoice, StageOutcome,
        pretrain::{self, PretrainInputs, PretrainSettings},
    },
};

use super::world::{Told, World};

#[test]
fn pretraining_goes_on_from_an_adapter_and_writes_one_of_the_same_base() {
    let world = World::new();
    let text: String = (0..1500).map(|at| format!("w{}{}", at % 12, if at % 12 == 11 { "\n" } else { " " })).collect();
    fs::write(world.path("text.txt"), text).unwrap();
    let settings = PretrainSettings {
        epochs: 1,
        batch_size: 4,
        block_length: 32,
        learning_rate: Some(1e-2),
        lora: LoraChoice::On,
        save_adapter: true,
        ..PretrainSettings::default()
    };
    let learned = |model: &str, out: &str| -> StageOutcome {
        let inputs = PretrainInputs { model: world.path(model), corpus: vec![world.path("text.txt")] };
        pretrain::run(&settings, &inputs, &world.run(out), &mut Told::default()).unwrap()
    };
    let first = learned("base", "first");
    assert!(first.metrics["eval/nll"] < first.metrics["eval/nll_before"] - 1e-3, "{:?}", first.metrics);
    // Each begins where the one before it ended: what is written is what was learned.
    let second = learned("first", "second");
    let third = learned("second", "third");
    for (before, after) in [(&first, &second), (&second, &third)] {
        let gap = after.metrics["eval/nll_before"] - before.metrics["eval/nll"];
        assert!(gap.abs() < 1e-4, "{:?} {:?}", before.metrics, after.metrics);
    }
    let base = |outcome: &StageOutcome| ModelDirectory::open(&outcome.out).unwrap().base_path();
    assert_eq!((base(&second), base(&third)), (base(&first), base(&first)));
}
