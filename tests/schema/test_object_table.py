# SPDX-License-Identifier: MPL-2.0
"""The object table against its own schema and against the schema of the events: it names the same
types, every rule leads to an id of the kind that it names, and every object that an event's schema
has outside a list is found by a rule. Recordings cannot show this for members that are rare."""
import sys

import schemas

# Model to the kind of its id and where the id stands in it ("" for an endpoint, which is composed).
MODELS = {
    "Channel": ("channel", ".id"),
    "Bridge": ("bridge", ".id"),
    "Playback": ("playback", ".id"),
    "LiveRecording": ("recording", ".name"),
    "Endpoint": ("endpoint", ""),
    "DeviceState": ("device", ".name"),
}
# Members that are strings, yet ids.
STRINGS = {
    "BridgeAttendedTransfer": {"destination_bridge": "bridge"},
    "BridgeVideoSourceChanged": {
        "old_video_source_id": "channel",
        "bridge.video_source_id": "channel",
    },
}


def expected_rules(schema, name, path=""):
    """Path to kind for each object that the schema of an event or model mentions."""
    found = {}
    for member, inner in schema["$defs"][name].get("properties", {}).items():
        model = inner.get("$ref", "").rpartition("/")[2]
        here = f"{path}{member}"
        if model in MODELS:
            kind, end = MODELS[model]
            found[here + end] = kind
            if model in ("Playback", "LiveRecording"):
                found[f"{here}.target_uri"] = None
        elif model:
            found.update(expected_rules(schema, model, f"{here}."))
    return found


def main():
    failures = []
    events = schemas.load("events.schema.json")
    table = schemas.load_data("objects.json")
    validator = schemas.Draft202012Validator(schemas.load("objects.schema.json"))
    failures += [f"objects.json: {error.message}" for error in validator.iter_errors(table)]
    for wrong in (
        {"kind": "channel", "path": "a.b.c.d"},
        {"kind": "chanel", "path": "channel.id"},
        {"path": "channel.id"},
        {"kind": "channel", "path": "playback.target_uri", "form": "uri"},
        {"kind": "channel"},
        {"kind": "channel", "path": "channel.id", "ends": "yes"},
        {"kind": "device", "path": "device_state.name", "ends": True},
        {"path": "playback.target_uri", "form": "uri", "ends": True},
    ):
        if validator.is_valid({"types": {"*": [wrong]}}):
            failures.append(f"objects.schema.json accepts {wrong}")

    types = table["types"]
    named = set(types) - {"*"}
    for name in sorted(named ^ set(schemas.event_types(events))):
        failures.append(f"{name} is in only one of objects.json and events.schema.json")
    for name in sorted(named & set(schemas.event_types(events))):
        expected = {**expected_rules(events, name), **STRINGS.get(name, {})}
        actual = {rule["path"]: rule.get("kind") for rule in types[name]}
        for path in sorted(set(expected) ^ set(actual)):
            side = "a rule, no object" if path in actual else "an object, no rule"
            failures.append(f"{name}: {path} is {side}")
        for path in sorted(set(expected) & set(actual)):
            if expected[path] != actual[path]:
                failures.append(f"{name}: {path} is of kind {expected[path]}, not {actual[path]}")
    print("\n".join(failures) or f"{len(named)} types agree")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
