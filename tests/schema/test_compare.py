# SPDX-License-Identifier: MPL-2.0
"""compare_events.py against a web server that answers as Asterisk would: the same types pass, a new
and a vanished one are named, a wrong password and no Asterisk at all are told apart."""
import base64
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import schemas

COMPARE = Path(__file__).with_name("compare_events.py")
PASSWORD = "secret of the test"


class Asterisk(http.server.BaseHTTPRequestHandler):
    types = []
    models = {}

    def do_GET(self):
        expected = "Basic " + base64.b64encode(f"ari:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != expected:
            self.send_error(401)
        elif self.path != "/ari/api-docs/events.json":
            self.send_error(404)
        else:
            body = json.dumps({"models": {**self.models, "Event": {
                "subTypes": self.types,
                "properties": {"application": {"required": True}, "timestamp": {"required": True}},
            }}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_):
        """Quiet."""


def compare(url, password=PASSWORD):
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("ARIZMQ_TEST_ASTERISK_")
    }
    if url:
        environment["ARIZMQ_TEST_ASTERISK_URL"] = url
        environment["ARIZMQ_TEST_ASTERISK_USER"] = "ari"
        environment["ARIZMQ_TEST_ASTERISK_PASSWORD"] = password
    done = subprocess.run([sys.executable, COMPARE], env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def main():
    failures = []

    def expect(what, outcome, code, *words):
        if outcome[0] != code or not all(word in outcome[1] for word in words):
            failures.append(f"{what}: {outcome}")

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Asterisk)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    ours = schemas.event_types(schemas.load("events.schema.json"))

    Asterisk.types = ours
    expect("the same types", compare(url), 0, "the same 45 types")
    Asterisk.types = [name for name in ours if name != "Dial"] + ["ChannelTeleported"]
    expect("one new, one gone", compare(url), 1,
           "ChannelTeleported: known to", "missing in schemas/events.schema.json",
           "missing in schemas/objects.json", "Dial: in schemas/events.schema.json",
           "Dial: in schemas/objects.json")
    Asterisk.types = ours
    Asterisk.models = {"CallClaimed": {"properties": {
        "channel": {"required": True}, "winner_app": {}, "price": {"required": True},
    }}}
    expect("other members", compare(url), 1,
           "CallClaimed.winner_app: required by our schema", "note: CallClaimed.price")
    Asterisk.models = {}
    Asterisk.types = []
    expect("no types", compare(url), 1, "is empty")
    expect("a wrong password", compare(url, "wrong"), 1, "401")
    expect("no Asterisk", compare(None), 77)
    server.shutdown()
    server.server_close()
    expect("an Asterisk that is down", compare(url), 1, "refused")
    print("\n".join(failures) or "as it should be")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
