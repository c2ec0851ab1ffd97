"""Adapters that `peft` wrote, with what they give; and what `peft` makes of adapters that laurel-trainer wrote.

    python3 scripts/adapter_reference.py make trainer/tests/adapters_files    # needs torch, transformers, peft
    python3 scripts/adapter_reference.py check ADAPTER LINES                  # ADAPTER names its base; LINES: {"input_ids": […]}

`make` writes what trainer/tests/adapters.rs reads. `check` prints, a line of LINES each, what `peft` and `transformers` compute:
the last logits of a language model, or the score of a reward model, as laurel-trainer's `logprobs` and `score` print them.
"""

import json
import os
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

IDS = [[3, 17, 4, 9, 11, 2], [5, 5, 8, 1]]


def numbers(tensor):
    return [round(value, 6) for value in tensor.flatten().tolist()]


def outputs(model, is_reward):
    """Logits of every position, or the score at the last token."""
    model.eval()
    with torch.no_grad():
        return [numbers(model(input_ids=torch.tensor([ids])).logits) for ids in IDS]


def stir(model):
    """As after learning: B is not zero any more."""
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)


def make(out):
    torch.manual_seed(5)
    llama = dict(
        vocab_size=20, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=16, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        tie_word_embeddings=True,
    )
    gpt2 = dict(vocab_size=20, n_embd=8, n_layer=2, n_head=2, n_positions=16, bos_token_id=1, eos_token_id=2)
    bases = {
        "llama": LlamaForCausalLM(LlamaConfig(**llama)),
        "gpt2": GPT2LMHeadModel(GPT2Config(**gpt2)),
    }
    for name, model in bases.items():
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.mul_(10.0)
        model.save_pretrained(f"{out}/{name}")
    cases = {
        "llama-attention": ("llama", dict(r=2, lora_alpha=4, target_modules=["q_proj", "v_proj"])),
        "llama-all": ("llama", dict(r=4, lora_alpha=8, target_modules="all-linear", use_rslora=True)),
        "llama-patterns": (
            "llama",
            dict(
                r=2, lora_alpha=2, target_modules=["o_proj", "down_proj"], layers_to_transform=[1],
                rank_pattern={"o_proj": 3}, alpha_pattern={"down_proj": 6},
            ),
        ),
        "gpt2-all": ("gpt2", dict(r=2, lora_alpha=6, target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True)),
        "llama-reward": ("llama", dict(r=2, lora_alpha=4, target_modules=["q_proj", "up_proj"], task_type="SEQ_CLS")),
    }
    expected = {"input_ids": IDS, "outputs": {}}
    for name, (base, settings) in cases.items():
        reward = settings.get("task_type") == "SEQ_CLS"
        kind = AutoModelForSequenceClassification if reward else AutoModelForCausalLM
        model = kind.from_pretrained(f"{out}/{base}", dtype=torch.float32, **({"num_labels": 1} if reward else {}))
        model = get_peft_model(model, LoraConfig(**{"task_type": "CAUSAL_LM", **settings}))
        stir(model)
        model.peft_config["default"].base_model_name_or_path = f"../{base}"
        model.save_pretrained(f"{out}/{name}")
        os.remove(f"{out}/{name}/README.md")
        expected["outputs"][name] = outputs(model, reward)
    with open(f"{out}/expected.json", "w") as file:
        json.dump(expected, file)
        file.write("\n")


def check(adapter, lines):
    with open(f"{adapter}/adapter_config.json") as file:
        config = json.load(file)
    reward = config["task_type"] == "SEQ_CLS"
    kind = AutoModelForSequenceClassification if reward else AutoModelForCausalLM
    base = kind.from_pretrained(
        config["base_model_name_or_path"], dtype=torch.float32, **({"num_labels": 1} if reward else {})
    )
    model = PeftModel.from_pretrained(base, adapter).eval()
    for line in open(lines):
        ids = torch.tensor([json.loads(line)["input_ids"]])
        with torch.no_grad():
            logits = model(input_ids=ids).logits
        found = {"reward": logits.item()} if reward else {"last_logits": logits[0, -1].tolist()}
        print(json.dumps(found))


if __name__ == "__main__":
    make(sys.argv[2]) if sys.argv[1] == "make" else check(*sys.argv[2:])
