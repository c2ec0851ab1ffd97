"""Writes trainer/tests/golden_files/numerics/*-extremes.json: cases at the edge of what the arithmetic is defined for.

    python3 scripts/golden_reference.py        (needs PyTorch)

Straight from the definitions, in double precision and with loops: nothing here is taken from the trainer. null stands where a
value is not defined. `case` says what is extreme; numbers are written with and without a point, as generators do.
"""

import json
import math
from collections import Counter
from pathlib import Path

import torch
from torch.nn.functional import log_softmax, logsigmoid

FOLDER = Path(__file__).parent.parent / "trainer/tests/golden_files/numerics"
torch.set_default_dtype(torch.float64)
torch.manual_seed(11)


def noise(*shape):
    """Normal numbers of four places, so that a file says them exactly."""
    return (torch.randn(*shape) * 1e4).round() / 1e4


def plain(value):
    """What JSON can hold of it: null for NaN."""
    if isinstance(value, torch.Tensor):
        value = value.detach().tolist()
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, float):
        return None if math.isnan(value) else float(f"{value:.12g}")
    return value


def mean(numbers):
    return sum(numbers) / len(numbers) if numbers else math.nan


def write(kind, cases):
    lines = [json.dumps({name: plain(value) for name, value in case.items()}) for case in cases]
    (FOLDER / f"{kind}-extremes.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


def sft(case, mask, vocabulary=5, scale=1):
    rows, length = len(mask), len(mask[0])
    logits, ids = noise(rows, length, vocabulary) * scale, torch.randint(vocabulary, (rows, length))
    learnt = [(row, t) for row in range(rows) for t in range(1, length) if mask[row][t]]
    losses = [-log_softmax(logits[row, t - 1], 0)[ids[row, t]].item() for row, t in learnt]
    batch = {"logits": logits.flatten(), "input_ids": ids, "completion_mask": mask}
    return {"case": case, "shape": [rows, length, vocabulary], **batch, "loss": mean(losses)}


def reward(case, ranks, scores):
    scores = torch.as_tensor(scores, dtype=torch.float64)
    pairs = [(i, j) for i in range(len(ranks)) for j in range(len(ranks)) if ranks[i] < ranks[j]]
    losses = [-logsigmoid(scores[i] - scores[j]).item() for i, j in pairs]
    right = [scores[i].item() > scores[j].item() for i, j in pairs]
    found = {"pairs": pairs, "loss": mean(losses), "accuracy": mean(right)}
    return {"case": case, "ranks": ranks, "scores": scores, **found}


def advantages(rewards, values, mask, gamma, lam):
    """Right to left; after the last real token there is nothing."""
    out = torch.zeros_like(rewards)
    for row in range(len(rewards)):
        next_value = next_advantage = 0.0
        for t in reversed([t for t in range(rewards.shape[1]) if mask[row, t]]):
            error = rewards[row, t] + gamma * next_value - values[row, t]
            next_advantage = out[row, t] = error + gamma * lam * next_advantage
            next_value = values[row, t]
    return out


def ppo(case, lengths, width, kl_coef=0.05, gamma=1, lam=0.95, score=None, values=None, apart=None):
    """`apart`: the new log-probabilities less the old ones."""
    rows, clip, vf_coef = len(lengths), 0.2, 0.1
    mask = torch.tensor([[float(t < length) for t in range(width)] for length in lengths])
    old, reference = -2 + noise(rows, width) / 2, -2 + noise(rows, width) / 2
    new = (old + (noise(rows, width) / 3 if apart is None else apart)).requires_grad_()
    score = noise(rows) if score is None else torch.as_tensor(score, dtype=torch.float64)
    values_old = (noise(rows, width) if values is None else torch.as_tensor(values)) * mask
    values_new = (values_old + noise(rows, width) / 2).requires_grad_()
    rewards = -kl_coef * (old - reference) * mask
    for row, length in enumerate(lengths):
        if length:
            rewards[row, length - 1] += score[row]
    gains = advantages(rewards, values_old, mask, gamma, lam)
    returns, real = gains + values_old, mask > 0
    of_real = gains[real]
    variance = of_real.var() if len(of_real) > 1 else torch.tensor(math.nan)
    whitened = torch.zeros_like(gains)
    whitened[real] = (of_real - of_real.mean()) / (variance + 1e-8).sqrt()
    log_ratio, gain = (new - old)[real], whitened[real]
    ratio = log_ratio.exp()
    policy_loss = torch.max(-gain * ratio, -gain * ratio.clamp(1 - clip, 1 + clip)).mean()
    value, before, aim = values_new[real], values_old[real], returns[real]
    near = before + (value - before).clamp(-clip, clip)
    value_loss = torch.max((value - aim) ** 2, (near - aim) ** 2).mean() / 2
    total = policy_loss + vf_coef * value_loss
    of_logprobs, of_values = torch.autograd.grad(total, [new, values_new])
    clips = {"cliprange": clip, "cliprange_value": clip}
    numbers = {"kl_coef": kl_coef, "gamma": gamma, "lam": lam, "vf_coef": vf_coef, **clips}
    found = {
        "kl_penalised_rewards": rewards, "advantages": gains, "returns": returns, "whitened_advantages": whitened,
        "policy_loss": policy_loss, "value_loss": value_loss, "total_loss": total,
        "clipfrac": ((ratio - 1).abs() > clip).double().mean(),
        "approx_kl_k1": -log_ratio.mean(), "approx_kl_k3": (ratio - 1 - log_ratio).mean(),
        "grad_logprobs": of_logprobs, "grad_values": of_values,
    }
    given = {
        "mask": mask, "logprobs_new": new, "logprobs_old": old, "logprobs_ref": reference, "score": score,
        "values_old": values_old, "values_new": values_new,
    }
    return {"case": case, "shape": [rows, width], **numbers, **given, **found}


def remove_lowest(weight, scores, share):
    """Zero where the scores are lowest, exactly that share rounded down; of equal ones the first."""
    order = sorted(range(scores.numel()), key=lambda place: (scores.flatten()[place].item(), place))
    out = weight.clone().flatten()
    out[order[: math.floor(scores.numel() * share + 1e-9)]] = 0
    return out.reshape(weight.shape)


def sparsegpt(weight, inputs, share, block, damping):
    weight, hessian = weight.clone(), 2 * inputs.T @ inputs / len(inputs)
    dead = hessian.diag() == 0
    hessian[dead, dead] = 1
    weight[:, dead] = 0
    hessian += damping * hessian.diag().mean() * torch.eye(len(hessian))
    upper = torch.linalg.cholesky(torch.linalg.inv(hessian), upper=True)
    for start in range(0, len(hessian), block):
        columns = range(start, min(start + block, len(hessian)))
        scores = weight[:, columns] ** 2 / upper.diag()[columns] ** 2
        stays = remove_lowest(torch.ones_like(scores), scores, share) > 0
        for place, j in enumerate(columns):
            error = torch.where(stays[:, place], 0.0, weight[:, j] / upper[j, j])
            weight[:, j] *= stays[:, place]
            weight[:, j + 1 :] -= error[:, None] * upper[j, j + 1 :]
    return weight


def compression(case, weight, inputs, block=4, shares=(50,)):
    scale = weight.abs().amax(1) / 127
    levels = (weight / torch.where(scale > 0, scale, 1)[:, None]).round()
    results = {"int8": levels * scale[:, None]}
    for share in shares:
        wanda = [remove_lowest(row, row.abs() * inputs.norm(dim=0), share / 100) for row in weight]
        results[f"magnitude_{share}"] = remove_lowest(weight, weight.abs(), share / 100)
        results[f"wanda_{share}"] = torch.stack(wanda)
        results[f"sparsegpt_{share}_block{block}_damp1pct"] = sparsegpt(weight, inputs, share / 100, block, 0.01)
    errors = {name: ((weight - result) @ inputs.T).square().sum() for name, result in results.items()}
    results["int8"] = levels.int()
    sizes = {"out_features": len(weight), "in_features": len(weight[0]), "samples": len(inputs)}
    out = {"case": case, **sizes, "weight": weight, "inputs": inputs, "int8_scale": scale, **results}
    return {**out, "squared_output_error": {name: plain(error) for name, error in errors.items()}}


def bradley_terry(case, wins, defined=True):
    """By minorisation and maximisation (Hunter 2004)."""
    others = [[j for j in range(len(wins)) if j != i] for i in range(len(wins))]
    strengths = [1.0] * len(wins)
    for _ in range(20_000 if defined and len(wins) > 1 else 0):
        for i, met in enumerate(others):
            games = sum((wins[i][j] + wins[j][i]) / (strengths[i] + strengths[j]) for j in met)
            strengths[i] = sum(wins[i][j] for j in met) / games
    logs = [math.log(strength) for strength in strengths]
    scores = [one - sum(logs) / len(logs) for one in logs]
    return {"case": case, "wins": wins, "scores": scores if defined else None}


def krippendorff(case, units, ordinal):
    labelled = [[label for label in unit if label is not None] for unit in units]
    pairs = Counter()
    for unit in labelled:
        for a, one in enumerate(unit):
            for b, other in enumerate(unit):
                if a != b:
                    pairs[float(one), float(other)] += 1 / (len(unit) - 1)
    totals = Counter()
    for (one, _), count in pairs.items():
        totals[one] += count

    def apart(one, other):
        if not ordinal:
            return float(one != other)
        between = sum(totals[grade] for grade in totals if min(one, other) <= grade <= max(one, other))
        return (between - (totals[one] + totals[other]) / 2) ** 2

    observed = sum(count * apart(*pair) for pair, count in pairs.items())
    expected = sum(totals[one] * totals[other] * apart(one, other) for one in totals for other in totals)
    alpha = 1 - (sum(totals.values()) - 1) * observed / expected if expected else math.nan
    return {"case": case, "units": units, "alpha": alpha}


def with_column(inputs, column, value):
    inputs[:, column] = value
    return inputs


write("sft_completion_loss", [
    sft("one token, at the end", [[0, 0, 0, 1], [0, 0, 0, 0]]),
    sft("a prompt of one token", [[0, 1, 1]]),
    sft("no prompt: the first token is not learnt", [[1, 1, 1]]),
    sft("a vocabulary of one", [[0, 1]], vocabulary=1),
    sft("logits in the ten thousands", [[0, 1, 1]], scale=1e4),
    sft("nothing to learn", [[0, 0, 0]]),
    sft("nothing but a first token", [[1]]),
])
write("reward_kwise_loss", [
    reward("one answer", [1], noise(1)),
    reward("all tied", [1, 1, 1], noise(3)),
    reward("nine answers with ties", [6, 1, 3, 3, 3, 1, 6, 9, 8], noise(9)),
    reward("equal scores", [2, 1, 3], [1, 1, 1]),
    reward("scores far apart", [1, 2, 3], [-10000, 0, 10000]),
])
write("ppo", [
    ppo("rows of one token", [1, 1, 1], 3),
    ppo("one token alone", [1], 2),
    ppo("a row without a token", [0, 3, 2], 3),
    ppo("advantages all zero", [3, 2], 3, kl_coef=0, score=[0, 0], values=[[0.0] * 3] * 2),
    ppo("equal advantages off their mean in single precision", [1] * 7, 1, 0, score=[22.24] * 7, values=[[0.0]] * 7),
    ppo("the policy that sampled", [3, 2], 3, apart=0.0),
    ppo("a policy far from the one that sampled", [3, 2], 3, apart=torch.tensor([[8.0, -8, 5], [-9, 6, 0]])),
    ppo("neither discount nor tail", [3, 2], 3, gamma=0, lam=0),
    ppo("scores and values in the hundreds", [3, 3], 3, score=[900, -900], values=noise(2, 3) * 100),
])
write("compression", [
    compression("one weight", noise(1, 1), noise(3, 1)),
    compression("odd sizes, a last block that is narrower", noise(3, 7), noise(16, 7), block=3),
    compression("a block wider than the layer", noise(3, 5), noise(12, 5), block=128),
    compression("fewer samples than inputs", noise(3, 6), noise(2, 6)),
    compression("a row of zeros", torch.stack([noise(5), torch.zeros(5)]), noise(9, 5)),
    compression("an input that never varies", noise(3, 5), with_column(noise(9, 5), 2, 3.0)),
    compression("inputs that are always zero", noise(3, 5), with_column(noise(9, 5), slice(1, 4), 0.0)),
    compression("equal weights", torch.ones(2, 6), noise(9, 6)),
    compression("halves of a level", torch.tensor([[127, 0.5, 1.5, -2.5, 3.5]]), noise(9, 5)),
    compression("nothing, little and everything removed", noise(3, 6), noise(9, 6), shares=(0, 25, 100)),
])
write("bradley_terry", [
    bradley_terry("one competitor", [[0]]),
    bradley_terry("never compared", [[0, 1, 0], [2, 0, 0], [0, 0, 0]], defined=False),
    bradley_terry("two groups", [[0, 1, 0, 0], [2, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], defined=False),
    bradley_terry("never beaten", [[0, 5, 5], [0, 0, 1], [0, 2, 0]], defined=False),
    bradley_terry("a ring of single wins", [[0, 1, 0], [0, 0, 1], [1, 0, 0]]),
    bradley_terry("ties as half wins", [[0, 0.5, 1.5], [0.5, 0, 2.5], [0.25, 1, 0]]),
    bradley_terry("counts of unequal size", [[0, 1000000, 3], [999995, 0, 0], [2, 0, 0]]),
])
for name in ("nominal", "ordinal"):
    write(f"krippendorff_alpha_{name}", [
        krippendorff(case, units, name == "ordinal")
        for case, units in [
            ("an annotator who labelled nothing", [[1, 2, None], [2, 2, None], [3, 1, None], [3, 3, None]]),
            ("one label alone", [[1, 1], [1, 1, None]]),
            ("nobody labelled what another did", [[None, 1], [2, None], []]),
            ("one unit", [[0, 1, 1]]),
            ("full agreement", [[0, 0], [1, 1], [2, 2]]),
            ("numbers with and without a point", [[1, 1.0], [2, 2.0], [1.0, 2]]),
            ("half grades", [[1.5, 2], [2, 2], [1.5, 3], [3, 3]]),
            ("no unit", []),
        ]
    ])
