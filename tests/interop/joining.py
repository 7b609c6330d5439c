# SPDX-License-Identifier: MPL-2.0
"""Joins exactly and misses nothing it can have: first every object that there is, then every event
after that; what was lost on the way comes from history. Holds the state, by the rules in README.md.

    joining.py tcp://127.0.0.1:5555 tcp://127.0.0.1:5558 /usr/local/share/arizmq/schemas/objects.json
"""
import json
import struct
import sys

import zmq

KINDS = {"channels": "channel", "bridges": "bridge", "playbacks": "playback",
         "recordings": "recording", "endpoints": "endpoint", "deviceStates": "device"}
ID_MEMBERS = {"recording": ["name"], "device": ["name"], "endpoint": ["technology", "resource"]}
LATE_NS = 10_000_000_000  # for so long after the last word on an object, events about it are late


def ask(gateway, uri, timeout_ms=5000, **query):
    """The reply's header, its body and the frames behind that; status 504 if nobody answers."""
    with zmq.Context.instance().socket(zmq.REQ) as socket:
        socket.linger = 0
        socket.connect(gateway)
        socket.send_string(json.dumps({"method": "GET", "uri": uri, "query_strings": query}))
        if not socket.poll(timeout_ms):
            return {"status_code": 504}, b"", []
        header, body, *frames = socket.recv_multipart()
        return json.loads(header), body, frames


def read(topic, event, stamp):
    epoch, seq, received_ns, *count = struct.unpack(f">{len(stamp) // 8}Q", stamp)
    return topic.decode(), event, epoch, seq, received_ns, count


def object_id(kind, value):
    return "/".join(value[member] for member in ID_MEMBERS.get(kind, ["id"]))


class Stream:
    """The view `events`, all of it: count[0], which numbers its messages, shows what is missing."""
    def __init__(self, events, gateway):
        self.gateway, self.socket = gateway, zmq.Context.instance().socket(zmq.SUB)
        self.socket.subscribe("")
        self.socket.connect(events)

    def join(self):
        """Waits for a heartbeat; what comes before it is in every snapshot taken after it."""
        count = [None, None]
        while count[1] != 0:
            *_, self.epoch, self.seq, _, count = read(*self.socket.recv_multipart())
        self.count = count[0]

    def repair(self, until, before):
        """The messages after the last one, up to seq `until` and before number `before`."""
        more = before > self.count + 1
        while more:
            header, _, frames = ask(self.gateway, "arizmq/history",
                                    epoch=self.epoch, after=self.seq, until=until)
            if header["status_code"] != 200:
                return  # nobody answers, or 410 compacted
            for message in map(read, frames[::3], frames[1::3], frames[2::3]):
                if self.count < message[-1][0] < before:
                    self.count = message[-1][0]
                    yield message
            self.seq, more = header["last"], header["more"]

    def receive(self):
        """The next message, after those that were missing. LookupError: not all can be had."""
        _, _, epoch, seq, _, count = message = read(*self.socket.recv_multipart())
        if epoch != self.epoch:
            raise LookupError("the bridge was started anew")
        is_heartbeat = count[1] == 0  # it has no number, but tells how far they are
        before = count[0] + 1 if is_heartbeat else count[0]
        yield from self.repair(seq if is_heartbeat else seq - 1, before)
        if before != self.count + 1:
            raise LookupError(f"{before - self.count - 1} messages lost before seq {seq}")
        self.seq, self.count = seq, count[0]
        yield from [] if is_heartbeat else [message]


class State:
    """The last value of every object, by node, application, kind and id."""
    def __init__(self, table, snapshot):
        self.rules = table["types"]
        self.hears_all = {(k["node"], k["app"]) for k in snapshot["links"] if k["subscribe_all"]}
        self.objects = {(i["node"], i["app"], kind, object_id(kind, i["value"])): i["value"]
                        for name, kind in KINDS.items() for i in snapshot.get(name, [])}
        self.ended = {(i["node"], i["app"], i["kind"], i["id"]): i["received_ns"]
                      for i in snapshot["ended"]}

    def find(self, event, rule):
        value, holder, at = event, None, rule["path"].split(".")
        for member in at:
            holder, value = value, value.get(member) if isinstance(value, dict) else None
        if rule.get("form") == "endpoint" and value:
            return object_id("endpoint", value), value
        return value, holder if value and at[-1:] == ID_MEMBERS.get(rule["kind"], ["id"]) else None

    def fold(self, topic, event, received_ns):
        name, _, node, *_ = topic.split("/")
        try:
            event = {} if name == "ArizmqUnparsed" else json.loads(event)
        except (ValueError, RecursionError):
            event = {}  # no JSON inside, or nested too deeply: it tells of no object
        link = node, event.get("application")
        what = event.get("reason") if name == "ArizmqNodeDisconnected" else name
        gone = {"ArizmqGap": [self.ended], "removed": [self.ended, self.objects]}.get(what, [])
        for held, key in [(held, key) for held in gone for key in held if key[:2] == link]:
            del held[key]
        for rule in self.rules.get(name, self.rules["*"]):
            id, value = self.find(event, rule) if "kind" in rule else (None, None)
            key = (*link, rule.get("kind"), id)
            ends = rule.get("ends") and (name != "StasisEnd" or link not in self.hears_all)
            is_late = received_ns - self.ended.get(key, 0) < LATE_NS
            if id and (ends or (name == "ArizmqObjectLost" and value)):
                self.objects.pop(key, None)
                self.ended[key] = received_ns
            elif value and (not is_late or rule.get("begins") or name == "ArizmqObjectFound"):
                self.objects[key] = value
                self.ended.pop(key, None)
        if len(self.ended) > 10000:
            self.ended = {k: t for k, t in self.ended.items() if received_ns - t < LATE_NS}


def follow(events, gateway, table):
    """Yields (state, seq, event) for the snapshot, event None, and then for each event."""
    stream = Stream(events, gateway)
    while True:
        stream.join()
        header, body, _ = ask(gateway, "arizmq/snapshot")
        snapshot = json.loads(body) if header["status_code"] == 200 else {"epoch": None}
        if snapshot["epoch"] != stream.epoch:
            continue  # there is none yet, or it is another run's
        state = State(table, snapshot)
        yield state, snapshot["seq"], None
        try:
            while True:
                for topic, event, _, seq, received_ns, _ in stream.receive():
                    if seq > snapshot["seq"]:
                        state.fold(topic, event, received_ns)
                        yield state, seq, event.decode()
        except LookupError as why:
            print(f"{why}; joining again", file=sys.stderr, flush=True)


if __name__ == "__main__":
    with open(sys.argv[3], encoding="utf-8") as file:
        for state, seq, event in follow(sys.argv[1], sys.argv[2], json.load(file)):
            print(seq, f"{len(state.objects)} objects", event or "snapshot", flush=True)
