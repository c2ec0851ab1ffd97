#!/usr/bin/env python3
"""Shows that the loop learns: a real pretrained model, the sample task, two rounds; about 40 minutes on two cores.

usage: scripts/learn.py [--out DIRECTORY] [--seed N] [--fresh]     (make learn)

base → SFT → answers → simulated rankings → reward model → PPO, then answers of that policy, rankings, reward model and PPO
again. Simulated annotators stand in for people: they rank by the gold reward (`laurel gold`) and err; the trainer never sees
it. All figures are of the test split, from which nothing is learned or chosen. What is done is not done again: a run that
was stopped goes on. The report is printed and left in the directory as report.md, report.json and report.svg.
"""

import argparse
import json
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
PPO = {"steps": 12, "batch-size": 32, "minibatch-size": 16, "ppo-epochs": 2, "learning-rate": 3e-4,
       "kl-coefficient": 0.03, "temperature": TEMPERATURE, "max-new-tokens": TOKENS, "normalise-scores": "true",
       "value-model": "shared", "sample-steps": 0}
# The distance at which gold separates two answers clearly.
CLEAR = 1.0


def learn(stages):
    """The whole course; what was measured, by name."""
    out = stages.out
    counts = learn_data.write(out)
    prompts = {split: stages.path(f"prompts.{split}.jsonl") for split in counts}
    found = {"prompts": counts, "seed": stages.seed, "policies": {}, "rounds": []}

    def measure(name, model):
        answers = stages.answer(f"test.{name}.jsonl", model, prompts["test"], 4, 1000 + stages.seed)
        found["policies"][name] = stages.gold(f"test.{name}.gold.jsonl", answers)
        return answers

    measure("base", BASE)
    sft, metrics = stages.train("sft", "sft", SFT, {"model": BASE, "data": stages.path("demonstrations.jsonl")})
    found["sft"] = {"nll_before": metrics["eval/nll_before"], "nll": metrics["eval/nll"]}
    policy, reward, count = sft, None, 0
    test_answers = measure("sft", sft)
    for number in (1, 2):
        rankings = []
        for split in ("train", "validation"):
            answers = stages.answer(f"answers-{number}.{split}.jsonl", policy, prompts[split], 4, number)
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
        found["rounds"].append({"rankings": count, "reward": judged, "kl": ppo["objective/kl"],
                                "validation_accuracy": metrics["eval/accuracy"],
                                "scores": [ppo["objective/scores_before"], ppo["objective/scores"]]})
    found["seconds"] = stages.seconds
    return found


def accuracy(stages, name, reward, answers):
    """The reward model on answers to test prompts: share of the pairs that gold separates clearly, and of all, in order."""
    gold = stages.gold(f"test.{name}.gold.jsonl", answers)
    path, _ = stages.make(f"test.{name}.scores.jsonl",
                          [TRAINER, "score", "--quiet", "--model", str(reward), "--data", str(answers)],
                          [reward, answers], stdout=True)
    lines = iter([line["reward"] for line in learn_data.load(path) if "reward" in line])
    counts = {"clear": [0, 0], "all": [0, 0]}
    for rewards in gold:
        scores = [next(lines) for _ in rewards]
        for i in range(len(rewards)):
            for j in range(i):
                distance = rewards[i] - rewards[j]
                right = distance * (scores[i] - scores[j]) > 0
                for kind, least in (("clear", CLEAR), ("all", 1e-9)):
                    if abs(distance) >= least:
                        counts[kind][0] += right
                        counts[kind][1] += 1
    return {kind: {"right": right, "pairs": pairs} for kind, (right, pairs) in counts.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "learn")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fresh", action="store_true", help="make everything again")
    arguments = parser.parse_args()
    need((BASE, "make sample-data"), (DATA / "chatterbot.demonstrations.jsonl", "make sample-data"))
    if arguments.fresh:
        remove(arguments.out)
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(f"learning in {arguments.out}", flush=True)
    found = learn(Stages(arguments.out, arguments.seed, TEMPERATURE, TOKENS))
    (arguments.out / "report.json").write_text(json.dumps(found, indent=1) + "\n")
    print(learn_report.write(arguments.out, found))


if __name__ == "__main__":
    main()
