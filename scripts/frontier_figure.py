"""The figure of `make frontier`: proxy and gold reward over the distance from the start, for PPO and for best-of-n."""

import math

STYLE = """text{font:13px system-ui,sans-serif;fill:#1c2733}.small{font-size:12px}.axis{stroke:#8794a1;fill:none}.grid{stroke:#8794a1;opacity:.25}
.gold{color:#9a6a00}.proxy{color:#2f6f9f}circle{fill:currentColor}.line,.fit,.bar{fill:none;stroke:currentColor;stroke-width:1.5}
.fit{stroke-dasharray:5 4;stroke-width:1.2;opacity:.8}.bar{stroke-width:1.2;opacity:.6}
@media (prefers-color-scheme:dark){text{fill:#e6ebf0}.gold{color:#e8b84a}.proxy{color:#79b8e6}}"""
WIDTH, HEIGHT, LEFT, GAP = 860, 500, 52, 56
# Top and bottom of each row. The rewards have scales of their own: side by side the gold curve would be a flat line.
ROWS = {"proxy": (60, 220), "gold": (264, 444)}
FORMS = {"ppo": ("PPO", math.log, "d(α − β log d)"), "best_of_n": ("Best of n", lambda d: d, "d(α − β d)")}
NAMES = {"proxy": "reward model (proxy)", "gold": "gold"}


def svg(found):
    """A column a way, a row a reward; a row has one vertical scale."""
    width = (WIDTH - LEFT - GAP - 12) / 2
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
             "<title>Proxy and gold reward gained over the square root of the divergence, by PPO and by best-of-n, with 95 % intervals</title>"
             f"<style>{STYLE}</style>"
             f'<text x="{LEFT}" y="20">Reward gained, in standard deviations over the SFT model\'s answers</text>']
    for kind in ROWS:
        points = found["ppo"] + found["best_of_n"]
        low, high = min(one[kind]["low"] for one in points), max(one[kind]["high"] for one in points)
        room = 0.06 * (high - low)
        for place, method in enumerate(FORMS):
            parts.append(panel(found, method, kind, LEFT + place * (width + GAP), width, min(low, 0.0) - room, high + room))
    return "".join(parts) + "</svg>\n"


def panel(found, method, kind, left, width, low, high):
    name, shape, form = FORMS[method]
    top, bottom = ROWS[kind]
    points = sorted(found[method], key=lambda one: one["d"])
    furthest = max(one["d"] for one in points) * 1.04 or 1.0
    x = lambda d: left + width * d / furthest
    y = lambda gain: bottom - (bottom - top) * (gain - low) / (high - low)
    parts = [f'<text x="{left}" y="{top - 10}">{name}: {NAMES[kind]}</text>']
    for tick in ticks(low, high, 6):
        parts.append(f'<path class="grid" d="M{left} {y(tick):.1f}h{width:.1f}"/>'
                     f'<text class="small" x="{left - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    parts.append(f'<path class="axis" d="M{left} {top}V{bottom}h{width:.1f}"/>')
    for tick in ticks(0.0, furthest, 7):
        parts.append(f'<text class="small" x="{x(tick):.1f}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>')
    line = "L".join(f"{x(one['d']):.1f} {y(one[kind]['gain']):.1f}" for one in points)
    parts.append(f'<path class="{kind} line" d="M{line}"/>')
    for one in points:
        here, at = one[kind], f"{x(one['d']):.1f}"
        parts.append(f'<path class="{kind} bar" d="M{at} {y(here["low"]):.1f}V{y(here["high"]):.1f}"/>'
                     f'<circle class="{kind}" cx="{at}" cy="{y(here["gain"]):.1f}" r="2.6"/>')
    if kind == "gold":
        most = ", at most" if method == "best_of_n" else ""
        parts.append(f'<text x="{left + width / 2:.1f}" y="{bottom + 38}" text-anchor="middle">√KL from the SFT model, nats an answer{most}</text>')
        fitted = found["fits"][method].get(kind)
        if fitted:
            curve = "L".join(f"{x(d):.1f} {y(d * (fitted['alpha'] - fitted['beta'] * shape(d))):.1f}"
                             for d in (furthest * at / 100 for at in range(1, 97)))
            parts.append(f'<path class="{kind} fit" d="M{curve}"/>'
                         f'<text class="small" x="{left + width:.1f}" y="{bottom - 8}" text-anchor="end">'
                         f'dashed: {form}, α = {fitted["alpha"]:.2f}, β = {fitted["beta"]:.2f}</text>')
    return "".join(parts)


def ticks(low, high, most):
    """Round numbers from low to high, at most so many."""
    step = next(step for step in (0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 20, 50) if (high - low) / step <= most)
    return [step * at for at in range(math.ceil(low / step), math.floor(high / step) + 1)]
