# SPDX-License-Identifier: MPL-2.0
"""What the scenarios of the ledger are made of: a fake Asterisk that floods, the bridge, recorders,
and the verdict of the ledger over all that they wrote down."""
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

try:
    import zmq  # noqa: F401, what fleet.py needs
except ImportError:
    print("skipped: python3-zmq is not installed")
    sys.exit(77)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop"))
import fleet  # noqa: E402, found by the line above

fleet.PATIENCE_S = 120  # a sanitized bridge on a busy machine
BUILD = fleet.BUILD
EVENTS = int(os.environ.get("LEDGER_EVENTS", "1000000"))
# What a shipped bridge takes in its stride with these subscribers on two cores; a sanitized one less.
RATE = int(os.environ.get("LEDGER_RATE", "50000"))
APPS = ["ivr", "queue"]
VIEWS = {"events": "events", "objects": "objects", "books": "events", "objects-books": "objects"}


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


class Proxy(fleet.Fake):
    """The fault proxy: it speaks as the fake Asterisk does."""

    def __init__(self, port):
        self.start([BUILD / "fault_proxy", str(port)])


class Recorder:
    """A subscriber that writes down what it gets; see recorder.c."""

    def __init__(self, stage, name, *prefixes, view="events", repairs=False, bridges=None,
                 options=()):
        self.name, self.stage = name, stage
        self.path = stage.directory / f"{name}.rec"
        connections = []
        for bridge in bridges or stage.bridges:
            connections += ["--connect", bridge.endpoint(view)]
            connections += ["--gateway", bridge.gateway] if repairs else []
        self.connections = len(bridges or stage.bridges)
        self.log = open(stage.directory / f"{name}.log", "w", encoding="utf-8")
        self.process = subprocess.Popen(
            [BUILD / "recorder", "--out", self.path, "--name", name, "--view", VIEWS[view],
             *connections, *options, "--", *prefixes],
            stdout=subprocess.PIPE, stderr=self.log, text=True, preexec_fn=fleet.die_with_parent)
        self.lines = []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()
        stage.recorders.append(self)

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.strip())

    def wait_joined(self, count=1):
        fleet.wait_until(f"{self.name} has joined", lambda: self.process.poll() is not None or
                         sum(line.startswith("joined") for line in list(self.lines)) >= count)
        assert self.process.poll() is None, (self.name, self.read_log())
        return self

    def read_log(self):
        return (self.stage.directory / f"{self.name}.log").read_text()

    def send(self, signal_number):
        self.process.send_signal(signal_number)

    def ask_to_end(self):
        if self.process.poll() is None:
            self.send(signal.SIGTERM)

    def end(self):
        self.ask_to_end()
        status = self.process.wait(fleet.PATIENCE_S)
        self.thread.join()
        self.process.stdout.close()
        self.log.close()
        assert status == 0, (self.name, status, self.read_log())


class Bridge(fleet.Bridge):
    """arizmqd with one node, two applications, and two sockets for each view: what the books are
    kept from may fall behind as far as it likes."""

    def __init__(self, stage, port, history="", node="", name="bridge", sndhwm=10000):
        self.directory = stage.directory / name
        self.directory.mkdir()
        self.stage = stage
        self.gateway = f"ipc://{self.directory}/gateway"
        self.config = self.directory / "arizmqd.yaml"
        views = "".join(
            f'  - {{view: {view}, endpoint: "{self.endpoint(socket)}", '
            f'sndhwm: {10000000 if "books" in socket else sndhwm}}}\n'
            for socket, view in VIEWS.items())
        self.config.write_text(f"""
nodes:
  - name: pbx1
    url: ws://127.0.0.1:{port}/ari
    username: lab
    password: secret
    apps: [{", ".join(APPS)}]
    backoff_min_ms: 20
    backoff_max_ms: 50
{node}limits: {{max_event_bytes: 65536}}
publish:
{views}gateway:
  endpoint: "{self.gateway}"
{history}""")
        self.log = self.directory / "log"

    def endpoint(self, socket):
        return f"ipc://{self.directory}/{socket}"

    process = None

    def start(self, *arguments):
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [BUILD / "arizmqd", "-c", self.config, *arguments], stderr=log,
                preexec_fn=fleet.die_with_parent)
        return self

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        status = self.process.wait(fleet.PATIENCE_S)
        assert status == 0, (status, self.log.read_text()[-5000:])


