"""The report of `make learn`: what was to be reached and what came of it, as Markdown; the figure is learn_figure.py's."""

import math

import learn_figure

# What the course is to reach, as shares; the divergence in nats an answer.
SFT_WINS, CLEAR_PAIRS, PPO_WINS, LARGEST_KL, SECOND_WINS = 0.80, 0.85, 0.70, 15.0, 0.50


def write(out, found):
    """Writes report.md and report.svg; the Markdown comes back."""
    text = markdown(found)
    (out / "report.md").write_text(text)
    (out / "report.svg").write_text(learn_figure.svg(found))
    return text


def markdown(found):
    counts = found["prompts"]
    lines = [
        f"# What was learned (seed {found['seed']})", "",
        f"From {found['base']}; {counts['train']} prompts to learn from, {counts['validation']} to choose by, {counts['test']} to "
        f"measure on. The steps took {sum(found['seconds'].values()) / 60:.1f} minutes together; each is listed below.", ""]
    lines += goals(found) + policies(found) + reward_models(found) + times(found)
    return "\n".join(lines) + "\n"


def goals(found):
    """What was to be reached, what was found, and by how much it falls short."""
    golds, rounds = found["policies"], found["rounds"]
    rows = []

    def share(what, least, wins, count, interval=None):
        low, high = interval or wilson(wins, count)
        rows.append((what, f"at least {least:.0%}", f"{wins / count:.1%} of {count} ({low:.1%} to {high:.1%})", wins / count - least, high - least))

    share("SFT beats the base by gold", SFT_WINS, *contest(golds["base"], golds["sft"]))
    for number, one in enumerate(rounds, 1):
        pairs = one["reward"]["asked"]["clear"]
        share(f"reward model {number}: clear pairs in order", CLEAR_PAIRS, pairs["right"], pairs["pairs"], by_prompts(pairs))
    share("PPO beats SFT by gold", PPO_WINS, *contest(golds["sft"], golds["ppo-1"]))
    for number, one in enumerate(rounds, 1):
        kl = one["kl"]
        rows.append((f"KL of PPO {number} from SFT, nats an answer", f"below {LARGEST_KL:g}",
                     f"{kl['mean']:.2f} ({kl['low']:.2f} to {kl['high']:.2f})", LARGEST_KL - kl["mean"],
                     LARGEST_KL - kl["low"]))
    share("PPO 2 is no worse than PPO 1 by gold", SECOND_WINS, *contest(golds["ppo-1"], golds["ppo-2"]))
    lines = ["| what | to be reached | found (95 %) | reached |", "|---|---|---|---|"]
    for what, wanted, value, room, at_best in rows:
        short = f"short by {-room:.2f}" if "KL" in what else f"short by {-100 * room:.1f} points"
        # So many prompts do not tell the two apart.
        short += ", less than chance makes" if at_best >= 0 else ""
        lines.append(f"| {what} | {wanted} | {value} | {'yes' if room >= 0 else short} |")
    before, after = found["validation_nll"]
    nll = found["nll"]
    return lines + ["", "All of it on the test split, which nothing was learned from or chosen by. Negative log-likelihood of the test "
                    f"demonstrations: {nll['base']:.3f} → {nll['sft']:.3f} nats a token by SFT (on the validation demonstrations, which "
                    f"chose the epoch, {before:.3f} → {after:.3f}).", ""]


def policies(found):
    lines = ["| policy | gold reward, 4 answers a test prompt | more than the one before (95 %) | wins against it | 95 % interval | "
             "NLL of test demonstrations |", "|---|---|---|---|---|---|"]
    before = None
    for name, golds in found["policies"].items():
        average = mean([mean(golds_of_prompt) for golds_of_prompt in golds])
        cells = ["", "", ""]
        if before:
            more, low_more, high_more = gain(found["policies"][before], golds)
            wins, count = contest(found["policies"][before], golds)
            low, high = wilson(wins, count)
            cells = [f"{more:+.3f} ({low_more:+.3f} to {high_more:+.3f})", f"{wins / count:.1%} of {count} against {before}",
                     f"{low:.1%} to {high:.1%}"]
        lines.append(f"| {name} | {average:.3f} | {' | '.join(cells)} | {found['nll'][name]:.3f} |")
        before = name
    return lines + [""]


