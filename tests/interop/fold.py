# SPDX-License-Identifier: MPL-2.0
"""The last value of every object, folded from published events by the rules in README.md and
schemas/objects.json alone. Nothing of the daemon is in it."""
import json
import pathlib

RULES = json.loads((pathlib.Path(__file__).resolve().parents[2] / "schemas/objects.json")
                   .read_text(encoding="utf-8"))["types"]
LISTS = {"channel": "channels", "bridge": "bridges", "playback": "playbacks",
         "recording": "recordings", "endpoint": "endpoints", "device": "deviceStates"}
LATE_NS = 10_000_000_000


def follow(event, path):
    """What stands at the end of the path, and what holds it."""
    holder = None
    for name in path.split("."):
        holder, event = event, event.get(name) if isinstance(event, dict) else None
    return event, holder


def find_objects(event):
    """(kind, id, value or None, begins, ends) of each object; an object is named once."""
    found = {}
    for rule in RULES.get(event["type"], RULES["*"]):
        at, holder = follow(event, rule["path"])
        form, kind, value = rule.get("form", "string"), rule.get("kind"), None
        if form == "endpoint":
            if not isinstance(at, dict) or "technology" not in at or "resource" not in at:
                continue
            name, value = f"{at['technology']}/{at['resource']}", at
        elif form == "uri" or not isinstance(at, str) or not at:
            continue
        else:
            name = at
            bears = "name" if kind in ("recording", "device") else "id"
            if "." in rule["path"] and rule["path"].rsplit(".", 1)[1] == bears:
                value = holder
        earlier = found.get((kind, name))
        if earlier is None:
            found[kind, name] = [value, rule.get("begins", False), rule.get("ends", False)]
        elif earlier[0] is None:
            earlier[0] = value
    return [(kind, name, *rest) for (kind, name), rest in found.items()]


def without(table, link):
    return {key: held for key, held in table.items() if key[:2] != link}


class Fold:
    """`hears_all` names the (node, app) that have subscribe_all."""

    def __init__(self, hears_all=()):
        self.hears_all = set(hears_all)
        self.values, self.ended = {}, {}

    @classmethod
    def join(cls, snapshot):
        """As who has heard of nothing before."""
        fold = cls((link["node"], link["app"]) for link in snapshot["links"]
                   if link["subscribe_all"])
        for kind, name in LISTS.items():
            for item in snapshot[name]:
                value = item["value"]
                identity = (f"{value['technology']}/{value['resource']}" if kind == "endpoint" else
                            value["name" if kind in ("recording", "device") else "id"])
                fold.values[item["node"], item["app"], kind, identity] = value
        for item in snapshot["ended"]:
            fold.ended[item["node"], item["app"], item["kind"], item["id"]] = item["received_ns"]
        return fold

    def take(self, node, event, received_ns):
        if not isinstance(event, dict) or not isinstance(event.get("type"), str):
            return
        link = node, event.get("application", "")
        if event["type"] == "ArizmqGap":
            self.ended = without(self.ended, link)
        if event["type"] == "ArizmqNodeDisconnected" and event.get("reason") == "removed":
            self.values, self.ended = without(self.values, link), without(self.ended, link)
        for kind, name, value, begins, ends in find_objects(event):
            key = (*link, kind, name)
            if event["type"] == "ArizmqObjectLost" or (
                    ends and not (event["type"] == "StasisEnd" and link in self.hears_all)):
                self.values.pop(key, None)
                self.ended[key] = received_ns
            elif value is not None and self.may_set(key, event, begins, received_ns):
                self.values[key] = value
                self.ended.pop(key, None)

    def may_set(self, key, event, begins, received_ns):
        return (key not in self.ended or begins or event["type"] == "ArizmqObjectFound" or
                received_ns >= self.ended[key] + LATE_NS)

    def lists(self):
        """As the snapshot has them, in an order of their own."""
        lists = {name: [] for name in LISTS.values()}
        for (node, app, kind, _), value in self.values.items():
            lists[LISTS[kind]].append({"node": node, "app": app, "value": value})
        return {name: in_order(items) for name, items in lists.items()}


def in_order(items):
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))


def lists_of(snapshot):
    return {name: in_order(snapshot[name]) for name in LISTS.values() if name in snapshot}
