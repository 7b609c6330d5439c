# SPDX-License-Identifier: MPL-2.0
"""GET arizmq/snapshot through the real arizmqd: each snapshot equals the fold of all events that
were published up to its seq, made by fold.py, which knows the rules and nothing of the daemon."""
import json
import pathlib
import signal
import struct
import unittest

import zmq

import fleet
from fleet import Client, wait_until
from fold import Fold, LISTS, lists_of
from joining import State
from test_commander import FleetTest, validator
from test_joining import Follower, TABLE

CAPTURES = fleet.BUILD / "captures"
BROKEN = '{"type":"ChannelVarset","application":"ivr","channel":{"id":"broken","x":{"y" 1}}}'


class Listener:
    """A subscriber to everything, which folds."""

    def __init__(self, endpoint, hears_all):
        self.socket = zmq.Context.instance().socket(zmq.SUB)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVHWM, 0)
        self.socket.subscribe("")
        self.socket.connect(endpoint)
        self.fold, self.seq, self.pending, self.joined = Fold(hears_all), 0, None, []

    def await_heartbeat(self):
        """From then on it gets everything; what it has got by then told of no object."""
        while True:
            _, event, seq, _, is_heartbeat = self.receive()
            if is_heartbeat:
                self.seq = seq
                return
            assert event["type"] in ("ArizmqNodeConnected", "ArizmqNodeReconciled"), event

    def receive(self):
        assert self.socket.poll(fleet.PATIENCE_S * 1000), "no event"
        topic, event, stamp = self.socket.recv_multipart()
        _, seq, received_ns, *counts = struct.unpack(f">{len(stamp) // 8}Q", stamp)
        return topic.decode().split("/")[2], json.loads(event), seq, received_ns, counts[1] == 0

    def fold_to(self, seq):
        """Takes all events up to that one, and none behind it."""
        while self.seq < seq:
            node, event, self_seq, received_ns, is_heartbeat = self.pending or self.receive()
            self.pending = None
            if is_heartbeat:
                continue
            if self_seq > seq:
                self.pending = node, event, self_seq, received_ns, is_heartbeat
                return
            if self_seq <= self.seq:
                continue
            assert self_seq == self.seq + 1, (self.seq, self_seq)
            self.seq = self_seq
            for fold in [self.fold, *self.joined]:
                fold.take(node, event, received_ns)

    def close(self):
        self.socket.close()


class SnapshotTest(FleetTest):
    snapshots = validator("arizmq-snapshot")
    subscribe_all = "    subscribe_all: true\n    subscribe_all_app: ivr\n"

    def joined(self, count=1, apps=None, node="", hears_all=(), **options):
        bridge, fakes = self.bridge(count, apps=apps, node=node, **options)
        client = self.client(bridge)
        listener = Listener(bridge.events, hears_all)
        self.addCleanup(listener.close)
        bridge.wait_up(client)
        # The comparison with the fake's empty lists comes before anything that a test sends.
        wait_until("each link is compared", lambda: all(
            link["complete"] for link in self.snapshot(client)["links"]))
        listener.await_heartbeat()
        return bridge, fakes, client, listener

    def snapshot(self, client, **query):
        snapshot = self.expect(client.ask("GET", "arizmq/snapshot", query_strings=query), 200)
        self.snapshots.validate(snapshot)
        return snapshot


