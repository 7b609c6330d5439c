# SPDX-License-Identifier: MPL-2.0
"""`arizmq req` and `arizmq nodes` against a gateway that follows a script: frames, output, status.

The path of the program is in the environment variable ARIZMQ.
"""
import datetime
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

try:
    import zmq
except ImportError:
    print("skipped: pyzmq is not installed (Debian: python3-zmq)")
    sys.exit(77)

from bridge import PATIENCE_S

PROGRAM = os.environ["ARIZMQ"]


class Gateway:
    """A ROUTER socket; the test says what each request gets."""

    def __init__(self, kind=zmq.ROUTER):
        self.socket = zmq.Context.instance().socket(kind)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.bind("tcp://127.0.0.1:*")
        self.endpoint = self.socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()

    def close(self):
        self.socket.close()

    def receive(self):
        """Returns the way back, the header, and the list of frames after it."""
        if not self.socket.poll(PATIENCE_S * 1000):
            raise AssertionError("no request came")
        path, delimiter, header, *rest = self.socket.recv_multipart()
        assert delimiter == b""
        return path, json.loads(header), rest

    def send(self, path, *frames):
        self.socket.send_multipart([path, b"", *frames])

    def reply(self, path, request, body=b"", **members):
        header = {"type": "RESTResponse", "request_id": request["request_id"], "status_code": 200,
                  "reason_phrase": "OK", "content_type": "application/json", "uri": request["uri"],
                  "node": "pbx1", "source": "asterisk", "elapsed_ms": 3.2} | members
        self.send(path, json.dumps({k: v for k, v in header.items() if v is not None}).encode(),
                  body)


class ClientTest(unittest.TestCase):
    def gateway(self, **arguments):
        gateway = Gateway(**arguments)
        self.addCleanup(gateway.close)
        return gateway

    def start(self, *arguments, gateway=None, stdin=b"", stdout=subprocess.PIPE, **environment):
        variables = {k: v for k, v in os.environ.items() if not k.startswith("ARIZMQ_")}
        connect = [f"--connect={gateway.endpoint}"] if gateway else []
        process = subprocess.Popen([PROGRAM, *arguments, *connect], env=variables | environment,
                                   stdin=subprocess.PIPE, stdout=stdout, stderr=subprocess.PIPE)
        process.stdin.write(stdin)
        process.stdin.close()
        process.stdin = None
        self.addCleanup(self.reap, process)
        return process

    @staticmethod
    def reap(process):
        process.kill()
        process.communicate()

    def finish(self, process, status=0):
        out, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, status, err.decode())
        return out, err.decode()

    def ask(self, *arguments, body=b"", status=0, **members):
        """Runs `arizmq req` with a gateway that replies so; returns what it wrote."""
        gateway = self.gateway()
        process = self.start("req", *arguments, gateway=gateway)
        path, request, _ = gateway.receive()
        gateway.reply(path, request, body, **members)
        return self.finish(process, status)

    def sent(self, *arguments, **environment):
        """What `arizmq req` with these arguments sends: the header and the frames after it."""
        gateway = self.gateway()
        process = self.start("req", *arguments, gateway=gateway, **environment)
        path, request, rest = gateway.receive()
        gateway.reply(path, request)
        self.finish(process)
        return request, rest


