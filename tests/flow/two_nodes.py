#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""Two real Asterisks behind one bridge:

    two_nodes.py ARIZMQD

A worker that knows nothing of nodes answers, marks and ends 200 calls on each, all of them alive at
once. A proxy before each Asterisk keeps what that one was asked: every command has to be there once
at its owner, and nowhere else. After that what no owner can be found for, and a node that is down.
"""
import collections
import contextlib
import json
import re
import signal
import sys
import threading
import time
import urllib.parse

from asterisk_stage import ROOT, SKIP, Failed, Stage, call, check, wait_until
from gateway import Direct, Gateway
from proxy import Proxy

try:
    import jsonschema
except ImportError:
    print("skipped: python3-jsonschema is not installed")
    sys.exit(SKIP)

CALLS = 200  # on each node
CHOSEN = 50  # in all, whose ids the worker chooses
NODES = ("pbx1", "pbx2")
STEPS = [("POST", "answer", {}), ("POST", "variable", {"variable": "SEEN", "value": "yes"}),
         ("DELETE", "", {})]


class Pair:
    """The two Asterisks, the proxies before them, and the bridge behind those."""

    def __init__(self, stage):
        asterisks = [stage.asterisk, stage.another_asterisk("pbx2")]
        for asterisk in asterisks:
            asterisk.start()
        self.asterisk = dict(zip(NODES, asterisks))
        self.proxy = {name: Proxy(one.port) for name, one in self.asterisk.items()}
        self.direct = {name: Direct(one) for name, one in self.asterisk.items()}
        self.bridge = stage.bridge(urls={
            name: f"ws://127.0.0.1:{proxy.port}/ari" for name, proxy in self.proxy.items()})
        self.bridge.join()
        self.bridge.wait_for_log("node_connected", 2)
        self.gateway = Gateway(self.bridge.gateway)
        # It asks each what it has, before anything else can be counted.
        wait_until("both nodes are up", lambda: all(
            node["state"] == "up" and node["version"] for node in self.nodes().values()))

    def nodes(self):
        header, text = self.gateway.call("GET", "arizmq/nodes")
        check(header["status_code"] == 200 and header["source"] == "bridge", f"{header}")
        validate("arizmq-nodes", json.loads(text))
        return {node["name"]: node for node in json.loads(text)["nodes"]}

    def asked(self, text):
        """What each node was asked that has the text in its target."""
        return {name: [request for request in list(proxy.requests) if text in request[1]]
                for name, proxy in self.proxy.items()}

    def asked_nothing(self, text):
        for name, requests in self.asked(text).items():
            check(not requests, f"{name} was asked {requests}")

    def close(self):
        self.gateway.close()
        for proxy in self.proxy.values():
            proxy.close()


def validate(name, value):
    schema = json.loads((ROOT / f"schemas/{name}.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(value)


def expect(reply, status, error=None, **members):
    """Checks the header of one of the replies; returns the body's message or the body."""
    header, text = reply
    validate("reply", header)
    is_so = (header["status_code"] == status and header.get("error") == error and
             header["source"] == ("bridge" if error else "asterisk") and
             all(header.get(name) == value for name, value in members.items()))
    check(is_so, f"wanted {status} {error} {members}: {header} {text!r}")
    body = json.loads(text) if text else None
    return body["message"] if error else body


class Worker:
    """Takes every call from StasisStart on through STEPS; names no node."""

    def __init__(self, pair):
        self.pair = pair
        self.position = len(pair.bridge.read())
        self.under_way = {}  # request_id: (channel, step)
        self.seen = collections.Counter()  # StasisStart by node
        self.ended = collections.Counter()  # StasisEnd by node
        self.owner = {}  # channel: node, as the topic says
        self.done = 0  # channels
        self.waiting = []  # marked, and to be ended once all are there

    def send(self, channel, step):
        method, verb, query = STEPS[step]
        uri = "/".join(filter(None, ["channels", urllib.parse.quote(channel, safe=""), verb]))
        request_id = self.pair.gateway.send(method, uri, query_strings=query)
        self.under_way[request_id] = (channel, step)

    def take_events(self):
        events = self.pair.bridge.read()
        for topic, event in events[self.position:]:
            node = topic.split("/")[2]
            if event["type"] == "StasisStart":
                self.seen[node] += 1
                self.owner[event["channel"]["id"]] = node
                self.send(event["channel"]["id"], 0)
            elif event["type"] == "StasisEnd":
                self.ended[node] += 1
        self.position = len(events)

    def take_replies(self):
        while self.under_way and self.pair.gateway.socket.poll(1):
            reply = self.pair.gateway.receive()
            channel, step = self.under_way.pop(reply[0]["request_id"])
            expect(reply, 204, node=self.owner[channel])
            if step == 0:
                self.send(channel, 1)
            elif step == 1:
                self.waiting.append(channel)
            else:
                self.done += 1

    def turn(self):
        self.take_events()
        self.take_replies()

    def end_calls(self):
        for channel in self.waiting:
            self.send(channel, 2)
        self.waiting = []

    def run_until(self, what, is_so):
        def turn():
            self.turn()
            return is_so()
        wait_until(what, turn)


