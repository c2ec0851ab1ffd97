#!/usr/bin/env python3
"""Walks away from the SFT model by PPO and by best-of-n, and measures both rewards on the way (Gao et al. 2022); minutes.

usage: scripts/frontier.py [--out DIRECTORY] [--base MODEL] [--steps N] [--most N] [--fresh]     (make frontier)

The proxy is the reward model that is climbed, the gold reward the hidden one of the sample task, which the trainer never sees.
One PPO run without a price on divergence keeps its policy on the way; best-of-n takes n = 1, 2, 4 … of the answers that were
drawn once, with the unbiased estimator over all choices of n among them. Leaves frontier.json, frontier.csv and frontier.svg.
"""

import argparse
import csv
import json
import math
from pathlib import Path

import frontier_figure
import learn_data
import sample_task
from stages import ROOT, Stages, need, remove

TEMPERATURE, TOKENS = 1.0, 48
PPO = {"batch-size": 32, "minibatch-size": 16, "ppo-epochs": 2, "learning-rate": 2e-4, "schedule": "constant",
       "kl-coefficient": 0, "max-kl": 1000, "temperature": TEMPERATURE, "max-new-tokens": TOKENS, "sample-steps": 0,
       "save-steps": 0}
# Answers to a prompt by which a policy is measured.
SAMPLES = 8


def walk(stages, base, steps, most):
    """Both ways, and the fits."""
    task = sample_task.prepare(stages, base)
    start = stages.evaluate("at.sft", task["sft"], task["sft"], task["reward"], task["test"], SAMPLES)[0]
    before = rewards(stages, "at.sft", start / "model.jsonl")
    found = {"task": task["about"], "samples": SAMPLES, "most": most, "start": before["about"]}
    found["ppo"] = [{"label": 0, **point(before, before, 0.0)}] + by_ppo(stages, task, before, steps)
    found["best_of_n"] = by_best_of(stages, task, most)
    found["fits"] = {
        "best_of_n": fit(found["best_of_n"], lambda d: d),
        "ppo": fit(found["ppo"], math.log)}
    return found


def by_ppo(stages, task, before, steps):
    every = max(steps // 16, 1)
    last, _ = stages.train("ppo", "ppo", {**PPO, "steps": steps, "keep-policy-steps": every}, {
        "policy": task["sft"], "reward": task["reward"], "prompts": task["train"]})
    points = []
    policies = {int(policy.name): policy for policy in sorted(Path(f"{last}.policies").iterdir())}
    # Where the steps are no multiple of those after which one is kept, the last policy is none of them.
    policies.setdefault(steps, last)
    for step, policy in policies.items():
        name = f"at.{step:06}"
        answers, report = stages.evaluate(name, policy, task["sft"], task["reward"], task["test"], SAMPLES)
        found = rewards(stages, name, answers / "model.jsonl")
        points.append({"label": step, **point(found, before, report["kl"]["full"]["mean"])})
    return points


def by_best_of(stages, task, most):
    path, _ = stages.best_of("best-of-n.jsonl", most, task["sft"], task["reward"], task["test"], 11, everything=True)
    found = rewards(stages, "best-of-n", path)
    # The best of one of the same answers is the start, so what is gained is no matter of who was drawn.
    points, n = [], 1
    while n <= most:
        weights = [chances(proxies, n) for proxies in found["proxy"]]
        best = {kind: [sum(map(lambda weight, value: weight * value, *pair)) for pair in zip(weights, found[kind])]
                for kind in ("proxy", "gold")}
        points.append({"label": n, **point({kind: [[value] for value in best[kind]] for kind in best}, found,
                                           math.log(n) - (n - 1) / n)})
        n *= 2
    return points


def chances(scores, n):
    """The chance of each answer to be the best of n drawn from these without returning one; ties by chance."""
    count = len(scores)
    order = sorted(range(count), key=scores.__getitem__)
    by_place = [0.0] * count
    for place in range(n - 1, count):
        by_place[place] = math.comb(place, n - 1) / math.comb(count, n)
    result, at = [0.0] * count, 0
    while at < count:
        end = at
        while end < count and scores[order[end]] == scores[order[at]]:
            end += 1
        share = sum(by_place[at:end]) / (end - at)
        for place in range(at, end):
            result[order[place]] = share
        at = end
    return result


def rewards(stages, name, path):
    """Proxy and gold reward of every answer, a list a prompt, and their mean and deviation over all answers."""
    proxy = [[answer["sampling"]["score"] for answer in line["responses"]] for line in learn_data.load(path)]
    gold = stages.gold(f"{name}.gold.jsonl", path)
    about = {kind: moments([value for group in groups for value in group]) for kind, groups in (("proxy", proxy), ("gold", gold))}
    return {"proxy": proxy, "gold": gold, "about": about}


def point(found, before, kl):
    """How far a policy is, and what it gained on the start in deviations of the start's answers, paired by prompt, with 95 %."""
    result = {"kl": kl, "d": math.sqrt(max(kl, 0.0))}
    for kind in ("proxy", "gold"):
        scale = before["about"][kind]["deviation"]
        gains = [(mean(now) - mean(then)) / scale for now, then in zip(found[kind], before[kind], strict=True)]
        about = moments(gains)
        half = 1.96 * about["deviation"] / math.sqrt(len(gains))
        result[kind] = {"gain": about["mean"], "low": about["mean"] - half, "high": about["mean"] + half,
                        "reward": mean([mean(group) for group in found[kind]])}
    return result


def fit(points, shape):
    """α and β of R(d) = d·(α − β·shape(d)) by least squares, for each reward; over the points away from the start."""
    away = [one for one in points if one["d"] > 0.05]
    found = {}
    for kind in ("proxy", "gold"):
        # R/d = α − β·shape(d): a line, weighted by d².
        weights = [one["d"] ** 2 for one in away]
        xs, ys = [shape(one["d"]) for one in away], [one[kind]["gain"] / one["d"] for one in away]
        total = sum(weights)
        if total == 0 or len(away) < 3:
            continue
        x, y = (sum(weight * value for weight, value in zip(weights, of)) / total for of in (xs, ys))
        spread = sum(weight * (value - x) ** 2 for weight, value in zip(weights, xs))
        slope = sum(weight * (one - x) * (other - y) for weight, one, other in zip(weights, xs, ys)) / spread
        alpha, beta = y - slope * x, -slope
        errors = [one[kind]["gain"] - one["d"] * (alpha - beta * shape(one["d"])) for one in away]
        found[kind] = {"alpha": alpha, "beta": beta, "rms_error": math.sqrt(mean([error * error for error in errors]))}
    return found


def moments(values):
    average = mean(values)
    return {"mean": average, "deviation": math.sqrt(sum((value - average) ** 2 for value in values) / max(len(values) - 1, 1))}


def mean(values):
    return sum(values) / max(len(values), 1)


def write_csv(path, found):
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["method", "step_or_n", "kl", "sqrt_kl", *(f"{kind}_{what}" for kind in ("proxy", "gold")
                                                                for what in ("gain", "low", "high", "reward"))])
        for method in ("ppo", "best_of_n"):
            for one in found[method]:
                cells = [one[kind][what] for kind in ("proxy", "gold") for what in ("gain", "low", "high", "reward")]
                out.writerow([method, one["label"], *(f"{value:.6g}" for value in (one["kl"], one["d"], *cells))])


