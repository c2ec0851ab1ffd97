"""The data that `make learn` learns from: questions in the manner of the sample task, split by a hash of the question.

More of them than sample/ holds: every English question of chatterbot-corpus that fits, besides our own; the pretrained model
knows little Chinese. The manner is that of scripts/make_sample.py. `test` is what the figures are measured on; nothing is chosen by it.
"""

import hashlib
import json

import make_sample

# Says nothing of the manner; without one the model's template puts in a longer message of its own, in every prompt.
SYSTEM = {"role": "system", "content": "Answer the question."}
TOPICS = ["ai", "computers", "conversations", "emotion", "food", "gossip", "greetings", "health", "history", "humor",
          "literature", "money", "movies", "politics", "psychology", "science", "sports", "tech_support", "trivia"]


def write(out):
    """prompts.SPLIT.jsonl, demonstrations.jsonl, demonstrations.test.jsonl and varied.SPLIT.jsonl in `out`; the number of prompts
    by split. demonstrations.jsonl is what is learned from and chosen by: nothing of the test split."""
    make_sample.TAGS = {language: {topic: 10_000 for topic in TOPICS} for language in ("en", "zh")}
    questions = {question["question"]: question
                 for question in make_sample.own_questions() + make_sample.corpus_questions()
                 if question["language"] == "en"}
    demonstrations, prompts = [], {"train": [], "validation": [], "test": []}
    varied = {"train": [], "validation": [], "test": []}
    # Answers that miss their topic are other questions' answers: never one of the test split's.
    learned_from = [question for question in questions.values() if split_of(question["question"]) != "test"]
    for question in questions.values():
        prompt = [SYSTEM, {"role": "user", "content": question["question"]}]
        split = split_of(question["question"])
        prompts[split].append({"id": question["id"], "prompt": prompt, "language": question["language"], "split": split})
        demonstrations.append({"id": f"demo-{question['id']}", "prompt": prompt, "split": split,
                               "completion": [{"role": "assistant", "content": make_sample.in_manner(question)}]})
        # No policy here writes long answers: they are cut at 48 tokens.
        responses = [response for response in make_sample.candidates(question, learned_from)
                     if response["model"] != "sample:long"]
        varied[split].append({"prompt": prompt, "responses": responses})
    for split, lines in prompts.items():
        save(out / f"prompts.{split}.jsonl", lines)
    for split, lines in varied.items():
        save(out / f"varied.{split}.jsonl", lines)
    save(out / "demonstrations.jsonl", [line for line in demonstrations if line["split"] != "test"])
    save(out / "demonstrations.test.jsonl", [line for line in demonstrations if line["split"] == "test"])
    return {split: len(lines) for split, lines in prompts.items()}


def together(path, *files):
    """One file of the responses of several to the same prompts, in `path`."""
    merged = {}
    for number, file in enumerate(files):
        for line in load(file):
            responses = [{**response, "id": f"{number}-{at}"} for at, response in enumerate(line["responses"])]
            merged.setdefault(json.dumps(line["prompt"]), {**line, "responses": []})["responses"] += responses
    save(path, merged.values())
    return path


def split_of(text):
    """Seven tenths to learn from, one tenth to choose by, two tenths to measure on."""
    bucket = bucket_of(f"learn|{text}")
    return "train" if bucket < 7 else "validation" if bucket == 7 else "test"


def bucket_of(text):
    """A number from 0 to 9 that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 10


def save(path, lines):
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def load(path):
    return [json.loads(line) for line in path.read_text().splitlines()]
