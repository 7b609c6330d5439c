# SPDX-License-Identifier: MPL-2.0
"""A view with a gateway that has its history: what View loses can be had from here.

Written from the description of the wire alone, as bridge.py is.
"""
import json
import struct
import threading

import zmq

from bridge import View


class KeepingView(View):
    """Keeps what it numbers; a thread answers GET arizmq/history and GET arizmq/snapshot."""

    def __init__(self, context, **arguments):
        self.kept, self.questions, self.snapshot, self.oldest = [], [], None, 1
        self.past = {}  # the last seq of runs before, where remembers_runs
        self.remembers_runs, self.page_max = False, 1000
        super().__init__(context, **arguments)
        self.router = context.socket(zmq.ROUTER)
        self.router.setsockopt(zmq.LINGER, 0)
        self.router.bind("tcp://127.0.0.1:*")
        self.gateway = self.router.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()
        self.is_ending = threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def close(self):
        super().close()
        self.is_ending.set()
        self.thread.join()
        self.router.close()

    def publish(self, topic, event=b'{"type":"Test"}'):
        if isinstance(event, dict):
            event = json.dumps(event).encode()
        self.socket.send_multipart(self.keep(topic, event))

    def keep(self, topic, event):
        message = [topic.encode(), event, self.number(topic)]
        self.kept.append((self.epoch, self.seq, message))
        return message

    def lose(self, topic, times=1, event=b'{"type":"Test"}'):
        for _ in range(times):
            self.keep(topic, event if isinstance(event, bytes) else json.dumps(event).encode())

    def restart(self, epoch):
        if self.remembers_runs:
            self.past[self.epoch] = self.seq
        super().restart(epoch)

    def serve(self):
        while not self.is_ending.is_set():
            if self.router.poll(20):
                path, *front, header = self.router.recv_multipart()
                request = json.loads(header)
                status, members, body, frames = self.answer(request)
                reply = {"type": "RESTResponse", "status_code": status, "source": "bridge",
                         "reason_phrase": "OK" if status == 200 else "No"} | members
                if "request_id" in request:
                    reply["request_id"] = request["request_id"]
                self.router.send_multipart([path, *front, json.dumps(reply).encode(), body, *frames])

    def answer(self, request):
        query = request.get("query_strings", {})
        if isinstance(query, list):
            query = {pair["name"]: pair["value"] for pair in query}
        self.questions.append((request["uri"], query))
        if request["uri"] == "arizmq/snapshot" and self.snapshot is not None:
            return 200, {}, json.dumps(self.snapshot).encode(), []
        if request["uri"] != "arizmq/history":
            return 404, {"error": "no_such_resource"}, b'{"message":"no such resource"}', []
        epoch = int(query.get("epoch", self.epoch))
        after, limit = int(query.get("after", 0)), min(int(query.get("limit", 1000)), self.page_max)
        if epoch != self.epoch and epoch not in self.past:
            return 409, {"error": "epoch_changed", "epoch": self.epoch}, b"{}", []
        if epoch == self.epoch and after + 1 < self.oldest:
            return 410, {"error": "compacted", "oldest": self.oldest}, b"{}", []
        newest = self.past.get(epoch, self.seq)
        until = min(int(query.get("until", newest)), newest)
        page, prefix = [], query.get("prefix", "").encode()
        for of_epoch, seq, message in list(self.kept):
            if of_epoch == epoch and after < seq <= until and message[0].startswith(prefix):
                page.append((seq, message))
        more = len(page) > limit
        page = page[:limit]
        last = page[-1][0] if more else until
        members = {"epoch": epoch, "last": last, "oldest": self.oldest, "newest": newest,
                   "count": len(page), "more": more}
        return 200, members, b"", [frame for _, message in page for frame in message]


def stamp_of(message):
    """epoch, seq, received_ns, counts…"""
    return struct.unpack(f">{len(message[2]) // 8}Q", message[2])
