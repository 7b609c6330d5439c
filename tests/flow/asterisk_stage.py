# SPDX-License-Identifier: MPL-2.0
"""What the scenarios of asterisk.py begin with: a real Asterisk of their own, the bridge, its
subscriber, and a client of ARI beside it. Whatever is waited for is waited for by condition."""
import base64
import collections
import contextlib
import ctypes
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

try:
    import zmq
except ImportError:
    print("skipped: python3-zmq is not installed")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIP = 77
TIMEOUT_S = 60
PR_SET_PDEATHSIG = 1


def load_call():
    """tests/asterisk/call, whose client of ARI is used here, too."""
    loader = importlib.machinery.SourceFileLoader("call", str(ROOT / "tests/asterisk/call"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("call", loader))
    loader.exec_module(module)
    return module


sys.dont_write_bytecode = True
call = load_call()


class Failed(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failed(what)


def wait_until(what, is_so):
    """Polls; returns what is_so() returned."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (result := is_so()):
        check(time.monotonic() < deadline, f"not within {TIMEOUT_S} s: {what}")
        time.sleep(0.01)
    return result


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Asterisk:
    def __init__(self, directory):
        self.directory = directory
        self.values = {}

    def start(self, *options):
        done = subprocess.run([ROOT / "tests/asterisk/run", "start", "--dir", self.directory,
                               "--owner", str(os.getpid()), *options],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode == SKIP:
            print(f"skipped: {done.stderr.strip().splitlines()[-1]}")
            sys.exit(SKIP)
        check(done.returncode == 0, done.stderr)
        self.values = dict(line.split("=", 1) for line in done.stdout.splitlines())
        self.port = int(self.values["http_url"].rsplit(":", 1)[1].split("/")[0])
        self.ari = call.Ari(self.values["http_url"], self.values["username"],
                            self.values["password"], None)

    def stop(self):
        if (self.directory / "instance.json").exists():
            subprocess.run([ROOT / "tests/asterisk/run", "stop", "--dir", self.directory],
                           check=True)

    def place_calls(self, count=1, app="ivr"):
        for _ in range(count):
            call.place_call(self.ari, app, "1234#")


class Client:
    """A client of ARI's WebSocket, the least that there can be: Asterisk sends every event as one
    text frame, and nothing else unasked."""

    def __init__(self, asterisk, app, subscribe_all=False):
        query = {"app": app, "api_key": "lab:secret"}
        if subscribe_all:
            query["subscribeAll"] = "true"
        self.events = []
        self.socket = socket.create_connection(("127.0.0.1", asterisk.port))
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET /ari/events?{urllib.parse.urlencode(query)} HTTP/1.1\r\n"
                             "Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
                             ).encode())
        self.stream = self.socket.makefile("rb")
        status = self.stream.readline()
        check(b" 101 " in status, f"no WebSocket: {status}")
        while self.stream.readline().strip():
            pass
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        with contextlib.suppress(OSError, ValueError, struct.error):
            while True:
                head, length = struct.unpack("!BB", self.stream.read(2))
                if length == 126:
                    length, = struct.unpack("!H", self.stream.read(2))
                elif length == 127:
                    length, = struct.unpack("!Q", self.stream.read(8))
                payload = self.stream.read(length)
                if head == 0x81:
                    self.events.append(json.loads(payload))

    def types(self):
        return collections.Counter(event["type"] for event in list(self.events))

    def close(self):
        """The close frame of RFC 6455, masked with zeros, and Asterisk's end."""
        self.socket.sendall(bytes([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]))
        self.thread.join(TIMEOUT_S)
        check(not self.thread.is_alive(), "Asterisk did not close the WebSocket")
        self.socket.close()


class Bridge:
    def __init__(self, program, directory, asterisk, node="", urls=None,
                 arguments=()):
        """`urls` are those of the nodes by name, one by default; `node` are more lines for each;
        `arguments` are more of the command line."""
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="bridge-", dir=directory))
        self.gateway = f"ipc://{self.directory}/gateway"
        config = self.directory / "arizmqd.yaml"
        nodes = "".join(
            f"  - name: {name}\n    url: {url}\n"
            f"    username: {asterisk.values['username']}\n"
            f"    password: {asterisk.values['password']}\n    apps: [ivr]\n"
            f"    backoff_min_ms: 50\n    backoff_max_ms: 200\n{node}"
            for name, url in (urls or {"pbx1": asterisk.values["url"]}).items())
        config.write_text(
            f"nodes:\n{nodes}publish:\n  - {{view: events, endpoint: 'ipc://{self.directory}/events'}}\n"
            f"  - {{view: objects, endpoint: 'ipc://{self.directory}/objects'}}\n"
            f"gateway: {{endpoint: '{self.gateway}'}}\n"
            "heartbeat_ms: 100\n")
        self.log = self.directory / "log"
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("ARIZMQ_")}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([program, "-c", config, *arguments], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=environment,
                                            preexec_fn=die_with_parent)
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.SUB)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVHWM, 0)
        self.socket.setsockopt(zmq.SUBSCRIBE, b"")
        self.socket.connect(f"ipc://{self.directory}/events")
        self.events = []  # (topic, event), without heartbeats
        self.seq = None

    def read(self):
        """Takes what has come; the stream has to be without a hole."""
        while self.socket.poll(0):
            topic, text, stamp = self.socket.recv_multipart()
            seq = struct.unpack("!7Q" if len(stamp) == 56 else "!8Q", stamp)[1]
            is_heartbeat = topic.startswith(b"ArizmqHeartbeat/")
            check(self.seq is None or seq == self.seq + (not is_heartbeat),
                  f"seq {seq} after {self.seq}: {topic}")
            self.seq = seq
            if not is_heartbeat:
                self.events.append((topic.decode(), json.loads(text)))
        return self.events

    def join(self):
        def has_joined():
            self.read()
            check(self.process.poll() is None, f"arizmqd ended: {self.log.read_text()}")
            return self.seq is not None
        wait_until("a first message from the bridge", has_joined)

    def wait_for_log(self, text, count=1):
        wait_until(f"\"{text}\" in arizmqd's log", lambda: self.log_count(text) >= count)

    def log_count(self, text):
        return self.log.read_text(errors="replace").count(text)

    def wait_for_event(self, what, matches, after=0):
        """Returns the position behind the first event from `after` on that matches."""
        def find():
            for at, (topic, event) in enumerate(self.read()):
                if at >= after and matches(topic, event):
                    return at + 1
            return 0
        return wait_until(what, find)

    def wait_for_type(self, kind, after=0, **members):
        return self.wait_for_event(
            f"{kind} {members}", lambda _, event: event["type"] == kind and all(
                event.get(name) == value for name, value in members.items()), after)

    def metric(self, name):
        last = "\n# EOF\n"
        before = self.log_count(last)
        self.process.send_signal(signal.SIGUSR1)
        self.wait_for_log(last, before + 1)
        lines = [line for line in self.log.read_text(errors="replace").splitlines()
                 if line.startswith(name + " ")]
        return int(lines[-1].split()[1])

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed("arizmqd did not end after SIGTERM") from None
        self.context.destroy(linger=0)
        check(status == 0, f"arizmqd ended with {status}: {self.log.read_text(errors='replace')}")


class Stage:
    """What a scenario begins with; everything it started is ended when it is left."""

    def __init__(self, program):
        self.program = program
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="arizmq-flow-"))
        self.asterisk = Asterisk(self.directory / "pbx1")
        self.asterisks = [self.asterisk]
        self.bridges = []

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            for bridge in self.bridges:
                if bridge.process.poll() is None and kind is None:
                    bridge.stop()
                elif bridge.process.poll() is None:
                    bridge.process.kill()
                    bridge.process.wait()
                if kind is not None:
                    sys.stderr.write(bridge.log.read_text(errors="replace"))
        finally:
            for asterisk in self.asterisks:
                asterisk.stop()
            shutil.rmtree(self.directory, ignore_errors=True)

    def bridge(self, node="", urls=None, arguments=()):
        self.bridges.append(Bridge(self.program, self.directory, self.asterisk, node, urls,
                                   arguments))
        return self.bridges[-1]

    def another_asterisk(self, name):
        self.asterisks.append(Asterisk(self.directory / name))
        return self.asterisks[-1]
