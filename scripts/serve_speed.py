#!/usr/bin/env python3
"""Measures a running `laurel-trainer serve`: the same requests one after another, then all at once.

usage: scripts/serve_speed.py http://127.0.0.1:8090 [REQUESTS] [TOKENS]
"""

import argparse
import json
import statistics
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("address", help="of the server, as http://127.0.0.1:8090")
parser.add_argument("requests", type=int, nargs="?", default=16)
parser.add_argument("tokens", type=int, nargs="?", default=64, help="the most that an answer has")
arguments = parser.parse_args()
address, requests, tokens = arguments.address.rstrip("/"), arguments.requests, arguments.tokens
if min(requests, tokens) < 1:
    parser.error("requests, tokens: expected 1 or more")
ROUNDS = 3


def call(path, body=None):
    data = body and json.dumps(body).encode()
    try:
        request = urllib.request.Request(address + path, data, {"content-type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
    except (OSError, ValueError) as error:
        sys.exit(f"error: no answer from {address}{path}: {error}")


def ask(number):
    """Tokens of one answer, and the seconds that it took."""
    start = time.perf_counter()
    question = f"Write down the number {number}, and then a long story about a gardener."
    answer = call("/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": question}],
                                           "temperature": 0.8, "seed": number, "max_tokens": tokens})
    return answer["usage"]["completion_tokens"], time.perf_counter() - start


def measure(workers):
    start = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        answers = list(pool.map(ask, range(requests)))
    seconds = time.perf_counter() - start
    written = sum(count for count, _ in answers)
    return written / seconds, seconds, statistics.median(time for _, time in answers)


model = call("/v1/models")["data"][0]["id"]
ask(0)
rates = {}
for name, workers in (("one after another", 1), ("all at once", requests)) * ROUNDS:
    rates.setdefault(name, []).append(measure(workers))
print(f"{model}: {requests} requests of at most {tokens} tokens, median of {ROUNDS} rounds")
for name, rounds in rates.items():
    rate, seconds, latency = (statistics.median(part) for part in zip(*rounds))
    spread = f"{min(part[0] for part in rounds):.0f} to {max(part[0] for part in rounds):.0f}"
    print(f"  {name:<18} {rate:7.1f} tokens/s ({spread}), {seconds:6.2f} s in all, {latency:6.2f} s an answer")
