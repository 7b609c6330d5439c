#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""The bridge with a real Asterisk, one scenario a run:

    asterisk.py ARIZMQD SCENARIO

Starts an Asterisk of its own with tests/asterisk/run, arizmqd, and subscribers; exit status 77 where
there can be no Asterisk, with the reason. SCENARIO is a function below whose name begins with
scenario_.
"""
import base64
import collections
import contextlib
import http.client
import json
import signal
import sys
import threading
import time

from asterisk_stage import TIMEOUT_S, Client, Failed, Stage, call, check, wait_until


def check_call(events):
    """The events of the application's one channel, in the order of the call."""
    start = next(event for _, event in events if event["type"] == "StasisStart")
    channel = start["channel"]["id"]
    playback = channel + "-hello"
    of_call = [event for _, event in events
               if event.get("channel", {}).get("id") == channel
               or event.get("playback", {}).get("id") == playback]
    order = [event["type"] for event in of_call]
    digits = [event["digit"] for event in of_call if event["type"] == "ChannelDtmfReceived"]
    check(digits == list("1234#"), f"digits {digits}")
    for one in ("StasisStart", "PlaybackStarted", "PlaybackFinished", "StasisEnd"):
        check(order.count(one) == 1, f"{order.count(one)} {one}")
    places = [order.index(one)
              for one in ("StasisStart", "PlaybackStarted", "PlaybackFinished", "StasisEnd")]
    check(places == sorted(places), f"in the order {order}")
    check(places[0] < order.index("ChannelDtmfReceived") < places[3], f"in the order {order}")
    for topic, event in events:
        if event["type"] == "StasisStart":
            check(topic == f"StasisStart/ivr/pbx1/{event['channel']['id']}/", topic)


def scenario_call(stage):
    """Calls, as the bridge publishes them and as another application hears them."""
    stage.asterisk.start()
    watch = Client(stage.asterisk, "watch", subscribe_all=True)
    bridge = stage.bridge("    subscribe_all: true\n")
    bridge.join()
    bridge.wait_for_log("node_connected")
    wait_until("the bridge's application", lambda: stage.asterisk.ari.request(
        "GET", "applications/ivr")[0] == 200)
    calls = 3
    position = 0
    for _ in range(calls):
        begin = len(bridge.read())
        stage.asterisk.place_calls()
        position = bridge.wait_for_type("StasisEnd", begin)
        check_call(bridge.events[begin:position])
    compared = ("Channel", "Playback", "Dial")

    def counts(types):
        return {name: number for name, number in types.items() if name.startswith(compared)}

    def bridge_counts():
        return counts(collections.Counter(event["type"] for _, event in bridge.read()))

    # A call is two channels.
    wait_until("the end of every channel", lambda: bridge_counts().get(
        "ChannelDestroyed") == 2 * calls == watch.types()["ChannelDestroyed"])
    with contextlib.suppress(Failed):  # the last few on their way
        wait_until("equal counts", lambda: bridge_counts() == counts(watch.types()))
    check(bridge_counts() == counts(watch.types()),
          f"{bridge_counts()} here, {counts(watch.types())} there")
    check(bridge_counts()["ChannelDtmfReceived"] >= 5 * calls, f"{bridge_counts()}")
    watch.close()
    bridge.stop()


def scenario_tls(stage):
    """wss:// with an authority of one's own; without it nothing is connected."""
    stage.asterisk.start("--tls")
    values = stage.asterisk.values
    bridge = stage.bridge(f"    tls: {{ca_file: {values['ca_file']}}}\n", {"pbx1": values["tls_url"]})
    bridge.join()
    bridge.wait_for_log("node_connected")
    stage.asterisk.place_calls()
    end = bridge.wait_for_type("StasisEnd")
    check_call(bridge.events[:end])
    bridge.stop()
    distrustful = stage.bridge(urls={"pbx1": values["tls_url"]})
    distrustful.wait_for_log("node_connect_failed", 3)
    check(distrustful.log_count("node_connected") == 0, "connected to whom nobody vouches for")
    distrustful.stop()


