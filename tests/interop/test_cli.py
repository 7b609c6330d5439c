# SPDX-License-Identifier: MPL-2.0
"""`arizmq sub` as a person and a script see it: output, exit status, gap report.

The path of the program is in the environment variable ARIZMQ.
"""
import array
import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import threading
import time
import unittest

try:
    import zmq
except ImportError:
    print("skipped: pyzmq is not installed (Debian: python3-zmq)")
    sys.exit(77)

from bridge import PATIENCE_S, ObjectsView, View

PROGRAM = os.environ["ARIZMQ"]
CHANNEL = {"id": "1.1", "name": "PJSIP/alice-1", "state": "Ring",
           "caller": {"name": "Zoë", "number": "1001"}}


class CliTest(unittest.TestCase):
    def view(self, kind=View, **arguments):
        view = kind(zmq.Context.instance(), **arguments)
        self.addCleanup(view.close)
        return view

    def start(self, *arguments, views=(), wait_for=(), stdout=subprocess.PIPE, **environment):
        """Starts `arizmq sub`; returns when each view has seen its subscriptions."""
        variables = {k: v for k, v in os.environ.items() if k not in ("ARIZMQ_CONNECT", "NO_COLOR")}
        variables |= {"TZ": "UTC", "TERM": "xterm"} | environment
        connect = [f"--connect={view.endpoint}" for view in views]
        process = subprocess.Popen([PROGRAM, "sub", *connect, *arguments], env=variables,
                                   stdout=stdout, stderr=subprocess.PIPE)
        self.addCleanup(self.reap, process)
        for view in views:
            view.wait_for(*wait_for, *view.own_prefixes())
        return process

    @staticmethod
    def reap(process):
        process.kill()
        process.communicate()

    def finish(self, process, status=0):
        """Waits for the end; returns what it wrote to standard output and to standard error."""
        out, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, status, err.decode())
        return out, err.decode()

    def show(self, *messages, arguments=()):
        """What is written for these messages: (topic, event) each."""
        view = self.view()
        process = self.start(f"--count={len(messages)}", *arguments, views=[view], wait_for=[""])
        for topic, event in messages:
            view.publish(topic, event)
        return self.finish(process)[0]


class Json(CliTest):
    def test_event_comes_byte_for_byte(self):
        events = [
            b'{"type":"A","b":1.50e2,"a":12345678901234567890123,"a":1,"s":"\\u00e9\\/\xc3\xa9"}',
            '{"type":"A","value":"line\u2028and\u2029paragraph"}'.encode(),
            b' { "type" : "A" } ',
            b'{"type":"A","nul":"\\u0000"}',
            b'[1,2]', b'7', b'"text"', b'{"type":"A","n":1e999}',
        ]
        out = self.show(*[("A/b/c/d/", event) for event in events])
        lines = out.split(b"\n")
        self.assertEqual(len(lines), len(events) + 1)
        for line, event in zip(lines, events[:-1]):
            self.assertTrue(line.endswith(b'"event":' + event + b"}"), line)
            json.loads(line)

    def test_stamp_is_exact(self):
        line = json.loads(self.show(("A/b/c/d/", b"{}")))
        self.assertEqual(line, {
            "topic": "A/b/c/d/", "event": {},
            "stamp": {"epoch": 1795444501000000, "seq": 1, "received_ns": 1795444501160000001,
                      "count": [1, 1, 1, 1, 1]}})

    def test_every_event_stays_on_its_line(self):
        out = self.show(("A/b/c/d/", b'{\n  "type":\r\n "A"\n}\n'))
        self.assertEqual(out.count(b"\n"), 1)
        self.assertEqual(json.loads(out)["event"], {"type": "A"})

    def test_what_is_no_json_is_a_string(self):
        out = self.show(("ArizmqUnparsed/-/n/-/", b'{"type":"A"'), ("A/b/c/d/", b""),
                        ("A/b/c/d/", b"a\x00\n\xe2\x80\xa8"), ("A/b/c/d/", b"\xff\xfe"))
        lines = [json.loads(line) for line in out.decode().rstrip("\n").split("\n")]
        self.assertEqual([line.get("event") for line in lines],
                         ['{"type":"A"', "", "a\0\n\u2028", None])
        self.assertEqual(lines[3]["event_base64"], "//4=")

    def test_large_event(self):
        event = json.dumps({"type": "A", "value": "x" * 1000000}).encode()
        out = self.show(("A/b/c/d/", event), ("A/b/c/d/", b"{}"))
        first, second, _ = out.split(b"\n")
        self.assertTrue(first.endswith(event + b"}"))
        self.assertEqual(json.loads(second)["stamp"]["count"][0], 2)

    def test_line_is_there_before_the_next_message(self):
        view = self.view()
        process = self.start(views=[view], wait_for=[""])
        for number in range(1, 4):
            view.publish("A/b/c/d/")
            self.assertEqual(json.loads(process.stdout.readline())["stamp"]["seq"], number)