class Request(ClientTest):
    def test_plain(self):
        header, rest = self.sent("post", "channels/1690.12/play", "media=sound:hello-world",
                                 "lang=", "skipms=a=b")
        self.assertEqual(str(uuid.UUID(header.pop("request_id"))).count("-"), 4)
        self.assertEqual(header, {
            "method": "POST", "uri": "channels/1690.12/play", "timeout_ms": 5000,
            "query_strings": {"media": "sound:hello-world", "lang": "", "skipms": "a=b"}})
        self.assertEqual(rest, [])

    def test_every_request_has_an_id_of_its_own(self):
        ids = {self.sent("GET", "channels")[0]["request_id"] for _ in range(3)}
        self.assertEqual(len(ids), 3)

    def test_repeated_names_are_a_list_in_order(self):
        header, _ = self.sent("POST", "applications/ivr/subscription", "eventSource=b", "x=ü",
                              "eventSource=a")
        self.assertEqual(header["query_strings"], [
            {"name": "eventSource", "value": "b"}, {"name": "x", "value": "ü"},
            {"name": "eventSource", "value": "a"}])

    def test_options(self):
        header, rest = self.sent("GET", "--node=pbx2", "channels?a=b", "--app=ivr",
                                 "--request-id=7f3a", "--timeout-ms=1500")
        self.assertEqual(header, {"method": "GET", "uri": "channels?a=b", "node": "pbx2",
                                  "app": "ivr", "request_id": "7f3a", "timeout_ms": 1500})
        self.assertEqual(rest, [])
        self.assertEqual(self.sent("GET", "x", "--timeout=9")[0]["timeout_ms"], 9)

    def test_json_body_goes_as_it_is(self):
        text = '{ "variables": {"n": 1.50, "n": 123456789012345678901234567890} }'
        header, rest = self.sent("POST", "channels", "--json", text)
        self.assertEqual(rest, [text.encode()])
        self.assertEqual(header["content_type"], "application/json")

    def test_body_from_file_and_standard_input(self):
        body = bytes(range(256)) * 1000
        for source in ("file", "-"):
            with self.subTest(source=source), tempfile.NamedTemporaryFile() as file:
                file.write(body)
                file.flush()
                gateway = self.gateway()
                process = self.start("req", "POST", "x", "--content-type=audio/wav", "--body",
                                     file.name if source == "file" else "-", gateway=gateway,
                                     stdin=b"" if source == "file" else body)
                path, header, rest = gateway.receive()
                gateway.reply(path, header)
                self.finish(process)
                self.assertEqual(rest, [body])
                self.assertEqual(header["content_type"], "audio/wav")

    def test_empty_body_is_a_frame(self):
        header, rest = self.sent("POST", "x", "--body=/dev/null")
        self.assertEqual(rest, [b""])
        self.assertNotIn("content_type", header)

    def test_environment_names_the_endpoint(self):
        gateway = self.gateway()
        process = self.start("req", "GET", "x", ARIZMQ_GATEWAY_CONNECT=gateway.endpoint,
                             ARIZMQ_CONNECT="tcp://127.0.0.1:1")
        path, request, _ = gateway.receive()
        gateway.reply(path, request)
        self.finish(process)


