# SPDX-License-Identifier: MPL-2.0
"""The two ways of a request that tests of the gateway compare: straight to Asterisk over HTTP, and
through the bridge over ZeroMQ. Both answer with the same four values."""
import base64
import http.client
import json
import time
import typing
import urllib.parse
import uuid

import zmq

from asterisk_stage import TIMEOUT_S, check


class Answer(typing.NamedTuple):
    status: int
    reason: str
    content_type: typing.Optional[str]
    body: bytes


class Direct:
    """One connection to an Asterisk, kept alive."""

    def __init__(self, asterisk):
        self.connection = http.client.HTTPConnection("127.0.0.1", asterisk.port, timeout=TIMEOUT_S)
        self.used_at = 0.0
        self.authorization = "Basic " + base64.b64encode(b"lab:secret").decode()

    def ask(self, method, path, query=(), body=None, content_type=None):
        """`path` is percent-encoded and begins with a slash; `query` are pairs."""
        if time.monotonic() - self.used_at > 10:  # Asterisk closes what is idle for 15 s
            self.connection.close()
        headers = {"Authorization": self.authorization}
        if content_type is not None:
            headers["Content-Type"] = content_type
        text = "?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote) if query else ""
        self.connection.request(method, "/ari" + path + text, body, headers)
        response = self.connection.getresponse()
        content = response.read()
        self.used_at = time.monotonic()
        return Answer(response.status, response.reason, response.getheader("Content-Type"), content)

    def must(self, method, path, body=None, **query):
        """Returns the JSON, or None for no body; fails for any status but success."""
        text = None if body is None else json.dumps(body)
        answer = self.ask(method, path, list(query.items()), text,
                          None if text is None else "application/json")
        check(answer.status < 300, f"{method} {path} {query}: {answer}")
        return json.loads(answer.body) if answer.body else None


class Gateway:
    """A DEALER socket, as any client of the gateway may have one."""

    def __init__(self, endpoint):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.SNDHWM, 0)
        self.socket.setsockopt(zmq.RCVHWM, 0)
        self.socket.connect(endpoint)

    def send(self, method, uri, body=None, **members):
        """Returns the request_id."""
        request_id = str(uuid.uuid4())  # without CURVE all clients share one window
        header = {"method": method, "uri": uri, "request_id": request_id, **members}
        frames = [b"", json.dumps(header).encode()]
        if body is not None:
            frames.append(body)
        self.socket.send_multipart(frames)
        return request_id

    def receive(self, timeout_s=TIMEOUT_S):
        """Returns the header and the body of the next reply."""
        check(self.socket.poll(int(timeout_s * 1000)), f"no reply within {timeout_s} s")
        frames = self.socket.recv_multipart()
        check(len(frames) == 3 and frames[0] == b"", f"a reply of {len(frames)} frames")
        header = json.loads(frames[1])
        check(header["type"] == "RESTResponse", f"{header}")
        return header, frames[2]

    def call(self, method, uri, body=None, **members):
        """One request and its reply, with nothing else under way."""
        request_id = self.send(method, uri, body, **members)
        header, text = self.receive()
        check(header.get("request_id") == request_id, f"{header} for {request_id}")
        return header, text

    def close(self):
        self.context.destroy(linger=0)


def answer_of(header, body):
    return Answer(header["status_code"], header["reason_phrase"], header.get("content_type"), body)