class OtherForms(CliTest):
    def test_topics(self):
        out = self.show(("A/b/c/d/", b"{}"), ("B/ü%2F\n\x1b/c/d/", b"{}"), arguments=["--topics"])
        self.assertEqual(out.decode(), "A/b/c/d/\nB/ü%2F\\x0a\\x1b/c/d/\n")

    def test_pretty(self):
        out = self.show(("A/b/c/d/", b'{"type":"A","z":[1,2.5]}'), arguments=["--pretty"]).decode()
        self.assertEqual(out, "topic A/b/c/d/\n"
                              "stamp epoch 1795444501000000 seq 1 received_ns 1795444501160000001 "
                              "(14:35:01.160) count 1 1 1 1 1\n"
                              '{\n  "type": "A",\n  "z": [\n    1,\n    2.5\n  ]\n}\n\n')

    def test_human(self):
        event = {"type": "StasisStart", "args": ["a", "b"], "channel": CHANNEL}
        out = self.show(("StasisStart/ivr/pbx1/1.1/", event), ("no template", b"not \x1b[31m JSON"),
                        arguments=["--human"]).decode()
        self.assertEqual(out, "14:35:01.160 StasisStart            pbx1     ivr      1.1 args=a,b "
                              "PJSIP/alice-1 Ring caller=1001 (Zoë)\n"
                              "14:35:01.160 -                      no template "
                              "not \\x1b[31m JSON\n")

    def test_objects_view(self):
        view = self.view(ObjectsView)
        process = self.start("--view=objects", "--human", "--count=1", "channel/", views=[view],
                             wait_for=["channel/"])
        view.publish("bridge/7/StasisStart/pbx1/")
        view.heartbeat()
        view.publish("channel/1.1/StasisStart/pbx1/", {"type": "StasisStart", "application": "ivr"})
        self.assertEqual(self.finish(process)[0].decode(),
                         "14:35:01.160 StasisStart            pbx1     ivr      channel/1.1\n")

    def terminal(self, *arguments, **environment):
        """The first line of what a terminal gets."""
        view = self.view()
        leader, follower = pty.openpty()
        process = self.start("--count=1", *arguments, views=[view], wait_for=[""], stdout=follower,
                             **environment)
        os.close(follower)
        view.publish("StasisEnd/ivr/pbx1/1.1/")
        self.finish(process)
        with os.fdopen(leader, "rb") as screen:
            return screen.readline().decode()

    def test_terminal_gets_coloured_lines(self):
        self.assertIn("\033[1;32mStasisEnd", self.terminal())
        for line in (self.terminal(NO_COLOR="1"), self.terminal(TERM="dumb"),
                     self.terminal("--color=never")):
            self.assertTrue(line.startswith("14:35:01.160 StasisEnd "), line)
        self.assertIn("\033[1;32m", self.terminal("--color=always", NO_COLOR="1"))
        self.assertTrue(self.terminal("--json").startswith('{"topic"'))