class Content(SnapshotTest):
    def play(self, fake, name, app):
        events = [line for line in (CAPTURES / f"{name}.jsonl").read_bytes().split(b"\n") if line]
        path = pathlib.Path(self.bridge_directory) / f"{name}-{app}.jsonl"
        path.write_bytes(b"\n".join(
            json.dumps({**json.loads(line), "application": app}).encode() for line in events) + b"\n")
        fake.do(f"play {path} rate=4000 app={app}")
        return len(events)

    def run_recording(self, name, all_of_it):
        bridge, (fake,), client, listener = self.joined(
            apps=["ivr"], node=self.subscribe_all if all_of_it else "",
            hears_all=[("pbx1", "ivr")] if all_of_it else [])
        self.bridge_directory = bridge.directory
        # From the start on, so that it has seen every event.
        snapshots = [self.snapshot(client)]
        count = self.play(fake, name, "ivr")
        while not any(line.startswith("event play done") for line in fake.events):
            snapshot = self.snapshot(client)
            if snapshot["seq"] >= snapshots[-1]["seq"] + count // 12:  # all along the recording
                snapshots.append(snapshot)
        wait_until("all events are published",
                   lambda: self.snapshot(client)["seq"] >= snapshots[0]["seq"] + count)
        snapshots.append(self.snapshot(client))
        held = ended = 0
        joined = listener.joined = []
        for snapshot in snapshots:
            listener.fold_to(snapshot["seq"])
            self.assertEqual(listener.seq, snapshot["seq"])
            self.assertEqual(lists_of(snapshot), listener.fold.lists(), snapshot["seq"])
            for late in joined:  # whoever has joined with an earlier snapshot has the same
                self.assertEqual(lists_of(snapshot), late.lists(), snapshot["seq"])
            joined.append(Fold.join(snapshot))
            held = max(held, len(snapshot["channels"]))
            ended = max(ended, len(snapshot["ended"]))
        self.assertGreater(ended, 1)
        self.assertGreater(len({snapshot["seq"] for snapshot in snapshots}), 2)
        self.assertGreater(held, 1)

    def test_recording_of_everything(self):
        self.run_recording("coverage", True)

    def test_recording_of_everything_16(self):
        self.run_recording("coverage-16", True)

    def test_recording_of_an_application(self):
        self.run_recording("coverage", False)

    def test_recording_of_1000_calls(self):
        self.run_recording("calls-1000-app", False)

    def test_values_are_the_bytes_that_came(self):
        bridge, (fake,), client, _ = self.joined()
        fake.do('send {"type":"StasisStart","application":"ivr","channel":{"id": "1" , "x":1.50}}')
        wait_until("it is there", lambda: self.snapshot(client)["channels"])
        _, body = client.ask("GET", "arizmq/snapshot?kinds=channels")
        self.assertIn(b'"value":{"id": "1" , "x":1.50}}', body)

    def test_a_value_that_is_no_json_is_left_out(self):
        bridge, (fake,), client, _ = self.joined()
        fake.do(f"send {BROKEN}")
        fake.do('send {"type":"StasisStart","application":"ivr","channel":{"id":"whole"}}')
        wait_until("it is there", lambda: self.snapshot(client)["channels"])
        snapshot = self.snapshot(client)
        self.assertEqual([item["value"]["id"] for item in snapshot["channels"]], ["whole"])
        self.assertFalse(snapshot["links"][0]["complete"])
        self.assertIn("is no JSON; left out", bridge.log.read_text())


