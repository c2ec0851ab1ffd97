//! The methods beside PPO: each raises what it is for, by more than noise, and keeps what PPO keeps.

use laurel_trainer::train::{
    OnlineInputs, Run, StageOutcome, TrainError,
    dpo::{self, DpoInputs, DpoSettings},
    grpo::{self, GrpoSettings, LossType},
    rloo::{self, RlooSettings},
};

use super::{
    ppo::{inputs, share_of_good},
    world::{Told, World, rankings},
};

fn online(world: &World) -> OnlineInputs {
    let of_ppo = inputs(world);
    OnlineInputs { policy: of_ppo.policy, reward: of_ppo.reward, prompts: of_ppo.prompts }
}

fn rloo_settings() -> RlooSettings {
    RlooSettings {
        steps: 25,
        batch_size: 24,
        minibatch_size: 12,
        max_new_tokens: 6,
        learning_rate: Some(2e-3),
        kl_coefficient: 0.02,
        missing_eos_penalty: 0.0,
        sample_steps: 0,
        ..RlooSettings::default()
    }
}

fn grpo_settings() -> GrpoSettings {
    GrpoSettings {
        steps: 25,
        batch_size: 24,
        minibatch_size: 12,
        max_new_tokens: 6,
        learning_rate: Some(2e-3),
        missing_eos_penalty: 0.0,
        sample_steps: 0,
        ..GrpoSettings::default()
    }
}

/// What a run to `out` tells.
fn told(world: &World, out: &str, run: impl FnOnce(&Run, &mut Told) -> Result<StageOutcome, TrainError>) -> Told {
    let mut told = Told::default();
    run(&world.run(out), &mut told).unwrap();
    told
}

#[track_caller]
fn assert_learned(inputs: &OnlineInputs, outcome: &StageOutcome, told: &Told) {
    let (before, after) = (share_of_good(&inputs.policy), share_of_good(&outcome.out));
    assert!(before < 0.1 && after > 0.4, "share of good words {before} → {after}");
    let reward = &told.metrics["reward"];
    let of_five = |of: &[f64]| of.iter().sum::<f64>() / 5.0;
    assert!(of_five(&reward[20..]) > of_five(&reward[..5]) + 1.0, "{reward:?}");
    let kl = &told.metrics["objective/kl"];
    assert!(kl[0].abs() < 1e-3 && kl.iter().all(|kl| *kl > -0.5) && kl[24] > 0.5, "{kl:?}");
    // Before anything is learned from a rollout, the policy is the one that sampled.
    assert!(told.metrics["val/first_ratio"].iter().all(|ratio| (ratio - 1.0).abs() < 1e-3));
    assert!(told.metrics["val/first_approxkl"].iter().all(|kl| kl.abs() < 1e-4));
    assert_eq!(told.metrics["completions/max_length"][0], 6.0);
}

#[test]
fn rloo_says_more_of_what_is_rewarded() {
    let world = World::new();
    let inputs = online(&world);
    let mut told = Told::default();
    let outcome = rloo::run(&rloo_settings(), &inputs, &world.run("out"), &mut told).unwrap();
    assert_learned(&inputs, &outcome, &told);
}

#[test]
fn grpo_says_more_of_what_is_rewarded() {
    let world = World::new();
    let inputs = online(&world);
    let mut told = Told::default();
    let outcome = grpo::run(&grpo_settings(), &inputs, &world.run("out"), &mut told).unwrap();
    assert_learned(&inputs, &outcome, &told);
}

