# SPDX-License-Identifier: MPL-2.0
"""Commands from Python, by REQ and DEALER, through the real arizmqd to fake Asterisks."""
import json
import pathlib
import sys
import unittest
import uuid

try:
    import jsonschema
    import zmq
except ImportError as error:
    print(f"skipped: {error.name} is not installed (Debian: python3-zmq, python3-jsonschema)")
    sys.exit(77)

import fleet
from fleet import Bridge, Client, Fake, wait_until

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "schemas"


def validator(name):
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema)


class FleetTest(unittest.TestCase):
    replies = validator("reply")

    def bridge(self, count=1, **options):
        fakes = [Fake() for _ in range(count)]
        for fake in fakes:
            self.addCleanup(fake.stop)
        bridge = Bridge(*fakes, **options)
        self.addCleanup(bridge.stop)
        return bridge, fakes

    def client(self, bridge, **options):
        client = Client(bridge.gateway, **options)
        self.addCleanup(client.close)
        return client

    def up(self, count=1, **options):
        bridge, fakes = self.bridge(count, **options)
        client = self.client(bridge)
        bridge.wait_up(client)
        return bridge, fakes, client

    def expect(self, reply, status, error=None, node=None):
        header, body = reply
        self.replies.validate(header)
        self.assertEqual(header["status_code"], status, (header, body[:200]))
        self.assertEqual(header.get("error"), error, (header, body[:200]))
        if node is not None:
            self.assertEqual(header.get("node"), node, (header, body[:200]))
        return json.loads(body) if header.get("content_type") == "application/json" else body


class Sockets(FleetTest):
    def test_each_kind_gets_the_same(self):
        bridge, (fake,), _ = self.up()
        for kind, delimiter in ((zmq.REQ, False), (zmq.DEALER, False), (zmq.DEALER, True)):
            client = self.client(bridge, kind=kind, delimiter=delimiter)
            for _ in range(3):
                self.expect(client.ask("GET", "asterisk/ping"), 200, node="pbx1")
        self.assertEqual(fake.requests(), ["GET asterisk/ping"] * 9)

    def test_64_under_way_are_matched_by_request_id(self):
        bridge, (fake,), client = self.up()
        client = self.client(bridge)
        wanted = {str(uuid.uuid4()): f"channel-{i}" for i in range(500)}
        left = list(wanted.items())
        under_way = 0
        while wanted:
            while left and under_way < 64:
                request_id, channel = left.pop()
                client.send("GET", f"channels/{channel}", request_id=request_id,
                            transaction_id=channel)
                under_way += 1
            reply = client.receive()
            self.expect(reply, 404)
            under_way -= 1
            self.assertEqual(reply[0]["transaction_id"], wanted.pop(reply[0]["request_id"]))
        self.assertEqual(len(fake.requests("GET channels/channel-")), 500)

    def test_ways_to_give_parameters_and_body(self):
        _, (fake,), client = self.up()
        text = '{"variables":{"A":"ü\\u2028"}}'
        members = {"endpoint": "Local/a@b", "app": "ivr"}
        pairs = [{"name": name, "value": value} for name, value in members.items()]
        query = "endpoint=Local%2Fa%40b&app=ivr"
        made = [self.expect(reply, 200)["id"] for reply in (
            client.ask("POST", "channels", text.encode(), query_strings=members),
            client.ask("POST", "channels", query_strings=pairs, message_body=json.loads(text)),
            client.ask("POST", "channels?" + query, message_body=text),
            client.ask("POST", "channels?" + query, b""))]
        self.assertEqual(len(set(made)), 4)
        self.assertEqual([line.split("?")[0] for line in fake.requests("POST")],
                         ["POST channels"] * 4)

    def test_own_resources_have_their_shapes(self):
        bridge, _, client = self.up()
        validator("arizmq-info").validate(self.expect(client.ask("GET", "arizmq/info"), 200))
        validator("arizmq-nodes").validate(self.expect(client.ask("GET", "arizmq/nodes"), 200))
        self.expect(client.ask("DELETE", "arizmq/nodes"), 405, "bad_method")
        self.expect(client.ask("GET", "arizmq/nobody"), 404, "no_such_resource")
        bridge.fakes[0].do("stop-listening")
        bridge.fakes[0].do("drop-all")
        bridge.wait_up(client, 0)
        body = self.expect(client.ask("GET", "arizmq/nodes"), 200)
        validator("arizmq-nodes").validate(body)
        self.assertTrue(body["nodes"][0]["last_error"])

    def test_malformed_ones_are_told_what_is_wrong(self):
        bridge, (fake,), client = self.up()
        raw = self.client(bridge)
        for frames in ([b""], [b"{"], [b"[]"], [b"{}"], [b"\xff\xfe"], [b'{"method":"GET"}'],
                       [b'{"method":"get","uri":"channels"}'], [b'{"method":1,"uri":"channels"}'],
                       [b'{"method":"GET","uri":"/channels"}'],
                       [b'{"method":"GET","uri":"http://other/channels"}'],
                       [b'{"method":"GET","uri":"channels/../asterisk"}'],
                       [b'{"method":"GET","uri":"channels/%2e%2E/x"}'],
                       [b'{"method":"GET","uri":"channels\\r\\nX: y"}'],
                       [b'{"method":"GET","uri":"channels%0d%0a"}'],
                       [b'{"method":"GET","uri":"channels","timeout_ms":0}'],
                       [b'{"method":"GET","uri":"channels","request_id":7}'],
                       [b'{"method":"GET","uri":"channels"}', b"a", b"b"],
                       [b"x"] * 1000):
            raw.socket.send_multipart(frames)
            message = self.expect(raw.receive(), 400, "bad_request")["message"]
            self.assertGreater(len(message), 10, frames)
        raw.send("POST", "channels", b"x" * 50000, request_id="large")
        reply = raw.receive()
        self.expect(reply, 413, "too_large")
        self.assertEqual(reply[0]["request_id"], "large")
        raw.send("POST", "channels", b"x" * 100000, request_id="larger")
        reply = raw.receive()
        self.expect(reply, 413, "too_large")
        self.assertEqual(reply[0]["request_id"], "larger")
        self.expect(raw.ask("GET", "asterisk/ping"), 200)
        self.assertEqual(fake.requests(), ["GET asterisk/ping"])