class Removed(SnapshotTest):
    """Nodes and applications that leave the configuration: whoever folds forgets what the bridge
    does, at the same event; fold.py and joining.py alike."""

    def setUp(self):
        self.daemon, self.fakes, self.asking, self.listener = self.joined(
            2, apps=["ivr, other", "ivr"], more="heartbeat_ms: 100\n")
        self.follower = Follower(self.daemon.events, self.daemon.gateway)
        wait_until("it has joined", lambda: self.follower.seen)
        self.told, self.compared = [], 0
        take = self.listener.fold.take

        def note(node, event, received_ns):
            if event["type"] == "ArizmqNodeDisconnected":
                self.told.append((node, event["application"], event["reason"]))
            take(node, event, received_ns)
        self.listener.fold.take = note

    def send(self, i, app, id, type="StasisStart"):
        event = {"type": type, "application": app, "channel": {"id": id}}
        self.fakes[i].do(f"send app={app} {json.dumps(event)}")

    def reload(self, before, after):
        text = self.daemon.config.read_text()
        self.assertIn(before, text)
        count = self.daemon.log.read_text().count(" reloaded")
        self.daemon.config.write_text(text.replace(before, after))
        self.daemon.process.send_signal(signal.SIGHUP)
        wait_until("it is reloaded",
                   lambda: self.daemon.log.read_text().count(" reloaded") > count)

    def channels(self):
        """Of a snapshot that all folds agree with; the next ones are compared with one more, which
        joins there."""
        snapshot = self.snapshot(self.asking)
        self.listener.fold_to(snapshot["seq"])
        for fold in [self.listener.fold, *self.listener.joined]:
            self.assertEqual(lists_of(snapshot), fold.lists(), snapshot["seq"])
        self.listener.joined.append(Fold.join(snapshot))
        wait_until("joining.py has it", lambda: self.follower.error or
                   self.follower.seen[-1][0] >= snapshot["seq"])
        self.assertIsNone(self.follower.error)
        if self.follower.seen[-1][0] == snapshot["seq"]:
            self.compared += 1
            self.assertEqual(self.follower.state.objects, State(TABLE, snapshot).objects)
        return {(item["node"], item["app"], item["value"]["id"]) for item in snapshot["channels"]}

    def await_channels(self, *wanted):
        self.compared = 0
        wait_until(f"{wanted}", lambda: self.channels() == set(wanted) and self.compared)

    def test_objects_of_who_was_removed(self):
        self.send(0, "ivr", "1")
        self.send(0, "other", "2")
        self.send(0, "other", "ended")
        self.send(0, "other", "ended", "StasisEnd")
        self.send(1, "ivr", "3")
        self.await_channels(("pbx1", "ivr", "1"), ("pbx1", "other", "2"), ("pbx2", "ivr", "3"))
        self.reload("apps: [ivr, other]", "apps: [ivr]")
        self.await_channels(("pbx1", "ivr", "1"), ("pbx2", "ivr", "3"))
        self.assertEqual(self.told, [("pbx1", "other", "removed")])
        # It comes again; what had ended there has been forgotten, too.
        self.reload("apps: [ivr]\n    backoff_min_ms: 20",
                    "apps: [ivr, other]\n    backoff_min_ms: 20")
        self.daemon.wait_up(self.asking)
        self.send(0, "other", "ended", "ChannelDialplan")
        self.await_channels(("pbx1", "ivr", "1"), ("pbx1", "other", "ended"),
                            ("pbx2", "ivr", "3"))

    def test_a_node_that_is_not_connected_when_it_is_removed(self):
        self.send(0, "ivr", "1")
        self.send(1, "ivr", "3")
        self.fakes[1].do("stop-listening")
        self.fakes[1].do("drop-all")
        wait_until("its loss is told", lambda: self.channels() and self.told)
        self.assertEqual(self.told, [("pbx2", "ivr", "connection_lost")])
        self.await_channels(("pbx1", "ivr", "1"), ("pbx2", "ivr", "3"))
        text = self.daemon.config.read_text()
        node = text[text.index("  - name: pbx2"):text.index("publish:")]
        self.reload(node, "")
        self.await_channels(("pbx1", "ivr", "1"))
        self.assertEqual(self.told[1:], [("pbx2", "ivr", "removed")])


class Selection(SnapshotTest):
    def two_nodes(self):
        bridge, fakes, client, _ = self.joined(2)
        for i, fake in enumerate(fakes):
            fake.do(f'send {{"type":"StasisStart","application":"ivr","channel":{{"id":"c{i}"}}}}')
            fake.do(f'send {{"type":"BridgeCreated","application":"ivr","bridge":{{"id":"b{i}"}}}}')
        wait_until("all are there", lambda: len(self.snapshot(client)["bridges"]) == 2)
        return client

    def test_kinds_node_and_app(self):
        client = self.two_nodes()
        self.assertEqual(set(self.snapshot(client)), {"epoch", "seq", "links", "ended", *LISTS.values()})
        some = self.snapshot(client, kinds="bridges,deviceStates")
        self.assertEqual(set(some), {"epoch", "seq", "links", "ended", "bridges", "deviceStates"})
        self.assertEqual(some["deviceStates"], [])
        one = self.snapshot(client, node="pbx2")
        self.assertEqual([item["value"]["id"] for item in one["channels"]], ["c1"])
        self.assertEqual([(link["node"], link["app"], link["subscribe_all"], link["up"])
                          for link in one["links"]], [("pbx2", "ivr", False, True)])
        self.assertEqual(len(self.snapshot(client, app="ivr")["channels"]), 2)

    def test_what_is_refused(self):
        client = self.two_nodes()
        rows = (({"kinds": "chanels"}, 400, "bad_request", "chanels"),
                ({"kinds": ""}, 400, "bad_request", "kinds"),
                ({"kinds": "channels,"}, 400, "bad_request", "kinds"),
                ({"kind": "channels"}, 400, "bad_request", "kind"),
                ({"node": "pbx9"}, 404, "no_such_node", "pbx9"),
                ({"app": "nobody"}, 404, "no_such_node", "nobody"),
                ({"node": "pbx1", "app": "nobody"}, 404, "no_such_node", "nobody"))
        for query, status, error, said in rows:
            reply = self.expect(client.ask("GET", "arizmq/snapshot", query_strings=query), status,
                                error)
            self.assertIn(said, reply["message"])
        reply = self.expect(client.ask("GET", "arizmq/snapshot?node=pbx1&node=pbx2"), 400,
                            "bad_request")
        self.assertIn("twice", reply["message"])
        self.expect(client.ask("POST", "arizmq/snapshot"), 405, "bad_method")

    def test_without_state(self):
        _, _, client = self.up(extra="state: {enabled: false}\n")
        reply = self.expect(client.ask("GET", "arizmq/snapshot"), 404, "no_such_resource")
        self.assertIn("state.enabled", reply["message"])


