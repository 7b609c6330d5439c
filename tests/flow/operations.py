#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""Every operation of a real Asterisk, straight and through the gateway: the answers are the same.

    operations.py ARIZMQD 22|16 [http|websocket]

operations.json holds the requests; it has to have one for each operation that this Asterisk's own
api-docs list. A request that changes something is sent to two objects alike; one that only asks is
sent three times about the same, straight, through the gateway and straight. Compared are status,
reason phrase, content type and body byte for byte, after replacing what cannot be the same (ids,
times). The third argument says how the bridge passes commands on (nodes[].rest). With - for
ARIZMQD Asterisk is compared with itself, which shows that the comparison is fair.
"""
import json
import pathlib
import re
import signal
import sys
import urllib.parse

from asterisk_stage import Client, Failed, Stage, call, check
from gateway import Direct, Gateway, answer_of
from operations_scene import Scene

TABLE = pathlib.Path(__file__).with_suffix(".json")
SAFE = ("GET", "HEAD", "OPTIONS")
# What differs between two objects alike, or between two moments.
MASKS = [re.compile(text) for text in (
    rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d{4}",
    rb"(?:arizmq-[0-9a-f]{12}-)?\b\d{10}\.\d+\b",  # Asterisk's unique ids
    rb"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
    rb"(?<=-)[0-9a-f]{8}(?=[;\"])",  # the number in a channel's name
    rb"\b0x[0-9a-f]+\b",
)]


def fill(value, names):
    """Puts ids in the place of $NAME, in every text of a JSON value."""
    if isinstance(value, str):
        return re.sub(r"\$([a-z_]+)", lambda match: names[match[1]], value)
    if isinstance(value, list):
        return [fill(one, names) for one in value]
    if isinstance(value, dict):
        return {fill(key, names): fill(one, names) for key, one in value.items()}
    return value


class Row:
    """One line of the table."""

    def __init__(self, number, members):
        self.number = number
        self.members = members
        self.operation = members.get("operation")
        self.method, self.template = (self.operation or members["request"]).split(" ", 1)
        self.left_out = members.get("left_out")
        self.needs = dict.fromkeys(members.get("needs", []))  # in the order of their names
        self.needs.update(dict.fromkeys(re.findall(r"\$([a-z_]+)", json.dumps(
            [members.get(part) for part in ("path", "query", "body", "body_text")]))))

    def status(self, release):
        status = self.members["status"]
        return status[release] if isinstance(status, dict) else status

    def title(self):
        about = self.members.get("about")
        words = [name for name in ("query_as", "body_as") if name in self.members]
        notes = [about] if about else []
        notes += [f"{word.replace('_', ' ')} {self.members[word]}" for word in words]
        return f"{self.method} {self.template}" + (f" ({'; '.join(notes)})" if notes else "")

    def request(self, names):
        """Returns (path, query pairs, body text or None, content type) with ids filled in."""
        segments = {name: urllib.parse.quote(fill(value, names), safe=":@")
                    for name, value in self.members.get("path", {}).items()}
        path = self.template.format(**segments)
        query = [(name, one) for name, value in fill(self.members.get("query", {}), names).items()
                 for one in (value if isinstance(value, list) else [value])]
        if "body" in self.members:
            body = json.dumps(fill(self.members["body"], names), ensure_ascii=False).encode()
            return path, query, body, "application/json"
        if "body_text" in self.members:
            return (path, query, fill(self.members["body_text"], names).encode(),
                    self.members["content_type"])
        return path, query, None, None


def through_gateway(gateway, row, request):
    """Sends a row's request the way the row says, and returns the answer."""
    path, query, body, content_type = request
    members = {}
    uri = path.removeprefix("/")
    query_as = row.members.get("query_as", "object")
    if query and query_as == "uri":
        uri += "?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote)
    elif query and query_as == "list":
        members["query_strings"] = [{"name": name, "value": value} for name, value in query]
    elif query:
        members["query_strings"] = dict(query)
    body_as = row.members.get("body_as", "frame")
    if body is not None and body_as != "frame":
        members["message_body"] = json.loads(body) if body_as == "object" else body.decode()
        body = None
    if content_type not in (None, "application/json") or row.members.get("body_text"):
        members["content_type"] = content_type
    header, text = gateway.call(row.method, uri, body, **members)
    check(header["source"] == "asterisk", f"{header} {text!r}")
    check(header["node"] == "pbx1", f"{header}")
    return answer_of(header, text)


def masked(answer, prefix, row):
    body = answer.body.replace(prefix.encode(), b"")
    for mask in MASKS + [re.compile(text.encode()) for text in row.members.get("mask", [])]:
        body = mask.sub(b"*", body)
    return answer._replace(body=body)


def short(answer):
    body = answer.body if len(answer.body) < 600 else answer.body[:600] + b"..."
    return f"{answer.status} {answer.reason!r} {answer.content_type!r} {body!r}"


