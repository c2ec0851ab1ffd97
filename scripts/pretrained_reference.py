"""Writes trainer/tests/pretrained_files/smollm2.json: what transformers computes with the sample model.

    make sample-data
    python -m venv /tmp/reference && /tmp/reference/bin/pip install torch transformers gguf accelerate
    /tmp/reference/bin/python scripts/pretrained_reference.py

The weights come from the GGUF file, read by transformers itself, in float32 on the CPU. For each prompt: the token ids of
the conversation under the model's chat template, the log-probability of every token given those before it, and the
tokens that follow when the likeliest is taken each time. `texts` are plain texts and their token ids.
"""

import json
import os
import pathlib

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
import transformers

ROOT = pathlib.Path(__file__).parent.parent
DATA = pathlib.Path(os.environ.get("LAUREL_SAMPLE_DATA", ROOT / "data/sample-data"))
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
OUT = ROOT / "trainer/tests/pretrained_files/smollm2.json"
NEW_TOKENS = 24

CONVERSATIONS = [
    [{"role": "user", "content": "What is the capital of France?"}],
    [{"role": "user", "content": "Write one sentence about the sea in 1,234 words or less."}],
    [{"role": "user", "content": "请用一句话介绍北京。"}],
    [
        {"role": "system", "content": "You answer in one short, warm sentence."},
        {"role": "user", "content": "I passed my exam!"},
        {"role": "assistant", "content": "How wonderful, congratulations!"},
        {"role": "user", "content": "谢谢！ What should I do to celebrate?"},
    ],
]
TEXTS = [
    "Hello, world!",
    "In 1984 there were 3,650 of them; I'll say it's 12.5% more.",
    "  two spaces,\n\na blank line\tand a tab ",
    "你好，世界！今天天气怎么样？",
    "naïve café — 😀 👩‍👩‍👧 ok",
    "def f(x):\n    return x**2  # comment",
    "<|im_start|>user\nhi<|im_end|>\n",
]


@torch.no_grad()
def reference(model, tokenizer, messages):
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    logits = model(ids).logits.double()
    logprobs = logits[:, :-1].log_softmax(-1).gather(2, ids[:, 1:, None])[0, :, 0]
    generated = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW_TOKENS, do_sample=False, num_beams=1,
        temperature=None, top_p=None, top_k=None, repetition_penalty=1.0, pad_token_id=2, eos_token_id=2,
    )[0, ids.shape[1]:].tolist()
    top = logits[0, -1].topk(5)
    return {
        "messages": messages,
        "prompt": text,
        "input_ids": ids[0].tolist(),
        "token_logprobs": [round(x, 6) for x in logprobs.tolist()],
        "top_ids": top.indices.tolist(),
        "top_logits": [round(x, 5) for x in top.values.tolist()],
        "greedy": generated,
        "greedy_text": tokenizer.decode(generated, skip_special_tokens=True),
    }


def main():
    torch.set_num_threads(2)
    tokenizer = AutoTokenizer.from_pretrained(DATA, gguf_file=FILE)
    model = AutoModelForCausalLM.from_pretrained(DATA, gguf_file=FILE, dtype=torch.float32).eval()
    result = {
        "model": FILE,
        "made_by": f"transformers {transformers.__version__}, torch {torch.__version__}",
        "texts": [{"text": text, "ids": tokenizer(text, add_special_tokens=False).input_ids} for text in TEXTS],
        "conversations": [reference(model, tokenizer, messages) for messages in CONVERSATIONS],
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    for one in result["conversations"]:
        print(len(one["input_ids"]), repr(one["greedy_text"]))


if __name__ == "__main__":
    main()
