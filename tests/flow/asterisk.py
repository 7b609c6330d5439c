#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""The bridge with a real Asterisk, one scenario a run:

    asterisk.py ARIZMQD SCENARIO

Starts an Asterisk of its own with tests/asterisk/run, arizmqd, and subscribers; exit status 77 where
there can be no Asterisk, with the reason. SCENARIO is a function below whose name begins with
scenario_.
"""
import base64
import collections
import contextlib
import ctypes
import http.client
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
    def __init__(self, program, directory, asterisk, node="", url=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="bridge-", dir=directory))
        config = self.directory / "arizmqd.yaml"
        config.write_text(
            f"nodes:\n  - name: pbx1\n    url: {url or asterisk.values['url']}\n"
            f"    username: {asterisk.values['username']}\n"
            f"    password: {asterisk.values['password']}\n    apps: [ivr]\n"
            f"    backoff_min_ms: 50\n    backoff_max_ms: 200\n{node}"
            f"publish:\n  - {{view: events, endpoint: 'ipc://{self.directory}/events'}}\n"
            f"  - {{view: objects, endpoint: 'ipc://{self.directory}/objects'}}\n"
            "heartbeat_ms: 100\n")
        self.log = self.directory / "log"
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("ARIZMQ_")}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([program, "-c", config], stdin=subprocess.DEVNULL,
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
        last = "\narizmq_rest_failures_total "
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
            self.asterisk.stop()
            shutil.rmtree(self.directory, ignore_errors=True)

    def bridge(self, node="", url=None):
        self.bridges.append(Bridge(self.program, self.directory, self.asterisk, node, url))
        return self.bridges[-1]


def check_call(events):
    """The events of the application's one channel, in the order of the call."""
    start = next(event for _, event in events if event["type"] == "StasisStart")
    channel = start["channel"]["id"]
    playback = channel + "-hello"
    of_call = [event for _, event in events
               if event.get("channel", {}).get("id") == channel
               or event.get("playback", {}).get("id") == playback]
    order = [event["type"] for event in of_call]
    digits = [event["digit"] for event in of_call if event["type"] == "ChannelDtmfReceived"]
    check(digits == list("1234#"), f"digits {digits}")
    for one in ("StasisStart", "PlaybackStarted", "PlaybackFinished", "StasisEnd"):
        check(order.count(one) == 1, f"{order.count(one)} {one}")
    places = [order.index(one)
              for one in ("StasisStart", "PlaybackStarted", "PlaybackFinished", "StasisEnd")]
    check(places == sorted(places), f"in the order {order}")
    check(places[0] < order.index("ChannelDtmfReceived") < places[3], f"in the order {order}")
    for topic, event in events:
        if event["type"] == "StasisStart":
            check(topic == f"StasisStart/ivr/pbx1/{event['channel']['id']}/", topic)


def scenario_call(stage):
    """Calls, as the bridge publishes them and as another application hears them."""
    stage.asterisk.start()
    watch = Client(stage.asterisk, "watch", subscribe_all=True)
    bridge = stage.bridge("    subscribe_all: true\n")
    bridge.join()
    bridge.wait_for_log("node_connected")
    wait_until("the bridge's application", lambda: stage.asterisk.ari.request(
        "GET", "applications/ivr")[0] == 200)
    calls = 3
    position = 0
    for _ in range(calls):
        begin = len(bridge.read())
        stage.asterisk.place_calls()
        position = bridge.wait_for_type("StasisEnd", begin)
        check_call(bridge.events[begin:position])
    compared = ("Channel", "Playback", "Dial")

    def counts(types):
        return {name: number for name, number in types.items() if name.startswith(compared)}

    def bridge_counts():
        return counts(collections.Counter(event["type"] for _, event in bridge.read()))

    # A call is two channels.
    wait_until("the end of every channel", lambda: bridge_counts().get(
        "ChannelDestroyed") == 2 * calls == watch.types()["ChannelDestroyed"])
    with contextlib.suppress(Failed):  # the last few on their way
        wait_until("equal counts", lambda: bridge_counts() == counts(watch.types()))
    check(bridge_counts() == counts(watch.types()),
          f"{bridge_counts()} here, {counts(watch.types())} there")
    check(bridge_counts()["ChannelDtmfReceived"] >= 5 * calls, f"{bridge_counts()}")
    watch.close()
    bridge.stop()


