# SPDX-License-Identifier: MPL-2.0
"""compare_events.py [EVENTS.JSON]

Compares the event types that an Asterisk documents with those of schemas/events.schema.json and of
schemas/objects.json, and fails with the names that differ: so a new release of Asterisk shows what
it brought. A member that our schema demands and Asterisk does not promise fails too; one that is
new in Asterisk is only told, since the schemas are open.

Reads the file given (share/asterisk/rest-api/events.json of an installation) or asks a running
Asterisk:

    ARIZMQ_TEST_ASTERISK_URL       such as http://127.0.0.1:8088, with the prefix if any
    ARIZMQ_TEST_ASTERISK_USER      a user of ari.conf
    ARIZMQ_TEST_ASTERISK_PASSWORD

Without either there is nothing to compare: exit code 77, which counts as skipped.
"""
import base64
import json
import os
import sys
import urllib.error
import urllib.request

import schemas

SKIPPED = 77


def fetch(url):
    request = urllib.request.Request(url.rstrip("/") + "/ari/api-docs/events.json")
    user = os.environ.get("ARIZMQ_TEST_ASTERISK_USER", "")
    password = os.environ.get("ARIZMQ_TEST_ASTERISK_PASSWORD", "")
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    request.add_header("Authorization", f"Basic {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except (urllib.error.URLError, ValueError) as error:
        sys.exit(f"{request.full_url}: {error}")


def documented_types(document, source):
    try:
        names = set(document["models"]["Event"]["subTypes"])
    except (KeyError, TypeError):
        sys.exit(f"{source}: no models.Event.subTypes: this is no events.json of Asterisk")
    if not names:
        sys.exit(f"{source}: models.Event.subTypes is empty")
    return names


def compare_members(document, schema, source):
    """Prints what differs in the members of each model that both know; returns how many of these
    differences would make the schema refuse an event."""
    failures = 0
    for name, model in sorted(document["models"].items()):
        ours = schema["$defs"].get(name)
        if ours is None:
            continue
        theirs = model.get("properties", {})
        for member in sorted(set(theirs) - set(ours.get("properties", {})) - {"type"}):
            print(f"note: {name}.{member}: known to {source}, not described in our schema")
        promised = {member for member, value in theirs.items() if value.get("required")}
        for member in sorted(set(ours.get("required", [])) - promised - {"type"}):
            print(f"{name}.{member}: required by our schema, not promised by {source}")
            failures += 1
    return failures


def main(arguments):
    url = os.environ.get("ARIZMQ_TEST_ASTERISK_URL")
    if len(arguments) > 1:
        sys.exit(__doc__)
    if arguments:
        source = arguments[0]
        with open(source, encoding="utf-8") as file:
            document = json.load(file)
    elif url:
        source = url
        document = fetch(url)
    else:
        print("no Asterisk given: set ARIZMQ_TEST_ASTERISK_URL, _USER and _PASSWORD")
        return SKIPPED

    asterisk = documented_types(document, source)
    schema = schemas.load("events.schema.json")
    ours = {
        "schemas/events.schema.json": set(schemas.event_types(schema)),
        "schemas/objects.json": set(schemas.load_data("objects.json")["types"]) - {"*"},
    }
    differences = 0
    for name, types in ours.items():
        for missing in sorted(asterisk - types):
            print(f"{missing}: known to {source}, missing in {name}")
        for extra in sorted(types - asterisk):
            print(f"{extra}: in {name}, not known to {source}")
        differences += len(asterisk ^ types)
    differences += compare_members(document, schema, source)
    if differences == 0:
        print(f"{source}: the same {len(asterisk)} types")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
