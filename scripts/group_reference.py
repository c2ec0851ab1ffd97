"""Prints the numbers that the tests of trainer/src/rlhf/{dpo,group}.rs expect.

    python3 scripts/group_reference.py

Straight from the formulas of TRL's trainers (RLOOTrainer and GRPOTrainer: `coef_1`, `coef_2`, `per_token_loss`, `loss_type`;
DPOTrainer: `sigmoid` with `label_smoothing`), one number at a time in double precision. Gradients are central differences.
"""

import math

NEW = [[-1.0, -0.5, -2.0], [-0.7, -1.2]]
OLD = [[-1.1, -0.9, -1.9], [-0.6, -1.6]]
REFERENCE = [[-1.3, -0.6, -1.5], [-0.9, -1.0]]
ADVANTAGES = [0.8, -1.5]
CLIP, BETA = 0.2, 0.04


def surrogate(ratio, advantage):
    held = min(max(ratio, 1 - CLIP), 1 + CLIP)
    return -min(ratio * advantage, held * advantage)


def rloo(new):
    ratios = [math.exp(sum(new_row) - sum(old_row)) for new_row, old_row in zip(new, OLD)]
    return sum(surrogate(ratio, advantage) for ratio, advantage in zip(ratios, ADVANTAGES)) / len(ratios)


def grpo(new, loss_type):
    rows = []
    for new_row, old_row, reference_row, advantage in zip(new, OLD, REFERENCE, ADVANTAGES):
        row = []
        for logp, old, reference in zip(new_row, old_row, reference_row):
            kl = math.exp(reference - logp) - (reference - logp) - 1
            row.append(surrogate(math.exp(logp - old), advantage) + BETA * kl)
        rows.append(row)
    if loss_type == "grpo":
        return sum(sum(row) / len(row) for row in rows) / len(rows)
    if loss_type == "dapo":
        return sum(map(sum, rows)) / sum(map(len, rows))
    return sum(map(sum, rows)) / (len(rows) * 3)  # dr_grpo, max_completion_length = 3


def dpo(policy, reference, beta, smoothing):
    """Mean over pairs; `policy`, `reference`: (chosen, rejected) log-probabilities of each pair."""
    losses = []
    for (chosen, rejected), (reference_chosen, reference_rejected) in zip(policy, reference):
        delta = beta * ((chosen - rejected) - (reference_chosen - reference_rejected))
        losses.append(
            -math.log(1 / (1 + math.exp(-delta))) * (1 - smoothing) - math.log(1 / (1 + math.exp(delta))) * smoothing
        )
    return sum(losses) / len(losses)


def gradient(loss, rows):
    step, found = 1e-6, []
    for i, row in enumerate(rows):
        for j in range(len(row)):
            up = [list(row) for row in rows]
            down = [list(row) for row in rows]
            up[i][j] += step
            down[i][j] -= step
            found.append(round((loss(up) - loss(down)) / (2 * step), 9))
    return found


print("rloo", rloo(NEW), gradient(rloo, NEW))
for loss_type in ("grpo", "dapo", "dr_grpo"):
    loss = lambda new: grpo(new, loss_type)
    print(loss_type, loss(NEW), gradient(loss, NEW))
POLICY, REFERENCES = [[-9.0, -12.0], [-7.5, -4.0]], [[-10.0, -11.0], [-7.0, -5.0]]
for smoothing in (0.0, 0.1):
    loss = lambda rows: dpo(rows, REFERENCES, 0.3, smoothing)
    print("dpo", smoothing, loss(POLICY), gradient(loss, POLICY))
