//! The moving average of a policy's weights in the methods that learn from its own answers: beside adapters, on a trunk that is
//! shared with the values, through a checkpoint.

use std::path::Path;

use burn::tensor::Tensor;
use laurel_trainer::{
    cli::device::device_of_tests,
    model::ModelDirectory,
    train::{
        Earlier, LoraChoice, Run, TrainError,
        ppo::{self, PpoSettings, ValueModel},
    },
};

use super::world::{Told, World};

/// Of one linear: its adapter's matrices where it has one, else its weight.
fn weights(model: &Path) -> Vec<f32> {
    let decoder = ModelDirectory::open(model).unwrap().load_decoder_to_learn(&device_of_tests()).unwrap();
    let values = |tensor: Tensor<2>| tensor.into_data().try_to_vec::<f32>().unwrap();
    let query = &decoder.blocks[1].attention.q_proj;
    match &query.adapter {
        Some(adapter) => [values(adapter.a.val()), values(adapter.b.val())].concat(),
        None => values(query.weight.val()),
    }
}

#[track_caller]
fn assert_average(average: &[f32], before: &[f32], newest: &[f32]) {
    assert_eq!(average.len(), newest.len());
    for ((average, before), newest) in average.iter().zip(before).zip(newest) {
        assert!((average - 0.5 * (before + newest)).abs() < 1e-6, "{average} of {before} and {newest}");
    }
}

#[test]
fn of_adapters_and_of_a_shared_trunk_follow_the_weights_by_their_decay_and_survive_a_checkpoint() {
    let world = World::new();
    let inputs = super::ppo::inputs(&world);
    for (name, lora, value_model) in
        [("adapters", LoraChoice::On, ValueModel::Reward), ("shared", LoraChoice::Off, ValueModel::Shared)]
    {
        let plain = PpoSettings {
            steps: 3,
            batch_size: 8,
            minibatch_size: 8,
            max_new_tokens: 6,
            learning_rate: Some(5e-3),
            warmup_ratio: 0.0,
            missing_eos_penalty: 0.0,
            sample_steps: 0,
            keep_policy_steps: 1,
            lora,
            save_adapter: lora == LoraChoice::On,
            value_model,
            ..PpoSettings::default()
        };
        let averaged = PpoSettings { ema_decay: 0.5, ..plain.clone() };
        let out = |of: &str| format!("{name}-{of}");
        ppo::run(&plain, &inputs, &world.run(&out("plain")), &mut Told::default()).unwrap();
        let last = ppo::run(&averaged, &inputs, &world.run(&out("averaged")), &mut Told::default()).unwrap().out;
        // The average changes nothing of what is learned, so the weights themselves are those of the plain run.
        let kept = |of: &str, step: usize| weights(&world.path(&format!("{}.policies/{step:06}", out(of))));
        for step in [2, 3] {
            assert_average(&kept("averaged", step), &kept("averaged", step - 1), &kept("plain", step));
        }
        assert_eq!(weights(&last), kept("averaged", 3));
        let apart = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-5;
        assert!(kept("averaged", 3).iter().zip(&kept("plain", 3)).any(apart), "{name}: the average is of something");

        let mut told = Told { stop_after: Some(2), ..Told::default() };
        let stopped = ppo::run(&averaged, &inputs, &world.run(&out("resumed")), &mut told).unwrap_err();
        assert!(matches!(stopped, TrainError::Stopped { step: 2 }), "{stopped}");
        let run = Run { earlier: Earlier::Resume, ..world.run(&out("resumed")) };
        let resumed = ppo::run(&averaged, &inputs, &run, &mut Told::default()).unwrap().out;
        assert_eq!(weights(&resumed), weights(&last), "{name}");
    }
}
