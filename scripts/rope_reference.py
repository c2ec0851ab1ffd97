"""Writes trainer/tests/golden_files/models/llama-rope-*: what transformers computes with scaled rotary positions.

    python -m venv /tmp/reference && /tmp/reference/bin/pip install torch transformers
    /tmp/reference/bin/python scripts/rope_reference.py

Tiny Llamas of random weights, seeded, in float32 on the CPU; sequences that reach far beyond the context that the scaling starts
from. `llama-rope-llama3` has its settings where transformers 5 writes them (`rope_parameters`), `llama-rope-linear` where 4 and
earlier did (`rope_theta`, `rope_scaling` with `type`). The files are those of the other golden models.
"""

import json
import pathlib

import torch
from transformers import LlamaConfig, LlamaForCausalLM

OUT = pathlib.Path(__file__).resolve().parent.parent / "trainer/tests/golden_files/models"
# The context before scaling, and how far it is stretched.
ORIGINAL, FACTOR = 32, 4.0
LENGTHS = [112, 40, 9]
SCALINGS = {
    "llama-rope-linear": {"rope_type": "linear", "factor": FACTOR},
    # Of the wavelengths 2π·10^(k/2), k = 0 … 7, one is below 32/4 and stays, one lies on the ramp up to 32/1, six are stretched.
    "llama-rope-llama3": {"rope_type": "llama3", "factor": FACTOR, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                          "original_max_position_embeddings": ORIGINAL},
}


def config(scaling):
    return LlamaConfig(
        vocab_size=48, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, max_position_embeddings=int(ORIGINAL * FACTOR), tie_word_embeddings=True,
        bos_token_id=1, eos_token_id=2, pad_token_id=0, rope_parameters={"rope_theta": 10_000.0, **scaling})


def older_form(directory):
    """`config.json` as transformers 4 wrote it."""
    path = directory / "config.json"
    fields = json.loads(path.read_text())
    scaling = fields.pop("rope_parameters")
    fields["rope_theta"] = scaling.pop("rope_theta")
    fields["rope_scaling"] = {"type": scaling.pop("rope_type"), **scaling}
    path.write_text(json.dumps(fields, indent=2, sort_keys=True) + "\n")


@torch.no_grad()
def row(model, ids):
    ids = torch.tensor([ids])
    logits = model(ids).logits
    logprobs = logits[:, :-1].double().log_softmax(-1).gather(2, ids[:, 1:, None])[0, :, 0]
    # By hand: what ends a text goes on here.
    longer, greedy = ids, []
    for _ in range(8):
        greedy.append(model(longer).logits[0, -1].argmax().item())
        longer = torch.cat([longer, torch.tensor([[greedy[-1]]])], 1)
    return {"input_ids": ids[0].tolist(), "last_logits": [round(value, 6) for value in logits[0, -1].tolist()],
            "token_logprobs": [round(value, 6) for value in logprobs.tolist()], "greedy_8": greedy}


@torch.no_grad()
def main():
    for number, (name, scaling) in enumerate(SCALINGS.items()):
        torch.manual_seed(20 + number)
        model = LlamaForCausalLM(config(scaling)).eval()
        # As if it had learned something: attention that looks at some positions and not at others.
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.4)
        directory = OUT / name
        model.save_pretrained(directory)
        if scaling["rope_type"] == "linear":
            older_form(directory)
        model = LlamaForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
        plain = LlamaForCausalLM(config({"rope_type": "default"})).eval()
        plain.load_state_dict(model.state_dict())
        rows = [row(model, torch.randint(3, 48, (length,)).tolist()) for length in LENGTHS]
        (directory / "expected.json").write_text(json.dumps({"rows": rows}) + "\n")
        ids = torch.tensor([rows[0]["input_ids"]])
        difference = (model(ids).logits - plain(ids).logits).abs().max().item()
        print(f"{name}: logits differ by up to {difference:.3f} from those without scaling")
        assert difference > 0.1, "the scaling has to matter"


if __name__ == "__main__":
    main()
