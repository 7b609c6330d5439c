# SPDX-License-Identifier: MPL-2.0
"""The real arizmqd under load, and `arizmq sub` stopped in the middle of it: what its socket and the
bridge's could not hold comes from history, everything once and in order.

The paths of the programs are in ARIZMQ and ARIZMQD.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

try:
    import zmq
except ImportError:
    print("skipped: pyzmq is not installed (Debian: python3-zmq)")
    sys.exit(77)

from fleet import BUILD, PATIENCE_S, Bridge, Client, Fake, die_with_parent, wait_until

PROGRAM = os.environ["ARIZMQ"]
RECORDING = BUILD / "captures" / "calls-1000-app.jsonl"
RATE = 4000  # events a second


class StoppedSubscriber(unittest.TestCase):
    def setUp(self):
        self.fake = Fake()
        self.addCleanup(self.fake.stop)
        self.bridge = Bridge(self.fake, view=", sndhwm: 50",
                             more="heartbeat_ms: 200\nhistory: {max_bytes: 268435456}\n")
        self.addCleanup(self.bridge.stop)
        client = Client(self.bridge.gateway)
        self.addCleanup(client.close)
        self.bridge.wait_up(client)
        self.directory = tempfile.TemporaryDirectory(prefix="arizmq-repair-")
        self.addCleanup(self.directory.cleanup)

    def subscribe(self, endpoint, *arguments):
        """Starts `arizmq sub` into a file; returns when it has got its first heartbeat."""
        out = pathlib.Path(self.directory.name) / "out"
        err = pathlib.Path(self.directory.name) / "err"
        with open(out, "wb") as stdout, open(err, "wb") as stderr:
            process = subprocess.Popen(
                [PROGRAM, "sub", f"--connect={endpoint}", f"--gateway={self.bridge.gateway}",
                 "--json", "--rcvhwm=50", "--check-gaps", "--heartbeats", *arguments],
                stdout=stdout, stderr=stderr, preexec_fn=die_with_parent)
        self.addCleanup(self.reap, process)
        wait_until("a heartbeat", lambda: "ArizmqHeartbeat" in out.read_text())
        return process, out, err

    @staticmethod
    def reap(process):
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait()

    def play_and_stop(self, process):
        """Plays; the subscriber sleeps through the middle of it, twice."""
        self.fake.do(f"play {RECORDING} rate={RATE} loop=1 app=ivr")
        for _ in range(2):
            time.sleep(0.5)
            process.send_signal(signal.SIGSTOP)
            time.sleep(1)
            process.send_signal(signal.SIGCONT)

    def newest(self):
        client = Client(self.bridge.gateway)
        try:
            return json.loads(client.ask("GET", "arizmq/info")[1])["seq"]
        finally:
            client.close()

    def await_end_of_play(self):
        wait_until("all is played", lambda: any("play done" in e for e in self.fake.events))
        seq = self.newest()
        wait_until("all is published", lambda: self.settled(seq))
        return self.newest()

    def settled(self, seq):
        time.sleep(0.2)
        newest = self.newest()
        return newest == seq or self.settled(newest)

    @staticmethod
    def messages(out):
        """Those that are numbered; a line that is being written is left."""
        lines = out.read_text(encoding="utf-8").split("\n")[:-1]
        return [m for m in map(json.loads, lines) if m["stamp"]["count"][1] != 0]

    def finish(self, process, err):
        process.send_signal(signal.SIGTERM)
        status = process.wait(PATIENCE_S)
        return status, err.read_text()

    def test_everything_comes_once_and_in_order(self):
        process, out, err = self.subscribe(self.bridge.events)
        first = self.newest()
        self.play_and_stop(process)
        last = self.await_end_of_play()
        wait_until("the last event", lambda: self.messages(out) and
                   self.messages(out)[-1]["stamp"]["seq"] == last)
        seqs = [m["stamp"]["seq"] for m in self.messages(out)]
        begin = seqs[0]
        self.assertLessEqual(begin, first + 1)
        self.assertEqual(seqs, list(range(begin, last + 1)))
        status, said = self.finish(process, err)
        self.assertEqual(status, 0, said)
        self.assertRegex(said, r'"": received \d+, missing 0, .*repaired [1-9]')

    def test_in_view_objects_every_message_comes_once_and_in_order(self):
        process, out, err = self.subscribe(self.bridge.objects, "--view=objects")
        self.play_and_stop(process)
        last = self.await_end_of_play()
        wait_until("the last event", lambda: self.messages(out) and
                   self.messages(out)[-1]["stamp"]["seq"] == last)
        time.sleep(0.5)
        counts = [m["stamp"]["count"][0] for m in self.messages(out)]
        self.assertEqual(counts, list(range(counts[0], counts[0] + len(counts))))
        status, said = self.finish(process, err)
        self.assertEqual(status, 0, said)
        self.assertRegex(said, r"repaired [1-9]")

    def test_several_prefixes_get_exactly_theirs(self):
        prefixes = ["StasisStart/", "ChannelDestroyed/", "ChannelV", "Channel"]
        process, out, err = self.subscribe(self.bridge.events, *prefixes)
        self.play_and_stop(process)
        last = self.await_end_of_play()
        client = Client(self.bridge.gateway)
        self.addCleanup(client.close)
        wanted = sorted(self.history(client, "StasisStart/") + self.history(client, "Channel"))
        wait_until("the last of them", lambda: len(self.messages(out)) >= len(wanted) or
                   process.poll() is not None)
        time.sleep(0.5)
        seqs = [m["stamp"]["seq"] for m in self.messages(out)]
        self.assertEqual(sorted(seqs), wanted)
        self.assertLessEqual(max(seqs), last)
        status, said = self.finish(process, err)
        self.assertEqual(status, 0, said)

    @staticmethod
    def history(client, prefix):
        """The seq of all messages that history has under the prefix."""
        seqs, after, more = [], 0, True
        while more:
            client.send("GET", "arizmq/history",
                        query_strings={"prefix": prefix, "after": after})
            assert client.socket.poll(PATIENCE_S * 1000)
            header, _, *frames = client.socket.recv_multipart()
            header = json.loads(header)
            seqs += [int.from_bytes(frames[i + 2][8:16], "big") for i in range(0, len(frames), 3)]
            after, more = header["last"], header["more"]
        return seqs


class TwoBridges(unittest.TestCase):
    """Both endpoints are named from the start; the second bridge begins later, as in a takeover."""

    def test_old_run_to_its_end_and_new_run_from_its_first_event(self):
        fakes = [Fake(), Fake()]
        for fake in fakes:
            self.addCleanup(fake.stop)
        old, new = (Bridge(fake, more="heartbeat_ms: 100\n") for fake in fakes)
        self.addCleanup(new.stop)
        new.kill()
        with tempfile.TemporaryDirectory(prefix="arizmq-two-") as directory:
            out = pathlib.Path(directory) / "out"
            with open(out, "wb") as stdout:
                process = subprocess.Popen(
                    [PROGRAM, "sub", "--json", "--check-gaps", "--heartbeats",
                     f"--connect={old.events}", f"--gateway={old.gateway}",
                     f"--connect={new.events}", f"--gateway={new.gateway}"],
                    stdout=stdout, stderr=subprocess.PIPE, preexec_fn=die_with_parent)
            self.addCleanup(process.stderr.close)
            self.addCleanup(StoppedSubscriber.reap, process)
            wait_until("a heartbeat", lambda: "ArizmqHeartbeat" in out.read_text())
            self.await_links(old)
            fakes[0].do(f"play {RECORDING} rate=1000 loop=0 app=ivr")
            new.start()
            self.await_links(new)
            fakes[1].do(f"play {RECORDING} rate=1000 loop=0 app=ivr")
            time.sleep(1)
            fakes[0].do("stop-play")
            old.stop()
            fakes[1].do("stop-play")
            runs = wait_until("the end of both", lambda: self.complete_runs(out, new))
            self.assertEqual(len(runs), 2)
            old_run, new_run = (runs[epoch] for epoch in sorted(runs))
            self.assertEqual(old_run, list(range(old_run[0], old_run[-1] + 1)))
            self.assertEqual(new_run, list(range(1, new_run[-1] + 1)))
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(PATIENCE_S), 0, process.stderr.read().decode())

    @staticmethod
    def await_links(bridge):
        client = Client(bridge.gateway)
        bridge.wait_up(client)
        client.close()

    @staticmethod
    def complete_runs(out, new):
        """The seq of all messages by epoch, once the old run has ended and the new one is all there."""
        messages = StoppedSubscriber.messages(out)
        runs = {}
        for message in messages:
            runs.setdefault(message["stamp"]["epoch"], []).append(message["stamp"]["seq"])
        client = Client(new.gateway)
        newest = json.loads(client.ask("GET", "arizmq/info")[1])
        client.close()
        stopped = any(message["topic"].startswith("ArizmqStopping/") for message in messages)
        is_all = runs.get(newest["epoch"], [0])[-1] == newest["seq"]
        return runs if stopped and is_all else None


if __name__ == "__main__":
    unittest.main()
