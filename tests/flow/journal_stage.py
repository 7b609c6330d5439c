# SPDX-License-Identifier: MPL-2.0
"""What the tests of the journal stand on: a fake Asterisk, the real daemon with a journal and with
a disk that fails when told to, a subscriber to everything in both views, and a client of the
gateway."""
import json
import mmap
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

import zmq

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "interop"))
import fleet  # noqa: E402

PATIENCE_S = 120  # a sanitized daemon on a busy machine is slow
BUILD = fleet.BUILD
VIEWS = ("events", "objects")


def check(is_so, what):
    if not is_so:
        raise AssertionError(what)


def wait_until(what, is_so):
    end = time.monotonic() + PATIENCE_S
    while not (result := is_so()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {PATIENCE_S} s: {what() if callable(what) else what}")
        time.sleep(0.01)
    return result


class Disk:
    """tests/harness/bad_disk.h: shared with the daemon that runs with it."""
    NONE, FULL, EIO, SYNC_EIO, READ_EIO = range(5)
    LAYOUT = struct.Struct("=i4xqI4xQQQ")

    def __init__(self, path):
        path.write_bytes(bytes(self.LAYOUT.size))
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), self.LAYOUT.size)
        self.path = path

    def set(self, fault=NONE, room=0, sync_ms=0):
        struct.pack_into("=qI", self.memory, 8, room, sync_ms)
        struct.pack_into("=i", self.memory, 0, fault)

    def failures(self):
        return self.LAYOUT.unpack_from(self.memory)[5]

    def environment(self):
        options = os.environ.get("ASAN_OPTIONS", "")
        return {"BAD_DISK": str(self.path), "LD_PRELOAD": str(BUILD / "bad_disk.so"),
                # AddressSanitizer wants to be the first library, and need not be.
                "ASAN_OPTIONS": options + ":verify_asan_link_order=0"}


class Recorder:
    """Keeps what one run of the daemon publishes, view by view: (topic, event, stamp) by seq."""

    def __init__(self, endpoints):
        self.messages = {view: {} for view in VIEWS}
        self.counts = dict.fromkeys(VIEWS, 0)
        self.epoch = None
        self.last_seq = 0  # of a heartbeat
        self.joined = set()  # views in which there was one
        self.is_reconciled = False
        self.is_over = False
        self.sockets = {}
        self.poller = zmq.Poller()
        for view in VIEWS:
            socket = zmq.Context.instance().socket(zmq.SUB)
            socket.setsockopt(zmq.RCVHWM, 0)
            socket.subscribe(b"")
            socket.connect(endpoints[view])
            self.sockets[socket] = view
            self.poller.register(socket, zmq.POLLIN)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.is_over:
            for socket, _ in self.poller.poll(20):
                for _ in range(1000):
                    try:
                        self.take(self.sockets[socket], socket.recv_multipart(zmq.NOBLOCK))
                    except zmq.Again:
                        break
        for socket in self.sockets:
            socket.close(0)

    def take(self, view, frames):
        self.epoch, seq, _, _, first = struct.unpack_from(">5Q", frames[2])
        if first == 0 and b"ArizmqHeartbeat/" in frames[0]:
            self.last_seq = seq
            self.joined.add(view)
            return
        if frames[0].startswith(b"ArizmqNodeReconciled/"):
            self.is_reconciled = True
        self.messages[view].setdefault(seq, []).append(tuple(frames))
        self.counts[view] += 1

    def has(self, seq):
        return seq in self.messages["events"]

    def end(self):
        self.is_over = True
        self.thread.join()