def summary(found):
    lines = ["| way | step or n | KL, nats | proxy gain | gold gain | gold reward |", "|---|---|---|---|---|---|"]
    for name, method in (("PPO", "ppo"), ("best of n", "best_of_n")):
        for one in found[method]:
            gains = [f"{one[kind]['gain']:+.2f} ({one[kind]['low']:+.2f} to {one[kind]['high']:+.2f})" for kind in ("proxy", "gold")]
            lines.append(f"| {name} | {one['label']} | {one['kl']:.2f} | {gains[0]} | {gains[1]} | {one['gold']['reward']:.2f} |")
    lines.append("")
    for name, method, form in (("PPO", "ppo", "d(α − β log d)"), ("best of n", "best_of_n", "d(α − β d)")):
        for kind, fitted in found["fits"][method].items():
            lines.append(f"{name}, {kind}: {form} with α = {fitted['alpha']:.3f}, β = {fitted['beta']:.3f}, "
                         f"RMS error {fitted['rms_error']:.3f}")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "frontier")
    parser.add_argument("--base", type=Path, default=sample_task.TINY, help="the model to start from; by default sample/tiny-model")
    parser.add_argument("--steps", type=int, default=64, help="steps of PPO")
    parser.add_argument("--most", type=int, default=256, help="answers drawn a prompt, the largest n")
    parser.add_argument("--fresh", action="store_true", help="make everything again")
    arguments = parser.parse_args()
    if min(arguments.steps, arguments.most) < 1:
        parser.error("--steps, --most: expected 1 or more")
    need((arguments.base, "make sample-data"), *sample_task.data_for(arguments.base))
    if arguments.fresh:
        remove(arguments.out)
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(f"walking in {arguments.out}", flush=True)
    found = walk(Stages(arguments.out, 1, TEMPERATURE, TOKENS), arguments.base, arguments.steps, arguments.most)
    (arguments.out / "frontier.json").write_text(json.dumps(found, indent=1) + "\n")
    write_csv(arguments.out / "frontier.csv", found)
    (arguments.out / "frontier.svg").write_text(frontier_figure.svg(found))
    print(summary(found))


if __name__ == "__main__":
    main()
