# SPDX-License-Identifier: MPL-2.0
"""limits.coalesce_ms: events that come within that time are read together, and nothing is missing."""
import signal
import struct
import time
import unittest

import zmq

import fleet
from fleet import wait_until
from test_commander import FleetTest

EVENTS, RATE = 1000, 1000


class Coalesce(FleetTest):
    def subscribe(self, bridge):
        """A subscriber to everything, which is known to the bridge."""
        socket = zmq.Context.instance().socket(zmq.SUB)
        self.addCleanup(socket.close, 0)
        socket.subscribe("")
        socket.connect(bridge.events)
        while not socket.recv_multipart()[0].startswith(b"ArizmqHeartbeat/"):
            pass
        return socket

    def reads(self, fake, socket):
        """How many reads brought a flood, and how long it took: events of one read share their
        time."""
        begin = time.monotonic()
        fake.do(f"flood {EVENTS} {RATE} ivr")
        times, seqs = set(), []
        while len(seqs) < EVENTS:
            self.assertTrue(socket.poll(fleet.PATIENCE_S * 1000), f"only {len(seqs)} events")
            topic, _, stamp = socket.recv_multipart()
            if not topic.startswith(b"Arizmq"):
                _, seq, received_ns = struct.unpack_from(">3Q", stamp)
                seqs.append(seq)
                times.add(received_ns)
        self.assertEqual(seqs, list(range(seqs[0], seqs[0] + EVENTS)))
        return len(times), time.monotonic() - begin

    def test_events_are_read_together(self):
        bridge, (fake,), client = self.up(more="limits: {coalesce_ms: 20}\nstate: {enabled: false}\n")
        socket = self.subscribe(bridge)
        reads, took_s = self.reads(fake, socket)
        # Where much has come at once there may be one more before the next rest.
        self.assertLessEqual(reads, 2 * took_s / 0.020 + 2)
        # A reload changes it for the connection that is there.
        bridge.config.write_text(bridge.config.read_text().replace("coalesce_ms: 20",
                                                                   "coalesce_ms: 40"))
        bridge.process.send_signal(signal.SIGHUP)
        wait_until("it is reloaded", lambda: "limits.coalesce_ms" in bridge.log.read_text())
        reads, took_s = self.reads(fake, socket)
        self.assertLessEqual(reads, 2 * took_s / 0.040 + 2)
        self.assertEqual(client.ask("GET", "asterisk/ping")[0]["status_code"], 200)


if __name__ == "__main__":
    unittest.main()
