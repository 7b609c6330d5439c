# SPDX-License-Identifier: MPL-2.0
"""The plain Python subscriber against a view that numbers its messages."""
import os
import signal
import subprocess
import sys
import time
import unittest

try:
    import zmq
except ImportError:
    print("skipped: pyzmq is not installed (Debian: python3-zmq)")
    sys.exit(77)

from bridge import PATIENCE_S, View

SUBSCRIBER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "subscriber.py")


README = os.path.join(os.path.dirname(SUBSCRIBER), "..", "..", "README.md")


class SubscriberTest(unittest.TestCase):
    def test_is_the_program_that_the_readme_shows(self):
        with open(SUBSCRIBER, encoding="utf-8") as program, open(README, encoding="utf-8") as readme:
            shown = program.read().split("\n", 2)[2]  # without #! and licence
            self.assertIn(f"```python\n{shown}```\n", readme.read())

    def start(self, *prefixes):
        self.view = View(zmq.Context.instance())
        self.addCleanup(self.view.close)
        process = subprocess.Popen([sys.executable, SUBSCRIBER, self.view.endpoint, *prefixes],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.process = process
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.view.wait_for(*(prefixes or ("",)), "ArizmqGap/", "ArizmqHeartbeat/")
        self.lines = process.stdout

    def wait_amid_heartbeats(self):
        """The exit status. A signal between Python's last look and the wait for a message shows
        with the next message, so this view beats, as the bridge's do every second."""
        end = time.monotonic() + PATIENCE_S
        while self.process.poll() is None and time.monotonic() < end:
            self.view.heartbeat()
            try:
                self.process.wait(0.1)
            except subprocess.TimeoutExpired:
                pass
        return self.process.poll()

    def expect(self, *lines):
        for line in lines:
            self.assertEqual(self.lines.readline().rstrip("\n"), line)

    def test_prints_what_matches_the_prefixes(self):
        self.start("StasisStart/ivr/", "Channel")
        self.view.publish("StasisStart/other/pbx1/1/")
        self.view.publish("StasisStart/ivr/pbx1/1/", {"type": "StasisStart", "args": ["ü"]})
        self.view.publish("Dial/ivr/pbx1/1/")
        self.view.publish("ChannelVarset/ivr/pbx1/1/", {"type": "ChannelVarset"})
        self.view.publish("ChannelHold/ivr/pbx1/1/", {"type": "ChannelHold"})
        self.expect('2 StasisStart/ivr/pbx1/1/ {"type": "StasisStart", "args": ["\\u00fc"]}',
                    '4 ChannelVarset/ivr/pbx1/1/ {"type": "ChannelVarset"}',
                    '5 ChannelHold/ivr/pbx1/1/ {"type": "ChannelHold"}')

    def test_tells_loss_from_filtering(self):
        self.start("StasisStart/ivr/", "Channel", "ChannelHold/")
        self.view.publish("StasisStart/ivr/pbx1/1/")
        self.view.publish("ChannelHold/ivr/pbx1/1/")
        self.view.publish("StasisStart/other/pbx1/1/")
        self.view.lose("StasisStart/ivr/pbx1/2/", 3)
        self.view.publish("ChannelHold/ivr/pbx1/1/")
        self.view.publish("StasisStart/ivr/pbx1/1/")
        self.expect('1 StasisStart/ivr/pbx1/1/ {"type": "Test"}',
                    '2 ChannelHold/ivr/pbx1/1/ {"type": "Test"}',
                    '7 ChannelHold/ivr/pbx1/1/ {"type": "Test"}',
                    '8 StasisStart/ivr/pbx1/1/ {"type": "Test"}',
                    'StasisStart/ivr/: 3 lost before seq 8')

    def test_heartbeat_shows_loss_at_the_tail(self):
        for prefix, key in (("", "all"), ("Channel", "ChannelHold/")):
            with self.subTest(prefix=prefix):
                self.start(*([prefix] if prefix else []))
                self.view.publish("ChannelHold/ivr/pbx1/1/")
                self.view.heartbeat()
                self.view.lose("ChannelHold/ivr/pbx1/1/", 2)
                self.view.heartbeat()
                self.view.heartbeat()
                self.view.publish("ChannelHold/ivr/pbx1/1/")
                self.expect('1 ChannelHold/ivr/pbx1/1/ {"type": "Test"}',
                            f'{key}: 2 lost before seq 3',
                            '4 ChannelHold/ivr/pbx1/1/ {"type": "Test"}')

    def test_prints_gaps_before_the_bridge_and_counts_them(self):
        gap = ('{"type": "ArizmqGap", "application": "ivr", "node": "pbx1", "from": "10:00", '
               '"to": "10:01", "reason": "reconnected"}')
        for prefixes, key in ((["StasisStart/"], "ArizmqGap/"), ([], "all")):
            with self.subTest(prefixes=prefixes):
                self.start(*prefixes)
                self.view.publish_gap()
                self.view.lose("ArizmqGap/ivr/pbx1/-/")
                self.view.publish_gap()
                self.expect(f"1 ArizmqGap/ivr/pbx1/-/ {gap}", f"3 ArizmqGap/ivr/pbx1/-/ {gap}",
                            f"{key}: 1 lost before seq 3")

    def test_without_arguments_it_tells_its_usage(self):
        run = subprocess.run([sys.executable, SUBSCRIBER], capture_output=True, text=True)
        self.assertEqual(run.returncode, 1)
        self.assertEqual(run.stderr, "usage: subscriber.py ENDPOINT [PREFIX]...\n")

    def test_interrupt_ends_it_quietly(self):
        self.start("Channel")
        self.view.publish("ChannelHold/ivr/pbx1/1/")
        self.expect('1 ChannelHold/ivr/pbx1/1/ {"type": "Test"}')
        self.process.send_signal(signal.SIGINT)
        self.assertEqual(self.wait_amid_heartbeats(), 0)
        self.assertEqual(self.process.stderr.read(), "")

    def test_restart_of_the_bridge(self):
        self.start("")
        self.view.publish("ChannelHold/ivr/pbx1/1/")
        self.view.restart(2)
        self.view.lose("ChannelHold/ivr/pbx1/1/")
        self.view.publish("ChannelHold/ivr/pbx1/1/")
        self.expect('1 ChannelHold/ivr/pbx1/1/ {"type": "Test"}',
                    '2 ChannelHold/ivr/pbx1/1/ {"type": "Test"}',
                    "all: counted anew (bridge restarted, or a rare topic)",
                    "all: 1 lost before seq 2")


if __name__ == "__main__":
    unittest.main()
