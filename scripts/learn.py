#!/usr/bin/env python3
"""Shows that the loop learns: a real pretrained model, the sample task, two rounds; about 40 minutes on two cores.

usage: scripts/learn.py [--out DIRECTORY] [--seed N] [--fresh]     (make learn)

base → SFT → answers → simulated rankings → reward model → PPO, then answers of that policy, rankings, reward model and PPO
again. Simulated annotators stand in for people: they rank by the gold reward (`laurel gold`) and err; the trainer never sees
it. All figures are of the test split, from which nothing is learned or chosen. What is done is not done again: a run that
was stopped goes on. The report is printed and left in the directory as report.md, report.json and report.svg.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import learn_data
import learn_report

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("LAUREL_SAMPLE_DATA") or ROOT / "data" / "sample-data")
BASE = DATA / "SmolLM2-135M-Instruct.Q4_1.gguf"
TRAINER = os.environ.get("LAUREL_TRAINER") or str(ROOT / "target/release/laurel-trainer")
LAUREL = os.environ.get("LAUREL_BIN") or str(ROOT / "target/release/laurel")

# One law everywhere: what is ranked, learned from and measured is drawn alike.
TEMPERATURE, TOKENS = "0.7", "48"
SFT = {"epochs": 3, "batch-size": 16, "learning-rate": 5e-4}
REWARD = {"epochs": 2, "batch-size": 8, "learning-rate": 3e-4}
PPO = {"steps": 24, "batch-size": 32, "minibatch-size": 16, "ppo-epochs": 2, "learning-rate": 3e-4,
       "kl-coefficient": 0.03, "temperature": TEMPERATURE, "max-new-tokens": TOKENS, "normalise-scores": "true",
       "sample-steps": 0}
# Errors of the simulated annotators, in units of the gold reward, and the distance at which gold separates clearly.
NOISE, CLEAR = "0.5", 1.0


class Stages:
    """Runs commands whose result is kept under its name; what was made of the same command and inputs is not made again."""

    def __init__(self, out, seed):
        self.out, self.seed, self.seconds = out, seed, {}

    def path(self, name):
        return self.out / name

    def make(self, name, command, inputs, stdout=False):
        """The path of `name`, made by `command`, whose "{out}" is that path. Its last line of JSON is kept beside it."""
        target, note = self.path(name), self.out / f"{name}.json"
        wanted = hashlib.sha256(json.dumps([command[1:], [digest(path) for path in inputs]]).encode()).hexdigest()
        if target.exists() and note.exists() and json.loads(note.read_text())["made_of"] == wanted:
            kept = json.loads(note.read_text())
        else:
            remove(target)
            remove(self.out / f"{name}.checkpoints")
            print(f"  {name} …", end=" ", flush=True)
            start = time.monotonic()
            result = run([part.replace("{out}", str(target)) for part in command], target if stdout else None)
            kept = {"made_of": wanted, "seconds": time.monotonic() - start, "result": result}
            note.write_text(json.dumps(kept, indent=1) + "\n")
            print(f"{kept['seconds']:.0f} s", flush=True)
        self.seconds[name] = kept["seconds"]
        return target, kept["result"]

    def train(self, name, stage, settings, inputs):
        options = [f"--{key}={value}" for key, value in settings.items()]
        named = [part for key, path in inputs.items() for part in (f"--{key}", str(path))]
        command = [TRAINER, stage, "--json", "--seed", str(self.seed), *named, "--out", "{out}", *options]
        target, result = self.make(name, command, inputs.values())
        return target, result["metrics"]

    def answer(self, name, model, prompts, samples, seed):
        command = [TRAINER, "generate", "--json", "--model", str(model), "--prompts", str(prompts), "--out", "{out}",
                   "--samples", str(samples), "--seed", str(seed), "--temperature", TEMPERATURE, "--max-new-tokens", TOKENS]
        return self.make(name, command, [model, prompts])[0]

    def gold(self, name, answers):
        """The gold reward of every answer, a list a prompt."""
        path, _ = self.make(name, [LAUREL, "gold", "rewards", str(answers)], [answers], stdout=True)
        return [line["rewards"] for line in learn_data.load(path)]

    def rank(self, name, answers, split, noise=NOISE):
        """Simulated rankings of the answers, of that split."""
        command = [LAUREL, "gold", "rank", str(answers), "--noise", str(noise), "--seed", str(self.seed)]
        path, _ = self.make(name, command, [answers], stdout=True)
        return [{**line, "split": split} for line in learn_data.load(path)]


def run(command, stdout):
    """Runs; the last line of JSON that it printed, or nothing where its output goes to a file."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-5:] or done.stdout.strip().splitlines()[-2:]
        sys.exit("\nerror: " + " ".join(command[:2]) + " failed:\n" + "\n".join(said))
    if stdout:
        stdout.write_text(done.stdout)
        return None
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return json.loads(lines[-1])


def digest(path):
    """Of a file its bytes; of a model the weights."""
    path = Path(path)
    file = path / "model.safetensors" if path.is_dir() else path
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()


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
    policy, rankings = sft, []
    test_answers = measure("sft", sft)
    for number in (1, 2):
        for split in ("train", "validation"):
            answers = stages.answer(f"answers-{number}.{split}.jsonl", policy, prompts[split], 4, number)
            rankings += stages.rank(f"ranked-{number}.{split}.jsonl", answers, split)
        data = stages.path(f"rankings-{number}.jsonl")
        learn_data.save(data, rankings)
        reward, metrics = stages.train(f"reward-{number}", "reward", REWARD, {
            "model": sft, "data": data, "demonstrations": stages.path("demonstrations.jsonl")})
        judged = accuracy(stages, f"reward-{number}", reward, test_answers, list(found["policies"].values())[-1])
        policy, ppo = stages.train(f"ppo-{number}", "ppo", PPO, {
            "policy": sft, "reward": reward, "prompts": prompts["train"]})
        test_answers = measure(f"ppo-{number}", policy)
        found["rounds"].append({"rankings": len(rankings), "reward": judged, "kl": ppo["objective/kl"],
                                "validation_accuracy": metrics["eval/accuracy"],
                                "scores": [ppo["objective/scores_before"], ppo["objective/scores"]]})
    found["seconds"] = stages.seconds
    return found


def accuracy(stages, name, reward, answers, gold):
    """The reward model on answers to test prompts: share of the pairs that gold separates clearly, and of all, in order."""
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
    for path, remedy in ((BASE, "make sample-data"), (DATA / "chatterbot.demonstrations.jsonl", "make sample-data"),
                         (Path(TRAINER), "make trainer"), (Path(LAUREL), "cargo build --release -p laurel")):
        if not path.exists():
            sys.exit(f"error: {path} is not there; `{remedy}` makes it")
    if arguments.fresh:
        remove(arguments.out)
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(f"learning in {arguments.out}", flush=True)
    found = learn(Stages(arguments.out, arguments.seed))
    (arguments.out / "report.json").write_text(json.dumps(found, indent=1) + "\n")
    print(learn_report.write(arguments.out, found))


if __name__ == "__main__":
    main()
