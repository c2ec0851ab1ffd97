#!/usr/bin/env python3
"""Compares PPO, DPO, best-of-n, RLOO and GRPO on the sample task; some minutes on two cores from sample/tiny-model.

usage: scripts/methods.py [--out DIRECTORY] [--base MODEL] [--seeds N] [--fresh]     (make methods)

All start from one SFT model and one reward model or the rankings that it learned. Each method that learns gets four learning
rates; the one whose policy has the highest reward-model score less 0.05 times its divergence on the validation prompts is run
again with other seeds. What counts is measured on the test prompts: how often people, played by the gold reward, prefer an
answer to the SFT model's. The trainer never sees the gold reward. The table is printed and left in DIRECTORY as methods.md and
methods.json.
"""

import argparse
import json
import math
from pathlib import Path

import learn_data
import sample_task
from stages import ROOT, Stages, need, remove

TEMPERATURE, TOKENS = 1.0, 48
# One budget of sampled answers for the methods that sample while they learn, and as many passes over them.
STEPS, BATCH, PASSES = 32, 32, 2
ONLINE = {"steps": STEPS, "batch-size": BATCH, "minibatch-size": 16, "temperature": TEMPERATURE, "max-new-tokens": TOKENS,
          "sample-steps": 0, "save-steps": 0}
# The price of a nat in the reward, where a method has one; DPO's beta plays its part. GRPO's counts by the token.
PRICE = 0.05
METHODS = {
    "PPO": ("ppo", {**ONLINE, "ppo-epochs": PASSES, "kl-coefficient": PRICE}),
    "RLOO": ("rloo", {**ONLINE, "num-iterations": PASSES, "num-generations": 4, "kl-coefficient": PRICE}),
    "GRPO": ("grpo", {**ONLINE, "num-iterations": PASSES, "num-generations": 4}),
    "DPO": ("dpo", {"epochs": 4, "batch-size": 8, "beta": 0.1, "save-steps": 0}),
}
RATES = {"PPO": [1e-4, 2e-4, 4e-4, 8e-4], "RLOO": [5e-5, 1e-4, 2e-4, 4e-4], "GRPO": [5e-5, 1e-4, 2e-4, 4e-4],
         "DPO": [5e-5, 1e-4, 2e-4, 4e-4]}
SAMPLES, BEST_OF = 8, 16


def compare(stages, base, seeds):
    """What was found of every method."""
    task = sample_task.prepare(stages, base)
    found = {"task": task["about"], "price": PRICE, "samples": SAMPLES, "seeds": seeds, "methods": {}}
    for method in METHODS:
        found["methods"][method] = learned(stages, task, method, seeds)
    found["methods"][f"best of {BEST_OF}"] = best_of(stages, task, seeds)
    return found


def learned(stages, task, method, seeds):
    """A method that makes a policy: the best learning rate by validation, then measured on the test prompts for every seed."""
    tried = {}
    for rate in RATES[method]:
        policy, _ = train(stages, task, method, rate, 1)
        _, report = stages.evaluate(f"validation.{policy.name}", policy, task["sft"], task["reward"], task["validation"], SAMPLES)
        tried[rate] = report["reward"]["model"]["mean"] - PRICE * report["kl"]["full"]["mean"]
    rate = max(tried, key=tried.get)
    runs = []
    for seed in range(1, seeds + 1):
        policy, seconds = train(stages, task, method, rate, seed)
        answers, report = stages.evaluate(f"test.{policy.name}", policy, task["sft"], task["reward"], task["test"], SAMPLES)
        gold = stages.compare(f"gold.{policy.name}.json", answers / "model.jsonl", answers / "against.jsonl")
        runs.append({"gold": gold, "score": report["reward"]["model"]["mean"], "score_before": report["reward"]["against"]["mean"],
                     "kl": report["kl"]["full"]["mean"], "tokens": report["model"]["tokens"]["mean"],
                     "finished": report["model"]["finished"], "seconds": seconds})
    sampled = 0 if method == "DPO" else STEPS * BATCH
    return {"rate": rate, "tried": tried, "runs": runs, "sampled": sampled}


def train(stages, task, method, rate, seed):
    """The policy, and the seconds that it took."""
    command, settings = METHODS[method]
    inputs = ({"model": task["sft"], "data": task["rankings"]} if method == "DPO" else
              {"policy": task["sft"], "reward": task["reward"], "prompts": task["train"]})
    name = f"{command}-{rate:g}-{seed}"
    policy, _ = stages.train(name, command, {**settings, "learning-rate": rate}, inputs, seed)
    return policy, stages.seconds[name]


