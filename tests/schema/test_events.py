# SPDX-License-Identifier: MPL-2.0
"""test_events.py CAPTURES

Every recorded event satisfies the schema of its type; and for each type the fullest recorded event,
damaged in every way that the schema speaks of, is refused.
"""
import json
import sys
from pathlib import Path

import schemas

RECORDINGS = ["coverage", "coverage-16", "calls-1000-app", "outbound"]


# Damage that must be refused whatever the schema says of itself: type, path, value.
MISSING = schemas.DELETE
REFUSED = [
    ("ChannelVarset", "value", MISSING),
    ("ChannelVarset", "variable", None),
    ("ChannelVarset", "channel", "1795444501.594"),
    ("StasisStart", "application", MISSING),
    ("StasisStart", "args", MISSING),
    ("StasisStart", "args", [1]),
    ("StasisStart", "timestamp", "2026-11-23T14:35:01+00:00"),
    ("StasisStart", "channel", MISSING),
    ("StasisStart", "channel.id", MISSING),
    ("StasisStart", "channel.state", "Up!"),
    ("StasisStart", "channel.caller", "1001"),
    ("StasisStart", "channel.caller.number", 1001),
    ("StasisStart", "channel.dialplan.priority", "1"),
    ("StasisStart", "channel.creationtime", "yesterday"),
    ("ChannelDtmfReceived", "digit", 1),
    ("ChannelDtmfReceived", "digit", "12"),
    ("ChannelDtmfReceived", "duration_ms", 100.5),
    ("ChannelHangupRequest", "soft", "true"),
    ("ChannelDestroyed", "cause", MISSING),
    ("Dial", "peer", MISSING),
    ("Dial", "peer.id", 594),
    ("CallBroadcast", "caller", {"id": "1795444501.594"}),
    ("BridgeCreated", "bridge.channels", {}),
    ("BridgeCreated", "bridge.bridge_type", "melting"),
    ("BridgeMerged", "bridge_from", MISSING),
    ("BridgeAttendedTransfer", "destination_bridge", {"id": "x"}),
    ("BridgeAttendedTransfer", "is_external", 1),
    ("ChannelTransfer", "referred_by.source_channel", MISSING),
    ("PlaybackFinished", "playback.state", "finished"),
    ("PlaybackFinished", "playback.target_uri", "1795444501.594"),
    ("RecordingFinished", "recording.duration", "1"),
    ("RecordingFinished", "recording.name", MISSING),
    ("EndpointStateChange", "endpoint.resource", MISSING),
    ("PeerStatusChange", "peer", "PJSIP/alice"),
    ("ContactStatusChange", "contact_info.contact_status", "Gone"),
    ("DeviceStateChanged", "device_state.state", "not_inuse"),
    ("TextMessageReceived", "message.from", MISSING),
    ("ChannelUserevent", "userevent", "text"),
    ("RESTResponse", "status_code", "200"),
]


def read_events(captures):
    for name in RECORDINGS:
        with open(Path(captures) / f"{name}.jsonl", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                yield f"{name}.jsonl:{number}", json.loads(line)


def count_members(value):
    if isinstance(value, dict):
        return 1 + sum(count_members(item) for item in value.values())
    return 1


def main(captures):
    schema = schemas.load("events.schema.json")
    validators = schemas.validators(schema)
    failures, fullest, events = [], {}, 0
    for where, event in read_events(captures):
        events += 1
        name = event["type"]
        if name not in validators:
            failures.append(f"{where}: type {name} has no schema")
            continue
        for error in validators[name].iter_errors(event):
            failures.append(f"{where}: {name}.{'.'.join(map(str, error.path))}: {error.message}")
        if count_members(event) > count_members(fullest.get(name, 0)):
            fullest[name] = event

    failures += [f"type {name} was never recorded" for name in validators if name not in fullest]
    whole = schemas.Draft202012Validator(schema)
    mutations = 0
    for name, event in fullest.items():
        # The document as users load it, with its references and its choice by type.
        for error in whole.iter_errors(event):
            failures.append(f"the whole schema refuses {name}: {error.message[:200]}")
        if not whole.is_valid({**event, "a_member_of_tomorrow": {"x": 1}}):
            failures.append(f"{name} is closed to members that Asterisk may add")
        count, accepted = schemas.accepted_mutations(validators[name], event)
        mutations += count
        failures += accepted
    for name, path, value in REFUSED:
        path = path.split(".")
        if whole.is_valid(schemas.mutate(fullest[name], path, value)):
            failures.append(f"{name} with another {'.'.join(path)} is accepted")
    if whole.is_valid({**fullest["ChannelCreated"], "type": "ChannelTeleported"}):
        failures.append("a type that no Asterisk has is accepted")

    for failure in failures[:50]:
        print(failure)
    print(f"{events} events of {len(fullest)} types, {mutations} mutations: "
          f"{len(failures)} failures")
    return 1 if failures or events < 20000 or mutations < 1000 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