class Reply(ClientTest):
    def test_status_and_pretty_body(self):
        body = ('[{"id":"1690.12","z":1.50,"a":[],"big":123456789012345678901234567890,"o":{ },'
                '"s":"a,{\\"\\u00e9\\\\","a":[1,-2e5,true,null]}]').encode()
        out, err = self.ask("GET", "channels", body=body)
        self.assertEqual(err, "200 OK (pbx1, 3.2 ms)\n")
        self.assertEqual(out.decode(), '[\n  {\n    "id": "1690.12",\n    "z": 1.50,\n'
                         '    "a": [],\n    "big": 123456789012345678901234567890,\n'
                         '    "o": {},\n    "s": "a,{\\"\\u00e9\\\\",\n    "a": [\n      1,\n'
                         '      -2e5,\n      true,\n      null\n    ]\n  }\n]\n')

    def test_no_body(self):
        out, err = self.ask("POST", "x", status_code=204, reason_phrase="No Content",
                            content_type=None, elapsed_ms=0.04)
        self.assertEqual((out, err), (b"", "204 No Content (pbx1, 0.04 ms)\n"))

    def test_what_is_no_json_comes_as_it_is(self):
        for body, kind in ((b"RIFF\0\xff\x01" * 1000, "audio/wav"), (b'{"a":1', "application/json"),
                           (b'{"a":1}', "text/html"), (b"\xff{}", None)):
            with self.subTest(kind=kind, body=body[:8]):
                self.assertEqual(self.ask("GET", "x", body=body, content_type=kind)[0], body)

    def test_raw(self):
        body = b' {"a" : 1}\r\n'
        self.assertEqual(self.ask("GET", "x", "--raw", body=body)[0], body)

    def test_huge_body(self):
        body = os.urandom(1 << 20) * 24
        self.assertEqual(self.ask("GET", "x", "--raw", body=body)[0], body)
        text = json.dumps(["x" * 100] * 100000).encode()
        self.assertEqual(json.loads(self.ask("GET", "x", body=text)[0]), json.loads(text))

    def test_header(self):
        out, err = self.ask("GET", "x", "--header", body=b"7", reason_phrase="Gr\u00fc\u009b\x7f")
        self.assertEqual(out, b"7\n")
        self.assertEqual(err.count("\n"), 1)
        self.assertIn('"elapsed_ms":3.2', err)
        self.assertNotIn("\x7f", err)
        self.assertNotIn("\u009b", err)

    def test_status_is_the_class(self):
        for code, status in ((200, 0), (201, 0), (204, 0), (302, 3), (400, 4), (404, 4), (409, 4),
                             (500, 5), (503, 5), (504, 5), (100, 1)):
            with self.subTest(code=code):
                self.ask("GET", "x", status=status, status_code=code)

    def test_error_of_the_bridge(self):
        out, err = self.ask("GET", "x", status=5, status_code=503, reason_phrase="Node Down",
                            source="bridge", error="node_down", node=None,
                            body=b'{"message":"pbx1 is down"}')
        self.assertEqual(err, "503 Node Down (node_down, 3.2 ms)\n")
        self.assertEqual(out, b'{\n  "message": "pbx1 is down"\n}\n')

    def test_reply_without_request_id(self):
        """Of a request in which the bridge could not read one."""
        self.ask("GET", "x", status=4, status_code=400, request_id=None)

    def terminal(self, *arguments, body, status=0, **members):
        """What a terminal gets, and standard error."""
        gateway = self.gateway()
        leader, follower = pty.openpty()
        process = self.start("req", "GET", "x", *arguments, gateway=gateway, stdout=follower)
        os.close(follower)
        path, request, _ = gateway.receive()
        gateway.reply(path, request, body, **members)
        _, err = self.finish(process, status)
        screen = b""
        try:
            while chunk := os.read(leader, 65536):
                screen += chunk
        except OSError:  # the other side is closed and all was read
            pass
        os.close(leader)
        return screen.replace(b"\r\n", b"\n"), err

    def test_terminal_is_protected(self):
        screen, err = self.terminal(body=b"RIFF\0\1\2", content_type="audio/wav", status=1)
        self.assertEqual(screen, b"")
        self.assertIn("the body of 7 bytes (audio/wav) is not for a terminal; redirect standard "
                      "output, or use --raw\n", err)
        self.assertEqual(self.terminal("--raw", body=b"RI\1\2", content_type="audio/wav")[0],
                         b"RI\1\2")
        screen, _ = self.terminal(body=b"a\033[31mb\n", content_type="text/plain")
        self.assertEqual(screen, b"a\\x1b[31mb\n")
        screen, _ = self.terminal(body='{"a":"\u009b\x7f"}'.encode())
        self.assertEqual(screen, b'{\n  "a": "\\xc2\\x9b\\x7f"\n}\n')

    def test_output_that_cannot_be_written_is_1(self):
        gateway = self.gateway()
        with open("/dev/full", "wb") as full:
            process = self.start("req", "GET", "x", gateway=gateway, stdout=full)
        path, request, _ = gateway.receive()
        gateway.reply(path, request, b"{}")
        _, err = self.finish(process, status=1)
        self.assertIn("arizmq: cannot write the output: No space left on device\n", err)

    def test_reader_that_leaves_does_not_change_the_status(self):
        gateway = self.gateway()
        process = self.start("req", "GET", "x", gateway=gateway)
        path, request, _ = gateway.receive()
        process.stdout.close()
        gateway.reply(path, request, b"x" * 1000000, status_code=404, reason_phrase="No")
        self.assertEqual(process.wait(PATIENCE_S), 4)
        self.assertEqual(process.stderr.read(), b"404 No (pbx1, 3.2 ms)\n")


