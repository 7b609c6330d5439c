#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""validate_own_events.py SCHEMA FILE

Validates every line of FILE, each one of the bridge's own events, against SCHEMA, and demands that
each type that a bridge can make without running out of anything is among them. Exit status 77:
jsonschema is not installed.
"""
import json
import sys

TYPES = {"ArizmqHeartbeat", "ArizmqNodeConnected", "ArizmqNodeDisconnected", "ArizmqGap",
         "ArizmqRefused", "ArizmqStopping"}


def main():
    try:
        import jsonschema
    except ImportError:
        print("skipped: python3-jsonschema is not installed")
        return 77
    with open(sys.argv[1], encoding="utf-8") as file:
        validator = jsonschema.Draft202012Validator(json.load(file))
    failures = 0
    missing = set(TYPES)
    with open(sys.argv[2], encoding="utf-8", newline="\n") as file:
        for line in file:
            event = json.loads(line)
            missing.discard(event["type"])
            for error in validator.iter_errors(event):
                print(f"{line.strip()}: {error.message}")
                failures += 1
    if missing:
        print(f"never came: {', '.join(sorted(missing))}")
    return 1 if failures or missing else 0


if __name__ == "__main__":
    sys.exit(main())