def place_calls(pair, node):
    """Half of the channels have ids of Asterisk's, the others of ours."""
    for number in range(CALLS):
        ids = {"channelId": f"{node}-{number}", "otherChannelId": f"{node}-{number}-in"}
        pair.direct[node].must("POST", "/channels", endpoint="Local/ivr@apps/n", context="far",
                               extension="silent", **(ids if number % 2 else {}))


def check_owners(pair, owner):
    """Every step of every channel was asked once, of its owner; nobody else heard of it."""
    wanted = {name: collections.Counter() for name in NODES}
    for channel, node in owner.items():
        for method, verb, _ in STEPS:
            wanted[node][(method, channel, verb)] += 1
    for node in NODES:
        asked = collections.Counter()
        for method, target in list(pair.proxy[node].requests):
            match = re.fullmatch(r"/ari/channels/([^/?]+)(?:/([a-z]+))?(?:\?.*)?", target)
            if match:
                asked[(method, urllib.parse.unquote(match[1]), match[2] or "")] += 1
        wrong = {one for one in asked | wanted[node] if asked[one] != wanted[node][one]}
        check(not wrong, f"{node} was asked {[(one, asked[one]) for one in list(wrong)[:5]]}; "
              f"wanted {[(one, wanted[node][one]) for one in list(wrong)[:5]]}")
        print(f"{node}: {sum(asked.values())} commands to {sum(wanted[node].values()) // 3} "
              "channels of its own, none to another's")


def part_calls(pair):
    """200 calls on each node."""
    worker = Worker(pair)
    placers = [threading.Thread(target=place_calls, args=(pair, node), daemon=True)
               for node in NODES]
    for placer in placers:
        placer.start()
    worker.run_until("all calls are marked", lambda: len(worker.waiting) == 2 * CALLS)
    check(worker.seen == {name: CALLS for name in NODES}, f"{worker.seen}")
    nodes = pair.nodes()
    for name in NODES:
        check(nodes[name]["calls"] >= CALLS, f"{nodes[name]}")
        lost = [one["id"] for one in pair.direct[name].must("GET", "/channels")
                if worker.owner.get(one["id"]) not in (name, None)]
        check(not lost, f"{name} has {lost}")
    worker.end_calls()
    worker.run_until("all calls are over", lambda: worker.done == 2 * CALLS and
                     worker.ended == {name: CALLS for name in NODES})
    for placer in placers:
        placer.join()
    check_owners(pair, worker.owner)
    return worker.owner