class NoReply(ClientTest):
    def test_nobody_there(self):
        gateway = self.gateway()
        gateway.close()
        out, err = self.finish(self.start("req", "GET", "x", gateway=gateway), status=1)
        self.assertEqual((out, err), (b"", f"arizmq: nobody answers at {gateway.endpoint}\n"))

    def test_peer_that_is_no_gateway(self):
        with socket.create_server(("127.0.0.1", 0)) as mute:
            endpoint = f"tcp://127.0.0.1:{mute.getsockname()[1]}"
            process = self.start("req", "GET", "x", f"--connect={endpoint}")
            _, err = self.finish(process, status=1)
            self.assertEqual(err, f"arizmq: what answers at {endpoint} is no gateway of arizmqd\n")

    def test_events_endpoint_is_no_gateway(self):
        view = self.gateway(kind=zmq.XPUB)
        _, err = self.finish(self.start("req", "GET", "x", gateway=view), status=1)
        self.assertEqual(err, f"arizmq: what answers at {view.endpoint} is no gateway of arizmqd\n")

    def test_silence_tells_how_to_go_on(self):
        gateway = self.gateway()
        process = self.start("req", "POST", "x", "--timeout-ms=1", gateway=gateway)
        _, request, _ = gateway.receive()
        _, err = self.finish(process, status=1)
        self.assertEqual(err, f"arizmq: no reply from {gateway.endpoint} within 1001 ms; whether "
                              "the request was carried out is not known, the same again with "
                              f"--request-id={request['request_id']} will not do it twice\n")

    def test_it_waits_longer_than_the_bridge_may_take(self):
        gateway = self.gateway()
        started = time.monotonic()
        process = self.start("req", "POST", "x", "--timeout-ms=700", gateway=gateway)
        gateway.receive()
        self.finish(process, status=1)
        self.assertGreater(time.monotonic() - started, 1.7)

    def test_retry_is_another_client_with_the_same_request(self):
        gateway = self.gateway()
        process = self.start("req", "POST", "x", "a=b", "--json={}", "--timeout-ms=1", "--retry=2",
                             gateway=gateway)
        seen = [gateway.receive() for _ in range(3)]
        self.assertEqual(len({path for path, _, _ in seen}), 3)
        for _, header, frames in seen:
            self.assertEqual((header, frames), (seen[0][1], [b"{}"]))
        path, request, _ = seen[2]
        gateway.reply(path, request, b"{}")
        out, err = self.finish(process)
        self.assertEqual(out, b"{}\n")
        self.assertEqual(err.count("; trying again with the same request_id\n"), 2)

    def test_retries_end(self):
        gateway = self.gateway()
        process = self.start("req", "POST", "x", "--timeout-ms=1", "--retry=1", gateway=gateway)
        ids = {gateway.receive()[1]["request_id"] for _ in range(2)}
        self.assertEqual(len(ids), 1)
        self.finish(process, status=1)
        self.assertEqual(gateway.socket.poll(0), 0)

    def test_bridge_that_goes_away_ends_the_waiting(self):
        gateway = self.gateway()
        process = self.start("req", "POST", "x", "--timeout-ms=3600000", gateway=gateway)
        gateway.receive()
        gateway.close()
        _, err = self.finish(process, status=1)
        self.assertIn("closed the connection before it replied; whether the request", err)

    def test_garbage_gets_one_line(self):
        good = {"status_code": 200}
        for frames, said in (
                ([b"junk \x1b[31m", b""], 'its header is no JSON object: "junk \\u001B[31m"'),
                ([b"[1]", b""], "its header is no JSON object"),
                ([b"\xff" * 500, b""], "its header is no JSON object\n"),
                (["ü".encode() * 50, b""], '"' + "ü" * 40 + '…"'),
                (["aü".encode() * 50, b""], '"' + "aü" * 26 + 'a…"'),
                ([b"{}", b""], "its header has no status_code from 100 to 599"),
                ([b'{"status_code":"200"}', b""], "no status_code from 100 to 599"),
                ([b'{"status_code":2000}', b""], "no status_code from 100 to 599"),
                ([b'{"status_code":99999999999999999999}', b""], "is no JSON object"),
                ([json.dumps(good | {"request_id": "other"}).encode(), b""],
                 'it is the reply to another request_id: "{'),
                ([json.dumps(good).encode()], "it has no two frames, header and body"),
                ([b"x"] * 1000, 'its header is no JSON object: "x"'),
                ([], "it has no two frames, header and body\n")):
            with self.subTest(said=said):
                gateway = self.gateway()
                process = self.start("req", "GET", "x", "--retry=3", gateway=gateway)
                path, _, _ = gateway.receive()
                gateway.send(path, *frames)
                out, err = self.finish(process, status=1)
                self.assertEqual(out, b"")
                self.assertTrue(err.startswith(
                    f"arizmq: {gateway.endpoint}: the reply is not understood: "), err)
                self.assertIn(said, err)
                self.assertEqual(err.count("\n"), 1)

    def test_signals_end_it_quietly(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number):
                gateway = self.gateway()
                process = self.start("req", "GET", "x", gateway=gateway)
                gateway.receive()
                process.send_signal(number)
                out, err = process.communicate(timeout=PATIENCE_S)
                # Ended by the signal; a program that may not be, as the first one of a container
                # or under ThreadSanitizer, says what a shell makes of that.
                self.assertIn(process.returncode, (-number, 128 + number))
                self.assertEqual((out, err), (b"", b""))