class Stage:
    """One scenario. Its directory is kept where the ledger finds a fault and LEDGER_KEEP is set."""

    def __init__(self, name):
        self.name = name
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="arizmq-ledger-"))
        self.recorders, self.bridges, self.clients = [], [], {}
        self.random = random.Random(int(os.environ.get("LEDGER_SEED", "20261123")))
        self.fake = fleet.Fake()
        self.fake.do(f"truth {self.directory}/truth.log")
        self.counters = []

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for recorder in self.recorders:
            if recorder.process.poll() is None:
                recorder.process.kill()
        for bridge in self.bridges:
            if bridge.is_running():
                bridge.kill()
        if kind is not None and "LEDGER_KEEP" in os.environ:
            say(f"kept: {self.directory}")
        else:
            shutil.rmtree(self.directory)

    def place(self, **options):
        """Where a bridge can run: its configuration and endpoints."""
        place = Bridge(self, options.pop("port", self.fake.port), **options)
        self.bridges.append(place)
        return place

    def bridge(self, **options):
        return self.place(**options).start()

    def ask(self, bridge, uri):
        """The JSON of one of the bridge's own resources."""
        client = self.clients.get(bridge.gateway)
        if client is None:
            client = self.clients[bridge.gateway] = fleet.Client(bridge.gateway)
        header, body = client.ask("GET", uri)
        assert header["status_code"] == 200, header
        return json.loads(body)

    def forget_client(self, bridge):
        """Its process has ended; whatever was sent to it gets no answer."""
        client = self.clients.pop(bridge.gateway, None)
        if client is not None:
            client.close()

    def wait_up(self, bridge):
        """Until both applications are connected."""
        fleet.wait_until("both applications are up", lambda: all(
            app["state"] == "up" for app in self.ask(bridge, "arizmq/nodes")["nodes"][0]["apps"]))

    def books(self, bridges=None):
        """The recorders that get everything; they begin at the first message of each bridge."""
        for view in ("books", "objects-books"):
            Recorder(self, view, "", view=view, repairs=True, options=["--books"],
                     bridges=bridges).wait_joined()

    def flood(self, count, rate, *options):
        """Begins it; see tests/fake/README.md."""
        self.floods, self.flood_size = len(self.flood_ends()), count
        self.fake.do(" ".join(map(str, ["flood", count, rate, *APPS, *options])))

    def flood_ends(self):
        with self.fake.changed:
            return [line for line in self.fake.events
                    if line.startswith(("event flood done", "event flood stopped"))]

    def flooded(self):
        """How many events of the flood have happened."""
        with self.fake.changed:
            begun = len(self.fake.answers)
            self.fake.process.stdin.write("flood-status\n")
            assert self.fake.changed.wait_for(lambda: len(self.fake.answers) > begun,
                                              fleet.PATIENCE_S)
            answer = self.fake.answers[-1]
        return (int(answer.split("events=")[1].split()[0]) if answer.startswith("ok")
                else self.flood_size)

    def wait_until_flooded(self, count):
        fleet.wait_until(f"{count} events have happened", lambda: self.flooded() >= count)

    def wait_flooded(self):
        fleet.wait_until("the flood is over", lambda: len(self.flood_ends()) > self.floods)
        return self.flood_ends()[-1]

    def is_flooding(self):
        return len(self.flood_ends()) == self.floods

    def received(self, bridge):
        """What its counters say of each application."""
        return [app["events"] for node in self.ask(bridge, "arizmq/nodes")["nodes"]
                for app in node["apps"]]

    def settle(self, bridge):
        """Until nothing comes any more; what the counters say then is for the ledger."""
        quiet_since, last = time.monotonic(), None
        while time.monotonic() - quiet_since < 1.5:
            if (now := self.received(bridge)) != last:
                quiet_since, last = time.monotonic(), now
            time.sleep(0.1)
        self.wait_up(bridge)
        epoch = self.ask(bridge, "arizmq/info")["epoch"]
        path = self.directory / f"counters-{epoch}.json"
        path.write_text(json.dumps({"epoch": epoch, **self.ask(bridge, "arizmq/nodes")}))
        self.counters.append(path)

    def end(self):
        """Ends recorders, bridges and the fake; nothing is to come any more."""
        for recorder in self.recorders:
            recorder.ask_to_end()
        for recorder in self.recorders:
            recorder.end()
        for client in self.clients.values():
            client.close()
        for bridge in self.bridges:
            if bridge.is_running():
                bridge.stop()
        self.fake.stop()

    def ledger(self, *files, quiet=False):
        """The ledger's exit status and what it says; over all record files, or these."""
        files = files or [recorder.path for recorder in self.recorders]
        options = [f"--counters={path}" for path in self.counters] + ["--quiet"] * quiet
        done = subprocess.run(
            [BUILD / "ledger", f"--truth=pbx1={self.directory}/truth.log", *options, "--", *files],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout

    def judge(self):
        """Ends everything; fails where anything is unaccounted for."""
        self.end()
        begin = time.monotonic()
        status, text = self.ledger()
        print(text, end="")
        say(f"{self.name}: the ledger took {time.monotonic() - begin:.1f} s")
        assert status == 0, f"the ledger ended with {status}"
        return text