#[test]
fn ratios_are_one_before_anything_is_learned() {
    let world = World::new();
    let inputs = online(&world);
    // One minibatch a rollout: every ratio that is ever taken is of a policy that has just sampled.
    for (law, temperature, top_k, top_p) in [("few", 0.7, 6, 1.0), ("nucleus", 1.0, 0, 0.8), ("both", 1.3, 12, 0.9)] {
        let (mut of_rloo, mut of_grpo) = (Told::default(), Told::default());
        let settings = RlooSettings {
            steps: 4,
            minibatch_size: 24,
            num_iterations: 1,
            temperature,
            top_k,
            top_p,
            micro_batch_tokens: 60,
            ..rloo_settings()
        };
        rloo::run(&settings, &inputs, &world.run(&format!("rloo-{law}")), &mut of_rloo).unwrap();
        let settings = GrpoSettings {
            steps: 4,
            minibatch_size: 24,
            num_iterations: 1,
            temperature,
            top_k,
            top_p,
            micro_batch_tokens: 60,
            ..grpo_settings()
        };
        grpo::run(&settings, &inputs, &world.run(&format!("grpo-{law}")), &mut of_grpo).unwrap();
        for (method, told) in [("RLOO", of_rloo), ("GRPO", of_grpo)] {
            for (metric, expected) in [
                ("val/ratio", 1.0),
                ("val/first_ratio", 1.0),
                ("val/first_approxkl", 0.0),
                ("policy/approxkl_avg", 0.0),
                ("policy/clipfrac_avg", 0.0),
            ] {
                let found = &told.metrics[metric];
                // RLOO's ratios are of whole answers.
                assert!(found.iter().all(|found| (found - expected).abs() < 1e-3), "{method} {law} {metric} {found:?}");
            }
            let kl = &told.metrics["objective/kl"];
            assert!(
                kl[0].abs() < 1e-3 && kl[3].abs() > 1e-3,
                "{method} {law}: the policy has moved all the same {kl:?}"
            );
        }
    }
}

/// However the tokens are weighed, a minibatch that goes through the model in pieces gives what the whole gives.
#[test]
fn grpo_and_rloo_take_the_same_way_in_pieces() {
    let world = World::new();
    let inputs = online(&world);
    for (number, loss_type) in [LossType::Grpo, LossType::Dapo, LossType::DrGrpo].into_iter().enumerate() {
        let losses = |micro_batch_tokens| {
            let settings = GrpoSettings { steps: 2, loss_type, micro_batch_tokens, ..grpo_settings() };
            let out = format!("{number}-{micro_batch_tokens}");
            way(&told(&world, &out, |run, told| grpo::run(&settings, &inputs, run, told)))
        };
        same(&losses(4096), &losses(20));
    }
    let losses = |micro_batch_tokens| {
        let settings = RlooSettings { steps: 2, micro_batch_tokens, ..rloo_settings() };
        let out = format!("rloo-{micro_batch_tokens}");
        way(&told(&world, &out, |run, told| rloo::run(&settings, &inputs, run, told)))
    };
    same(&losses(4096), &losses(20));
}

/// What shows the way that a run took.
fn way(told: &Told) -> Vec<f64> {
    [told.metrics["train/grad_norm"].clone(), told.metrics["kl"].clone()].concat()
}

#[track_caller]
fn same(whole: &[f64], pieces: &[f64]) {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-3 * a.abs().max(1.0);
    assert!(whole.len() == pieces.len() && whole.iter().zip(pieces).all(near), "{whole:?} {pieces:?}");
}

