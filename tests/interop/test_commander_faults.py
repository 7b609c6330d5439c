# SPDX-License-Identifier: MPL-2.0
"""What commands come to when Asterisk, a client or the bridge itself fails under them."""
import json
import os
import signal
import statistics
import sys
import time
import unittest

try:
    import zmq
except ImportError:
    print("skipped: pyzmq is not installed (Debian: python3-zmq)")
    sys.exit(77)

from fleet import PATIENCE_S, Bridge, Client, Fake, wait_until
from test_commander import FleetTest


class FaultTest(FleetTest):
    def metric(self, bridge, name):
        """Of a dump that is made now."""
        with open(bridge.log, encoding="utf-8", errors="replace") as log:
            log.seek(0, os.SEEK_END)
            bridge.process.send_signal(signal.SIGUSR1)
            text = ""

            def is_whole():
                nonlocal text
                text += log.read()
                return "# EOF" in text

            wait_until("the metrics", is_whole)
        return int(next(line.split()[1] for line in text.splitlines()
                        if line.startswith(name + " ")))

    def warm(self, client, fake, count=1):
        """Leaves the node with a connection that was used."""
        for _ in range(count):
            self.expect(client.ask("GET", "asterisk/ping"), 200)
        return len(fake.requests())


class Asterisk(FaultTest):
    def test_10000_wait_for_a_stalled_node_and_the_other_does_not_notice(self):
        # Without the bridge's own GET asterisk/ping, which a quiet link sends over its WebSocket.
        bridge, (stalled, healthy), client = self.up(2, node="    liveness_ms: 600000\n")
        stalled.do("rest-stall asterisk/ping")

        def round_trip():
            begin = time.perf_counter()
            self.expect(client.ask("GET", "asterisk/ping", node="pbx2"), 200, node="pbx2")
            return time.perf_counter() - begin

        before = statistics.median(round_trip() for _ in range(300))
        crowd = self.client(bridge)
        crowd.socket.setsockopt(zmq.SNDHWM, 0)
        crowd.socket.setsockopt(zmq.RCVHWM, 0)
        crowd.socket.disconnect(bridge.gateway)
        crowd.socket.connect(bridge.gateway)
        for i in range(10100):
            crowd.send("GET", "asterisk/ping", node="pbx1", transaction_id=str(i),
                       timeout_ms=20000 if i < 10000 else 19000)
        refused = [crowd.receive() for _ in range(100)]
        for reply in refused:  # max_requests_per_node
            self.expect(reply, 429, "overloaded", "pbx1")
        self.assertEqual(bridge.nodes(client)[0]["under_way"], 10000)
        during = statistics.median(round_trip() for _ in range(300))
        self.assertLess(during, 3 * before + 0.001)
        wait_until("all connections are in use", lambda: len(
            stalled.requests("GET asterisk/ping")) >= 32)  # rest_connections
        self.assertEqual(len(stalled.requests("GET asterisk/ping")), 32)
        stalled.do("rest-resume")
        ids = {reply[0]["transaction_id"] for reply in refused}
        for _ in range(10000):
            header, _ = crowd.receive()
            self.assertEqual(header["status_code"], 200)
            ids.add(header["transaction_id"])
        self.assertEqual(len(ids), 10100)
        self.assertEqual(len(stalled.requests("GET asterisk/ping")), 10000)

    def test_what_found_no_connection_in_time_was_not_sent(self):
        bridge, (fake,), client = self.up(node="    rest_connections: 2\n")
        fake.do("rest-stall asterisk/ping")
        begin = time.monotonic()
        for i in range(10):
            client.send("POST", "asterisk/ping", request_id=str(i), timeout_ms=200)
        words = {}
        for _ in range(10):
            header, _ = client.receive()
            words[header["request_id"]] = header["error"]
        self.assertGreaterEqual(time.monotonic() - begin, 0.2)
        self.assertEqual(words, {str(i): "outcome_unknown" if i < 2 else "overloaded"
                                 for i in range(10)})
        fake.do("rest-resume")
        wait_until("both are over", lambda: bridge.nodes(client)[0]["under_way"] == 0)
        self.assertEqual(len(fake.requests("POST")), 2)

    def test_limit_over_all_nodes(self):
        bridge, (fake,), client = self.up(extra="  max_requests: 5\n  max_requests_per_node: 5\n")
        fake.do("rest-stall asterisk/ping")
        for i in range(7):
            client.send("GET", "asterisk/ping", request_id=str(i))
        for request_id in ("5", "6"):
            reply = client.receive()
            self.expect(reply, 429, "overloaded")
            self.assertEqual(reply[0]["request_id"], request_id)
        fake.do("rest-resume")
        for _ in range(5):
            self.expect(client.receive(), 200)

    def test_killed_between_request_and_reply(self):
        bridge, fakes, client = self.up(2)
        fakes[0].do("rest-stall channels")
        client.send("POST", "channels", node="pbx1", query_strings={"endpoint": "a/b", "app": "ivr"})
        wait_until("the fake has it", lambda: fakes[0].requests("POST channels"))
        fakes[0].process.kill()
        self.expect(client.receive(), 504, "outcome_unknown", "pbx1")
        bridge.wait_up(client, 1)
        begin = time.monotonic()
        self.expect(client.ask("POST", "channels", node="pbx1"), 503, "node_down", "pbx1")
        self.assertLess(time.monotonic() - begin, 1)
        self.expect(client.ask("GET", "asterisk/ping", node="pbx2"), 200, node="pbx2")
        fakes[0].stop = lambda: None
        fakes[0].process.stdin.close()
        fakes[0].process.stdout.close()
        fakes[0].process.wait()

    def test_kept_connection_was_closed_while_idle(self):
        _, (fake,), client = self.up()
        fake.do("rest-idle-ms 20")
        for i in range(10):
            self.expect(client.ask("POST", "bridges", query_strings={"bridgeId": f"b{i}"}), 200)
            time.sleep(0.3)  # long since closed
        self.assertEqual(len(fake.requests("POST bridges")), 10)

    def test_kept_connection_is_closed_just_when_it_is_used(self):
        _, (fake,), client = self.up()
        fake.do("rest-idle-ms 20")
        unknown = 0
        for i in range(20):
            reply = client.ask("POST", "bridges", query_strings={"bridgeId": f"b{i}"})
            if reply[0]["status_code"] == 200:
                self.expect(reply, 200)
            else:  # nobody knows whether it was read, and it is not sent again
                self.expect(reply, 504, "outcome_unknown", "pbx1")
                unknown += 1
            time.sleep(0.018 + i * 0.0004)
        seen = len(fake.requests("POST bridges"))
        self.assertLessEqual(20 - unknown, seen)
        self.assertLessEqual(seen, 20)

    def test_connection_is_closed_under_a_request(self):
        """Statuses, and how often the fake was asked: what is not safe is never sent again."""
        for point, method, status, seen in (
                ("before", "GET", 200, 1), ("after-request", "GET", 200, 2),
                ("before", "POST", 504, 0), ("after-request", "POST", 504, 1),
                ("in-body", "POST", 504, 1), ("in-head", "POST", 504, 1),
                ("after-request", "DELETE", 504, 1), ("after-request", "PUT", 504, 1)):
            with self.subTest(point=point, method=method):
                bridge, (fake,), client = self.up()
                self.warm(client, fake)
                fake.do(f"rest-close asterisk/ping {point} 1")
                header, _ = client.ask(method, "asterisk/ping")
                self.assertEqual(header["status_code"], status, header)
                asked = len([line for line in fake.requests(method) if line.endswith("ping")])
                self.assertEqual(asked - (1 if method == "GET" else 0), seen)
                fake.do("rest-close asterisk/ping off")
                self.expect(client.ask("GET", "asterisk/ping"), 200)

    def test_20_mb_pass_and_more_than_the_bound_does_not(self):
        _, (fake,), client = self.up()
        fake.do("rest-big sounds 20000000")
        header, body = client.ask("GET", "sounds", timeout_ms=30000)
        self.assertEqual((header["status_code"], len(body)), (200, 20000000))
        _, (fake,), client = self.up(extra="  max_reply_bytes: 1000000\n")
        fake.do("rest-big sounds 20000000")
        self.expect(client.ask("GET", "sounds"), 502, "node_error", "pbx1")
        self.expect(client.ask("GET", "asterisk/ping"), 200)

    def test_head_without_end(self):
        _, (fake,), client = self.up()
        fake.do("rest-flood asterisk/ping")
        self.expect(client.ask("GET", "asterisk/ping"), 502, "node_error", "pbx1")
        fake.do("rest-flood asterisk/ping off")
        self.expect(client.ask("GET", "asterisk/ping"), 200)

    def test_50_clients_ask_the_same_at_once(self):
        bridge, (fake,), client = self.up()
        fake.do("rest-stall channels")
        clients = [self.client(bridge) for _ in range(50)]
        request = {"query_strings": {"endpoint": "a/b", "app": "ivr", "channelId": "c1"},
                   "request_id": "same"}
        for each in clients:
            each.send("POST", "channels", **request)
        wait_until("all are there", lambda: self.metric(
            bridge, "arizmq_gateway_repeated_total") == 49)
        self.expect(client.ask("POST", "channels", request_id="same"), 409, "conflict")
        fake.do("rest-resume")
        bodies = {self.expect(each.receive(), 200)["id"] for each in clients}
        self.assertEqual(bodies, {"c1"})
        self.assertEqual(len(fake.requests("POST channels")), 1)

    def test_a_window_ends(self):
        _, (fake,), client = self.up(extra="  once_window_ms: 100\n")
        self.expect(client.ask("GET", "asterisk/ping", request_id="w"), 200)
        wait_until("it is forgotten", lambda: client.ask(
            "GET", "asterisk/ping", request_id="w") and len(fake.requests()) == 2)