class Table:
    def __init__(self, release):
        self.release = release
        self.rows = [Row(number, members) for number, members in
                     enumerate(json.loads(TABLE.read_text()), 1)]

    def compare_with(self, direct):
        """Fails where an operation of this Asterisk is not in the table, or the table has one that
        the newest release does not know. Returns this Asterisk's operations but those left out."""
        served = set()
        for api in direct.must("GET", "/api-docs/resources.json")["apis"]:
            docs = direct.must("GET", api["path"].replace("{format}", "json"))
            served |= {f"{operation['httpMethod']} {one['path']}" for one in docs["apis"]
                       for operation in one["operations"]}
        ours = {row.operation for row in self.rows if row.operation}
        check(served <= ours, f"not in {TABLE.name}: {', '.join(sorted(served - ours))}")
        check(self.release != "22" or ours <= served,
              f"not in this Asterisk's api-docs: {', '.join(sorted(ours - served))}")
        return served - {row.operation for row in self.rows if row.left_out}


class Comparison:
    """Sends the rows and keeps count."""

    def __init__(self, direct, scene, second, release):
        self.direct, self.scene, self.second, self.release = direct, scene, second, release
        self.unequal = []

    def straight(self, request, row):
        path, query, body, content_type = request
        return self.direct.ask(row.method, path, query, body, content_type)

    def prepare(self, row, side):
        """Makes the objects of a row. Returns the prefix of their ids and the ids by name."""
        prefix = f"{row.number:03}-{side}-"
        names = {}
        for need in row.needs:
            names[need] = getattr(self.scene, need)(prefix + need) or prefix + need
        return prefix, names

    def answers(self, row):
        """Returns the answers to compare, masked."""
        sides = [("one", self.straight), ("two", self.second)]
        answers = []
        if row.method in SAFE:
            prefix, names = self.prepare(row, "any")
            request = row.request(names)
            for _, send in sides + sides[:1]:
                answers.append(masked(send(request, row), "", row))
            self.scene.clear(names.values())
            return answers
        for side, send in sides:
            prefix, names = self.prepare(row, side)
            answers.append(masked(send(row.request(names), row), prefix, row))
            self.scene.clear(names.values())
        return answers

    def run(self, row):
        try:
            answers = self.answers(row)
        except Failed as error:
            print(f"{row.number:4}  FAILED  {row.title()}\n      {error}", flush=True)
            self.unequal.append(row)
            return
        expected = row.status(self.release)
        verdict = "equal"
        if any(answer != answers[0] for answer in answers):
            verdict = "DIFFER"
        elif answers[0].status != expected:
            verdict = f"EQUAL, BUT NOT {expected}"
        print(f"{row.number:4}  {verdict}  {answers[0].status} {answers[0].reason}  {row.title()}")
        if verdict != "equal":
            self.unequal.append(row)
            for way, answer in zip(("straight", "gateway", "straight"), answers):
                print(f"      {way}: {short(answer)}")
        sys.stdout.flush()


def compare(table, comparison, operations):
    rows = [row for row in table.rows if not row.left_out]
    sent = 0
    for row in rows:
        if row.operation and row.operation not in operations:
            print(f"{row.number:4}  not in {table.release}  {row.title()}")
            continue
        comparison.run(row)
        sent += 1
    for row in table.rows:
        if row.left_out:
            print(f"{row.number:4}  left out  {row.title()}: {row.left_out}")
    bad = {row.operation for row in comparison.unequal}
    equal = len(operations - bad)
    print(f"operations: {equal} of {len(operations)} equal")
    print(f"requests: {sent - len(comparison.unequal)} of {sent} equal")
    check(not comparison.unequal, "not equal: " + "; ".join(
        f"{row.number} {row.title()}" for row in comparison.unequal))


def run(program, release, rest):
    table = Table(release)
    with Stage(program) as stage:
        stage.asterisk.start("--release", release)
        direct = Direct(stage.asterisk)
        other = Client(stage.asterisk, "other")
        operations = table.compare_with(direct)
        if program == "-":
            ivr = Client(stage.asterisk, "ivr")
            gateway = None
        else:
            bridge = stage.bridge(f"    rest: {rest}\n")
            bridge.join()
            bridge.wait_for_log("node_connected")
            gateway = Gateway(bridge.gateway)
        scene = Scene(stage.asterisk, direct, "ivr")
        scene.clear([])
        comparison = Comparison(direct, scene, None, release)
        comparison.second = comparison.straight if gateway is None else (
            lambda request, row: through_gateway(gateway, row, request))
        compare(table, comparison, operations)
        if gateway is None:
            ivr.socket.close()
        else:
            gateway.close()
        scene.phone.close()
        other.socket.close()


def main():
    if not 3 <= len(sys.argv) <= 4 or sys.argv[2] not in ("22", "16") or (
            sys.argv[3:] not in ([], ["http"], ["websocket"])):
        sys.exit("usage: operations.py ARIZMQD 22|16 [http|websocket]")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run(sys.argv[1], sys.argv[2], (sys.argv[3:] or ["http"])[0])
    except (Failed, call.CallFailed) as error:
        sys.exit(f"operations.py: {error}")


if __name__ == "__main__":
    main()
