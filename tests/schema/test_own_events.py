# SPDX-License-Identifier: MPL-2.0
"""The schema of the bridge's own events: its examples satisfy it, and what is no such event is
refused. The stamp's schema takes a decoded stamp and refuses a wrong one."""
import sys

import schemas

TYPES = ["ArizmqHeartbeat", "ArizmqNodeConnected", "ArizmqNodeDisconnected", "ArizmqGap",
         "ArizmqNodeRestarted", "ArizmqObjectFound", "ArizmqObjectLost", "ArizmqNodeReconciled",
         "ArizmqRefused", "ArizmqStopping"]
# The one in which an object stands goes by its kind.
OBJECTS = {"channel", "bridge", "playback", "recording", "endpoint", "device_state"}


def check_own_events(failures):
    schema = schemas.load("arizmq-events.schema.json")
    validators = schemas.validators(schema)
    whole = schemas.Draft202012Validator(schema)
    if sorted(validators) != sorted(TYPES):
        failures.append(f"types are {sorted(validators)}")
    for name, validator in validators.items():
        examples = schema["$defs"][name].get("examples", [])
        if not examples:
            failures.append(f"{name} has no example")
        for example in examples:
            for error in whole.iter_errors(example):
                failures.append(f"{name}: {error.message}")
            count, accepted = schemas.accepted_mutations(validator, example)
            if count < 15:
                failures.append(f"{name}: only {count} mutations")
            failures += accepted
            # Every member of these events is always there.
            properties, required = schemas.merged(validator.schema)
            if (sorted(set(properties) - OBJECTS) != required or
                    sorted(set(example) - OBJECTS) != required):
                failures.append(f"{name}: {required} is not all of {sorted(properties)}")


def check_stamp(failures):
    validator = schemas.Draft202012Validator(schemas.load("stamp.schema.json"))
    good = {"type": "stamp", "epoch": 1795444501160000, "seq": 1, "received_ns": 1, "count": [2, 1]}
    failures += [f"stamp: {error.message}" for error in validator.iter_errors(good)]
    count, accepted = schemas.accepted_mutations(validator, good)
    if count < 20:
        failures.append(f"stamp: only {count} mutations")
    failures += accepted
    for wrong in ([], [1] * 10, [2**64], [-1]):
        if validator.is_valid({**good, "count": wrong}):
            failures.append(f"stamp with count {wrong} is accepted")


def main():
    failures = []
    check_own_events(failures)
    check_stamp(failures)
    print("\n".join(failures) or "as it should be")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