class Once(FleetTest):
    def test_a_retry_from_a_new_socket_gets_the_reply_of_the_first(self):
        bridge, (fake,), _ = self.up()
        fake.do("rest-stall channels")
        request = {"query_strings": {"endpoint": "Local/a@b", "app": "ivr", "channelId": "c1"},
                   "request_id": "0b1e"}
        first = self.client(bridge, kind=zmq.REQ)
        first.send("POST", "channels", **request)
        wait_until("the fake has it", lambda: fake.requests("POST channels"))
        first.socket.close()
        second = self.client(bridge, kind=zmq.REQ)
        second.send("POST", "channels", **request)
        self.assertFalse(second.socket.poll(100), "it waits for the one under way")
        fake.do("rest-resume")
        reply = second.receive()
        self.assertEqual(self.expect(reply, 200)["id"], "c1")
        third = self.client(bridge, kind=zmq.REQ)
        again = third.ask("POST", "channels", **request)
        self.assertEqual(again[1], reply[1])
        self.assertEqual(len(fake.requests("POST channels")), 1)
        self.expect(third.ask("DELETE", "channels/c1", request_id="0b1e"), 409, "conflict")

    def test_after_a_504_a_repetition_gets_the_late_answer(self):
        bridge, (fake,), client = self.up()
        fake.do("rest-stall channels")
        request = {"query_strings": {"endpoint": "Local/a@b", "app": "ivr", "channelId": "c1"},
                   "request_id": "x"}
        self.expect(client.ask("POST", "channels", timeout_ms=50, **request), 504,
                    "outcome_unknown", "pbx1")
        client.send("POST", "channels", **request)
        fake.do("rest-resume")
        self.assertEqual(self.expect(client.receive(), 200)["id"], "c1")
        self.assertEqual(len(fake.requests("POST channels")), 1)

    def test_what_was_not_sent_may_be_tried_again(self):
        bridge, (fake,), client = self.up()
        fake.do("stop-listening")
        fake.do("drop-all")
        bridge.wait_up(client, 0)
        self.expect(client.ask("GET", "asterisk/ping", request_id="y"), 503, "node_down", "pbx1")
        fake.do("listen")
        bridge.wait_up(client)
        self.expect(client.ask("GET", "asterisk/ping", request_id="y"), 200)


