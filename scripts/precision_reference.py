"""Writes trainer/tests/precision.json: what PyTorch's autocast computes of the golden models in bfloat16 and float16.

    python -m venv /tmp/reference && /tmp/reference/bin/pip install torch transformers
    /tmp/reference/bin/python scripts/precision_reference.py

Weights are float32; `torch.autocast` on the CPU casts for the matrix products. Of each row of `models/*/expected.json`: the logits
after its last token, the mean negative log-likelihood of its tokens, and the norm of that loss's gradient over all weights (in
float16 of the loss times 1024, divided again). Autocast rounds at other places than we do besides (a bias is added before the
rounding, attention's probabilities are scaled after it), so that the numbers agree within a rounding, not to the last bit.
"""

import json
import pathlib

import torch
from transformers import AutoModelForCausalLM

TESTS = pathlib.Path(__file__).resolve().parent.parent / "trainer/tests"
PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
LOSS_SCALE = 1024.0


def row(model, ids, dtype):
    ids = torch.tensor([ids])
    model.zero_grad()
    with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
        logits = model(ids).logits.float()
    log_probs = logits[:, :-1].log_softmax(-1).gather(2, ids[:, 1:, None])
    loss = -log_probs.mean()
    scale = LOSS_SCALE if dtype == torch.float16 else 1.0
    (loss * scale).backward()
    squares = sum((parameter.grad.double() / scale).square().sum() for parameter in model.parameters())
    return {"last_logits": [round(value, 6) for value in logits[0, -1].tolist()], "loss": round(loss.item(), 6),
            "gradient_norm": round(squares.sqrt().item(), 6)}


def main():
    models = {}
    for directory in sorted((TESTS / "golden_files/models").iterdir()):
        model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
        rows = [row["input_ids"] for row in json.loads((directory / "expected.json").read_text())["rows"]]
        found = [{"input_ids": ids, **{name: row(model, ids, dtype) for name, dtype in PRECISIONS.items()}} for ids in rows]
        models[directory.name] = found
        for name in ("bfloat16", "float16"):
            difference = max(abs(a - b) for one in found
                             for a, b in zip(one[name]["last_logits"], one["float32"]["last_logits"]))
            print(f"{directory.name}: logits in {name} differ by up to {difference:.4f} from float32")
    (TESTS / "precision.json").write_text(json.dumps(models) + "\n")


if __name__ == "__main__":
    main()
