"""The report of `make learn`: a table as Markdown, and the gold reward of every policy as an SVG."""

import math

SVG_STYLE = """text{font:13px system-ui,sans-serif;fill:#1c2733}.axis{stroke:#8794a1}.bar{fill:#2f7d5b}.low{stroke:#1c2733}
@media (prefers-color-scheme:dark){text{fill:#e6ebf0}.bar{fill:#5cba8f}.low{stroke:#e6ebf0}}"""


def write(out, found):
    """Writes report.md and report.svg; the Markdown comes back."""
    text = markdown(found)
    (out / "report.md").write_text(text)
    (out / "report.svg").write_text(svg(found["policies"]))
    return text


def markdown(found):
    counts, sft = found["prompts"], found["sft"]
    lines = [
        f"# What was learned (seed {found['seed']})", "",
        f"{counts['train']} prompts to learn from, {counts['validation']} to choose by, {counts['test']} to measure on; "
        f"{sum(found['seconds'].values()) / 60:.1f} minutes.", "",
        f"Held-out demonstrations (validation split): {sft['nll_before']:.3f} → {sft['nll']:.3f} nats a token.", "",
        "| policy | gold reward, 4 answers a test prompt | wins against the one before | 95 % interval |", "|---|---|---|---|",
    ]
    before = None
    for name, golds in found["policies"].items():
        average = mean([mean(golds_of_prompt) for golds_of_prompt in golds])
        cells = ["", ""]
        if before:
            wins, count = contest(found["policies"][before], golds)
            low, high = wilson(wins, count)
            cells = [f"{wins / count:.1%} of {count} against {before}", f"{low:.1%} to {high:.1%}"]
        lines.append(f"| {name} | {average:.3f} | {cells[0]} | {cells[1]} |")
        before = name
    lines += ["", "| round | rankings so far | reward model: clear pairs | all pairs | clear pairs of the policy's own | KL of PPO, nats an answer |",
              "|---|---|---|---|---|---|"]
    for number, one in enumerate(found["rounds"], 1):
        def share(answers, kind):
            pairs = one["reward"][answers][kind]
            return f"{pairs['right'] / max(pairs['pairs'], 1):.1%} of {pairs['pairs']}"
        lines.append(f"| {number} | {one['rankings']} | {share('asked', 'clear')} | {share('asked', 'all')} | {share('own', 'clear')} | {one['kl']:.2f} |")
    lines += ["", "Pairs are of answers to test prompts, the policy's and others such as people rank them too; clear: their gold rewards "
              "differ by at least 1.", ""]
    lines += ["| step | seconds |", "|---|---|"]
    lines += [f"| {name} | {seconds:.0f} |" for name, seconds in found["seconds"].items() if seconds >= 1]
    return "\n".join(lines) + "\n"


def contest(before, after):
    """How many prompts the second wins by the mean gold reward of its answers, ties half, and of how many."""
    wins = 0.0
    for first, second in zip(before, after, strict=True):
        difference = mean(second) - mean(first)
        wins += 1.0 if difference > 1e-9 else 0.5 if difference > -1e-9 else 0.0
    return wins, len(before)


def wilson(wins, count, z=1.959964):
    """Wilson's score interval of a share (Wilson 1927)."""
    share = wins / count
    middle = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (middle - spread) / (1 + z * z / count), (middle + spread) / (1 + z * z / count)


def mean(numbers):
    return sum(numbers) / max(len(numbers), 1)


def svg(policies):
    """Bars of the mean gold reward with the 95 % interval of the mean over prompts."""
    width, height, left, base = 120 * len(policies) + 90, 300, 60, 250
    bars = []
    top = 6.0
    scale = 200 / top
    for place, (name, golds) in enumerate(policies.items()):
        of_prompts = [mean(golds_of_prompt) for golds_of_prompt in golds]
        average = mean(of_prompts)
        error = 1.96 * math.sqrt(sum((value - average) ** 2 for value in of_prompts) / max(len(of_prompts) - 1, 1) / len(of_prompts))
        x = left + 25 + 120 * place
        bars.append(f'<rect class="bar" x="{x}" y="{base - max(average, 0) * scale:.1f}" width="70" height="{max(average, 0) * scale:.1f}"/>'
                    f'<path class="low" d="M{x + 35} {base - (average - error) * scale:.1f}V{base - (average + error) * scale:.1f}"/>'
                    f'<text x="{x + 35}" y="{base + 20}" text-anchor="middle">{name}</text>'
                    f'<text x="{x + 35}" y="{base - (average + error) * scale - 8:.1f}" text-anchor="middle">{average:.2f}</text>')
    ticks = "".join(f'<text x="{left - 8}" y="{base - value * scale + 4:.1f}" text-anchor="end">{value}</text>' for value in range(0, 7, 2))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
            f"<title>Mean gold reward of each policy on test prompts, with 95 % intervals</title><style>{SVG_STYLE}</style>"
            f'<path class="axis" d="M{left} 40V{base}H{width - 10}" fill="none"/>{ticks}{"".join(bars)}'
            f'<text x="{left}" y="24">Gold reward on test prompts</text></svg>\n')
