# SPDX-License-Identifier: MPL-2.0
"""What the rounds of tests/bench/run say: tables with the medians and the spread over the rounds,
the ratios, each taken within a round, with what they are to reach, and the plot."""
import statistics

import machine
import plot
from report import comparison, spread

NAMES = {
    "direct": "no relay",
    "floor": "floor",
    "arizmqd": "arizmqd ws://",
    "arizmqd-wss": "arizmqd wss://",
    "node": "Node (ws, zeromq)",
    "python": "Python (websockets, pyzmq)",
}
COLORS = {"direct": "#888888", "floor": "#bbbbbb", "arizmqd": "#1f6fb2", "arizmqd-wss": "#7fb2dd",
          "node": "#5a9b4a", "python": "#d9a13b"}
PERCENTILES = ("p50_us", "p99_us", "p99.9_us")


def values(rounds, name, *path):
    """One of each round that has it."""
    result = []
    for one in rounds:
        value = one.get(name)
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            result.append(value)
    return result


def names(rounds):
    return [name for name in NAMES if name in rounds[0]]


def keys(rounds, member):
    return sorted({key for one in rounds for result in one.values() for key in result[member]})


# --- ratios

def ratio(rounds, what, left, right, path, target=None, is_met=None):
    """left / right."""
    pairs = list(zip(values(rounds, left, *path), values(rounds, right, *path)))
    if not pairs or any(below <= 0 for _, below in pairs):
        return []
    return [comparison(what, "", [above / below for above, below in pairs], target, is_met)]


def added_latency(rounds, name, rate):
    return [own - direct for own, direct in zip(values(rounds, name, "latency", rate, "p50_us"),
                                                values(rounds, "direct", "latency", rate,
                                                       "p50_us"))]


def compare(rounds):
    into_one = ("throughput", 1, "per_s")
    result = []
    for left, right, least in (("arizmqd", "floor", 0.45), ("arizmqd-wss", "floor", 0.15),
                               ("arizmqd", "node", 4.5), ("arizmqd", "python", 7)):
        result += ratio(rounds, f"events/s, {NAMES[left]} / {NAMES[right]}", left, right, into_one,
                        f"at least {least}", lambda median, least=least: median >= least)
    result += ratio(rounds, "CPU at 5,000/s, arizmqd / Node", "arizmqd", "node",
                    ("cpu", 5000, "cpu_us"),
                    "at most 0.5", lambda median: median <= 0.5)
    for member in ("p50_us", "p99_us"):
        for rate in keys(rounds, "latency"):
            result += ratio(rounds, f"{member[:-3]} at {rate}/s, arizmqd / Node", "arizmqd", "node",
                            ("latency", rate, member), "below 1", lambda median: median < 1)
    for rate in keys(rounds, "latency"):
        losses = [float(not is_whole)
                  for is_whole in values(rounds, "arizmqd", "latency", rate, "is_whole")]
        if losses:
            result.append(comparison(f"rounds with loss at {rate}/s, arizmqd", "", losses, "none",
                                     lambda _, losses=losses: not any(losses)))
    own, floor = added_latency(rounds, "arizmqd", 1000), added_latency(rounds, "floor", 1000)
    if own and floor and all(one > 0 for one in floor):
        result.append(comparison("p50 added to no relay at 1000/s, arizmqd / floor", "",
                                 [a / b for a, b in zip(own, floor)], "at most 1.4",
                                 lambda median: median <= 1.4))
    return result


# --- tables

def cell(each, form, width):
    return f"{spread(each, form):>{width}}"


def show_throughput(rounds):
    counts = keys(rounds, "throughput")
    print(f"{'thousand events/s without loss':32}" +
          "".join(f"{f'into {count}':>24}" for count in counts))
    for name in names(rounds):
        row = f"{NAMES[name]:32}"
        for count in counts:
            each = [value / 1000 for value in values(rounds, name, "throughput", count, "per_s")]
            is_searched = any(values(rounds, name, "throughput", count, "is_searched"))
            row += f"{spread(each, '.0f') + ('*' if is_searched else ' '):>24}"
        print(row)
    print("* faster than that it loses: the rate was searched for")