#[test]
fn the_passes_over_a_rollout_end_when_the_policy_has_moved_too_far() {
    let world = World::new();
    let inputs = online(&world);
    let of_rloo = |target_approx_kl: f64| {
        let few = RlooSettings { steps: 3, num_iterations: 6, minibatch_size: 24, ..rloo_settings() };
        let settings = RlooSettings { target_approx_kl, ..few };
        told(&world, &format!("rloo-{target_approx_kl}"), |run, told| rloo::run(&settings, &inputs, run, told))
    };
    let of_grpo = |target_approx_kl: f64| {
        let few = GrpoSettings { steps: 3, num_iterations: 6, minibatch_size: 24, ..grpo_settings() };
        let settings = GrpoSettings { target_approx_kl, ..few };
        told(&world, &format!("grpo-{target_approx_kl}"), |run, told| grpo::run(&settings, &inputs, run, told))
    };
    let methods: [(&str, &dyn Fn(f64) -> Told); 2] = [("rloo", &of_rloo), ("grpo", &of_grpo)];
    for (name, run) in methods {
        let farthest = |told: &Told| told.metrics["policy/approxkl_k3_avg"].iter().copied().fold(0.0, f64::max);
        let free = run(0.0);
        assert_eq!(free.metrics["train/optimiser_steps"], [6.0; 3], "{name}");
        assert_eq!(free.metrics["train/stopped_early"], [0.0; 3], "{name}");
        let target = farthest(&free) / 4.0;
        let held = run(target);
        let (steps, stopped) = (&held.metrics["train/optimiser_steps"], &held.metrics["train/stopped_early"]);
        // The first minibatch never stops: before it nothing was learned.
        assert!(steps.iter().all(|steps| *steps >= 1.0) && steps.iter().any(|steps| *steps < 6.0), "{name} {steps:?}");
        assert!(stopped.iter().zip(steps).all(|(stopped, steps)| (*stopped == 1.0) == (*steps < 6.0)), "{name}");
        assert!(farthest(&held) <= target, "{name}: {} nats a token, {target} allowed", farthest(&held));
    }
}

#[test]
fn dpo_learns_the_order_of_answers_it_has_not_seen() {
    let world = World::new();
    let inputs = DpoInputs { model: world.path("base"), data: world.records("data.jsonl", &rankings()) };
    let settings = DpoSettings { epochs: 12, batch_size: 8, learning_rate: Some(2e-3), ..DpoSettings::default() };
    let ways: Vec<Vec<f64>> = [4096, 60]
        .iter()
        .map(|&micro_batch_tokens| {
            let settings = DpoSettings { micro_batch_tokens, ..settings.clone() };
            let mut told = Told::default();
            let run = world.run(&format!("out-{micro_batch_tokens}"));
            let outcome = dpo::run(&settings, &inputs, &run, &mut told).unwrap();
            let metric = |name: &str| outcome.metrics[name];
            // A policy that is its reference has no margin, and the loss of a coin.
            assert!((metric("eval/loss_before") - 2f64.ln()).abs() < 1e-5);
            assert!(metric("eval/rewards/margins_before").abs() < 1e-5);
            assert!(metric("eval/loss") < 0.4 && metric("eval/rewards/accuracies") > 0.9, "{:?}", outcome.metrics);
            assert!(metric("eval/rewards/margins") > 0.5, "{:?}", outcome.metrics);
            assert!(*told.metrics["rewards/margins"].last().unwrap() > 0.5);
            let (before, after) = (share_of_good(&inputs.model), share_of_good(&outcome.out));
            // Three standard errors of a share of a tenth among two hundred words.
            assert!(after > before + 0.06, "share of good words {before} → {after} {:?}", outcome.metrics);
            told.metrics["train/loss"].clone()
        })
        .collect();
    // In pieces it takes the same way, until rounding has grown.
    assert!(ways[0].iter().zip(&ways[1]).take(40).all(|(a, b)| (a - b).abs() < 2e-3), "{ways:?}");
}

#[test]
fn a_group_that_cannot_be_formed_is_refused() {
    let world = World::new();
    let inputs = online(&world);
    let run = |settings: GrpoSettings| grpo::run(&settings, &inputs, &world.run("out"), &mut Told::default());
    for (settings, word) in [
        (GrpoSettings { num_generations: 1, ..grpo_settings() }, "num_generations"),
        (GrpoSettings { num_generations: 5, ..grpo_settings() }, "batch_size"),
        (GrpoSettings { top_k: 1, ..grpo_settings() }, "top_k"),
    ] {
        let error = run(settings).unwrap_err();
        assert!(matches!(error, TrainError::Settings(_)) && error.to_string().contains(word), "{error}");
    }
}
