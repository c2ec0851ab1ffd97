"""Prints the numbers that the tests of trainer/src/rlhf/{reward,ratings}.rs and trainer/src/evaluate/report.rs expect.

    python3 scripts/reward_reference.py

PyTorch in double precision: values of the losses and what autograd gives for the scores.
"""

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid, mse_loss

torch.set_default_dtype(torch.float64)
torch.set_printoptions(precision=12)


def pairs(ranks, margin, scale):
    """(better, worse, margin): Llama 2 (Touvron et al. 2023, eq. 2), the margin a multiple of how far apart the answers are."""
    found = [(i, j) for i in range(len(ranks)) for j in range(len(ranks)) if ranks[i] < ranks[j]]
    return [(i, j, scale * (ranks[j] - ranks[i] if margin is None else margin)) for i, j in found]


def told(name, loss, scores):
    (gradient,) = torch.autograd.grad(loss, scores)
    print(name, f"{loss.item():.12f}", [round(one, 12) for one in gradient.tolist()])


RANKINGS = [([2, 1, 2, 4], None), ([1, 2], 3.0)]
for smoothing in (0.0, 0.1):
    scores = torch.tensor([0.3, -1.0, 2.0, 0.1, 0.4, -0.2], requires_grad=True)
    prompts, offset = [], 0
    for ranks, margin in RANKINGS:
        d = torch.stack([scores[offset + i] - scores[offset + j] - m for i, j, m in pairs(ranks, margin, 0.3)])
        prompts.append(binary_cross_entropy_with_logits(d, torch.full_like(d, 1 - smoothing)))
        offset += len(ranks)
    told(f"margin 0.3, smoothing {smoothing}:", sum(prompts) / len(prompts), scores)

RATINGS = [[2.0, None, 6.0], [None, None], [4.0]]
flat = torch.tensor([rating for row in RATINGS for rating in row if rating is not None])
scores = torch.tensor([0.3, -1.0, 2.0, 5.0, -5.0, 0.4], requires_grad=True)
prompts, offset = [], 0
for row in RATINGS:
    places = [offset + at for at, rating in enumerate(row) if rating is not None]
    if places:
        target = (torch.tensor([rating for rating in row if rating is not None]) - flat.mean()) / flat.std()
        prompts.append(mse_loss(scores[places], target))
    offset += len(row)
told("ratings:", sum(prompts) / len(RATINGS), scores)

# The held-out report: six pairs, scores of the better and of the worse answer.
better = torch.tensor([2.0, 0.5, -1.0, 3.0, 0.1, 0.0])
worse = torch.tensor([0.0, 1.0, -1.5, 0.0, 0.4, -4.0])
d = better - worse
p = torch.sigmoid(d.abs())
bins = ((p - 0.5) / 0.05).floor().clamp(max=9).long()
error = sum(
    (bins == bin).sum() / len(p) * (p[bins == bin].mean() - (d[bins == bin] > 0).double().mean()).abs()
    for bin in bins.unique()
)
print("report: accuracy", (d > 0).double().mean().item(), "log-loss", -logsigmoid(d).mean().item(), "ECE", error.item())
rewards, lengths = torch.cat([better, worse]), torch.tensor([9.0, 3, 4, 12, 5, 6, 4, 7, 4, 2, 8, 1])
print("report: correlation", torch.corrcoef(torch.stack([rewards, lengths]))[0, 1].item())
