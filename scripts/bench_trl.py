#!/usr/bin/env python3
"""PPO iterations of TRL: the other side of the PPO row of scripts/bench_trainer.py.

    bench_trl.py POLICY REWARD PROMPTS ITERATIONS BATCH TOKENS EPOCHS

Prints {"iteration": N} at the end of each. Every iteration samples an answer of TOKENS tokens to each of BATCH prompts and
passes over them EPOCHS times, a step of the optimiser each; policy and value model are trained whole.
"""

import json
import os
import sys
import tempfile

import torch
from datasets import Dataset
from transformers import (AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback)
from trl.experimental.ppo import PPOConfig, PPOTrainer

policy_path, reward_path, prompts, *numbers = sys.argv[1:]
iterations, batch, tokens, epochs = map(int, numbers)
torch.set_num_threads(int(os.environ.get("BENCH_THREADS", "2")))
device, precision = os.environ.get("BENCH_DEVICE", "cpu"), os.environ.get("BENCH_PRECISION", "float32")
tokenizer = AutoTokenizer.from_pretrained(policy_path, padding_side="left")
if tokenizer.pad_token is None:
    tokenizer.pad_token = tokenizer.eos_token


def policy():
    return AutoModelForCausalLM.from_pretrained(policy_path, dtype=torch.float32)


def judge():
    return AutoModelForSequenceClassification.from_pretrained(reward_path, dtype=torch.float32, num_labels=1)


class Told(TrainerCallback):
    def on_step_end(self, args, state, control, **_):
        print(json.dumps({"iteration": state.global_step}), flush=True)


records = [json.loads(line)["prompt"] for line in open(prompts, encoding="utf-8")]
ids = [tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=True, return_dict=False)
       for prompt in records]
settings = PPOConfig(
    output_dir=tempfile.gettempdir() + "/bench-trl", report_to="none", use_cpu=device == "cpu", bf16=precision == "bfloat16",
    fp16=precision == "float16", seed=1, save_strategy="no",
    per_device_train_batch_size=batch, gradient_accumulation_steps=1, num_mini_batches=1, num_ppo_epochs=epochs,
    total_episodes=batch * iterations, response_length=tokens, temperature=0.7, num_sample_generations=0,
    local_rollout_forward_batch_size=batch, learning_rate=1e-6, stop_token="eos", gradient_checkpointing=False,
    logging_steps=1_000_000,
)
trainer = PPOTrainer(
    args=settings, processing_class=tokenizer, model=policy(), ref_model=policy(), reward_model=judge(),
    value_model=judge(), train_dataset=Dataset.from_dict({"input_ids": ids}), callbacks=[Told()],
    eval_dataset=Dataset.from_dict({"input_ids": ids[:batch]}),
)
trainer.train()