def best_of(stages, task, seeds):
    """Nothing is learned; as many answers a prompt as the others give, each the best of n."""
    reference, report = stages.evaluate("test.sft", task["sft"], task["sft"], task["reward"], task["test"], SAMPLES)
    runs = []
    for seed in range(1, seeds + 1):
        records, told, seconds = {}, [], 0.0
        for draw in range(SAMPLES):
            name = f"best-of-{BEST_OF}.{seed}.{draw}.jsonl"
            path, result = stages.best_of(name, BEST_OF, task["sft"], task["reward"], task["test"], 100 * seed + draw)
            told.append(result)
            seconds += stages.seconds[name]
            for line in learn_data.load(path):
                records.setdefault(line["prompt_id"], {**line, "responses": []})["responses"] += line["responses"]
        together = stages.path(f"best-of-{BEST_OF}.{seed}.jsonl")
        learn_data.save(together, records.values())
        gold = stages.compare(f"gold.best-of-{BEST_OF}.{seed}.json", together, reference / "against.jsonl")
        mean = lambda key: sum(one[key] for one in told) / len(told)
        runs.append({"gold": gold, "score": mean("score"), "score_before": report["reward"]["against"]["mean"],
                     "kl": told[0]["kl"], "tokens": mean("tokens"), "finished": mean("finished"), "seconds": seconds})
    answers = SAMPLES * BEST_OF * task["about"]["prompts"]["test"]
    return {"rate": None, "runs": runs, "sampled": answers}



def markdown(found):
    """The table."""
    task = found["task"]
    counts = task["prompts"]
    seeds = found["seeds"]
    lines = [
        f"Base {task['base']}; {counts['train']} prompts to learn from, {counts['validation']} to choose by, {counts['test']} to measure on, "
        f"{found['samples']} answers each; {task['rankings']} rankings of four answers; held-out accuracy of the reward model "
        f"{task['reward_accuracy']:.1%}; {seeds} seeds.", "",
        "| method | answers sampled | seconds | gold win rate against SFT | 95 % interval | over seeds | gold reward gained (95 %) | score gained | KL, nats | tokens | ended |",
        "|---|---|---|---|---|---|---|---|---|---|---|"]
    for name, method in found["methods"].items():
        runs = method["runs"]
        mean = lambda of: sum(of(run) for run in runs) / len(runs)
        rates = [run["gold"]["win_rate"] for run in runs]
        rate = mean(lambda run: run["gold"]["win_rate"])
        low, high = wilson(rate, runs[0]["gold"]["prompts"])
        sampled = f"{method['sampled']:,}" if method["sampled"] else "none"
        kl = mean(lambda run: run["kl"])
        gold = lambda key: mean(lambda run: run["gold"][key])
        lines.append(
            f"| {name} | {sampled} | {mean(lambda run: run['seconds']):.0f} | {rate:.1%} | {low:.1%} to {high:.1%} | "
            f"{min(rates):.1%} to {max(rates):.1%} | {gold('difference'):+.2f} ({gold('difference_low'):+.2f} to {gold('difference_high'):+.2f}) | "
            f"{mean(lambda run: run['score'] - run['score_before']):+.2f} | {'≤ ' if method['rate'] is None else ''}{kl:.2f} | "
            f"{mean(lambda run: run['tokens']):.1f} | {mean(lambda run: run['finished']):.0%} |")
    lines += ["", "Learning rates: " + ", ".join(
        f"{name} {method['rate']:g}" for name, method in found["methods"].items() if method["rate"]) + "."]
    return "\n".join(lines) + "\n"


def wilson(share, count, z=1.959964):
    """Wilson's score interval of a share (Wilson 1927), a prompt being one contest whatever the seeds."""
    middle = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (middle - spread) / (1 + z * z / count), (middle + spread) / (1 + z * z / count)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "methods")
    parser.add_argument("--base", type=Path, default=sample_task.TINY, help="the model to start from; by default sample/tiny-model")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fresh", action="store_true", help="make everything again")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error("--seeds: expected 1 or more")
    need((arguments.base, "make sample-data"), *sample_task.data_for(arguments.base))
    if arguments.fresh:
        remove(arguments.out)
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(f"comparing in {arguments.out}", flush=True)
    found = compare(Stages(arguments.out, 1, TEMPERATURE, TOKENS), arguments.base, arguments.seeds)
    (arguments.out / "methods.json").write_text(json.dumps(found, indent=1) + "\n")
    table = markdown(found)
    (arguments.out / "methods.md").write_text(table)
    print(table)


if __name__ == "__main__":
    main()