def scenario_tls(stage):
    """wss:// with an authority of one's own; without it nothing is connected."""
    stage.asterisk.start("--tls")
    values = stage.asterisk.values
    bridge = stage.bridge(f"    tls: {{ca_file: {values['ca_file']}}}\n", values["tls_url"])
    bridge.join()
    bridge.wait_for_log("node_connected")
    stage.asterisk.place_calls()
    end = bridge.wait_for_type("StasisEnd")
    check_call(bridge.events[:end])
    bridge.stop()
    distrustful = stage.bridge(url=values["tls_url"])
    distrustful.wait_for_log("node_connect_failed", 3)
    check(distrustful.log_count("node_connected") == 0, "connected to whom nobody vouches for")
    distrustful.stop()


class DeviceStates:
    """Changes a device state as fast as one connection can, until told to stop."""

    def __init__(self, asterisk):
        self.asterisk = asterisk
        self.is_over = threading.Event()
        self.changes = 0
        self.thread = threading.Thread(target=self.change, daemon=True)
        self.thread.start()

    def change(self):
        headers = {"Authorization": "Basic " + base64.b64encode(b"lab:secret").decode()}
        connection = http.client.HTTPConnection("127.0.0.1", self.asterisk.port, timeout=TIMEOUT_S)
        while not self.is_over.is_set():
            state = "INUSE" if self.changes % 2 else "NOT_INUSE"
            connection.request("PUT", f"/ari/deviceStates/Stasis:x?deviceState={state}",
                               headers=headers)
            connection.getresponse().read()
            self.changes += 1
            time.sleep(0.002)
        connection.close()

    def stop(self):
        self.is_over.set()
        self.thread.join(TIMEOUT_S)
        check(not self.thread.is_alive(), "Asterisk does not take device states any more")


def scenario_stop(stage):
    """Twenty orderly stops while device states change, which can lock Asterisk up for good."""
    stage.asterisk.start()
    states = DeviceStates(stage.asterisk)
    for number in range(20):
        bridge = stage.bridge("    subscribe_all: true\n")
        bridge.join()
        bridge.wait_for_event("20 device states", lambda *_: sum(
            event["type"] == "DeviceStateChanged" for _, event in bridge.events) >= 20)
        bridge.process.terminate()
        bridge.wait_for_type("ArizmqStopping")
        bridge.stop()
        # Asterisk 22 destroys the application with its connection.
        wait_until(f"stop {number + 1}: Asterisk answers and the application is gone",
                   lambda: stage.asterisk.ari.request("GET", "applications/ivr")[0] == 404)
        check(stage.asterisk.ari.request("GET", "applications")[0] == 200, "no applications")
    states.stop()
    check(states.changes > 400, f"only {states.changes} changes")


