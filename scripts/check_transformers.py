#!/usr/bin/env python3
"""Checks that what laurel-trainer writes loads in transformers and PEFT unchanged and computes the same there.

    python -m venv /tmp/reference && /tmp/reference/bin/pip install torch transformers peft
    /tmp/reference/bin/python scripts/check_transformers.py [--keep DIRECTORY] [MODEL …]

Without MODEL it makes small ones with laurel-trainer, of each architecture: policies in float32 and in bfloat16 with shards,
adapters and what they merge into, reward models and their adapters. MODEL is a folder that laurel-trainer wrote. For each, logits
and log-probabilities are compared with `laurel-trainer logprobs`, scores with `laurel-trainer score`; where there is a tokenizer,
conversations go through it and its chat template here and there, for scores also two of different lengths in one batch. One model
begins with the end of turn as its padding, as SmolLM2 does, by which transformers would read scores a token early. One line a
comparison; exit code 1 where one fails.

In float32 the largest difference may be 1e-4, also of weights that were written in bfloat16. Where transformers computes in the
bfloat16 that it finds in config.json, each of its operations rounds to eight bits: 2 % of the largest value.
"""

import argparse
import gc
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

try:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils import logging
except ImportError as missing:
    sys.exit(f"{__doc__}\nerror: {missing}; the first two lines above make a Python that has it")

ROOT = Path(__file__).resolve().parent.parent
TRAINER = os.environ.get("LAUREL_TRAINER") or str(ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release/laurel-trainer")
SAMPLE = ROOT / "sample"
FLOAT32, BFLOAT16 = 1e-4, 0.02
# Records that the small models learn from: enough for weights that are no longer what they began as.
RECORDS = 24
# The model whose padding is what ends a turn.
PADDED_BY_ENDS = "llama-padded-by-ends"
# What no preset has: scaled rotary positions, an output matrix of its own, heads that are wider than their share.
SCALED = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 512, "hidden_size": 48, "intermediate_size": 96,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": False,
    "rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
                        "high_freq_factor": 4.0, "original_max_position_embeddings": 64}}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="where the models that are made stay; it must not exist")
    arguments = parser.parse_args()
    if not Path(TRAINER).exists():
        sys.exit(f"error: {TRAINER} is not there; `make trainer` makes it, LAUREL_TRAINER names another")
    torch.set_grad_enabled(False)
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        if arguments.models:
            models = [(path.name, path) for path in arguments.models]
        else:
            folder = arguments.keep or scratch / "models"
            folder.mkdir(parents=True)
            models = made(folder)
        print("| model | computed in | what | largest difference | may be | |\n|---|---|---|---|---|---|")
        failed = [not report(name, path, scratch) for name, path in models]
    if any(failed):
        sys.exit(f"error: {sum(failed)} of {len(failed)} models are not the same there")


def made(folder):
    """Small models of every kind that laurel-trainer writes, by name."""
    # Absolute: adapters name their base by its path.
    folder = folder.resolve()
    demonstrations, rankings = folder / "demonstrations.jsonl", folder / "rankings.jsonl"
    for path in (demonstrations, rankings):
        lines = (SAMPLE / path.name).read_text().splitlines(True)
        path.write_text("".join(lines[:RECORDS]))
    scaled = folder / "scaled.json"
    scaled.write_text(json.dumps(SCALED))
    corpus = ["--corpus", SAMPLE / "demonstrations.jsonl", "--vocabulary", "512"]
    starts = {"llama": SAMPLE / "tiny-model"}
    for name, config in (("gpt2", "gpt2-tiny"), ("qwen2", "qwen2-tiny"), ("llama-scaled", scaled)):
        starts[name] = folder / f"{name}.start"
        trainer("init", "--config", config, *corpus, "--out", starts[name])
    starts[PADDED_BY_ENDS] = folder / f"{PADDED_BY_ENDS}.start"
    shutil.copytree(SAMPLE / "tiny-model", starts[PADDED_BY_ENDS])
    tokenizer = change(starts[PADDED_BY_ENDS] / "tokenizer_config.json", pad_token="<|im_end|>")
    assert tokenizer["pad_token"] in tokenizer["additional_special_tokens"]
    change(starts[PADDED_BY_ENDS] / "config.json", pad_token_id=2)
    found = []
    for name, start in starts.items():
        def learned(kind, stage, model, data, *settings):
            out = folder / f"{name}.{kind}"
            trainer(stage, "--model", model, "--data", data, "--out", out, "--epochs=2", "--batch-size=8", "--learning-rate=0.003",
                    "--save-steps=0", *settings)
            found.append((out.name, out))
            return out

        whole, adapter = ["--lora=off"], ["--lora=on", "--lora-rank=4", "--save-adapter=true"]
        brief = ["--dtype=bfloat16", "--max-shard-gb=0.0001"]
        policy = learned("policy", "sft", start, demonstrations, *whole)
        if name == PADDED_BY_ENDS:
            learned("reward", "reward", policy, rankings, *whole)
            learned("reward-adapter", "reward", policy, rankings, *adapter)
            continue
        learned("policy-bfloat16-shards", "sft", start, demonstrations, *whole, *brief)
        own = learned("policy-adapter", "sft", policy, demonstrations, *adapter)
        merged = folder / f"{name}.merged"
        trainer("merge", "--adapter", own, "--out", merged)
        found.append((merged.name, merged))
        reward = learned("reward", "reward", policy, rankings, *whole)
        learned("reward-bfloat16-shards", "reward", policy, rankings, *whole, *brief)
        learned("reward-adapter", "reward", policy, rankings, *adapter)
        learned("reward-adapter-of-reward", "reward", reward, rankings, *adapter)
    return found


