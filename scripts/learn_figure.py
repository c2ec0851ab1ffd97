"""The figure of `make learn`: gold reward and likelihood of every policy, accuracy of the reward models, divergence of PPO."""

import math

import learn_report

STYLE = """text{font:13px system-ui,sans-serif;fill:#1c2733}.small{font-size:12px}.axis{stroke:#8794a1;fill:none}.grid{stroke:#8794a1;opacity:.25}
.goal{stroke:#9a6a00;stroke-dasharray:5 4;fill:none}.bar{fill:#2f7d5b}.other{fill:#2f6f9f}.error{stroke:#1c2733;fill:none}
@media (prefers-color-scheme:dark){text{fill:#e6ebf0}.goal{stroke:#e8b84a}.bar{fill:#5cba8f}.other{fill:#79b8e6}.error{stroke:#e6ebf0}}"""
WIDTH, PANEL, HEIGHT, LEFT, GAP = 860, 386, 190, 44, 44
# Where each panel's top left corner is.
PLACES = [(LEFT, 46), (LEFT + PANEL + GAP, 46), (LEFT, 46 + HEIGHT + 84), (LEFT + PANEL + GAP, 46 + HEIGHT + 84)]


def svg(found):
    """Four panels of bars, each with a scale of its own that begins at zero."""
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {PLACES[2][1] + HEIGHT + 60}" role="img">'
             "<title>What was learned: gold reward, likelihood of demonstrations, accuracy of the reward models and divergence, with 95 % "
             f"intervals, on the test split</title><style>{STYLE}</style>"]
    golds = []
    for name, of_policy in found["policies"].items():
        of_prompts = [learn_report.mean(golds_of_prompt) for golds_of_prompt in of_policy]
        golds.append((name, *interval(of_prompts), "bar"))
    parts.append(panel(PLACES[0], "Gold reward of answers to test prompts", golds))
    nll = [(name, found["nll"][name], None, None, "bar") for name in found["policies"]]
    parts.append(panel(PLACES[1], "NLL of test demonstrations, nats a token", nll))
    accuracy = []
    for number, one in enumerate(found["rounds"], 1):
        for answers, kind, label, style in (("asked", "clear", "clear", "bar"), ("asked", "all", "all", "bar"), ("own", "clear", "own", "other")):
            pairs = one["reward"][answers][kind]
            share = pairs["right"] / max(pairs["pairs"], 1)
            low, high = learn_report.by_prompts(pairs)
            accuracy.append((f"{number}: {label}", 100 * share, 100 * low, 100 * high, style))
    parts.append(panel(PLACES[2], "Reward model: % of pairs in gold's order", accuracy,
                       100 * learn_report.CLEAR_PAIRS, "{:.0f}", 100))
    kl = [(f"PPO {number}", one["kl"]["mean"], one["kl"]["low"], one["kl"]["high"], "bar") for number, one in enumerate(found["rounds"], 1)]
    parts.append(panel(PLACES[3], "KL from SFT on test prompts, nats an answer", kl, learn_report.LARGEST_KL))
    parts.append(f'<text class="small" x="{LEFT}" y="{PLACES[2][1] + HEIGHT + 46}">Test split, 95 % intervals. Dashed: to be reached. '
                 "Clear: gold differs by 1 or more; own: so, of the policy's answers.</text>")
    return "".join(parts) + "</svg>\n"


def panel(place, title, bars, goal=None, form="{:.2f}", top=None):
    """Bars (label, value, low, high, class) over a scale from zero to the highest of them and of `goal`, or to `top`."""
    left, above = place
    below = above + HEIGHT
    highest = top or 1.12 * max([goal or 0.0] + [high if high is not None else value for _, value, _, high, _ in bars])
    y = lambda value: below - HEIGHT * min(max(value, 0.0), highest) / highest
    parts = [f'<text x="{left}" y="{above - 22}">{title}</text>']
    for tick in ticks(highest):
        parts.append(f'<path class="grid" d="M{left} {y(tick):.1f}h{PANEL}"/>'
                     f'<text class="small" x="{left - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    step = PANEL / len(bars)
    width = min(0.6 * step, 70)
    for number, (label, value, low, high, style) in enumerate(bars):
        middle = left + step * (number + 0.5)
        parts.append(f'<rect class="{style}" x="{middle - width / 2:.1f}" y="{y(value):.1f}" width="{width:.1f}" height="{below - y(value):.1f}"/>')
        if low is not None:
            parts.append(f'<path class="error" d="M{middle:.1f} {y(low):.1f}V{y(high):.1f}"/>')
        parts.append(f'<text class="small" x="{middle:.1f}" y="{below + 18}" text-anchor="middle">{label}</text>'
                     f'<text class="small" x="{middle:.1f}" y="{y(value if high is None else high) - 5:.1f}" text-anchor="middle">'
                     f"{form.format(value)}</text>")
    if goal is not None:
        parts.append(f'<path class="goal" d="M{left} {y(goal):.1f}h{PANEL}"/>')
    parts.append(f'<path class="axis" d="M{left} {above}V{below}h{PANEL}"/>')
    return "".join(parts)


def interval(values):
    """Mean and 95 % interval of the mean, by the normal law."""
    average = learn_report.mean(values)
    deviation = math.sqrt(sum((value - average) ** 2 for value in values) / max(len(values) - 1, 1))
    half = 1.96 * deviation / math.sqrt(max(len(values), 1))
    return average, average - half, average + half


def ticks(highest):
    """Round numbers from zero up, at most six steps."""
    step = next(step for step in (0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 200) if highest / step <= 6)
    return [step * at for at in range(math.floor(highest / step) + 1)]
