#!/usr/bin/env python3
"""Shows that the loop learns: a real pretrained model, the sample task, two rounds, on the CPU: 18 to 35 minutes on two cores.

usage: scripts/learn.py [--out DIRECTORY] [--seed N] [--base MODEL] [--fresh | --keep-older]     (make learn)

base → SFT → answers → simulated rankings → reward model → PPO, then answers of that policy, rankings, reward model and PPO
again. Simulated annotators stand in for people: they rank by the gold reward (`laurel gold`) and err; the trainer never sees
it. All figures are of the test split, from which nothing is learned or chosen. What is done is not done again: a run that
was stopped goes on. A new build of the programs does everything again, unless --keep-older says that what an older one made
counts; the report tells. The report is printed and left in the directory as report.md, report.json and report.svg.
"""

import argparse
import json
import time
from pathlib import Path

import learn_data
import learn_report
from stages import DATA, ROOT, TRAINER, Stages, need, remove

BASE = DATA / "SmolLM2-135M-Instruct.Q4_1.gguf"

# One law everywhere: what is ranked, learned from and measured is drawn alike.
TEMPERATURE, TOKENS = "0.7", "48"
SFT = {"epochs": 3, "batch-size": 16, "learning-rate": 5e-4}
REWARD = {"epochs": 1, "batch-size": 4, "learning-rate": 4e-4}
REWARD_ON = {**REWARD, "learning-rate": 1e-4}
PPO = {"steps": 9, "batch-size": 32, "minibatch-size": 8, "ppo-epochs": 1, "learning-rate": 4e-4,
       "kl-coefficient": 0.03, "temperature": TEMPERATURE, "max-new-tokens": TOKENS, "normalise-scores": "true",
       "value-model": "shared", "sample-steps": 0}
# The distance at which gold separates two answers clearly.
CLEAR = 1.0
# Answers to each test prompt by which gold judges a policy, and by which its divergence is measured: that takes two models more.
ANSWERS, ANSWERS_FOR_KL = 4, 1


def learn(stages, base):
    """The whole course; what was measured, by name."""
    out = stages.out
    counts = learn_data.write(out)
    prompts = {split: stages.path(f"prompts.{split}.jsonl") for split in counts}
    found = {"base": base.name, "prompts": counts, "seed": stages.seed, "clear": CLEAR, "policies": {}, "nll": {}, "rounds": []}

    def measure(name, model):
        answers = stages.answer(f"test.{name}.jsonl", model, prompts["test"], ANSWERS, 1000 + stages.seed)
        found["policies"][name] = stages.gold(f"test.{name}.gold.jsonl", answers)
        return answers

    def beside(name, model, other, against, asked):
        """Likelihood of the test demonstrations under both, and how far the first is from the other on answers to these prompts."""
        _, report = stages.evaluate(f"test.{name}.beside-{other}", model, against, None, asked, ANSWERS_FOR_KL,
                                    2000 + stages.seed, stages.path("demonstrations.test.jsonl"))
        found["nll"][other] = report["against"]["demonstrations"]["nll"]
        found["nll"][name] = report["model"]["demonstrations"]["nll"]
        return report["kl"]["full"]

    measure("base", base)
    sft, metrics = stages.train("sft", "sft", SFT, {"model": base, "data": stages.path("demonstrations.jsonl")})
    # What chose the epoch; the test demonstrations chose nothing.
    found["validation_nll"] = [metrics["eval/nll_before"], metrics["eval/nll"]]
    policy, reward, count = sft, None, 0
    test_answers = measure("sft", sft)
    # How far the SFT model is from the base nobody asks here: the fewest answers will do.
    beside("sft", sft, "base", base, prompts["validation"])
    for number in (1, 2):
        rankings = []
        for split in ("train", "validation"):
            # Others for every round and every --seed; none is below zero, and those of --seed 1 are the numbers of the rounds.
            drawn = 2 * (stages.seed ^ 1) + number
            answers = stages.answer(f"answers-{number}.{split}.jsonl", policy, prompts[split], 4, drawn)
            if number == 1:
                answers = learn_data.together(stages.path(f"asked-1.{split}.jsonl"), answers, stages.path(f"varied.{split}.jsonl"))
            rankings += stages.rank(f"ranked-{number}.{split}.jsonl", answers, split)
        data = stages.path(f"rankings-{number}.jsonl")
        learn_data.save(data, rankings)
        count += len(rankings)
        # The second reward model is the first, which learns on from what people say of the new policy's answers.
        reward, metrics = stages.train(f"reward-{number}", "reward", REWARD if number == 1 else REWARD_ON, {
            "model": reward or sft, "data": data, "demonstrations": stages.path("demonstrations.jsonl")})
        # Answers to test prompts as people get to see them, of a policy and others, and those of the policy alone.
        asked = learn_data.together(stages.path(f"asked-{number}.test.jsonl"), test_answers, stages.path("varied.test.jsonl"))
        judged = {kind: accuracy(stages, f"reward-{number}.{kind}", reward, answers)
                  for kind, answers in (("asked", asked), ("own", test_answers))}
        policy, ppo = stages.train(f"ppo-{number}", "ppo", PPO, {
            "policy": sft, "reward": reward, "prompts": prompts["train"]})
        test_answers = measure(f"ppo-{number}", policy)
        # Of the policy as it was written, on prompts that it did not learn from; the rollout that PPO ends with is of the training prompts.
        kl = beside(f"ppo-{number}", policy, "sft", sft, prompts["test"])
        found["rounds"].append({"rankings": count, "reward": judged, "kl": kl, "kl_last_rollout": ppo["objective/kl"],
                                "validation_accuracy": metrics["eval/accuracy"],
                                "scores": [ppo["objective/scores_before"], ppo["objective/scores"]]})
    found |= {"seconds": stages.seconds, "reused": stages.reused, "older": stages.older, "program": stages.program(TRAINER)}
    return found