class DeviceStates:
    """Changes a device state as fast as one connection can, until told to stop."""

    def __init__(self, asterisk):
        self.asterisk = asterisk
        self.is_over = threading.Event()
        self.changes = 0
        self.thread = threading.Thread(target=self.change, daemon=True)
        self.thread.start()

    def change(self):
        headers = {"Authorization": "Basic " + base64.b64encode(b"lab:secret").decode()}
        connection = http.client.HTTPConnection("127.0.0.1", self.asterisk.port, timeout=TIMEOUT_S)
        while not self.is_over.is_set():
            state = "INUSE" if self.changes % 2 else "NOT_INUSE"
            connection.request("PUT", f"/ari/deviceStates/Stasis:x?deviceState={state}",
                               headers=headers)
            connection.getresponse().read()
            self.changes += 1
            time.sleep(0.002)
        connection.close()

    def stop(self):
        self.is_over.set()
        self.thread.join(TIMEOUT_S)
        check(not self.thread.is_alive(), "Asterisk does not take device states any more")


def scenario_stop(stage):
    """Twenty orderly stops while device states change, which can lock Asterisk up for good."""
    stage.asterisk.start()
    states = DeviceStates(stage.asterisk)
    for number in range(20):
        bridge = stage.bridge("    subscribe_all: true\n")
        bridge.join()
        bridge.wait_for_event("20 device states", lambda *_: sum(
            event["type"] == "DeviceStateChanged" for _, event in bridge.events) >= 20)
        bridge.process.terminate()
        bridge.wait_for_type("ArizmqStopping")
        bridge.stop()
        # Asterisk 22 destroys the application with its connection.
        wait_until(f"stop {number + 1}: Asterisk answers and the application is gone",
                   lambda: stage.asterisk.ari.request("GET", "applications/ivr")[0] == 404)
        check(stage.asterisk.ari.request("GET", "applications")[0] == 200, "no applications")
    states.stop()
    check(states.changes > 400, f"only {states.changes} changes")


def scenario_subscribe_all(stage):
    """subscribeAll=true is ignored for an application that is there already; the bridge sees it."""
    stage.asterisk.start()
    other = Client(stage.asterisk, "ivr")
    bridge = stage.bridge("    subscribe_all: true\n")
    bridge.wait_for_log("subscribe_all_mended: ")
    bridge.wait_for_log("gap: ")
    check(bridge.log_count("may be missing (subscribe_all)") == 1, "no gap of that reason")
    check(bridge.metric("arizmq_subscribe_all_mended_total") == 1, "not counted")
    bridge.join()
    wait_until("the other client is told", lambda: other.types()["ApplicationReplaced"] == 1)
    check(stage.asterisk.ari.request("PUT", "deviceStates/Stasis:y", deviceState="BUSY")[0] < 300,
          "no device state")
    stage.asterisk.ari.must("POST", "channels", endpoint="Local/short@far/n", extension="silent",
                            context="far")
    bridge.wait_for_event("a device state", lambda _, event: event["type"] ==
                          "DeviceStateChanged" and event["device_state"]["name"] == "Stasis:y")
    bridge.wait_for_type("ChannelCreated")
    bridge.stop()
    # The application outlives the bridge, so the next start meets the same.
    again = stage.bridge("    subscribe_all: true\n")
    again.join()
    again.wait_for_log("node_connected")
    stage.asterisk.ari.must("PUT", "deviceStates/Stasis:y", deviceState="INUSE")
    stage.asterisk.ari.must("POST", "channels", endpoint="Local/short@far/n", extension="silent",
                            context="far")
    again.wait_for_type("ChannelCreated")
    again.stop()
    other.socket.close()