def scenario_subscribe_all(stage):
    """subscribeAll=true is ignored for an application that is there already; the bridge sees it."""
    stage.asterisk.start()
    other = Client(stage.asterisk, "ivr")
    bridge = stage.bridge("    subscribe_all: true\n")
    bridge.wait_for_log("subscribe_all_mended: ")
    bridge.wait_for_log("gap: ")
    check(bridge.log_count("may be missing (subscribe_all)") == 1, "no gap of that reason")
    check(bridge.metric("arizmq_subscribe_all_mended_total") == 1, "not counted")
    bridge.join()
    wait_until("the other client is told", lambda: other.types()["ApplicationReplaced"] == 1)
    check(stage.asterisk.ari.request("PUT", "deviceStates/Stasis:y", deviceState="BUSY")[0] < 300,
          "no device state")
    stage.asterisk.ari.must("POST", "channels", endpoint="Local/short@far/n", extension="silent",
                            context="far")
    bridge.wait_for_event("a device state", lambda _, event: event["type"] ==
                          "DeviceStateChanged" and event["device_state"]["name"] == "Stasis:y")
    bridge.wait_for_type("ChannelCreated")
    bridge.stop()
    # The application outlives the bridge, so the next start meets the same.
    again = stage.bridge("    subscribe_all: true\n")
    again.join()
    again.wait_for_log("node_connected")
    stage.asterisk.ari.must("PUT", "deviceStates/Stasis:y", deviceState="INUSE")
    stage.asterisk.ari.must("POST", "channels", endpoint="Local/short@far/n", extension="silent",
                            context="far")
    again.wait_for_type("ChannelCreated")
    again.stop()
    other.socket.close()


def scenario_replaced(stage):
    """Another client takes the application: no tug of war, and back when it is free."""
    stage.asterisk.start()
    bridge = stage.bridge("    replaced_retry_ms: 200\n")
    bridge.join()
    bridge.wait_for_log("node_connected")
    other = Client(stage.asterisk, "ivr")
    position = bridge.wait_for_type("ApplicationReplaced")
    position = bridge.wait_for_type("ArizmqNodeDisconnected", position, reason="replaced")
    bridge.wait_for_log("standby: ")
    asked = bridge.metric("arizmq_rest_requests_total")
    wait_until("the bridge asks whether it is free",
               lambda: bridge.metric("arizmq_rest_requests_total") >= asked + 3)
    stage.asterisk.place_calls()
    wait_until("the other client has the call", lambda: other.types()["StasisEnd"] == 1)
    check(other.types()["ApplicationReplaced"] == 0, "a tug of war")
    check(len(bridge.read()) == position, f"{bridge.events[position:]} in standby")
    check(bridge.metric("arizmq_links_standby") == 1, "not in standby")
    other.close()
    position = bridge.wait_for_type("ArizmqNodeConnected", position, reconnect=True)
    position = bridge.wait_for_type("ArizmqGap", position, reason="reconnect")
    stage.asterisk.place_calls()
    end = bridge.wait_for_type("StasisEnd", position)
    check_call(bridge.events[position:end])
    bridge.stop()


def scenario_restart(stage):
    """Asterisk ends and comes back on the same port."""
    stage.asterisk.start()
    bridge = stage.bridge("    subscribe_all: true\n")
    bridge.join()
    bridge.wait_for_log("node_connected")
    stage.asterisk.place_calls()
    position = bridge.wait_for_type("StasisEnd")
    check_call(bridge.events[:position])
    port = stage.asterisk.port
    stage.asterisk.stop()
    position = bridge.wait_for_type("ArizmqNodeDisconnected", position)
    bridge.wait_for_log("node_connect_failed", 1)
    stage.asterisk.start("--http-port", str(port))
    position = bridge.wait_for_type("ArizmqNodeConnected", position, reconnect=True)
    position = bridge.wait_for_type("ArizmqGap", position, reason="reconnect")
    gap = bridge.events[position - 1][1]
    check(gap["from"] < gap["to"], f"{gap}")
    stage.asterisk.place_calls()
    end = bridge.wait_for_type("StasisEnd", position)
    check_call(bridge.events[position:end])
    bridge.stop()


def main():
    scenarios = {name.removeprefix("scenario_"): function for name, function in globals().items()
                 if name.startswith("scenario_")}
    if len(sys.argv) != 3 or sys.argv[2] not in scenarios:
        sys.exit(f"usage: asterisk.py ARIZMQD {'|'.join(scenarios)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with Stage(sys.argv[1]) as stage:
            scenarios[sys.argv[2]](stage)
    except (Failed, call.CallFailed) as error:
        sys.exit(f"asterisk.py {sys.argv[2]}: {error}")


if __name__ == "__main__":
    main()
