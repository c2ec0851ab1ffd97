"""Writes trainer/tests/chat_templates.json: what transformers makes of conversations by the chat templates of our models.

    python -m venv /tmp/reference && /tmp/reference/bin/pip install transformers jinja2
    /tmp/reference/bin/python scripts/chat_template_reference.py

For each template and conversation: the text without and with the generation prompt, the token ids of the conversation
whose last message is the assistant's, and the mask of that message, which transformers takes from the template's
`generation` block. A conversation that the template refuses has the words of the refusal instead. The tokenizer has a
token for each byte and the template's special tokens. The templates are written here after the formats of ChatML (with
SmolLM2's default system message), Qwen2, Llama 3, Zephyr and Mistral, with the constructs that theirs use.
"""

import json
import pathlib

import jinja2
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

OUT = pathlib.Path(__file__).parent.parent / "trainer/tests/chat_templates.json"

CHATML = """{%- if messages[0]['role'] != 'system' -%}
    {{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' -}}
{%- endif -%}
{%- for message in messages -%}
    {{- '<|im_start|>' + message['role'] + '\\n' -}}
    {%- if message['role'] == 'assistant' -%}
        {% generation %}{{- message['content'] + '<|im_end|>' -}}{% endgeneration %}
    {%- else -%}
        {{- message['content'] + '<|im_end|>' -}}
    {%- endif -%}
    {{- '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"""

# Statements on lines of their own: the whitespace rules do the work. Tools, as templates with tools ask for them.
QWEN2 = """{% if tools is defined and tools is not none and tools | length > 0 %}
<|im_start|>system
{{ tools | tojson(indent=2) }}<|im_end|>
{% endif %}
{% set ns = namespace(turns=0) %}
{% for message in messages %}
    {% if loop.first and message.role != 'system' %}
{{ '<|im_start|>system\\nYou are kind.<|im_end|>\\n' }}
    {%- endif %}
    {% if message.role == "user" or (message.role == "system" and loop.first) %}
        {% set ns.turns = ns.turns + 1 %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
{{- '<|im_start|>' + message.role + '\\n' }}
        {%- generation %}
{{- message.content.split('</think>')[-1].lstrip('\\n') + '<|im_end|>' }}
        {%- endgeneration %}
{{- '\\n' }}
    {%- else %}
        {%- continue %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- endif %}"""

LLAMA3 = """{{ bos_token }}{% set loop_messages = messages %}{% for message in loop_messages %}{% set header = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' %}{{ header }}{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] | trim }}{{ eos_token }}{% endgeneration %}{% else %}{{ message['content'] | trim + '<|eot_id|>' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"""

ZEPHYR = """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\n' }}{% generation %}{{ message['content'] + eos_token }}{% endgeneration %}

{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""

MISTRAL = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if (message["role"] == "user") != (loop.index0 % 2 == 0) %}
        {{- raise_exception("After the optional system message, conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {%- generation %}
        {{- " " + message["content"] + eos_token }}
        {%- endgeneration %}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported!") }}
    {%- endif %}
{%- endfor %}"""

# What templates print besides messages: JSON as Python writes it, text by Python's methods.
METHODS = """{% for message in messages %}{{ loop.index }}/{{ messages | length }} {{ message | tojson }} {{ message.content.strip().upper().startswith('A') }} {{ message.content.title() if message.role == 'user' else message['content'].replace('a', 'A') }}{{ message.get('name', ' nobody') }}
{% endfor %}{{ messages[-1].role is string }} {{ messages[:1] | map(attribute='role') | join(',') }}{{ unknown_token }}"""

TEMPLATES = {
    "chatml": (CHATML, ["<|im_start|>", "<|im_end|>"], {"eos_token": "<|im_end|>"}),
    "qwen2": (QWEN2, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], {"eos_token": "<|endoftext|>"}),
    "llama-3": (LLAMA3, ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"], {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}),
    "zephyr": (ZEPHYR, ["<s>", "</s>"], {"bos_token": "<s>", "eos_token": "</s>"}),
    "mistral": (MISTRAL, ["<s>", "</s>"], {"bos_token": "<s>", "eos_token": "</s>"}),
    "methods": (METHODS, ["</s>"], {"eos_token": "</s>"}),
}


def message(role, content):
    return {"role": role, "content": content}


CONVERSATIONS = [
    [message("user", "What is 2 + 2?"), message("assistant", "It is 4.")],
    [message("system", "Be brief."), message("user", "你好,茶怎么泡?"), message("assistant", "先烧水 🌿")],
    [message("user", "a"), message("assistant", "b <x> & 'y' \"z\""), message("user", "And\n\nnow?\n"), message("assistant", "Two\nlines")],
    [message("user", "  space around  "), message("assistant", "the end")],
    [message("user", "one"), message("user", "two"), message("assistant", "roles that do not alternate")],
]


def tokenizer(special, named, template):
    alphabet = {letter: index for index, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    inner = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(special)
    return inner, PreTrainedTokenizerFast(tokenizer_object=inner, chat_template=template, **named)


def last_run(mask):
    """The mask with only its last block of ones: the last answer is learned, earlier ones are conversation."""
    end = len(mask) - mask[::-1].index(1)
    start = end
    while start > 0 and mask[start - 1] == 1:
        start -= 1
    return [0] * start + [1] * (end - start)


def case(tokenizer, conversation):
    prompt = conversation[:-1]
    try:
        return {
            "messages": conversation,
            "text": tokenizer.apply_chat_template(conversation, tokenize=False),
            "prompt_text": tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True),
            **tokens(tokenizer, conversation),
        }
    except jinja2.exceptions.TemplateError as error:
        return {"messages": conversation, "refusal": str(error)}


def tokens(tokenizer, conversation):
    if "generation %}" not in tokenizer.chat_template:
        return {}
    out = tokenizer.apply_chat_template(conversation, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
    mask = last_run(out["assistant_masks"])
    # What the template writes after the answer's end of turn has no part in learning; ours ends there.
    return {"input_ids": out["input_ids"][: len(mask)], "completion_mask": mask}


def main():
    templates = []
    for name, (template, special, named) in TEMPLATES.items():
        inner, fast = tokenizer(special, named, template)
        templates.append(
            {
                "name": name,
                "template": template,
                "special_tokens": named,
                "tokenizer": json.loads(inner.to_str()),
                "cases": [case(fast, conversation) for conversation in CONVERSATIONS],
            }
        )
    out = {"transformers": transformers.__version__, "templates": templates}
    OUT.write_text(json.dumps(out, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
