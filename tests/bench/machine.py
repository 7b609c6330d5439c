# SPDX-License-Identifier: MPL-2.0
"""What the benchmarks say about the machine, and how they have tests/tools/lib.sh build and
install."""
import os
import subprocess
import sys

import stage


def shell(command, *arguments):
    """Runs a command of tests/tools/lib.sh in the source directory. Returns its status."""
    return subprocess.run(["bash", "-c", f"source tests/tools/lib.sh && {command}", "bench",
                           *arguments], cwd=stage.ROOT, stdout=sys.stderr, check=False).returncode


def build(targets):
    """Builds them with the release preset."""
    if shell('build_preset release --target "$@"', *targets) != 0:
        raise stage.Failed("the release could not be built")


def put_into(path, name, text):
    """Puts `text` between the file's lines <!-- name --> and <!-- end of name -->."""
    old = path.read_text()
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    if begin not in old or end not in old:
        raise stage.Failed(f"{path} has no lines {begin.strip()} and {end.strip()}")
    head, _, rest = old.partition(begin)
    path.write_text(head + begin + "\n" + text + "\n" + end + rest.partition(end)[2])


def describe():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {"cpus": os.cpu_count(), "model": models[0] if models else None,
            "kernel": os.uname().release, "load_before": os.getloadavg()[0]}


def title(described, rounds):
    return (f"{described['cpus']} cores, {described['model']}, Linux {described['kernel']}, load "
            f"before {described['load_before']:.2f}, {rounds} rounds; median (min-max)")