class Many(SnapshotTest):
    def test_requests_for_the_same_share_a_snapshot(self):
        bridge, (fake,), client, _ = self.joined()
        fake.do('send {"type":"StasisStart","application":"ivr","channel":{"id":"1"}}')
        wait_until("it is there", lambda: self.snapshot(client)["channels"])
        clients = [self.client(bridge) for _ in range(50)]
        for i in range(20):
            for asking in clients:
                asking.send("GET", "arizmq/snapshot", request_id=str(i), timeout_ms=30000)
        for asking in clients:
            for _ in range(20):
                snapshot = self.expect(asking.receive(), 200)
                self.assertEqual(len(snapshot["channels"]), 1)

    def test_one_that_is_too_large(self):
        bridge, (fake,), client, _ = self.joined(extra="  max_reply_bytes: 65536\n")
        for i in range(200):
            fake.do('send {"type":"StasisStart","application":"ivr","channel":{"id":"%d","x":"%s"}}'
                    % (i, "x" * 500))
        wait_until("all are there", lambda: client.ask("GET", "arizmq/snapshot")[0]["status_code"]
                   == 413)
        reply = self.expect(client.ask("GET", "arizmq/snapshot"), 413, "too_large")
        self.assertIn("max_reply_bytes", reply["message"])
        self.assertEqual(self.snapshot(client, kinds="bridges")["bridges"], [])

    def test_who_asks_and_goes_away_holds_nobody_up(self):
        bridge, (fake,), client, _ = self.joined()
        for _ in range(20):
            gone = Client(bridge.gateway)
            gone.send("GET", "arizmq/snapshot")
            gone.close()
        self.assertEqual(self.snapshot(client)["channels"], [])

    def test_events_go_on_while_it_is_made(self):
        """Thousands of objects, and changes all the time: each snapshot is still of one moment."""
        bridge, (fake,), client, listener = self.joined(
            apps=["ivr"], node=self.subscribe_all, hears_all=[("pbx1", "ivr")])
        path = bridge.directory / "many.jsonl"
        with open(path, "w", encoding="utf-8") as file:
            for i in range(30000):
                kind = ("ChannelCreated", "ChannelVarset", "ChannelDestroyed")[
                    0 if i < 5000 else 1 + (i * 7919 % 5 == 0)]
                file.write(json.dumps({"type": kind, "application": "ivr", "channel": {
                    "id": f"c{i * 7919 % 5000}", "n": i}}) + "\n")
        snapshots = [self.snapshot(client)]
        fake.do(f"play {path} app=ivr")
        while not any(line.startswith("event play done") for line in fake.events):
            snapshots.append(self.snapshot(client, kinds="channels"))
        wait_until("all events are published",
                   lambda: self.snapshot(client)["seq"] >= snapshots[0]["seq"] + 30000)
        for snapshot in snapshots:
            listener.fold_to(snapshot["seq"])
            self.assertEqual(lists_of(snapshot)["channels"], listener.fold.lists()["channels"])


if __name__ == "__main__":
    unittest.main()
