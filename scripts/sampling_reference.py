"""Writes trainer/tests/sampling.json: the laws that tokens are drawn from, for given logits and settings.

    python3 scripts/sampling_reference.py

Straight from the definitions, in the order in which transformers applies them and with its rules at the edges: divide by
the temperature; keep the logits that are no smaller than the k-th largest (ties stay); sort what is left ascending and
remove the tokens whose cumulated probability is at most 1 - p, but never the last.
"""

import json
import math
import pathlib

OUT = pathlib.Path(__file__).parent.parent / "trainer/tests/sampling.json"

LOGITS = [
    [1.0, 2.0, 0.5, -1.0, 3.0, 2.5],
    [0.0, 0.0, 0.0, 0.0],
    [10.0, -10.0, 9.0, 0.0, 9.5],
    [-0.3, 4.1, 4.1, 2.2, -7.0, 1.1, 0.9],
]
SETTINGS = [(1.0, 0, 1.0), (0.7, 0, 1.0), (1.5, 3, 1.0), (1.0, 2, 1.0), (1.0, 0, 0.9), (1.0, 0, 0.5), (0.8, 4, 0.8), (1.0, 1, 1.0), (2.0, 0, 0.05)]


def softmax(values):
    largest = max(values)
    weights = [math.exp(value - largest) for value in values]
    return [weight / math.fsum(weights) for weight in weights]


def law(logits, temperature, top_k, top_p):
    scores = [logit / temperature for logit in logits]
    if top_k > 0:
        bound = sorted(scores, reverse=True)[min(top_k, len(scores)) - 1]
        scores = [score if score >= bound else -math.inf for score in scores]
    if top_p < 1.0:
        ascending = sorted(range(len(scores)), key=lambda i: (scores[i], -i))
        probabilities = softmax(scores)
        below = 0.0
        for i in ascending[:-1]:
            below += probabilities[i]
            if below <= 1.0 - top_p:
                scores[i] = -math.inf
    return softmax(scores)


def main():
    cases = [
        {"logits": logits, "temperature": t, "top_k": k, "top_p": p, "probabilities": law(logits, t, k, p)}
        for logits in LOGITS
        for t, k, p in SETTINGS
    ]
    OUT.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main()