def reward_models(found):
    lines = ["| round | rankings so far | reward model: clear pairs | all pairs | clear pairs of the policy's own | KL of PPO, nats an answer | "
             "the same on training prompts |", "|---|---|---|---|---|---|---|"]
    for number, one in enumerate(found["rounds"], 1):
        def share(answers, kind):
            pairs = one["reward"][answers][kind]
            return f"{pairs['right'] / max(pairs['pairs'], 1):.1%} of {pairs['pairs']}"
        kl = one["kl"]
        lines.append(f"| {number} | {one['rankings']} | {share('asked', 'clear')} | {share('asked', 'all')} | {share('own', 'clear')} | "
                     f"{kl['mean']:.2f} ({kl['low']:.2f} to {kl['high']:.2f}) | {one['kl_last_rollout']:.2f} |")
    return lines + ["", "Pairs are of answers to test prompts, the policy's and others such as people rank them too; clear: their gold "
                    f"rewards differ by at least {found['clear']:g}. KL is of the finished policy from the SFT model on test "
                    "prompts, in full at each token; on training prompts it is that of the rollout that PPO ends with, by the drawn "
                    "tokens (k1).", ""]


def times(found):
    """The seconds of every step, and what they do not say."""
    seconds, reused, older = found["seconds"], found["reused"], found["older"]
    lines = ["| step | seconds |", "|---|---|"]
    lines += [f"| {name}{' (another build)' if name in older else ''} | {took:.0f} |" for name, took in seconds.items() if took >= 1]
    brief = [took for took in seconds.values() if took < 1]
    lines += [f"| {len(brief)} of less than a second | {sum(brief):.0f} |", f"| **sum** | **{sum(seconds.values()):.0f}** |", ""]
    lines.append(f"laurel-trainer {found['program'][:12]}; this run went on for {found['wall']:.0f} s of wall clock.")
    if reused:
        lines.append(f"{len(reused)} of {len(seconds)} steps were made by an earlier run, their seconds are that run's."
                     + (f" {len(older)} of them by another build of the program." if older else ""))
    return lines


def contest(before, after):
    """How many prompts the second wins by the mean gold reward of its answers, ties half, and of how many."""
    wins = 0.0
    for first, second in zip(before, after, strict=True):
        difference = mean(second) - mean(first)
        wins += 1.0 if difference > 1e-9 else 0.5 if difference > -1e-9 else 0.0
    return wins, len(before)


def gain(before, after, z=1.959964):
    """How much more gold the second gives a prompt on average, and the 95 % of it over the prompts."""
    more = [mean(second) - mean(first) for first, second in zip(before, after, strict=True)]
    average = mean(more)
    half = z * math.sqrt(sum((one - average) ** 2 for one in more) / max(len(more) - 1, 1) / max(len(more), 1))
    return average, average - half, average + half


def wilson(wins, count, z=1.959964):
    """Wilson's score interval of a share (Wilson 1927)."""
    share = wins / max(count, 1)
    middle = share + z * z / (2 * max(count, 1))
    spread = z * math.sqrt(share * (1 - share) / max(count, 1) + z * z / (4 * max(count, 1) ** 2))
    return (middle - spread) / (1 + z * z / max(count, 1)), (middle + spread) / (1 + z * z / max(count, 1))


def by_prompts(pairs, z=1.959964):
    """95 % of a share of pairs. Those of one prompt hang together, so prompts are what was drawn: the error of a ratio of sums."""
    right, count, drawn = pairs["right"], max(pairs["pairs"], 1), len(pairs["by_prompt"])
    share = right / count
    spread = sum((one - share * of) ** 2 for one, of in pairs["by_prompt"]) * drawn / max(drawn - 1, 1)
    half = z * math.sqrt(spread) / count
    return max(share - half, 0.0), min(share + half, 1.0)


def mean(numbers):
    return sum(numbers) / max(len(numbers), 1)
