#!/usr/bin/python3
"""Runs the benchmarks and prints their table; tools/bench sets the scene.

The environment says which: BENCH, RUNS, QUICK and ROLE, as tools/bench
explains.  The server is that of PGHOST, PGPORT and PGUSER, a superuser; each
benchmark makes the databases that it needs and drops them.
"""

import argparse
import json
import os
import sys
import time

from case import Bench, Sizes
from cases import CASES
from figure import table
from server import connect, first

SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "wal_level", "shared_buffers", "work_mem",
            "max_wal_size", "checkpoint_timeout", "autovacuum", "jit", "max_connections")


def choose(bench, names):
    cases = [case(bench) for case in CASES]
    if not names:
        return cases
    known = {name for case in cases for name in (case.name, *case.all)}
    unknown = sorted(set(names) - known)
    if unknown:
        sys.exit(f"bench: there is no {', '.join(unknown)}; there are: {' '.join(sorted(known))}")
    return [case for case in cases if case.choose(names)]


def measure(cases, runs):
    """The figures, and what was left out and why."""
    figures, left_out = [], {}
    for case in cases:
        case.check()
        left_out.update(case.left_out)
        if not case.chosen:
            continue
        started = time.monotonic()
        case.prepare()
        try:
            for run in range(runs):
                case.run(run)
        finally:
            case.close()
        print(f"\n-- {case.name}: {time.monotonic() - started:.0f} s")
        print("\n".join(table(case.results())), flush=True)
        figures += case.results()
    return figures, left_out


def machine():
    server = connect("postgres")
    settings = {name: first(server, f"SHOW {name}", None) for name in SETTINGS}
    version = first(server, "SHOW server_version", None).split()[0]
    server.close()
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        model = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), "")
    return {"cores": os.cpu_count(), "processor": model, "postgresql": version, "settings": settings}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", help="where all figures are written")
    options = parser.parse_args()
    quick = os.environ.get("QUICK", "0") not in ("", "0")
    runs = int(os.environ.get("RUNS") or (1 if quick else 7))
    role = os.environ.get("ROLE") or None

    if role:
        server = connect("postgres")
        if not first(server, "SELECT count(*) FROM pg_roles WHERE rolname = %s", (role,)):
            first(server, f"CREATE ROLE {role}", None)
        server.close()
    started = time.monotonic()
    bench = Bench(Sizes(quick), role)
    try:
        figures, left_out = measure(choose(bench, os.environ.get("BENCH", "").split()), runs)
    finally:
        bench.close()

    about = machine()
    print(f"\n== {about['cores']} cores, PostgreSQL {about['postgresql']}; {runs} runs, {time.monotonic() - started:.0f} s")
    print("\n".join(table(figures)))
    for why in sorted(set(left_out.values())):
        print(f"left out, because {why}: {' '.join(name for name in left_out if left_out[name] == why)}")
    if options.json:
        found = json.dumps({
            "date": time.strftime("%Y-%m-%d"), "machine": about, "runs": runs, "quick": quick, "role": role,
            "figures": [figure.as_json() for figure in figures], "left_out": left_out,
        }, indent=1)
        with open(options.json, "w", encoding="utf-8") as file:
            file.write(found + "\n")
    # In a test of the benchmarks themselves something may be missing.
    sys.exit(0 if all(figure.finite() for figure in figures) and (quick or not left_out) else 1)


if __name__ == "__main__":
    main()
