# SPDX-License-Identifier: MPL-2.0
"""What tests/bench/gateway measures: a real Asterisk, the daemon in its default configuration, zurl,
and bench_echo; and what CPU time each of them has used. Everything it starts ends with it."""
import contextlib
import ctypes
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIP = 77
TIMEOUT_S = 30
PR_SET_PDEATHSIG = 1
CPUCLOCK_SCHED = 2
TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_until(what, is_so):
    deadline = time.monotonic() + TIMEOUT_S
    while not (result := is_so()):
        if time.monotonic() > deadline:
            raise Failed(f"not within {TIMEOUT_S} s: {what}")
        time.sleep(0.01)
    return result


# --- CPU time, in microseconds

def process_cpu_us(pid):
    """Of all its threads, those that have ended too."""
    return time.clock_gettime_ns((~pid << 3) | CPUCLOCK_SCHED) / 1000


def thread_cpu_us(pid):
    """Of each thread that lives, by name; threads of one name are summed up."""
    used = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            name = (task / "comm").read_text().strip()
            used[name] = used.get(name, 0) + int((task / "schedstat").read_text().split()[0]) / 1000
    return used


def machine_cpu_us():
    """Of everything that runs here, the kernel too."""
    user, nice, system, _, _, irq, softirq, *_ = map(
        int, pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:])
    return (user + nice + system + irq + softirq) * TICK_US


# --- the parts

class Program:
    def __init__(self, name, command, directory):
        self.name = name
        self.log = directory / f"{name}.log"
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith(("ARIZMQ_", "ARI_"))}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=environment,
                                            preexec_fn=die_with_parent)
        self.pid = self.process.pid

    def wait_for_log(self, pattern):
        """Returns the match."""
        def find():
            text = self.log.read_text(errors="replace")
            if self.process.poll() is not None:
                raise Failed(f"{self.name} ended: {text}")
            return re.search(pattern, text)
        return wait_until(f"{pattern} in the log of {self.name}", find)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Stage:
    def __init__(self, build_dir, zurl):
        self.build_dir = build_dir
        self.zurl = zurl
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="arizmq-bench-"))
        self.asterisk = {}
        self.daemon = self.echo = None

    def __enter__(self):
        try:
            self.start_asterisk()
            self.start_daemon()
            self.echo = Program("bench_echo", [self.build_dir / "bench_echo", "tcp://127.0.0.1:*"],
                                self.directory)
            self.echo_endpoint = self.echo.wait_for_log(r"tcp://\S+")[0]
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        for program in (self.daemon, self.echo):
            if program is not None:
                program.stop()
        if (self.directory / "asterisk/instance.json").exists():
            subprocess.run([ROOT / "tests/asterisk/run", "stop", "--dir",
                            self.directory / "asterisk"], check=True)
        shutil.rmtree(self.directory, ignore_errors=True)

    def start_asterisk(self):
        done = subprocess.run([ROOT / "tests/asterisk/run", "start", "--dir",
                               self.directory / "asterisk", "--owner", str(os.getpid())],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              check=False)
        if done.returncode == SKIP:
            raise Skipped(done.stderr.strip().splitlines()[-1])
        if done.returncode != 0:
            raise Failed(done.stderr)
        self.asterisk = dict(line.split("=", 1) for line in done.stdout.splitlines())
        self.asterisk_pid = int(self.asterisk["pid"])
        self.http_target = self.asterisk["http_url"].split("/")[2]

    def start_daemon(self):
        """Everything by default but what names this Asterisk, and ports that are free."""
        config = self.directory / "arizmqd.yaml"
        config.write_text(
            f"nodes:\n  - name: pbx1\n    url: {self.asterisk['url']}\n"
            f"    username: {self.asterisk['username']}\n"
            f"    password: {self.asterisk['password']}\n    apps: [bench]\n"
            "publish:\n  - {view: events, endpoint: 'tcp://127.0.0.1:*'}\n"
            "  - {view: objects, endpoint: 'tcp://127.0.0.1:*'}\n"
            "gateway: {endpoint: 'tcp://127.0.0.1:*'}\n")
        self.daemon = Program("arizmqd", [self.build_dir / "arizmqd", "-c", config],
                              self.directory)
        self.gateway_endpoint = self.daemon.wait_for_log(r"commands are taken on (\S+)")[1]
        self.daemon.wait_for_log("node_connected")

    @contextlib.contextmanager
    def running_zurl(self):
        """Only while it is measured: Asterisk allows 100 connections at a time, and zurl keeps its
        own open. Gives its endpoint and its pid."""
        config = self.directory / "zurl.conf"
        endpoint = f"tcp://127.0.0.1:{free_port()}"
        config.write_text(
            f"[General]\nin_req_spec={endpoint}\ndefpolicy=allow\nmax_open_requests=2000\n")
        # By default it would log each request.
        program = Program("zurl", [self.zurl, "--loglevel=1", f"--config={config}"],
                          self.directory)
        try:
            yield endpoint, program.pid
        finally:
            program.stop()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
