# SPDX-License-Identifier: MPL-2.0
"""The library as it is installed, below a prefix of its own: what it exports, and that the program
which the README shows builds outside of this project, by pkg-config and by find_package, and runs.

    test_install.py BUILD SOURCE COMPILER SANITIZERS
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

BUILD, SOURCE, COMPILER, SANITIZERS = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), \
    sys.argv[3], sys.argv[4]
PROGRAM = SOURCE / "tests/interop/subscriber.c"
FLAGS = [f"-fsanitize={SANITIZERS}"] if SANITIZERS else []
sys.path.insert(0, str(SOURCE / "tests/interop"))

try:
    import zmq
except ImportError:
    print("skipped: pyzmq is not installed (Debian: python3-zmq)")
    sys.exit(77)

from history import KeepingView


def run(*command, **arguments):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          **arguments)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="arizmq-install-")
        cls.addClassCleanup(cls.directory.cleanup)
        root = pathlib.Path(cls.directory.name)
        run("cmake", "--install", BUILD, "--prefix", root / "made")
        (root / "made").rename(root / "moved")  # what is installed may be moved
        cls.prefix, cls.work = root / "moved", root
        cls.lib = next(cls.prefix.rglob("libarizmq.so")).parent
        cls.environment = os.environ | {
            "PKG_CONFIG_PATH": str(cls.lib / "pkgconfig"), "LD_LIBRARY_PATH": str(cls.lib)}

    def pkg_config(self, *arguments):
        return run("pkg-config", *arguments, "arizmq", env=self.environment).split()

    def check(self, program):
        """It prints what comes, and what was lost."""
        view = KeepingView(zmq.Context.instance())
        self.addCleanup(view.close)
        process = subprocess.Popen([program, view.endpoint, view.gateway], env=self.environment,
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        view.wait_for("StasisStart/", "ArizmqGap/")
        view.publish("StasisStart/ivr/pbx1/1/", b'{"n":1}')
        view.lose("StasisStart/ivr/pbx1/1/", event=b'{"n":2}')
        view.publish("StasisStart/ivr/pbx1/1/", b'{"n":3}')
        for number in (1, 2, 3):
            self.assertEqual(process.stdout.readline(), f'{{"n":{number}}}\n')

    def test_pkg_config(self):
        program = self.work / "by-pkg-config"
        run(COMPILER, *FLAGS, PROGRAM, "-o", program, *self.pkg_config("--cflags", "--libs"))
        self.assertIn("libarizmq.so.0", run("readelf", "-d", program))
        self.check(program)

    def test_static(self):
        program = self.work / "static"
        # Debian's libzmq has no archives of all that it needs: it and Jansson stay shared.
        run(COMPILER, *FLAGS, PROGRAM, "-o", program, *self.pkg_config("--cflags"),
            self.lib / "libarizmq.a", "-lzmq", "-ljansson")
        self.assertNotIn("libarizmq", run("readelf", "-d", program))
        self.check(program)

    def test_find_package(self):
        project, build = self.work / "consumer", self.work / "consumer-build"
        project.mkdir()
        (project / "CMakeLists.txt").write_text((SOURCE / "tests/install/consumer.txt").read_text())
        run("cmake", "-S", project, "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}",
            f"-DPROGRAM={PROGRAM}", f"-DCMAKE_C_COMPILER={COMPILER}",
            f"-DCMAKE_C_FLAGS={' '.join(FLAGS)}")
        run("cmake", "--build", build)
        self.check(build / "consumer")

    def test_exports_what_the_headers_declare(self):
        declared = set()
        for header in (self.prefix / "include/arizmq").glob("*.h"):
            text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
            declared |= set(re.findall(r"\b(arizmq_\w+)\(", text))
        lines = run("nm", "-D", "--defined-only", self.lib / "libarizmq.so").splitlines()
        exported = {line.split()[-1] for line in lines} - {"ARIZMQ_0"}
        sanitizers = {name for name in exported if name.startswith("__")}
        self.assertEqual(exported - sanitizers, {f"{name}@@ARIZMQ_0" for name in declared})
        self.assertIn("soname: [libarizmq.so.0]", run("readelf", "-d", self.lib / "libarizmq.so"))

    def test_each_header_stands_alone(self):
        languages = [("c", "c99")] + ([("c++", "c++11")] if self.has_cxx() else [])
        for header in sorted((self.prefix / "include/arizmq").glob("*.h")):
            for language, standard in languages:
                run(COMPILER, f"-x{language}", f"-std={standard}", "-Wall", "-Wextra", "-Werror",
                    "-pedantic", "-fsyntax-only", f"-I{self.prefix / 'include'}", "-",
                    input=f"#include <arizmq/{header.name}>\n")

    @staticmethod
    def has_cxx():
        """Some compilers for C are installed without their C++."""
        probe = subprocess.run([COMPILER, "-xc++", "-fsyntax-only", "-"], input="", text=True,
                               capture_output=True)
        return probe.returncode == 0

    def test_readme_shows_the_program(self):
        shown = PROGRAM.read_text().split("\n", 1)[1]  # without the licence
        self.assertIn(f"```c\n{shown}```\n", (SOURCE / "README.md").read_text())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