def change(path, **values):
    """Puts values into a file of JSON; what it then holds."""
    content = json.loads(path.read_text()) | values
    path.write_text(json.dumps(content, indent=2))
    return content


def report(name, path, scratch):
    """Prints a line for each comparison of one model; whether all hold."""
    holds = True
    for computed_in, what, difference, allowed in compare(path, scratch):
        fits = difference <= allowed
        holds &= fits
        print(f"| {name} | {computed_in} | {what} | {difference:.2e} | {allowed:.2g} | {'' if fits else 'FAILS'} |", flush=True)
    gc.collect()
    return holds


def compare(path, scratch):
    """(number format, what, largest difference, how large it may be) for one model."""
    is_adapter = (path / "adapter_config.json").exists() and not (path / "config.json").exists()
    config = json.loads((path / ("adapter_config.json" if is_adapter else "config.json")).read_text())
    base = Path(config["base_model_name_or_path"]) if is_adapter else path
    is_reward = (config["task_type"] == "SEQ_CLS" if is_adapter
                 else config["architectures"][0].endswith("ForSequenceClassification"))
    raw = json.loads((base / "config.json").read_text())
    rows = sequences(raw)
    file = scratch / "ids.jsonl"
    file.write_text("".join(json.dumps({"input_ids": row}) + "\n" for row in rows))
    ours = [json.loads(line) for line in trainer("score" if is_reward else "logprobs", "--model", path, "--data", file)]

    formats = ["float32"] + (["bfloat16"] if not is_adapter and raw.get("dtype") == "bfloat16" else [])
    for name in formats:
        model = load(path, base, is_adapter, is_reward, "auto" if name == "bfloat16" else torch.float32)
        if name == "bfloat16":
            assert model.dtype == torch.bfloat16, f"{path}: transformers takes it for {model.dtype}"
        theirs = [outputs(model, row, is_reward) for row in rows]
        for what in theirs[0]:
            pairs = [(mine[what], other[what]) for mine, other in zip(ours, theirs, strict=True)]
            largest = max(abs(value) for _, other in pairs for value in as_list(other))
            allowed = FLOAT32 if name == "float32" else BFLOAT16 * max(largest, 1.0)
            yield name, what, max(difference(*pair) for pair in pairs), allowed
        if name == "float32" and (path / "tokenizer.json").exists():
            yield "float32", *conversations(path, model, is_reward, is_adapter, scratch), FLOAT32
            if is_reward:
                yield "float32", *batch_of_two(path, model, is_adapter, scratch), FLOAT32


def sequences(config):
    """Tokens by chance, up to the longest that the model reads; none of the first few, which may be padding."""
    length = config.get("max_position_embeddings") or config["n_positions"]
    draw = random.Random(3)
    return [[draw.randrange(20, config["vocab_size"]) for _ in range(count)] for count in (1, 9, 40, min(length, 200))]


def load(path, base, is_adapter, is_reward, dtype):
    """The model in transformers, with PEFT's adapter where it is one; fails where a weight was not found or not used."""
    kind = AutoModelForSequenceClassification if is_reward else AutoModelForCausalLM
    labels = {"num_labels": 1} if is_reward else {}
    model, about = kind.from_pretrained(base, dtype=dtype, output_loading_info=True, **labels)
    # The head of a reward model that is an adapter lies with the adapter.
    missing = [name for name in about["missing_keys"] if not (is_adapter and name == "score.weight")]
    unused = [name for name in about["unexpected_keys"] if not (is_adapter and name == "lm_head.weight")]
    assert not missing and not unused and not about["mismatched_keys"], f"{path}: missing {missing}, unused {unused}"
    if is_adapter:
        model = PeftModel.from_pretrained(model, path)
    return model.eval()


