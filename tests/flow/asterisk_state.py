#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""The bridge's state of a real Asterisk, one scenario a run:

    asterisk_state.py ARIZMQD FAULT_PROXY RELEASE SCENARIO

The snapshot is held against two others: what Asterisk itself lists, object by object, and the fold
of all published events from the start by tests/interop/fold.py, which knows nothing of the daemon.
Exit status 77 where there can be no Asterisk.
"""
import json
import os
import pathlib
import signal
import struct
import subprocess
import sys
import threading
import urllib.parse

import zmq

import asterisk_stage
from asterisk_stage import Bridge, Failed, Stage, call, check, die_with_parent, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop"))
from fold import Fold, lists_of  # noqa: E402

LISTS = {"channels": lambda item: item["id"], "bridges": lambda item: item["id"],
         "endpoints": lambda item: f"{item['technology']}/{item['resource']}"}
# What Asterisk changes without telling of it in any event.
SILENT = {"channels": (), "bridges": ("technology",), "endpoints": ()}


class FoldingBridge(Bridge):
    """Folds from the start on, and asks the gateway."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.fold, self.texts = Fold([("pbx1", "ivr")]), []
        self.commands = self.context.socket(zmq.DEALER)
        self.commands.setsockopt(zmq.LINGER, 0)
        self.commands.connect(self.gateway)

    def read(self):
        while self.socket.poll(0):
            topic, text, stamp = self.socket.recv_multipart()
            _, seq, received_ns, *_ = struct.unpack(f"!{len(stamp) // 8}Q", stamp)
            is_heartbeat = topic.startswith(b"ArizmqHeartbeat/")
            check(self.seq is None or seq == self.seq + (not is_heartbeat),
                  f"seq {seq} after {self.seq}: {topic}")
            self.seq = seq
            if not is_heartbeat:
                event = json.loads(text)
                self.events.append((topic.decode(), event))
                self.texts.append((seq, event, received_ns))
        return self.events

    def snapshot(self):
        self.commands.send_multipart([b'{"method":"GET","uri":"arizmq/snapshot"}'])
        check(self.commands.poll(30000), "no snapshot")
        header, body = self.commands.recv_multipart()
        check(json.loads(header)["status_code"] == 200, f"{header}: {body[:200]}")
        return json.loads(body)

    def fold_to(self, seq):
        """Everything published up to that seq."""
        def has_come():
            self.read()
            return self.seq is not None and self.seq >= seq
        wait_until(f"the events up to {seq}", has_come)
        while self.texts and self.texts[0][0] <= seq:
            _, event, received_ns = self.texts.pop(0)
            self.fold.take("pbx1", event, received_ns)

    def reconciled(self, after):
        """Waits for the next comparison that is complete; its position and event."""
        position = self.wait_for_type("ArizmqNodeReconciled", after, complete=True)
        return position, self.events[position - 1][1]


