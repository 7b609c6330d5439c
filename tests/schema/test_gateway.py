# SPDX-License-Identifier: MPL-2.0
"""The gateway's schemas against the gateway's code, which the program gateway_texts (the first
argument) lends: replies fit their schema, the errors are those that it lists, and what
request_read() accepts fits the schema of requests, whose examples it accepts. The schemas of the
bridge's own resources take their examples and refuse what is none."""
import json
import subprocess
import sys

import schemas

# (a request, whether request_read() takes it, whether the schema does): the schema is the wider one
# only in what a schema cannot say well.
BASE = {"method": "GET", "uri": "channels"}
REQUESTS = [
    ({}, True, True),
    ({"method": "get"}, False, False),
    ({"method": 7}, False, False),
    ({"method": ""}, False, False),
    ({"uri": ""}, False, False),
    ({"uri": "?a=b"}, False, False),
    ({"uri": "/channels"}, False, False),
    ({"uri": "//h/channels"}, False, False),
    ({"uri": "http://h/ari/channels"}, False, False),
    ({"uri": "ari/channels"}, False, False),
    ({"uri": "ari"}, False, False),
    ({"uri": "arizmq/info"}, True, True),
    ({"uri": "channels/"}, False, False),
    ({"uri": "a//b"}, False, False),
    ({"uri": "a/../b"}, False, True),
    ({"uri": "a/%2e%2e/b"}, False, True),
    ({"uri": "a b/é?c=d e&f=%20//?"}, True, True),
    ({"uri": "a\r\nb"}, False, False),
    ({"uri": "a\\b"}, False, False),
    ({"uri": "a#b"}, False, False),
    ({"uri": "a?b#c"}, False, False),
    ({"uri": "a%0d%0ab"}, False, False),
    ({"uri": "a%7f"}, False, False),
    ({"uri": "a%zz"}, False, False),
    ({"uri": "a?b=100%"}, False, False),
    ({"uri": "a%2Fb%c3%a9"}, True, True),
    ({"query_strings": {"a": "b", "c": 1, "d": 1.5, "e": True, "f": ["g", "h"]}}, True, True),
    ({"query_strings": [{"name": "a", "value": "b", "more": 1}]}, True, True),
    ({"query_strings": []}, True, True),
    ({"query_strings": "a=b"}, False, False),
    ({"query_strings": {"a": None}}, False, False),
    ({"query_strings": {"a": {}}}, False, False),
    ({"query_strings": {"a": [1]}}, False, False),
    ({"query_strings": {"": "b"}}, False, False),
    ({"query_strings": {"a\n": "b"}}, False, False),
    ({"query_strings": {"a": "b\n"}}, True, True),
    ({"query_strings": [{"name": "a"}]}, False, False),
    ({"query_strings": [{"value": "a"}]}, False, False),
    ({"query_strings": ["a"]}, False, False),
    ({"message_body": {"a": [None]}}, True, True),
    ({"message_body": []}, True, True),
    ({"message_body": "x"}, True, True),
    ({"message_body": 7}, False, False),
    ({"message_body": None}, False, False),
    ({"content_type": "text/plain; charset=utf-8"}, True, True),
    ({"content_type": "é"}, False, False),
    ({"content_type": ""}, False, False),
    ({"content_type": "x" * 129}, False, False),
    ({"timeout_ms": 1}, True, True),
    ({"timeout_ms": 5000.0}, True, True),
    ({"timeout_ms": 1.5}, False, False),
    ({"timeout_ms": 0}, False, False),
    ({"timeout_ms": 600001}, False, True),
    ({"timeout_ms": "5"}, False, False),
    ({"unknown": {"a": 1}}, True, True),
]
for name in ("request_id", "transaction_id", "node", "app"):
    REQUESTS += [
        ({name: "x" * 256}, True, True),
        ({name: "x" * 257}, False, False),
        ({name: "é" * 129}, False, True),
        ({name: ""}, False, False),
        ({name: 7}, False, False),
        ({name: None}, False, False),
        ({name: "a\u007f"}, False, False),
    ]


def lines(program, what, text=""):
    done = subprocess.run([program, what], input=text, capture_output=True, encoding="utf-8",
                          check=True, timeout=60)
    return done.stdout.splitlines()


def load_complete(name, failures):
    """A schema whose examples fit it and whose members are described."""
    schema = schemas.load(name)
    validator = schemas.Draft202012Validator(schema)
    if not schema.get("examples"):
        failures.append(f"{name} has no example")
    for example in schema["examples"]:
        failures += [f"{name}: example: {error.message}" for error in validator.iter_errors(example)]
    return schema, validator


def check_requests(program, failures):
    schema, validator = load_complete("request.schema.json", failures)
    cases = [(example, True, True) for example in schema["examples"]]
    cases += [({**BASE, **change}, reads, fits) for change, reads, fits in REQUESTS]
    cases += [({"uri": "a"}, False, False), ({"method": "GET"}, False, False)]
    verdicts = lines(program, "requests", "".join(json.dumps(case[0]) + "\n" for case in cases))
    if len(verdicts) != len(cases):
        failures.append(f"{len(verdicts)} verdicts on {len(cases)} requests")
    for (request, reads, fits), verdict in zip(cases, verdicts):
        if (verdict == "accepted") != reads:
            failures.append(f"{json.dumps(request)[:200]}: {verdict}")
        if validator.is_valid(request) != fits:
            failures.append(f"{json.dumps(request)[:200]}: the schema says {not fits}")
    for name, member in schema["properties"].items():
        if "description" not in member:
            failures.append(f"request: {name} is not described")