class Routing(FleetTest):
    def originate(self, client, channel, **members):
        return client.ask("POST", "channels", query_strings={
            "endpoint": "Local/a@b", "app": "ivr", "channelId": channel}, **members)

    def test_owners_are_known_from_events_before_these_are_published(self):
        bridge, fakes, client = self.up(2, node="    subscribe_all: true\n")
        events = zmq.Context.instance().socket(zmq.SUB)
        self.addCleanup(events.close, 0)
        events.subscribe("StasisStart/")
        events.subscribe("ArizmqHeartbeat/")
        events.connect(bridge.events)
        events.recv_multipart()  # joined
        event = {"type": "StasisStart", "timestamp": "2026-11-23T14:35:01.160+0000", "args": [],
                 "channel": {"id": "", "name": "PJSIP/x"}, "asterisk_id": "x",
                 "application": "ivr"}
        for i in range(1000):
            event["channel"]["id"] = f"1690.{i}"
            fakes[i % 2].do("send " + json.dumps(event))
            while (topic := events.recv_multipart()[0]).startswith(b"Arizmq"):
                pass
            node, channel = topic.decode().split("/")[2:4]
            self.expect(client.ask("GET", f"channels/{channel}"), 404, node=node)
        for i, fake in enumerate(fakes):
            self.assertEqual(len(fake.requests("GET channels/")), 500)
            self.assertEqual({int(line.rpartition(".")[2]) % 2 for line in fake.requests()}, {i})

    def test_creation_goes_where_the_fewest_calls_are(self):
        _, fakes, client = self.up(3, node="    subscribe_all: true\n")
        for i in range(9):
            self.expect(self.originate(client, f"c{i}"), 200)
        self.assertEqual([len(fake.requests("POST channels")) for fake in fakes], [3, 3, 3])
        self.expect(self.originate(client, "here", node="pbx2"), 200, node="pbx2")
        self.expect(client.ask("DELETE", "channels/here"), 204, node="pbx2")
        self.expect(self.originate(client, "x", node="pbx9"), 404, "no_such_node")
        self.expect(self.originate(client, "x", app="nobody"), 404, "no_such_node")

    def test_an_application_restricts_the_nodes(self):
        _, fakes, client = self.up(2, apps=["ivr", "queue"])
        for i in range(4):
            self.expect(self.originate(client, f"c{i}"), 200, node="pbx1")
            self.expect(client.ask("GET", "asterisk/ping", app="queue"), 200, node="pbx2")

    def test_chosen_ids_are_known_before_the_answer(self):
        _, fakes, client = self.up(2)
        for fake in fakes:
            fake.do("rest-stall channels")
        client.send("POST", "channels", request_id="create", query_strings={
            "endpoint": "Local/a@b", "app": "ivr", "channelId": "chosen"}, node="pbx2")
        wait_until("the fake has it", lambda: fakes[1].requests("POST channels"))
        client.send("GET", "channels/chosen", request_id="use")
        wait_until("the fake has it", lambda: fakes[1].requests("GET channels/chosen"))
        for fake in fakes:
            fake.do("rest-resume")
        for _ in range(2):
            self.expect(client.receive(), 200, node="pbx2")
        self.assertEqual(fakes[0].requests(), [])

    def test_objects_of_two_nodes_are_a_conflict(self):
        _, fakes, client = self.up(2)
        self.expect(self.originate(client, "a", node="pbx1"), 200)
        self.expect(client.ask("POST", "bridges", query_strings={"bridgeId": "b"}, node="pbx2"),
                    200)
        text = self.expect(client.ask("POST", "bridges/b/addChannel",
                                      query_strings={"channel": "a"}), 409, "conflict")["message"]
        for word in ("pbx1", "pbx2"):
            self.assertIn(word, text)
        self.expect(client.ask("POST", "bridges", query_strings={"bridgeId": "b"}, node="pbx1"),
                    200)
        text = self.expect(client.ask("GET", "bridges/b"), 409, "conflict")["message"]
        for word in ("pbx1", "pbx2"):
            self.assertIn(word, text)
        self.expect(client.ask("GET", "bridges/b", node="pbx1"), 200, node="pbx1")
        self.assertEqual([fake.requests("POST bridges/b/") for fake in fakes], [[], []])

    def test_unknown_objects(self):
        bridge, fakes, client = self.up(3)
        self.expect(client.ask("POST", "channels/nobody/answer"), 404, "no_such_object")
        self.assertEqual([fake.requests() for fake in fakes], [[], [], []])
        self.expect(client.ask("GET", "channels/nobody"), 404, "no_such_object")
        self.assertEqual([fake.requests() for fake in fakes], [["GET channels/nobody"]] * 3)
        self.expect(self.originate(client, "known", node="pbx3"), 200)
        bridge.kill()  # it forgets
        fakes[1].do("stop-listening")
        bridge.start()
        bridge.wait_up(client, 2)
        self.expect(client.ask("GET", "channels/known"), 200, node="pbx3")  # census
        self.assertEqual(fakes[0].requests("GET channels/known"), [])
        self.expect(client.ask("GET", "channels/nobody"), 503, "node_down", "pbx2")
        self.expect(client.ask("GET", "asterisk/ping", node="pbx2"), 503, "node_down", "pbx2")

    def test_calls_are_counted_down(self):
        bridge, (fake,), client = self.up(1, node="    subscribe_all: true\n")

        def calls():
            return bridge.nodes(client)[0]["calls"]

        for i in range(3):
            self.expect(self.originate(client, f"c{i}"), 200)
        self.assertEqual(calls(), 3)
        self.expect(client.ask("DELETE", "channels/c0"), 204)
        self.assertEqual(calls(), 2)
        ended = {"type": "ChannelDestroyed", "timestamp": "2026-11-23T14:35:01.160+0000",
                 "cause": 16, "cause_txt": "", "channel": {"id": "c1"}, "application": "ivr"}
        fake.do("send " + json.dumps(ended))
        wait_until("one call less", lambda: calls() == 1)


