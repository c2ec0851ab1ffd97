"""Runs the programs of a course whose results are kept: what the same program made of the same inputs is not made again."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import learn_data

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("LAUREL_SAMPLE_DATA") or ROOT / "data" / "sample-data")
# Where cargo puts the programs.
BUILT = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release"
TRAINER = os.environ.get("LAUREL_TRAINER") or str(BUILT / "laurel-trainer")
LAUREL = os.environ.get("LAUREL_BIN") or str(BUILT / "laurel")
# Errors of the simulated annotators, in units of the gold reward.
NOISE = "0.5"


class Stages:
    """Runs commands whose result is kept under its name, with the seconds that it took.

    What was made by the same program, of the same command and inputs, is not made again. Another build of the program makes
    everything anew, since it may compute something else or take another time; with `keep_older` what it finds is kept and said.
    """

    def __init__(self, out, seed, temperature, tokens, keep_older=False):
        self.out, self.seed, self.keep_older = out, seed, keep_older
        # By name: the seconds of all steps, whether now or when they were made, and which were not made now.
        self.seconds, self.reused, self.older = {}, [], []
        self.programs = {}
        # One law everywhere: what is ranked, learned from and measured is drawn alike.
        self.law = ["--temperature", str(temperature), "--max-new-tokens", str(tokens)]

    def path(self, name):
        return self.out / name

    def program(self, path):
        """Which build a program is: a digest of it, read once."""
        if path not in self.programs:
            self.programs[path] = digest(path)
        return self.programs[path]

    def make(self, name, command, inputs, stdout=False):
        """The path of `name`, made by `command`, whose "{out}" is that path. Its last line of JSON is kept beside it."""
        target, note = self.path(name), self.out / f"{name}.json"
        wanted = hashlib.sha256(json.dumps([command[1:], [digest(path) for path in inputs]]).encode()).hexdigest()
        program = self.program(command[0])
        kept = json.loads(note.read_text()) if target.exists() and note.exists() else {}
        is_older = kept.get("program") != program
        if kept.get("made_of") == wanted and (self.keep_older or not is_older):
            self.reused.append(name)
            if is_older:
                self.older.append(name)
                print(f"  {name}: kept, made by another build of {Path(command[0]).name} in {kept['seconds']:.0f} s", flush=True)
        else:
            # The note goes first: whatever stops this run, no other result is ever taken for the one that it tells of.
            remove(note)
            remove(target)
            for left in ("checkpoints", "policies", "partial", "resume"):
                remove(self.out / f"{name}.{left}")
            print(f"  {name} …", end=" ", flush=True)
            start = time.monotonic()
            result = run([part.replace("{out}", str(target)) for part in command], target if stdout else None)
            kept = {"made_of": wanted, "program": program, "seconds": time.monotonic() - start, "result": result}
            # Whole, by rename: half a note would end every later run.
            part = note.with_name(note.name + ".tmp")
            part.write_text(json.dumps(kept, indent=1) + "\n")
            part.replace(note)
            print(f"{kept['seconds']:.0f} s", flush=True)
        self.seconds[name] = kept["seconds"]
        return target, kept["result"]

    def train(self, name, stage, settings, inputs, seed=None):
        options = [f"--{key}={value}" for key, value in settings.items()]
        named = [part for key, path in inputs.items() for part in (f"--{key}", str(path))]
        command = [TRAINER, stage, "--json", "--seed", str(seed or self.seed), *named, "--out", "{out}", *options]
        target, result = self.make(name, command, inputs.values())
        return target, result["metrics"]

    def answer(self, name, model, prompts, samples, seed):
        command = [TRAINER, "generate", "--json", "--model", str(model), "--prompts", str(prompts), "--out", "{out}",
                   "--samples", str(samples), "--seed", str(seed), *self.law]
        return self.make(name, command, [model, prompts])[0]

    def evaluate(self, name, model, against, reward, prompts, samples, seed=7, demonstrations=None):
        """Both models' answers as model.jsonl and against.jsonl in the path that comes back, and the report. Without a reward
        model (`None`) nobody judges them; of demonstrations the likelihood under both is told."""
        judged = ["--reward", str(reward)] if reward else []
        likelihood = ["--demonstrations", str(demonstrations)] if demonstrations else []
        command = [TRAINER, "evaluate", "--json", "--model", str(model), "--against", str(against), *judged, *likelihood,
                   "--prompts", str(prompts), "--samples", str(samples), "--seed", str(seed), *self.law, "--out", "{out}"]
        inputs = [model, against, reward, prompts, demonstrations]
        return self.make(name, command, [path for path in inputs if path])

    def best_of(self, name, n, policy, reward, prompts, seed, everything=False):
        """The best of n answers to each prompt, or all n with their scores; the path, and what the command told."""
        command = [TRAINER, "best-of-n", "--json", "--policy", str(policy), "--reward", str(reward), "--prompts", str(prompts),
                   "--n", str(n), "--seed", str(seed), *self.law, *(["--all"] if everything else []), "--batch", "256",
                   "--out", "{out}"]
        return self.make(name, command, [policy, reward, prompts])

    def compare(self, name, ours, theirs):
        """The win rate by gold of one file of answers against another."""
        path, _ = self.make(name, [LAUREL, "gold", "compare", str(ours), str(theirs)], [ours, theirs], stdout=True)
        return json.loads(path.read_text())

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
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    except KeyboardInterrupt:
        sys.exit("\nstopped; what is done stays, and the next run goes on from it")
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-5:] or done.stdout.strip().splitlines()[-2:]
        sys.exit("\nerror: " + " ".join(command[:2]) + " failed:\n" + "\n".join(said))
    if stdout:
        stdout.write_text(done.stdout)
        return None
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return json.loads(lines[-1])


def digest(path):
    """Of a file its bytes; of a model the weights, in one file or in shards."""
    path = Path(path)
    shards = sorted(path.glob("model-*.safetensors")) if path.is_dir() else []
    if shards:
        return hashlib.sha256("".join(map(digest, shards)).encode()).hexdigest()
    file = path / "model.safetensors" if path.is_dir() else path
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()


def need(*paths):
    """Ends the program with a remedy where something is missing."""
    for path, remedy in ((TRAINER, "make trainer"), (LAUREL, "cargo build --release -p laurel"), *paths):
        if not Path(path).exists():
            sys.exit(f"error: {path} is not there; `{remedy}` makes it")
