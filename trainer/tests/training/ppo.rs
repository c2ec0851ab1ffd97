//! PPO raises what the reward model rewards, starts from ratios of one, and stops when it runs away.

use laurel_trainer::{
    cli::device::device_of_tests,
    data::ModelTokenizer,
    generate::{SamplingSettings, generate},
    model::ModelDirectory,
    train::{
        Earlier, LoraChoice, Run, TrainError,
        ppo::{self, PpoInputs, PpoSettings, ValueModel},
        reward::{self, RewardInputs, RewardSettings},
    },
};
use std::path::Path;

use super::world::{Told, World, prompts, rankings};

/// A reward model that likes `good`, and prompts.
pub fn inputs(world: &World) -> PpoInputs {
    let settings = RewardSettings { epochs: 6, batch_size: 4, learning_rate: Some(1e-3), ..RewardSettings::default() };
    let ranked = world.records("rankings.jsonl", &rankings());
    let inputs = RewardInputs { model: world.path("base"), data: ranked, demonstrations: None };
    let reward = reward::run(&settings, &inputs, &world.run("reward"), &mut Told::default()).unwrap().out;
    PpoInputs {
        policy: world.path("base"),
        reward,
        prompts: world.records("prompts.jsonl", &prompts()),
        pretrain: vec![],
    }
}

fn settings() -> PpoSettings {
    PpoSettings {
        steps: 25,
        batch_size: 24,
        minibatch_size: 12,
        max_new_tokens: 6,
        learning_rate: Some(2e-3),
        kl_coefficient: 0.02,
        missing_eos_penalty: 0.0,
        sample_steps: 0,
        ..PpoSettings::default()
    }
}

/// The share of `good` (token 3) in answers to the prompts: what the reward model cannot be asked about itself.
pub fn share_of_good(model: &Path) -> f64 {
    let directory = ModelDirectory::open(model).unwrap();
    let tokenizer = ModelTokenizer::open(&directory).unwrap();
    let decoder = directory.load_decoder(&device_of_tests()).unwrap();
    let prompts: Vec<Vec<u32>> = (0..36).map(|word| tokenizer.encode(&format!("w{word} w{}\n", word % 7))).collect();
    let seeds: Vec<u64> = (1000..1036).collect();
    let settings = SamplingSettings { max_new_tokens: 6, ..SamplingSettings::default() };
    let answers =
        generate(&decoder, &prompts, &settings, tokenizer.stop_ids(), tokenizer.pad_id(), &seeds, &mut |_| {});
    let tokens: Vec<u32> = answers.into_iter().flat_map(|answer| answer.tokens).collect();
    tokens.iter().filter(|token| **token == 3).count() as f64 / tokens.len() as f64
}

#[test]
fn the_policy_says_more_of_what_is_rewarded() {
    let world = World::new();
    let inputs = inputs(&world);
    let mut told = Told::default();
    let outcome = ppo::run(&settings(), &inputs, &world.run("out"), &mut told).unwrap();
    let (before, after) = (share_of_good(&inputs.policy), share_of_good(&outcome.out));
    assert!(before < 0.1 && after > 0.4, "share of good words {before} → {after}");
    let scores = &told.metrics["objective/scores"];
    let of_five = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
    let (first, last) = (of_five(&scores[..5]), of_five(&scores[scores.len() - 5..]));
    assert!(last > first + 1.0, "{scores:?}");
    // Away from the reference: the divergence grows, and is never truly negative.
    let kl = &told.metrics["objective/kl"];
    assert!(kl[0].abs() < 1e-3 && kl.iter().all(|kl| *kl > -0.5) && kl[24] > 0.5, "{kl:?}");
}

