"""Where comparisons of methods start: one SFT model, rankings of its answers, one reward model, on the sample task.

From sample/tiny-model and the questions of sample/, or from another base and the questions of `make learn`. A question belongs
to one split by a hash of its words; nothing is learned or chosen on the test split.
"""

import json

import learn_data
from stages import DATA, ROOT

TINY = ROOT / "sample" / "tiny-model"
SMALL = {"sft": {"epochs": 10, "batch-size": 16, "learning-rate": 1e-3},
         "reward": {"epochs": 3, "batch-size": 8, "learning-rate": 3e-4}}
LARGE = {"sft": {"epochs": 3, "batch-size": 16, "learning-rate": 5e-4},
         "reward": {"epochs": 2, "batch-size": 8, "learning-rate": 3e-4}}
# Answers to each prompt that are ranked, as many as people rank in the sample project.
RANKED = 4


def is_tiny(base):
    """Whether this is sample/tiny-model, however its path is written."""
    return base.resolve() == TINY


def data_for(base):
    """What the questions are made of that git does not bring, each with what fetches it."""
    return [] if is_tiny(base) else [(DATA / "chatterbot.demonstrations.jsonl", "make sample-data")]


def prepare(stages, base):
    """Data, SFT model, rankings and reward model as paths, and what is known of them."""
    tiny = is_tiny(base)
    settings = SMALL if tiny else LARGE
    counts = write_tiny(stages.out) if tiny else learn_data.write(stages.out)
    task = {split: stages.path(f"prompts.{split}.jsonl") for split in counts}
    sft, sft_metrics = stages.train("sft", "sft", settings["sft"], {
        "model": base, "data": stages.path("demonstrations.jsonl")})
    rankings = []
    for split in ("train", "validation"):
        answers = stages.answer(f"answers.{split}.jsonl", sft, task[split], RANKED, 1)
        rankings += stages.rank(f"ranked.{split}.jsonl", answers, split)
    data = stages.path("rankings.jsonl")
    learn_data.save(data, rankings)
    reward, reward_metrics = stages.train("reward", "reward", settings["reward"], {
        "model": sft, "data": data, "demonstrations": stages.path("demonstrations.jsonl")})
    return {**task, "sft": sft, "rankings": data, "reward": reward, "about": {
        "base": base.name, "prompts": counts, "rankings": len(rankings), "answers_ranked": RANKED * len(rankings),
        "nll": sft_metrics["eval/nll"], "reward_accuracy": reward_metrics["eval/accuracy"]}}


def write_tiny(out):
    """The questions of sample/ by split, and the demonstrations of all but the test split."""
    sample = ROOT / "sample"
    prompts = {"train": [], "validation": [], "test": []}
    for line in learn_data.load(sample / "prompts.jsonl"):
        split = split_of(line["prompt"])
        prompts[split].append({**line, "split": split})
    for split, lines in prompts.items():
        learn_data.save(out / f"prompts.{split}.jsonl", lines)
    demonstrations = [{**line, "split": split_of(line["prompt"])} for line in learn_data.load(sample / "demonstrations.jsonl")]
    learn_data.save(out / "demonstrations.jsonl", [line for line in demonstrations if line["split"] != "test"])
    return {split: len(lines) for split, lines in prompts.items()}


def split_of(prompt):
    """Six tenths to learn from, one tenth to choose by, three tenths to measure on: the sample is small."""
    bucket = learn_data.bucket_of("methods|" + json.dumps(prompt, ensure_ascii=False, sort_keys=True))
    return "train" if bucket < 6 else "validation" if bucket == 6 else "test"
