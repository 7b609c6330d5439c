#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""SIGHUP to a bridge with a real Asterisk under calls:

    asterisk_reload.py ARIZMQD 22|16 [subscribe_all]

An observer of its own connection hears the same events as the bridge's subscriber, while the bridge
is handed over to another user of ARI again and again, applications and nodes come and go, and a file
is wrong; with subscribe_all, that is turned off and on then. Exit status 77 where there can be no
Asterisk.
"""
import collections
import contextlib
import json
import os
import signal
import sys

from asterisk import DeviceStates, Load, numbers_of, without_application
from asterisk_stage import Client, Failed, Stage, call, check, wait_until
from gateway import Gateway

HANDOVERS = 4
REMOVALS = 3
LAB = "username: lab\n    password: secret\n"
SECOND = "username: second\n    password: other\n"
APPS = "apps: [ivr]"
ALL = "subscribe_all: true"


class Reloads:
    """The bridge's file, and what it says when it has read it."""

    def __init__(self, bridge):
        self.bridge = bridge
        self.path = bridge.directory / "arizmqd.yaml"
        self.text = self.path.read_text()
        self.gateway = Gateway(bridge.gateway)

    def write(self, text, said):
        new = self.path.with_suffix(".new")
        new.write_text(text)
        os.rename(new, self.path)
        before = self.bridge.log_count(said)
        self.bridge.process.send_signal(signal.SIGHUP)
        self.bridge.wait_for_log(said, before + 1)

    def to(self, *changes):
        """Reloads the first text with these pairs of old and new in it."""
        text = self.text
        for old, new in changes:
            check(text.count(old) == 1, f"{old} in {text}")
            text = text.replace(old, new)
        self.write(text, "reloaded: ")

    def snapshot(self):
        header, body = self.gateway.call("GET", "arizmq/snapshot")
        check(header["status_code"] == 200, f"{header}")
        return json.loads(body)

    def applications(self):
        """Those of the snapshot, and those that it has channels of."""
        snapshot = self.snapshot()
        return ({(link["node"], link["app"]) for link in snapshot["links"]},
                {(each["node"], each["app"]) for each in snapshot["channels"]})


def hand_over(reloads, load):
    bridge = reloads.bridge
    for number in range(HANDOVERS):
        begin = len(bridge.read())
        reloads.to((LAB, SECOND if number % 2 == 0 else LAB))
        bridge.wait_for_type("ArizmqNodeConnected", begin, handover=True)
        after = load.calls
        wait_until("calls go on", lambda: load.calls > after or load.failed)
    wait_until("the old connections are closed", lambda: bridge.metric("arizmq_links_leaving") == 0)


def come_and_go(reloads, asterisk):
    """An application with a channel in it, and nodes that hear everything, while device states
    change."""
    bridge = reloads.bridge
    begin = len(bridge.read())
    reloads.to((APPS, "apps: [ivr, more]\n    subscribe_all_app: ivr"))
    bridge.wait_for_type("ArizmqNodeConnected", begin, application="more")
    wait_until("Asterisk has it", lambda: asterisk.ari.request("GET", "applications/more")[0] == 200)
    asterisk.ari.must("POST", "channels", endpoint="Local/silent@far/n", app="more",
                      channelId="kept")
    wait_until("its channel is known", lambda: ("pbx1", "more") in reloads.applications()[1])
    reloads.to()
    bridge.wait_for_type("ArizmqNodeDisconnected", begin, application="more", reason="removed")
    links, channels = reloads.applications()
    check(links == {("pbx1", "ivr")}, f"{links}")
    check(channels <= {("pbx1", "ivr")}, f"channels of {channels}")
    asterisk.ari.must("DELETE", "channels/kept")
    states = DeviceStates(asterisk)
    node = reloads.text[reloads.text.index("  - name: pbx1"):reloads.text.index("publish:")]
    node = node.replace("pbx1", "another").replace(APPS, "apps: [other]")
    for number in range(REMOVALS):
        begin = len(bridge.read())
        reloads.to(("publish:\n", node + "publish:\n"))
        bridge.wait_for_type("ArizmqNodeConnected", begin, node="another")
        bridge.wait_for_event("20 device states", lambda *_: sum(
            event["type"] == "DeviceStateChanged" and event["application"] == "other"
            for _, event in bridge.events[begin:]) >= 20)
        reloads.to()
        bridge.wait_for_type("ArizmqNodeDisconnected", begin, node="another", reason="removed")
        check(asterisk.ari.request("GET", "asterisk/ping")[0] == 200, f"removal {number + 1}")
        check(asterisk.ari.request("GET", "deviceStates")[0] == 200, f"removal {number + 1}")
        check(reloads.applications()[0] == {("pbx1", "ivr")}, f"{reloads.applications()}")
    states.stop()