class Bridge:
    """arizmqd with one node, both views, and a journal."""

    def __init__(self, fake, journal="", history="", extra="", disk=None, directory=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="arizmq-journal-"))
        self.endpoints = {name: f"ipc://{self.directory}/{name}" for name in (*VIEWS, "gateway")}
        self.database = pathlib.Path(directory or self.directory) / "journal.db"
        self.disk, self.log_path = disk, self.directory / "log"
        self.config = self.directory / "arizmqd.yaml"
        views = "".join(f'  - {{view: {view}, endpoint: "{self.endpoints[view]}", '
                        "sndhwm: 10000000}\n" for view in VIEWS)
        self.config.write_text(f"""nodes:
  - {{name: pbx1, url: "ws://127.0.0.1:{fake.port}/ari", username: lab, password: secret,
     apps: [ivr], backoff_min_ms: 10, backoff_max_ms: 20, liveness_ms: 60000}}
publish:
{views}gateway: {{endpoint: "{self.endpoints["gateway"]}"}}
heartbeat_ms: 100
history: {{{history}}}
journal: {{path: "{self.database}", {journal}}}
{extra}
""")
        self.fake = fake
        self.process = self.recorder = self.client = None

    def launch(self, *arguments):
        """Starts it and waits for nothing."""
        environment = {**os.environ, **(self.disk.environment() if self.disk else {})}
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([BUILD / "arizmqd", "-c", self.config, *arguments],
                                            stderr=log, env=environment, preexec_fn=fleet.die_with_parent)

    def start(self):
        """Starts it; the subscriber is there before the node is, and gets all from seq 1 on."""
        self.fake.do("stop-listening")
        self.launch()
        self.join()
        self.fake.do("listen")
        wait_until("the node's lists are read", lambda: self.recorder.is_reconciled)

    def join(self):
        """Has a subscriber and a client from now on."""
        wait_until(self.log, lambda: "gateway_bound" in self.log() or
                   self.process.poll() is not None)
        check(self.process.poll() is None, self.log())
        self.recorder = Recorder(self.endpoints)
        self.client = Client(self.endpoints["gateway"])
        wait_until("a heartbeat in both views", lambda: len(self.recorder.joined) == len(VIEWS))

    def log(self):
        return self.log_path.read_text(encoding="utf-8")

    def await_log(self, text):
        wait_until(lambda: f"{text} in {self.log()[-3000:]}", lambda: text in self.log())

    def end(self, signal_number=signal.SIGTERM):
        """Ends it and returns its status."""
        self.process.send_signal(signal_number)
        return self.await_end()

    def await_end(self):
        """Returns the status with which it ends by itself."""
        status = self.process.wait(PATIENCE_S)
        self.recorder.end()
        self.client.close()
        for word in ("Sanitizer", "runtime error"):
            check(word not in self.log(), self.log()[-5000:])
        return status

    def stop(self):
        status = self.end()
        check(status == 0, (status, self.log()[-3000:]))

    def metric(self, name):
        count = self.log().count("# EOF")
        self.process.send_signal(signal.SIGUSR1)
        wait_until("the metrics", lambda: self.log().count("# EOF") > count)
        values = [line.split()[1] for line in self.log().splitlines()
                  if line.startswith(name + " ")]
        return int(values[-1])

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


class Client:
    """A DEALER socket; replies may have any number of frames."""

    def __init__(self, endpoint):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVHWM, 0)
        self.socket.connect(endpoint)

    def ask(self, uri, timeout_ms=60000):
        """The reply's header, its body and the frames behind."""
        self.socket.send(json.dumps({"method": "GET", "uri": uri,
                                     "timeout_ms": timeout_ms}).encode())
        check(self.socket.poll(PATIENCE_S * 1000), f"no reply to {uri}")
        frames = self.socket.recv_multipart()
        header = json.loads(frames[0])
        check(len(frames) == 2 + 3 * header.get("count", 0), f"{header}, {len(frames)} frames")
        return header, frames[1], frames[2:]

    def info(self):
        return json.loads(self.ask("arizmq/info")[1])

    def journal(self):
        return self.info()["journal"]

    def stored(self):
        return self.journal()["stored_seq"]

    def history(self, **query):
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return self.ask("arizmq/history?" + text)

    def pages(self, **query):
        """All pages from `after` on: the messages by seq, the holes, the last header."""
        found, holes, after = {}, [], query.pop("after", 0)
        while True:
            header, body, frames = self.history(after=after, **query)
            check(header["status_code"] == 200, (header, body))
            for i in range(0, len(frames), 3):
                seq = struct.unpack_from(">Q", frames[i + 2], 8)[0]
                check(after < seq <= header["last"], f"{seq} in a page {header}")
                found.setdefault(seq, []).append(tuple(frames[i:i + 3]))
            holes += header.get("holes", [])
            check(header["last"] > after or not header["more"], f"no way on: {header}")
            if not header["more"]:
                return found, holes, header
            after = header["last"]

    def close(self):
        self.socket.close(0)


def expect_same(found, recorded, first, last, what):
    """Every message of positions first to last that was received is found, and no other."""
    for seq in range(first, last + 1):
        check(found.get(seq) == recorded.get(seq),
              f"{what}: at seq {seq} {str(found.get(seq))[:300]} is not "
              f"{str(recorded.get(seq))[:300]}")