class Ends(FaultTest):
    def test_a_client_that_vanishes(self):
        bridge, (fake,), client = self.up()
        fake.do("rest-stall bridges")
        gone = Client(bridge.gateway)
        gone.send("POST", "bridges", query_strings={"bridgeId": "b1"})
        wait_until("the fake has it", lambda: fake.requests("POST bridges"))
        gone.close()
        # libzmq notices in its own time; an answer in the meantime would be for the old socket.
        time.sleep(0.2)
        fake.do("rest-resume")
        wait_until("it is counted", lambda: self.metric(
            bridge, "arizmq_gateway_undeliverable_total") == 1)
        self.expect(client.ask("GET", "bridges/b1"), 200)

    def test_stop_answers_everybody(self):
        # Commands get a quarter of the time to stop.
        bridge, (fake,), client = self.up(node="    rest_connections: 1\n",
                                          extra="stop_timeout_ms: 12000\n")
        fake.do("rest-stall asterisk/ping")
        for i in range(3):
            client.send("GET", "asterisk/ping", request_id=str(i), timeout_ms=60000)
        wait_until("the fake has one", lambda: fake.requests("GET asterisk/ping"))
        bridge.process.terminate()
        wait_until("it is stopping", lambda: "stopping" in bridge.log.read_text())
        self.expect(client.ask("GET", "asterisk/ping", request_id="late"), 503, "stopping")
        words = {}
        for _ in range(3):
            header, _ = client.receive()
            words[header["request_id"]] = header["error"]
        self.assertEqual(words, {"0": "outcome_unknown", "1": "stopping", "2": "stopping"})
        self.assertEqual(bridge.process.wait(PATIENCE_S), 0)

    def test_stop_waits_for_what_is_about_to_be_answered(self):
        bridge, (fake,), client = self.up()
        fake.do("rest-stall asterisk/ping")
        client.send("GET", "asterisk/ping")
        wait_until("the fake has it", lambda: fake.requests("GET asterisk/ping"))
        bridge.process.terminate()
        wait_until("it is stopping", lambda: "stopping" in bridge.log.read_text())
        fake.do("rest-resume")
        self.expect(client.receive(), 200)
        self.assertEqual(bridge.process.wait(PATIENCE_S), 0)

    def test_endpoint_in_use(self):
        bridge, fakes, _ = self.up()
        taken = zmq.Context.instance().socket(zmq.ROUTER)
        self.addCleanup(taken.close, 0)
        port = taken.bind_to_random_port("tcp://127.0.0.1")
        bridge.process.terminate()
        bridge.process.wait()
        bridge.log.write_text("")
        config = bridge.config.read_text()
        bridge.config.write_text(config.replace(bridge.gateway, f"tcp://127.0.0.1:{port}"))
        with self.assertRaises(AssertionError) as caught:
            bridge.start()
        self.assertEqual(bridge.process.returncode, 1)
        self.assertIn(f"gateway.endpoint: cannot bind tcp://127.0.0.1:{port}: Address already",
                      str(caught.exception))
        bridge.process.returncode = 0  # as bridge.stop() wants it