class Ending(CliTest):
    def test_count(self):
        view = self.view()
        process = self.start("--count=2", views=[view], wait_for=[""])
        for _ in range(5):
            view.publish("A/b/c/d/")
        out, err = self.finish(process)
        self.assertEqual(out.count(b"\n"), 2)
        self.assertEqual(err, "")

    def test_timeout_with_nothing_or_too_little_is_4(self):
        view = self.view()
        _, err = self.finish(self.start("--timeout=0.5", views=[view]), status=4)
        self.assertEqual(err, f'arizmq: {view.endpoint}: nothing under "" yet, and no heartbeat of '
                              'a bridge\n')
        process = self.start("--timeout=2", "--count=2", views=[view], wait_for=[""])
        view.publish("A/b/c/d/")
        self.assertEqual(self.finish(process, status=4)[0].count(b"\n"), 1)

    def test_timeout_after_something_came_is_0(self):
        view = self.view()
        process = self.start("--timeout=2", views=[view], wait_for=[""])
        view.publish("A/b/c/d/")
        self.assertEqual(self.finish(process)[0].count(b"\n"), 1)

    def test_nobody_at_the_endpoint_is_told(self):
        view = self.view()
        view.close()
        _, err = self.finish(self.start("--timeout=0.2", f"--connect={view.endpoint}"), status=4)
        self.assertEqual(err, f"arizmq: nobody answers at {view.endpoint}; time is up\n")

    def test_signals_end_it_in_good_order(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number):
                view = self.view()
                process = self.start("--check-gaps", views=[view], wait_for=[""])
                view.publish("A/b/c/d/")
                process.stdout.readline()
                process.send_signal(number)
                _, err = self.finish(process)
                self.assertIn('"": received 1, missing 0, restarts 0', err)

    def test_reader_that_leaves_ends_it_quietly(self):
        view = self.view()
        process = self.start(views=[view], wait_for=[""])
        view.publish("A/b/c/d/")
        process.stdout.readline()
        process.stdout.close()  # no further message is needed
        self.assertEqual(process.wait(PATIENCE_S), 0)
        self.assertEqual(process.stderr.read(), b"")

    def test_reader_that_leaves_in_the_middle(self):
        view = self.view()
        process = self.start(views=[view], wait_for=[""])
        for _ in range(200):
            view.publish("A/b/c/d/", b'"' + b"x" * 10000 + b'"')
        process.stdout.read(100)
        process.stdout.close()
        self.assertEqual(process.wait(PATIENCE_S), 0)
        self.assertEqual(process.stderr.read(), b"")

    def test_output_that_cannot_be_written_is_1(self):
        view = self.view()
        with open("/dev/full", "wb") as full:
            process = self.start(views=[view], wait_for=[""], stdout=full)
        view.publish("A/b/c/d/")
        _, err = self.finish(process, status=1)
        self.assertEqual(err, "arizmq: cannot write the output: No space left on device\n")

    def test_signal_ends_it_while_the_output_is_blocked(self):
        view = self.view()
        process = self.start("--check-gaps", views=[view], wait_for=[""])
        for _ in range(100):
            view.publish("A/b/c/d/", b'"' + b"x" * 10000 + b'"')
        wait_until_full(process.stdout)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(PATIENCE_S), 0)


def wait_until_full(pipe):
    """Until nothing more goes into the pipe, so that its writer has to wait. It may be full with
    less than its capacity, since a page of it may be filled in part."""
    filled, before = array.array("i", [0]), 0
    since = begin = time.monotonic()
    while before < select.PIPE_BUF or time.monotonic() < since + 0.5:
        if time.monotonic() > begin + PATIENCE_S:
            raise AssertionError(f"{before} bytes")
        time.sleep(0.001)
        fcntl.ioctl(pipe, termios.FIONREAD, filled)
        if filled[0] != before:
            before, since = filled[0], time.monotonic()