def accuracy(stages, name, reward, answers):
    """The reward model on answers to test prompts: share of the pairs that gold separates clearly, and of all, in order."""
    gold = stages.gold(f"test.{name}.gold.jsonl", answers)
    path, _ = stages.make(f"test.{name}.scores.jsonl",
                          [TRAINER, "score", "--quiet", "--model", str(reward), "--data", str(answers)],
                          [reward, answers], stdout=True)
    lines = iter([line["reward"] for line in learn_data.load(path) if "reward" in line])
    counts = {"clear": [], "all": []}
    for rewards in gold:
        scores = [next(lines) for _ in rewards]
        for by_prompt in counts.values():
            by_prompt.append([0, 0])
        for i in range(len(rewards)):
            for j in range(i):
                distance = rewards[i] - rewards[j]
                right = distance * (scores[i] - scores[j]) > 0
                for kind, least in (("clear", CLEAR), ("all", 1e-9)):
                    if abs(distance) >= least:
                        counts[kind][-1][0] += right
                        counts[kind][-1][1] += 1
    return {kind: {"right": sum(right for right, _ in by_prompt), "pairs": sum(pairs for _, pairs in by_prompt), "by_prompt": by_prompt}
            for kind, by_prompt in counts.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "learn")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--base", type=Path, default=BASE, help="the model to start from")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--fresh", action="store_true", help="make everything again")
    again.add_argument("--keep-older", action="store_true", help="keep what an older build of the programs made")
    arguments = parser.parse_args()
    need((arguments.base, "make sample-data"), (DATA / "chatterbot.demonstrations.jsonl", "make sample-data"))
    if arguments.fresh:
        remove(arguments.out)
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(f"learning in {arguments.out}", flush=True)
    start = time.monotonic()
    found = learn(Stages(arguments.out, arguments.seed, TEMPERATURE, TOKENS, arguments.keep_older), arguments.base)
    found["wall"] = time.monotonic() - start
    (arguments.out / "report.json").write_text(json.dumps(found, indent=1) + "\n")
    print(learn_report.write(arguments.out, found))


if __name__ == "__main__":
    main()
