#!/usr/bin/env python3
"""PyTorch's side of scripts/bench_trainer.py: the works of trainer/benches/trainer.rs, by the same protocol.

    bench_pytorch.py WORK MODEL [BATCH]

Loads the model, prints {"ready": true}, does the work once for every line on standard input and prints
{"seconds": ..., "units": ...}; at the end {"peak_bytes": ...}, of this machine's memory. BENCH_DEVICE (cpu, cuda:N) and
BENCH_PRECISION (float32, bfloat16, float16; by autocast, and for decoding by the weights) say where and in what the products are made.
"""

import json
import os
import resource
import sys
import time

THREADS = int(os.environ.get("BENCH_THREADS", "2"))
os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))

import torch  # noqa: E402
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification  # noqa: E402

torch.set_num_threads(THREADS)
RATE = 1e-5
DEVICE = torch.device(os.environ.get("BENCH_DEVICE", "cpu"))
DTYPE = getattr(torch, os.environ.get("BENCH_PRECISION", "float32"))


def load(path, kind=AutoModelForCausalLM, dtype=torch.float32, **more):
    return kind.from_pretrained(path, dtype=dtype, **more).to(DEVICE)


def ids(model, batch, sequence):
    count = batch * sequence
    return torch.tensor([at * 7919 % model.config.vocab_size for at in range(count)], device=DEVICE).reshape(batch, sequence)


def optimiser(model):
    return torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, fused=True)


def train_step(model, adam, loss):
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    adam.step()
    adam.zero_grad(set_to_none=True)


def sft(path, batch=4, sequence=256, adapters=False):
    model = load(path).train()
    if adapters:
        from peft import LoraConfig, get_peft_model

        names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules=names))
    adam = optimiser(model)

    def work():
        tokens = ids(model, batch, sequence)
        train_step(model, adam, model(input_ids=tokens, labels=tokens, use_cache=False).loss)
        return batch * sequence

    return work


def reward(path, prompts=4, answers=4, sequence=128):
    model = load(path, AutoModelForSequenceClassification, num_labels=1).train()
    model.config.pad_token_id = model.config.vocab_size - 1
    adam = optimiser(model)
    better, worse = zip(*[(b, w) for b in range(answers) for w in range(b + 1, answers)])
    batch, asked = prompts * answers, sequence // 2
    conversations = ids(model, batch, sequence)
    # The answers to a prompt begin with it.
    conversations[:, :asked] = conversations[::answers, :asked].repeat_interleave(answers, dim=0)

    def work():
        scores = model(input_ids=conversations, use_cache=False).logits.reshape(prompts, answers)
        difference = scores[:, list(better)] - scores[:, list(worse)]
        train_step(model, adam, -torch.nn.functional.logsigmoid(difference).mean())
        return batch * sequence

    return work


def decode(path, batch, **sampling):
    # Cast once: autocast would cast every weight for each token.
    model = load(path, dtype=DTYPE).eval()
    model.generation_config.eos_token_id = None
    prompt = ids(model, batch, 64)

    def work():
        with torch.no_grad():
            out = model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=128,
                min_new_tokens=128,
                pad_token_id=0,
                **sampling,
            )
        return out[:, 64:].numel()

    return work


def tokenise(path, file):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path)
    text = open(file, encoding="utf-8").read()
    lines = text.splitlines()

    def work():
        assert sum(len(ids) for ids in tokenizer(lines, add_special_tokens=False)["input_ids"]) > 0
        return len(text.encode())

    return work


def product():
    size = 2048 if DEVICE.type == "cpu" else 8192
    a, b = (torch.full((size, size), value, device=DEVICE, dtype=DTYPE) for value in (0.5, 0.25))

    def work():
        torch.mm(a, b)
        return 2 * size**3

    return work


def main():
    name, path, *rest = sys.argv[1:] + [""]
    batch = int(rest[0]) if rest and rest[0].isdigit() else 1
    work = {
        "product": lambda: product(),
        "sft": lambda: sft(path),
        "lora": lambda: sft(path, adapters=True),
        "reward": lambda: reward(path),
        "greedy": lambda: decode(path, batch, do_sample=False),
        "sampled": lambda: decode(path, batch, do_sample=True, temperature=1.0, top_p=0.95, top_k=0),
        "load": lambda: lambda: sum(p.numel() for p in load(path).parameters()),
        "tokenise": lambda: tokenise(path, rest[0]),
    }[name]()
    say({"ready": True})
    for _ in sys.stdin:
        started = time.perf_counter()
        with torch.autocast(DEVICE.type, dtype=DTYPE, enabled=DTYPE != torch.float32):
            units = work()
        if DEVICE.type == "cuda":
            torch.cuda.synchronize(DEVICE)
        say({"seconds": time.perf_counter() - started, "units": units})
    say({"peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024})


def say(value):
    print(json.dumps(value), flush=True)


main()