class Gaps(CliTest):
    def report(self, *arguments, prefixes, play, status=3, view=None):
        """Runs `play` with the view, ends with SIGTERM; returns standard error."""
        view = view or self.view()
        process = self.start("--check-gaps", "--topics", *arguments, *prefixes, views=[view],
                             wait_for=prefixes)
        play(view)
        view.publish("End/-/-/-/")
        while process.stdout.readline() != b"End/-/-/-/\n":
            pass
        process.send_signal(signal.SIGTERM)
        return self.finish(process, status)[1]

    def test_missing_messages_are_told_and_the_status_is_3(self):
        def play(view):
            view.publish("StasisStart/ivr/pbx1/1/")
            view.lose("StasisStart/ivr/pbx1/1/", 2)
            view.lose("ChannelHold/ivr/pbx1/1/")
            view.publish("StasisStart/ivr/pbx1/1/")
            view.publish("ChannelVarset/ivr/pbx1/1/")
        view = self.view()
        err = self.report(prefixes=["StasisStart/ivr/", "Channel", "End/"], play=play, view=view)
        where = f"arizmq: gaps: {view.endpoint}"
        self.assertIn(f'arizmq: {view.endpoint}: missing 2 under "StasisStart/ivr/" after seq 1\n',
                      err)
        self.assertIn(f'{where} "Channel": received 1, missing 0, restarts 0, counters started anew '
                      '0\n', err)
        self.assertIn(f'{where} "StasisStart/ivr/": received 2, missing 2, restarts 0, counters '
                      'started anew 0 (heartbeats do not cover it)\n', err)

    def test_nothing_missing_is_0(self):
        def play(view):
            view.publish("A/b/c/d/")
            view.publish("B/b/c/d/")
            view.heartbeat()
        err = self.report(prefixes=[""], play=play, status=0)
        self.assertIn('"": received 3, missing 0', err)
        self.assertIn("told by the bridge: ArizmqGap 0, ArizmqRefused 0\n", err)
        self.assertEqual(err.count("\n"), 2)

    def test_without_check_gaps_they_are_told_and_the_status_is_0(self):
        view = self.view()
        process = self.start("--count=2", views=[view], wait_for=[""])
        view.publish("A/b/c/d/")
        view.lose("A/b/c/d/")
        view.publish("A/b/c/d/")
        self.assertEqual(self.finish(process)[1],
                         f'arizmq: {view.endpoint}: missing 1 under "" after seq 1\n')

    def test_loss_is_told_while_it_runs(self):
        view = self.view()
        process = self.start(views=[view], wait_for=[""])
        view.publish("A/b/c/d/")
        view.lose("A/b/c/d/")
        view.heartbeat()
        self.assertEqual(process.stderr.readline().decode(),
                         f'arizmq: {view.endpoint}: missing 1 under "" after seq 1\n')

    def test_heartbeat_shows_loss_at_the_tail(self):
        def play(view):
            view.publish("ChannelHold/b/c/d/")
            view.heartbeat()
            view.lose("ChannelHold/b/c/d/", 4)
            view.heartbeat()
        err = self.report(prefixes=["Channel", "End/"], play=play)
        self.assertIn('"Channel": received 1, missing 4', err)

    def test_restart(self):
        def play(view):
            view.publish("A/b/c/d/")
            view.restart(2)
            view.lose("A/b/c/d/", 5)
            view.publish("A/b/c/d/")
        err = self.report(prefixes=[""], play=play)
        self.assertIn("the bridge was restarted", err)
        self.assertIn('"": received 3, missing 5, restarts 1', err)

    def test_bridge_goes_and_comes_back(self):
        gone = self.view()
        process = self.start("--count=2", "--check-gaps", views=[gone], wait_for=[""])
        gone.publish("A/b/c/d/")
        process.stdout.readline()
        gone.close()
        self.assertEqual(process.stderr.readline().decode(),
                         f"arizmq: {gone.endpoint}: disconnected; trying again\n")
        view = self.view(endpoint=gone.endpoint)
        view.restart(2)
        view.wait_for("")
        view.publish("A/b/c/d/")
        _, err = self.finish(process, status=3)  # what was missed cannot be told
        self.assertIn("the bridge was restarted", err)
        self.assertIn("received 2, missing 0, restarts 1", err)

    def test_overlapping_prefixes(self):
        view = self.view()
        process = self.start("--count=3", "--check-gaps", "--topics", "A/", "A", "A/b/", "B/",
                             views=[view], wait_for=["A/", "A", "A/b/", "B/"])
        view.publish("A/b/c/d/")
        view.publish("A/b/c/d/")
        view.publish("B/b/c/d/")
        out, err = self.finish(process)
        self.assertEqual(out.decode().split(), ["A/b/c/d/", "A/b/c/d/", "B/b/c/d/"])
        self.assertIn('"A": received 2, missing 0', err)
        self.assertIn('"B/": received 1, missing 0', err)
        self.assertEqual(err.count("\n"), 3)

    def test_each_bridge_counts_for_itself(self):
        views = [self.view(), self.view()]
        views[1].restart(9)
        process = self.start("--count=4", "--check-gaps", "--topics", views=views, wait_for=[""])
        for number in "12":
            for view in views:
                view.publish(f"A/b/c/{number}/")
        out, err = self.finish(process)
        self.assertEqual(sorted(out.decode().split()), ["A/b/c/1/", "A/b/c/1/", "A/b/c/2/",
                                                        "A/b/c/2/"])
        for view in views:
            self.assertIn(f'{view.endpoint} "": received 2, missing 0, restarts 0', err)

    def test_slow_reader_is_told_exactly_what_it_lost(self):
        view = self.view(sndhwm=10)
        process = self.start("--check-gaps", "--rcvhwm=10", views=[view], wait_for=[""])
        view.publish("A/b/c/d/")
        lines = [process.stdout.readline()]
        for _ in range(5000):  # 50 MB: more than the sockets hold
            view.publish("A/b/c/d/", b'"' + b"x" * 10000 + b'"')

        def read():
            while b"End/" not in lines[-1][:20]:
                lines.append(process.stdout.readline())
        reader = threading.Thread(target=read)
        reader.start()
        while reader.is_alive():
            view.publish("End/-/-/-/")  # lost too while there is no room
            reader.join(0.01)
        process.send_signal(signal.SIGTERM)
        lines += process.stdout.readlines()
        _, err = self.finish(process, status=3)
        last_seq = json.loads(lines[-1])["stamp"]["seq"]
        report = re.search(r"received (\d+), missing (\d+), restarts 0", err)
        received, missing = int(report[1]), int(report[2])
        self.assertEqual(received, len(lines))
        self.assertEqual(received + missing, last_seq)
        self.assertGreater(missing, 0)


