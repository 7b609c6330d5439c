# SPDX-License-Identifier: MPL-2.0
"""joining.py, the reference of a subscriber that joins and repairs: against a view with a history
that loses on purpose, and against the real arizmqd, whose snapshot its state must be.

The path of arizmqd is in the environment variable ARIZMQD.
"""
import contextlib
import io
import json
import pathlib
import sys
import threading
import unittest

try:
    import zmq
except ImportError:
    print("skipped: pyzmq is not installed (Debian: python3-zmq)")
    sys.exit(77)

import joining
from fleet import BUILD, Bridge, Client, Fake, wait_until
from history import KeepingView

HERE = pathlib.Path(__file__).parent
TABLE = json.loads((HERE / "../../schemas/objects.json").read_text())
RECORDING = BUILD / "captures" / "calls-1000-app.jsonl"


def channel(type, id="1.1", state="Up", app="ivr"):
    return {"type": type, "application": app, "channel": {"id": id, "state": state}}


class Follower(threading.Thread):
    """Runs joining.follow() and keeps what it yields."""

    def __init__(self, events, gateway):
        super().__init__(daemon=True)
        self.events, self.gateway, self.seen, self.state = events, gateway, [], None
        self.error = None
        self.start()

    def run(self):
        try:
            for state, seq, event in joining.follow(self.events, self.gateway, TABLE):
                self.state = state
                self.seen.append((seq, event))
        except zmq.ContextTerminated:
            pass
        except Exception as error:  # the test shows it
            self.error = error
            raise


class Reference(unittest.TestCase):
    def test_is_short_and_needs_only_pyzmq(self):
        text = (HERE / "joining.py").read_text().splitlines()
        self.assertLessEqual(len(text), 150)
        self.assertEqual({line for line in text if line.startswith(("import", "from"))},
                         {"import json", "import struct", "import sys", "import zmq"})

    def stage(self, *channels):
        view = KeepingView(zmq.Context.instance())
        self.addCleanup(view.close)
        follower = Follower(view.endpoint, view.gateway)
        view.wait_for("")
        view.publish("A/ivr/pbx1/1/", channel("Dummy"))
        view.snapshot = self.snapshot(view, *channels)
        view.heartbeat()
        wait_until("the snapshot", lambda: follower.seen)
        return view, follower

    @staticmethod
    def snapshot(view, *channels):
        return {"epoch": view.epoch, "seq": view.seq,
                "links": [{"node": "pbx1", "app": "ivr", "subscribe_all": False}], "ended": [],
                "channels": [{"node": "pbx1", "app": "ivr", "value": c} for c in channels]}

    @staticmethod
    def await_seqs(follower, *seqs):
        wait_until(f"{seqs}", lambda: [seq for seq, _ in follower.seen] == list(seqs) or
                   follower.error)
        if follower.error:
            raise follower.error

    def test_joins_repairs_and_folds(self):
        view, follower = self.stage({"id": "0.1", "state": "Up"})
        view.publish("StasisStart/ivr/pbx1/1.1/", channel("StasisStart", state="Ring"))
        view.lose("ChannelStateChange/ivr/pbx1/1.1/", event=channel("ChannelStateChange"))
        view.lose("StasisStart/ivr/pbx1/2.1/", event=channel("StasisStart", "2.1"))
        view.publish("StasisEnd/ivr/pbx1/0.1/", channel("StasisEnd", "0.1"))
        view.lose("StasisEnd/ivr/pbx1/2.1/", event=channel("StasisEnd", "2.1"))
        view.heartbeat()
        self.await_seqs(follower, 1, 2, 3, 4, 5, 6)
        self.assertEqual(follower.state.objects, {
            ("pbx1", "ivr", "channel", "1.1"): {"id": "1.1", "state": "Up"}})

    def test_late_events_and_new_lives(self):
        view, follower = self.stage()
        for type, id in (("ChannelCreated", "1.1"), ("ChannelDestroyed", "1.1"),
                         ("ChannelDialplan", "1.1"), ("ChannelCreated", "2.1"),
                         ("ChannelDestroyed", "2.1"), ("ChannelCreated", "2.1"),
                         ("ChannelStateChange", "2.1")):
            view.publish(f"{type}/ivr/pbx1/{id}/", channel(type, id, state=type))
        view.publish("ArizmqUnparsed/-/pbx1/-/", b"no JSON")
        self.await_seqs(follower, *range(1, 10))
        self.assertEqual(follower.state.objects, {
            ("pbx1", "ivr", "channel", "2.1"): {"id": "2.1", "state": "ChannelStateChange"}})

    def test_what_ended_before_the_snapshot_a_gap_and_a_removal(self):
        view = KeepingView(zmq.Context.instance())
        self.addCleanup(view.close)
        follower = Follower(view.endpoint, view.gateway)
        view.wait_for("")
        view.snapshot = self.snapshot(view, {"id": "1.1", "state": "Up"})
        received_ns = 1795444501160000000
        view.snapshot["ended"] = [{"node": "pbx1", "app": "ivr", "kind": "channel", "id": id,
                                   "received_ns": received_ns - ago}
                                  for id, ago in (("2.1", 10 ** 9), ("3.1", 10 ** 10))]
        view.heartbeat()
        wait_until("the snapshot", lambda: follower.seen)

        def expect(seq, *ids):
            wait_until(f"{seq}", lambda: follower.seen[-1][0] == seq or follower.error)
            self.assertEqual({key[3] for key in follower.state.objects}, set(ids))

        for id in ("2.1", "3.1"):
            view.publish(f"ChannelDialplan/ivr/pbx1/{id}/", channel("ChannelDialplan", id))
        expect(2, "1.1", "3.1")
        view.publish_gap()
        view.publish("ChannelDialplan/ivr/pbx1/2.1/", channel("ChannelDialplan", "2.1"))
        expect(4, "1.1", "2.1", "3.1")
        view.publish("ChannelDestroyed/ivr/pbx1/2.1/", channel("ChannelDestroyed", "2.1"))
        view.publish("ChannelCreated/b/pbx1/4.1/", channel("ChannelCreated", "4.1", app="b"))
        view.publish_own("ArizmqNodeDisconnected", reason="reload", detail="")
        expect(7, "1.1", "3.1", "4.1")
        view.publish_own("ArizmqNodeDisconnected", reason="removed", detail="")
        expect(8, "4.1")
        view.publish("ChannelDialplan/ivr/pbx1/2.1/", channel("ChannelDialplan", "2.1"))
        expect(9, "2.1", "4.1")

    def test_events_that_json_loads_refuses_tell_of_no_objects(self):
        view, follower = self.stage()
        deep = b'{"type":"StasisStart","application":"ivr","channel":{"id":"1.1","x":%s}}'
        for inside in (b"[" * 50000 + b"]" * 50000, b'{"y" 1}'):
            view.publish("StasisStart/ivr/pbx1/1.1/", deep % inside)
        view.publish("StasisStart/ivr/pbx1/2.1/", channel("StasisStart", "2.1"))
        self.await_seqs(follower, 1, 2, 3, 4)
        self.assertEqual({key[3] for key in follower.state.objects}, {"2.1"})

    def test_joins_again_after_a_loss_and_after_a_restart(self):
        with contextlib.redirect_stderr(io.StringIO()) as said:
            view, follower = self.stage()
            view.oldest = 100
            view.lose("A/ivr/pbx1/1/")
            view.snapshot = self.snapshot(view, {"id": "9.9"})
            view.heartbeat()
            view.heartbeat()
            self.await_seqs(follower, 1, 2)
            self.assertIn(("pbx1", "ivr", "channel", "9.9"), follower.state.objects)
            view.restart(2)
            view.oldest = 1
            view.snapshot = self.snapshot(view)
            view.heartbeat()
            view.heartbeat()
            self.await_seqs(follower, 1, 2, 0)
            self.assertEqual(follower.state.objects, {})
        self.assertEqual(said.getvalue().count("joining again"), 2)


