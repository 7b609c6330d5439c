# SPDX-License-Identifier: MPL-2.0
"""After a reconnect the bridge compares what it knows with what Asterisk has, and tells the
difference. The fake Asterisk's lists are what the test says they are."""
import json
import time
import unittest

from fleet import wait_until
from fold import lists_of
from test_commander import validator
from test_snapshot import Listener, SnapshotTest

OWN_EVENTS = validator("arizmq-events")


def channel(name, **members):
    return {"id": name, "name": f"PJSIP/{name}", "state": "Up", **members}


def endpoint(name, state="online"):
    return {"technology": "PJSIP", "resource": name, "state": state, "channel_ids": []}


class Recorder:
    """The bridge's own events, without what is the same in all of them."""

    def __init__(self, listener):
        self.listener, self.events = listener, []

    def take_until(self, is_last):
        """All Arizmq events up to the one for which is_last() is true, that one included."""
        taken = []
        while True:
            node, event, seq, received_ns, is_heartbeat = self.listener.receive()
            if is_heartbeat:
                continue
            self.listener.fold.take(node, event, received_ns)
            self.listener.seq = seq
            if event["type"].startswith("Arizmq"):
                OWN_EVENTS.validate(event)
                taken.append(event)
            if is_last(event):
                return taken

    def until_reconciled(self):
        return self.take_until(lambda event: event["type"] == "ArizmqNodeReconciled")


class ReconcileTest(SnapshotTest):
    def reconciled(self, subscribe_all=True, extra="", node=""):
        """A bridge whose first comparison is done."""
        bridge, (fake,) = self.bridge(1, apps=["ivr"], extra=extra, node=(
            self.subscribe_all if subscribe_all else "") + "    liveness_ms: 1000\n" + node)
        client = self.client(bridge)
        wait_until("the first comparison is done", lambda: "reconciled:" in bridge.log.read_text())
        listener = self.listen(bridge, subscribe_all)
        return bridge, fake, client, listener

    def listen(self, bridge, subscribe_all):
        listener = Listener(bridge.events, [("pbx1", "ivr")] if subscribe_all else [])
        self.addCleanup(listener.close)
        while True:
            _, _, seq, _, is_heartbeat = listener.receive()
            if is_heartbeat:
                listener.seq = seq
                return listener

    def send(self, fake, kind, **members):
        fake.do("send " + json.dumps({"type": kind, "application": "ivr", **members}))

    def await_seq(self, client, seq):
        wait_until("the events are published", lambda: self.snapshot(client)["seq"] >= seq)

    def set(self, fake, **lists):
        """What Asterisk lists from now on."""
        for name, items in lists.items():
            fake.do(f"rest-body {name} {json.dumps(items, separators=(',', ':'))}")

    def told(self, events):
        """(found or lost, kind, id, change or reason)"""
        return [(event["type"].removeprefix("ArizmqObject"), event["kind"], event["id"],
                 event.get("change", event.get("reason")))
                for event in events if event["type"].startswith("ArizmqObject")]

    def counts(self, events):
        last = events[-1]
        self.assertEqual(last["type"], "ArizmqNodeReconciled")
        return last["found"], last["changed"], last["lost"], last["complete"]

    def values(self, client):
        """kind to the values, by id"""
        snapshot = self.snapshot(client)
        return {name: [item["value"] for item in items]
                for name, items in lists_of(snapshot).items()}