class LossBeforeTheBridge(CliTest):
    """Loss between Asterisk and the bridge, which no counter shows."""

    def run_with(self, kind, *prefixes, status=3, arguments=(), shown=1):
        """The bridge tells of a gap and a refusal; returns the view and what was written."""
        view = self.view(kind)
        process = self.start(f"--count={shown}", f"--view={view.name}", "--topics", *arguments,
                             *prefixes, views=[view], wait_for=prefixes)
        view.publish_gap()
        view.publish_refused()
        view.publish("End/-/-/-/")
        out, err = self.finish(process, status)
        return view, out.decode().split(), err

    def test_is_told_in_every_view_and_the_status_is_3(self):
        for kind in (View, ObjectsView):
            with self.subTest(view=kind.name):
                view, out, err = self.run_with(kind, "End/", arguments=["--check-gaps"])
                where = f"{view.endpoint}: node pbx1, application ivr"
                self.assertEqual(out, ["End/-/-/-/"])
                self.assertIn(f"arizmq: {where}: events may be missing from 10:00 to 10:01 "
                              "(reconnected)\n", err)
                self.assertIn(f"arizmq: {where}: the bridge discarded an event: limit "
                              "max_event_bytes, size 101\n", err)
                self.assertIn(f"arizmq: gaps: {view.endpoint}: told by the bridge: ArizmqGap 1, "
                              "ArizmqRefused 1\n", err)
                self.assertNotIn('Arizmq', "".join(re.findall('".*?"', err)))

    def test_is_told_without_check_gaps_too(self):
        _, out, err = self.run_with(View, "End/", status=0)
        self.assertEqual(out, ["End/-/-/-/"])
        self.assertRegex(err, r"\A.*may be missing.*\n.*discarded.*\n\Z")

    def test_is_a_message_where_a_prefix_asks_for_it(self):
        for prefix in ("", "Arizmq", "ArizmqGap/ivr/"):
            with self.subTest(prefix=prefix):
                shown = ["ArizmqGap/ivr/pbx1/-/", "ArizmqRefused/ivr/pbx1/-/", "End/-/-/-/"]
                if prefix.startswith("ArizmqGap"):
                    del shown[1]
                _, out, err = self.run_with(View, prefix, "End/", arguments=["--check-gaps"],
                                            shown=len(shown))
                self.assertEqual(out, shown)
                self.assertIn("ArizmqGap 1, ArizmqRefused 1\n", err)

    def test_members_from_the_network_are_cleaned(self):
        view = self.view()
        process = self.start("--count=1", "End/", views=[view], wait_for=["End/"])
        view.publish_own("ArizmqGap", **{"from": "\x1b[31m", "to": 7})
        view.publish("ArizmqRefused/-/-/-/", b"no JSON")
        view.publish("End/-/-/-/")
        err = self.finish(process)[1]
        self.assertIn(r"from \x1b[31m to 7 (-)", err)
        self.assertIn("node -, application -: the bridge discarded an event: limit -, size -", err)

    def test_lost_on_the_way_here_it_counts_as_missing(self):
        for kind in (View, ObjectsView):
            with self.subTest(view=kind.name):
                view = self.view(kind)
                process = self.start("--count=1", "--check-gaps", f"--view={view.name}", "End/",
                                     views=[view], wait_for=["End/"])
                topic = view.own_topic.format(type="ArizmqGap", app="ivr", node="pbx1")
                view.publish_gap()
                view.lose(topic, 2)
                view.publish_gap()
                view.publish("End/-/-/-/")
                err = self.finish(process, status=3)[1]
                self.assertIn(f'"{view.own_prefixes()[0]}": received 2, missing 2', err)

    def test_heartbeat_shows_it_at_the_tail(self):
        view = self.view()
        process = self.start("--count=1", "--check-gaps", "End/", views=[view], wait_for=["End/"])
        view.heartbeat()
        view.lose("ArizmqGap/ivr/pbx1/-/")
        view.heartbeat()
        view.publish("End/-/-/-/")
        self.assertIn('"ArizmqGap/": received 0, missing 1', self.finish(process, status=3)[1])

    def test_restart_seen_by_heartbeats_alone_is_3(self):
        view = self.view()
        process = self.start("--count=1", "--check-gaps", "End/", views=[view], wait_for=["End/"])
        view.heartbeat()
        view.restart(2)
        view.heartbeat()
        view.publish("End/-/-/-/")
        self.assertIn("missing 0, restarts 1", self.finish(process, status=3)[1])


