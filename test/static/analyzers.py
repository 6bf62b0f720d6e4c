#!/usr/bin/python3
"""What compilers and analyzers say of the C sources: nothing.

gcc and clang with more warnings than the build has, cppcheck, and clang-tidy
with clang's static analyzer (.clang-tidy says what is left out, and why).
"""

import concurrent.futures
import glob
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True  # the sources' folder stays clean

import _tap

SOURCES = sorted(glob.glob("src/*.c") + glob.glob("src/*/*.c"))
PG_CONFIG = os.environ.get("PG_CONFIG", "pg_config")
WORKERS = os.cpu_count() or 1

# Unused parameters are what function types are made of.
WARNINGS = """
    -Wall -Wextra -Werror -Wno-unused-parameter -Wshadow -Wdeclaration-after-statement
    -Wmissing-prototypes -Wstrict-prototypes -Wold-style-definition -Wvla -Wundef
    -Wformat -Wformat-security -Wmissing-format-attribute -Wwrite-strings -Wpointer-arith
    -Wimplicit-fallthrough
""".split()
ONLY = {
    "gcc": "-Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wcast-function-type".split(),
    # gcc knows from its comments where a case is meant to go on, clang does not.
    "clang": "-Wno-implicit-fallthrough -Wmissing-variable-declarations -Wunreachable-code".split(),
}
# A quarter of the analyzer's own limit of paths for each function, which takes a
# third of the time and finds the same.
ENOUGH = "-Xclang -analyzer-config -Xclang max-nodes=60000".split()


def of_server(option):
    return _tap.output([PG_CONFIG, option]).strip()


# The server's headers are not what is looked at.
INCLUDES = [*of_server("--cppflags").split(), "-Isrc", "-isystem", of_server("--includedir-server")]


def each(command):
    """Runs a command for each source; what those that fail or speak have written."""

    def one(source):
        done = subprocess.run(command(source), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            return done.stdout + done.stderr
        return done.stdout

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        return "".join(pool.map(one, SOURCES))


def compilers():
    for compiler, more in ONLY.items():
        # With -O2, since only then is it looked at how values flow.
        found = each(lambda source: [compiler, "-O2", "-c", "-o", os.devnull, *WARNINGS, *more, *INCLUDES, source])
        _tap.check(found, f"{compiler} warns of nothing")


def cppcheck():
    # The server's headers are beyond it, so it is told what their macros mean.
    # (Without the version it would take compat.h's #error and look at nothing.)
    version = 10000 * int(re.search(r"\d+", of_server("--version"))[0])
    _tap.passes(["cppcheck", "--quiet", f"-j{WORKERS}", "--std=c99", "--error-exitcode=1", "--inline-suppr",
                 "--enable=warning,performance,portability", "--suppressions-list=test/static/cppcheck.txt",
                 "--library=test/static/postgres.cfg", "-Isrc", f"-DPG_VERSION_NUM={version}", *SOURCES], "cppcheck finds nothing")


def clang_tidy():
    found = each(lambda source: ["clang-tidy", "--quiet", "--warnings-as-errors=*", source, "--",
                                 # What Assert() says is to be believed.
                                 "-DUSE_ASSERT_CHECKING=1", *ENOUGH, *INCLUDES])
    _tap.check(found, "clang-tidy finds nothing")


def what_is_left_out():
    """Exceptions to the rules stay few, and each says why."""
    bad = []
    for source in SOURCES:
        with open(source, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if re.search(r"NOLINT|cppcheck-suppress|pragma +(GCC|clang)", line):
                    bad.append(f"{source}:{number}: {line.strip()}")
    _tap.check(bad, "nothing is silenced in the sources")


if __name__ == "__main__":
    compilers()
    cppcheck()
    what_is_left_out()
    clang_tidy()
    _tap.finish()
