# SPDX-License-Identifier: MPL-2.0
"""One view of the bridge as its subscribers see it: an XPUB socket that numbers what it publishes.

Nothing of the daemon is in it; it is written from the description of the wire alone.
"""
import json
import struct
import time

import zmq

PATIENCE_S = 30


class View:
    """The tests end it with close(), or use it in a with statement."""

    name = "events"
    own_topic = "{type}/{app}/{node}/-/"
    heartbeat_prefix = "ArizmqHeartbeat/"
    heartbeat_topic = "ArizmqHeartbeat/-/-/-/"

    def __init__(self, context, sndhwm=0, endpoint="tcp://127.0.0.1:*"):
        self.socket = context.socket(zmq.XPUB)
        self.socket.setsockopt(zmq.SNDHWM, sndhwm)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        self.bind(endpoint)
        self.endpoint = self.socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()
        self.restart(1795444501000000)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def bind(self, endpoint):
        """Waits for the endpoint to be free: ZeroMQ closes a listener in the background."""
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.socket.bind(endpoint)
                return
            except zmq.ZMQError as error:
                if error.errno != zmq.EADDRINUSE or time.monotonic() > end:
                    raise
                time.sleep(0.01)

    def restart(self, epoch):
        """The bridge is another process from now on."""
        self.epoch, self.seq, self.counts = epoch, 0, {"": 0}

    def wait_for(self, *prefixes):
        """Waits until a subscriber has asked for all of these."""
        wanted = {p.encode() for p in prefixes}
        end = time.monotonic() + PATIENCE_S
        while wanted:
            if not self.socket.poll(max(0, int((end - time.monotonic()) * 1000))):
                raise AssertionError(f"nobody subscribed to {wanted}")
            frame = self.socket.recv()
            if frame[:1] == b"\1":
                wanted.discard(frame[1:])

    def number(self, topic):
        """The stamp of the next message."""
        self.seq += 1
        tokens = topic.split("/")[:-1]
        keys = ["/".join(tokens[:depth]) for depth in range(len(tokens) + 1)]
        for key in keys:
            self.counts[key] = self.counts.get(key, 0) + 1
        return self.stamp([self.counts[key] for key in keys])

    def stamp(self, counts):
        words = [self.epoch, self.seq, 1795444501160000000 + self.seq, *counts]
        return struct.pack(f">{len(words)}Q", *words)

    def publish(self, topic, event=b'{"type":"Test"}'):
        if isinstance(event, dict):
            event = json.dumps(event).encode()
        self.socket.send_multipart([topic.encode(), event, self.number(topic)])

    def publish_own(self, type, app="ivr", node="pbx1", **members):
        """One of the bridge's own events."""
        event = {"type": type, "application": app, "node": node} | members
        self.publish(self.own_topic.format(type=type, app=app, node=node), event)

    def publish_gap(self):
        self.publish_own("ArizmqGap", **{"from": "10:00", "to": "10:01", "reason": "reconnected"})

    def publish_refused(self):
        self.publish_own("ArizmqRefused", limit="max_event_bytes", allowed=100, size=101)

    def own_prefixes(self):
        """What a careful subscriber listens to beside its prefixes."""
        return [self.own_topic.split("{type}")[0] + name + "/"
                for name in ("ArizmqGap", "ArizmqRefused", "ArizmqHeartbeat")]

    def lose(self, topic, times=1):
        """What was published and reached nobody."""
        for _ in range(times):
            self.number(topic)

    def heartbeat(self):
        counts = {key: n for key, n in self.counts.items() if key and "/" not in key}
        event = {"type": "ArizmqHeartbeat", "application": "-", "node": "-", "seq": self.seq,
                 "view": self.name, "count": self.counts[""], "counts": counts,
                 "counts_complete": True}
        stamp = self.stamp([self.counts[""], 0, 0, 0, 0])
        self.socket.send_multipart([self.heartbeat_topic.encode(), json.dumps(event).encode(), stamp])


class ObjectsView(View):
    name = "objects"
    own_topic = "arizmq/-/{type}/{node}/"
    heartbeat_prefix = "arizmq/-/ArizmqHeartbeat/"
    heartbeat_topic = "arizmq/-/ArizmqHeartbeat/-/"