class Differences(ReconcileTest):
    def hold_some(self, fake, client):
        """Channels a, b and c, a bridge, a playback, a recording, a device, an endpoint."""
        before = self.snapshot(client)["seq"]
        for name in "abc":
            self.send(fake, "ChannelCreated", channel=channel(name))
        self.send(fake, "BridgeCreated", bridge={"id": "br", "channels": []})
        for name in ("p1", "p2"):
            self.send(fake, "PlaybackStarted", playback={"id": name, "target_uri": "channel:a",
                                                         "state": "playing"})
        self.send(fake, "RecordingStarted", recording={"name": "d/r", "target_uri": "bridge:br"})
        self.send(fake, "DeviceStateChanged", device_state={"name": "PJSIP/x", "state": "INUSE"})
        self.send(fake, "EndpointStateChange", endpoint=endpoint("alice"))
        self.await_seq(client, before + 9)

    def test_what_happened_while_no_events_came(self):
        bridge, fake, client, listener = self.reconciled()
        self.hold_some(fake, client)
        self.set(fake, channels=[channel("a"), channel("b", state="Ring"), channel("d")],
                 bridges=[{"id": "br", "channels": []}], endpoints=[endpoint("alice", "offline"),
                                                                   endpoint("bob")])
        fake.do('rest-body playbacks/p1 {"id":"p1","target_uri":"channel:a","state":"playing"}')
        fake.do('rest-body recordings/live/d/r {"name":"d/r","target_uri":"bridge:br"}')
        fake.do('rest-body deviceStates/PJSIP/x {"name":"PJSIP/x","state":"NOT_INUSE"}')
        recorder = Recorder(listener)
        fake.do("drop-all")
        events = recorder.until_reconciled()
        self.assertEqual(sorted(self.told(events)), [
            ("Found", "channel", "b", "changed"), ("Found", "channel", "d", "new"),
            ("Found", "device", "PJSIP/x", "changed"),
            ("Found", "endpoint", "PJSIP/alice", "changed"),
            ("Found", "endpoint", "PJSIP/bob", "new"), ("Lost", "channel", "c", "absent"),
            ("Lost", "playback", "p2", "absent")])
        self.assertEqual(self.counts(events), (2, 3, 2, True))
        types = [event["type"] for event in events]
        self.assertIn("ArizmqGap", types)
        self.assertNotIn("ArizmqNodeRestarted", types)
        # The values stand under the names that ARI gives them.
        by_id = {(event["kind"], event["id"]): event for event in events if "kind" in event}
        self.assertEqual(by_id["channel", "b"]["channel"], channel("b", state="Ring"))
        self.assertEqual(by_id["device", "PJSIP/x"]["device_state"]["state"], "NOT_INUSE")
        self.assertEqual(by_id["channel", "c"]["channel"], channel("c"), "the last one known")
        # And the snapshot is what Asterisk has, and the fold of all that was told.
        snapshot = self.snapshot(client)
        self.assertTrue(snapshot["links"][0]["complete"])
        listener.fold_to(snapshot["seq"])
        self.assertEqual(sorted(item["value"]["id"] for item in snapshot["channels"]),
                         ["a", "b", "d"])
        self.assertEqual([item["value"]["id"] for item in snapshot["playbacks"]], ["p1"])

    def test_a_connection_that_only_flapped_tells_of_no_object(self):
        bridge, fake, client, listener = self.reconciled()
        channels = [channel(f"c{i}") for i in range(300)]
        self.set(fake, channels=channels, endpoints=[endpoint(f"e{i}") for i in range(50)])
        recorder = Recorder(listener)
        fake.do("drop-all")
        self.assertEqual(self.counts(recorder.until_reconciled()), (350, 0, 0, True))
        for _ in range(3):
            fake.do("drop-all")
            events = recorder.until_reconciled()
            self.assertEqual(self.told(events), [])
            self.assertEqual(self.counts(events), (0, 0, 0, True))

    def test_a_restart_is_told_from_a_loss(self):
        bridge, fake, client, listener = self.reconciled()
        self.hold_some(fake, client)
        self.set(fake, endpoints=[endpoint("alice")])
        fake.do('rest-body deviceStates/PJSIP/x {"name":"PJSIP/x","state":"INUSE"}')
        recorder = Recorder(listener)
        fake.do("restart")
        events = recorder.until_reconciled()
        restarted, = [event for event in events if event["type"] == "ArizmqNodeRestarted"]
        self.assertNotEqual(restarted["startup_time"], restarted["previous"])
        self.assertEqual({reason for _, _, _, reason in self.told(events)}, {"restart"})
        self.assertEqual(sorted(name for _, _, name, _ in self.told(events)),
                         ["a", "b", "br", "c", "d/r", "p1", "p2"])
        self.assertEqual(self.values(client)["channels"], [])
        fake.do("drop-all")
        self.assertNotIn("ArizmqNodeRestarted",
                         [event["type"] for event in recorder.until_reconciled()])

    def test_what_the_application_does_not_hear_of_is_none_of_its_state(self):
        bridge, fake, client, listener = self.reconciled(subscribe_all=False)
        before = self.snapshot(client)["seq"]
        for name in ("in", "left", "gone"):
            self.send(fake, "StasisStart", channel=channel(name))
        self.await_seq(client, before + 3)
        self.set(fake, channels=[channel("in"), channel("left"), channel("other"), channel("new")],
                 bridges=[{"id": "mine"}, {"id": "other"}], endpoints=[endpoint("alice")])
        fake.do('rest-body applications/ivr {"name":"ivr","channel_ids":["in","new"],'
                '"bridge_ids":["mine"],"endpoint_ids":[],"device_names":[]}')
        recorder = Recorder(listener)
        fake.do("drop-all")
        self.assertEqual(sorted(self.told(recorder.until_reconciled())), [
            ("Found", "bridge", "mine", "new"), ("Found", "channel", "new", "new"),
            ("Lost", "channel", "gone", "absent"), ("Lost", "channel", "left", "absent")])

    def test_an_event_meanwhile_is_newer_than_the_list(self):
        bridge, fake, client, listener = self.reconciled()
        self.hold_some(fake, client)
        self.set(fake, channels=[channel("a", n=1), channel("b", n=1), channel("c", n=1),
                                 channel("d", n=1)])
        fake.do("rest-stall bridges")  # so that the list of channels was read and no other
        count = len(fake.events)
        fake.do("drop-all")
        wait_until("it asks for the bridges", lambda: [
            line for line in fake.events[count:] if line.startswith("event rest GET bridges")])
        self.send(fake, "ChannelVarset", channel=channel("a", n=2))
        self.send(fake, "ChannelDestroyed", channel=channel("b", n=2))
        self.send(fake, "ChannelDestroyed", channel=channel("d", n=2))
        recorder = Recorder(listener)
        recorder.take_until(lambda event: event["type"] == "ChannelDestroyed" and
                            event["channel"]["id"] == "d")
        fake.do("rest-resume")
        told = self.told(recorder.until_reconciled())
        self.assertIn(("Found", "channel", "c", "changed"), told)
        self.assertEqual([row for row in told if row[1] == "channel"],
                         [("Found", "channel", "c", "changed")])
        self.assertEqual({item["id"]: item["n"] for item in self.values(client)["channels"]},
                         {"a": 2, "c": 1})

    def test_values_are_the_bytes_of_the_list(self):
        bridge, fake, client, listener = self.reconciled()
        fake.do('rest-body channels [{"id":"1" ,  "x": 1.50}]')
        recorder = Recorder(listener)
        fake.do("drop-all")
        recorder.until_reconciled()
        _, body = client.ask("GET", "arizmq/snapshot?kinds=channels")
        self.assertIn(b'"value":{"id":"1" ,  "x": 1.50}}', body)


