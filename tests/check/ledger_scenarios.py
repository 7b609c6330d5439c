# SPDX-License-Identifier: MPL-2.0
"""Nothing is unaccounted for: each scenario floods the bridge with numbered events, makes trouble
meanwhile, and lets the ledger judge.

    ledger_scenarios.py stopped|wandering|cut|killed|trimmed|taken_over

LEDGER_EVENTS and LEDGER_RATE say how many events, and how many a second."""
import signal
import subprocess
import sys
import time

from ledger_stage import APPS, BUILD, EVENTS, RATE, Proxy, Recorder, Stage, fleet, say


def expect(condition, what):
    """A scenario in which nothing went wrong proves nothing."""
    assert condition, f"the scenario did not do what it is for: {what}"


def number(text, line, after):
    """The number before the word `after` in the ledger's line that begins with `line`."""
    found = [each for each in text.splitlines() if each.startswith(line)]
    assert found, (line, text)
    words = found[0].split(after)[0].split()
    return int(words[-1])


def subscriber(text, name):
    """(got live, from history, told as lost) of a subscriber."""
    line = f"subscriber  {name}: "
    return tuple(number(text, line, word) for word in (" got", " from history", " told as lost"))


def scenario_stopped(stage):
    """Subscribers that are stopped for ten seconds and go on. One gets back all that it missed, for
    history is large enough; one has no history to ask and is told; one asks too late for some."""
    stop_s = 10 if EVENTS >= 1000000 else 3
    slow, rest = EVENTS // 5, EVENTS - EVENTS // 5
    bridge = stage.bridge(history="history: {max_bytes: 536870912}\n")
    stage.wait_up(bridge)
    stage.books()
    repaired = Recorder(stage, "repaired", "", repairs=True).wait_joined()
    told = Recorder(stage, "told", "Channel", "StasisStart/ivr/").wait_joined()
    late = Recorder(stage, "late", "channel/", "bridge/", view="objects", repairs=True).wait_joined()

    stage.flood(slow, max(slow // stop_s, 1))
    repaired.send(signal.SIGSTOP)
    told.send(signal.SIGSTOP)
    time.sleep(stop_s)
    repaired.send(signal.SIGCONT)
    told.send(signal.SIGCONT)
    stage.wait_flooded()
    stage.settle(bridge)
    stage.counters.clear()  # those of the end count

    late.send(signal.SIGSTOP)
    stage.flood(rest, RATE)
    time.sleep(stop_s)
    late.send(signal.SIGCONT)
    stage.wait_flooded()
    stage.settle(bridge)
    text = stage.judge()
    if EVENTS >= 1000000:
        expect(subscriber(text, "repaired")[1] > 0 and subscriber(text, "repaired")[2] == 0,
               "what was missed came back from history")
        expect(subscriber(text, "told")[2] > 0, "what was missed was told")
        expect(subscriber(text, "late")[1] > 0, "some of what was missed came back")


PREFIXES = {
    "events": ["", "Channel", "Stasis", "StasisStart/", "ChannelVarset/ivr/", "Playback",
               "ChannelDestroyed/queue/pbx1/", "Bridge", "R", "DeviceStateChanged/", "Arizmq"],
    "objects": ["", "channel/", "bridge/", "playback/", "rec", "channel/ivr.1", "device/", "arizmq/"],
}


def scenario_wandering(stage):
    """Twenty subscribers of random prefixes, each of which joins, stays for a while and leaves, and
    comes back with others."""
    bridge = stage.bridge(history="history: {max_bytes: 134217728}\n")
    stage.wait_up(bridge)
    stage.books()
    chance = stage.random
    stage.flood(EVENTS, RATE)
    present, joined = [], 0
    while stage.is_flooding():
        present = [(recorder, until) for recorder, until in present
                   if until > time.monotonic() or recorder.ask_to_end()]
        if len(present) < 20:
            view = chance.choice(["events", "objects"])
            prefixes = chance.sample(PREFIXES[view][1:], chance.randint(1, 3))
            if chance.random() < 0.1:
                prefixes = [""]
            joined += 1
            present.append((Recorder(stage, f"wanderer{joined}", *prefixes, view=view,
                                     repairs=chance.random() < 0.5),
                            time.monotonic() + chance.uniform(1, 5)))
        time.sleep(0.02)
    stage.wait_flooded()
    stage.settle(bridge)
    stage.judge()
    expect(joined >= 20, f"{joined} joined")


def scenario_cut(stage):
    """The WebSockets are cut a hundred times; some events are too large, and some are no UTF-8, for
    which the bridge ends the connection itself."""
    cuts = 100 if EVENTS >= 1000000 else 20
    proxy = Proxy(stage.fake.port)
    bridge = stage.bridge(port=proxy.port, history="history: {max_bytes: 134217728}\n")
    stage.wait_up(bridge)
    stage.books()
    Recorder(stage, "all", "").wait_joined()
    Recorder(stage, "calls", "Stasis", repairs=True).wait_joined()
    stage.flood(EVENTS, RATE, f"huge={EVENTS // 200 + 1}:70000", f"broken={EVENTS // 40 + 1}")
    for i in range(cuts):
        stage.wait_until_flooded(EVENTS * i // (cuts + 1))
        proxy.do("reset")
    expect(stage.is_flooding(), "it was cut while the flood went on")
    stage.wait_flooded()
    stage.settle(bridge)
    text = stage.judge()
    proxy.stop()
    for app in APPS:
        expect(number(text, f"link        pbx1/{app}: ", " refused") > 0, "some were refused")
        expect(number(text, f"link        pbx1/{app}: ", " dropped") > 0, "some were dropped")
        expect(number(text, f"link        pbx1/{app}: ", " gaps announced") >= cuts // 2, "it was cut")


def scenario_killed(stage):
    """The bridge is killed and started again, five times."""
    bridge = stage.bridge(history="history: {max_bytes: 134217728}\n")
    stage.wait_up(bridge)
    stage.books()
    Recorder(stage, "all", "").wait_joined()
    Recorder(stage, "calls", "Stasis", "BridgeCreated/ivr/", repairs=True).wait_joined()
    Recorder(stage, "channels", "channel/", view="objects", repairs=True).wait_joined()
    stage.flood(EVENTS, RATE)
    for i in range(1, 6):
        stage.wait_until_flooded(EVENTS * i // 7)
        bridge.kill()
        bridge.start()
        stage.wait_up(bridge)
    expect(stage.is_flooding(), "it was killed while the flood went on")
    stage.wait_flooded()
    stage.settle(bridge)
    text = stage.judge()
    for app in APPS:
        expect(number(text, f"link        pbx1/{app}: ", " processes") == 6, "six processes")


def scenario_trimmed(stage):
    """History is trimmed under those who read it: slow subscribers who repair, and a small history."""
    bridge = stage.bridge(history="history: {max_bytes: 4194304, max_page_messages: 200}\n")
    stage.wait_up(bridge)
    stage.books()
    for i, (view, prefix) in enumerate([("events", ""), ("events", "Channel"), ("objects", "channel/")]):
        Recorder(stage, f"slow{i}", prefix, view=view, repairs=True,
                 options=["--slow=10", "--rcvhwm=500"]).wait_joined()
    stage.flood(EVENTS, RATE)
    stage.wait_flooded()
    stage.settle(bridge)
    text = stage.judge()
    if EVENTS >= 1000000:
        expect(sum(subscriber(text, f"slow{i}")[1] for i in range(3)) > 0, "some came from history")
        expect(sum(subscriber(text, f"slow{i}")[2] for i in range(3)) > 0, "some were trimmed")


def scenario_taken_over(stage):
    """The bridge is taken over again and again by another process, in turn at two places to which the
    subscribers are connected from the start. Nothing may be missing, nowhere."""
    usage = subprocess.run([BUILD / "arizmqd", "--help"], stdout=subprocess.PIPE, text=True,
                           check=True).stdout
    if "--takeover" not in usage:
        print("skipped: this arizmqd cannot take over")
        sys.exit(77)
    takeovers = 20 if EVENTS >= 1000000 else 4
    endless = 10 ** 8
    history = "history: {max_bytes: 67108864}\n"
    old, new = stage.place(name="a", history=history), stage.place(name="b", history=history)
    old.start()
    stage.wait_up(old)
    stage.books()
    Recorder(stage, "all", "").wait_joined()
    Recorder(stage, "calls", "Stasis", "BridgeCreated/ivr/", repairs=True).wait_joined()
    Recorder(stage, "channels", "channel/", view="objects", repairs=True).wait_joined()
    stage.flood(endless, min(RATE, 10000), "late=20")
    for _ in range(takeovers):
        new.start("--takeover", old.gateway, "--takeover-wait", "500")
        status = old.process.wait(fleet.PATIENCE_S)
        expect(status == 0, f"it ended with {status}: {old.log.read_text()[-3000:]}")
        stage.forget_client(old)
        stage.wait_up(new)
        old, new = new, old
    rest = max(EVENTS - stage.flooded(), 1000)
    stage.fake.do("flood-stop")
    stage.wait_flooded()
    stage.flood(rest, RATE)
    stage.wait_flooded()
    stage.settle(old)
    text = stage.judge()
    for app in APPS:
        line = f"link        pbx1/{app}: "
        expect(number(text, line, " processes") == takeovers + 1, "one process after the other")
        expect(number(text, line, " dropped") == 0 and number(text, line, " lost with") == 0,
               "none was dropped, none lost")


SCENARIOS = {name.removeprefix("scenario_"): run for name, run in list(globals().items())
             if name.startswith("scenario_")}


def main(name):
    begin = time.monotonic()
    with Stage(name) as stage:
        SCENARIOS[name](stage)
    say(f"{name}: {EVENTS} events, {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in SCENARIOS:
        sys.exit(f"usage: ledger_scenarios.py {'|'.join(SCENARIOS)}")
    main(sys.argv[1])