class Arguments(ClientTest):
    def test_wrong_ones_are_named(self):
        for arguments, named in (
                ([], "no METHOD and no URI given"), (["GET"], "no URI given"),
                (["G3T", "x"], '"G3T"'), (["", "x"], '""'), (["A" * 17, "x"], "A" * 17),
                (["GET", ""], '""'), (["GET", "x", "novalue"], '"novalue"'),
                (["GET", "x", "=v"], '"=v"'), (["GET", b"\xff"], '"\udcff"'),
                (["GET", "x", b"a=\xff"], '"a=\udcff"'),
                (["GET", "x", "--connect=udp://h:1"], '"udp://h:1"'),
                (["GET", "x", "--connect=tcp://h"], '"tcp://h"'),
                (["GET", "x", "--connect=tcp://%s%n"], '"tcp://%s%n"'),
                (["GET", "x", "-c", "tcp://a:1", "-c", "tcp://b:1"], '"tcp://b:1"'),
                (["GET", "x", "--timeout-ms=0"], '"0"'), (["GET", "x", "--timeout-ms=1s"], '"1s"'),
                (["GET", "x", "--timeout-ms=3600001"], '"3600001"'),
                (["GET", "x", "--retry=-1"], '"-1"'), (["GET", "x", "--retry=1001"], '"1001"'),
                (["POST", "x", "--json={"], '"{"'), (["POST", "x", "--json={}", "--body=-"],
                                                   "only one body"),
                (["POST", "x", "--content-type=a/b"], '"a/b"'), (["GET", "x", "--node="], '""'),
                (["POST", "x", "--body=/no/such"], '"/no/such": No such file'),
                (["POST", "x", "--body=/"], '"/": Is a directory'),
                (["GET", "x", "--bogus"], "--bogus")):
            with self.subTest(arguments=arguments):
                process = self.start("req", *arguments)
                out, err = process.communicate(timeout=PATIENCE_S)
                err = err.decode(errors="surrogateescape")
                self.assertEqual((process.returncode, out), (2, b""), err)
                self.assertIn(named, err)
        for arguments, variables, named in ((["x"], {}, '"x"'), (["--json=1"], {}, "--json"),
                                            ([], {"ARIZMQ_GATEWAY_CONNECT": "h:1"},
                                             'ARIZMQ_GATEWAY_CONNECT: "h:1"')):
            with self.subTest(arguments=arguments):
                _, err = self.finish(self.start("nodes", *arguments, **variables), status=2)
                self.assertIn(named, err)

    def test_manuals(self):
        for command in ("req", "nodes"):
            run = subprocess.run([PROGRAM, command, "--help"], capture_output=True, text=True)
            self.assertEqual((run.returncode, run.stderr), (0, ""))
            for heading in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES",
                            "EXIT STATUS"):
                self.assertIn(f"{heading}\n  ", run.stdout)
            for option in ("--connect=ENDPOINT", "--timeout-ms=MS", "--help"):
                self.assertIn(option, run.stdout)
            self.assertLessEqual(max(map(len, run.stdout.split("\n"))), 100)
            self.assertIn(f"  {command} ", subprocess.run([PROGRAM, "--help"], text=True,
                                                          capture_output=True).stdout)


def node(name="pbx1", ago_s=125, **members):
    since = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=ago_s)
    since = since.strftime("%Y-%m-%dT%H:%M:%S.160+0000")
    return {"name": name, "url": "ws://h:8088/ari", "state": "up", "since": since,
            "version": "22.10.1", "apps": [{"name": "ivr", "state": "up", "since": since,
                                            "last_error": None}],
            "calls": 12, "events_per_s": 103.44, "commands_per_s": 0.5, "commands": 77,
            "failures": 0, "under_way": 3, "queued": 0, "last_error": None} | members