def scenario_replaced(stage):
    """Another client takes the application: no tug of war, and back when it is free."""
    stage.asterisk.start()
    bridge = stage.bridge("    replaced_retry_ms: 200\n")
    bridge.join()
    bridge.wait_for_log("node_connected")
    other = Client(stage.asterisk, "ivr")
    position = bridge.wait_for_type("ApplicationReplaced")
    position = bridge.wait_for_type("ArizmqNodeDisconnected", position, reason="replaced")
    bridge.wait_for_log("standby: ")
    asked = bridge.metric("arizmq_rest_requests_total")
    wait_until("the bridge asks whether it is free",
               lambda: bridge.metric("arizmq_rest_requests_total") >= asked + 3)
    stage.asterisk.place_calls()
    wait_until("the other client has the call", lambda: other.types()["StasisEnd"] == 1)
    check(other.types()["ApplicationReplaced"] == 0, "a tug of war")
    check(len(bridge.read()) == position, f"{bridge.events[position:]} in standby")
    check(bridge.metric("arizmq_links_standby") == 1, "not in standby")
    other.close()
    position = bridge.wait_for_type("ArizmqNodeConnected", position, reconnect=True)
    position = bridge.wait_for_type("ArizmqGap", position, reason="reconnect")
    stage.asterisk.place_calls()
    end = bridge.wait_for_type("StasisEnd", position)
    check_call(bridge.events[position:end])
    bridge.stop()


def scenario_restart(stage):
    """Asterisk ends and comes back on the same port."""
    stage.asterisk.start()
    bridge = stage.bridge("    subscribe_all: true\n")
    bridge.join()
    bridge.wait_for_log("node_connected")
    stage.asterisk.place_calls()
    position = bridge.wait_for_type("StasisEnd")
    check_call(bridge.events[:position])
    port = stage.asterisk.port
    stage.asterisk.stop()
    position = bridge.wait_for_type("ArizmqNodeDisconnected", position)
    bridge.wait_for_log("node_connect_failed", 1)
    stage.asterisk.start("--http-port", str(port))
    position = bridge.wait_for_type("ArizmqNodeConnected", position, reconnect=True)
    position = bridge.wait_for_type("ArizmqGap", position, reason="reconnect")
    gap = bridge.events[position - 1][1]
    check(gap["from"] < gap["to"], f"{gap}")
    stage.asterisk.place_calls()
    end = bridge.wait_for_type("StasisEnd", position)
    check_call(bridge.events[position:end])
    bridge.stop()


class Load:
    """Calls, one after the other, and a channel whose dialplan sends numbered user events, so that
    Asterisk itself says how many there are."""

    NUMBERS = 100000

    def __init__(self, stage, app="ivr"):
        self.stage, self.app = stage, app
        self.is_over = threading.Event()
        self.calls, self.failed = 0, None
        stage.asterisk.ari.must("POST", "channels", endpoint=f"Local/{self.NUMBERS}@paced/n",
                                extension="silent", context="far", channelId="paced-caller")
        self.thread = threading.Thread(target=self.call, daemon=True)
        self.thread.start()

    def call(self):
        while not self.is_over.is_set():
            try:
                self.stage.asterisk.place_calls(app=self.app)
                self.calls += 1
            except call.CallFailed as error:
                self.failed = error
                return

    def stop(self):
        self.is_over.set()
        self.thread.join(TIMEOUT_S)
        check(not self.thread.is_alive() and self.failed is None, f"calls: {self.failed}")
        self.stage.asterisk.ari.must("DELETE", "channels/paced-caller")


def without_application(events):
    """Each event of channels as often as it came, whoever it was sent to. What only the application
    that a channel is in is told (Stasis…) is left out, and the subject's own."""
    return collections.Counter(
        json.dumps({**event, "application": ""}, sort_keys=True) for event in events
        if event["type"].startswith(("Channel", "Dial")))


def numbers_of(events):
    return [int(event["userevent"]["n"]) for event in events
            if event["type"] == "ChannelUserevent" and event["eventname"] == "Paced"]


