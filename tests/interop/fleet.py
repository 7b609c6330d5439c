# SPDX-License-Identifier: MPL-2.0
"""The real arizmqd between fake Asterisks, for clients in Python."""
import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import zmq

PATIENCE_S = 30
BUILD = pathlib.Path(os.environ["ARIZMQD"]).parent
PR_SET_PDEATHSIG = 1


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_until(what, is_so):
    """Polls; returns what is_so() returned."""
    end = time.monotonic() + PATIENCE_S
    while not (result := is_so()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {PATIENCE_S} s: {what}")
        time.sleep(0.005)
    return result


class Fake:
    """A fake Asterisk; see tests/fake/README.md."""

    def __init__(self):
        self.start([BUILD / "fake_asterisk"])

    def start(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1, preexec_fn=die_with_parent)
        self.port = int(self.process.stdout.readline().split()[1])
        self.events, self.answers = [], []
        self.changed = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            with self.changed:
                (self.events if line.startswith("event ") else self.answers).append(line.strip())
                self.changed.notify_all()

    def do(self, command):
        with self.changed:
            count = len(self.answers)
            self.process.stdin.write(command + "\n")
            assert self.changed.wait_for(lambda: len(self.answers) > count, PATIENCE_S), command
            assert self.answers[-1].startswith("ok"), f"{command}: {self.answers[-1]}"
            return self.answers[-1]

    def requests(self, *starts):
        """The commands that it saw, such as "POST channels/1/answer". What the bridge itself asks
        when a node comes up is left out."""
        self.do("stats")  # its lines come in order: what it saw before stands before the answer
        own = ("GET asterisk/info", "GET channels", "GET bridges", "GET endpoints",
               "GET applications/")
        with self.changed:
            seen = [line.removeprefix("event rest ").split(" via=")[0] for line in self.events
                    if line.startswith("event rest ")]
        return [line for line in seen if line.startswith(starts or ("",)) and
                not (line in own[:4] or line.startswith(own[4]))]

    def stop(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE_S)
        self.process.stdout.close()


class Bridge:
    """arizmqd with a node pbx1, pbx2… for each fake."""

    def __init__(self, *fakes, node="", apps=None, extra="", view="", more="",
                 arguments=()):
        self.arguments = arguments
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="arizmq-interop-"))
        self.fakes = fakes
        self.events = f"ipc://{self.directory}/events"
        self.objects = f"ipc://{self.directory}/objects"
        self.gateway = f"ipc://{self.directory}/gateway"
        self.config = self.directory / "arizmqd.yaml"
        apps = apps or ["ivr"] * len(fakes)
        nodes = "".join(f"""
  - name: pbx{i + 1}
    url: ws://127.0.0.1:{fake.port}/ari
    username: lab
    password: secret
    apps: [{apps[i]}]
    backoff_min_ms: 20
    backoff_max_ms: 50
{node}""" for i, fake in enumerate(fakes))
        gateway = f'  endpoint: "{self.gateway}"\n{extra}'
        views = "".join(f'  - {{view: {name}, endpoint: "{endpoint}"{view}}}\n' for name, endpoint in
                        (("events", self.events), ("objects", self.objects)))
        self.config.write_text(f"nodes:{nodes}\npublish:\n{views}gateway:\n{gateway}\n{more}")
        self.log = self.directory / "log"
        self.start()

    def start(self):
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen([BUILD / "arizmqd", "-c", self.config, *self.arguments],
                                            stderr=log, preexec_fn=die_with_parent)
        wait_until("the gateway is bound", lambda: "gateway_bound" in self.log.read_text() or
                   self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.log.write_text("")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(PATIENCE_S)
        assert status == 0, (status, self.log.read_text())
        shutil.rmtree(self.directory)

    def nodes(self, client):
        return json.loads(client.ask("GET", "arizmq/nodes")[1])["nodes"]

    def wait_up(self, client, count=None):
        """Until so many nodes are up, and have been asked what they have."""
        count = len(self.fakes) if count is None else count
        wait_until(f"{count} nodes are up", lambda: sum(
            node["state"] == "up" and node["version"] is not None and node["under_way"] == 0
            for node in self.nodes(client)) == count)


class Client:
    """A DEALER or REQ socket. ask() is for one request at a time."""

    def __init__(self, endpoint, kind=zmq.DEALER, delimiter=False):
        self.socket = zmq.Context.instance().socket(kind)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(endpoint)
        self.front = [b""] if delimiter else []

    def send(self, method, uri, body=None, **members):
        header = {"method": method, "uri": uri, **members}
        frames = [json.dumps(header).encode()] + ([] if body is None else [body])
        self.socket.send_multipart(self.front + frames)

    def receive(self):
        """The reply's header and the bytes of its body."""
        assert self.socket.poll(PATIENCE_S * 1000), "no reply"
        frames = self.socket.recv_multipart()
        assert frames[:len(self.front)] == self.front, frames
        header, body = frames[len(self.front):]
        return json.loads(header), body

    def ask(self, method, uri, body=None, **members):
        self.send(method, uri, body, **members)
        return self.receive()

    def close(self):
        self.socket.close()
