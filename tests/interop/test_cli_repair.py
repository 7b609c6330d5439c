# SPDX-License-Identifier: MPL-2.0
"""`arizmq sub` where messages are lost: it repairs them, joins with a snapshot, and says what it
could not have; `arizmq snapshot` and `arizmq history`.

The path of the program is in the environment variable ARIZMQ.
"""
import json
import os
import signal
import socket
import subprocess
import sys
import unittest

try:
    import zmq
except ImportError:
    print("skipped: pyzmq is not installed (Debian: python3-zmq)")
    sys.exit(77)

from bridge import PATIENCE_S
from history import KeepingView

PROGRAM = os.environ["ARIZMQ"]
OBJECT = {"id": "1.1", "name": "PJSIP/alice-1", "state": "Up"}


def free_endpoint():
    """An endpoint where nobody is."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"tcp://127.0.0.1:{server.getsockname()[1]}"


class RepairTest(unittest.TestCase):
    def view(self):
        view = KeepingView(zmq.Context.instance())
        self.addCleanup(view.close)
        return view

    def run_with(self, view, *arguments, gateway=True, wait_for=("",), **environment):
        own = ("ARIZMQ_CONNECT", "ARIZMQ_GATEWAY_CONNECT")
        variables = {k: v for k, v in os.environ.items() if k not in own} | environment
        endpoints = [f"--connect={view.endpoint}"]
        endpoints += [f"--gateway={view.gateway}"] if gateway else []
        process = subprocess.Popen([PROGRAM, "sub", *endpoints, *arguments], env=variables,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.reap, process)
        view.wait_for(*wait_for, *view.own_prefixes())
        return process

    @staticmethod
    def reap(process):
        process.kill()
        process.communicate()

    def finish(self, process, status=0):
        out, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, status, err.decode())
        return out.decode(), err.decode()


class Repair(RepairTest):
    def lose_some(self, view):
        view.publish("A/b/c/1/")
        view.lose("A/b/c/2/", 3)
        view.publish("A/b/c/3/")

    def test_it_repairs_by_itself(self):
        view = self.view()
        process = self.run_with(view, "--count=5", "--check-gaps")
        self.lose_some(view)
        out, err = self.finish(process)
        self.assertEqual([json.loads(line)["stamp"]["seq"] for line in out.splitlines()],
                         [1, 2, 3, 4, 5])
        self.assertIn('"": received 5, missing 0, restarts 0, counters started anew 0, repaired 3\n',
                      err)

    def test_gateway_of_the_environment(self):
        view = self.view()
        process = self.run_with(view, "--count=5", "--topics", gateway=False,
                                ARIZMQ_GATEWAY_CONNECT=view.gateway)
        self.lose_some(view)
        out, err = self.finish(process)
        self.assertEqual(out.count("\n"), 5)
        self.assertEqual(err, "")

    def test_no_repair_shows_the_losses(self):
        view = self.view()
        process = self.run_with(view, "--count=2", "--no-repair", "--check-gaps", "--topics")
        self.lose_some(view)
        out, err = self.finish(process, status=3)
        self.assertEqual(out.count("\n"), 2)
        self.assertIn(f'arizmq: {view.endpoint}: missing 3 under "" after seq 1\n', err)
        self.assertEqual(view.questions, [])

    def test_what_cannot_be_had_is_told_with_its_reason(self):
        view = self.view()
        process = self.run_with(view, "--count=3", "--check-gaps", "--topics")
        view.oldest = 4
        self.lose_some(view)
        out, err = self.finish(process, status=3)
        self.assertEqual(out.count("\n"), 3)
        self.assertIn(f'arizmq: {view.endpoint}: missing 2 under "" after seq 1: the bridge keeps '
                      "nothing before seq 4 any more\n", err)
        self.assertIn("received 3, missing 2", err)

    def test_no_gateway_there(self):
        view, nobody = self.view(), free_endpoint()
        process = self.run_with(view, f"--gateway={nobody}", "--count=2", "--check-gaps",
                                "--topics", gateway=False)
        self.lose_some(view)
        out, err = self.finish(process, status=3)
        self.assertEqual(out.count("\n"), 2)
        self.assertIn(f'missing 3 under "" after seq 1: nobody answers at {nobody}\n', err)

    def test_gap_notices_are_repaired_too(self):
        view = self.view()
        process = self.run_with(view, "--check-gaps", "--count=1", "End/", wait_for=("End/",))
        view.heartbeat()
        view.lose("ArizmqGap/ivr/pbx1/-/", event={
            "type": "ArizmqGap", "application": "ivr", "node": "pbx1", "from": "1", "to": "2",
            "reason": "reconnect"})
        view.heartbeat()
        view.publish("End/-/-/-/")
        _, err = self.finish(process, status=3)
        self.assertIn("node pbx1, application ivr: events may be missing from 1 to 2", err)
        self.assertIn("told by the bridge: ArizmqGap 1, ArizmqRefused 0", err)
        self.assertNotIn("missing 1 ", err)

    def test_clean_restart_is_no_loss(self):
        view = self.view()
        process = self.run_with(view, "--check-gaps", "--topics")
        view.publish("A/b/c/1/")
        view.publish("ArizmqStopping/-/-/-/")
        view.heartbeat()
        view.restart(2)
        view.publish("A/b/c/1/")
        for _ in range(3):
            process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, err = self.finish(process)
        self.assertIn("missing 0, restarts 1", err)

    def test_old_run_from_a_journal_and_new_run_from_its_start(self):
        view = self.view()
        view.remembers_runs = True
        process = self.run_with(view, "--check-gaps", "--count=4")
        view.publish("A/b/c/1/")
        view.lose("A/b/c/1/")
        view.restart(2)
        view.lose("A/b/c/1/")
        view.publish("A/b/c/1/")
        out, err = self.finish(process)
        stamps = [json.loads(line)["stamp"] for line in out.splitlines()]
        self.assertEqual([(s["epoch"] == 2, s["seq"]) for s in stamps],
                         [(False, 1), (False, 2), (True, 1), (True, 2)])

    def test_wrong_arguments(self):
        for arguments, named in ((["--gateway=nowhere"], '"nowhere"'),
                                 (["--connect=tcp://127.0.0.1:1", "--gateway=tcp://a:1",
                                   "--gateway=tcp://b:1"], "2 were given for 1"),
                                 (["--no-repair", "--snapshot"], "--no-repair and --snapshot")):
            with self.subTest(arguments=arguments):
                run = subprocess.run([PROGRAM, "sub", *arguments], capture_output=True, text=True)
                self.assertEqual(run.returncode, 2)
                self.assertIn(named, run.stderr)


def snapshot_of(view, *channels):
    return {"epoch": view.epoch, "seq": view.seq, "links": [],
            "channels": [{"node": "pbx1", "app": "ivr", "value": value} for value in channels],
            "deviceStates": [{"node": "pbx1", "app": "ivr",
                              "value": {"name": "PJSIP/a\x1b", "state": "INUSE"}}]}


class Snapshot(RepairTest):
    def joined(self, *arguments):
        """Joins after event 2; what is written for that and event 3."""
        view = self.view()
        process = self.run_with(view, "--snapshot", "--count=1", *arguments)
        view.publish("A/b/c/1/")
        view.publish("A/b/c/1/")
        view.snapshot = snapshot_of(view, OBJECT)
        view.heartbeat()
        view.publish("A/b/c/3/")
        return self.finish(process)

    def test_objects_come_first(self):
        out, err = self.joined("--json")
        channel, device, event = map(json.loads, out.splitlines())
        self.assertEqual(channel, {"object": {
            "kind": "channel", "id": "1.1", "node": "pbx1", "app": "ivr",
            "epoch": 1795444501000000, "seq": 2, "value": OBJECT}})
        self.assertEqual(device["object"]["id"], "PJSIP/a\x1b")
        self.assertEqual(event["stamp"]["seq"], 3)
        self.assertEqual(err, "")

    def test_other_forms(self):
        self.assertEqual(self.joined("--topics")[0],
                         "object channel/1.1\nobject device/PJSIP/a\\x1b\nA/b/c/3/\n")
        out = self.joined("--human")[0].splitlines()
        self.assertEqual(out[:2], ["object channel/1.1 pbx1 ivr PJSIP/alice-1 Up",
                                   "object device/PJSIP/a\\x1b pbx1 ivr INUSE"])
        self.assertTrue(self.joined("--pretty")[0].startswith(
            'object channel/1.1 pbx1 ivr\n{\n  "id": "1.1",'))

    def test_no_snapshot_is_told_and_tried_again(self):
        view = self.view()
        process = self.run_with(view, "--snapshot", "--count=1", "--topics")
        view.heartbeat()
        self.assertEqual(process.stderr.readline().decode(),
                         f"arizmq: {view.endpoint}: no snapshot: the gateway answered 404 "
                         "no_such_resource; trying again\n")
        view.snapshot = snapshot_of(view)
        view.heartbeat()
        view.publish("A/b/c/1/")
        self.assertEqual(self.finish(process)[0], "object device/PJSIP/a\\x1b\nA/b/c/1/\n")


class Asking(RepairTest):
    """`arizmq snapshot` and `arizmq history`."""

    def ask(self, view, *arguments, status=0):
        run = subprocess.run([PROGRAM, *arguments, f"--connect={view.gateway}"], text=True,
                             capture_output=True, timeout=PATIENCE_S)
        self.assertEqual(run.returncode, status, run.stderr)
        return run.stdout, run.stderr

    def filled(self):
        view = self.view()
        for number in range(1, 11):
            view.lose("AB"[number % 2] + f"/b/c/{number}/")
        return view

    def test_snapshot(self):
        view = self.filled()
        view.snapshot = snapshot_of(view, OBJECT)
        out, err = self.ask(view, "snapshot", "--kinds=channels,deviceStates", "--node=pbx1")
        self.assertEqual([json.loads(line)["object"]["id"] for line in out.splitlines()],
                         ["1.1", "PJSIP/a\x1b"])
        self.assertEqual(err, "arizmq: epoch 1795444501000000, seq 10\n")
        self.assertEqual(view.questions[-1], ("arizmq/snapshot", {
            "kinds": "channels,deviceStates", "node": "pbx1"}))
        self.assertEqual(self.ask(view, "snapshot", "--topics")[0],
                         "object channel/1.1\nobject device/PJSIP/a\\x1b\n")

    def test_snapshot_that_is_none(self):
        view = self.view()
        self.assertIn("404 No (no_such_resource", self.ask(view, "snapshot", status=4)[1])
        view.snapshot = {"seq": 1}
        self.assertIn("its body is no snapshot", self.ask(view, "snapshot", status=1)[1])

    def test_history(self):
        view = self.filled()
        for arguments, seqs in (([], range(1, 11)), (["--after=4"], range(5, 11)),
                                (["--after=4", "--until=6"], [5, 6]), (["B/"], range(1, 11, 2)),
                                (["--count=3"], [1, 2, 3]), (["nothing/"], [])):
            with self.subTest(arguments=arguments):
                out, err = self.ask(view, "history", *arguments)
                self.assertEqual([json.loads(line)["stamp"]["seq"] for line in out.splitlines()],
                                 list(seqs))
                self.assertEqual(err, "")

    def test_history_comes_page_by_page(self):
        view = self.filled()
        view.page_max = 3
        self.assertEqual(self.ask(view, "history", "--topics")[0].count("\n"), 10)
        self.assertEqual(len(view.questions), 4)

    def test_history_that_is_kept_no_longer(self):
        view = self.filled()
        view.oldest = 8
        out, err = self.ask(view, "history", "--topics", "--after=2", status=3)
        self.assertEqual(out.count("\n"), 3)
        self.assertEqual(err, "arizmq: nothing before seq 8 is kept any more\n")
        self.assertEqual(self.ask(view, "history", "--topics")[0].count("\n"), 3)
        self.ask(view, "history", "--after=2", "--until=4", status=3)
        self.assertIn("epoch_changed", self.ask(view, "history", "--epoch=7", status=4)[1])

    def test_wrong_arguments(self):
        for arguments, named in ((["history", "--view=calls"], '"calls"'),
                                 (["history", "a", "b"], '"b"'), (["history", "--after=-1"], '"-1"'),
                                 (["snapshot", "x"], '"x"')):
            with self.subTest(arguments=arguments):
                run = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True)
                self.assertEqual(run.returncode, 2)
                self.assertIn(named, run.stderr)
        for command in ("snapshot", "history"):
            run = subprocess.run([PROGRAM, command, "--help"], capture_output=True, text=True)
            self.assertEqual(run.returncode, 0)
            self.assertIn("EXIT STATUS", run.stdout)


if __name__ == "__main__":
    unittest.main()
