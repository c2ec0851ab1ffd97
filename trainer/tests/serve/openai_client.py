"""Talks to a server through OpenAI's own client, in every way that its users do; fails on the first thing that is not so.

usage: openai_client.py ADDRESS MODEL QUESTION
"""

import asyncio
import sys

import openai

address, model, question = sys.argv[1:]
client = openai.OpenAI(base_url=f"{address}/v1", max_retries=0, timeout=100)
messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": question}]

assert [found.id for found in client.models.list()] == [model]
assert client.models.retrieve(model).object == "model"

# A conversation, whole and streamed.
whole = client.chat.completions.create(model=model, messages=messages, temperature=0, max_completion_tokens=60)
text = whole.choices[0].message.content
assert text and whole.choices[0].message.role == "assistant" and whole.system_fingerprint.startswith("fp_")
assert whole.choices[0].finish_reason in ("stop", "length")
assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
streamed, usage = "", None
for chunk in client.chat.completions.create(model=model, messages=messages, temperature=0, max_completion_tokens=60,
                                            stream=True, stream_options={"include_usage": True}):
    usage = chunk.usage or usage
    streamed += "".join(choice.delta.content or "" for choice in chunk.choices)
assert streamed == text and "\ufffd" not in streamed, (streamed, text)
assert usage == whole.usage

# The client's own way to collect a stream.
with client.chat.completions.stream(model=model, messages=messages, temperature=0, max_completion_tokens=60) as stream:
    assert stream.get_final_completion().choices[0].message.content == text

# Seeds, several answers, an extension.
draw = dict(model=model, messages=messages, temperature=1.3, seed=5, n=3, max_tokens=20, extra_body={"top_k": 300})
first, second = (client.chat.completions.create(**draw) for _ in range(2))
texts = [choice.message.content for choice in first.choices]
assert texts == [choice.message.content for choice in second.choices] and len(set(texts)) == 3, texts

# Stop strings and log-probabilities.
stop = text[3:6]
stopped = client.chat.completions.create(model=model, messages=messages, temperature=0, stop=[stop], logprobs=True,
                                         top_logprobs=2)
assert stopped.choices[0].message.content == text[:text.index(stop)]
tokens = stopped.choices[0].logprobs.content
assert all(len(token.top_logprobs) == 2 and token.logprob <= 0 for token in tokens)

# Texts.
completion = client.completions.create(model=model, prompt=["The moon", "Bees"], max_tokens=5, logprobs=2, temperature=0)
assert len(completion.choices) == 2 and completion.usage.completion_tokens == 10
pieces = list(client.completions.create(model=model, prompt="The moon", max_tokens=5, temperature=0, stream=True))
assert "".join(piece.choices[0].text for piece in pieces) == completion.choices[0].text
assert pieces[-1].choices[0].finish_reason == "length"


# Many at once.
async def at_once():
    many = openai.AsyncOpenAI(base_url=f"{address}/v1", max_retries=0, timeout=100)
    asks = (many.chat.completions.create(model=model, messages=messages, temperature=0, max_completion_tokens=60)
            for _ in range(12))
    return [answer.choices[0].message.content for answer in await asyncio.gather(*asks)]

assert set(asyncio.run(at_once())) == {text}


# Errors come as the client's own exceptions.
def refused(kind, **changes):
    try:
        client.chat.completions.create(**{"model": model, "messages": messages, **changes})
    except kind as error:
        return error
    raise AssertionError(f"{changes} was not refused as {kind.__name__}")

assert refused(openai.NotFoundError, model="gpt-4o").code == "model_not_found"
assert refused(openai.BadRequestError, temperature=3).param == "temperature"
assert "tools" in refused(openai.BadRequestError, tools=[{"type": "function", "function": {"name": "f"}}]).message
long = [{"role": "user", "content": "bees " * 1000}]
assert refused(openai.BadRequestError, messages=long).code == "context_length_exceeded"

print(f"{openai.__version__} is content")
