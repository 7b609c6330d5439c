# SPDX-License-Identifier: MPL-2.0
"""Loads the project's schemas and makes validators that are quick enough for every recorded event.

Used by the tests beside it; needs python3-jsonschema.
"""
import copy
import json
import sys
from pathlib import Path

try:
    from jsonschema import Draft202012Validator
except ImportError:
    sys.exit("these tests need the Python module jsonschema (Debian: python3-jsonschema)")

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"


def load_data(name):
    with open(SCHEMAS / name, encoding="utf-8") as file:
        return json.load(file)


def load(name):
    """A schema by its file's name, after a check that it is one."""
    schema = load_data(name)
    Draft202012Validator.check_schema(schema)
    return schema


def inline(node, root):
    """`node` with every local $ref replaced by what it refers to: resolving them anew for each
    event takes most of a validator's time. The schemas do not recur, so that this ends."""
    if isinstance(node, list):
        return [inline(item, root) for item in node]
    if not isinstance(node, dict):
        return node
    result = {name: inline(value, root) for name, value in node.items() if name != "$ref"}
    if "$ref" in node:
        prefix, _, name = node["$ref"].rpartition("/")
        assert prefix == "#/$defs", node["$ref"]
        # Members beside $ref are annotations here and may be overwritten.
        result.update(inline(root["$defs"][name], root))
    return result


def event_types(schema):
    """Names of the event types: what the root's oneOf lists."""
    return [branch["$ref"].rpartition("/")[2] for branch in schema["oneOf"]]


def validators(schema):
    """Event type to its validator."""
    return {
        name: Draft202012Validator(inline(schema["$defs"][name], schema))
        for name in event_types(schema)
    }


def merged(schema):
    """Properties and required members of an inlined schema and its allOf."""
    properties, required = {}, []
    for part in schema.get("allOf", []) + [schema]:
        properties.update(part.get("properties", {}))
        required += part.get("required", [])
    return properties, sorted(set(required))


WRONG = {
    "string": [7, None, ["text"]],
    "integer": ["7", 1.5, None, True],
    "boolean": ["true", 0],
    "object": [[], "text"],
    "array": [{}, "text"],
}


def mutations(schema, instance, path=()):
    """(what was done, its path, a value for that place) for each way in which a member that the
    schema describes can be wrong. DELETE stands for its removal."""
    properties, required = merged(schema)
    for name in required:
        yield "without", path + (name,), DELETE
    for name, inner in properties.items():
        if name not in instance:
            continue
        here = path + (name,)
        types = inner.get("type", [])
        types = [types] if isinstance(types, str) else types
        for wrong in WRONG[types[0]] if types else ["Other", 7]:
            if not (wrong is None and "null" in types):
                yield f"with {json.dumps(wrong)} for", here, wrong
        for keyword in ("enum", "pattern"):
            if keyword in inner:
                yield f"against the {keyword} of", here, "no such word"
        if inner.get("minimum") is not None and inner["minimum"] >= 0:
            yield "below the minimum of", here, -1
        if "items" in inner:
            wrong = 7 if inner["items"].get("type") == "string" else "text"
            yield "with a wrong item in", here, [wrong]
        if isinstance(inner.get("additionalProperties"), dict):
            yield "with a wrong value in", here, {"NAME": ["text"]}
        if "properties" in inner and instance[name] is not None:
            yield from mutations(inner, instance[name], here)


DELETE = object()


def mutate(instance, path, value):
    result = copy.deepcopy(instance)
    place = result
    for name in path[:-1]:
        place = place[name]
    if value is DELETE:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return result


def accepted_mutations(validator, instance):
    """How many mutations there are, and a sentence for each that the schema fails to refuse."""
    count, accepted = 0, []
    for what, path, value in mutations(validator.schema, instance):
        count += 1
        if validator.is_valid(mutate(instance, path, value)):
            accepted.append(f"{instance['type']} {what} {'.'.join(path)} is accepted")
    return count, accepted
