#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""A subscriber that joins exactly and misses nothing it can have: first every object that there is,
then every event after that, what was lost on the way fetched from history. It holds the state.

    joining.py tcp://127.0.0.1:5555 tcp://127.0.0.1:5558 /usr/local/share/arizmq/schemas/objects.json
"""
import json
import struct
import sys

import zmq

KINDS = {"channels": "channel", "bridges": "bridge", "playbacks": "playback",
         "recordings": "recording", "endpoints": "endpoint", "deviceStates": "device"}
LATE_NS = 10_000_000_000  # so long after the last word on an object, events about it come late


class Gateway:
    def __init__(self, endpoint, timeout_ms=5000):
        self.endpoint, self.timeout_ms = endpoint, timeout_ms

    def ask(self, uri, **query):
        """The reply's header, its body, and the frames behind that; None where nobody answers."""
        header = {"method": "GET", "uri": uri, "query_strings": query}
        with zmq.Context.instance().socket(zmq.REQ) as socket:
            socket.linger = 0
            socket.connect(self.endpoint)
            socket.send(json.dumps(header).encode())
            if not socket.poll(self.timeout_ms):
                return None, b"", []
            header, body, *frames = socket.recv_multipart()
            return json.loads(header), body, frames


class Stream:
    """The view `events` of one bridge, all of it, as (topic, event, epoch, seq, received_ns).

    Everything is subscribed to, so count[0], which numbers the messages of the view, tells all:
    they come in its order, and what is between two of them is missing."""

    def __init__(self, events, gateway):
        self.gateway = gateway
        self.socket = zmq.Context.instance().socket(zmq.SUB)
        self.socket.subscribe("")
        self.socket.connect(events)
        self.epoch = self.seq = self.count = None  # of the last message, repaired ones too

    @staticmethod
    def read(frames):
        topic, event, stamp = frames
        epoch, seq, received_ns, *count = struct.unpack(f">{len(stamp) // 8}Q", stamp)
        return topic.decode(), event, epoch, seq, received_ns, count

    def join(self):
        """Waits for a heartbeat; what comes before it is in any snapshot that is taken then."""
        while True:
            *_, self.epoch, self.seq, _, count = self.read(self.socket.recv_multipart())
            if count[1] == 0:
                self.count = count[0]
                return

    def repair(self, until, before):
        """The messages after the last one, up to seq `until` and before number `before`."""
        while self.seq < until or self.count + 1 < before:
            header, _, frames = self.gateway.ask(
                "arizmq/history", epoch=self.epoch, after=self.seq, until=until)
            if header is None or header["status_code"] != 200:
                return  # nobody answers, or 410 compacted: it is not there any more
            for i in range(0, len(frames), 3):
                message = self.read(frames[i:i + 3])
                if self.count < message[5][0] < before:
                    self.count = message[5][0]
                    yield message
            self.seq = header["last"]
            if not header["more"]:
                return

    def receive(self):
        """The next messages: several where some were missing. Raises LookupError where some are
        lost or the bridge was started anew: then the state is not exact any more."""
        message = self.read(self.socket.recv_multipart())
        _, _, epoch, seq, _, count = message
        if epoch != self.epoch:
            raise LookupError("the bridge was started anew")
        is_heartbeat = count[1] == 0  # it numbers nothing, but tells how far the count is
        before = count[0] + is_heartbeat
        if before > self.count + 1:
            yield from self.repair(seq if is_heartbeat else seq - 1, before)
        if before != self.count + 1:
            raise LookupError(f"{before - self.count - 1} messages lost before seq {seq}")
        self.seq, self.count = seq, before - is_heartbeat
        if not is_heartbeat:
            self.count = before
            yield message


class State:
    """The last value of every object, by node, application, kind and id."""

    def __init__(self, table):
        self.rules, self.objects, self.ended, self.hears_all = table["types"], {}, {}, set()

    def load(self, snapshot):
        self.ended, self.objects = {}, {}
        self.hears_all = {(link["node"], link["app"]) for link in snapshot["links"]
                          if link["subscribe_all"]}
        for name, kind in KINDS.items():
            for item in snapshot.get(name, []):
                value = item["value"]
                id = (f"{value['technology']}/{value['resource']}" if kind == "endpoint"
                      else value["name" if kind in ("recording", "device") else "id"])
                self.objects[item["node"], item["app"], kind, id] = value

    @staticmethod
    def find(event, rule):
        """The id and the object that a rule leads to; no object where it only names one."""
        *holders, last = rule["path"].split(".")
        value, holder = event, None
        for member in (*holders, last):
            holder, value = value, value.get(member) if isinstance(value, dict) else None
        if rule.get("form") == "endpoint" and value:
            return f"{value['technology']}/{value['resource']}", value
        whole = last == ("name" if rule.get("kind") in ("recording", "device") else "id")
        return value, holder if holders and whole else None

    def fold(self, topic, event, received_ns):
        event, node = json.loads(event), topic.split("/")[2]
        app, name = event.get("application"), event["type"]
        for rule in self.rules.get(name, self.rules["*"]):
            id, value = self.find(event, rule)
            if not id or value is None or rule.get("form") == "uri":
                continue
            key = (node, app, rule["kind"], id)
            ends = rule.get("ends", False) and (name != "StasisEnd" or
                                                (node, app) not in self.hears_all)
            begins = rule.get("begins", False) or name == "ArizmqObjectFound"
            if ends or name == "ArizmqObjectLost":
                self.objects.pop(key, None)
                self.ended[key] = received_ns
            elif begins or received_ns - self.ended.get(key, 0) >= LATE_NS:
                self.ended.pop(key, None)
                self.objects[key] = value


def follow(events, gateway, table):
    """Yields the state and what changed it: ("snapshot", seq, None), ("event", seq, event)."""
    stream, state = Stream(events, Gateway(gateway)), State(table)
    while True:
        stream.join()
        header, body, _ = stream.gateway.ask("arizmq/snapshot")
        snapshot = json.loads(body) if header and header["status_code"] == 200 else {}
        if snapshot.get("epoch") != stream.epoch:
            continue  # the bridge is not there yet, or another one by now
        state.load(snapshot)
        yield state, "snapshot", snapshot["seq"], None
        try:
            while True:
                for topic, event, _, seq, received_ns, _ in stream.receive():
                    if seq > snapshot["seq"]:
                        state.fold(topic, event, received_ns)
                        yield state, "event", seq, event.decode()
        except LookupError as why:
            print(f"{why}; joining again", file=sys.stderr, flush=True)


if __name__ == "__main__":
    with open(sys.argv[3], encoding="utf-8") as file:
        for state, what, seq, event in follow(sys.argv[1], sys.argv[2], json.load(file)):
            print(what, seq, f"{len(state.objects)} objects", event or "", flush=True)