def outputs(model, row, is_reward):
    ids = torch.tensor([row])
    logits = model(input_ids=ids).logits.float()
    if is_reward:
        return {"reward": logits.item()}
    law = logits[0, :-1].log_softmax(-1)
    return {"token_logprobs": law.gather(1, ids[0, 1:, None])[:, 0].tolist(), "last_logits": logits[0, -1].tolist()}


def conversations(path, model, is_reward, is_adapter, scratch):
    """Text here and there, through the tokenizer and the chat template that were written beside the weights."""
    tokenizer = tokenizer_of(path, model, is_reward and is_adapter)
    lines = (SAMPLE / "demonstrations.jsonl").read_text().splitlines()[-8:]
    records = [json.loads(line) for line in lines]
    if is_reward:
        file = scratch / "conversations.jsonl"
        file.write_text("\n".join(lines) + "\n")
        ours = [json.loads(line)["reward"] for line in trainer("score", "--model", path, "--data", file)]
        theirs = [outputs(model, conversation(tokenizer, record), True)["reward"] for record in records]
        return "score of conversations", max(abs(mine - other) for mine, other in zip(ours, theirs, strict=True))
    # A policy's likelihood of what people wrote: nats a token over all answers, as `evaluate` has it.
    file, prompts = scratch / "held-out.jsonl", scratch / "prompt.jsonl"
    file.write_text("\n".join(lines) + "\n")
    prompts.write_text(json.dumps({"id": "one", "prompt": records[0]["prompt"]}) + "\n")
    out = scratch / f"evaluated.{path.name}"
    found = json.loads(trainer("evaluate", "--json", "--model", path, "--against", path, "--prompts", prompts, "--demonstrations", file,
                               "--max-new-tokens", "1", "--out", out)[-1])
    total = count = 0.0
    for record in records:
        prompt = tokens(tokenizer, record["prompt"], add_generation_prompt=True)
        whole = conversation(tokenizer, record)
        assert whole[:len(prompt)] == prompt
        logprobs = outputs(model, whole, False)["token_logprobs"][len(prompt) - 1:]
        total, count = total - sum(logprobs), count + len(logprobs)
    return "NLL of conversations", abs(found["model"]["demonstrations"]["nll"] - total / count)


def batch_of_two(path, model, is_adapter, scratch):
    """Scores of a short and a long conversation that go through the model together, filled up by the tokenizer."""
    tokenizer = tokenizer_of(path, model, is_adapter)
    records = [json.loads(line) for line in (SAMPLE / "demonstrations.jsonl").read_text().splitlines()[-8:]]
    records.sort(key=lambda record: len(conversation(tokenizer, record)))
    two = [records[0], records[-1]]
    rows = [conversation(tokenizer, record) for record in two]
    assert len(rows[0]) < len(rows[1])
    tokenizer.padding_side = "right"
    theirs = model(**tokenizer.pad({"input_ids": rows}, return_tensors="pt")).logits.float()[:, 0].tolist()
    file = scratch / "two.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in two))
    ours = [json.loads(line)["reward"] for line in trainer("score", "--model", path, "--data", file)]
    return "scores of a batch", difference(ours, theirs)


def tokenizer_of(path, model, is_reward_adapter):
    """The tokenizer, by whose padding token the model reads the ends of texts."""
    tokenizer = AutoTokenizer.from_pretrained(path)
    if is_reward_adapter:
        # The configuration is the base's: who loads an adapter says so.
        model.config.pad_token_id = tokenizer.pad_token_id
    return tokenizer


def conversation(tokenizer, record):
    """Tokens up to the end of the answer's turn: what a template writes after that is of the next message."""
    ids = tokens(tokenizer, record["prompt"] + record["completion"])
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    return ids[:len(ids) - ids[::-1].index(end)]


def tokens(tokenizer, messages, **options):
    text = tokenizer.apply_chat_template(messages, tokenize=False, **options)
    return tokenizer(text, add_special_tokens=False).input_ids


def difference(mine, other):
    pairs = zip(as_list(mine), as_list(other), strict=True)
    return max((abs(one - two) for one, two in pairs), default=0.0)


def as_list(value):
    return value if isinstance(value, list) else [value]


def trainer(*arguments):
    """Runs laurel-trainer on the CPU; what it printed, by line."""
    command = [TRAINER, *map(str, arguments), "--device", "cpu", *([] if "--json" in arguments else ["--quiet"])]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("error: " + " ".join(command[1:]) + "\n" + done.stderr.strip()[-2000:])
    return done.stdout.splitlines()


if __name__ == "__main__":
    main()