class Pace(ReconcileTest):
    def test_differences_are_told_at_the_pace_that_was_set(self):
        bridge, fake, client, listener = self.reconciled(extra="state: {reconcile_per_s: 100}\n")
        self.set(fake, channels=[channel(f"c{i}") for i in range(200)])
        recorder = Recorder(listener)
        fake.do("drop-all")
        recorder.take_until(lambda event: event["type"] == "ArizmqObjectFound")
        begun = time.monotonic()
        events = recorder.until_reconciled()
        self.assertEqual(len(self.told(events)), 199)
        self.assertGreater(time.monotonic() - begun, 1.9)

    def test_a_loss_in_the_middle_begins_anew(self):
        bridge, fake, client, listener = self.reconciled(extra="state: {reconcile_per_s: 100}\n")
        self.set(fake, channels=[channel(f"c{i}") for i in range(150)])
        recorder = Recorder(listener)
        fake.do("drop-all")
        told = self.told(recorder.take_until(lambda event: event["type"] == "ArizmqObjectFound"))
        fake.do("drop-all")
        told += self.told(recorder.until_reconciled())
        self.assertEqual(sorted(row[2] for row in told), sorted(f"c{i}" for i in range(150)))
        self.assertTrue(self.snapshot(client)["links"][0]["complete"])


class Faults(ReconcileTest):
    def check_fault(self, begin, end, said, wanted=(("Found", "channel", "a", "new"),), **options):
        """While the fault lasts the link is not complete, which is logged; then it is tried again."""
        bridge, fake, client, listener = self.reconciled(**options)
        self.set(fake, channels=[channel("a")])
        fake.do(begin)
        mark = len(bridge.log.read_text())
        fake.do("drop-all")
        wait_until("it has failed", lambda: said in bridge.log.read_text()[mark:])
        link = self.snapshot(client)["links"][0]
        self.assertFalse(link["complete"])
        recorder = Recorder(listener)
        fake.do(end)
        self.assertEqual(self.told(recorder.until_reconciled()), list(wanted))
        wait_until("it is complete", lambda: self.snapshot(client)["links"][0]["complete"])

    def test_info_is_refused(self):
        self.check_fault("rest-status asterisk/info 503", "rest-status asterisk/info 0",
                         "Asterisk answered 503")

    def test_application_is_refused(self):
        self.check_fault("rest-status applications/ivr 500", "rest-status applications/ivr 0",
                         "Asterisk answered 500", subscribe_all=False, wanted=())

    def test_a_list_is_refused(self):
        self.check_fault("rest-status bridges 500", "rest-status bridges 0",
                         "GET bridges: Asterisk answered 500")

    def test_a_list_ends_in_the_middle(self):
        self.check_fault("rest-close endpoints in-body", "rest-close endpoints off",
                         "GET endpoints:")

    def test_a_list_that_is_none(self):
        self.check_fault('rest-body bridges {"bridges":[]}', "rest-body bridges",
                         "GET bridges: the answer's body was refused")

    def test_a_list_with_what_has_no_id(self):
        self.check_fault('rest-body bridges [{"id":"x"},{"name":"no id"}]', "rest-body bridges",
                         "GET bridges: the answer's body was refused")

    def test_no_answer(self):
        self.check_fault("rest-stall asterisk/info", "rest-resume", "no answer in time",
                         node="    connect_timeout_ms: 300\n")


if __name__ == "__main__":
    unittest.main()
