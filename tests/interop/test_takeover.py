# SPDX-License-Identifier: MPL-2.0
"""arizmq/takeover as the bridge that takes over sees it: a client that begins, is silent, gives up,
asks for what it may not; and what a takeover does to commands under way."""
import json
import signal
import time
import unittest

from test_commander import FleetTest, validator
from fleet import Bridge, wait_until

URI = "arizmq/takeover"


class TakeoverTest(FleetTest):
    reports = validator("arizmq-takeover")

    def up(self, count=1, **options):
        bridge, fakes = self.bridge(count, **options)
        client = self.client(bridge)
        bridge.wait_up(client)
        return bridge, fakes, client

    def report(self, client, method="GET", uri=URI, body=None):
        header, text = client.ask(method, uri, None if body is None else json.dumps(body).encode())
        self.assertEqual((header["status_code"], header["source"]), (200, "bridge"), text)
        report = json.loads(text)
        self.reports.validate(report)
        return report

    def refused(self, client, status, error, method, uri=URI, body=None):
        header, text = client.ask(method, uri, body)
        self.replies.validate(header)
        self.assertEqual((header["status_code"], header["error"]), (status, error), text)
        return json.loads(text)["message"]

    def begin(self, client, epoch=7, links=None, **members):
        links = {"pbx1": ["ivr"]} if links is None else links
        return self.report(client, "POST", body={"epoch": epoch, "links": links, **members})

    def begin_surely(self, client, epoch=7):
        """Until it is let."""
        wait_until("it is under way",
                   lambda: self.begin(client, epoch)["state"] == "under_way")


class Resource(TakeoverTest):
    def test_nobody_takes_over(self):
        _, _, client = self.up()
        report = self.report(client)
        self.assertEqual((report["state"], report["successor_epoch"], report["outcome"],
                          report["links"]), ("none", None, None, []))

    def test_what_is_wrong_is_named_and_changes_nothing(self):
        _, _, client = self.up()
        for body in (None, b"", b"{", b"[]", b"{}", b'{"epoch":0,"links":{}}',
                     b'{"epoch":"7","links":{}}', b'{"epoch":-7,"links":{}}'):
            self.assertIn("epoch", self.refused(client, 400, "bad_request", "POST", body=body))
        for body in (b'{"epoch":7}', b'{"epoch":7,"links":[]}', b'{"epoch":7,"links":"pbx1"}'):
            self.assertIn("links", self.refused(client, 400, "bad_request", "POST", body=body))
        for query in ("", "?epoch=", "?epoch=x", "?epoch=0", "?epoch=7x", "?other=7"):
            self.assertIn("epoch", self.refused(client, 400, "bad_request", "DELETE", URI + query))
        self.refused(client, 405, "bad_method", "PUT")
        self.assertIn("no takeover", self.refused(client, 409, "conflict", "DELETE",
                                                  URI + "?epoch=7"))
        self.assertEqual(self.report(client)["state"], "none")

    def test_not_allowed(self):
        _, _, client = self.up(extra="  takeover: false\n")
        for method, uri in (("POST", URI), ("DELETE", URI + "?epoch=7")):
            self.assertIn("gateway.takeover",
                          self.refused(client, 403, "denied", method, uri,
                                       b'{"epoch":7,"links":{}}'))
        self.assertEqual(self.report(client)["state"], "none")

    def test_one_at_a_time(self):
        _, _, client = self.up()
        self.begin_surely(client)
        message = self.refused(client, 409, "conflict", "POST", body=b'{"epoch":8,"links":{}}')
        self.assertIn("epoch 7", message)
        self.refused(client, 409, "conflict", "DELETE", URI + "?epoch=8")
        report = self.report(client)
        self.assertEqual((report["state"], report["successor_epoch"]), ("under_way", 7))
        self.assertEqual([(link["node"], link["app"], link["state"]) for link in report["links"]],
                         [("pbx1", "ivr", "up")])

    def test_given_up_and_not_tried_again(self):
        bridge, (fake,), client = self.up()
        self.begin_surely(client)
        self.assertEqual(self.report(client, "DELETE", URI + "?epoch=7")["state"], "none")
        self.assertIn("given up", self.refused(client, 409, "conflict", "POST",
                                               body=b'{"epoch":7,"links":{}}'))
        self.assertIn("given up", self.report(client)["outcome"])
        fake.do("stats")  # what it has seen stands before the answer
        self.assertEqual(len([line for line in fake.events if "connected id" in line]), 1)
        self.begin_surely(client, 8)
        self.report(client, "DELETE", URI + "?epoch=8")
        self.assertIsNone(bridge.process.poll())

    def test_silence_ends_it(self):
        bridge, _, client = self.up(extra="  takeover_timeout_ms: 1000\n")
        self.begin_surely(client)
        report = wait_until("it is over", lambda: (one := self.report(client))["state"] == "none"
                            and one)
        self.assertIn("nothing was heard", report["outcome"])
        self.assertIn("takeover_failed", bridge.log.read_text())

    def test_time_ends_it(self):
        _, _, client = self.up(extra="  takeover_timeout_ms: 1000\n")
        self.begin_surely(client)
        end = time.monotonic() + 20
        while self.report(client)["state"] == "under_way":
            client.ask("POST", URI, b'{"epoch":7,"links":{},"opening":true}')
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        self.assertIn("pbx1/ivr was not taken", self.report(client)["outcome"])

    def test_a_reload_waits_for_another_day(self):
        bridge, _, client = self.up()
        self.begin_surely(client)
        bridge.process.send_signal(signal.SIGHUP)
        wait_until("the reload is refused",
                   lambda: "another bridge is taking over" in bridge.log.read_text())
        self.report(client, "DELETE", URI + "?epoch=7")
        self.assertIsNone(bridge.process.poll())

    def test_an_asterisk_that_is_away(self):
        """What was never connected is no reason to wait, and nothing of it is missing."""
        bridge, (fake, other), client = self.up(2)
        other.do("stop-listening")
        other.do("drop-all")
        wait_until("pbx2 is down", lambda: bridge.nodes(client)[1]["state"] == "down")
        links = {"pbx1": ["ivr"], "pbx2": ["ivr"], "pbx3": ["what is not here"]}
        report = wait_until("it is under way", lambda: (one := self.begin(
            client, links=links))["state"] == "under_way" and one)
        up, down = report["links"]
        self.assertEqual((up["state"], up["missing_since_ms"]), ("up", None))
        self.assertEqual(down["state"], "down")
        self.assertLess(abs(down["missing_since_ms"] - time.time() * 1000), 60000)
        self.assertEqual(self.report(client, "DELETE", URI + "?epoch=7")["state"], "none")
        other.do("listen")
        bridge.wait_up(client)


