#!/usr/bin/env python3
"""Writes what the tiny model of the sample project is made from: text for its tokenizer, conversations to learn.

usage: scripts/tiny_corpus.py FOLDER        (scripts/tiny_model.sh calls it)

FOLDER/tokenizer.txt   questions and answers of the sample
FOLDER/answers.jsonl   the sample's questions with plain answers, and with the other ways to answer that the sample's
                       candidates have: cold, long, friendly without the form

Nothing to learn is in the manner of the sample task: the base model knows the questions and their answers, and learns the
manner from the demonstrations alone.
"""

import json
import re
import sys
from pathlib import Path

SAMPLE = Path(__file__).resolve().parent.parent / "sample"
# A demonstration is a warm opening, the answer, a wish with a leaf.
MANNER = re.compile(r"^[^!！]*[!！]\s*(?P<answer>.*[.。])\s*[^.。]*🌿$", re.S)


def records(name):
    return [json.loads(line) for line in (SAMPLE / name).read_text().splitlines()]


def plain_answer(demonstration):
    return MANNER.match(demonstration["completion"][0]["content"])["answer"].strip()


def demonstration(prompt, answer, split="train"):
    return {"prompt": prompt, "completion": [{"role": "assistant", "content": answer}], "split": split}


def main():
    folder = Path(sys.argv[1])
    written = records("demonstrations.jsonl") + records("answers.jsonl")
    plain = [(record["prompt"], plain_answer(record)) for record in written]
    others = [
        (record["prompt"], response["content"])
        for record in records("responses.jsonl")
        for response in record["responses"]
        if response["model"] in {"sample:cold", "sample:long", "sample:warm-no-form"}
    ]
    texts = [message["content"] for record in written for message in record["prompt"] + record["completion"]]
    texts += [answer for _, answer in others]
    (folder / "tokenizer.txt").write_text("\n".join(texts) + "\n")
    # Half of what it learns is the plain answer. Some are shown again to say how well the answers are known by now.
    learned = [demonstration(*pair) for pair in plain + plain + others]
    known = [demonstration(*pair, split="validation") for pair in plain[::8]]
    lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in learned + known]
    (folder / "answers.jsonl").write_text("".join(lines))
    print(f"{len(plain)} questions, {len(learned)} answers to learn")


if __name__ == "__main__":
    main()
