#!/usr/bin/env python3
"""Speed and memory of the trainer beside PyTorch's, one table: make bench-trainer.

usage: scripts/bench_trainer.py [--rounds N] [--only NAME ...] [--out DIRECTORY]
                                [--device wgpu|cuda:N [--peak TFLOPS]] [--precision bfloat16]

Each piece of work is done by both programs on the same model, data, number format and threads: a process for each, one
working while the other waits, ours first in odd rounds and second in even ones; of PPO one whole run after the other's,
without its first iteration. A figure is the median of the rounds, with the least and the most. The floor of a training step is its floating-point operations over the rate of a large
matrix product; that of decoding is the bytes of weights, keys and values over the bandwidth at which memory is read, or
its operations over that rate where they take longer, after reading the prompts at that rate. Both rates are measured
first, that of the product with the faster of the two libraries, that of memory by our own program. On a GPU the trainer is built for it and PyTorch uses CUDA; --peak, what the
maker says of the device in that precision, adds the model-FLOPs utilisation of the training steps. The memory in the
table is this machine's, not the GPU's.

Needs a Python with torch, transformers, peft and trl 1.12.0 (the last with a PPO trainer): BENCH_PYTHON, or made in
the output directory by the first run.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("LAUREL_SAMPLE_DATA") or ROOT / "data" / "sample-data")
PACKAGES = ["torch==2.15.0", "transformers==5.24.0", "peft==0.21.2", "trl==1.12.0"]
THREADS = "2"
# The decoder of the table's small model: 34 million weights.
SMALL = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 512, "intermediate_size": 1408,
    "num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 8, "vocab_size": 8192,
    "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": False,
    "hidden_act": "silu",
}
PPO_PROMPTS, PPO_TOKENS, PPO_EPOCHS = 32, 64, 4
# Tokens of each of its prompts under the small model's tokenizer and template.
PPO_PROMPT_TOKENS = 36
# What decoding reads and writes, as benches/trainer.rs and bench_pytorch.py do it.
DECODE_PROMPT, DECODE_NEW = 64, 128


class Worker:
    """A process that does a piece of work once for each line that it is given."""

    def __init__(self, command, environment):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, env=environment)
        if "ready" not in self.read():
            sys.exit(f"error: {command} is not ready")

    def read(self):
        line = self.process.stdout.readline()
        while line and not line.startswith("{"):
            line = self.process.stdout.readline()
        if not line:
            sys.exit(f"error: {' '.join(self.process.args)}:\n{self.process.stderr.read()[-2000:]}")
        return json.loads(line)

    def work(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.read()

    def end(self):
        self.process.stdin.close()
        peak = self.read()["peak_bytes"]
        self.process.wait()
        return peak


class Bench:
    def __init__(self, out, rounds, device="cpu", precision="float32"):
        self.out, self.rounds, self.device, self.precision = out, rounds, device, precision
        self.python = python(out)
        self.environment = {**os.environ, "RAYON_NUM_THREADS": THREADS, "OMP_NUM_THREADS": THREADS,
                            "BENCH_THREADS": THREADS, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true",
                            "PYTHONWARNINGS": "ignore", "TRANSFORMERS_VERBOSITY": "error",
                            "TRL_EXPERIMENTAL_SILENCE": "1", "BENCH_PRECISION": precision}
        feature = None if device == "cpu" else device.split(":")[0]
        self.program = built("bench", "trainer", feature)
        self.trainer = built("bin", "laurel-trainer", feature)

    def commands(self, *work):
        return ([self.program, *work], [self.python, str(ROOT / "scripts" / "bench_pytorch.py"), *work])

    def both(self, *work, rounds=None):
        """Rates (units a second) of every round and the peak of memory, for ours and for PyTorch's."""
        # PyTorch knows no wgpu: its side runs on CUDA then.
        devices = (self.device, "cuda" if self.device == "wgpu" else self.device)
        workers = [Worker(command, {**self.environment, "BENCH_DEVICE": device})
                   for command, device in zip(self.commands(*work), devices)]
        for worker in workers:
            worker.work()
        rates = [[], []]
        for number in range(rounds or self.rounds):
            for which in (0, 1) if number % 2 == 0 else (1, 0):
                done = workers[which].work()
                rates[which].append(done["units"] / done["seconds"])
        return [{"rates": rates[which], "peak": worker.end()} for which, worker in enumerate(workers)]

    def rate_of_machine(self):
        """Floating-point operations a second of a large product, and bytes a second of memory."""
        products = self.both("product", rounds=7)
        worker = Worker(self.commands("row")[0], {**self.environment, "BENCH_DEVICE": self.device})
        rows = [worker.work() for _ in range(self.rounds + 3)]
        worker.end()
        best = max(statistics.median(side["rates"]) for side in products)
        return best, statistics.median(row["units"] / row["seconds"] for row in rows)

    def init(self, name, config):
        model = self.out / name
        if not model.exists():
            written = self.out / f"{name}.config.json"
            written.write_text(json.dumps(config))
            self.run(self.trainer, "init", "--config", str(written) if isinstance(config, dict) else config,
                     "--corpus", str(DATA / "wiki.txt"), "--out", str(model))
        return model

    def preset(self, name):
        """A model with random weights and no tokenizer."""
        model = self.out / name
        if not model.exists():
            self.run(self.program, "write", f"{name}={model}")
        return model

    def reward_model(self, policy):
        model = self.out / "reward"
        if not model.exists():
            records = self.out / "rankings.jsonl"
            records.write_text("".join(json.dumps({
                "id": str(number), "prompt": [{"role": "user", "content": f"Say {number}."}], "split": "train",
                "responses": [{"id": "a", "content": "yes"}, {"id": "b", "content": "no"}], "ranks": [1, 2],
            }) + "\n" for number in range(4)))
            self.run(self.trainer, "reward", "--model", str(policy), "--data", str(records), "--out", str(model),
                     "--steps", "1", "--lora", "off", "--quiet")
        return model

    def ppo(self, policy, reward):
        """Seconds of each iteration but the first, and the peak of memory, of both."""
        prompts = self.out / "prompts.jsonl"
        words = "Tell me in a few words what you would do on a long rainy day at home with".split()
        prompts.write_text("".join(json.dumps({
            "id": str(number), "prompt": [{"role": "user", "content": " ".join(words) + f" {number} friends."}],
            "split": "train"}) + "\n" for number in range(PPO_PROMPTS * 2)))
        command = [self.trainer, "ppo", "--json", "--policy", str(policy), "--reward", str(reward), "--prompts",
                   str(prompts), "--out", str(self.out / "ppo"), "--steps", str(self.rounds + 1), "--lora", "off",
                   "--batch-size", str(PPO_PROMPTS), "--minibatch-size", str(PPO_PROMPTS), "--ppo-epochs",
                   str(PPO_EPOCHS), "--max-new-tokens", str(PPO_TOKENS), "--temperature", "0.7", "--sample-steps", "0",
                   "--save-steps", "0", "--max-kl", "1e9", "--learning-rate", "1e-6",
                   "--device", self.device, "--precision", self.precision]
        peer = [self.python, str(ROOT / "scripts" / "bench_trl.py"), str(policy), str(reward), str(prompts),
                str(self.rounds + 1), str(PPO_PROMPTS), str(PPO_TOKENS), str(PPO_EPOCHS)]
        subprocess.run(["rm", "-rf", str(self.out / "ppo"), str(self.out / "ppo.checkpoints")], check=True)
        return [self.iterations(command, "objective/kl"), self.iterations(peer, "iteration")]

    def iterations(self, command, mark):
        process = subprocess.Popen(["/usr/bin/env", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, env={**self.environment, "BENCH_DEVICE": self.device})
        ends, peak = [], 0
        for line in process.stdout:
            if f'"{mark}"' in line and '"result"' not in line:
                ends.append(time.perf_counter())
            peak = max(peak, peak_of(process.pid))
        if process.wait() != 0 or len(ends) < 2:
            sys.exit(f"error: {' '.join(command[:3])}: {process.stderr.read()[-2000:]}")
        return {"rates": [1 / (b - a) for a, b in zip(ends, ends[1:])], "peak": peak}

    def run(self, *command):
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment)
        if done.returncode:
            sys.exit(f"error: {' '.join(command)}:\n{done.stderr[-2000:]}")