#[test]
fn ratios_are_one_before_anything_is_learned() {
    let world = World::new();
    let inputs = inputs(&world);
    // One minibatch a rollout: every ratio that is ever taken is of a policy that has just sampled.
    for (name, lora, temperature, top_k, top_p) in [
        ("full", LoraChoice::Off, 1.0, 0, 1.0),
        ("adapters", LoraChoice::On, 0.7, 0, 1.0),
        ("few", LoraChoice::Off, 0.7, 6, 1.0),
        ("nucleus", LoraChoice::Off, 1.0, 0, 0.8),
    ] {
        let settings = PpoSettings {
            steps: 4,
            minibatch_size: 24,
            ppo_epochs: 1,
            lora,
            temperature,
            top_k,
            top_p,
            micro_batch_tokens: 60,
            ..settings()
        };
        let mut told = Told::default();
        ppo::run(&settings, &inputs, &world.run(name), &mut told).unwrap();
        for (metric, expected) in
            [("val/ratio", 1.0), ("val/ratio_var", 0.0), ("policy/approxkl_avg", 0.0), ("policy/clipfrac_avg", 0.0)]
        {
            let found = &told.metrics[metric];
            assert!(found.iter().all(|found| (found - expected).abs() < 1e-4), "{name} {metric} {found:?}");
        }
        let kl = &told.metrics["objective/kl"];
        assert!(kl[0].abs() < 1e-3, "{name}: nothing has been learned yet {kl:?}");
        assert!(kl[3].abs() > 1e-3, "{name}: the policy has moved all the same");
    }
}

#[test]
fn learning_from_a_truncated_law_is_scored_among_its_tokens() {
    let world = World::new();
    let inputs = inputs(&world);
    let settings = PpoSettings { top_k: 30, top_p: 0.95, ..settings() };
    let mut told = Told::default();
    let outcome = ppo::run(&settings, &inputs, &world.run("out"), &mut told).unwrap();
    assert!(share_of_good(&outcome.out) > 0.3, "share of good words {}", share_of_good(&outcome.out));
    // Among thirty tokens no law has more than ln 30 nats a token.
    let entropy = &told.metrics["policy/entropy_avg"];
    assert!(entropy.iter().all(|entropy| *entropy > 0.0 && *entropy < 30f64.ln()), "{entropy:?}");
    assert!(told.metrics["objective/kl"].iter().all(|kl| *kl > -0.5), "{:?}", told.metrics["objective/kl"]);
}

#[test]
fn a_policy_that_runs_away_is_stopped_with_its_last_good_checkpoint() {
    let world = World::new();
    let inputs = inputs(&world);
    // The one before the last is there even where only one is kept: the last turns out to be of no use.
    for (out, save_limit) in [("out", 2), ("one", 1)] {
        let settings = PpoSettings { max_kl: 0.5, kl_coefficient: 0.0, save_steps: 1, save_limit, ..settings() };
        let error = ppo::run(&settings, &inputs, &world.run(out), &mut Told::default()).unwrap_err();
        let TrainError::Diverged { step, checkpoint: Some(checkpoint), .. } = &error else { panic!("{error}") };
        let last_good = checkpoint.ends_with(format!("step-{:08}.safetensors", step - 2));
        assert!(checkpoint.exists() && last_good, "{error}");
        assert!(error.to_string().contains("max_kl") && error.to_string().contains("kl_coefficient"), "{error}");
        assert!(!world.path(out).exists());
    }
}

#[test]
fn a_run_that_fails_before_a_checkpoint_is_due_has_one_to_go_on_from() {
    let world = World::new();
    let inputs = inputs(&world);
    // Checkpoints as often as anybody gets them who asks for nothing.
    let settings = PpoSettings { max_kl: 0.5, kl_coefficient: 0.0, ..settings() };
    let error = ppo::run(&settings, &inputs, &world.run("out"), &mut Told::default()).unwrap_err();
    let TrainError::Diverged { step, checkpoint: Some(checkpoint), .. } = &error else { panic!("{error}") };
    assert!(*step <= PpoSettings::default().save_steps && checkpoint.exists(), "{error}");
    assert!(error.to_string().contains(&checkpoint.display().to_string()), "{error}");

    let careful = PpoSettings { steps: 3, learning_rate: Some(1e-5), ..settings };
    let run = Run { earlier: Earlier::Resume, ..world.run("out") };
    let mut told = Told::default();
    ppo::run(&careful, &inputs, &run, &mut told).unwrap();
    assert!(told.log.iter().any(|line| line == "going on from the checkpoint at step 0"), "{:?}", told.log);
    assert!(world.path("out").exists() && !checkpoint.exists());
}

