#!/usr/bin/python3
"""What grows and what does not: entities, diagrams, links of one shared copy, clients.

Prints one line for each measurement, and keeps all as JSON, which scale_svg.py
draws.  tools/bench-scale sets the scene; SCALE=0.01 takes a hundredth of
all sizes.  Times are medians of single statements, commit included; what is larger is made in the same database, so that
the larger ones lie beside all that was before.  Each part has a database of its own.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from server import SUMMARY, Database, timed

SCALE = float(os.environ.get("SCALE") or 1)
SECONDS = 8 if SCALE >= 0.1 else 1  # for each number of clients
PARTS = (os.environ.get("PARTS") or "entities diagrams links clients").split()
DOC = ("jsonb_build_object('id', 'e' || md5(n::text), 'text', 'entity ' || n, 'color', '#' || left(md5(n::text), 6), 'position',"
       " jsonb_build_object('x', n % 1000, 'y', n % 777, 'z', 0), 'template', '#box-template', 'rotation', n % 360)")
TABLES = ("diagsync.directory", "diagsync.sync_log", "diagsync_local.entity", "diagsync_local.base",
          "diagsync_public.entity", "diagsync_public.tombstone")


BOUNCER = """[databases]
scale = host={PGHOST} port={PGPORT} user={PGUSER}
[pgbouncer]
unix_socket_dir = {folder}
listen_port = 6432
auth_type = any
pool_mode = transaction
default_pool_size = 20
max_client_conn = 1200
logfile = {folder}/pgbouncer.log
"""


def sizes(*numbers):
    return [max(int(number * SCALE), 10 * (place + 1)) for place, number in enumerate(numbers)]


def memory_of(process):
    """What a process has for itself, in bytes."""
    with open(f"/proc/{process}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))


class Scale:
    def __init__(self):
        self.database = None  # that of the part
        self.points = []
        self.facts = {}

    # ---- What is noted -------------------------------------------------------

    def point(self, axis, size, what, seconds):
        self.points.append({"axis": axis, "size": size, "what": what, "seconds": seconds})
        print(f"{axis} {size:,}: {what}: {seconds * 1e3:.3g} ms", flush=True)

    def fact(self, name, value):
        self.facts[name] = value
        print(f"{name}: {value:,}" if isinstance(value, int) else f"{name}: {value:.4g}", flush=True)

    def fill(self, diagram, table, first, last):
        self.database.execute(f"INSERT INTO {table} (diagram_id, id, doc) SELECT '{diagram}', 'e' || md5(n::text), {DOC}"
                              f" FROM generate_series({first}, {last}::bigint) AS n")

    def bytes_of(self, *tables):
        return sum(self.database.value(f"SELECT pg_total_relation_size('{table}')") for table in tables or TABLES)

    def per(self, what, count, work, *tables):
        """Bytes of these tables for each that the work adds, and the seconds of all."""
        before, started = self.bytes_of(*tables), time.perf_counter()
        work()
        seconds = time.perf_counter() - started
        self.fact(f"bytes of {what}", (self.bytes_of(*tables) - before) / count)
        return seconds

    def median(self, sql, before=None, times=5):
        """Of one statement; the first time its plans are made."""
        found = []
        for turn in range(times + 1):
            if before:
                before(turn)
            found.append(timed(self.database.admin, sql, None, None))
        return statistics.median(found[1:])

    def memory(self):
        return memory_of(self.database.value("SELECT pg_backend_pid()"))

    def edit_ten(self, diagram, end, size):
        def edit(turn):
            self.database.execute(
                f"UPDATE diagsync_{end}.entity SET doc = doc || '{{\"turn\": {turn}}}' WHERE diagram_id = %s AND id = ANY"
                " (SELECT 'e' || md5((1 + i * %s)::text) FROM generate_series(0, 9) AS i)", (diagram, max(size // 10, 1)))
        return edit

    def usual(self, axis, size, local, public, entities):
        """What users do all the time."""
        one = f"WHERE diagram_id = '{public}' AND id = 'e' || md5('7')"
        self.point(axis, size, "one-row edit, shared", self.median(
            "UPDATE diagsync_public.entity SET doc = doc || jsonb_build_object('at', clock_timestamp()) " + one))
        self.database.call("SELECT diagsync.pull(%s)", (local,))
        self.point(axis, size, "push of 10", self.median(
            f"SELECT diagsync.push('{local}')", self.edit_ten(local, "local", entities)))
        self.point(axis, size, "pull of 10", self.median(
            f"SELECT diagsync.pull('{local}')", self.edit_ten(public, "public", entities)))
        self.point(axis, size, "status, in sync", self.median(f"SELECT diagsync.status('{local}')"))

    # ---- Parts ---------------------------------------------------------------

    def entities(self):
        """In a local copy and its shared one, together."""
        for size in sizes(100000, 1000000, 10000000):
            half, local, public = size // 2, f"e{size}", f"s{size}"
            self.database.call("SELECT diagsync.create_diagram('Entities', 'local', %s)", (local,))
            seconds = self.per(f"a local entity, {size:,}", half,
                               lambda: self.fill(local, "diagsync_local.entity", 1, half), "diagsync_local.entity")
            self.point("entities", size, "insert of half of them", seconds)
            seconds = self.per(f"a shared entity, {size:,}", half,
                               lambda: self.database.call("SELECT diagsync.share(%s, %s)", (local, public)), "diagsync_public.entity")
            self.point("entities", size, "share", seconds)
            self.database.execute("VACUUM (ANALYZE) diagsync_local.entity, diagsync_public.entity")
            self.database.checkpoint()
            self.usual("entities", size, local, public, half)
        many = min(half, 100000)
        self.per("a base row (the first edit)", many, lambda: self.database.execute(
            "UPDATE diagsync_local.entity SET doc = doc || '{\"all\": 1}' WHERE diagram_id = %s AND id IN"
            " (SELECT 'e' || md5(n::text) FROM generate_series(1, %s::bigint) AS n)", (local, many)), "diagsync_local.base")
        before = self.database.value("SELECT pg_current_wal_insert_lsn() - '0/0'")
        self.database.execute("BEGIN")
        self.point("entities", size, "push of 100,000", timed(self.database.admin, f"SELECT diagsync.push('{local}')", None, None))
        self.fact("locks of a push of 100,000", self.database.value("SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()"))
        self.database.execute("COMMIT")
        self.fact("bytes of WAL for each of 100,000 pushed",
                  float(self.database.value("SELECT pg_current_wal_insert_lsn() - '0/0'") - before) / many)
        self.fact("bytes of memory of a session after it", self.memory())
        self.per("a tombstone", many, lambda: self.database.execute(
            "DELETE FROM diagsync_public.entity WHERE diagram_id = %s AND id IN"
            " (SELECT 'e' || md5(n::text) FROM generate_series(1, %s::bigint) AS n)", (public, many)), "diagsync_public.tombstone")

    def diagrams(self):
        """Local ones without a link, and a pair among them."""
        self.database.call("SELECT diagsync.create_diagram('Pair', 'local', 'pair')")
        self.fill("pair", "diagsync_local.entity", 1, 1000)
        self.database.call("SELECT diagsync.share('pair', 'pair-shared')")
        made = 0
        for size in sizes(1000, 10000, 100000):
            seconds = self.per(f"a diagram, {size:,}", size - made, lambda size=size, made=made: self.database.execute(
                "SELECT count(diagsync.create_diagram('Diagram ' || n, 'public', 'd' || n)) FROM generate_series(%s, %s) AS n",
                (made + 1, size)), "diagsync.directory")
            self.point("diagrams", size, "create_diagram", seconds / (size - made))
            made = size
            self.database.execute("VACUUM (ANALYZE) diagsync.directory")
            self.usual("diagrams", size, "pair", "pair-shared", 1000)
            self.point("diagrams", size, "prune", self.median("SELECT diagsync.prune()", times=3))
            self.point("diagrams", size, "status_all", self.median("SELECT count(*) FROM diagsync.status_all()", times=3))

    def links(self):
        """Copies of one shared diagram of 100 entities."""
        self.database.call("SELECT diagsync.create_diagram('Origin', 'local', 'origin')")
        self.fill("origin", "diagsync_local.entity", 1, 100)
        self.database.call("SELECT diagsync.share('origin', 'hub')")
        made = 0
        for size in sizes(100, 1000, 10000):
            def clone(size=size, made=made):
                for n in range(made, size):
                    self.database.call("SELECT diagsync.clone('hub', %s, 'Copy')", (f"c{n}",))
            seconds = self.per(f"a link without its entities, {size:,}", size - made, clone, "diagsync.directory", "diagsync.sync_log")
            self.point("links", size, "clone", seconds / (size - made))
            made = size
            self.database.execute("VACUUM (ANALYZE)")
            self.usual("links", size, "origin", "hub", 100)
            self.point("links", size, "status_all", self.median("SELECT count(*) FROM diagsync.status_all()", times=3))
            self.point("links", size, "prune", self.median("SELECT diagsync.prune()", times=3))
        for what, sql in (("set_storage_type", "SELECT diagsync.set_storage_type('hub', 'private')"),
                          ("drop_diagram of the shared copy", "SELECT diagsync.drop_diagram('hub')")):
            self.database.execute("BEGIN")
            try:
                self.point("links", made, what, timed(self.database.admin, sql, None, None))
                self.fact(f"locks of {what}", self.database.value("SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()"))
            finally:
                self.database.execute("ROLLBACK")

    def clients(self):
        """One-row edits of one shared diagram; directly, and through PgBouncer with 20 connections."""
        self.database.call("SELECT diagsync.create_diagram('Busy', 'public', 'busy')")
        self.fact("bytes of memory of a session that has done little", self.memory())
        self.fill("busy", "diagsync_public.entity", 1, 10000)
        with tempfile.TemporaryDirectory() as folder:
            script = os.path.join(folder, "edit.sql")
            with open(script, "w", encoding="utf-8") as file:
                file.write("\\set n random(1, 10000)\nUPDATE diagsync_public.entity SET doc = doc || '{\"a\": :n}'"
                           " WHERE diagram_id = 'busy' AND id = 'e' || md5('' || :n);\n")
            for count in (1, 20, 100, 250):
                self.pgbench(script, "clients, directly", count, os.environ)
            bouncer = self.bouncer(folder)
            try:
                for count in (20, 100, 250, 1000):
                    self.pgbench(script, "clients, PgBouncer", count, {**os.environ, "PGHOST": folder, "PGPORT": "6432"})
                self.fact("connections of the server meanwhile",
                          self.database.value("SELECT count(*) FROM pg_stat_activity WHERE datname = 'scale'") - 1)
                self.fact("bytes of PgBouncer's memory for each of 1,000 clients", memory_of(bouncer.pid) / 1000)
            finally:
                bouncer.terminate()
                bouncer.wait()

    def bouncer(self, folder):
        ini = os.path.join(folder, "pgbouncer.ini")
        with open(ini, "w", encoding="utf-8") as file:
            file.write(BOUNCER.format(folder=folder, **os.environ))
        process = subprocess.Popen(["pgbouncer", "-q", ini])
        for _ in range(100):
            if os.path.exists(os.path.join(folder, ".s.PGSQL.6432")):
                return process
            time.sleep(0.1)
        raise RuntimeError("PgBouncer did not start")

    def pgbench(self, script, axis, count, environment):
        self.database.execute("VACUUM diagsync_public.entity")
        done = subprocess.run(["pgbench", "-n", "-M", "simple", "-c", str(count), "-j", "2", 
                               "-T", str(SECONDS), "-f", script, "scale"], env=environment, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        found = SUMMARY.search(done.stdout)
        if done.returncode or not found:
            raise RuntimeError(f"pgbench: {done.stdout[-2000:]}")
        self.point(axis, count, "one-row edit of one diagram", float(found[1]) / 1e3)
        self.fact(f"{axis} {count}, edits a second", float(found[2]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", required=True)
    options = parser.parse_args()
    scale = Scale()
    for part in PARTS:
        scale.database = Database("scale", None)
        try:
            getattr(scale, part)()
        finally:
            scale.database.close()
            with open(options.json, "w", encoding="utf-8") as file:
                json.dump({"points": scale.points, "facts": scale.facts}, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