def show_cost(rounds):
    rates = keys(rounds, "cpu")
    print(f"\n{'CPU µs an event, all threads':32}" +
          "".join(f"{f'at {rate}/s':>24}" for rate in rates) + f"{'MB idle':>12}{'MB at most':>12}")
    for name in names(rounds):
        if name != "direct":
            idle, peak = ([value / 1024 for value in values(rounds, name, member)]
                          for member in ("idle_kb", "peak_kb"))
            cpu = "".join(cell(values(rounds, name, "cpu", rate, "cpu_us"), ".1f", 24)
                          for rate in rates)
            print(f"{NAMES[name]:32}{cpu}"
                  f"{statistics.median(idle):12.0f}{statistics.median(peak):12.0f}")


def show_latency(rounds):
    for rate in keys(rounds, "latency"):
        print(f"\n{f'latency in µs at {rate}/s':32}" +
              "".join(f"{member[:-3]:>24}" for member in PERCENTILES))
        for name in names(rounds):
            row = "".join(cell(values(rounds, name, "latency", rate, member), ".0f", 24)
                          for member in PERCENTILES)
            is_whole = all(values(rounds, name, "latency", rate, "is_whole"))
            print(f"{NAMES[name]:32}{row}{'' if is_whole else '  with loss'}")


def show_comparisons(comparisons):
    print(f"\n{'':60}{'median':>8}{'':>4}{'min-max':14}")
    for one in comparisons:
        met = {None: "", True: "  met", False: "  NOT MET"}[one["is_met"]]
        span = f"{one['min']:.2f}-{one['max']:.2f}"
        print(f"{one['what']:60}{one['median']:8.2f}{'':>4}{span:14}"
              f"{one['target'] or ''}{met}")


def show(result):
    print(machine.title(result["machine"], len(result["rounds"])) + "\n")
    show_throughput(result["rounds"])
    show_cost(result["rounds"])
    show_latency(result["rounds"])
    show_comparisons(result["comparisons"])


# --- for the README, as Markdown

def number(each, form=",.0f"):
    return f"{statistics.median(each):{form}}" if each else ""


def readme_row(rounds, name):
    cells = [NAMES[name]]
    for count in keys(rounds, "throughput"):
        each = values(rounds, name, "throughput", count, "per_s")
        cells.append(number([value / 1000 for value in each]))
    cells.append(number(values(rounds, name, "cpu", 5000, "cpu_us"), ".0f"))
    for rate in keys(rounds, "latency"):
        is_whole = all(values(rounds, name, "latency", rate, "is_whole"))
        cells.append(" / ".join(number(values(rounds, name, "latency", rate, member))
                                for member in PERCENTILES[:2]) if is_whole else "loses")
    cells.append(number([value / 1024 for value in values(rounds, name, "peak_kb")]))
    return "| " + " | ".join(cells) + " |"


def readme(result):
    rounds = result["rounds"]
    described = result["machine"]
    title = (f"{described['cpus']} cores ({described['model']}), which had a load of "
             f"{described['load_before']:.1f} before; medians of {len(rounds)} rounds")
    heads = ["", *(f"thousand events/s into {count}" for count in keys(rounds, "throughput")),
             "CPU µs an event at 5,000/s",
             *(f"p50 / p99 µs at {rate:,}/s" for rate in keys(rounds, "latency")), "MB at most"]
    return "\n".join([title + ":", "", "| " + " | ".join(heads) + " |", "|---" + "|--:" * (len(heads) - 1) + "|",
                      *(readme_row(rounds, name) for name in names(rounds))]) + "\n"


# --- the plot

def draw(result):
    rounds = result["rounds"]
    relays = [name for name in names(rounds) if name != "direct"]
    picture = plot.Picture(760, 640)
    picture.bars("thousand events/s without loss, into so many subscribers", 30,
                 [(NAMES[name], COLORS[name]) for name in relays],
                 [(str(count), [statistics.median(values(rounds, name, "throughput", count, "per_s")
                                                  or [0]) / 1000 for name in relays])
                  for count in keys(rounds, "throughput")])
    shown = names(rounds)
    picture.ranges("latency in µs at so many events/s: p50 to p99, p99.9 as a line", 340,
                   [(NAMES[name], COLORS[name]) for name in shown],
                   [(f"{rate:,}", [[statistics.median(values(rounds, name, "latency", rate, member)
                                                      or [1]) for member in PERCENTILES]
                                   for name in shown])
                    for rate in keys(rounds, "latency")])
    return picture.text()