class Silence(CliTest):
    """A prefix that matches nothing, or the wrong view."""

    def test_timeout_tells_what_the_bridge_has_sent(self):
        view = self.view()
        process = self.start("--timeout=1", "--count=2", "stasisstart/", "B/", "c", views=[view],
                             wait_for=["stasisstart/", "B/", "c"])
        for topic in ("StasisStart/ivr/pbx1/1/", "ChannelCreated/ivr/pbx1/1/", "B/-/-/-/"):
            view.publish(topic)
        view.heartbeat()
        out, err = self.finish(process, status=4)
        self.assertEqual(out.count(b"\n"), 1)
        self.assertEqual(err, f'arizmq: {view.endpoint}: nothing under "stasisstart/", "c" yet; the '
                              'bridge is alive (seq 3) and has sent B, ChannelCreated, '
                              'StasisStart\n')

    def test_bridge_that_sent_nothing(self):
        view = self.view()
        process = self.start("--timeout=1", views=[view], wait_for=[""])
        view.heartbeat()
        self.assertIn("is alive (seq 0) and has sent nothing so far\n",
                      self.finish(process, status=4)[1])

    def test_terminal_is_told_while_it_waits(self):
        view = self.view()
        leader, follower = pty.openpty()
        self.addCleanup(os.close, leader)
        process = self.start("a/", views=[view], wait_for=["a/"], stdout=follower)
        os.close(follower)
        view.publish("A/-/-/-/")
        view.heartbeat()
        self.assertIn('nothing under "a/" yet; the bridge is alive (seq 1) and has sent A\n',
                      process.stderr.readline().decode())
        self.assertIsNone(process.poll())

    def test_other_view_is_told_once(self):
        for kind, asked in ((View, "objects"), (ObjectsView, "events")):
            with self.subTest(asked=asked):
                view = self.view(kind)
                process = self.start("--count=1", f"--view={asked}", "", "--topics",
                                     f"--connect={view.endpoint}")
                view.wait_for("", "ArizmqHeartbeat/", "arizmq/-/ArizmqHeartbeat/")
                view.heartbeat()
                view.heartbeat()
                view.publish("End/-/-/-/")
                out, err = self.finish(process)
                self.assertEqual(out, b"End/-/-/-/\n")
                self.assertEqual([line for line in err.splitlines() if "the view" in line],
                                 [f"arizmq: {view.endpoint}: the bridge publishes the view "
                                  f"{kind.name} here, not {asked}: set --view or --connect"])

    def test_prefix_that_looks_like_a_mistake_is_warned_of_at_once(self):
        for view, prefix, warned in (
                ("events", "Channel*", "no wildcards"), ("events", "/StasisStart/", "a slash"),
                ("events", "channel/1.1/", "--view objects"), ("events", "bridge", "--view objects"),
                ("objects", "StasisStart/", "begin with a kind"), ("objects", "/channel", "a slash"),
                ("events", "Channel", None), ("events", "", None), ("objects", "channel/", None)):
            with self.subTest(view=view, prefix=prefix):
                process = self.start(f"--view={view}", "--timeout=0.05", prefix,
                                     "--connect=ipc:///nonexistent/arizmq")
                warnings = [line for line in self.finish(process, status=4)[1].splitlines()
                            if "warning" in line]
                self.assertEqual(len(warnings), warned is not None)
                if warned:
                    self.assertIn(f'warning: prefix "{prefix}": ', warnings[0])
                    self.assertIn(warned, warnings[0])


