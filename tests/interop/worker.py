#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""A worker: answers each call of an application, plays a sound, and hangs up after it.

    worker.py tcp://127.0.0.1:5555 tcp://127.0.0.1:5558 ivr
"""
import json
import sys
import uuid

import zmq


class Gateway:
    """Sends commands. One that nobody answers in time is sent again under the same request_id,
    which the bridge runs once, however often it comes."""

    def __init__(self, endpoint, timeout_ms=5000, attempts=3):
        self.endpoint, self.timeout_ms, self.attempts = endpoint, timeout_ms, attempts
        self.connect()

    def connect(self):
        self.socket = zmq.Context.instance().socket(zmq.REQ)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(self.endpoint)

    def request(self, method, uri, **query_strings):
        """The reply's header and the JSON of its body, None where it has none."""
        header = {"method": method, "uri": uri, "query_strings": query_strings,
                  "request_id": str(uuid.uuid4()), "timeout_ms": self.timeout_ms}
        for _ in range(self.attempts):
            self.socket.send_multipart([json.dumps(header).encode()])
            if self.socket.poll(self.timeout_ms + 1000):
                reply, body = self.socket.recv_multipart()
                return json.loads(reply), json.loads(body) if body else None
            self.socket.close()  # a REQ socket that got no reply is of no use any more
            self.connect()
        raise TimeoutError(f"{method} {uri}: no reply from {self.endpoint}")


def handle(gateway, event):
    """Does what an event asks for. Which Asterisk it came from is the bridge's affair."""
    if event["type"] == "StasisStart":
        channel = "channels/" + event["channel"]["id"]
        yield gateway.request("POST", channel + "/answer")
        yield gateway.request("POST", channel + "/play", media="sound:hello-world")
    elif event["playback"]["target_uri"].startswith("channel:"):
        channel = "channels/" + event["playback"]["target_uri"].removeprefix("channel:")
        yield gateway.request("DELETE", channel)


def main(events, commands, application):
    gateway = Gateway(commands)
    socket = zmq.Context.instance().socket(zmq.SUB)
    for event_type in ("StasisStart", "PlaybackFinished"):
        socket.subscribe(f"{event_type}/{application}/")
    socket.connect(events)
    while True:
        _, event, _ = socket.recv_multipart()
        for reply, body in handle(gateway, json.loads(event)):
            print(reply["uri"], reply["status_code"], reply["reason_phrase"],
                  f"on {reply['node']}" if "node" in reply else "",
                  body["message"] if reply["status_code"] >= 400 else "", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: worker.py EVENTS GATEWAY APPLICATION")
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        pass
