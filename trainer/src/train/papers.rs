//! What the papers set where a stage has a setting for it: beside our defaults in the settings files.
//!
//! Their models are a thousand times larger than what two cores train, their batches and learning rates fit those. InstructGPT:
//! Ouyang et al. 2022, appendix C. N+: Huang et al. 2024, "The N+ implementation details of RLHF with PPO". Ziegler: Ziegler
//! et al. 2019. HH: Bai et al. 2022. Llama 2: Touvron et al. 2023, sections 2.2 (pretraining) and 3.2.2, table 27 (margins). DPO:
//! Rafailov et al. 2023, appendix B. GRPO: Shao et al. 2024, section 4. RLOO: Ahmadian et al. 2024, appendix C, as TRL's index of
//! papers has it. GPT-3: Brown et al. 2020, table 2.1 and appendix B.

/// A stage by its command, a setting, and what papers have for it.
type Value = (&'static str, &'static str, &'static str);

const VALUES: &[Value] = &[
    ("pretrain", "epochs", "GPT-3: less than 1 (300 billion tokens); Llama 2: about 1 (2 trillion)"),
    (
        "pretrain",
        "batch_size",
        "GPT-3: 0.5 million tokens (125M) to 3.2 million (175B), grown from 32,000; Llama 2: 4 million",
    ),
    ("pretrain", "block_length", "GPT-3: 2048; Llama 2: 4096"),
    ("pretrain", "learning_rate", "GPT-3: 6e-4 (125M), 3e-4 (350M), 6e-5 (175B); Llama 2: 3e-4 (7B), 1.5e-4 (70B)"),
    ("pretrain", "schedule", "GPT-3 and Llama 2: cosine, to a tenth"),
    ("pretrain", "warmup_ratio", "GPT-3: 375 million of 300 billion tokens, 0.00125; Llama 2: 2,000 steps, 0.004"),
    ("pretrain", "weight_decay", "GPT-3 and Llama 2: 0.1"),
    ("pretrain", "max_grad_norm", "GPT-3 and Llama 2: 1"),
    ("pretrain", "adam_beta1", "GPT-3 and Llama 2: 0.9"),
    ("pretrain", "adam_beta2", "GPT-3 and Llama 2: 0.95"),
    ("pretrain", "adam_epsilon", "GPT-3: 1e-8; Llama 2: 1e-5"),
    (
        "sft",
        "epochs",
        "InstructGPT: 16 (the held-out loss is best after the first, the reward model's score later); N+: 1",
    ),
    ("sft", "batch_size", "InstructGPT: 32 (1.3B and 6B), 8 (175B); N+: 128"),
    ("sft", "learning_rate", "InstructGPT: 9.65e-6 (1.3B and 6B), 5.03e-6 (175B); N+: 3e-6"),
    ("sft", "schedule", "InstructGPT: cosine, to a tenth"),
    ("sft", "warmup_ratio", "InstructGPT: none"),
    ("sft", "adam_beta1", "InstructGPT: 0.9"),
    ("sft", "adam_beta2", "InstructGPT: 0.95"),
    ("sft", "adam_epsilon", "N+: 1e-5"),
    ("sft", "max_length", "InstructGPT: 2048"),
    ("sft", "precision", "InstructGPT: float16, with float32 copies of the weights"),
    ("sft", "best_by", "InstructGPT: reward"),
    ("reward", "epochs", "InstructGPT: 1 (more overfits)"),
    ("reward", "batch_size", "InstructGPT: 64 prompts, each with 4 to 9 answers"),
    ("reward", "learning_rate", "InstructGPT: 9e-6"),
    ("reward", "schedule", "InstructGPT: cosine, to a tenth"),
    (
        "reward",
        "margin",
        "InstructGPT: none; Llama 2: 1/3 (small) or 1 (large) a step between four degrees of preference, the lowest 0",
    ),
    ("reward", "precision", "InstructGPT: float16, with float32 copies of the weights"),
    ("reward", "adam_beta1", "InstructGPT: 0.9"),
    ("reward", "adam_beta2", "InstructGPT: 0.95"),
    ("reward", "adam_epsilon", "N+: 1e-5"),
    ("ppo", "steps", "InstructGPT: 500 (256k episodes); N+: about 1,950 (1M episodes)"),
    ("ppo", "batch_size", "InstructGPT and N+: 512"),
    ("ppo", "minibatch_size", "InstructGPT: 64; N+: 512 (one minibatch a pass)"),
    ("ppo", "ppo_epochs", "InstructGPT: 1; N+: 4"),
    ("ppo", "value_model", "InstructGPT and N+: reward"),
    ("ppo", "value_learning_rate", "InstructGPT: 9e-6, 5e-6 (175B)"),
    ("ppo", "value_coefficient", "N+: 0.1"),
    ("ppo", "max_new_tokens", "InstructGPT: 1,000; N+: 53"),
    ("ppo", "temperature", "InstructGPT: 1; N+: 0.7"),
    (
        "ppo",
        "kl_coefficient",
        "InstructGPT: 0.02 (0.01 to 0.02 was best); N+: 0.05; HH: 0.001; Ziegler: 0.15 to 0.2 at first, steered",
    ),
    ("ppo", "kl_target", "Ziegler: 6"),
    ("ppo", "kl_horizon", "Ziegler: 10,000"),
    ("ppo", "missing_eos_penalty", "N+: 1"),
    ("ppo", "missing_eos_replaces", "N+: true"),
    ("ppo", "normalise_scores", "Ziegler: true"),
    ("ppo", "gamma", "InstructGPT, N+ and HH: 1"),
    ("ppo", "lambda", "N+: 0.95"),
    ("ppo", "clip_range", "InstructGPT, N+ and HH: 0.2"),
    ("ppo", "value_clip_range", "N+: 0.2"),
    ("ppo", "ptx_coefficient", "InstructGPT: 27.8"),
    ("ppo", "ptx_batch_size", "InstructGPT: 8 times as many as answers"),
    (
        "ppo",
        "learning_rate",
        "InstructGPT: swept from 2.55e-6 to 2.55e-5, above 8.05e-6 it diverged without pretraining text; N+: 3e-6",
    ),
    ("ppo", "schedule", "InstructGPT: constant; N+: linear"),
    ("ppo", "warmup_ratio", "InstructGPT: 10 steps, from a tenth"),
    ("ppo", "adam_beta1", "InstructGPT: 0.9"),
    ("ppo", "adam_beta2", "InstructGPT: 0.95"),
    ("ppo", "adam_epsilon", "N+: 1e-5"),
    ("ppo", "max_length", "InstructGPT: 2048; prompts of more than 1,000 tokens were left out"),
    ("ppo", "precision", "InstructGPT: float16, with float32 copies of the weights"),
    ("ppo", "ema_decay", "InstructGPT: 0.992"),
    ("dpo", "beta", "DPO: 0.1; for summaries 0.5"),
    ("dpo", "learning_rate", "DPO: 1e-6"),
    ("dpo", "batch_size", "DPO: 64 pairs"),
    ("dpo", "warmup_ratio", "DPO: 150 steps"),
    ("rloo", "num_generations", "RLOO: 2 and 4"),
    ("rloo", "batch_size", "RLOO: 512"),
    ("rloo", "num_iterations", "RLOO: 1"),
    ("rloo", "kl_coefficient", "RLOO: 0.03"),
    ("rloo", "learning_rate", "RLOO: 1e-6"),
    ("rloo", "normalise_advantages", "RLOO: false"),
    ("grpo", "num_generations", "GRPO: 64"),
    ("grpo", "num_iterations", "GRPO: 1"),
    ("grpo", "batch_size", "GRPO: 1,024"),
    ("grpo", "max_new_tokens", "GRPO: 1,024"),
    ("grpo", "kl_coefficient", "GRPO: 0.04"),
    ("grpo", "learning_rate", "GRPO: 1e-6"),
    ("grpo", "loss_type", "GRPO: grpo"),
    ("grpo", "scale_rewards", "GRPO: true"),
];

/// What papers set for this setting of a stage, which is called as its command is.
pub fn value(stage: &str, setting: &str) -> Option<&'static str> {
    VALUES.iter().find(|(of, name, _)| (*of, *name) == (stage, setting)).map(|(_, _, value)| *value)
}

/// The settings of a stage that papers have a value for.
#[cfg(test)]
pub fn settings_of(stage: &str) -> impl Iterator<Item = &'static str> {
    VALUES.iter().filter(move |(of, _, _)| *of == stage).map(|(_, name, _)| *name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_setting_has_one_text_and_every_stage_has_some() {
        let mut seen = BTreeSet::new();
        for (stage, setting, _) in VALUES {
            assert!(seen.insert((stage, setting)), "{stage} {setting} stands there twice");
        }
        for stage in ["pretrain", "sft", "reward", "ppo", "dpo", "rloo", "grpo"] {
            assert!(settings_of(stage).next().is_some(), "{stage}");
        }
    }
}
