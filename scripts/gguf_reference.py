"""Writes trainer/tests/gguf_files/blocks.json: blocks of every GGUF storage type and the weights that llama.cpp's own
Python package reads from them.

    python -m venv /tmp/reference && /tmp/reference/bin/pip install gguf numpy
    /tmp/reference/bin/python scripts/gguf_reference.py

The bytes are random; only the half-precision scales are kept small and finite.
"""

import json
import pathlib

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize

# Where the half-precision numbers of a block lie.
SCALES = {
    Type.Q4_0: [0],
    Type.Q4_1: [0, 2],
    Type.Q5_0: [0],
    Type.Q5_1: [0, 2],
    Type.Q8_0: [0],
    Type.Q4_K: [0, 2],
    Type.Q5_K: [0, 2],
    Type.Q6_K: [208],
}
PLAIN = {Type.F32: np.dtype("<f4"), Type.F16: np.dtype("<f2")}
OUT = pathlib.Path(__file__).parent.parent / "trainer/tests/gguf_files/blocks.json"


def block_bytes(kind, rng, blocks=2):
    if kind in PLAIN:
        return rng.normal(size=8).astype(PLAIN[kind]).view(np.uint8)
    if kind == Type.BF16:
        return (rng.normal(size=8).astype("<f4").view("<u4") >> 16).astype("<u2").view(np.uint8)
    size = GGML_QUANT_SIZES[kind][1]
    data = rng.integers(0, 256, size=(blocks, size), dtype=np.uint8)
    for at in SCALES[kind]:
        scales = rng.normal(scale=0.05, size=blocks).astype("<f2")
        data[:, at : at + 2] = scales.view(np.uint8).reshape(blocks, 2)
    return data.reshape(-1)


def main():
    rng = np.random.default_rng(20260101)
    cases = []
    for kind in [*PLAIN, Type.BF16, *SCALES]:
        data = block_bytes(kind, rng)
        values = data.view("<f4") if kind == Type.F32 else dequantize(data, kind)
        values = [float(f"{value:.8g}") for value in np.asarray(values, dtype=np.float64).reshape(-1)]
        cases.append({"type": int(kind), "name": kind.name, "bytes": data.tolist(), "values": values})
    OUT.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    OUT.write_text(f"[\n{lines}\n]\n")
    print(f"{len(cases)} cases, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
