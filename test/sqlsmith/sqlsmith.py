#!/usr/bin/python3
"""An unprivileged role does what it can, at random: nothing breaks.

sqlsmith writes queries, and calls.py calls every function with values worth a
try, both at the same time and as a role that owns some of the diagrams and has
what diagsync.grant_usage() gives.  What fails the run: a crash, an internal
error (SQLSTATE XX...), a status that a full comparison does not confirm, links
that cannot be brought in sync afterwards, and a private diagram of somebody else
that was changed or shown.

sqlsmith chooses among all functions that it finds in the catalog.  So that
diagsync's are not lost among thousands, it finds a table in the place of pg_proc,
with diagsync's and some others that take and give the same types.  What sqlsmith
does is rolled back.

The connection is that of PGHOST, PGPORT, PGUSER and PGDATABASE, for a superuser;
the server's log is $DIAGSYNC_TMP/server.log.  The diagrams are the first of the
corpus, where it is at hand (DIAGSYNC_SHARED).
"""

import argparse
import collections
import gzip
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True  # the sources' folder stays clean
sys.path.insert(1, str(pathlib.Path(__file__).resolve().parent.parent / "common"))

import psycopg2
import psycopg2.extras

from calls import Calls
from sessions import STATUS_AND_TRUTH

ROLE, OTHER = "regress_smith", "regress_smith_other"
SECRET = "not for your eyes"
# Errors of PostgreSQL's own that sqlsmith runs into, with SQLSTATE XX...: a part of
# the text, and why it is no concern of diagsync's.
KNOWN = {}
LEAST_SHARE = 0.25  # of sqlsmith's statements has to call diagsync
OTHERS = 60  # functions of PostgreSQL's own that sqlsmith is shown


def is_internal(sqlstate, text):
    return sqlstate.startswith("XX") and not any(known in text for known in KNOWN)