def check_replies(program, failures):
    schema, validator = load_complete("reply.schema.json", failures)
    replies = [json.loads(line) for line in lines(program, "replies")]
    listed = []
    for row in schema["$defs"]["errors"]["oneOf"]:
        constants = {name: inner["const"] for name, inner in row["properties"].items()}
        listed.append("{error} {status_code} {reason_phrase}".format(**constants))
        if "sent" not in row["description"]:
            failures.append(f"{constants['error']}: does not say whether anything was sent")
    if listed != lines(program, "errors"):
        failures.append(f"REPLY_ERRORS is not what the schema lists: {listed}")
    if len(replies) != len(listed) + 5:
        failures.append(f"only {len(replies)} replies")
    known = set(schema["properties"])
    positional = 0
    for reply in replies:
        failures += [f"{reply}: {error.message}" for error in validator.iter_errors(reply)]
        if not set(reply) <= known:
            failures.append(f"{reply}: members that the schema does not name")
        if list(reply)[0] != "type":
            failures.append(f"{reply}: type is not the first member")
        for wrong in ({"error": "other"}, {"status_code": 99}, {"source": "other"},
                      {"elapsed_ms": -1}, {"type": "Other"}, {"uri": "a b"}, {"request_id": 7},
                      {"epoch": 0}, {"oldest": 0}, {"newest": -1}, {"first": 0}, {"last": -1},
                      {"count": "5"}, {"more": 1}):
            if validator.is_valid({**reply, **wrong}):
                failures.append(f"{reply} with {wrong} is accepted")
        positions = set(reply) & {"epoch", "first", "last", "oldest", "newest", "count", "more"}
        positional += len(positions) > 0
        for name in positions - {"first"}:
            if validator.is_valid({key: reply[key] for key in reply if key != name}):
                failures.append(f"{reply} without {name} is accepted")
        if validator.is_valid({**reply, "source": "asterisk", "error": "x", "epoch": 1}):
            failures.append(f"{reply}: Asterisk has an epoch")
        for name in schema["required"]:
            if validator.is_valid({key: reply[key] for key in reply if key != name}):
                failures.append(f"{reply} without {name} is accepted")
    if positional != 5:
        failures.append(f"{positional} replies with a position in history")


def check_resource(name, wanted, failures):
    schema, validator = load_complete(name, failures)
    inlined = schemas.Draft202012Validator(schemas.inline(schema, schema))
    for example in schema["examples"]:
        count, accepted = schemas.accepted_mutations(inlined, {**example, "type": name})
        if count < wanted:
            failures.append(f"{name}: only {count} mutations")
        failures += accepted
    return schema["examples"][0], validator


def check_resources(failures):
    example, validator = check_resource("arizmq-info.schema.json", 15, failures)
    if validator.is_valid({**example, "limits": {**example["limits"], "gateway.enabled": "x"}}):
        failures.append("arizmq/info: a limit that is no number is accepted")
    example, validator = check_resource("arizmq-nodes.schema.json", 3, failures)
    node = example["nodes"][0]
    app = node["apps"][0]
    wrong = [{key: node[key] for key in node if key != name} for name in node]
    wrong += [{**node, "state": "standby"}, {**node, "since": "now"}, {**node, "calls": -1},
              {**node, "version": 22}, {**node, "apps": []}, {**node, "name": "a/b"},
              {**node, "apps": [{**app, "state": "gone"}]}, {**node, "events_per_s": "many"}]
    wrong += [{**node, "apps": [{key: app[key] for key in app if key != name}]} for name in app]
    for bad in wrong:
        if validator.is_valid({"nodes": [node, bad]}):
            failures.append(f"arizmq/nodes: {bad} is accepted")


def check_takeover(failures):
    example, validator = check_resource("arizmq-takeover.schema.json", 5, failures)
    link = example["links"][0]
    wrong = [{key: link[key] for key in link if key != name} for name in link]
    wrong += [{**link, "state": "gone"}, {**link, "missing_since_ms": 0}, {**link, "node": "a/b"}]
    for bad in wrong:
        if validator.is_valid({**example, "links": [bad]}):
            failures.append(f"arizmq/takeover: {bad} is accepted")
    request = schemas.Draft202012Validator(validator.schema["$defs"]["request"])
    if not request.is_valid({"epoch": 7, "links": {"pbx1": ["ivr"]}, "opening": True}):
        failures.append("arizmq/takeover: a good request is refused")
    for bad in ({"epoch": 0, "links": {}}, {"epoch": 7}, {"links": {}},
                {"epoch": 7, "links": {"pbx1": "ivr"}}, {"epoch": 7, "links": []}):
        if request.is_valid(bad):
            failures.append(f"arizmq/takeover: the request {bad} is accepted")


def main(program):
    failures = []
    check_requests(program, failures)
    check_replies(program, failures)
    check_resources(failures)
    check_takeover(failures)
    print("\n".join(failures) or "as it should be")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