class Worker(FleetTest):
    program = pathlib.Path(__file__).with_name("worker.py")

    def test_is_the_program_that_the_readme_shows(self):
        readme = (SCHEMAS.parent / "README.md").read_text(encoding="utf-8")
        shown = self.program.read_text(encoding="utf-8").split("\n", 2)[2]  # without the first two
        self.assertIn(f"```python\n{shown}```\n", readme)

    def test_answers_plays_and_hangs_up(self):
        bridge, fakes, client = self.up(2, node="    subscribe_all: true\n")
        worker = fleet.subprocess.Popen(
            [sys.executable, "-B", self.program, bridge.events, bridge.gateway, "ivr"],
            stdout=fleet.subprocess.PIPE, text=True, preexec_fn=fleet.die_with_parent)
        self.addCleanup(worker.stdout.close)
        self.addCleanup(worker.wait)
        self.addCleanup(worker.kill)
        def call(channel, node):
            query = {"endpoint": "a/b", "app": "ivr", "channelId": channel}
            self.expect(client.ask("POST", "channels", query_strings=query, node=node), 200)

        while not fakes[0].requests("POST channels/join/play"):  # until it has subscribed
            call("join", "pbx1")
            fleet.time.sleep(0.05)
            self.expect(client.ask("DELETE", "channels/join"), 204)
        for i in range(4):
            channel, fake = f"c{i}", fakes[i % 2]
            call(channel, f"pbx{i % 2 + 1}")
            wait_until("it plays", lambda: fake.requests(f"POST channels/{channel}/play"))
            fake.do("send " + json.dumps({
                "type": "PlaybackFinished", "application": "ivr",
                "timestamp": "2026-11-23T14:35:01.160+0000",
                "playback": {"id": f"p{i}", "target_uri": f"channel:{channel}"}}))
            wait_until("it hangs up", lambda: fake.requests(f"DELETE channels/{channel}"))
            steps = [line.split("?")[0] for line in fake.requests()
                     if f"channels/{channel}" in line]
            self.assertEqual(steps[-3:], [f"POST channels/{channel}/answer",
                                          f"POST channels/{channel}/play",
                                          f"DELETE channels/{channel}"])


class Disabled(unittest.TestCase):
    def test_no_gateway_where_none_is_wanted(self):
        fake = Fake()
        self.addCleanup(fake.stop)
        directory = fleet.tempfile.mkdtemp(prefix="arizmq-interop-")
        self.addCleanup(fleet.shutil.rmtree, directory)
        config = pathlib.Path(directory, "arizmqd.yaml")
        config.write_text(
            f"nodes:\n  - {{name: pbx1, url: 'ws://127.0.0.1:{fake.port}/ari', username: lab, "
            f"password: secret, apps: [ivr]}}\n"
            f"publish:\n  - {{view: events, endpoint: 'ipc://{directory}/events'}}\n"
            f"gateway: {{enabled: false, endpoint: 'ipc://{directory}/gateway'}}\n")
        process = fleet.subprocess.Popen([fleet.BUILD / "arizmqd", "-c", config],
                                         stderr=fleet.subprocess.PIPE, text=True,
                                         preexec_fn=fleet.die_with_parent)
        with process:
            line = ""
            while "node_connected" not in line:
                line = process.stderr.readline()
                self.assertTrue(line, "it ended")
            self.assertFalse(pathlib.Path(directory, "gateway").exists())
            names = {pathlib.Path(task, "comm").read_text().strip()
                     for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir()}
            self.assertNotIn("commands", names)
            process.terminate()
            process.stderr.read()
        self.assertEqual(process.returncode, 0)


if __name__ == "__main__":
    unittest.main()