class Commands(TakeoverTest):
    MORE = "stop_timeout_ms: 60000\n"

    def take_over(self, bridge, node=""):
        new = Bridge(*bridge.fakes, node=node, arguments=(
            "--takeover", bridge.gateway, "--takeover-wait", "0"))
        self.addCleanup(new.stop)
        return new

    def expect_answer(self, bridge, client):
        header, _ = client.receive()
        self.assertEqual((header["status_code"], header["source"]), (200, "asterisk"))
        self.assertEqual(bridge.process.wait(30), 0)

    def test_over_http(self):
        bridge, (fake,), client = self.up(more=self.MORE)
        fake.do("rest-stall channels")
        client.send("GET", "channels", request_id="slow", timeout_ms=60000)
        wait_until("it was sent", lambda: bridge.nodes(self.client(bridge))[0]["under_way"] == 1)
        self.take_over(bridge)
        wait_until("the old one waits for it", lambda: "stopping:" in bridge.log.read_text())
        fake.do("rest-resume")
        self.expect_answer(bridge, client)

    def test_over_its_websocket(self):
        """Asterisk answers over the connection that the application has left."""
        node = "    rest: websocket\n"
        bridge, (fake,), client = self.up(node=node, more=self.MORE)
        fake.do("rest-delay 3000")
        client.send("GET", "asterisk/ping", request_id="slow", timeout_ms=60000)
        wait_until("it was sent", lambda: bridge.nodes(self.client(bridge))[0]["under_way"] == 1)
        self.take_over(bridge)
        self.expect_answer(bridge, client)
        fake.do("rest-delay 0")

    def test_while_it_is_under_way(self):
        """Neither the gateway nor the WebSocket is closed to commands before the end."""
        bridge, _, client = self.up(2, node="    rest: websocket\n")
        self.begin_surely(client)
        header, _ = client.ask("GET", "asterisk/ping", node="pbx1")
        self.assertEqual((header["status_code"], header["source"]), (200, "asterisk"))
        self.report(client, "DELETE", URI + "?epoch=7")


if __name__ == "__main__":
    unittest.main()
