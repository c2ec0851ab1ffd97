"""The figure of `make frontier`: proxy and gold reward over the distance from the start, for PPO and for best-of-n."""

import math

STYLE = """text{font:13px system-ui,sans-serif;fill:#1c2733}.small{font-size:12px}.axis{stroke:#8794a1;fill:none}.grid{stroke:#8794a1;opacity:.25}
.gold{stroke:#9a6a00;fill:#9a6a00}.proxy{stroke:#2f6f9f;fill:#2f6f9f}.line{fill:none;stroke-width:1.5}.fit{fill:none;stroke-dasharray:5 4;stroke-width:1.2;opacity:.8}
.bar{stroke-width:1.2;opacity:.6}
@media (prefers-color-scheme:dark){text{fill:#e6ebf0}.gold{stroke:#e8b84a;fill:#e8b84a}.proxy{stroke:#79b8e6;fill:#79b8e6}}"""
WIDTH, HEIGHT, TOP, BOTTOM, LEFT, GAP = 860, 420, 88, 362, 52, 50
FORMS = {"ppo": ("PPO", lambda d: math.log(d), "d(α − β log d)"), "best_of_n": ("best of n", lambda d: d, "d(α − β d)")}


def svg(found):
    """Two panels side by side with one vertical scale."""
    points = found["ppo"] + found["best_of_n"]
    low = min(one[kind]["low"] for one in points for kind in ("proxy", "gold"))
    high = max(one[kind]["high"] for one in points for kind in ("proxy", "gold"))
    low, high = min(low, 0.0) - 0.1, high + 0.1
    panel = (WIDTH - LEFT - GAP - 12) / 2
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
             "<title>Gold and proxy reward gained over the square root of the divergence, by PPO and by best-of-n, with 95 % intervals</title>"
             f"<style>{STYLE}</style>"
             f'<text x="{LEFT}" y="20">Reward gained, in standard deviations over the SFT model\'s answers</text>'
             + legend(LEFT)]
    for place, method in enumerate(("ppo", "best_of_n")):
        parts.append(draw(found, method, LEFT + place * (panel + GAP), panel, low, high))
    return "".join(parts) + "</svg>\n"


def legend(x):
    return (f'<path class="proxy line" d="M{x} 38h26"/><text x="{x + 32}" y="42">reward model (proxy)</text>'
            f'<path class="gold line" d="M{x + 190} 38h26"/><text x="{x + 222}" y="42">gold</text>'
            f'<path class="gold fit" d="M{x + 272} 38h26"/><text x="{x + 304}" y="42">fit</text>')


def draw(found, method, left, width, low, high):
    name, shape, form = FORMS[method]
    points = found[method]
    furthest = max(one["d"] for one in points) * 1.04 or 1.0
    x = lambda d: left + width * d / furthest
    y = lambda gain: BOTTOM - (BOTTOM - TOP) * (gain - low) / (high - low)
    parts = [f'<text x="{left}" y="{TOP - 14}">{name}</text>']
    step = 0.5 if high - low < 4 else 1.0
    tick = math.ceil(low / step) * step
    while tick <= high:
        parts.append(f'<path class="grid" d="M{left} {y(tick):.1f}h{width:.1f}"/>'
                     f'<text class="small" x="{left - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
        tick += step
    step = next(step for step in (0.25, 0.5, 1, 2, 5, 10) if furthest / step <= 7)
    tick = 0.0
    while tick <= furthest:
        parts.append(f'<text class="small" x="{x(tick):.1f}" y="{BOTTOM + 17}" text-anchor="middle">{tick:g}</text>')
        tick += step
    parts.append(f'<path class="axis" d="M{left} {TOP}V{BOTTOM}h{width:.1f}"/>'
                 f'<text x="{left + width / 2:.1f}" y="{BOTTOM + 36}" text-anchor="middle">√KL from the SFT model (nats an answer){", at most" if method == "best_of_n" else ""}</text>')
    for kind in ("proxy", "gold"):
        line = "L".join(f"{x(one['d']):.1f} {y(one[kind]['gain']):.1f}" for one in sorted(points, key=lambda one: one["d"]))
        parts.append(f'<path class="{kind} line" d="M{line}"/>')
        for one in points:
            here = one[kind]
            parts.append(f'<path class="{kind} bar" d="M{x(one["d"]):.1f} {y(here["low"]):.1f}V{y(here["high"]):.1f}"/>'
                         f'<circle class="{kind}" cx="{x(one["d"]):.1f}" cy="{y(here["gain"]):.1f}" r="2.6"/>')
    fitted = found["fits"][method].get("gold")
    if fitted:
        ds = [furthest * at / 100 for at in range(1, 97)]
        curve = "L".join(f"{x(d):.1f} {y(d * (fitted['alpha'] - fitted['beta'] * shape(d))):.1f}" for d in ds)
        parts.append(f'<path class="gold fit" d="M{curve}"/>'
                     f'<text class="small" x="{left + width - 4:.1f}" y="{BOTTOM - 10}" text-anchor="end">gold: {form}, α = {fitted["alpha"]:.2f}, β = {fitted["beta"]:.2f}</text>')
    return "".join(parts)