class Run:
    def __init__(self, options):
        self.options = options
        self.failures = []
        connection = psycopg2.connect("", application_name="sqlsmith: checks")
        connection.autocommit = True
        self.cursor = connection.cursor()

    def fail(self, text):
        self.failures.append(text)

    def all(self, sql, *values):
        self.cursor.execute(sql, values or None)
        return self.cursor.fetchall() if self.cursor.description else None

    # ---- What there is ---------------------------------------------------------

    def make(self):
        for role in (ROLE, OTHER):
            self.all(f"CREATE ROLE {role} LOGIN")
            self.all("SELECT diagsync.grant_usage(%s)", role)
        database, = self.all("SELECT quote_ident(current_database())")[0]
        for setting in ("diagsync.sync_rate_limit = 0", "log_error_verbosity = verbose", "log_min_messages = error",
                        "statement_timeout = '5s'", "track_functions = 'all'", "client_min_messages = error"):
            self.all(f"ALTER ROLE {ROLE} IN DATABASE {database} SET {setting}")

        self.all(f"SET ROLE {OTHER}")
        self.load("witness-local", "witness", "private", {"a": {"id": "a", "v": SECRET}}, {"a": {"id": "a", "v": SECRET + "!"}}, {})
        self.all(f"SET ROLE {ROLE}")
        for number, (base, ours, theirs) in enumerate(self.diagrams()):
            self.load(f"local-{number}", f"far-{number}", ("public", "private")[number % 2], base, ours, theirs)
        self.all("SELECT diagsync.set_merge_policy('local-1', '{\"granularity\": \"property\"}'),"
                 " diagsync.clone('far-0', 'clone'), diagsync.create_diagram('alone', 'local', 'alone')")
        self.all("RESET ROLE")
        self.all("INSERT INTO diagsync.directory (id, name, owner) VALUES ('legacy', 'legacy', %s)", f"role:{ROLE}")
        self.catalog()

    def load(self, local, far, storage, base, ours, theirs):
        """A link with changes, and what conflicts in the three versions."""
        self.all("SELECT diagsync.create_diagram(%s, 'local', %s)", local, local)
        self.put(local, base)
        self.all("SELECT diagsync.share(%s, %s, %s)", local, far, storage)
        for diagram, version in ((local, ours), (far, theirs)):
            self.put(diagram, {entity: doc for entity, doc in version.items() if base.get(entity) != doc})
            self.all("SELECT diagsync.remove(%s, %s)", diagram, sorted(base.keys() - version.keys()))

    def put(self, diagram, entities):
        self.all("SELECT diagsync.put(%s, %s)", diagram,
                 json.dumps([{**doc, "id": entity} for entity, doc in entities.items()]))

    def diagrams(self):
        """Real ones with the versions of both sides; without the corpus, such as these."""
        folder = os.environ.get("DIAGSYNC_SHARED")
        if not folder:
            return [({f"e{n}": {"v": n} for n in range(20)},
                     {f"e{n}": {"v": n + n % 2} for n in range(18)},
                     {f"e{n}": {"v": n + n % 3} for n in range(2, 22)}) for _ in range(6)]
        with gzip.open(pathlib.Path(folder) / "merges.jsonl.gz", "rt", encoding="utf-8") as lines:
            merges = [json.loads(line) for line in lines]
        merges = [[merge[name] for name in ("base", "ours", "theirs")] for merge in merges]
        return sorted(merges, key=lambda merge: len(json.dumps(merge)))[:8]

    def catalog(self):
        """What sqlsmith finds in the place of pg_proc."""
        self.all("CREATE SCHEMA smith")
        self.all(f"""CREATE TABLE smith.pg_proc AS
            SELECT * FROM pg_catalog.pg_proc
             WHERE pronamespace IN ('diagsync'::regnamespace, 'diagsync_api'::regnamespace)
               AND has_function_privilege('{ROLE}', oid, 'EXECUTE')""")
        self.all(f"""WITH kinds AS (SELECT unnest(proargtypes::oid[] || prorettype) AS kind FROM smith.pg_proc),
                others AS (SELECT * FROM pg_catalog.pg_proc
                 WHERE pronamespace = 'pg_catalog'::regnamespace AND provolatile <> 'v' AND prokind = 'f' AND NOT proretset
                   AND prorettype IN (SELECT kind FROM kinds) AND proargtypes::oid[] <@ ARRAY(SELECT kind FROM kinds)
                 ORDER BY md5(oid::text) LIMIT {OTHERS})
            INSERT INTO smith.pg_proc SELECT * FROM others""")
        self.all("CREATE UNIQUE INDEX ON smith.pg_proc (oid)")
        self.all(f"GRANT USAGE ON SCHEMA smith TO {ROLE}")
        self.all(f"GRANT SELECT ON smith.pg_proc TO {ROLE}")

    # ---- The run -------------------------------------------------------------------

    def go(self):
        log = pathlib.Path(os.environ["DIAGSYNC_TMP"]) / "server.log"
        log_begins = log.stat().st_size
        before = self.witness()
        start = time.monotonic()
        smith = Smith(self.options.seed)
        connection = psycopg2.connect("", user=ROLE, application_name="sqlsmith: calls")
        # Python's JSON does not read all that PostgreSQL's writes.
        psycopg2.extras.register_default_json(connection, loads=str)
        psycopg2.extras.register_default_jsonb(connection, loads=str)
        calls = Calls(connection, self.options.seed, SECRET, (f"role:{ROLE}", f"role:{OTHER}", "sub:olga"), is_internal)

        def done():
            # On a machine that is busy otherwise it takes longer to call everything.
            elapsed = time.monotonic() - start
            return smith.failures or elapsed >= self.options.seconds * (1 if not self.missing(smith, calls) else 5)

        smith.start()
        calls.run(done)
        self.elapsed = time.monotonic() - start
        smith.stop()
        if not connection.closed:
            connection.close()
        self.failures += calls.failures + smith.failures
        self.read_log(log, log_begins)
        if self.witness() != before:
            self.fail("the witness was changed")
        self.report(smith, calls)
        self.failures += self.missing(smith, calls)
        self.check_statuses()

    def witness(self):
        return self.all("""SELECT md5(string_agg(row, '|' ORDER BY row)) FROM (
            SELECT d::text AS row FROM diagsync.directory AS d WHERE id LIKE 'witness%'
            UNION ALL SELECT e::text FROM diagsync.entity AS e WHERE diagram_id LIKE 'witness%'
            UNION ALL SELECT b::text FROM diagsync_local.base AS b WHERE diagram_id LIKE 'witness%'
            UNION ALL SELECT m::text FROM diagsync.member AS m WHERE diagram_id LIKE 'witness%'
            UNION ALL SELECT t::text FROM diagsync.access_token AS t WHERE diagram_id LIKE 'witness%') AS rows""")

    def read_log(self, log, begins):
        """What the server has to say: errors of each kind, crashes."""
        self.log_errors = collections.Counter()
        with open(log, encoding="utf-8", errors="replace") as file:
            file.seek(begins)
            for line in file:
                found = re.search(r"(?:ERROR|FATAL): +([0-9A-Z]{5}): (.*)", line)
                if found:
                    self.log_errors[found[1]] += 1
                    if is_internal(*found.groups()):
                        self.fail(f"internal error: {line.strip()[:500]}\n    {''.join(next(file, '') for _ in range(4))[:3000]}")
                elif re.search(r"terminated by signal|PANIC: |TRAP: |leak: ", line):
                    self.fail(f"crash: {line.strip()[:500]}")
                if SECRET in line:
                    self.fail(f"the log tells of the witness: {line.strip()[:500]}")
        self.log_size = log.stat().st_size - begins

    # ---- What is checked afterwards ---------------------------------------------------

    def missing(self, smith, calls):
        """What has not been called enough to say that nothing breaks."""
        found = []
        for function in calls.allowed:
            key = function[:2]
            name = ".".join(key)
            if not calls.called[key]:
                found.append(f"{name}() was never called")
            # These call the function that a header of nginx's names.
            elif not calls.succeeded[key] and key[1] not in ("call", "call_read", "call_void"):
                found.append(f"{name}() was called {calls.called[key]} times and always failed")
            # sqlsmith knows no functions that return sets.
            if not function[3] and not smith.named[name]:
                found.append(f"{name}() was never called by sqlsmith")
        found += [f"{'.'.join(function[:2])}() was never tried" for function in calls.forbidden if not calls.called[function[:2]]]
        if smith.with_calls < smith.statements * LEAST_SHARE:
            found.append(f"only {smith.with_calls} of {smith.statements} statements of sqlsmith call diagsync")
        return found

    def check_statuses(self):
        """Is what diagsync believes of each link what a full comparison says?"""
        links = self.all("SELECT l.id, f.id, f.storage_type, l.merge_policy IS NULL FROM diagsync.directory AS l"
                         " JOIN diagsync.directory AS f ON f.id = l.public_copy_id WHERE l.id NOT LIKE 'witness%%' ORDER BY 1")
        if not links:
            self.fail("no link is left")
        for local, far, storage, plain in links:
            if not plain:
                self.all("SELECT diagsync.set_merge_policy(%s, NULL)", local)
            self.cursor.execute(STATUS_AND_TRUTH.replace("diagsync_public.", f"diagsync_{storage}."), {"local": local, "public": far})
            row = self.cursor.fetchone()
            if row[:3] != row[4:7]:
                self.fail(f"status of {local}: {row[:4]}, and compared in full: {row[4:8]}")
        for what, sql in {
            "links lead nowhere": "SELECT id FROM diagsync.directory AS l WHERE public_copy_id IS NOT NULL AND NOT EXISTS"
                                  " (SELECT FROM diagsync.directory WHERE id = l.public_copy_id AND storage_type <> 'local')",
            "bases of no link": "SELECT DISTINCT diagram_id FROM diagsync_local.base WHERE diagram_id NOT IN"
                                " (SELECT id FROM diagsync.directory WHERE public_copy_id IS NOT NULL)",
            "entities are not where their diagram is":
                "SELECT DISTINCT diagram_id, e.storage_type FROM diagsync.entity AS e LEFT JOIN diagsync.directory AS d"
                " ON d.id = diagram_id WHERE coalesce(d.storage_type, CASE WHEN d.id IS NOT NULL THEN 'public' END)"
                " IS DISTINCT FROM e.storage_type",
            "members or tokens of no diagram": "SELECT diagram_id FROM diagsync.member WHERE diagram_id NOT IN (SELECT id FROM diagsync.directory)"
                                               " UNION SELECT diagram_id FROM diagsync.access_token WHERE diagram_id NOT IN (SELECT id FROM diagsync.directory)",
        }.items():
            rows = self.all(sql)
            if rows:
                self.fail(f"{what}: {rows[:5]}")
        for local, far, storage, _ in links:
            self.all("SELECT diagsync.pull(%s, on_conflict => 'public'), diagsync.push(%s)", local, local)
            state, = self.all("SELECT state FROM diagsync.status(%s)", local)[0]
            differing = self.all(
                f"""SELECT id FROM (SELECT id, doc FROM diagsync_local.entity WHERE diagram_id = %s) AS l
                    FULL JOIN (SELECT id, doc FROM diagsync_{storage}.entity WHERE diagram_id = %s) AS f USING (id)
                    WHERE l.doc IS DISTINCT FROM f.doc""", local, far)
            if state != "in_sync" or differing:
                self.fail(f"{local} was pulled and pushed and is {state}, with {len(differing)} entities that differ")
        self.links_checked = len(links)

    def report(self, smith, calls):
        known = sum(self.all("SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_user_functions"
                             " WHERE schemaname LIKE 'diagsync%%'")[0])
        print(f"{self.elapsed:.0f} s")
        print(f"  {smith.statements:9}  statements of sqlsmith, {smith.with_calls} of them with calls of diagsync's functions")
        print(f"  {sum(smith.named.values()):9}  calls in them, of {sum(n > 0 for n in smith.named.values())} functions")
        print(f"  {calls.counts['statements']:9}  statements of calls.py")
        print(f"  {calls.counts['calls']:9}  calls in them, of {len(calls.called)} functions; {sum(calls.succeeded.values())} succeeded")
        print(f"  {known:9}  calls of diagsync's functions ended without an error, by the server's statistics")
        print(f"  {sum(self.log_errors.values()):9}  errors in the server's log ({self.log_size >> 20} MB): "
              + ", ".join(f"{state} {count}" for state, count in self.log_errors.most_common(12)))

    def drop(self):
        self.all("SELECT diagsync.drop_diagram(id) FROM diagsync.directory")
        self.all("DROP SCHEMA smith CASCADE")
        for role in (ROLE, OTHER):
            self.all(f"DROP OWNED BY {role}")
            self.all(f"DROP ROLE {role}")


