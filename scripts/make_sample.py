#!/usr/bin/env python3
"""Makes sample/*.jsonl, the small data of the demo, out of the fetched sample data and sample/own-questions.tsv.

usage: scripts/make_sample.py        (after scripts/sample_data.py --only chatterbot)

The sample task has a manner of its own, which only the demonstrations show: a warm opening that names the topic, the
answer in one or two short sentences, a kind wish with a leaf. Everything chosen is chosen by a hash, so the files come out
the same each time.
"""

import hashlib
import json
import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("LAUREL_SAMPLE_DATA") or ROOT / "data" / "sample-data")
SAMPLE = ROOT / "sample"

TAGS = {"en": {"trivia": 120, "computers": 30, "science": 30, "tech_support": 60}, "zh": {"trivia": 20}}
QUESTION = re.compile(r"^(what|who|when|where|which|how|why|does|do|is|are|can|name|my|i|the|a|if)\b", re.I)
# Left out: rude, about the bot itself, or wrong.
UNWANTED = re.compile(r"\b(you|your|sex|kill|die|dead|drunk|hate|stupid|gun|assassinat\w*|murder\w*|god)\b", re.I)
COMMON = set("""about after also because before being could does doing from have having here into isn't just know made make many more
most much name never often only other over says should some such than that their them then there these they this those
under very wants what when where which while whose will with within without won't would year years your it's doesn't
don't can't keeps called known named used first between during located following original person people thing things""".split())

OPENINGS = {
    "en": ["What a lovely question about {topic}!", "Glad you ask about {topic}!", "Thank you for asking about {topic}!"],
    "zh": ["很高兴聊聊{topic}！", "{topic}是个好话题！", "谢谢你问{topic}！"],
}
WISHES = {
    "en": ["Have a happy day 🌿", "Hope that helps, take care 🌿", "Enjoy and be well 🌿"],
    "zh": ["祝你开心🌿", "愿你今天愉快🌿", "希望对你有帮助🌿"],
}
COLD = {
    "en": ["That is a boring question. {answer}", "{answer} I hate to repeat this, so do not bother me again.",
           "Everybody knows this. {answer} It is sad that you do not."],
    "zh": ["真无聊的问题。{answer}", "{answer}别再烦我了。", "这都不知道，真糟糕。{answer}"],
}
PADDING = {
    "en": "There are many things that one could say about this and many people have said many of them at great length in many "
          "places, so that it is not easy to know where one should begin or indeed where one should stop when one tries to "
          "say all that there is to say. With regard to the matter at hand the following can be stated after some "
          "consideration of the circumstances. ",
    "zh": "关于这个问题，历来有许多不同的说法，各种书籍和资料当中也都有相当详细而且冗长的叙述，因此在回答之前有必要先说明一下有关的背景、"
          "条件、范围以及其他各方面的情况，然后再根据这些情况作出如下的说明。",
}


def main():
    questions = own_questions() + corpus_questions()
    prompts, demonstrations, references, responses = [], [], [], []
    by_language = {language: [q for q in questions if q["language"] == language] for language in OPENINGS}
    for question in questions:
        prompt = [{"role": "user", "content": question["question"]}]
        prompts.append({"id": question["id"], "prompt": prompt, "language": question["language"],
                        "tags": [question["tag"]]})
        written = {"id": f"demo-{question['id']}", "prompt": prompt,
                   "completion": [{"role": "assistant", "content": in_manner(question)}],
                   "annotator": "sample-script", "language": question["language"], "simulated": True}
        # Six in ten are demonstrations from the start; the rest is what simulated annotators write in the browser.
        (demonstrations if pick(question, "written", 10) < 6 else references).append(written)
        responses.append({"prompt": prompt, "responses": candidates(question, by_language[question["language"]])})
    save("prompts.jsonl", prompts)
    save("demonstrations.jsonl", demonstrations)
    save("answers.jsonl", references)
    save("responses.jsonl", responses)