class Input(CliTest):
    def test_heartbeats_are_shown_to_those_who_ask(self):
        for arguments, shown in (([], 0), (["--heartbeats"], 1), (["Arizmq", ""], 0),
                                 (["ArizmqH", ""], 1),
                                 (["ArizmqHeartbeat/-/", ""], 1)):
            with self.subTest(arguments=arguments):
                view = self.view()
                process = self.start(f"--count={shown + 1}", "--topics", *arguments, views=[view],
                                     wait_for=[""])
                view.heartbeat()
                view.publish("A/b/c/d/")
                out = self.finish(process)[0].decode().split()
                self.assertEqual(out, ["ArizmqHeartbeat/-/-/-/"] * shown + ["A/b/c/d/"])

    def test_environment_names_the_endpoints(self):
        views = [self.view(), self.view()]
        process = self.start("--count=2", "--topics",
                             ARIZMQ_CONNECT=f" {views[0].endpoint}  {views[1].endpoint}")
        for view in views:
            view.wait_for("")
            view.publish("A/b/c/d/")
        self.assertEqual(self.finish(process)[0].decode().split(), ["A/b/c/d/"] * 2)

    def test_messages_of_others_are_told_once_and_not_shown(self):
        view = self.view()
        process = self.start("--count=1", "--check-gaps", "--topics", views=[view], wait_for=[""])
        for frames in ([b"A/"], [b"A/", b"{}"], [b"A/", b"{}", b"short"],
                       [b"A/", b"{}", b"\0" * 40, b"", b""]):
            view.socket.send_multipart(frames)
        view.publish("A/b/c/d/")
        out, err = self.finish(process)
        self.assertEqual(out, b"A/b/c/d/\n")
        self.assertIn("not a message of arizmqd (1 frames", err)
        self.assertIn("not arizmqd's 4, unchecked 0", err)
        self.assertEqual(err.count("\n"), 4)

    def test_stamp_that_does_not_fit_its_topic(self):
        view = self.view()
        process = self.start("--count=1", "--check-gaps", "A/b/", views=[view], wait_for=["A/b/"])
        view.socket.send_multipart([b"A/b/", b"{}", view.stamp([1, 1])])
        out, err = self.finish(process)
        self.assertEqual(json.loads(out)["topic"], "A/b/")
        self.assertIn('a stamp does not fit its topic "A/b/"', err)
        self.assertIn("unchecked 1", err)

    def test_wrong_arguments_are_named(self):
        for arguments, named in ((["--connect=nowhere"], '"nowhere"'),
                                 (["--connect=tcp://localhost"], '"tcp://localhost"'),
                                 (["--connect=udp://127.0.0.1:1"], '"udp://127.0.0.1:1"'),
                                 (["--connect=%s%n"], '"%s%n"'),
                                 (["--view=calls"], '"calls"'), (["--count=0"], '"0"'),
                                 (["--count=many"], '"many"'), (["--timeout=-1"], '"-1"'),
                                 (["--rcvhwm=0"], '"0"'), (["--color=blue"], '"blue"'),
                                 (["x" * 513], "513"), (["--bogus"], "--bogus")):
            with self.subTest(arguments=arguments):
                out, err = self.finish(self.start(*arguments), status=2)
                self.assertEqual(out, b"")
                self.assertIn(named.replace("513", "x" * 513), err)

    def test_manual(self):
        for arguments in ([], ["sub"]):
            run = subprocess.run([PROGRAM, *arguments, "--help"], capture_output=True, text=True)
            self.assertEqual(run.returncode, 0)
            for heading in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES",
                            "EXIT STATUS"):
                self.assertIn(f"{heading}\n  ", run.stdout)
        run = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True)
        self.assertRegex(run.stdout, r"^arizmq \d+\.\d+\.\d+\n$")
        for arguments in ([], ["nonsense"], ["--nonsense"]):
            run = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True)
            self.assertEqual(run.returncode, 2)
            self.assertNotEqual(run.stderr, "")


if __name__ == "__main__":
    unittest.main()