class RealBridge(unittest.TestCase):
    def test_state_is_the_snapshot_of_the_bridge(self):
        fake = Fake()
        self.addCleanup(fake.stop)
        bridge = Bridge(fake, view=", sndhwm: 20", more="heartbeat_ms: 100\n"
                        "history: {max_bytes: 536870912}\n")
        self.addCleanup(bridge.stop)
        client = Client(bridge.gateway)
        self.addCleanup(client.close)
        bridge.wait_up(client)
        fake.do(f"play {RECORDING} rate=3000 loop=0 app=ivr")
        follower = Follower(bridge.events, bridge.gateway)
        wait_until("2000 events", lambda: len(follower.seen) > 2000 or follower.error)
        fake.do("stop-play")
        wait_until("the end", lambda: any("play stopped" in event for event in fake.events))
        snapshot = wait_until("a state that stays", lambda: self.at_rest(client, follower))
        wanted = joining.State(TABLE, snapshot).objects
        self.assertEqual(follower.state.objects, wanted)
        self.assertGreater(len(wanted), 0)
        first = follower.seen[0][0]
        self.assertEqual([seq for seq, _ in follower.seen],
                         list(range(first, snapshot["seq"] + 1)))

    @staticmethod
    def at_rest(client, follower):
        """The bridge's snapshot, once the follower is as far as that."""
        snapshot = json.loads(client.ask("GET", "arizmq/snapshot")[1])
        return snapshot if follower.seen[-1][0] == snapshot["seq"] else None


if __name__ == "__main__":
    unittest.main()