def check_takeover(old, new):
    """What the old one's end and the new one's begin look like."""
    kinds = collections.Counter(event["type"] for _, event in old.read())
    for kind in ("ArizmqNodeDisconnected", "ArizmqGap"):
        check(kinds[kind] == 0, f"{kinds[kind]} {kind} in the old one's stream")
    last = old.events[-1][1]
    check(last["type"] == "ArizmqStopping", f"its last event is {last}")
    check(last["successor"]["gateway"]["endpoint"] == new.gateway, f"its successor is {last}")
    check(not any(event["type"] == "ArizmqGap" for _, event in new.read()), "a gap")


def takeovers(stage, count):
    watch = Client(stage.asterisk, "watch", subscribe_all=True)
    bridges = [stage.bridge("    subscribe_all: true\n")]
    bridges[0].join()
    bridges[0].wait_for_log("node_connected")
    wait_until("the bridge's application", lambda: stage.asterisk.ari.request(
        "GET", "applications/ivr")[0] == 200)
    load = Load(stage)
    for number in range(count):
        old, new = bridges[-1], stage.bridge(
            "    subscribe_all: true\n", arguments=("--takeover", bridges[-1].gateway,
                                                      "--takeover-wait", "500"))
        bridges.append(new)
        new.join()
        new.wait_for_type("ArizmqNodeConnected", handover=True)
        old.wait_for_type("ArizmqStopping")
        wait_until("the old one has ended", lambda: old.process.poll() is not None)
        check(old.process.returncode == 0, f"takeover {number + 1}: {old.process.returncode}")
        check_takeover(old, new)
        after = load.calls
        wait_until("calls go on", lambda: load.calls > after or load.failed)
    load.stop()

    def told():
        return without_application(event for bridge in bridges for _, event in bridge.read())

    def heard():
        return without_application(list(watch.events))
    # The events from before the bridge was there, and after it, are of no call.
    with contextlib.suppress(Failed):
        wait_until("equal counts", lambda: told() == heard())
    check(not told() - heard(), f"doubled or made up: {list((told() - heard()).items())[:3]}")
    check(not heard() - told(), f"lost: {list((heard() - told()).items())[:3]}")
    numbers = numbers_of(event for bridge in bridges for _, event in bridge.events)
    check(sorted(numbers) == list(range(1, len(numbers) + 1)), "the numbers have a hole or repeat")
    check(len(numbers) > 100 * count and load.calls > count, f"{len(numbers)} in {load.calls} calls")
    starts = sum(event["type"] == "StasisStart" for bridge in bridges for _, event in bridge.events)
    ends = sum(event["type"] == "StasisEnd" for bridge in bridges for _, event in bridge.events)
    check(starts == ends == load.calls, f"{starts} starts and {ends} ends in {load.calls} calls")
    print(f"{count} takeovers, {load.calls} calls, {sum(heard().values())} events, "
          f"{len(numbers)} numbered: none lost, none doubled")
    watch.close()
    bridges[-1].stop()


def scenario_takeover(stage):
    """A bridge takes over from another one under calls, again and again: an observer of its own
    connection hears the same events as the subscriber to all the bridges."""
    stage.asterisk.start()
    takeovers(stage, 6)


def scenario_takeover_16(stage):
    """The same with Asterisk 16."""
    stage.asterisk.start("--release", "16")
    takeovers(stage, 2)


def main():
    scenarios = {name.removeprefix("scenario_"): function for name, function in globals().items()
                 if name.startswith("scenario_")}
    if len(sys.argv) != 3 or sys.argv[2] not in scenarios:
        sys.exit(f"usage: asterisk.py ARIZMQD {'|'.join(scenarios)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with Stage(sys.argv[1]) as stage:
            scenarios[sys.argv[2]](stage)
    except (Failed, call.CallFailed) as error:
        sys.exit(f"asterisk.py {sys.argv[2]}: {error}")


if __name__ == "__main__":
    main()