#[test]
fn pretraining_text_that_is_mixed_in_is_learned_beside() {
    let world = World::new();
    let text: String = (0..600).map(|at| format!("w{} ", at % 12)).collect();
    std::fs::write(world.path("text.txt"), text).unwrap();
    let inputs = PpoInputs { pretrain: vec![world.path("text.txt")], ..inputs(&world) };
    let settings = PpoSettings { steps: 12, ptx_block_length: 24, learning_rate: Some(3e-3), ..settings() };
    let mut told = Told::default();
    ppo::run(&settings, &inputs, &world.run("out"), &mut told).unwrap();
    let losses = &told.metrics["loss/ptx_avg"];
    assert!(losses[0] > 3.0 && losses[11] < losses[0] - 0.8, "{losses:?}");
}

#[test]
fn pretraining_text_that_counts_for_nothing_is_told_and_no_loss_of_it_is() {
    let world = World::new();
    std::fs::write(world.path("text.txt"), "w1 w2 w3 w4 ".repeat(40)).unwrap();
    let inputs = PpoInputs { pretrain: vec![world.path("text.txt")], ..inputs(&world) };
    let settings = PpoSettings { steps: 1, ptx_block_length: 24, ptx_coefficient: 0.0, ..settings() };
    let mut told = Told::default();
    ppo::run(&settings, &inputs, &world.run("out"), &mut told).unwrap();
    assert!(!told.metrics.contains_key("loss/ptx_avg") && told.metrics.contains_key("loss/policy_avg"));
    let lines = |words: &str| told.log.iter().filter(|line| line.contains(words)).count();
    assert_eq!([lines("ptx_coefficient is 0"), lines("are mixed in")], [1, 0], "{:?}", told.log);
}

#[test]
fn pretraining_text_without_text_is_refused() {
    let world = World::new();
    let empty = world.records("text.jsonl", &[serde_json::json!({"text": ""})]);
    let inputs = PpoInputs { pretrain: vec![empty], ..inputs(&world) };
    let error = ppo::run(&settings(), &inputs, &world.run("out"), &mut Told::default()).unwrap_err();
    assert!(error.is_wrong_input() && error.to_string().contains("--pretrain"), "{error}");
}

#[test]
fn values_may_come_from_the_policy_or_from_its_own_trunk() {
    let world = World::new();
    let inputs = inputs(&world);
    for (name, value_model) in [("policy", ValueModel::Policy), ("shared", ValueModel::Shared)] {
        let settings = PpoSettings { value_model, ..settings() };
        let mut told = Told::default();
        let outcome = ppo::run(&settings, &inputs, &world.run(name), &mut told).unwrap();
        let after = share_of_good(&outcome.out);
        assert!(after > 0.3, "{name}: share of good words {after}");
        // A head that gives zero explains nothing yet; then it learns to.
        assert_eq!(told.metrics["val/mean"][0], 0.0);
        let explained = &told.metrics["val/var_explained"];
        let best = explained[5..].iter().copied().fold(f64::NEG_INFINITY, f64::max);
        assert!(explained[0].abs() < 1e-3 && best > 0.1, "{name}: {explained:?}");
        // The entropy in full is what −log π of the drawn tokens is on average.
        let (full, drawn) = (told.metrics["policy/entropy_avg"][0], &told.metrics["objective/entropy"]);
        let drawn = drawn[0] / told.metrics["objective/length"][0];
        assert!((full - drawn).abs() < 0.3 && full <= 40f64.ln(), "{name}: {full} nats a token, drawn {drawn}");
        assert!(told.metrics["val/first_ratio"].iter().all(|ratio| (ratio - 1.0).abs() < 1e-4));
    }
}

