# SPDX-License-Identifier: MPL-2.0
"""Reads what callgrind wrote: instructions of each function itself, and of each call from one
function to another with all that happened in it."""
import collections
import re
import typing


class Function(typing.NamedTuple):
    program: str  # the object file, without its directory
    file: str     # the source file, as the compiler was given it; "???" where that is not known
    name: str


class Profile:
    """`own[function]` and `calls[caller, callee]`, in instructions. Minus takes another away."""

    def __init__(self):
        self.own = collections.Counter()
        self.calls = collections.Counter()

    def __sub__(self, other):
        result = Profile()
        result.own.update(self.own)
        result.own.subtract(other.own)
        result.calls.update(self.calls)
        result.calls.subtract(other.calls)
        return result

    def total(self):
        return sum(self.own.values())


class Reader:
    """The format compresses names: "(7) name" the first time, "(7)" from then on; and a function
    without a file or object of its own has those of the one before it."""
    NAME = re.compile(r"\((\d+)\)(?: (.*))?")

    def __init__(self):
        self.profile = Profile()
        self.names = {"ob": {}, "fl": {}, "fn": {}}
        self.place = {"ob": "???", "fl": "???"}
        self.function = None
        self.callee = {}
        self.is_call = False

    def name(self, kind, text):
        number, name = self.NAME.fullmatch(text).groups()
        if name is not None:
            self.names[kind][number] = name
        return self.names[kind][number]

    def function_at(self, place, name):
        return Function(place["ob"].rsplit("/", 1)[-1], place["fl"], name.split("'")[0])

    def take_position(self, key, text):
        if key in ("ob", "fl"):
            self.place[key] = self.name(key, text)
        elif key in ("fi", "fe"):  # inlined from there: belongs to the function all the same
            self.name("fl", text)
        elif key == "fn":
            self.function = self.function_at(self.place, self.name("fn", text))
        elif key == "cob":
            self.callee["ob"] = self.name("ob", text)
        elif key in ("cfi", "cfl"):
            self.callee["fl"] = self.name("fl", text)
        elif key == "cfn":
            self.callee["fn"] = self.name("fn", text)

    def take_cost(self, instructions):
        if self.is_call:
            callee = self.function_at({**self.place, **self.callee}, self.callee["fn"])
            self.profile.calls[self.function, callee] += instructions
            self.callee = {}
        else:
            self.profile.own[self.function] += instructions
        self.is_call = False

    def take(self, line):
        key, equals, rest = line.partition("=")
        if line[:1] and line[0] in "0123456789+-*":  # a zero may be left out
            self.take_cost(int((line.split() + ["0"])[1]))
        elif key == "calls":
            self.is_call = True
        elif equals and len(key) <= 3:
            self.take_position(key, rest)


def read(path):
    reader = Reader()
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            reader.take(line.rstrip("\n"))
    return reader.profile