def part_chosen(pair, owner):
    """Channels whose id the worker chooses: it commands them before it has read that they exist."""
    creator = Gateway(pair.bridge.gateway)
    worker = Worker(pair)
    # As many digits each: Asterisk takes an id that another one begins with for taken.
    for number in range(CHOSEN):
        creator.send("POST", "channels", query_strings={
            "endpoint": "Local/silent@far/n", "app": "ivr", "channelId": f"chosen-{number:03}"})
    worker.run_until("the chosen ones are marked", lambda: len(worker.waiting) == CHOSEN)
    worker.end_calls()
    worker.run_until("the chosen ones are over", lambda: worker.done == CHOSEN)
    for _ in range(CHOSEN):
        header, text = creator.receive()
        created = expect((header, text), 200)
        check(worker.owner[created["id"]] == header["node"], f"{header} {created}")
    creator.close()
    spread = collections.Counter(worker.owner.values())
    check(all(spread[name] >= CHOSEN // 3 for name in NODES), f"not spread: {spread}")
    check_owners(pair, {**owner, **worker.owner})
    print(f"ids chosen by the client: {dict(spread)}")


def part_unknown(pair):
    """Objects that are on two nodes, on none, or on one that has not told."""
    gateway = pair.gateway
    expect(gateway.call("POST", "bridges/both", node="pbx1"), 200, node="pbx1")
    expect(gateway.call("POST", "channels", node="pbx2", query_strings={
        "endpoint": "Local/silent@far/n", "app": "ivr", "channelId": "far-away"}), 200, node="pbx2")
    message = expect(gateway.call("POST", "bridges/both/addChannel", query_strings={
        "channel": "far-away"}), 409, "conflict")
    check(all(word in message for word in ("both", "pbx1", "far-away", "pbx2")), message)
    pair.asked_nothing("addChannel")
    message = expect(gateway.call("POST", "channels/nobody-has-it/answer"), 404, "no_such_object")
    check("nobody-has-it" in message, message)
    pair.asked_nothing("nobody-has-it")
    header, text = gateway.call("GET", "channels/nobody-has-it")
    check(header["status_code"] == 404, f"{header} {text!r}")
    check(pair.asked("nobody-has-it") == {
        name: [("GET", "/ari/channels/nobody-has-it")] for name in NODES}, "not asked of both, once")
    # Made behind the bridge's back, outside its application.
    pair.direct["pbx2"].must("POST", "/channels", endpoint="Local/silent@far/n", context="far",
                             extension="silent", channelId="hidden")
    found = expect(gateway.call("GET", "channels/hidden"), 200, node="pbx2")
    check(found["id"] == "hidden", f"{found}")
    check(pair.asked("hidden") == {name: [("GET", "/ari/channels/hidden")] for name in NODES},
          "not asked of both, once")
    expect(gateway.call("DELETE", "channels/hidden"), 204, node="pbx2")
    check(("DELETE", "/ari/channels/hidden") not in pair.asked("hidden")["pbx1"], "of both")
    expect(gateway.call("DELETE", "bridges/both"), 204, node="pbx1")
    message = expect(gateway.call("GET", "asterisk/ping", node="pbx3"), 404, "no_such_node")
    check("pbx3" in message, message)


def part_down(pair):
    """pbx2 ends, while pbx1 answers, and comes back."""
    gateway, asterisk = pair.gateway, pair.asterisk["pbx2"]
    position = len(pair.bridge.read())
    asterisk.stop()
    pair.bridge.wait_for_type("ArizmqNodeDisconnected", position, node="pbx2")
    asked = len(pair.proxy["pbx2"].requests)
    begin = time.monotonic()
    expect(gateway.call("POST", "channels/far-away/ring"), 503, "node_down", node="pbx2")
    expect(gateway.call("GET", "asterisk/ping", node="pbx2"), 503, "node_down", node="pbx2")
    message = expect(gateway.call("POST", "channels/nobody-has-it/answer"), 503, "node_down")
    check("pbx2" in message, message)
    elapsed = time.monotonic() - begin
    check(elapsed < 1, f"{elapsed} s for three answers of the bridge's own")
    for _ in range(20):
        expect(gateway.call("GET", "asterisk/ping"), 200, node="pbx1")
    expect(gateway.call("POST", "channels", query_strings={
        "endpoint": "Local/silent@far/n", "app": "ivr", "channelId": "here"}), 200, node="pbx1")
    expect(gateway.call("DELETE", "channels/here"), 204, node="pbx1")
    commands = [one for one in pair.proxy["pbx2"].requests[asked:]
                if not one[1].startswith("/ari/events?")]
    check(not commands, f"pbx2 was asked {commands}")
    nodes = pair.nodes()
    check([nodes[name]["state"] for name in NODES] == ["up", "down"], f"{nodes}")
    check(nodes["pbx2"]["last_error"], f"{nodes['pbx2']}")
    asterisk.start("--http-port", str(asterisk.port))
    pair.bridge.wait_for_type("ArizmqNodeConnected", position, node="pbx2", reconnect=True)
    wait_until("pbx2 is up", lambda: pair.nodes()["pbx2"]["state"] == "up")
    expect(gateway.call("GET", "asterisk/ping", node="pbx2"), 200, node="pbx2")
    # What it had it has no more, and who asks hears it.
    header, text = gateway.call("POST", "channels/far-away/ring")
    check(header["status_code"] == 404, f"{header} {text!r}")


def run(program):
    with Stage(program) as stage:
        with contextlib.closing(Pair(stage)) as pair:
            header, text = pair.gateway.call("GET", "arizmq/info")
            check(header["status_code"] == 200, f"{header}")
            validate("arizmq-info", json.loads(text))
            owner = part_calls(pair)
            part_chosen(pair, owner)
            part_unknown(pair)
            part_down(pair)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: two_nodes.py ARIZMQD")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run(sys.argv[1])
    except (Failed, call.CallFailed) as error:
        sys.exit(f"two_nodes.py: {error}")
    except jsonschema.ValidationError as error:
        sys.exit(f"two_nodes.py: not as its schema says: {error}")


if __name__ == "__main__":
    main()
