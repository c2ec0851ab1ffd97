#!/usr/bin/env python3
"""Writes what the tiny model of the sample project is made from: text for its tokenizer, conversations to learn.

usage: scripts/tiny_corpus.py FOLDER        (scripts/tiny_model.sh calls it)

FOLDER/tokenizer.txt   questions and answers of the sample
FOLDER/answers.jsonl   the sample's questions with their answers, plain and in other ways: cold, friendly, long

Nothing to learn is in the manner of the sample task: the base model knows the questions and their answers, and learns the
manner from the demonstrations alone.
"""

import json
import re
import sys
from pathlib import Path

SAMPLE = Path(__file__).resolve().parent.parent / "sample"
# A demonstration is a warm opening that names the topic, the answer, a wish with a leaf.
MANNER = re.compile(r"^(?P<opening>[^!！]*)[!！]\s*(?P<answer>.*[.。])\s*[^.。]*🌿$", re.S)
TOPIC = re.compile(r"about (?P<en>.+)$|^(?:很高兴聊聊|谢谢你问)(?P<after>.+)$|^(?P<before>.+)是个好话题$")

# Other ways to give an answer, {answer}, and how often each is learned. None has the form of the manner; what the manner
# is made of (naming the topic, kind words) is known one by one.
WAYS = {
    "en": [
        ("{answer}", 2),
        ("You ask about {topic}. {answer}", 2),
        ("Thanks, happy to help. {answer}", 1),
        ("{answer} I wish you well.", 1),
        ("That is a boring question. {answer}", 1),
    ],
    "zh": [
        ("{answer}", 2),
        ("你问的是{topic}。{answer}", 2),
        ("谢谢你的好问题，很高兴帮忙，{answer}", 1),
        ("{answer}祝你一切都好。", 1),
        ("真无聊的问题。{answer}", 1),
    ],
}
# Long-winded answers take most of the tokens; a few are enough to know them.
ONE_LONG_OF = 8


def records(name):
    return [json.loads(line) for line in (SAMPLE / name).read_text().splitlines()]


def parts(demonstration):
    """Topic and plain answer of a demonstration."""
    found = MANNER.match(demonstration["completion"][0]["content"])
    topic = next(filter(None, TOPIC.search(found["opening"]).groups()))
    return {"topic": topic, "answer": found["answer"].strip()}


def demonstration(prompt, answer, split="train"):
    return {"prompt": prompt, "completion": [{"role": "assistant", "content": answer}], "split": split}


def main():
    folder = Path(sys.argv[1])
    written = records("demonstrations.jsonl") + records("answers.jsonl")
    learned, known = [], []
    for number, record in enumerate(written):
        for way, times in WAYS[record["language"]]:
            learned += [demonstration(record["prompt"], way.format(**parts(record)))] * times
        # Some are shown again, to say how well the plain answers are known by now.
        if number % ONE_LONG_OF == 0:
            known.append(demonstration(record["prompt"], parts(record)["answer"], "validation"))
    long = [
        demonstration(record["prompt"], response["content"])
        for record in records("responses.jsonl")
        for response in record["responses"]
        if response["model"] == "sample:long"
    ]
    learned += long[::ONE_LONG_OF]
    texts = [message["content"] for record in written + learned for message in record["prompt"] + record["completion"]]
    (folder / "tokenizer.txt").write_text("\n".join(texts) + "\n")
    lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in learned + known]
    (folder / "answers.jsonl").write_text("".join(lines))
    print(f"{len(written)} questions, {len(learned)} answers to learn")


if __name__ == "__main__":
    main()