def peak_of(pid):
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def python(out):
    """An interpreter that has PyTorch and its friends."""
    if os.environ.get("BENCH_PYTHON"):
        return os.environ["BENCH_PYTHON"]
    home = out / "python"
    program = home / "bin" / "python"
    if not (home / "complete").exists():
        print(f"installing {', '.join(PACKAGES)} in {home} (some gigabytes, once)", flush=True)
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([program, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        (home / "complete").touch()
    return str(program)


def built(kind, name, feature):
    """Builds a program of the trainer with full optimisation, for a GPU where `feature` names its kind, and gives its path."""
    command = ["cargo", "build", "--release", "--locked", "-p", "laurel-trainer", "--message-format=json"]
    if kind == "bench":
        command = ["cargo", "bench", "--locked", "-p", "laurel-trainer", "--no-run", "--message-format=json"]
    if feature:
        command += ["--features", feature]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    for line in done.stdout.splitlines():
        message = json.loads(line)
        target = message.get("target", {})
        if message.get("executable") and target.get("name") == name and kind in target.get("kind", []):
            return message["executable"]
    sys.exit(f"error: cargo built no {kind} called {name}")


def shape(model):
    """Weights in matrix products, those of a block beside its keys and values, layers, width of the heads together, keys and
    values a token."""
    config = json.loads((model / "config.json").read_text())
    width, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    size = config.get("head_dim") or width // config["num_attention_heads"]
    queries, keys = size * config["num_attention_heads"], size * config["num_key_value_heads"]
    matrices = layers * (2 * width * queries + 2 * width * keys + 3 * width * inner) + width * config["vocab_size"]
    beside = 2 * width * queries + 3 * width * inner
    return {"matrices": matrices, "beside": beside, "layers": layers, "queries": queries, "kept": 2 * layers * keys}


def operations(model, rows, length, backward=2.0, head=1.0, shared=(0, 0), read=None):
    """Floating-point operations of a step: 2 a weight and token forwards, `backward` times that on the way back (2: for
    inputs and weights; 1: for inputs only; 0: none); causal attention sees half of the square. `shared`: rows whose first so
    many tokens are another row's too, and need not be computed again. `read`: at how many tokens of a row what leaves the last
    block is read, if not at all: at the others only its keys and values are needed, and its attention is not counted."""
    again, first = shared
    parts, tokens = shape(model), rows * length - again * first
    vocabulary = json.loads((model / "config.json").read_text())
    logits = vocabulary["hidden_size"] * vocabulary["vocab_size"]
    unread, blocks = (0, parts["layers"]) if read is None else (tokens - rows * read, parts["layers"] - 1)
    weights = 2 * ((parts["matrices"] - logits * (1 - head)) * tokens - parts["beside"] * unread)
    attention = 4 * blocks * parts["queries"] * (rows * length * length - again * first * first) / 2
    return weights * (1 + backward) + attention * (3 if backward else 1)


def ppo_operations(model):
    """Floating-point operations of a PPO iteration: the policy writes answers, which tells their probabilities too; reference,
    reward and value model read them; policy and value model learn them in every epoch. Logits of answers only; a reward is
    read at the end of an answer, all else before each of its tokens."""
    length = PPO_PROMPT_TOKENS + PPO_TOKENS
    answers = PPO_TOKENS / length

    def once(head=0.0, read=PPO_TOKENS, backward=0.0):
        return operations(model, PPO_PROMPTS, length, backward, head, read=read)

    asked = 2 * once(answers) + once(read=1) + once()
    return asked + PPO_EPOCHS * (once(answers, backward=2.0) + once(backward=2.0))


def seconds_a_token(model, batch, context, flops, numbers):
    """The least that a step of decoding takes: every weight and all keys and values are read, `numbers` a second, or all products
    are made."""
    parts = shape(model)
    read = (parts["matrices"] + batch * context * parts["kept"]) / numbers
    return max(read, 2 * parts["matrices"] * batch / flops)


def seconds_a_prompt(model, tokens, flops):
    """The least that reading the prompts takes: products of all blocks but the last, of which one token a prompt is needed."""
    config, parts = json.loads((model / "config.json").read_text()), shape(model)
    blocks = parts["matrices"] - config["hidden_size"] * config["vocab_size"]
    return 2 * blocks * (parts["layers"] - 1) / parts["layers"] * tokens / flops


def rows(bench, wanted):
    """The table's rows: name, unit, both results, the floor as a rate, the operations of a unit."""
    flops, bandwidth = bench.rate_of_machine()
    print(f"large product {flops / 1e9:.0f} GFLOP/s, memory {bandwidth / 1e9:.1f} GB/s", flush=True)
    numbers = bandwidth / (4 if bench.precision == "float32" else 2)
    small = bench.init("small", SMALL)
    large = bench.preset("llama-135m")

    def step(label, work, model, batch, length, **more):
        needed = operations(model, batch, length, **more) / (batch * length)
        return label, "tokens/s", lambda: bench.both(work, str(model)), flops / needed, needed

    def decode(label, work, model, batch):
        # While the answer grows, half of it stands before a token, beside the prompt.
        token = seconds_a_token(model, batch, DECODE_PROMPT + DECODE_NEW // 2, flops, numbers)
        prompt = seconds_a_prompt(model, batch * DECODE_PROMPT, flops)
        floor = batch * DECODE_NEW / (prompt + DECODE_NEW * token)
        return label, "tokens/s", lambda: bench.both(work, str(model), str(batch)), floor, None

    # Of each four answers three repeat the 64 tokens of the prompt; there are no logits, and a score is read at the last token.
    of_rankings = {"head": 0.0, "shared": (12, 64), "read": 1}
    text = bench.out / "text-100mb.txt"
    if not text.exists():
        source = (DATA / "wiki.txt").read_bytes()
        text.write_bytes(source * (100_000_000 // len(source) + 1))
    table = [
        ("a", *step("SFT step, 34 M, 4 × 256", "sft", small, 4, 256)),
        ("b", *step("SFT step, 135 M, 4 × 256", "sft", large, 4, 256)),
        ("b", *step("SFT step with LoRA, 135 M, 4 × 256", "lora", large, 4, 256, backward=1.0)),
        ("c", *step("reward step, 34 M, 4 × 4 × 128", "reward", small, 16, 128, **of_rankings)),
        ("c", *step("reward step, 135 M, 4 × 4 × 128", "reward", large, 16, 128, **of_rankings)),
        *(("d", *decode(f"{work}, {name}, batch {batch}", work, model, batch))
          for name, model in (("34 M", small), ("135 M", large)) for work in ("greedy", "sampled")
          for batch in (1, 8, 32)),
        ("e", f"PPO iteration, 34 M, {PPO_PROMPTS} prompts, {PPO_TOKENS} tokens, {PPO_EPOCHS} epochs", "iterations/s",
         lambda: bench.ppo(small, bench.reward_model(small)), flops / ppo_operations(small), ppo_operations(small)),
        ("f", "load, 135 M", "weights/s", lambda: bench.both("load", str(large)), None, None),
        ("f", "tokenise, 100 MB", "bytes/s", lambda: bench.both("tokenise", str(small), str(text)), None, None),
    ]
    for part, label, unit, measure, floor, needed in table:
        if not wanted or part in wanted or any(label.startswith(text) for text in wanted):
            ours, peer = measure()
            yield {"part": part, "work": label, "unit": unit, "ours": ours, "peer": peer, "floor": floor, "operations": needed}


def line(row, peak=None):
    """A row of the table; `peak`: operations a second of which the last column is the share."""
    def figures(side):
        low, middle, high = min(side["rates"]), statistics.median(side["rates"]), max(side["rates"])
        return f"{amount(middle)} ({amount(low)}–{amount(high)})"

    ours, peer = (statistics.median(row[side]["rates"]) for side in ("ours", "peer"))
    floor = f"{amount(row['floor'])} | {100 * ours / row['floor']:.0f} %" if row["floor"] else "– | –"
    memory = f"{row['ours']['peak'] / 1e6:.0f} | {row['peer']['peak'] / 1e6:.0f}"
    return (f"| {row['part']} | {row['work']} | {row['unit']} | {figures(row['ours'])} | {figures(row['peer'])} "
            f"| {ours / peer:.2f} | {floor} | {memory} |" + (f" {utilisation(row, ours, peak)} |" if peak else ""))


def utilisation(row, rate, peak):
    """Model-FLOPs utilisation (Chowdhery et al. 2022, appendix B): operations that the model needs, over those that the device has."""
    return f"{100 * rate * row['operations'] / peak:.1f} %" if row["operations"] else "–"


def amount(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[], metavar="PART", help="parts of the table, a to f, or beginnings of rows' names")
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "bench")
    parser.add_argument("--device", default="cpu", help="cpu, wgpu or cuda:N")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--peak", type=float, metavar="TFLOPS", help="what the device's maker promises in that precision")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds: expected 1 or more")
    if not re.fullmatch(r"cpu|wgpu|cuda(:\d+)?", arguments.device):
        parser.error("--device: expected cpu, wgpu or cuda:N")
    if arguments.device == "cpu" and arguments.precision == "float16":
        parser.error("--precision: the CPU only imitates float16")
    if not (DATA / "wiki.txt").exists():
        sys.exit("error: the sample data is not there; `make sample-data` fetches it")
    arguments.out.mkdir(parents=True, exist_ok=True)
    bench = Bench(arguments.out.resolve(), arguments.rounds, arguments.device, arguments.precision)
    place = f"{processor()}, {THREADS} threads" if arguments.device == "cpu" else f"{graphics()} by {arguments.device}"
    peak = arguments.peak and arguments.peak * 1e12
    print(f"{place}, {arguments.precision}, {time.strftime('%Y-%m-%d')}, {', '.join(PACKAGES)}")
    print("| | work | unit | ours | PyTorch | ratio | floor | of it | our MB | its MB |" + (" MFU |" if peak else ""))
    print("|---|---|---|---|---|---|---|---|---|---|" + ("---|" if peak else ""), flush=True)
    found = []
    for row in rows(bench, arguments.only):
        found.append(row)
        print(line(row, peak), flush=True)
    (arguments.out / "results.json").write_text(json.dumps(found, indent=1) + "\n")


def graphics():
    """The name of the first GPU."""
    try:
        done = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[0].strip()
    except (OSError, IndexError, subprocess.CalledProcessError):
        return "a GPU"


def processor():
    try:
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        return names[0].split(":", 1)[1].strip()
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nstopped")
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")