class Proxy:
    def __init__(self, program, port):
        self.process = subprocess.Popen([program, str(port)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1,
                                        preexec_fn=die_with_parent)
        self.port = int(self.process.stdout.readline().split()[1])
        self.answers = 0
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.answers += line.startswith("ok")

    def do(self, command):
        before = self.answers
        self.process.stdin.write(command + "\n")
        wait_until(command, lambda: self.answers > before)

    def stop(self):
        self.process.stdin.close()
        self.process.wait(asterisk_stage.TIMEOUT_S)


def originate(ari, name, extension="silent", app=None):
    """A channel of that id, and its other half, which runs far/EXTENSION."""
    where = {"app": app} if app else {"context": "far", "extension": "silent"}
    ari.must("POST", "channels", endpoint=f"Local/{extension}@far/n", channelId=name, **where)


def values(snapshot, name):
    return {LISTS[name](item["value"]): item["value"] for item in snapshot[name]}


def without(item, names):
    return {name: value for name, value in item.items() if name not in names}


def check_lists(bridge, ari, silent=SILENT):
    """Snapshot, Asterisk's lists and fold are the same. Both are asked until nothing changes between
    the two, since Asterisk goes on meanwhile."""
    def differences():
        snapshot = bridge.snapshot()
        lists = {name: {LISTS[name](item): item for item in ari.must("GET", name)}
                 for name in LISTS}
        again = bridge.snapshot()
        if again["seq"] != snapshot["seq"]:
            return ["events come"]
        bridge.fold_to(snapshot["seq"])
        check(lists_of(snapshot) == bridge.fold.lists(), "the fold is not the snapshot")
        found = []
        for name, listed in lists.items():
            held = values(snapshot, name)
            found += [f"{name}: {key} is only in the snapshot: {held[key]}"
                      for key in held.keys() - listed.keys()]
            found += [f"{name}: {key} is only in Asterisk: {listed[key]}"
                      for key in listed.keys() - held.keys()]
            found += [f"{name}: {held[key]} is {listed[key]}" for key in held.keys() & listed.keys()
                      if without(held[key], silent[name]) != without(listed[key], silent[name])]
        for name, place in (("playbacks", "playbacks"), ("recordings", "recordings/live"),
                            ("deviceStates", "deviceStates")):
            for item in snapshot[name]:
                value = item["value"]
                key = urllib.parse.quote(value.get("id", value.get("name")), safe="")
                status, answer = ari.request("GET", f"{place}/{key}")
                if (status, answer) != (200, value):
                    found.append(f"{name}: {value} is {status} {answer}")
        return found
    last = []

    def is_same():
        last[:] = differences()
        return not last
    try:
        wait_until("snapshot and lists are the same", is_same)
    except Failed as error:
        raise Failed(f"{error}: {last[:5]}") from None
    return bridge.snapshot()


def start(stage, release, proxy_program):
    stage.asterisk.start("--release", release)
    proxy = Proxy(proxy_program, stage.asterisk.port)
    stage.bridges.append(FoldingBridge(stage.program, stage.directory, stage.asterisk,
                                       "    subscribe_all: true\n",
                                       {"pbx1": f"ws://127.0.0.1:{proxy.port}/ari"}))
    bridge = stage.bridges[-1]
    bridge.join()
    position, _ = bridge.reconciled(0)
    return bridge, proxy, position


def make_scene(ari):
    """Something of each kind, with names that have to be encoded in a path."""
    for i in range(6):
        originate(ari, f"before-{i}", app="ivr" if i < 3 else None)
    wait_until("the calls are in the application", lambda: len(
        [1 for i in range(3) if ari.request("GET", f"channels/before-{i}")[1]["state"] == "Up"]) == 3)
    for name in ("stays", "goes"):
        ari.must("POST", f"bridges/{name}", type="mixing")
    ari.must("POST", "bridges/stays/addChannel", channel="before-0,before-1")
    ari.must("POST", "channels/before-2/play/p-long", media="sound:tt-monkeys,sound:tt-monkeys")
    ari.must("POST", "channels/before-1/play/p-short", media="sound:hello-world")
    ari.must("POST", "bridges/stays/record", name="dir/a name+plus", format="wav")
    ari.must("PUT", "deviceStates/Stasis:lamp", deviceState="INUSE")
    ari.must("PUT", "deviceStates/Stasis:steady", deviceState="INUSE")


def happen(ari, calls):
    """What the bridge does not hear of: calls that come and go, objects that change and end."""
    for i in range(calls):
        originate(ari, f"unheard-{i}")
        ari.must("DELETE", f"channels/unheard-{i}")
    for i in (3, 4):
        ari.must("DELETE", f"channels/before-{i}")
    for i in range(4):
        originate(ari, f"during-{i}")
    ari.must("DELETE", "bridges/goes")
    ari.must("POST", "bridges/comes", type="mixing")
    ari.must("POST", "bridges/stays/removeChannel", channel="before-1")
    ari.must("PUT", "deviceStates/Stasis:lamp", deviceState="NOT_INUSE")
    wait_until("the short playback is over",
               lambda: ari.request("GET", "playbacks/p-short")[0] == 404)
    wait_until("the calls are gone", lambda: not [
        item for item in ari.must("GET", "channels") if item["id"].startswith("unheard")])


def scenario_outage(stage, release, proxy_program):
    """Calls made and ended while the WebSocket is cut, several times over."""
    bridge, proxy, position = start(stage, release, proxy_program)
    ari = stage.asterisk.ari
    make_scene(ari)
    check_lists(bridge, ari)
    proxy.do("refuse")
    proxy.do("reset")
    position = bridge.wait_for_type("ArizmqNodeDisconnected", position)
    happen(ari, 50)
    proxy.do("clear")
    position, event = bridge.reconciled(position)
    told = [(one["kind"], one["id"]) for _, one in bridge.events
            if one["type"] in ("ArizmqObjectFound", "ArizmqObjectLost")]
    check(not [name for _, name in told if name.startswith("unheard")],
          f"told of calls that came and went: {told}")
    for one in (("channel", "before-3"), ("channel", "during-0"), ("bridge", "goes"),
                ("bridge", "comes"), ("device", "Stasis:lamp"), ("playback", "p-short")):
        check(one in told, f"{one} is not among {told}")
    for one in (("device", "Stasis:steady"), ("playback", "p-long"),
                ("recording", "dir/a name+plus")):
        check(one not in told, f"{one} is told, and has not changed: {told}")
    print(f"{release}: after the outage {event['found']} new, {event['changed']} changed, "
          f"{event['lost']} lost")
    # Compared just now, so that nothing is silent any more.
    snapshot = check_lists(bridge, ari, {name: () for name in LISTS})
    check(all(link["complete"] for link in snapshot["links"]), f"{snapshot['links']}")
    for _ in range(5):  # nothing happens: nothing is told
        before = len(bridge.read())
        proxy.do("reset")
        position, event = bridge.reconciled(position)
        told = [one for _, one in bridge.events[before:]
                if one["type"] in ("ArizmqObjectFound", "ArizmqObjectLost")]
        check(not told, f"after a flap: {told}")
    check_lists(bridge, ari)
    bridge.stop()
    proxy.stop()


def scenario_restart(stage, release, proxy_program):
    """Another process on the same port: what the first one had is lost for that reason."""
    bridge, proxy, position = start(stage, release, proxy_program)
    ari = stage.asterisk.ari
    make_scene(ari)
    check_lists(bridge, ari)
    port = stage.asterisk.port
    os.kill(int(stage.asterisk.values["pid"]), signal.SIGKILL)  # so that it says no last word
    bridge.wait_for_type("ArizmqNodeDisconnected", position)
    stage.asterisk.stop()
    stage.asterisk.start("--release", release, "--http-port", str(port))
    position = bridge.wait_for_type("ArizmqNodeRestarted", position)
    position, event = bridge.reconciled(position)
    lost = {(one["kind"], one["reason"]) for _, one in bridge.events
            if one["type"] == "ArizmqObjectLost"}
    check({kind for kind, _ in lost} >= {"channel", "bridge", "playback", "recording"} and
          {reason for _, reason in lost} == {"restart"}, f"{lost}")
    snapshot = check_lists(bridge, stage.asterisk.ari)
    check(not snapshot["channels"] and not snapshot["bridges"], "something has survived")
    bridge.stop()
    proxy.stop()


class Worker:
    """Answers each call of the application, plays, and hangs up; leaves the last ones."""

    def __init__(self, ari, leave):
        self.ari, self.leave, self.done = ari, set(leave), 0

    def take(self, event):
        if event["type"] == "StasisStart" and event["channel"]["id"].startswith("call-"):
            name = event["channel"]["id"]
            self.ari.request("POST", f"channels/{name}/play/{name}-p", media="sound:hello-world")
            if name not in self.leave:
                self.ari.request("DELETE", f"channels/{name}")
        self.done += (event["type"] == "ChannelDestroyed" and
                      event["channel"]["id"].startswith("call-") and
                      not event["channel"]["id"].endswith(";2"))


def scenario_thousand(stage, release, proxy_program, calls=1000, at_a_time=10):
    """A thousand calls, of which five stay: who joins then has what is there."""
    bridge, proxy, _ = start(stage, release, proxy_program)
    ari = stage.asterisk.ari
    names = [f"call-{i}" for i in range(calls)]
    worker, taken, placed = Worker(ari, names[::calls // 5]), 0, 0

    def go_on():
        nonlocal taken, placed
        while placed < calls and placed - worker.done - 5 < at_a_time:
            originate(ari, names[placed], app="ivr")
            placed += 1
        for _, event in bridge.read()[taken:]:
            worker.take(event)
            taken += 1
        return worker.done == calls - 5
    deadline = asterisk_stage.TIMEOUT_S
    asterisk_stage.TIMEOUT_S = 600
    wait_until("all calls are over", go_on)
    asterisk_stage.TIMEOUT_S = deadline
    snapshot = check_lists(bridge, ari)
    left = sorted(key for key in values(snapshot, "channels") if not key.endswith(";2"))
    check(left == sorted(worker.leave), f"{left} are there")
    print(f"{release}: {calls} calls, {snapshot['seq']} events; "
          f"{sum(len(items) for items in lists_of(snapshot).values())} objects in the snapshot")
    bridge.stop()
    proxy.stop()


def main():
    scenarios = {name.removeprefix("scenario_"): function for name, function in globals().items()
                 if name.startswith("scenario_")}
    if len(sys.argv) != 5 or sys.argv[4] not in scenarios:
        sys.exit(f"usage: asterisk_state.py ARIZMQD FAULT_PROXY RELEASE {'|'.join(scenarios)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with Stage(sys.argv[1]) as stage:
            scenarios[sys.argv[4]](stage, sys.argv[3], sys.argv[2])
    except (Failed, call.CallFailed) as error:
        sys.exit(f"asterisk_state.py {sys.argv[4]}: {error}")


if __name__ == "__main__":
    main()
