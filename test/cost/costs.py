#!/usr/bin/python3
"""No operation costs more than it did: instructions, buffers, WAL, beside committed figures.

No time is measured, so it holds on a busy machine, too.  An ordinary server makes
the diagrams.  Then one session alone, PostgreSQL's single-user mode under
valgrind's callgrind, runs the operations (operations.py), where nothing else
writes WAL or touches a buffer.  Callgrind counts instructions between the calls
of two functions that nothing else calls; PostgreSQL counts the rest.

    costs.py                compares with figures.txt
    costs.py --write FILE   measures, and writes what figures.txt is to be

DIAGSYNC_TMP/cost (KEEP=1 keeps it) has a profile of each operation, for
callgrind_annotate.
"""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True  # the sources' folder stays clean
sys.path.append(os.path.join(HERE, "..", "static"))

import _tap
from figures import KINDS, Figures, compare
from operations import OPERATIONS

FOLDER = os.path.join(os.environ["DIAGSYNC_TMP"], "cost")
DATA = os.path.join(FOLDER, "data")
DATABASE = "cost"

SETTINGS = """
fsync = off
autovacuum = off
full_page_writes = off
max_wal_size = 4GB
checkpoint_timeout = 1d
shared_buffers = 128MB
huge_pages = off
jit = off
"""

# Callgrind's counter is set to zero where the first of these is called, and
# written where the second is.
BEGIN, END = "pg_backend_pid", "pg_postmaster_start_time"
# What the session has counted so far is in the views once it is idle.
FLUSH = "SELECT pg_stat_force_next_flush()"
COUNTED = ("SELECT (SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = current_database())"
           " || ' ' || wal_records || ' ' || wal_bytes AS counted FROM pg_stat_wal")


def run(command, **keywords):
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **keywords)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout[-5000:]}")
    return done.stdout


def make_diagrams():
    """A server of its own makes what is measured with, and stops."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.makedirs(FOLDER)
    conf = os.path.join(FOLDER, "conf")
    with open(conf, "w", encoding="utf-8") as file:
        file.write(SETTINGS)
    environment = {**os.environ, "PGDATA": DATA, "SERVER_LOG": os.path.join(FOLDER, "server.log"), "SETTINGS": "shipped",
                   "TEMP_CONFIG": conf, "PGPORT": str(int(os.environ["PGPORT"]) + 5), "PGDATABASE": DATABASE}
    run(["tools/lib/fresh-server"], env=environment)
    with open(os.path.join(HERE, "data.sql"), encoding="utf-8") as file:
        script = "CREATE EXTENSION diagsync;\n" + file.read()
    for operation in OPERATIONS:
        script += "".join(f"{statement};\n" for statement in operation.setup)
    run(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f", "-"], env=environment,
        input=script + "VACUUM (ANALYZE);\n")
    run(["pg_ctl", "-D", DATA, "-m", "fast", "-w", "stop"], env=environment)


def session():
    """The statements of the measured session, one a line."""
    lines = []
    for operation in OPERATIONS:
        lines += operation.warm
        lines += [FLUSH, COUNTED, f"SELECT {BEGIN}()", *operation.run, f"SELECT {END}()", FLUSH, COUNTED]
    return "".join(" ".join(line.split()) + "\n" for line in lines)


def profile_of(name):
    return os.path.join(FOLDER, "callgrind.out." + re.sub("[^a-z0-9]+", "-", name))


def measure():
    """{operation: (instructions, buffers, WAL records, WAL bytes)}"""
    profile = profile_of("session")
    printed = run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", f"--zero-before={BEGIN}", f"--dump-before={END}",
         "postgres", "--single", "-D", DATA, DATABASE], input=session())
    failed = re.findall(r"^.*(?:ERROR|FATAL|PANIC|DETAIL|STATEMENT): .*", printed, re.M)
    if failed:
        sys.exit("\n".join(failed))
    counted = [tuple(map(int, found.split())) for found in re.findall(r'counted = "([\d ]+)"', printed)]
    figures = {}
    for number, operation in enumerate(OPERATIONS):
        os.rename(f"{profile}.{number + 1}", profile_of(operation.name))
        with open(profile_of(operation.name), encoding="utf-8") as file:
            instructions = int(re.search(r"^(?:summary|totals): (\d+)", file.read(), re.M)[1])
        before, after = counted[2 * number:2 * number + 2]
        figures[operation.name] = (instructions, *(b - a for a, b in zip(before, after)))
    figures.pop("start")
    nothing = figures.pop("nothing")
    return {name: tuple(a - b for a, b in zip(numbers, nothing)) for name, numbers in figures.items()}


def problems(name, numbers, recorded):
    """What is to be said of an operation: nothing where it costs what it did."""
    lines = []
    for kind, figure, old in zip(KINDS, numbers, recorded):
        if kind == "instructions" and platform.machine() != "x86_64":
            continue
        found = compare(kind, figure, old)
        if found:
            way, limit = found
            lines.append(f"{kind}: {figure:,}, at {'most' if way == 'worse' else 'least'} {limit:,}; {old:,} are recorded"
                         + (", which is much more: record it" if way == "better" else ""))
    if lines:
        lines += [f"to repeat: KEEP=1 STAGES=cost make test; where it goes: callgrind_annotate {profile_of(name)}",
                  "to accept: make record-costs, and commit test/cost/figures.txt with the reason"]
    return lines


def check(measured, figures, major):
    known = major in figures.majors()
    for name, numbers in measured.items():
        what = ", ".join(f"{number:,} {kind}" for kind, number in zip(KINDS, numbers))
        recorded = figures.of(name, major)
        if recorded:
            _tap.check(problems(name, numbers, recorded), f"{name}: {what}")
        elif known:
            _tap.check([f"is not recorded for PostgreSQL {major}: make record-costs"], f"{name}: {what}")
        else:
            _tap.check([], f"{name}: {what} # SKIP there are no figures of PostgreSQL {major}")
    gone = [name for name in figures.lines if name not in measured]
    _tap.check([f"{name} is recorded and not measured: make record-costs" for name in gone], "all that is recorded is measured")
    _tap.finish()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", metavar="FILE", help="the new figures.txt")
    options = parser.parse_args()
    make_diagrams()
    measured, figures = measure(), Figures()
    major = int(re.search(r"(\d+)", run(["postgres", "--version"]))[1])
    if options.write:
        figures.record(major, measured)
        with open(options.write, "w", encoding="utf-8") as file:
            file.write(figures.text())
    else:
        check(measured, figures, major)


if __name__ == "__main__":
    main()
