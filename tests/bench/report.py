# SPDX-License-Identifier: MPL-2.0
"""What the rounds of tests/bench/gateway say: a table with the medians and the spread over the
rounds, then the differences and ratios, each taken within a round, and whether targets are met."""
import statistics

NAMES = {
    "c.direct": "C, direct, own HTTP",
    "c.direct_curl": "C, direct, libcurl",
    "c.gateway": "C, gateway",
    "c.gateway_once": "C, gateway, request_id",
    "c.zurl": "C, zurl",
    "c.echo": "C, ZeroMQ echo",
    "python.direct": "Python, direct, http.client",
    "python.direct_threads": "Python, direct, threads",
    "python.direct_asyncio": "Python, direct, asyncio",
    "python.gateway": "Python, gateway",
}
ADDED_MAX_US = 60
RATIO_MIN = 0.8


def values(rounds, way, in_flight, member):
    return [one[way][in_flight][member] for one in rounds if in_flight in one.get(way, {})]


def faster_direct(rounds, language, in_flight):
    """The name of the faster of the direct ways of a language."""
    ways = [way for way in NAMES if way.startswith(language + ".direct") and
            values(rounds, way, in_flight, "per_s")]
    return max(ways, key=lambda way: statistics.median(values(rounds, way, in_flight, "per_s")))


def comparison(what, unit, each, target=None, is_met=None):
    median = statistics.median(each)
    return {"what": what, "unit": unit, "median": median, "min": min(each), "max": max(each),
            "target": target, "is_met": None if is_met is None else is_met(median)}


def compare_way(rounds, way, in_flight, serial, parallel, has_target=False):
    """What `way` adds to the time of the direct way `serial`, and its share of the throughput of the
    direct way `parallel`."""
    added = [own - direct for own, direct in zip(values(rounds, way, 1, "p50_us"),
                                                 values(rounds, serial, 1, "p50_us"))]
    share = [own / direct for own, direct in zip(values(rounds, way, in_flight, "per_s"),
                                                 values(rounds, parallel, in_flight, "per_s"))]
    if not added or not share:
        return []
    whats = (f"{NAMES[way]}: added to {NAMES[serial]}",
             f"{NAMES[way]}: throughput / {NAMES[parallel]}")
    if not has_target:
        return [comparison(whats[0], "µs", added), comparison(whats[1], "", share)]
    return [comparison(whats[0], "µs", added, f"at most {ADDED_MAX_US}",
                       lambda median: median <= ADDED_MAX_US),
            comparison(whats[1], "", share, f"at least {RATIO_MIN}",
                       lambda median: median >= RATIO_MIN)]


def compare(rounds, in_flight):
    result = []
    for language in ("c", "python"):
        result += compare_way(rounds, f"{language}.gateway", in_flight, f"{language}.direct",
                              faster_direct(rounds, language, in_flight), True)
    result += compare_way(rounds, "c.gateway", in_flight, "c.direct_curl", "c.direct_curl")
    result += compare_way(rounds, "c.gateway_once", in_flight, "c.direct", "c.direct")
    result += compare_way(rounds, "c.zurl", in_flight, "c.direct", "c.direct")
    result.append(comparison("ZeroMQ's own round trip (echo)", "µs",
                             values(rounds, "c.echo", 1, "p50_us")))
    own = [gateway - direct - echo for gateway, direct, echo in
           zip(*(values(rounds, way, 1, "p50_us") for way in ("c.gateway", "c.direct", "c.echo")))]
    result.append(comparison("C, gateway: added beyond ZeroMQ's own", "µs", own))
    if values(rounds, "c.zurl", 1, "p50_us"):
        for n, member, what in ((1, "p50_us", "zurl's median / gateway's"),
                                (in_flight, "per_s", "gateway's throughput / zurl's")):
            pairs = zip(values(rounds, "c.gateway", n, member), values(rounds, "c.zurl", n, member))
            ratios = [zurl / own if n == 1 else own / zurl for own, zurl in pairs]
            result.append(comparison(what, "", ratios, "above 1", lambda median: median > 1))
    return result


def spread(each, form):
    if not each:
        return "-"
    return (f"{statistics.median(each):{form}} ({min(each):{form}}-{max(each):{form}})")


def median_threads(rounds, way, in_flight):
    """The median CPU time of each thread between client and Asterisk."""
    used = values(rounds, way, in_flight, "between_cpu_us")
    names = sorted({name for one in used for name in one})
    return ", ".join(f"{name} {statistics.median(one.get(name, 0) for one in used):.1f}"
                     for name in names)


def show_table(rounds, in_flight):
    heads = ("", "p50 µs", "p99 µs", f"per s, {in_flight} in flight")
    print(f"{heads[0]:28} {heads[1]:>20} {heads[2]:>20} {heads[3]:>26}")
    for way, name in NAMES.items():
        serial = [values(rounds, way, 1, member) for member in ("p50_us", "p99_us")]
        parallel = values(rounds, way, in_flight, "per_s")
        if parallel or serial[0]:
            print(f"{name:28} {spread(serial[0], '.0f'):>20} {spread(serial[1], '.0f'):>20} "
                  f"{spread(parallel, '.0f'):>26}")


def show_cpu(rounds, in_flight):
    print("\nCPU µs for each request (medians)")
    for n in (1, in_flight):
        for way, name in NAMES.items():
            client = values(rounds, way, n, "client_cpu_us")
            if client:
                asterisk = statistics.median(values(rounds, way, n, "asterisk_cpu_us"))
                print(f"{name:28} {n:3} in flight: client {statistics.median(client):5.1f}, "
                      f"Asterisk {asterisk:5.1f}  {median_threads(rounds, way, n)}")


def show(result):
    rounds, in_flight = result["rounds"], result["in_flight"]
    machine = result["machine"]
    others = [one["others_share"] for each in rounds for way in each.values()
              for one in way.values()]
    print(f"Asterisk {machine['asterisk']}, {machine['cpus']} CPUs ({machine['model']}), "
          f"kernel {machine['kernel']}\n{len(rounds)} rounds: median (least-most). Load before: "
          f"{machine['load_before']:.2f}; CPU taken by others: median "
          f"{statistics.median(others):.0%}, at most {max(others):.0%}\n")
    show_table(rounds, in_flight)
    show_cpu(rounds, in_flight)
    print("\nWithin each round")
    for one in result["comparisons"]:
        form = ".1f" if one["unit"] else ".2f"
        each = spread([one["median"], one["min"], one["max"]], form) + " " + one["unit"]
        verdict = ""
        if one["target"] is not None:
            verdict = f"{one['target']}: {'met' if one['is_met'] else 'NOT MET'}"
        print(f"{one['what']:60} {each:24} {verdict}")