def be_wrong(reloads):
    bridge = reloads.bridge
    begin = sum(not event["type"].startswith("Arizmq") for _, event in bridge.read())
    done = bridge.log_count("reloaded: ")
    for text in (reloads.text.replace(APPS, "apps: [more]").replace("heartbeat_ms: 100", "heart: 1"),
                 "nodes: [", reloads.text.replace("/events'", "/no/such/place'")):
        reloads.write(text, "reload_refused: ")
        check(reloads.applications()[0] == {("pbx1", "ivr")}, "a bad file changed something")
    check(bridge.log_count("reloaded: ") == done, "a bad file was taken")
    wait_until("events go on", lambda: sum(
        not event["type"].startswith("Arizmq") for _, event in bridge.read()) > begin)


def compare(what, told, heard):
    """Both are functions that return a counter of events."""
    with contextlib.suppress(Failed):
        wait_until("equal counts", lambda: told() == heard())
    check(not told() - heard(), f"{what}: doubled: {list((told() - heard()).items())[:3]}")
    check(not heard() - told(), f"{what}: lost: {list((heard() - told()).items())[:3]}")


def of_ivr(events):
    """The bridge's others hear of their own channels."""
    return [event for event in events if event.get("application", "ivr") == "ivr"]


def turn_off_and_on(reloads, asterisk, stage, watch):
    """Under calls to the observer's application: the bridge's is gone for a moment."""
    bridge = reloads.bridge
    load = Load(stage, "watch")
    begin = len(bridge.read())
    reloads.to((ALL, "subscribe_all: false"))
    bridge.wait_for_type("ArizmqNodeDisconnected", begin, reason="reload")
    bridge.wait_for_type("ArizmqGap", begin)
    bridge.wait_for_type("ArizmqNodeConnected", begin)
    begin = len(bridge.read())
    reloads.to()
    bridge.wait_for_type("ArizmqNodeConnected", begin, handover=True)
    bridge.wait_for_event("calls of others", lambda _, event: event["type"] == "ChannelCreated",
                          begin)
    asterisk.ari.must("PUT", "deviceStates/Stasis:y", deviceState="BUSY")
    bridge.wait_for_event("a device state", lambda _, event: event["type"] ==
                          "DeviceStateChanged" and event["device_state"]["name"] == "Stasis:y",
                          begin)
    load.stop()

    def ended():
        return len(asterisk.ari.must("GET", "channels")) == 0
    wait_until("no channel any more", ended)
    # A mark in both streams, behind which both hear the same.
    asterisk.ari.must("PUT", "deviceStates/Stasis:mark", deviceState="BUSY")

    def behind_mark(events):
        at = [place for place, event in enumerate(events)
              if event["type"] == "DeviceStateChanged"
              and event["device_state"]["name"] == "Stasis:mark"]
        return events[at[-1]:] if at else []
    wait_until("the mark", lambda: behind_mark(list(watch.events)) and behind_mark(
        [event for _, event in bridge.read()]))
    asterisk.place_calls(2)
    compare("subscribe_all again",
            lambda: without_application(behind_mark([event for _, event in bridge.read()])),
            lambda: without_application(behind_mark(list(watch.events))))


def run(stage, release):
    stage.asterisk.start("--release", release)
    watch = Client(stage.asterisk, "watch", subscribe_all=True)
    bridge = stage.bridge(f"    {ALL}\n")
    bridge.join()
    bridge.wait_for_log("node_connected")
    wait_until("the bridge's application", lambda: stage.asterisk.ari.request(
        "GET", "applications/ivr")[0] == 200)
    reloads = Reloads(bridge)
    load = Load(stage)
    hand_over(reloads, load)
    be_wrong(reloads)
    come_and_go(reloads, stage.asterisk)
    load.stop()
    compare("under calls",
            lambda: without_application(of_ivr(event for _, event in bridge.read())),
            lambda: without_application(list(watch.events)))
    kinds = collections.Counter(event["type"] for _, event in bridge.events)
    check(kinds["ArizmqGap"] == 0, f"{kinds['ArizmqGap']} gaps")
    numbers = numbers_of(of_ivr(event for _, event in bridge.events))
    check(sorted(numbers) == list(range(1, len(numbers) + 1)), "the numbers have a hole or repeat")
    check(kinds["StasisStart"] == load.calls + 1, f"{kinds['StasisStart']} in {load.calls} calls")
    if "subscribe_all" in sys.argv[3:]:
        turn_off_and_on(reloads, stage.asterisk, stage, watch)
    print(f"{bridge.log_count('reloaded: ')} reloads, {load.calls} calls, {len(bridge.events)} "
          f"events, {len(numbers)} numbered: none lost, none doubled")
    reloads.gateway.close()
    watch.close()
    bridge.stop()


def main():
    if len(sys.argv) not in (3, 4) or sys.argv[2] not in ("22", "16"):
        sys.exit("usage: asterisk_reload.py ARIZMQD 22|16 [subscribe_all]")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with Stage(sys.argv[1]) as stage:
            run(stage, sys.argv[2])
    except (Failed, call.CallFailed) as error:
        sys.exit(f"asterisk_reload.py {sys.argv[2]}: {error}")


if __name__ == "__main__":
    main()
