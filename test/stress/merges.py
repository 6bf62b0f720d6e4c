"""Writers and syncs at once under a merge policy: no property is ever lost.

Two local copies of one shared diagram. Each writer owns one property, and
edits it in entities of one of the three copies, at a random isolation level,
sometimes rolling back, to the whole transaction or to a savepoint. Syncers
push and pull meanwhile. Since no two writers touch the same property,
nothing may conflict. In the end all is synced until nothing changes, and
every copy must hold what each writer last committed.

The connection is that of PGHOST, PGPORT and PGDATABASE; the database has the
extension.
"""

import argparse
import json
import random
import sys
import threading
import time

import psycopg2
from psycopg2 import errorcodes

ENTITIES = 12
LEVELS = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
AGAIN = {errorcodes.SERIALIZATION_FAILURE, errorcodes.DEADLOCK_DETECTED}
POLICY = {"granularity": "property", "groups": [["/place"]], "latest": ["/seen"], "references": ["/to"]}
COPIES = {"one": "local", "two": "local", "shared": "public"}

UPDATE = """UPDATE diagsync_{}.entity SET doc = jsonb_set(doc, %s, %s)
             WHERE diagram_id = %s AND id = %s"""


class Run:
    def __init__(self, options):
        self.options = options
        self.end = time.monotonic() + options.seconds
        self.lock = threading.Lock()
        self.counts = {}
        self.problems = []
        self.committed = {}  # (entity, property): value

    def count(self, what, by=1):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + by

    def problem(self, text):
        with self.lock:
            self.problems.append(text)

    def running(self):
        return time.monotonic() < self.end and not self.problems

    def thread(self, body, number):
        def work():
            try:
                with_connection(lambda cursor: body(random.Random(f"{self.options.seed} {number}"), cursor, number))
            except Exception as error:  # pylint: disable=broad-except
                self.problem(f"{body.__name__} {number}: {error!r}")
        return threading.Thread(target=work)

    # ---- Who works -----------------------------------------------------------

    def writer(self, rng, cursor, number):
        """The odd writers own a property inside the object that every second one
        edits, so that merging goes into it."""
        path = ["deep", f"p{number}"] if number % 2 else [f"p{number}"]
        copy = list(COPIES)[number % 3]
        value = 0
        while self.running():
            entity = f"e{rng.randrange(ENTITIES)}"
            value += 1
            try:
                cursor.execute(f"BEGIN ISOLATION LEVEL {rng.choice(LEVELS)}")
                edit = (path, json.dumps(value), copy, entity)
                if rng.random() < 0.2:
                    cursor.execute("SAVEPOINT s")
                    cursor.execute(UPDATE.format(COPIES[copy]), (path, '"rolled back"', copy, entity))
                    cursor.execute("ROLLBACK TO s")
                cursor.execute(UPDATE.format(COPIES[copy]), edit)
                if rng.random() < 0.1:
                    cursor.execute("ROLLBACK")
                    self.count("writes rolled back")
                    continue
                cursor.execute("COMMIT")
            except psycopg2.Error as error:
                cursor.execute("ROLLBACK")
                if error.pgcode not in AGAIN:
                    raise
                self.count("writes to be tried again")
                continue
            self.committed[entity, tuple(path)] = value
            self.count("writes committed")
            time.sleep(rng.random() * 0.004)

    def syncer(self, rng, cursor, number):
        while self.running():
            local = rng.choice(["one", "two"])
            sync = rng.choice(["push", "pull"])
            try:
                cursor.execute(f"BEGIN ISOLATION LEVEL {rng.choice(LEVELS)}")
                cursor.execute(f"SELECT success, conflicts, merged FROM diagsync.{sync}(%s)", (local,))
                success, conflicts, merged = cursor.fetchone()
                cursor.execute("ROLLBACK" if rng.random() < 0.1 else "COMMIT")
            except psycopg2.Error as error:
                cursor.execute("ROLLBACK")
                if error.pgcode not in AGAIN:
                    raise
                self.count("syncs to be tried again")
                continue
            self.count("syncs")
            self.count("entities merged", merged)
            if not success or conflicts:
                self.problem(f"{sync}({local}): {conflicts} conflicts, where no two writers share a property")


def with_connection(body):
    connection = psycopg2.connect("")
    connection.autocommit = True
    try:
        body(connection.cursor())
    finally:
        connection.close()


def set_up(cursor):
    cursor.execute("SELECT diagsync.create_diagram('Merges', id => 'one')")
    entities = [{"id": f"e{n}", "deep": {}, "place": {"x": 0, "y": 0}, "seen": 0} for n in range(ENTITIES)]
    cursor.execute("SELECT diagsync.put('one', %s)", (json.dumps(entities),))
    cursor.execute("SELECT diagsync.set_merge_policy('one', %s)", (json.dumps(POLICY),))
    cursor.execute("SELECT diagsync.share('one', 'shared'), diagsync.clone('shared', 'two')")


def level(cursor, run):
    for _ in range(4):
        for local in ("one", "two"):
            for sync in ("pull", "push"):
                cursor.execute(f"SELECT success FROM diagsync.{sync}(%s)", (local,))
                if not cursor.fetchone()[0]:
                    run.problem(f"the last {sync}({local}) met conflicts")
    cursor.execute("SELECT local_id, state FROM diagsync.status_all() WHERE state <> 'in_sync'")
    for row in cursor.fetchall():
        run.problem(f"not in sync in the end: {row}")


def check(cursor, run):
    for copy, storage in COPIES.items():
        cursor.execute(f"SELECT id, doc FROM diagsync_{storage}.entity WHERE diagram_id = %s", (copy,))
        docs = dict(cursor.fetchall())
        for (entity, path), value in run.committed.items():
            found = docs[entity]
            for key in path:
                found = found.get(key) if isinstance(found, dict) else None
            if found != value:
                run.problem(f"{copy}: {entity} has {found!r} at {'/'.join(path)}, {value!r} was committed last")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--writers", type=int, default=6)
    parser.add_argument("--syncers", type=int, default=3)
    options, _ = parser.parse_known_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1000000)
    print(f"seed {options.seed}", flush=True)

    run = Run(options)
    with_connection(set_up)
    threads = [run.thread(run.writer, number) for number in range(options.writers)]
    threads += [run.thread(run.syncer, number) for number in range(options.writers, options.writers + options.syncers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not run.problems:
        with_connection(lambda cursor: level(cursor, run))
        with_connection(lambda cursor: check(cursor, run))

    for what in ("writes committed", "syncs", "entities merged"):
        if not run.counts.get(what):
            run.problem(f"no {what}")
    for what, number in sorted(run.counts.items()):
        print(f"  {number:9}  {what}")
    for problem in run.problems[:20]:
        print(f"FAILED: {problem}")
    print("merges: " + (f"{len(run.problems)} problems" if run.problems else "no property was lost"))
    sys.exit(1 if run.problems else 0)


if __name__ == "__main__":
    main()