class OverWebSocket(FaultTest):
    def up_over_ws(self, **options):
        return self.up(node="    rest: websocket\n    subscribe_all: true\n", **options)

    def way(self, fake, line):
        """Over what it came."""
        fake.do("stats")
        return [event.split("via=")[1].split()[0] for event in fake.events
                if event.startswith(f"event rest {line} ")]

    def test_answers_come_back_and_are_not_published(self):
        bridge, (fake,), client = self.up_over_ws()
        events = zmq.Context.instance().socket(zmq.SUB)
        self.addCleanup(events.close, 0)
        events.subscribe("")
        events.connect(bridge.events)
        events.recv_multipart()  # joined: a heartbeat
        for i in range(300):
            client.send("GET", "asterisk/ping", request_id=f"r{i}")
        ids = set()
        for _ in range(300):
            header, body = client.receive()
            self.expect((header, body), 200, node="pbx1")
            self.assertEqual(json.loads(body)["ping"], "pong")
            ids.add(header["request_id"])
        self.assertEqual(len(ids), 300)
        self.assertEqual(self.way(fake, "GET asterisk/ping"), ["ws"] * 300)
        text = '{"variables":{"A":"ü \\u2028 \\" "}}'
        self.expect(client.ask("POST", "channels", text.encode(), query_strings={
            "endpoint": "a/b", "app": "ivr", "channelId": "c1"}), 200)
        self.expect(client.ask("DELETE", "channels/c1"), 204)
        fake.do('send {"type":"Last","application":"ivr"}')
        types = []
        while not types or types[-1] != "Last":
            types.append(events.recv_multipart()[0].decode().split("/")[0])
        self.assertNotIn("RESTResponse", types)
        self.assertIn("StasisStart", types)

    def test_what_a_websocket_cannot_carry_goes_over_http(self):
        _, (fake,), client = self.up_over_ws()
        for method in ("PATCH", "HEAD"):
            client.ask(method, "asterisk/ping")
            self.assertEqual(self.way(fake, f"{method} asterisk/ping"), ["http"])
        client.ask("POST", "bridges/x", b"\xff\xfe", content_type="application/json")
        self.assertEqual(self.way(fake, "POST bridges/x"), ["http"])
        client.ask("POST", "bridges/y", b"<x/>", content_type="text/xml")
        self.assertEqual(self.way(fake, "POST bridges/y"), ["http"])

    def test_406_is_asked_again_over_http(self):
        _, (fake,), client = self.up_over_ws()
        fake.do("rest-status recordings/stored/x/file 406")
        self.expect(client.ask("GET", "recordings/stored/x/file"), 406)
        self.assertEqual(self.way(fake, "GET recordings/stored/x/file"), ["ws", "http"])

    def test_connection_ends_with_commands_under_way(self):
        bridge, (fake,), client = self.up_over_ws()
        fake.do("stall")
        for i in range(3):
            client.send("POST", "bridges", request_id=str(i), query_strings={"bridgeId": "b"})
        wait_until("they are sent", lambda: self.metric(
            bridge, "arizmq_over_ws_requests_total") >= 3 + 3)
        fake.do("stop-listening")
        fake.do("drop-all")
        for _ in range(3):
            self.expect(client.receive(), 504, "outcome_unknown", "pbx1")
        bridge.wait_up(client, 0)
        self.expect(client.ask("GET", "asterisk/ping"), 503, "node_down", "pbx1")
        fake.do("listen")
        bridge.wait_up(client)
        self.expect(client.ask("GET", "asterisk/ping"), 200)

    def test_silence_ends(self):
        _, (fake,), client = self.up_over_ws(extra="  answer_timeout_ms: 150\n")
        fake.do("stall")
        self.expect(client.ask("GET", "asterisk/ping"), 504, "outcome_unknown", "pbx1")


if __name__ == "__main__":
    unittest.main()