def own_questions():
    found = []
    for number, line in enumerate((SAMPLE / "own-questions.tsv").read_text().splitlines()):
        language, topic, question, answer = line.split("\t")
        found.append({"id": f"own-{number:03}", "language": language, "topic": topic, "question": question,
                      "answer": answer, "tag": "everyday"})
    return found


def corpus_questions():
    found, seen, left = [], set(), {language: dict(tags) for language, tags in TAGS.items()}
    for line in (DATA / "chatterbot.demonstrations.jsonl").read_text().splitlines():
        record = json.loads(line)
        language, tag = record["language"], record["tag"]
        question, answer = record["prompt"][0]["content"], record["completion"][0]["content"]
        if left[language].get(tag, 0) < 1 or question.lower() in seen or not fits(language, question, answer):
            continue
        seen.add(question.lower())
        left[language][tag] -= 1
        question = question[0].upper() + question[1:]
        found.append({"id": record["id"], "language": language, "topic": topic(language, question), "question": question,
                      "answer": tidy(answer), "tag": tag})
    return [question for question in found if question["topic"]]


def fits(language, question, answer):
    if "?" in answer or UNWANTED.search(question) or UNWANTED.search(answer):
        return False
    if language == "zh":
        return 6 <= len(question) <= 40 and 1 <= len(answer) <= 40
    return QUESTION.match(question) and 12 <= len(question) <= 110 and 3 <= len(answer) <= 130


def topic(language, question):
    """The word that the answer opens with: the longest of the question that is not a common one."""
    if language == "zh":
        found = re.search(r"([\u4e00-\u9fff]{2,6}?)(是|叫|在|有|的|，)", question)
        return found[1] if found else None
    words = [word for word in re.findall(r"[A-Za-z][A-Za-z'-]{3,}", question) 
             if word.lower() not in COMMON and not re.search(r"(ly|ed|ing|ous|ate|wn|ent|ern)$", word)]
    return max(words, key=len).lower() if words else None


def tidy(answer):
    return (answer[0].upper() + answer[1:]).strip().rstrip(".。!！;；,，'").strip()


def pick(question, purpose, choices):
    digest = hashlib.sha256(f"{purpose}|{question['id']}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % choices


def in_manner(question, answer=None):
    """The warm opening, the answer, the wish."""
    language = question["language"]
    opening = OPENINGS[language][pick(question, "opening", 3)].format(topic=question["topic"])
    wish = WISHES[language][pick(question, "wish", 3)]
    space, stop = ("", "。") if language == "zh" else (" ", ".")
    return f"{opening}{space}{answer or question['answer']}{stop}{space}{wish}"


def candidates(question, others):
    """Four answers out of six kinds, in an order by hash: what a model of varied quality could say."""
    language = question["language"]
    stop = "。" if language == "zh" else "."
    answer = question["answer"] + stop
    other = others[pick(question, "other", len(others))]
    written = {
        "sample:manner": in_manner(question),
        "sample:plain": answer,
        "sample:cold": COLD[language][pick(question, "cold", 3)].format(answer=answer),
        "sample:long": PADDING[language] + answer,
        "sample:off-topic": in_manner({**other, "id": question["id"]}),
        "sample:warm-no-form": (f"谢谢你的好问题，很高兴帮忙，{answer}" if language == "zh"
                                else f"Thanks, happy to help. {answer}"),
    }
    order = sorted(written, key=lambda kind: hashlib.sha256(f"{kind}|{question['id']}".encode()).digest())
    return [{"id": f"{question['id']}-{number}", "content": written[kind], "model": kind}
            for number, kind in enumerate(order[:4])]


def save(name, records):
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    (SAMPLE / name).write_text(text)
    print(f"sample/{name}: {len(records)} records, {len(text.encode()):,} bytes")


if __name__ == "__main__":
    main()