class Nodes(ClientTest):
    def nodes(self, *arguments, nodes=None, body=None, status=0, **members):
        gateway = self.gateway()
        process = self.start("nodes", *arguments, gateway=gateway, TZ="Asia/Tokyo")
        path, request, rest = gateway.receive()
        uuid.UUID(request.pop("request_id"))
        self.assertEqual((request, rest), ({"method": "GET", "uri": "arizmq/nodes",
                                            "timeout_ms": 5000}, []))
        body = json.dumps({"nodes": nodes}).encode() if body is None else body
        gateway.reply(path, {"uri": "arizmq/nodes", "request_id": None}, body, source="bridge",
                      **members)
        out, err = self.finish(process, status)
        return out.decode(), err

    def test_table(self):
        apps = [{"name": "ivr", "state": "up"}, {"name": "board", "state": "standby"}]
        out, err = self.nodes(nodes=[node(), node("a-long-name", 3 * 86400 + 7300, apps=apps,
                                                  calls=1200, version=None, last_error="gone\n")])
        lines = out.split("\n")
        self.assertEqual(err, "")
        self.assertEqual(lines[0], "NODE         STATE  SINCE  VERSION  APPS                  "
                                   "CALLS   EV/S  CMD/S  UNDER WAY  LAST ERROR")
        self.assertRegex(lines[1], r"^pbx1         up     2m\d\ds  22\.10\.1  ivr:up            "
                                   r"       12  103\.4    0\.5          3  -$")
        self.assertEqual(lines[2], "a-long-name  up     3d02h  -        ivr:up,board:standby   "
                                   "1200  103.4    0.5          3  gone\\x0a")
        self.assertEqual(lines[3:], [""])

    def test_since(self):
        for ago_s, shown in ((-5000, "0s"), (10, r"1\ds"), (3725, "1h02m"), (86400 * 2, "2d00h")):
            with self.subTest(ago_s=ago_s):
                self.assertRegex(self.nodes(nodes=[node(ago_s=ago_s)])[0], rf"up     {shown} ")
        self.assertIn("up     -  ", self.nodes(nodes=[node(since="soon")])[0])

    def test_what_is_down_is_3(self):
        app = {"name": "ivr", "state": "down", "last_error": "401 Unauthorized"}
        out, _ = self.nodes(nodes=[node(), node("pbx2", apps=[app])], status=3)
        self.assertIn("  ivr: 401 Unauthorized\n", out)
        out, _ = self.nodes(nodes=[node(state="down", last_error="refused")], status=3)
        self.assertIn("  refused\n", out)
        self.nodes("--json", nodes=[node(state="down")], status=3)

    def test_missing_members_are_dashes(self):
        out, _ = self.nodes(nodes=[{}], status=3)
        self.assertEqual(out.split("\n")[1].split(), ["-"] * 10)

    def test_events_are_a_line_for_each_application(self):
        def app(name, *counts):
            return {"name": name, "state": "up", "events": dict(
                zip(("received", "published", "responses"), counts),
                refused=dict(zip(("size", "utf8", "memory"), counts[3:])))}
        out, err = self.nodes("--events", nodes=[
            node(apps=[app("ivr", 1234567890123, 1234567890100, 20, 1, 2, 0), app("b\n")]),
            node("pbx2", apps=[{"state": "up", "events": []}])])
        self.assertEqual(err, "")
        self.assertEqual(out.split("\n"), [
            "NODE  APP         RECEIVED      PUBLISHED  RESPONSES  SIZE  UTF8  MEMORY",
            "pbx1  ivr    1234567890123  1234567890100         20     1     2       0",
            "pbx1  b\\x0a              -              -          -     -     -       -",
            "pbx2  -                  -              -          -     -     -       -", ""])
        self.nodes("--events", nodes=[node(state="down")], status=3)

    def test_json_is_the_body(self):
        body = b'{ "nodes": [], "n": 1.50 }'
        self.assertEqual(self.nodes("--json", body=body)[0], body.decode() + "\n")

    def test_errors(self):
        out, err = self.nodes(body=b'{"message":"no"}', status=4, status_code=403, error="denied",
                              reason_phrase="Denied", node=None)
        self.assertEqual((out, err), ("", '403 Denied (denied, 3.2 ms)\n{"message":"no"}\n'))
        for body in (b"", b"{}", b"[]", b'{"nodes":{}}', b'{"nodes":[1]}', b"\xff"):
            with self.subTest(body=body):
                out, err = self.nodes(body=body, status=1)
                self.assertEqual(out, "")
                self.assertRegex(err, "^arizmq: tcp://.*: the reply is not understood: its body is "
                                      "no list of nodes\n$")

    def test_no_bridge(self):
        gateway = self.gateway()
        gateway.close()
        _, err = self.finish(self.start("nodes", gateway=gateway), status=1)
        self.assertEqual(err, f"arizmq: nobody answers at {gateway.endpoint}\n")


if __name__ == "__main__":
    unittest.main()