#[test]
fn the_passes_over_a_rollout_end_when_the_policy_has_moved_too_far() {
    let world = World::new();
    let inputs = inputs(&world);
    let settings = PpoSettings { steps: 4, ppo_epochs: 6, minibatch_size: 24, ..settings() };
    let steps = |name: &str, target_approx_kl| {
        let mut told = Told::default();
        let settings = PpoSettings { target_approx_kl, ..settings.clone() };
        ppo::run(&settings, &inputs, &world.run(name), &mut told).unwrap();
        let largest = told.metrics["policy/approxkl_k3_avg"].iter().copied().fold(0.0, f64::max);
        (told.metrics["train/optimiser_steps"].clone(), told.metrics["train/stopped_early"].clone(), largest)
    };
    let (all, stopped, free) = steps("free", 0.0);
    assert_eq!((all, stopped), (vec![6.0; 4], vec![0.0; 4]));
    let (some, stopped, held) = steps("held", free / 4.0);
    // The first minibatch never stops: before it nothing was learned.
    assert!(some.iter().all(|steps| *steps >= 1.0) && some.iter().any(|steps| *steps < 6.0), "{some:?}");
    assert!(stopped.iter().zip(&some).all(|(stopped, steps)| (*stopped == 1.0) == (*steps < 6.0)), "{stopped:?}");
    assert!(held <= free / 4.0, "{held} nats a token, {free} without a target");
}

