# SPDX-License-Identifier: MPL-2.0
"""What tests/bench/run and tests/bench/growth put between a generator of events and a drain:
arizmqd, the floor, and peers in Node and Python. The programs are in tests/bench/speed/."""
import contextlib
import json
import os
import pathlib
import re
import select
import subprocess
import time

import stage

PEERS = stage.ROOT / "tests/bench/speed/peers"
PATIENCE_S = 120
WARM_EVENTS = 100  # a piece of what is sent until every subscriber gets something
ARIZMQD = """nodes:
{nodes}publish:
  - {{view: events, endpoint: "tcp://127.0.0.1:*"{events_more}}}
  - {{view: objects, endpoint: "tcp://127.0.0.1:*"}}
gateway: {{endpoint: "tcp://127.0.0.1:*"}}
"""
NODE = """  - name: {name}
    url: {url}
    username: bench
    password: bench
    apps: [{app}]
"""


class Talker:
    """A program that takes commands on stdin and answers in lines."""

    def __init__(self, command):
        self.name = pathlib.Path(command[0]).name
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, preexec_fn=stage.die_with_parent)
        self.pending = b""

    def tell(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def read_line(self, timeout_s):
        """None where there is none in time."""
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self.pending:
            left = max(0, deadline - time.monotonic())
            if not select.select([self.process.stdout], [], [], left)[0]:
                return None
            piece = os.read(self.process.stdout.fileno(), 65536)
            if not piece:
                raise stage.Failed(f"{self.name} ended with {self.process.wait()}")
            self.pending += piece
        line, _, self.pending = self.pending.partition(b"\n")
        return line.decode()

    def await_line(self, prefix, timeout_s=PATIENCE_S):
        while (line := self.read_line(timeout_s)) is not None:
            if line.startswith(prefix):
                return line
        raise stage.Failed(f"{self.name} did not say {prefix!r} within {timeout_s} s")

    def close(self):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Generator(Talker):
    def __init__(self, build_dir, *arguments):
        super().__init__([build_dir / "bench_generator", *arguments])
        self.port = int(self.await_line("port ").split()[1])
        self.seq = 0

    def await_links(self, count):
        self.await_line(f"links {count}")

    def start(self, count, rate, is_stamped=False):
        self.tell(f"send {count} {rate}{' stamp' if is_stamped else ''}")
        self.seq += count

    def finish(self):
        """Nanoseconds that it took to be rid of all."""
        return int(self.await_line("sent ").split()[2])


class Drain(Talker):
    """`subscriptions`: (template, first, count) of each group of prefixes; none: everything."""

    def __init__(self, build_dir, port, subscribers=1, subscriptions=(), is_websocket=False):
        how = ["websocket", port] if is_websocket else ["zmtp", port, subscribers]
        for template, first, count in subscriptions:
            how += ["--prefixes", template, first, count]
        super().__init__([build_dir / "bench_drain", *how])

    def feed(self, generator):
        """Sends until every subscriber has had something: subscriptions take their time."""
        deadline = time.monotonic() + PATIENCE_S
        while (line := self.read_line(0.05)) != "ready":
            if time.monotonic() > deadline:
                raise stage.Failed("the subscribers are not fed")
            if line is None:
                generator.start(WARM_EVENTS, 10000)
                generator.finish()
        time.sleep(0.1)

    def count(self, generator, count, rate, is_stamped=False, is_shared=False):
        """Sends so many and returns what came of them, as bench_drain says it, with per_s."""
        self.tell(f"count {generator.seq + 1} {count}{' stamp' if is_stamped else ''}"
                  f"{' shared' if is_shared else ''}")
        self.await_line("counting")
        generator.start(count, rate, is_stamped)
        sent_ns = generator.finish()
        result = json.loads(self.await_line("{"))
        took_ns = max(1, result["last_ns"] - result["first_ns"])
        share = result["received"] / result["expected"]
        result["sent_per_s"] = count * 1e9 / max(1, sent_ns)
        result["per_s"] = count * share * 1e9 / took_ns
        result["is_whole"] = result["received"] == result["expected"]
        return result


class Relay:
    """One running relay. `pid` is its process and `port` where its subscribers connect."""

    def __init__(self, program, port):
        self.program = program
        self.pid = program.pid
        self.port = port
        self.objects_port = None

    def cpu_us(self):
        return stage.process_cpu_us(self.pid)

    def memory_kb(self, name):
        """VmRSS or VmHWM."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{name}:\s+(\d+)", status, re.M)[1])

    def close(self):
        self.program.stop()


def start_arizmqd(build_dir, directory, generator, links=1, tls=None, yaml="", topic=None,
                  under=()):
    """As it is shipped: nothing but the nodes, and ports that are free. `tls` is the directory with
    the certificate; `yaml` is added to the configuration; `topic` is the template of `events`;
    `under` is the command of a tool to run it under."""
    scheme = "wss" if tls else "ws"
    nodes = "".join(NODE.format(name=f"pbx{n}", url=f"{scheme}://127.0.0.1:{generator.port}/ari",
                                app="bench" if n == 1 else f"bench{n}") +
                    (f"    tls: {{ca_file: {tls}/certificate.pem}}\n" if tls else "")
                    for n in range(1, links + 1))
    config = directory / "arizmqd.yaml"
    config.write_text(ARIZMQD.format(
        nodes=nodes, events_more=f', topic: "{topic}"' if topic else "") + yaml + "\n")
    program = stage.Program("arizmqd", [*under, build_dir / "arizmqd", "-c", config], directory)
    try:
        program.wait_for_log("gateway_bound")  # or it says why not
        stage.wait_until("all links have compared their objects", lambda: len(re.findall(
            r" reconciled: .*; complete", program.log.read_text(errors="replace"))) >= links)
        ports = re.findall(r"publishes on tcp://127.0.0.1:(\d+)", program.log.read_text())
    except BaseException:
        program.stop()
        raise
    relay = Relay(program, int(ports[0]))
    relay.objects_port = int(ports[1])
    return relay


def start_floor(build_dir, directory, generator):
    program = stage.Program("floor", [build_dir / "bench_floor", str(generator.port)], directory)
    return Relay(program, int(program.wait_for_log(r"port (\d+)")[1]))


def start_peer(name, command, directory, generator):
    url = f"ws://127.0.0.1:{generator.port}/ari/events?app=bench"
    program = stage.Program(name, [*command, url, "tcp://127.0.0.1:*"], directory)
    port = int(program.wait_for_log(r"bound tcp://127.0.0.1:(\d+)")[1])
    program.wait_for_log("connected")
    return Relay(program, port)


def node_command(build_dir):
    """None where Node or its packages are not there."""
    peer = build_dir / "bench-peers" / "peer.js"
    return ["node", peer] if peer.exists() else None


def python_command():
    has = subprocess.run(["/usr/bin/python3", "-c", "import websockets, zmq"],
                         stderr=subprocess.DEVNULL, check=False).returncode == 0
    return ["/usr/bin/python3", "-B", PEERS / "peer.py"] if has else None


def make_certificate(directory):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=bench",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", directory / "key.pem",
                    "-out", directory / "certificate.pem"], check=True, stderr=subprocess.DEVNULL)