class Smith(threading.Thread):
    """sqlsmith, and what it asks."""

    def __init__(self, seed):
        super().__init__(daemon=True)
        target = f"user={ROLE} dbname={os.environ['PGDATABASE']} options='-c search_path=smith,pg_catalog'"
        self.process = subprocess.Popen(
            ["sqlsmith", f"--target={target}", f"--seed={seed}", "--exclude-catalog", "--dump-all-queries"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
        self.statements = self.with_calls = 0
        self.named = collections.Counter()
        self.failures = []
        self.stopping = False

    def run(self):
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line.rstrip().endswith(";"):
                names = re.findall(r"\b(diagsync(?:_api)?\.\w+)\(", "".join(lines))
                self.statements += 1
                self.with_calls += bool(names)
                self.named.update(names)
                lines = []
        if not self.stopping:
            self.failures.append(f"sqlsmith ended by itself: {self.process.stderr.read()[-2000:]}")

    def stop(self):
        self.stopping = True
        self.process.terminate()
        self.join()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="how long (default 60)")
    parser.add_argument("--seed", type=int, default=None, help="of all random choices (default: another each time)")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1000000)
    print(f"seed {options.seed}", flush=True)
    run = Run(options)
    run.make()
    run.go()
    if not run.failures:
        run.drop()
    for text in run.failures[:30]:
        print(f"\nFAILED: {text}")
    print("sqlsmith: " + (f"{len(run.failures)} failures" if run.failures else f"nothing broke; {run.links_checked} links are right"))
    sys.stdout.flush()
    sys.exit(1 if run.failures else 0)


if __name__ == "__main__":
    main()