#[test]
fn numbers_beyond_use_end_the_run_and_say_what_to_go_on_from() {
    let world = World::new();
    let inputs = inputs(&world);
    // With a warm-up the first rates are small: the weights of the second step are good.
    let settings =
        PpoSettings { save_steps: 1, save_limit: 9, learning_rate: Some(1e30), warmup_ratio: 0.0, ..settings() };
    let error = ppo::run(&settings, &inputs, &world.run("out"), &mut Told::default()).unwrap_err();
    assert!(matches!(error, TrainError::Diverged { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("not a finite number") && text.contains("learning rate"), "{text}");
    assert!(!world.path("out").exists());
}

/// Of the updates in one step the second finds what the first has done: the weights before both have nothing to do with it.
#[test]
fn a_step_that_breaks_good_weights_leaves_their_checkpoint() {
    let world = World::new();
    let inputs = inputs(&world);
    let settings = PpoSettings { steps: 6, ..settings() };
    let mut told = Told { stop_after: Some(2), ..Told::default() };
    ppo::run(&settings, &inputs, &world.run("out"), &mut told).unwrap_err();
    let absurd = PpoSettings { learning_rate: Some(1e30), ..settings };
    let run = Run { earlier: Earlier::Resume, ..world.run("out") };
    let error = ppo::run(&absurd, &inputs, &run, &mut Told::default()).unwrap_err();
    let TrainError::Diverged { step: 3, checkpoint: Some(checkpoint), .. } = &error else { panic!("{error}") };
    assert!(checkpoint.exists() && checkpoint.ends_with("step-00000002.safetensors"), "{error}");
}

#[test]
fn a_policy_that_the_last_step_broke_is_not_written() {
    let world = World::new();
    let inputs = inputs(&world);
    let broken = PpoSettings { steps: 1, learning_rate: Some(10.0), max_kl: 5.0, ..settings() };
    let error = ppo::run(&broken, &inputs, &world.run("out"), &mut Told::default()).unwrap_err();
    assert!(matches!(error, TrainError::Diverged { step: 1, checkpoint: Some(_), .. }), "{error}");
    assert!(!world.path("out").exists());
    // What is reported at the end is of the policy that is written, not of the one that gave the last rollout.
    let mut told = Told::default();
    let outcome = ppo::run(&PpoSettings { steps: 1, ..settings() }, &inputs, &world.run("good"), &mut told).unwrap();
    assert!(told.metrics["objective/kl"][0].abs() < 1e-3 && outcome.metrics["objective/kl"].abs() > 1e-3);
}

/// The last step steers the price too; what is told at the end is of the price that it learned under.
#[test]
fn what_divergence_costs_at_the_end_is_told_at_the_price_that_is_told() {
    let world = World::new();
    let inputs = inputs(&world);
    let steered = PpoSettings { steps: 2, kl_target: 0.5, kl_horizon: 120.0, ..settings() };
    let outcome = ppo::run(&steered, &inputs, &world.run("out"), &mut Told::default()).unwrap();
    let of = |name: &str| outcome.metrics[&format!("objective/{name}")];
    // Nothing diverges in the first rollout: the price falls by 0.2 · 24 / 120 of itself.
    assert!((of("kl_coef") - 0.96 * steered.kl_coefficient).abs() < 1e-9, "{:?}", outcome.metrics);
    assert!(of("kl").abs() > 1e-4 && (of("non_score_reward") + of("kl_coef") * of("kl")).abs() < 1e-12);
    assert!((of("rlhf_reward") - of("non_score_reward") - of("scores")).abs() < 1e-9);
}

#[test]
fn values_from_the_reward_model_have_the_zero_and_the_unit_of_the_scores() {
    let world = World::new();
    let inputs = inputs(&world);
    let first = |name: &str, settings: PpoSettings| {
        let mut told = Told::default();
        ppo::run(&PpoSettings { steps: 1, ..settings }, &inputs, &world.run(name), &mut told).unwrap();
        [told.metrics["val/mean"][0], told.metrics["val/var"][0].sqrt(), told.metrics["objective/scores"][0]]
    };
    let [value, deviation, score] = first("plain", settings());
    // The zero of the reward model's scale, moved by hand.
    let path = inputs.reward.join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["score_mean"] = (config["score_mean"].as_f64().unwrap_or(0.0) + 5.0).into();
    std::fs::write(&path, config.to_string()).unwrap();
    let [lower_value, _, lower_score] = first("lower", settings());
    assert!((score - lower_score - 5.0).abs() < 1e-4 && (value - lower_value - 5.0).abs() < 1e-4);
    let [normalised, of_one, mean] = first("normalised", PpoSettings { normalise_scores: true, ..settings() });
    let unit = deviation / of_one;
    assert!(mean.abs() < 1e-6 && (normalised - (value - score) / unit).abs() < 1e-3, "{normalised}, a unit of {unit}");
}

#[test]
fn people_see_the_answers_of_policy_and_reference_side_by_side() {
    let world = World::new();
    let inputs = inputs(&world);
    let settings = PpoSettings { steps: 6, sample_steps: 3, sample_prompts: 2, ..settings() };
    let mut told = Told::default();
    ppo::run(&settings, &inputs, &world.run("out"), &mut told).unwrap();
    let at: Vec<u64> = told.samples.iter().map(|(step, _)| *step).collect();
    assert_eq!(at, [0, 3, 6]);
    let first = &told.samples[0].1;
    assert!(first.len() == 2 && first[0].prompt[0].content == "w0 w0");
    assert!(first.iter().all(|sample| sample.policy == sample.reference), "the policy starts as the reference");
    let last = &told.samples[2].1;
    assert!(last.iter().zip(first).all(|(last, first)| last.reference == first.reference));
    assert!(last.iter().any(|sample| sample.policy != sample.reference && sample.policy_reward.is_finite()));
    assert!(told.log.iter().any(|line| line.starts_with("step 6") && line.contains("reference")), "{:?}", told.log);
}
