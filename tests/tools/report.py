#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""Adds up what ./check did: prints every skipped test with its reason, every failed one, and last

    N passed, N failed

    tests/tools/report.py RESULT…

A RESULT is SUITE:built, SUITE:unbuilt (that build counts as one test) or SUITE:FILE, a JUnit file
that ctest wrote. The exit status is 0 only if nothing failed.
"""

import sys
import xml.etree.ElementTree

SKIP_MESSAGES = ("SKIP_RETURN_CODE", "SKIP_REGULAR_EXPRESSION_MATCHED")


def skip_reason(output):
    """The last line of a skipped test says why, with or without "skipped:" before it."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1].removeprefix("skipped:").strip() if lines else "it gave no reason"


def read_suite(path):
    """Yields (name, "passed" | "failed" | "skipped", why) for each test in the file."""
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        name, status = case.get("name"), case.get("status")
        output = case.findtext("system-out") or ""
        skipped = case.find("skipped")
        message = skipped.get("message", "") if skipped is not None else ""
        if status == "run":
            yield name, "passed", ""
        elif status == "disabled":
            yield name, "skipped", "disabled in its CMakeLists.txt"
        elif status == "notrun" and message.startswith(SKIP_MESSAGES):
            yield name, "skipped", skip_reason(output)
        elif status == "notrun":
            yield name, "failed", message or "it could not be started"
        else:
            yield name, "failed", ""


def read_result(result):
    suite, _, rest = result.partition(":")
    if rest in ("built", "unbuilt"):
        yield suite, "build", "passed" if rest == "built" else "failed", ""
        return
    try:
        cases = list(read_suite(rest))
    except (OSError, xml.etree.ElementTree.ParseError) as error:
        yield suite, "ctest", "failed", f"it left no result: {error}"
        return
    if not cases:
        yield suite, "ctest", "failed", "no test was selected"
    for name, status, why in cases:
        yield suite, name, status, why


def main():
    tests = [test for result in sys.argv[1:] for test in read_result(result)]
    for kind in ("skipped", "failed"):
        for suite, name, status, why in tests:
            if status == kind:
                print(f"{kind}: {suite}: {name}" + (f": {why}" if why else ""))
    passed = sum(status == "passed" for _, _, status, _ in tests)
    failed = sum(status == "failed" for _, _, status, _ in tests)
    if not tests:
        failed = 1
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
